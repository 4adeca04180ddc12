"""The peer Moonshine: one answer a clip, on one core; a package that is missing is named."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from benchmarks.corpora import SAMPLE_RATE_HZ, Clip
from benchmarks.moonshine_peer import MoonshineMissingError, MoonshinePeer
from benchmarks.word_error_rate import cpu_of_groups, find_moonshine

CLIP = Clip("lj", "one", "word zero", np.zeros(800, np.float32), {})


class _Transcriber:
    """Answers two lines, and remembers on how many cores it was asked."""

    num_cores: list[int] = []

    def __init__(self, model_path: str, model_arch: str) -> None:
        assert (model_path, model_arch) == ("models/tiny-en", "tiny")

    def transcribe_without_streaming(self, samples: list[float], sample_rate: int) -> SimpleNamespace:
        assert (len(samples), sample_rate) == (800, SAMPLE_RATE_HZ)
        self.num_cores.append(len(os.sched_getaffinity(0)))
        return SimpleNamespace(lines=[SimpleNamespace(text="Word"), SimpleNamespace(text="zero.")])


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> type[_Transcriber]:
    top = ModuleType("moonshine_voice")
    top.__dict__.update(
        get_model_path=lambda name: Path("models") / name, ModelArch=SimpleNamespace(TINY="tiny")
    )
    inner = ModuleType("moonshine_voice.transcriber")
    inner.__dict__.update(Transcriber=_Transcriber)
    monkeypatch.setitem(sys.modules, "moonshine_voice", top)
    monkeypatch.setitem(sys.modules, "moonshine_voice.transcriber", inner)
    monkeypatch.setattr(_Transcriber, "num_cores", [])
    return _Transcriber


def test_a_clip_is_heard_once_and_on_one_core(package: type[_Transcriber], tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    cache = tmp_path / "answers.jsonl"
    peer = MoonshinePeer(cache)
    assert peer.recognise(CLIP) == "Word zero."
    assert peer.cpu_s(CLIP) >= 0.0
    assert MoonshinePeer(cache).recognise(CLIP) == "Word zero."
    assert package.num_cores == [1]
    assert os.sched_getaffinity(0) == before


def test_a_missing_package_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    with pytest.raises(MoonshineMissingError, match="pip install moonshine-voice"):
        MoonshinePeer(tmp_path / "answers.jsonl")
    assert find_moonshine(tmp_path / "answers.jsonl") is None
    assert "moonshine is left out" in capsys.readouterr().out


def test_cost_is_per_second_of_each_set() -> None:
    child = Clip("so762", "two", "a", np.zeros(SAMPLE_RATE_HZ, np.float32), {"age": 7})
    adult = Clip("so762", "three", "a", np.zeros(3 * SAMPLE_RATE_HZ, np.float32), {"age": 30})
    costs = cpu_of_groups([child, adult], [0.5, 0.3])
    assert costs == {"so762": 0.2, "so762-children": 0.5, "so762-adults": 0.1}

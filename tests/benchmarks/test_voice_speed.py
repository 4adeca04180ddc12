"""The speed of a voice is that of all it said; peers speak the same sentences."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import voice_speed
from benchmarks.voice_speed import Spoken
from galago.runtime.bundle import Bundle
from galago.runtime.errors import InvalidArgumentError
from tests.tiny_voice import GOLDEN_PHONES, GOLDEN_TEXT, SAMPLE_RATE_HZ, spoken

PEER = """\
import sys, wave
text, wav = sys.argv[1:]
with wave.open(wav, "wb") as file:
    file.setnchannels(1); file.setsampwidth(2); file.setframerate(8000)
    file.writeframes(bytes(16000 * len(open(text).read().splitlines())))
"""


def test_there_are_fifty_sentences_of_all_lengths() -> None:
    lengths = sorted(len(sentence.split()) for sentence in voice_speed.read_sentences())
    assert len(lengths) == 50 and lengths[0] == 1 and lengths[-1] >= 25


def test_all_of_a_sentence_is_said_and_timed(tiny_voice_bundle: Path) -> None:
    with Bundle(tiny_voice_bundle) as bundle, bundle.session() as session:
        for _ in range(2):
            one = voice_speed.speak(session, GOLDEN_TEXT)
            assert one.duration_ns == len(spoken(GOLDEN_PHONES)) * 1_000_000_000 // SAMPLE_RATE_HZ
            assert 0 < one.ttfa_ns <= one.wall_ns
        with pytest.raises(InvalidArgumentError):
            voice_speed.speak(session, "")


def test_numbers_are_of_all_sentences() -> None:
    second = 1_000_000_000
    one = Spoken(ttfa_ns=2_000_000, wall_ns=second // 10, cpu_ns=second // 20, duration_ns=second)
    other = Spoken(ttfa_ns=8_000_000, wall_ns=second // 10, cpu_ns=second // 20, duration_ns=3 * second)
    numbers = voice_speed.summary([one, other])
    assert (numbers["num_sentences"], numbers["speech_s"]) == (2, 4.0)
    assert numbers["ttfa_ms"] == {"p50": 2.0, "p95": 8.0, "p99": 8.0}
    assert (numbers["rtf"], numbers["rtf_cpu"]) == (0.05, 0.025)
    assert numbers["sentence_rtf"]["p99"] == 0.1


def test_a_peer_speaks_them_all_into_one_file(
    tiny_voice_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "peer.py").write_text(PEER)
    command = (sys.executable, str(tmp_path / "peer.py"), "{text}", "{wav}")
    monkeypatch.setattr(voice_speed, "PEERS", {"peer": command, "none": ("galago-has-no-such-peer",)})
    with Bundle(tiny_voice_bundle) as bundle:
        numbers = voice_speed.measure(bundle, ["Hello.", "World."])
    assert list(numbers) == ["galago", "peer"]
    assert "galago-has-no-such-peer is not installed" in capsys.readouterr().err
    assert numbers["peer"]["speech_s"] == 2.0 and numbers["peer"]["rtf"] > 0
    (tmp_path / "peer.py").write_text("raise SystemExit('no voice')")
    with pytest.raises(RuntimeError, match="ended with 1: no voice"):
        voice_speed.measure_peer(command, ["Hello."])

"""Golden sentences: how far two utterances are from each other, and a voice that says something else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from galago.runtime.errors import CorruptError
from galago.runtime.golden import verify_golden
from galago.runtime.golden_speech import spectral_difference
from tests import tiny_voice
from tests.make_tiny_bundle import write_manifest


def sentence(*phones: str, **changes: Any) -> npt.NDArray[np.float32]:
    return tiny_voice.spoken(phones, **changes).astype(np.float32)


HELLO = ("^", "HH", "AH0", "L", "OW1", ".")


def test_the_same_samples_do_not_differ() -> None:
    assert spectral_difference(sentence(*HELLO), sentence(*HELLO)) == 0.0


def test_a_phase_that_drifts_or_a_longer_phone_is_nearly_the_same() -> None:
    phones = HELLO[:-1] * 4
    spoken, drifted = sentence(*phones), sentence(*phones, pitch_shift=0.002)
    assert np.abs(spoken - drifted).max() > 0.05
    assert spectral_difference(drifted, spoken) < 0.2  # a tenth of another sentence's
    frames = tiny_voice.frames_of(phones)
    frames[4] += 1
    longer = sentence(*phones, frames=frames)
    assert len(longer) == len(spoken) + 160 and spectral_difference(longer, spoken) < 0.4


@pytest.mark.parametrize("other", [("^", "S", "IY1", "AE1", "OY2", "."), ("^", "ZH", ".")])
def test_another_sentence_is_far_away(other: tuple[str, ...]) -> None:
    assert spectral_difference(sentence(*other), sentence(*HELLO)) > 0.5


def test_another_loudness_is_seen() -> None:
    louder = spectral_difference(2 * sentence(*HELLO), sentence(*HELLO))
    assert 0.5 < louder <= np.log(2) + 1e-6


def test_nothing_is_infinitely_far_from_something() -> None:
    assert spectral_difference(np.zeros(511, np.float32), sentence(*HELLO)) == float("inf")


def test_the_tiny_voice_says_what_it_said(tiny_voice_bundle: Path) -> None:
    (result,) = verify_golden(tiny_voice_bundle)
    assert result.role == "voice" and result.target == "openvino-f32-speaker"
    assert result.passed and result.text == result.expected_text == tiny_voice.GOLDEN_TEXT


def changed(source: Path, folder: Path, samples: npt.NDArray[np.float32]) -> Path:
    shutil.copytree(source, folder)
    (folder / "golden/voice.f32").write_bytes(samples.astype("<f4").tobytes())
    write_manifest(folder, json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    return folder


def test_a_voice_that_says_something_else_is_found(tiny_voice_bundle: Path, tmp_path: Path) -> None:
    recorded = sentence(*tiny_voice.GOLDEN_PHONES, pitch_shift=2.0)
    (result,) = verify_golden(changed(tiny_voice_bundle, tmp_path / "b", recorded))
    assert not result.passed and result.max_abs_difference is not None


def test_a_record_of_another_length_is_corrupt(tiny_voice_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match=r"voice\.f32: 1600 samples; the manifest says 37 frames of 160"):
        verify_golden(changed(tiny_voice_bundle, tmp_path / "b", np.zeros(1600, np.float32)))

"""The golden sentence: a text, its phones and their frames, and the samples that the packed voice spoke."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galago.quantize.voice.oracle import VoiceOracle
from galago.quantize.voice.recipe import VoiceGolden
from galago.runtime.language.voice_phones import VOICE_PHONES

__all__ = ["write_golden"]

_SAMPLES = "golden/voice.f32"


def write_golden(
    folder: Path, target: str, oracle: VoiceOracle, golden: VoiceGolden, phones: Sequence[int]
) -> dict[str, Any]:
    """Write the samples into ``golden/`` below ``folder``; return the manifest's entry.

    Args:
        oracle: over the very files that the bundle holds.
        phones: rows of the alphabet, of ``golden.text``.
    """
    spoken = oracle.speak(phones)
    (folder / _SAMPLES).parent.mkdir(parents=True, exist_ok=True)
    (folder / _SAMPLES).write_bytes(np.ascontiguousarray(spoken.samples, "<f4").tobytes())
    return {
        "role": "voice",
        "target": target,
        "text": golden.text,
        "phones": [VOICE_PHONES[row] for row in phones],
        "frames": [int(count) for count in spoken.counts],
        "samples": _SAMPLES,
        "tolerance": golden.tolerance,
    }

"""Golden vectors: samples, and what the packed graph answered to them where the bundle was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galago.models.training.ear.corpus import SAMPLE_RATE_HZ, decode
from galago.quantize.calibration import Array
from galago.quantize.ear.oracle import Oracle

__all__ = ["golden_samples", "write_golden"]

# Of a probability. The same graph on the same features agrees to 5e-6 with AVX-512 and VNNI, without VNNI,
# and with AVX2 (weights have 7 bits). Features that differ in their last bits, as those of the native core
# and of another processor do, put some int8 activations on the other side of a quantization step, and move
# probabilities by up to 0.08. A kernel that is wrong moves many by far more.
TOLERANCE = 0.15


def golden_samples(paths: Sequence[Path], *, num_samples: int = 4 * SAMPLE_RATE_HZ) -> Array:
    """Samples (num_samples,) of recordings one after the other, or of a sweep where there are none.

    The sweep rises from 100 Hz to 7.6 kHz in bursts over a faint hum: it needs no file and moves every band.
    """
    if paths:
        pieces = [decode(path.read_bytes(), str(path)).astype(np.float32) / 32768.0 for path in paths]
        samples = np.concatenate(pieces)[:num_samples]
        return np.asarray(np.pad(samples, (0, num_samples - len(samples))), np.float32)
    time_s = np.arange(num_samples, dtype=np.float64) / SAMPLE_RATE_HZ
    octaves = np.log2(76.0) * time_s / time_s[-1]
    phase = 2 * np.pi * 100.0 * time_s[-1] / np.log(76.0) * np.exp2(octaves)
    bursts = 0.5 - 0.5 * np.cos(2 * np.pi * 4.0 * time_s)  # four a second, as syllables
    samples = 0.2 * bursts * np.sin(phase) + 0.002 * np.sin(2 * np.pi * 50.0 * time_s)
    return np.asarray(samples, np.float32)


def write_golden(
    folder: Path,
    samples: Array,
    oracles: Mapping[str, Oracle],
    *,
    mark: str = "",
    tolerance: float = TOLERANCE,
) -> list[dict[str, Any]]:
    """Write ``golden/`` below ``folder`` and return the manifest's entries, one a target.

    Args:
        oracles: by the target's name, over the very files that the bundle holds.
        mark: of the network, in the names of the files.
    """
    (folder / "golden").mkdir(parents=True, exist_ok=True)
    _write(folder / "golden/audio.f32", samples)
    entries = []
    for name, oracle in oracles.items():
        heard = oracle.hear(samples)
        stem = f"golden/{mark}chunk{oracle.chunk_tokens}"
        _write(folder / f"{stem}.phones.f32", heard.phone_log_probs)
        _write(folder / f"{stem}.tokens.f32", heard.token_log_probs)
        entries.append(
            {
                "role": "ear",
                "target": name,
                "audio": "golden/audio.f32",
                "num_samples": len(samples),
                "phone_log_probs": f"{stem}.phones.f32",
                "token_log_probs": f"{stem}.tokens.f32",
                "num_tokens": len(heard.token_log_probs),
                "tolerance": tolerance,
                "text": heard.text,
            }
        )
    return entries


def _write(path: Path, values: Array) -> None:
    path.write_bytes(np.ascontiguousarray(values, dtype="<f4").tobytes())

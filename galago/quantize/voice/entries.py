"""The voice's entry of a bundle's manifest, and where its files stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galago.quantize.voice.export import (
    ENERGY_SHIFT,
    FRAMES,
    KEEP,
    NOISE,
    PHONES,
    PITCH_SHIFT,
    ROWS,
    SAMPLES,
    VALID,
    SpeakerShape,
)
from galago.quantize.voice.oracle import FRAMES_PER_PHONE_MAX
from galago.quantize.voice.recipe import VoicePackRecipe
from galago.runtime.language.voice_phones import VOICE_PHONES

__all__ = [
    "G2P",
    "PRONUNCIATIONS",
    "READER_WEIGHTS",
    "SPEAKER",
    "SPEAKER_WEIGHTS",
    "reader_graph",
    "reader_name",
    "role_entry",
    "speaker_name",
]

PRONUNCIATIONS, G2P = "voice/pronunciations.bin", "voice/g2p.bin"
READER_WEIGHTS = "voice/reader.bin"
SPEAKER, SPEAKER_WEIGHTS = "voice/speaker.xml", "voice/speaker.bin"


def reader_graph(num_phones: int) -> str:
    return f"voice/reader-{num_phones}.xml"


def reader_name(num_phones: int, dtype: str) -> str:
    return f"openvino-{dtype}-{num_phones}"


def speaker_name(dtype: str) -> str:
    return f"openvino-{dtype}-speaker"


def role_entry(
    recipe: VoicePackRecipe,
    shape: SpeakerShape,
    dtypes: Mapping[str, str],
    shifts: tuple[float, float],
    measured: Mapping[str, Mapping[str, Any]],
    *,
    has_g2p: bool,
) -> dict[str, Any]:
    """The voice.

    Args:
        dtypes: of "reader" and "speaker".
        shifts: what one unit is of a pitch shift, in octaves, and of an energy shift, in nats.
        measured: by the targets' names.
    """

    def target(name: str, part: str, model: str, weights: str) -> dict[str, Any]:
        return {
            "name": name,
            "engine": "openvino",
            "dtype": dtypes[part],
            "model": model,
            "weights": weights,
            "inference_precision": recipe.inference_precision,
            "measured": dict(measured.get(name, {})),
        }

    readers = [
        {
            **target(reader_name(size, dtypes["reader"]), "reader", reader_graph(size), READER_WEIGHTS),
            "num_phones": size,
            "inputs": _same(PHONES, PITCH_SHIFT, ENERGY_SHIFT),
            "outputs": _same(ROWS, FRAMES),
        }
        for size in recipe.num_phones
    ]
    speaker = {
        **target(speaker_name(dtypes["speaker"]), "speaker", SPEAKER, SPEAKER_WEIGHTS),
        "inputs": _same(ROWS, VALID, NOISE, KEEP),
        "outputs": _same(SAMPLES),
    }
    return {
        "type": "fastspeech_streamed",
        "sample_rate_hz": shape.sample_rate_hz,
        "hop_samples": shape.hop_samples,
        "row_width": shape.row_width,
        "num_bins": shape.num_bins,
        "delay_frames": shape.delay_frames,
        "chunk_frames": shape.chunk_frames,
        "frames_per_phone_max": FRAMES_PER_PHONE_MAX,
        "noise_seed": recipe.noise_seed,
        "pitch_std_octaves": round(shifts[0], 4),
        "energy_std_nats": round(shifts[1], 4),
        "phones": list(VOICE_PHONES),
        "pronunciations": PRONUNCIATIONS,
        **({"g2p": G2P} if has_g2p else {}),
        "readers": readers,
        "speakers": [speaker],
    }


def _same(*names: str) -> dict[str, str]:
    return dict(zip(names, names, strict=True))

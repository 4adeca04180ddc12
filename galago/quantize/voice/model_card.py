"""The card of a voice: whose voice it is, what it was trained on, what int8 costs, what it cannot do."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.quantize.model_card import common_values, table
from galago.quantize.voice.export import SpeakerShape
from galago.quantize.voice.recipe import VoicePackRecipe
from galago.quantize.voice.report import graph_rows, sound_rows

__all__ = ["model_card"]

_TEMPLATE = Path(__file__).with_name("model_card.md")


def model_card(
    recipe: VoicePackRecipe,
    shape: SpeakerShape,
    report: Mapping[str, Any],
    num_parameters: Mapping[str, int],
    *,
    num_words: int,
    size_bytes: int,
) -> str:
    """The card's part of a voice.

    Args:
        report: as :class:`galago.quantize.voice.pack.VoicePacker` makes it.
        num_parameters: of "acoustic", "vocoder" and, where it is packed, "g2p".
        num_words: of the dictionary.
        size_bytes: of all files of the voice.
    """
    parts = report["quantization"]["parts"]
    hop_ms = 1000 * shape.hop_samples / shape.sample_rate_hz
    choices = [f"The {name}: {part['choice']['sentence']}" for name, part in parts.items()]
    speed = report["speed"]
    values = {
        **common_values(recipe, recipe.reader, report, size_bytes=size_bytes),
        "num_acoustic": _millions(num_parameters["acoustic"]),
        "num_vocoder": _millions(num_parameters["vocoder"]),
        "num_g2p": _millions(num_parameters["g2p"]) if "g2p" in num_parameters else "not packed",
        "num_words": num_words,
        "num_phones": max(recipe.num_phones),
        "sample_rate_hz": shape.sample_rate_hz,
        "chunk_ms": f"{shape.chunk_frames * hop_ms:.0f}",
        "delay_ms": f"{shape.delay_frames * hop_ms:.0f}",
        "reader_dtype": parts["reader"]["choice"]["dtype"],
        "speaker_dtype": parts["speaker"]["choice"]["dtype"],
        "precision": recipe.inference_precision,
        "runs": "; ".join(
            f"{name}: checkpoint `{run['sha256'][:16]}`, step {run['step']}"
            for name, run in report["networks"].items()
        )
        + ".",
        "num_calibration_chunks": parts["speaker"]["calibration"]["num_samples"],
        "refused": " ".join(choices),
        "graphs": table(*graph_rows(report)),
        "speed": "Times were not measured."
        if not speed
        else (
            f"To the first audio of a sentence of up to {min(recipe.num_phones)} phones: "
            f"{speed['first_audio_ms']:.1f} ms. Real-time factor: {speed['real_time_factor']:.4f}."
        ),
        "sound": table(*sound_rows(report["sound"])),
    }
    return string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M"

"""A trained voice as two kinds of ONNX graphs: readers of whole sentences, a speaker of chunks with states.

    phones       (1, P) ┐                   ┌ rows (1, P, C)
    pitch_shift  (1, P) ├── SentenceReader ─┤
    energy_shift (1, P) ┘                   └ frames (1, P)

    rows  (1, T, C)    ┐                   ┌ samples (1, T * hop_samples)
    valid (1, T)       ├── forward_chunk ──┤
    noise (1, T, bins) │                   └ next.NAME, shaped like state.NAME
    keep  (1,)         │
    state.NAME         ┘

All inputs are float32, phones too, because the native core binds float32 buffers and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from galago.models.voice_graphs import FrameSpeaker, SentenceReader
from galago.quantize.export import NEXT_PREFIX, STATE_PREFIX, ExportError, check_weights, write_onnx

__all__ = [
    "ENERGY_SHIFT",
    "FRAMES",
    "KEEP",
    "NOISE",
    "PHONES",
    "PITCH_SHIFT",
    "ROWS",
    "SAMPLES",
    "VALID",
    "SpeakerShape",
    "export_reader",
    "export_speaker",
    "speaker_shape",
]

PHONES, PITCH_SHIFT, ENERGY_SHIFT = "phones", "pitch_shift", "energy_shift"
ROWS, FRAMES = "rows", "frames"
VALID, NOISE, KEEP, SAMPLES = "valid", "noise", "keep", "samples"


@dataclass(frozen=True)
class SpeakerShape:
    """The fixed sizes of a speaker's graph."""

    chunk_frames: int
    row_width: int
    num_bins: int
    hop_samples: int
    delay_frames: int
    sample_rate_hz: int


def speaker_shape(speaker: FrameSpeaker, chunk_frames: int) -> SpeakerShape:
    """The sizes of the graph that :func:`export_speaker` writes."""
    if chunk_frames < 1:
        raise ExportError(f"chunk_frames: expected 1 at least, found {chunk_frames}")
    config = speaker.vocoder.config
    return SpeakerShape(
        chunk_frames=chunk_frames,
        row_width=speaker.decoder.embed.in_features,
        num_bins=config.num_bins,
        hop_samples=config.hop_samples,
        delay_frames=speaker.delay_frames,
        sample_rate_hz=config.sample_rate_hz,
    )


class _ReaderGraph(nn.Module):
    def __init__(self, model: SentenceReader) -> None:
        super().__init__()
        self.model = model

    def forward(self, phones: Tensor, pitch_shift: Tensor, energy_shift: Tensor) -> tuple[Tensor, Tensor]:
        rows, frames = self.model(phones.long(), pitch_shift, energy_shift)
        return rows, frames


class _SpeakerGraph(nn.Module):
    """``forward_chunk`` as a ``forward`` over flat lists, which is what an exporter can trace."""

    def __init__(self, model: FrameSpeaker) -> None:
        super().__init__()
        self.model = model
        self.names = list(model.initial_states())

    def forward(
        self, rows: Tensor, valid: Tensor, noise: Tensor, keep: Tensor, states: list[Tensor]
    ) -> tuple[Tensor, ...]:
        samples, new = self.model.forward_chunk(
            rows, valid, noise, keep, dict(zip(self.names, states, strict=True))
        )
        return (samples, *(new[name] for name in self.names))


def export_reader(reader: SentenceReader, num_phones: int, path: Path) -> None:
    """Write the graph of ``reader`` for sentences of up to ``num_phones`` phones and marks.

    Raises:
        ExportError: a weight is not finite.
    """
    check_weights(reader)
    phones = torch.zeros(1, num_phones)
    phones[:, : num_phones // 2] = 1.0
    write_onnx(
        _ReaderGraph(reader),
        (phones, torch.zeros(1, num_phones), torch.zeros(1, num_phones)),
        path,
        input_names=[PHONES, PITCH_SHIFT, ENERGY_SHIFT],
        output_names=[ROWS, FRAMES],
    )


def export_speaker(speaker: FrameSpeaker, chunk_frames: int, path: Path) -> SpeakerShape:
    """Write the graph of ``speaker`` for chunks of ``chunk_frames``.

    Raises:
        ExportError: chunk_frames is no chunk, or a weight is not finite.
    """
    shape = speaker_shape(speaker, chunk_frames)
    check_weights(speaker)
    states = speaker.initial_states()
    write_onnx(
        _SpeakerGraph(speaker),
        (
            torch.zeros(1, chunk_frames, shape.row_width),
            torch.ones(1, chunk_frames),
            torch.zeros(1, chunk_frames, shape.num_bins),
            torch.ones(1),
            list(states.values()),
        ),
        path,
        input_names=[ROWS, VALID, NOISE, KEEP, *(STATE_PREFIX + name for name in states)],
        output_names=[SAMPLES, *(NEXT_PREFIX + name for name in states)],
    )
    return shape

"""A voice as a device runs it: one graph reads a sentence, one speaks frames, chunk by chunk.

    phones ──► SentenceReader ──► rows, frames of each ──► (length regulator, by the caller)
                                                               │ rows, T at a time
    samples ◄── FrameSpeaker ◄─────────────────────────────────┘

The caller repeats each row as often as its frames say (see :func:`galago.models.fastspeech.frame_counts`),
behind the last one gives rows of zeros with ``valid`` 0 until the lag is made up for, and drops the first
``delay_frames`` hops of what it hears. Mel frames never leave the second graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.fastspeech import FastSpeech
from galago.models.vocoder import Vocoder

__all__ = ["FrameSpeaker", "SentenceReader"]

States = dict[str, Tensor]


class SentenceReader(nn.Module):
    """The phone side of FastSpeech, with frames as numbers rather than logarithms."""

    def __init__(self, model: FastSpeech) -> None:
        super().__init__()
        self.model = model

    def forward(self, phones: Tensor, pitch_shift: Tensor, energy_shift: Tensor) -> tuple[Tensor, Tensor]:
        """Read a sentence.

        Args:
            phones: (B, P) int64, 0 behind the end: any padding reads alike.
            pitch_shift, energy_shift: (B, P), in standard deviations of the voice; 0: as it speaks.

        Returns:
            rows (B, P, C) and the frames that each lasts (B, P), not rounded, at least 0.
        """
        rows, prosody = self.model.encode(phones, pitch_shift=pitch_shift, energy_shift=energy_shift)
        return rows, (prosody.log_frames.exp() - 1.0).clamp_min(0.0)


class FrameSpeaker(nn.Module):
    """The mel decoder and the vocoder in one step: rows in, samples out.

    Raises:
        ValueError: the two were made for different numbers of mel bands.
    """

    def __init__(self, model: FastSpeech, vocoder: Vocoder) -> None:
        super().__init__()
        if model.config.num_mels != vocoder.config.num_mels:
            raise ValueError(
                f"the decoder draws {model.config.num_mels} mel bands, the vocoder reads "
                f"{vocoder.config.num_mels}"
            )
        self.decoder = model.decoder
        self.vocoder = vocoder

    @property
    def delay_frames(self) -> int:
        """Hops of the output lag by so many frames."""
        return self.decoder.delay_frames + self.vocoder.delay_frames

    def initial_states(self, batch: int = 1) -> States:
        """All zeros: the start of a sentence. Keys name the state, the first axis is B."""
        states = {f"decoder.{name}": state for name, state in self.decoder.initial_states(batch).items()}
        states["valid"] = self.vocoder.head.weight.new_zeros(batch, self.decoder.delay_frames)
        states.update({f"vocoder.{name}": s for name, s in self.vocoder.initial_states(batch).items()})
        return states

    def forward_chunk(
        self, rows: Tensor, valid: Tensor, noise: Tensor, keep: Tensor, states: States
    ) -> tuple[Tensor, States]:
        """Speak the next frames. Pure: state in, state out; every shape is fixed by the chunk.

        Args:
            rows: (B, T, C) regulated rows, zeros behind the sentence.
            valid: (B, T), 1 for rows of the sentence, 0 behind it.
            noise: (B, T, num_bins), uniform in [0, 1).
            keep: (1,), 1 to go on, 0 to forget ``states`` first (a new sentence).
            states: :meth:`initial_states` or what the last call returned.

        Returns:
            samples (B, T * hop_samples), which lag by ``delay_frames`` hops, and the new states.
        """
        T = rows.shape[1]
        kept = {name: state * keep for name, state in states.items()}

        def of(part: str) -> States:
            return {n.removeprefix(part): state for n, state in kept.items() if n.startswith(part)}

        log_mel, log2_pitch, voiced_logits, decoded = self.decoder.forward_chunk(rows, of("decoder."))
        flags = torch.cat([kept["valid"], valid], dim=1)
        spoken = flags[:, :T]  # of the frame that the decoder has drawn; before and behind, silence
        log_mel = log_mel * spoken[..., None] + (1.0 - spoken[..., None]) * self.vocoder.floor
        voiced = torch.sigmoid(voiced_logits) * spoken
        samples, vocoded = self.vocoder.forward_chunk(
            log_mel, torch.exp2(log2_pitch.clamp(4.0, 10.0)), voiced, noise, of("vocoder.")
        )
        new = {f"decoder.{name}": state for name, state in decoded.items()}
        new["valid"] = flags[:, T:]
        new.update({f"vocoder.{name}": state for name, state in vocoded.items()})
        return samples, new

    def forward(self, rows: Tensor, noise: Tensor) -> Tensor:
        """Speak a whole sentence: ``rows`` (B, T, C) -> (B, T * hop_samples), as a stream in one chunk.

        ``noise`` (B, T + delay_frames, num_bins) is that of the stream, lag and all.
        """
        T, delay = rows.shape[1], self.delay_frames
        valid = F.pad(rows.new_ones(rows.shape[0], T), (0, delay))
        padded = F.pad(rows, (0, 0, 0, delay))
        states = self.initial_states(rows.shape[0])
        samples, _ = self.forward_chunk(padded, valid, noise, rows.new_ones(1), states)
        return samples[:, delay * self.vocoder.config.hop_samples :]

"""FastSpeech and its autoregressive teacher in PyTorch, in float, drawing the same for the same vocoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.corpora import Audio
from galago.models.fastspeech import FastSpeech, frame_counts, regulate_length
from galago.models.transformer_tts import TransformerTts, focus_rates
from galago.models.vocoder import Vocoder
from galago.runtime.language.voice_phones import MARKS, encode_voice_phones

SEED = 0  # of the vocoder's noise and the teacher's dropout: a sentence sounds alike in every run


class Drawn(NamedTuple):
    """A sentence before the vocoder: T frames, and which of its phones each frame is of."""

    log_mel: Tensor  # (1, T, num_mels)
    pitch_hz: Tensor  # (1, T)
    voiced: Tensor  # (1, T) in [0, 1]
    phone_of_frame: list[int]
    has_stopped: bool = True  # False: cut, because it would not end


def encoded(phones: Sequence[str]) -> Tensor:
    """Phones and marks as the networks read them, (1, P)."""
    return torch.tensor([encode_voice_phones(phones)])


@dataclass(frozen=True)
class Student:
    """FastSpeech."""

    model: FastSpeech

    @torch.inference_mode()
    def draw(self, phones: Sequence[str]) -> Drawn:
        """All frames at once; a frame's phone is the one whose row the length regulator repeated."""
        is_phone = torch.tensor([[phone not in MARKS for phone in phones]])
        rows, prosody = self.model.encode(encoded(phones))
        counts = frame_counts(prosody.log_frames, is_phone)
        regulated, _ = regulate_length(rows, counts)
        log_mel, log2_pitch, voiced = self.model.decoder(regulated)
        path = torch.repeat_interleave(torch.arange(len(phones)), counts[0]).tolist()
        return Drawn(log_mel, torch.exp2(log2_pitch), torch.sigmoid(voiced), path)


@dataclass(frozen=True)
class Teacher:
    """Transformer TTS, with the keys and values of its past kept: a step costs one frame."""

    model: TransformerTts

    @property
    def name(self) -> str:
        """What it is called in tables: teachers that draw several frames a step are faster."""
        num = self.model.config.frames_per_step
        return f"its teacher, float, {num} frame{'s' * (num > 1)} a step"

    @torch.inference_mode()
    def draw(self, phones: Sequence[str], max_frames: int) -> Drawn:
        """Frame by frame until it stops, with its prenet's dropout as published; a frame's phone is the one
        that its most focused head looks at most."""
        torch.manual_seed(SEED)
        spoken = self.model.generate(encoded(phones), max_frames=max_frames)
        heads = torch.cat([weights[0] for weights in spoken.attention])
        path = heads[int(focus_rates(spoken.attention).argmax())].argmax(dim=1).tolist()
        pitch_hz = torch.exp2(spoken.log2_pitch)[None]
        voiced = torch.sigmoid(spoken.voiced_logits)[None]
        return Drawn(spoken.log_mel[None], pitch_hz, voiced, path, spoken.has_stopped)


@torch.inference_mode()
def vocode(vocoder: Vocoder, drawn: Drawn) -> Audio:
    """Samples of a drawn sentence."""
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.rand(1, drawn.log_mel.shape[1], vocoder.config.num_bins, generator=generator)
    # The range of pitch that a streamed voice is held in as well.
    samples = vocoder(drawn.log_mel, drawn.pitch_hz.clamp(16.0, 1024.0), drawn.voiced, noise)[0].numpy()
    return np.asarray(samples, np.float32)

"""FastSpeech learns from an autoregressive teacher: the frames that it draws, the times that it takes.

phones, recording ──► teacher, reading along ──► frames, smoother than the recording
                                            └──► attention ──► frames of each phone
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from galago.models.fastspeech import FastSpeechConfig
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.voice.checkpoint import load_teacher
from galago.models.training.voice.recipe import VoiceDistillationRecipe
from galago.models.training.voice.voice_data import Features, VoiceClip, VoiceData
from galago.models.transformer_tts import TransformerTts, durations_from_attention, focus_rates
from galago.models.voice_features import frame_energy

__all__ = ["TaughtVoice", "teach_voice"]


class TaughtVoice:
    """The training clips of ``data`` as a teacher speaks them.

    Attributes:
        num_aligned: clips whose durations are the teacher's.
        sha256: of the teacher's file.
    """

    def __init__(self, data: VoiceData, sha256: str) -> None:
        self.train, self.sha256, self._data = data.train, sha256, data
        self._mels: dict[str, NDArray[np.float16]] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}

    @property
    def num_aligned(self) -> int:
        return len(self._counts)

    @torch.no_grad()
    def add(self, clip: VoiceClip, teacher: TransformerTts, recipe: VoiceDistillationRecipe) -> None:
        """Let the teacher read a clip along with its recording."""
        device = teacher.mean.device
        features = self._data.features(clip)
        phones, log_mel = (
            torch.from_numpy(array)[None].to(device) for array in (features.phones, features.log_mel)
        )
        output = teacher(phones, log_mel)
        if recipe.mel:
            self._mels[clip.clip.id] = output.log_mel[0].cpu().numpy().astype(np.float16)
        if recipe.durations and float(focus_rates(output.attention).max()) >= recipe.min_focus_rate:
            self._counts[clip.clip.id] = durations_from_attention(output.attention).cpu().numpy()

    def features(self, voice_clip: VoiceClip) -> Features:
        """As of :class:`VoiceData`, with what the teacher puts in its place."""
        features = self._data.features(voice_clip)
        if voice_clip.clip.id in self._counts:
            features = replace(features, counts=self._counts[voice_clip.clip.id])
        if voice_clip.clip.id in self._mels:
            log_mel = self._mels[voice_clip.clip.id].astype(np.float32)
            features = replace(
                features, log_mel=log_mel, energy=frame_energy(torch.from_numpy(log_mel)).numpy()
            )
        return features


def teach_voice(
    recipe: VoiceDistillationRecipe,
    path: Path,
    data: VoiceData,
    student: FastSpeechConfig,
    device: torch.device,
) -> TaughtVoice:
    """Let the teacher at ``path`` read every training clip, with progress on standard error.

    Raises:
        CheckpointError: the file is damaged or holds no teacher, or one of other phones or mel bands.
    """
    from tqdm import tqdm

    teacher = load_teacher(path).to(device)
    for name in ("num_phones", "num_mels"):
        theirs, ours = getattr(teacher.config, name), getattr(student, name)
        if theirs != ours:
            raise CheckpointError(f"{path}: cannot teach this voice: {name} is {theirs}, and it needs {ours}")
    taught = TaughtVoice(data, hashlib.sha256(path.read_bytes()).hexdigest())
    for clip in tqdm(data.train, desc="teacher reads", unit="clip", mininterval=2.0):
        taught.add(clip, teacher, recipe)
    return taught

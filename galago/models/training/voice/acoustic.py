"""Trains FastSpeech: mel, pitch and voicing of frames; durations, pitch and energy of phones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from galago.models.fastspeech import FastSpeech, FastSpeechConfig, FastSpeechOutput, Prosody
from galago.models.masks import padding_mask
from galago.models.training.plots import Panel
from galago.models.training.task import NetworkLosses, Row, moved
from galago.models.training.voice.batches import SentenceBatch, SentenceBatches, collate
from galago.models.training.voice.distillation import TaughtVoice
from galago.models.training.voice.losses import masked_mean, pitch_loss, structure_loss, voicing_loss
from galago.models.training.voice.recipe import AcousticRecipe
from galago.models.training.voice.samples import save_spectrograms, save_wav
from galago.models.training.voice.task import VoiceTask
from galago.models.training.voice.voice_data import Statistics, VoiceData
from galago.models.vocoder import Vocoder, VocoderConfig
from galago.models.voice_features import VoiceFeatureConfig

__all__ = ["AcousticTask", "acoustic_losses", "draw_mels", "set_statistics", "untrained_vocoder"]


def set_statistics(model: FastSpeech, statistics: Statistics) -> None:
    """Put mean and deviation of the decoder's outputs into it; the voicing logit has none."""
    decoder = model.decoder
    mean = [*statistics.mel[0], statistics.log2_pitch[0], 0.0]
    std = [*statistics.mel[1], statistics.log2_pitch[1], 1.0]
    decoder.mean.copy_(torch.tensor(mean, dtype=torch.float32))
    decoder.std.copy_(torch.tensor(std, dtype=torch.float32))


def untrained_vocoder(device: torch.device | str = "cpu") -> Vocoder:
    """A vocoder that speaks the mel envelope as it is: good enough to hear a mel decoder by."""
    return Vocoder(VocoderConfig()).to(device).eval()


def acoustic_losses(
    output: FastSpeechOutput, batch: SentenceBatch, model: FastSpeech, weights: AcousticRecipe
) -> dict[str, Tensor]:
    """Each loss by name, and their weighted sum as ``total``."""
    frames = padding_mask(batch.num_frames, batch.log_mel.shape[1])
    std, mean = model.decoder.std, model.decoder.mean
    drawn, wanted = ((x - mean[:-2]) / std[:-2] for x in (output.log_mel, batch.log_mel))
    phones = batch.phones != 0
    spoken = phones & (batch.counts > 0)
    found = output.prosody
    log_frames = torch.log1p(batch.counts.float())
    each = {
        "mel": masked_mean((drawn - wanted).abs(), frames),
        "structure": structure_loss(drawn, wanted, frames),
        "pitch": pitch_loss(output.log2_pitch, batch, std[-2]),
        "voicing": voicing_loss(output.voiced_logits, batch),
        "durations": masked_mean((found.log_frames.float() - log_frames).square(), phones),
        "phone_pitch": masked_mean((found.pitch.float() - batch.phone_pitch).square(), spoken),
        "phone_energy": masked_mean((found.energy.float() - batch.phone_energy).square(), spoken),
    }
    total = torch.stack([getattr(weights, name) * loss for name, loss in each.items()]).sum()
    return {"total": total, **each}


def given_prosody(batch: SentenceBatch) -> Prosody:
    """The recording's own pitch and energy."""
    return Prosody(torch.log1p(batch.counts.float()), batch.phone_pitch, batch.phone_energy)


class AcousticTask(VoiceTask):
    """See :class:`galago.models.training.task.Task`."""

    name = "acoustic"
    panels = (
        Panel("mel, in deviations", ("mel", "structure", "dev_mel", "dev_structure")),
        Panel("pitch and voicing of frames", ("pitch", "voicing", "dev_pitch", "dev_voicing")),
        Panel("predictors", ("durations", "phone_pitch", "phone_energy", "dev_durations")),
        Panel("learning rate", ("learning_rate",), is_smoothed=False),
    )

    def __init__(
        self,
        config: FastSpeechConfig,
        recipe: AcousticRecipe,
        data: VoiceData,
        statistics: Statistics,
        device: torch.device,
        *,
        taught: TaughtVoice | None = None,
    ) -> None:
        """``taught``: the training clips as a teacher speaks them; dev clips are always the recordings."""
        self.config, self.recipe, self.data, self.device = config, recipe, data, device
        self.statistics, self.taught = statistics, taught
        super().__init__(config.as_dict(), recipe.schedule)
        torch.manual_seed(recipe.schedule.seed)
        self.model = FastSpeech(config)
        set_statistics(self.model, statistics)
        self.model.to(device)
        self.networks: dict[str, nn.Module] = {"model": self.model}
        self.batches = SentenceBatches(taught or data, statistics, recipe.batch_frames, recipe.schedule.seed)
        self.vocoder = untrained_vocoder(device)

    def identity(self) -> dict[str, Any]:
        """The network's shape, the seed, and the teacher where there is one."""
        who = super().identity()
        return who if self.taught is None else {**who, "teacher": self.taught.sha256}

    def _losses(self, model: FastSpeech, batch: SentenceBatch) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            output = model(batch.phones, batch.counts, prosody=given_prosody(batch))
        return acoustic_losses(output, batch, model, self.recipe)

    def losses(self, batch: SentenceBatch, step: int) -> NetworkLosses:
        """One network, one loss."""
        found = self._losses(self.model, batch)
        yield "model", found["total"], found

    def measure(self, model: nn.Module) -> Row:
        """The losses on up to 40 dev clips."""
        assert isinstance(model, FastSpeech)
        clips = self.data.dev[:40]
        if not clips:
            return {}
        batch = moved(collate([self.data.features(clip) for clip in clips], self.statistics), self.device)
        found = self._losses(model, batch)
        return {f"dev_{name}": float(value) for name, value in found.items()}

    def sample(self, model: nn.Module, folder: Path, num_samples: int) -> None:
        """Dev clips with the recording's durations, all else predicted, beside the recording."""
        assert isinstance(model, FastSpeech)
        for clip in self.data.dev[:num_samples]:
            features = self.data.features(clip)
            batch = moved(collate([features], self.statistics), self.device)
            output = model(batch.phones, batch.counts)
            voiced = torch.sigmoid(output.voiced_logits)
            pitch = torch.exp2(output.log2_pitch)
            samples = self.vocoder(output.log_mel, pitch, voiced)[0].float().cpu().numpy()
            save_wav(samples, folder / f"{clip.clip.id}.wav")
            contour = torch.where(voiced > 0.5, pitch, 0.0)[0].float().cpu().numpy()
            save_spectrograms(
                {"predicted": output.log_mel[0].float().cpu().numpy(), "recorded": features.log_mel},
                folder / f"{clip.clip.id}.png",
                pitch_hz={"predicted": contour, "recorded": features.pitch_hz * features.voiced},
            )


@torch.no_grad()
def draw_mels(
    model: FastSpeech, data: VoiceData, statistics: Statistics, device: torch.device
) -> dict[str, NDArray[np.float16]]:
    """Mel frames of every training clip as the network draws them, (T, num_mels) by clip id, with the
    recording's own durations, pitch and energy: what a vocoder will hear, for it to be trained on."""
    drawn: dict[str, NDArray[np.float16]] = {}
    config = VoiceFeatureConfig()
    clips = sorted(data.train, key=lambda clip: clip.utterance.num_frames)
    size = max(1, round(40 * config.frame_rate_hz / max(1, clips[-1].utterance.num_frames)))
    for begin in range(0, len(clips), size):
        part = clips[begin : begin + size]
        batch = moved(collate([data.features(clip) for clip in part], statistics), device)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            output = model(batch.phones, batch.counts, prosody=given_prosody(batch))
        for clip, row in zip(part, output.log_mel, strict=True):
            drawn[clip.clip.id] = row[: clip.utterance.num_frames].cpu().numpy().astype(np.float16)
    return drawn

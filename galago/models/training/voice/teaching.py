"""Trains the autoregressive teacher: each frame from the recording's frames before it, and when to stop."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.masks import padding_mask
from galago.models.training.plots import Panel
from galago.models.training.task import NetworkLosses, Row, moved
from galago.models.training.voice.batches import SentenceBatch, SentenceBatches, collate
from galago.models.training.voice.losses import (
    aligned_attention,
    guided_attention,
    masked_mean,
    pitch_loss,
    voicing_loss,
)
from galago.models.training.voice.recipe import TeacherRecipe
from galago.models.training.voice.samples import save_spectrograms
from galago.models.training.voice.task import VoiceTask
from galago.models.training.voice.voice_data import Statistics, VoiceData
from galago.models.transformer_tts import TransformerTts, TransformerTtsConfig

__all__ = ["TeacherTask"]

STOP_WEIGHT = 8.0  # of the one last frame among hundreds that are not


class TeacherTask(VoiceTask):
    """See :class:`galago.models.training.task.Task`."""

    name = "teacher"
    panels = (
        Panel("mel, in deviations", ("mel", "dev_mel")),
        Panel("stop", ("stop", "dev_stop")),
        Panel("pitch and voicing of frames", ("pitch", "voicing", "dev_pitch", "dev_voicing")),
        Panel("attention off its guide", ("attention", "dev_attention")),
        Panel("learning rate", ("learning_rate",), is_smoothed=False),
    )

    def __init__(
        self,
        config: TransformerTtsConfig,
        recipe: TeacherRecipe,
        data: VoiceData,
        statistics: Statistics,
        device: torch.device,
    ) -> None:
        self.config, self.recipe, self.data, self.device = config, recipe, data, device
        self.statistics = statistics
        super().__init__(config.as_dict(), recipe.schedule)
        torch.manual_seed(recipe.schedule.seed)
        self.model = TransformerTts(config)
        self.model.mean.copy_(torch.from_numpy(statistics.mel[0]))
        self.model.std.copy_(torch.from_numpy(statistics.mel[1]))
        self.model.pitch_scale.copy_(torch.tensor(statistics.log2_pitch))
        self.model.to(device)
        self.networks: dict[str, nn.Module] = {"model": self.model}
        self.batches = SentenceBatches(data, statistics, recipe.batch_frames, recipe.schedule.seed)

    def _losses(self, model: TransformerTts, batch: SentenceBatch) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            output = model(batch.phones, batch.log_mel)
        T = batch.log_mel.shape[1]
        frames = padding_mask(batch.num_frames, T)
        distance = [
            masked_mean(((drawn - batch.log_mel) / model.std).abs(), frames)
            for drawn in (output.before_postnet, output.log_mel)
        ]
        is_last = (torch.arange(T, device=self.device)[None] == batch.num_frames[:, None] - 1).float()
        stop = F.binary_cross_entropy_with_logits(
            output.stop_logits.float(), is_last, weight=1.0 + STOP_WEIGHT * is_last, reduction="none"
        )
        each = {
            "mel": distance[0] + distance[1],
            "stop": masked_mean(stop, frames),
            "pitch": pitch_loss(output.log2_pitch, batch, model.pitch_scale[1]),
            "voicing": voicing_loss(output.voiced_logits, batch),
            "attention": self._strayed(output.attention, batch),
        }
        recipe = self.recipe
        total = (
            recipe.mel * each["mel"]
            + recipe.stop * each["stop"]
            + recipe.pitch * each["pitch"]
            + recipe.voicing * each["voicing"]
            + recipe.guided_attention * each["attention"]
        )
        return {"total": total, **each}

    def _strayed(self, attention: list[Tensor], batch: SentenceBatch) -> Tensor:
        """How far the guided heads are from where they should look; the other heads are free."""
        if self.recipe.guide == "alignment":
            return aligned_attention(
                torch.stack([block[:, 0].float() for block in attention], 1), batch.counts
            )
        weights = torch.cat([block[:, :2].float() for block in attention], dim=1)
        return guided_attention(weights, (batch.phones != 0).sum(dim=1), batch.num_frames)

    def losses(self, batch: SentenceBatch, step: int) -> NetworkLosses:
        """One network, one loss."""
        found = self._losses(self.model, batch)
        yield "model", found["total"], found

    def measure(self, model: nn.Module) -> Row:
        """The losses on up to 40 dev clips."""
        assert isinstance(model, TransformerTts)
        clips = self.data.dev[:40]
        if not clips:
            return {}
        batch = moved(collate([self.data.features(clip) for clip in clips], self.statistics), self.device)
        return {f"dev_{name}": float(value) for name, value in self._losses(model, batch).items()}

    def sample(self, model: nn.Module, folder: Path, num_samples: int) -> None:
        """Pictures of dev sentences, spoken freely, beside the recordings."""
        assert isinstance(model, TransformerTts)
        for clip in self.data.dev[:num_samples]:
            features = self.data.features(clip)
            phones = torch.from_numpy(features.phones)[None].to(self.device)
            log_mel = model.generate(phones, max_frames=2 * len(features.voiced)).log_mel
            save_spectrograms(
                {"spoken freely": log_mel.float().cpu().numpy(), "recorded": features.log_mel},
                folder / f"{clip.clip.id}.png",
            )

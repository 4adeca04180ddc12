"""Trains the vocoder: spectra at several resolutions first, discriminators on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.training.plots import Panel
from galago.models.training.task import NetworkLosses, Row
from galago.models.training.voice.batches import CropBatch, CropBatches
from galago.models.training.voice.discriminators import Discriminators, discriminator_loss, generator_losses
from galago.models.training.voice.losses import MultiResolutionStft
from galago.models.training.voice.recipe import VocoderRecipe
from galago.models.training.voice.samples import save_spectrograms, save_wav
from galago.models.training.voice.task import VoiceTask
from galago.models.training.voice.voice_data import Statistics, VoiceData
from galago.models.vocoder import Vocoder, VocoderConfig
from galago.models.voice_features import VoiceMel

__all__ = ["VocoderTask"]

EDGE_FRAMES = 4  # of a crop: windows reach over its edges, what is there is not judged


class VocoderTask(VoiceTask):
    """See :class:`galago.models.training.task.Task`."""

    name = "vocoder"
    panels = (
        Panel("spectra", ("convergence", "log_magnitude", "mel", "dev_convergence", "dev_mel")),
        Panel("adversarial", ("discriminator", "deceived", "feature_matching")),
        Panel("log magnitudes", ("log_magnitude", "dev_log_magnitude")),
        Panel("learning rate", ("learning_rate",), is_smoothed=False),
    )

    def __init__(
        self,
        config: VocoderConfig,
        recipe: VocoderRecipe,
        data: VoiceData,
        statistics: Statistics,
        device: torch.device,
        *,
        predicted: dict[str, NDArray[np.float16]] | None = None,
    ) -> None:
        self.config, self.recipe, self.data, self.device = config, recipe, data, device
        super().__init__(config.as_dict(), recipe.schedule)
        torch.manual_seed(recipe.schedule.seed)
        self.model = Vocoder(config)
        self.model.mean.copy_(torch.from_numpy(statistics.mel[0]))
        self.model.std.copy_(torch.from_numpy(statistics.mel[1]))
        self.model.to(device)
        self.networks: dict[str, nn.Module] = {"model": self.model}
        self.discriminators: Discriminators | None = None
        if recipe.adversarial:
            self.discriminators = Discriminators().to(device)
            self.networks["discriminators"] = self.discriminators
            self.momentum = 0.8  # two networks that chase each other forget sooner
        self.stft = MultiResolutionStft().to(device)
        self.log_mel = VoiceMel(config.features()).to(device)
        self.batches = CropBatches(
            data,
            batch_clips=recipe.batch_clips,
            crop_frames=recipe.crop_frames,
            num_bins=config.num_bins,
            seed=recipe.schedule.seed,
            predicted=predicted,
            predicted_share=recipe.predicted_share,
        )

    def identity(self) -> dict[str, Any]:
        """The network's shape, whether it has discriminators, and the seed."""
        return {**super().identity(), "adversarial": self.recipe.adversarial}

    def _judged(self, samples: Tensor) -> Tensor:
        edge = EDGE_FRAMES * self.config.hop_samples
        return samples[:, edge:-edge]

    def _spectra(self, spoken: Tensor, recorded: Tensor) -> dict[str, Tensor]:
        convergence, log_magnitude = self.stft(spoken, recorded)
        mel = F.l1_loss(self.log_mel(spoken).clamp_min(-9.0), self.log_mel(recorded).clamp_min(-9.0))
        return {"convergence": convergence, "log_magnitude": log_magnitude, "mel": mel}

    def losses(self, batch: CropBatch, step: int) -> NetworkLosses:
        """The discriminators' loss first, where there are any by now; then the vocoder's."""
        recipe = self.recipe
        self.model.mixed_precision = True  # the average, which is measured, is left in full precision
        spoken = self._judged(self.model(batch.log_mel, batch.pitch_hz, batch.voiced, batch.noise))
        recorded = self._judged(batch.samples)
        spectra = self._spectra(spoken, recorded)
        row = dict(spectra)
        total = recipe.stft * (spectra["convergence"] + spectra["log_magnitude"])
        if self.discriminators is not None and step >= recipe.adversarial_begin_step:
            with torch.autocast(self.device.type, dtype=torch.bfloat16):
                real, fake = self.discriminators(recorded), self.discriminators(spoken.detach())
                against = discriminator_loss(real, fake)
            yield "discriminators", against, {"discriminator": against}
            with torch.autocast(self.device.type, dtype=torch.bfloat16):
                with torch.no_grad():
                    real = self.discriminators(recorded)
                deceived, matching = generator_losses(real, self.discriminators(spoken))
            row.update(deceived=deceived, feature_matching=matching)
            total = total + recipe.adversarial_weight * deceived + recipe.feature_matching * matching
            total = total + recipe.adversarial_mel * spectra["mel"]
        else:
            total = total + recipe.mel * spectra["mel"]
        yield "model", total, {"total": total, **row}

    def measure(self, model: nn.Module) -> Row:
        """The spectral losses on up to 10 whole dev clips."""
        rows = []
        for clip in self.data.dev[:10]:
            spoken, recorded = self._resynthesised(model, clip)
            rows.append({n: float(v) for n, v in self._spectra(spoken[None], recorded[None]).items()})
        return {f"dev_{name}": float(np.mean([r[name] for r in rows])) for name in (rows[0] if rows else ())}

    def _resynthesised(self, model: nn.Module, clip: Any) -> tuple[Tensor, Tensor]:
        features = self.data.features(clip)
        mel, pitch, voiced = (
            torch.from_numpy(x)[None].to(self.device)
            for x in (features.log_mel, features.pitch_hz, features.voiced)
        )
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand(1, mel.shape[1], self.config.num_bins, generator=generator).to(self.device)
        spoken: Tensor = model(mel, pitch, voiced, noise)[0]
        return spoken, torch.from_numpy(self.data.samples(clip)).to(self.device)

    def sample(self, model: nn.Module, folder: Path, num_samples: int) -> None:
        """Dev clips from the recording's own mel and pitch, beside the recording."""
        for clip in self.data.dev[:num_samples]:
            spoken, recorded = self._resynthesised(model, clip)
            save_wav(spoken.cpu().numpy(), folder / f"{clip.clip.id}.wav", self.config.sample_rate_hz)
            save_wav(
                recorded.cpu().numpy(), folder / f"{clip.clip.id}.recorded.wav", self.config.sample_rate_hz
            )
            pictures = {
                name: self.log_mel(samples[None])[0].cpu().numpy()
                for name, samples in (("resynthesised", spoken), ("recorded", recorded))
            }
            save_spectrograms(pictures, folder / f"{clip.clip.id}.png")

"""Who tells recordings from the vocoder: by periods (HiFi-GAN) and by spectrograms (UnivNet), as in Vocos.

Kong et al. 2020, section 2.3; Jang et al. 2021, section 2.2. Each answers with scores and with the hidden
layers whose distance is the feature-matching loss.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

__all__ = ["Discriminators", "discriminator_loss", "generator_losses"]

Judgement = tuple[Tensor, list[Tensor]]
SLOPE = 0.1


class PeriodDiscriminator(nn.Module):
    """Folds samples into rows of ``period`` and convolves down the columns."""

    def __init__(self, period: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.period = period
        sizes = (1, *channels)
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (5, 1), (3, 1), padding=(2, 0)))
            for before, after in zip(sizes, sizes[1:], strict=False)
        )
        self.out = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, samples: Tensor) -> Judgement:
        x = F.pad(samples, (0, -samples.shape[1] % self.period))
        x = x.unflatten(1, (-1, self.period))[:, None]  # type: ignore[no-untyped-call]  # torch's own gap
        layers: list[Tensor] = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
            layers.append(x)
        return self.out(x), layers


class SpectrogramDiscriminator(nn.Module):
    """Convolves over a log-free magnitude spectrogram of one resolution."""

    window: Tensor

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(1 if i == 0 else channels, channels, (3, 9), (1, stride), padding=(1, 4)))
            for i, stride in enumerate((1, 2, 2, 2))
        )
        self.out = weight_norm(nn.Conv2d(channels, 1, (3, 3), padding=(1, 1)))

    def forward(self, samples: Tensor) -> Judgement:
        spectrum = torch.stft(samples, self.size, self.size // 4, window=self.window, return_complex=True)
        magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()
        x = magnitude.pow(0.3).transpose(1, 2)[:, None]  # (B, 1, frames, bins); 0.3: loudness
        layers: list[Tensor] = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
            layers.append(x)
        return self.out(x), layers


class Discriminators(nn.Module):
    """All of them; 5 periods and 3 resolutions by default."""

    def __init__(
        self,
        periods: tuple[int, ...] = (2, 3, 5, 7, 11),
        sizes: tuple[int, ...] = (512, 1024, 2048),
        period_channels: tuple[int, ...] = (16, 64, 192, 256),
        spectrogram_channels: int = 32,
    ) -> None:
        super().__init__()
        self.judges = nn.ModuleList(
            [PeriodDiscriminator(period, period_channels) for period in periods]
            + [SpectrogramDiscriminator(size, spectrogram_channels) for size in sizes]
        )

    def forward(self, samples: Tensor) -> list[Judgement]:
        """``samples`` (B, N) -> scores and hidden layers of each discriminator."""
        return [judge(samples) for judge in self.judges]


def discriminator_loss(recorded: list[Judgement], spoken: list[Judgement]) -> Tensor:
    """Hinge loss: recordings above 1, the vocoder below -1; mean over the discriminators."""
    losses = [
        F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()
        for (real, _), (fake, _) in zip(recorded, spoken, strict=True)
    ]
    return torch.stack(losses).mean()


def generator_losses(recorded: list[Judgement], spoken: list[Judgement]) -> tuple[Tensor, Tensor]:
    """What the vocoder wants: scores up, and hidden layers like those of the recording."""
    scores = torch.stack([F.relu(1.0 - fake).mean() for fake, _ in spoken]).mean()
    layers = [
        F.l1_loss(y, x.detach()) / x.detach().abs().mean().clamp_min(1e-3)
        for (_, real), (_, fake) in zip(recorded, spoken, strict=True)
        for x, y in zip(real, fake, strict=True)
    ]
    return scores, torch.stack(layers).mean()

"""What a mel picture and a waveform are measured by, besides a plain difference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.masks import padding_mask
from galago.models.training.voice.batches import SentenceBatch

__all__ = [
    "MultiResolutionStft",
    "aligned_attention",
    "guided_attention",
    "masked_mean",
    "pitch_loss",
    "structure_loss",
    "voicing_loss",
]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` where ``mask`` (of its first dimensions, bool) holds; 0 where it holds nowhere."""
    mask = mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim)).expand_as(values)
    return (values * mask).sum() / mask.sum().clamp_min(1)


def pitch_loss(log2_pitch: Tensor, batch: SentenceBatch, std: Tensor) -> Tensor:
    """Distance of the pitch (B, T), in deviations ``std`` of the voice, where the recording is voiced."""
    frames = padding_mask(batch.num_frames, log2_pitch.shape[1])
    return masked_mean(((log2_pitch - batch.log2_pitch) / std).abs(), frames & (batch.voiced > 0.5))


def voicing_loss(voiced_logits: Tensor, batch: SentenceBatch) -> Tensor:
    """Cross-entropy of the voicing of frames, (B, T) logits."""
    wrong = F.binary_cross_entropy_with_logits(voiced_logits, batch.voiced, reduction="none")
    return masked_mean(wrong, padding_mask(batch.num_frames, voiced_logits.shape[1]))


def structure_loss(drawn: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """1 - SSIM (Wang et al. 2004) of two pictures (B, T, M) of unit deviation, means over 7 x 7 boxes.

    A mean of many readings has the right brightness and no edges; this asks for the edges.
    """

    def box(x: Tensor) -> Tensor:
        # avg_pool over the picture's own pixels alone: its border is no darkness
        pooled: Tensor = F.avg_pool2d(x[:, None], 7, stride=1, padding=3, count_include_pad=False)[:, 0]
        return pooled

    visible = mask[..., None].to(drawn.dtype)
    drawn, wanted = drawn * visible, wanted * visible
    mean_x, mean_y = box(drawn), box(wanted)
    variance_x, variance_y = box(drawn * drawn) - mean_x**2, box(wanted * wanted) - mean_y**2
    covariance = box(drawn * wanted) - mean_x * mean_y
    small1, small2 = 0.01, 0.03
    similarity = ((2 * mean_x * mean_y + small1) * (2 * covariance + small2)) / (
        (mean_x**2 + mean_y**2 + small1) * (variance_x + variance_y + small2)
    )
    return masked_mean(1.0 - similarity, mask)


class MultiResolutionStft(nn.Module):
    """Spectral convergence and log-magnitude distance at several resolutions (Yamamoto et al. 2020)."""

    def __init__(self, sizes: Sequence[int] = (256, 512, 1024, 2048)) -> None:
        """``sizes`` of the FFT in samples; windows are as long, hops a quarter."""
        super().__init__()
        self.sizes = tuple(sizes)
        for size in self.sizes:
            self.register_buffer(f"window{size}", torch.hann_window(size), persistent=False)

    def magnitudes(self, samples: Tensor, size: int) -> Tensor:
        """``samples`` (B, N) -> (B, size // 2 + 1, frames)."""
        window: Tensor = getattr(self, f"window{size}")
        spectrum = torch.stft(samples, size, size // 4, window=window, return_complex=True)
        return (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()

    def forward(self, spoken: Tensor, recorded: Tensor) -> tuple[Tensor, Tensor]:
        """``spoken``, ``recorded`` (B, N) -> spectral convergence, and L1 of log magnitudes."""
        convergence, distance = spoken.new_zeros(()), spoken.new_zeros(())
        for size in self.sizes:
            x, y = self.magnitudes(spoken, size), self.magnitudes(recorded, size)
            convergence = convergence + torch.linalg.norm(y - x) / torch.linalg.norm(y).clamp_min(1e-4)
            # Below 1e-3 of full scale in a bin there is the recording's noise, and nothing to copy.
            distance = distance + F.l1_loss(x.clamp_min(1e-3).log(), y.clamp_min(1e-3).log())
        return convergence / len(self.sizes), distance / len(self.sizes)


def guided_attention(weights: Tensor, num_phones: Tensor, num_frames: Tensor, width: float = 0.3) -> Tensor:
    """How far attention strays from the diagonal (Tachibana et al. 2018, equation 3), averaged.

    Args:
        weights: (B, H, T, P) from frames to phones. num_phones, num_frames: (B,).
    """
    _, _, T, P = weights.shape
    frame = torch.arange(T, device=weights.device)[None, :, None] / num_frames[:, None, None]
    phone = torch.arange(P, device=weights.device)[None, None, :] / num_phones[:, None, None]
    penalty = 1.0 - torch.exp(-((frame - phone) ** 2) / (2 * width**2))  # (B, T, P)
    inside = padding_mask(num_frames, T)[:, :, None] & padding_mask(num_phones, P)[:, None, :]
    rows = (weights * (penalty * inside)[:, None]).sum(dim=(1, 2, 3))
    return (rows / (num_frames * weights.shape[1])).mean()


def aligned_attention(weights: Tensor, counts: Tensor) -> Tensor:
    """How unsure attention is of the phone that is spoken, where an alignment knows it, in nats.

    Attention learns where it is from a forced alignment (Zhu et al. 2019, pre-alignment guided attention),
    here by cross-entropy: minus the logarithm of the weight on the phone of a frame, averaged.

    Args:
        weights: (B, H, T, P) from frames to phones, rows sum to 1. counts: (B, P) int64 frames of each phone,
            whose sum is an utterance's length; T is the longest one's.
    """
    _, _, T, P = weights.shape
    num_frames = counts.sum(dim=1)
    frame = torch.arange(T, device=weights.device).expand(len(counts), -1).contiguous()
    phone = torch.searchsorted(counts.cumsum(dim=1), frame, right=True).clamp_max(P - 1)  # (B, T)
    index = phone[:, None, :, None].expand(-1, weights.shape[1], -1, -1)
    surprise = -weights.gather(3, index)[..., 0].clamp_min(1e-6).log()  # (B, H, T)
    return masked_mean(surprise.mean(dim=1), padding_mask(num_frames, T))

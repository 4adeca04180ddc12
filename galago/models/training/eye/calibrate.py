"""From scores to answers: a temperature that makes probabilities honest, and when to say "nothing I know".

The temperature is fitted on held-out photos (Guo et al. 2017). The threshold is set between known and unknown
things: unknown are photos whose own coarse class is taken out of the answers, as if the eye had never learned
it, and pictures of nothing: noise, even colours, stripes, clouds.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galago.models.training.eye.labels import EyeDescription

__all__ = [
    "accept_probability",
    "confidences",
    "confidences_without_own_kind",
    "expected_calibration_error",
    "fit_temperature",
    "pictures_of_nothing",
]


def fit_temperature(logits: Tensor, labels: Tensor, *, low: float = 0.1, high: float = 10.0) -> float:
    """The temperature with the least cross-entropy of softmax(logits / temperature), by golden sections.

    Args:
        logits: (N, K). labels: (N,), of photos that were not learned from.
    """

    def cost(log_temperature: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits.double() / np.exp(log_temperature), labels))

    # The cost has one minimum over the temperature: it is convex in 1 / temperature.
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    a, b = float(np.log(low)), float(np.log(high))
    for _ in range(60):
        left, right = b - golden * (b - a), a + golden * (b - a)
        if cost(left) < cost(right):
            b = right
        else:
            a = left
    return float(np.exp((a + b) / 2.0))


def confidences(logits: Tensor, temperature: float) -> Tensor:
    """The probability of the best label, (N,)."""
    return torch.softmax(logits / temperature, dim=-1).max(dim=-1).values


def confidences_without_own_kind(
    logits: Tensor, labels: Tensor, description: EyeDescription, temperature: float
) -> Tensor:
    """The best probability, (N,), when a photo's coarse class is none of the answers: as if unknown.

    Kinder than the truth: the network has seen the class and learned that it is none of the others.
    """
    coarse = torch.tensor(description.coarse_index())
    own = coarse[None, :] == coarse[labels][:, None]
    return confidences(logits.masked_fill(own, -torch.inf), temperature)


def accept_probability(known: Tensor, unknown: Tensor, *, rejected_share: float = 0.05) -> float:
    """The threshold that best tells known from unknown, but rejects at most ``rejected_share`` of the known.

    Args:
        known: (N,) confidences of photos that are answered rightly. unknown: (M,) of what should be rejected.
    """
    thresholds = torch.unique(torch.cat([known, unknown]))
    rejected_known = (known[None, :] < thresholds[:, None]).float().mean(dim=1)
    rejected_unknown = (unknown[None, :] < thresholds[:, None]).float().mean(dim=1)
    gain = rejected_unknown - rejected_known
    gain[rejected_known > rejected_share] = -1.0
    return round(float(thresholds[int(gain.argmax())]), 4)


def expected_calibration_error(confidence: Tensor, right: Tensor, *, num_bins: int = 15) -> float:
    """How far confidence and accuracy lie apart, [0, 1]: the mean over equal bins, by their photos."""
    bins = (confidence * num_bins).long().clamp(0, num_bins - 1)
    total = 0.0
    for number in range(num_bins):
        inside = bins == number
        if inside.any():
            gap = confidence[inside].mean() - right[inside].float().mean()
            total += float(gap.abs()) * float(inside.float().mean())
    return total


def pictures_of_nothing(count: int, height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Noise, even colours, stripes and clouds in turn, (count, height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    pictures = np.empty((count, height, width, 3), np.uint8)
    for i in range(count):
        first, second = rng.uniform(0, 255, (2, 3))
        if i % 4 == 0:
            picture = rng.uniform(0, 255, (height, width, 3))
        elif i % 4 == 1:
            picture = first + rng.normal(0, 3, (height, width, 3))
        elif i % 4 == 2:
            angle, period = rng.uniform(0, np.pi), rng.uniform(4, 32)
            wave = 0.5 + 0.5 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
            picture = first + (second - first) * wave[..., None]
        else:
            picture = first + (second - first) * _cloud(rng, height, width)[..., None]
        pictures[i] = np.clip(picture, 0, 255)
    return pictures


def _cloud(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Soft blobs in [0, 1]: coarse noise, made larger smoothly, of three sizes."""
    total = torch.zeros(1, 1, height, width)
    for cells, weight in ((3, 1.0), (6, 0.5), (12, 0.25)):
        noise = torch.from_numpy(rng.uniform(0, 1, (1, 1, cells, cells)).astype(np.float32))
        total += weight * torch.nn.functional.interpolate(noise, (height, width), mode="bicubic")
    cloud: NDArray[np.float32] = ((total - total.min()) / (total.max() - total.min()))[0, 0].numpy()
    return cloud

"""Pre-training of HuBERT: which cluster does a masked frame belong to? (Hsu et al. 2021, section III.B)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.masks import padding_mask
from galago.models.wav2vec2 import Wav2Vec2

__all__ = ["MaskedPrediction", "PredictionLosses"]


class PredictionLosses(NamedTuple):
    """Mean losses in nats; the accuracies are shares of tokens whose cluster is the best one.

    ``perplexity`` tells how many clusters the masked tokens are told to be of: that of the mean softmax, at
    most K. Where it is near 1, all are told to be the same.
    """

    total: Tensor
    masked: Tensor
    unmasked: Tensor
    masked_accuracy: Tensor
    unmasked_accuracy: Tensor
    perplexity: Tensor


class MaskedPrediction(nn.Module):
    """A network with what only its pre-training needs: a projection and an embedding for each cluster.

    Equation 3: p(c | x, t) is the softmax over clusters of cos(A o_t, e_c) / tau.

    Args:
        network: trained by this; its CTC head is not.
        num_clusters: K, 100 for MFCC in the paper and 500 for features of the network.
        code_width: of the projection and the embeddings.
        temperature: tau.
        unmasked_weight: 0 is the paper's: only what is hidden is to be told.
    """

    def __init__(
        self,
        network: Wav2Vec2,
        num_clusters: int,
        *,
        code_width: int = 256,
        temperature: float = 0.1,
        unmasked_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.network = network
        self.temperature, self.unmasked_weight = temperature, unmasked_weight
        self.project = nn.Linear(network.config.width, code_width)
        # Of mean 0: from positive ones, which all point one way, nothing is learned for the first steps.
        self.clusters = nn.Parameter(torch.randn(num_clusters, code_width))

    def forward(
        self,
        samples: Tensor,
        num_samples: Tensor,
        is_masked: Tensor,
        targets: Tensor,
        *,
        chunk_tokens: int | None = None,
    ) -> PredictionLosses:
        """One batch.

        Args:
            samples, num_samples, chunk_tokens: as of ``Wav2Vec2.forward``.
            is_masked: (B, T) bool; T as the network makes it of the samples.
            targets: (B, T) int64 clusters; those in padding are not read.
        """
        encoded = self.network.encode(samples, num_samples, chunk_tokens=chunk_tokens, is_masked=is_masked)
        valid = padding_mask(encoded.num_tokens, is_masked.shape[1])
        projected = F.normalize(self.project(encoded.blocks[-1]).float(), dim=-1)
        logits = projected @ F.normalize(self.clusters.float(), dim=-1).T / self.temperature

        def part(chosen: Tensor) -> tuple[Tensor, Tensor]:
            if not bool(chosen.any()):
                return logits.sum() * 0.0, logits.new_zeros(())
            rows, wanted = logits[chosen], targets[chosen]
            return F.cross_entropy(rows, wanted), (rows.argmax(-1) == wanted).float().mean()

        masked, masked_accuracy = part(is_masked & valid)
        unmasked, unmasked_accuracy = part(~is_masked & valid)
        total = masked + self.unmasked_weight * unmasked
        chosen = is_masked & valid
        mean = logits.detach()[chosen].float().softmax(-1).sum(0) / chosen.sum().clamp_min(1)
        perplexity = torch.exp(-torch.xlogy(mean, mean).sum())
        return PredictionLosses(total, masked, unmasked, masked_accuracy, unmasked_accuracy, perplexity)

"""Pre-training of wav2vec 2.0: which code stood behind the mask? (Baevski et al. 2020, section 3.2).

samples ──► convolutions ──┬──► masked ──► blocks ──► projection ──► c_t
                           └──► quantizer ──────────► projection ──► q_t,  K false ones beside it

L = -log  exp(cos(c_t, q_t) / kappa) / sum over q~ of exp(cos(c_t, q~) / kappa)   +   alpha * L_d
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.training.pretrain.quantizer import GumbelQuantizer
from galago.models.wav2vec2 import Wav2Vec2

__all__ = ["ContrastivePretraining", "PretrainingLosses", "contrastive_loss", "sample_negatives"]


class PretrainingLosses(NamedTuple):
    """Sums over masked tokens, as published; divide by ``num_masked`` for a token's."""

    total: Tensor
    contrastive: Tensor
    diversity: Tensor
    perplexity: Tensor  # see Quantized
    accuracy: Tensor  # share of masked tokens whose true code is the nearest
    num_masked: Tensor


def sample_negatives(is_masked: Tensor, num_negatives: int, generator: torch.Generator) -> Tensor:
    """For each masked token, others among the masked of the same utterance, uniformly, with replacement.

    Args:
        is_masked: (B, T) bool on the CPU.

    Returns:
        (B, T, num_negatives) int64 times in the utterance; zeros where nothing is masked. A token that is the
        only masked one of its utterance has but itself, which the loss leaves out.
    """
    found = torch.zeros(*is_masked.shape, num_negatives, dtype=torch.int64)
    for row, mask in zip(found, is_masked, strict=True):
        times = mask.nonzero()[:, 0]
        if len(times) < 2:
            row[times] = times[:, None]
            continue
        drawn = torch.randint(len(times) - 1, (len(times), num_negatives), generator=generator)
        own = torch.arange(len(times))[:, None]
        row[times] = times[drawn + (drawn >= own)]  # those from the token itself on move up by one
    return found


def contrastive_loss(
    context: Tensor, codes: Tensor, negatives: Tensor, is_masked: Tensor, *, kappa: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Equation 3, summed over masked tokens, and how many of them find their own code nearest.

    A false code that is equal to the true one (few entries are in use) is left out.

    Args:
        context, codes: (B, T, D), c_t and q_t. negatives: (B, T, K) times. is_masked: (B, T) bool.
    """
    B, T, D = codes.shape
    rows = torch.arange(B, device=codes.device)[:, None, None]
    false = codes[rows, negatives]  # (B, T, K, D)
    candidates = torch.cat([codes[:, :, None], false], dim=2)[is_masked]  # (M, 1 + K, D)
    logits = F.cosine_similarity(context[is_masked][:, None].float(), candidates.float(), dim=-1) / kappa
    equal = (candidates[:, 1:] == candidates[:, :1]).all(-1)
    logits = torch.cat([logits[:, :1], logits[:, 1:].masked_fill(equal, float("-inf"))], dim=1)
    target = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
    return F.cross_entropy(logits, target, reduction="sum"), (logits.argmax(-1) == 0).sum()


class ContrastivePretraining(nn.Module):
    """A network with what only its pre-training needs: quantizer and projections.

    Args:
        network: trained by this; its CTC head is not.
        num_codebooks, num_entries, code_width: of the quantizer.
        projection_width: of c_t and q_t.
        kappa: temperature of the contrastive loss. diversity: alpha, weight of the diversity loss.
    """

    def __init__(
        self,
        network: Wav2Vec2,
        *,
        num_codebooks: int = 2,
        num_entries: int = 320,
        code_width: int = 256,
        projection_width: int = 256,
        kappa: float = 0.1,
        diversity: float = 0.1,
    ) -> None:
        super().__init__()
        self.network = network
        self.kappa, self.diversity = kappa, diversity
        width = network.config.convolution_widths[-1]
        self.quantizer = GumbelQuantizer(width, num_codebooks, num_entries, code_width)
        self.project_context = nn.Linear(network.config.width, projection_width)
        self.project_codes = nn.Linear(code_width, projection_width)

    def forward(
        self,
        samples: Tensor,
        num_samples: Tensor,
        is_masked: Tensor,
        negatives: Tensor,
        *,
        temperature: float = 2.0,
        chunk_tokens: int | None = None,
    ) -> PretrainingLosses:
        """One batch.

        Args:
            samples, num_samples, chunk_tokens: as of ``Wav2Vec2.forward``: a network for streams is
                pre-trained under their masks.
            is_masked: (B, T) bool; T as the network makes it of the samples.
            negatives: (B, T, K) of :func:`sample_negatives`.
            temperature: of the quantizer.
        """
        encoded = self.network.encode(samples, num_samples, chunk_tokens=chunk_tokens, is_masked=is_masked)
        quantized = self.quantizer(encoded.features, is_masked, temperature=temperature)
        context, codes = self.project_context(encoded.blocks[-1]), self.project_codes(quantized.codes)
        contrastive, right = contrastive_loss(context, codes, negatives, is_masked, kappa=self.kappa)
        num_masked = is_masked.sum()
        possible = self.quantizer.num_codebooks * self.quantizer.num_entries
        diversity = (possible - quantized.perplexity) / possible * num_masked
        return PretrainingLosses(
            contrastive + self.diversity * diversity,
            contrastive,
            diversity,
            quantized.perplexity,
            right / num_masked.clamp_min(1),
            num_masked,
        )

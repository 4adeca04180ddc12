"""The product quantizer of wav2vec 2.0: an entry of each of G codebooks, chosen by Gumbel softmax."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GumbelQuantizer", "Quantized"]


class Quantized(NamedTuple):
    """``perplexity`` () sums, over the codebooks, how many entries are in use; at most G * V.

    In training it is that of the mean softmax (the paper's equation 4), otherwise that of the choices.
    """

    codes: Tensor  # (B, T, code_width)
    indices: Tensor  # (B, T, G) int64, the chosen entries
    perplexity: Tensor  # ()


class GumbelQuantizer(nn.Module):
    """Features to discrete codes (Baevski et al. 2020, section 2 and equation 1).

    Args:
        width: of the features.
        num_codebooks, num_entries: G and V; the paper's are 2 and 320.
        code_width: of the chosen entries side by side; a multiple of G.

    Raises:
        ValueError: ``code_width`` is no multiple of G.
    """

    def __init__(self, width: int, num_codebooks: int, num_entries: int, code_width: int) -> None:
        super().__init__()
        if code_width % num_codebooks:
            raise ValueError(f"code_width {code_width} is no multiple of {num_codebooks} codebooks")
        self.num_codebooks, self.num_entries = num_codebooks, num_entries
        self.scores = nn.Linear(width, num_codebooks * num_entries)
        self.entries = nn.Parameter(torch.rand(num_codebooks, num_entries, code_width // num_codebooks))
        nn.init.normal_(self.scores.weight)
        nn.init.zeros_(self.scores.bias)

    def forward(self, features: Tensor, is_counted: Tensor, *, temperature: float = 2.0) -> Quantized:
        """Choose entries: the best in evaluation, a draw in training with the gradient of its softmax.

        Args:
            features: (B, T, width).
            is_counted: (B, T) bool, the tokens whose perplexity is measured: those that are masked.
            temperature: tau, above 0; annealed from 2 to 0.5 in the paper.
        """
        logits = self.scores(features).float()
        logits = logits.reshape(*features.shape[:2], self.num_codebooks, self.num_entries)
        if self.training:
            chosen = F.gumbel_softmax(logits, tau=temperature, hard=True)
            used = torch.softmax(logits, dim=-1)
        else:
            chosen = F.one_hot(logits.argmax(-1), self.num_entries).to(logits.dtype)
            used = chosen
        codes = torch.einsum("btgv,gvd->btgd", chosen.to(features.dtype), self.entries).flatten(2)
        mean = (used * is_counted[..., None, None]).sum(dim=(0, 1)) / is_counted.sum().clamp_min(1)  # (G, V)
        perplexity = torch.exp(-torch.xlogy(mean, mean).sum(-1)).sum()
        return Quantized(codes, chosen.argmax(-1), perplexity)

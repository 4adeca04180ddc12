"""Which tokens are hidden: spans of a fixed length whose starts are drawn at random and may overlap."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["mask_spans"]


def mask_spans(
    num_tokens: Tensor, max_tokens: int, *, start_share: float, span_tokens: int, generator: torch.Generator
) -> Tensor:
    """Draw masked tokens (Baevski et al. 2020, section 3.1), (B, max_tokens) bool on the CPU.

    A share of all tokens is drawn as starts without replacement, and each start masks the ``span_tokens``
    from it on. 0.065 and 10 are the paper's for wav2vec 2.0, and 0.08 and 10 HuBERT's: about half is masked.
    Spans lie inside the utterance, and one that is as long as a span has at least one.

    Args:
        num_tokens: (B,) valid tokens. start_share: in (0, 1]. span_tokens: at least 1.

    Raises:
        ValueError: a share or a length out of range.
    """
    if not 0.0 < start_share <= 1.0 or span_tokens < 1:
        raise ValueError(f"cannot mask spans of {span_tokens} tokens at a share of {start_share}")
    mask = torch.zeros(len(num_tokens), max_tokens, dtype=torch.bool)
    for row, length in zip(mask, num_tokens.tolist(), strict=True):
        places = length - span_tokens + 1
        if places < 1:
            continue
        # Rounded at random, so that short utterances have the right share on average.
        drawn = start_share * length + float(torch.rand((), generator=generator))
        starts = torch.randperm(places, generator=generator)[: min(places, max(1, int(drawn)))]
        row[starts[:, None] + torch.arange(span_tokens)] = True
    return mask

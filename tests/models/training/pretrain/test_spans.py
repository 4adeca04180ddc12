"""Masked spans: as many as asked for, inside the utterance, the same for the same seed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from galago.models.training.pretrain.spans import mask_spans


def draw(
    num_tokens: list[int], max_tokens: int, *, share: float = 0.065, span: int = 10, seed: int = 1
) -> Tensor:
    return mask_spans(
        torch.tensor(num_tokens),
        max_tokens,
        start_share=share,
        span_tokens=span,
        generator=torch.Generator().manual_seed(seed),
    )


def test_about_half_is_masked_as_published() -> None:
    """The paper's section 4.2: p = 0.065 and M = 10 mask about 49 % of all tokens."""
    assert float(draw([500] * 200, 500).float().mean()) == pytest.approx(0.49, abs=0.015)


def test_masks_are_made_of_whole_spans_inside_the_utterance() -> None:
    mask = draw([60, 25, 9, 10], 60, span=10)
    assert not mask[1, 25:].any() and not mask[2].any()
    assert mask[3, :10].all() and not mask[3, 10:].any()
    for row in mask:
        lengths = [len(run) for run in "".join("x" if m else " " for m in row.tolist()).split()]
        assert all(length >= 10 for length in lengths)
    assert mask[0].any() and mask[1].any()


def test_the_seed_decides() -> None:
    assert torch.equal(draw([90, 70], 90), draw([90, 70], 90))
    assert not torch.equal(draw([90, 70], 90), draw([90, 70], 90, seed=2))


def test_short_utterances_have_their_share_on_average() -> None:
    """2.5 starts in 50 tokens are 2 or 3, in equal parts."""
    masked = draw([50] * 4000, 50, share=0.05, span=1).sum(1)
    assert set(masked.tolist()) == {2, 3}
    assert float(masked.float().mean()) == pytest.approx(2.5, abs=0.05)


@pytest.mark.parametrize(("share", "span"), [(0.0, 10), (1.5, 10), (0.1, 0)])
def test_what_cannot_be_is_refused(share: float, span: int) -> None:
    with pytest.raises(ValueError, match=f"cannot mask spans of {span} tokens at a share of {share}"):
        draw([10], 10, share=share, span=span)

"""Attention in windows is attention behind a mask, and its gradients are too."""

from __future__ import annotations

import pytest
import torch

from galago.models.attention import MASKED
from galago.models.chunk_windows import ChunkWindows
from galago.models.masks import chunk_mask, padding_mask
from galago.models.transformer import TransformerBlock

B, T, C = 3, 12, 16


def test_the_picture_of_the_docstring() -> None:
    windows = ChunkWindows(chunk_rows=2, left_context_rows=2)
    rows = torch.arange(1.0, 7.0).reshape(1, 1, 6, 1)  # 0 is what stands before them
    assert windows.queries(rows).flatten(1).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert windows.keys(rows).flatten(1).tolist() == [[0, 0, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6]]
    assert torch.equal(windows.whole(windows.queries(rows), 1), rows)


@pytest.mark.parametrize("chunk_rows", [1, 3, 4, 12])
@pytest.mark.parametrize("left_context_rows", [0, 2, 4, 7, 20])
def test_windows_are_what_a_mask_lets_through(chunk_rows: int, left_context_rows: int) -> None:
    torch.manual_seed(chunk_rows)
    samples = torch.randn(B, T, C)
    block = TransformerBlock(C, 4, 32, is_norm_first=True, rotary_width=2).eval()
    valid = padding_mask(torch.tensor([T, 7, 1]), T)
    mask = chunk_mask(T, chunk_rows, left_context_rows)[None, None] & valid[:, None, None, :]
    windows = ChunkWindows(chunk_rows, left_context_rows)

    def heard(allowed: torch.Tensor, within: ChunkWindows | None) -> tuple[torch.Tensor, torch.Tensor]:
        x = samples.clone().requires_grad_()
        y = block(x, torch.zeros(allowed.shape).masked_fill(~allowed, MASKED), within)[valid]
        (gradient,) = torch.autograd.grad(y.square().sum(), x)
        return y, gradient

    for found, expected in zip(heard(windows.allowed(valid), windows), heard(mask, None), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)

"""Learned positions of one grid taken over to another: networks at another resolution than trained."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["resize_grid", "resize_window_bias", "resized_swin_state", "resized_vit_state"]


def resize_grid(rows: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Bicubic: (h * w, C) on a grid of ``old`` = (h, w) -> (h' * w', C) on ``new``.

    Raises:
        ValueError: the number of rows is not the old grid's.
    """
    if rows.shape[0] != old[0] * old[1]:
        raise ValueError(f"{rows.shape[0]} positions are no grid of {old[0]} x {old[1]}")
    if old == new:
        return rows
    grid = rows.reshape(1, *old, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, size=new, mode="bicubic", align_corners=False)
    return resized.permute(0, 2, 3, 1).reshape(new[0] * new[1], -1)


def resize_window_bias(table: Tensor, new_side: int) -> Tensor:
    """A bias table of windows of S tokens, ((2S - 1)^2, heads), for windows of ``new_side`` tokens.

    Offset 0 stays in the middle, and offsets keep their share of the window: so Swin's authors fine-tune
    windows of 12 from windows of 7 (the paper's section 4.1).
    """
    side = round(table.shape[0] ** 0.5)
    return resize_grid(table, (side, side), (2 * new_side - 1, 2 * new_side - 1))


def resized_swin_state(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """A Swin's state with bias tables as large as in ``wanted``, the state of one at another resolution."""
    resized = {}
    for name, value in state.items():
        if name.endswith("position_bias") and name in wanted and value.shape != wanted[name].shape:
            value = resize_window_bias(value, (round(wanted[name].shape[0] ** 0.5) + 1) // 2)
        resized[name] = value
    return resized


def resized_vit_state(
    state: dict[str, Tensor], old: tuple[int, int], new: tuple[int, int], *, num_tokens: int = 1
) -> dict[str, Tensor]:
    """A ViT's state for a grid of ``new`` patches (down, across) instead of ``old``.

    Args:
        num_tokens: class and distillation tokens, whose positions stand first and stay as they are.
    """
    positions = state["positions"][0]
    grid = resize_grid(positions[num_tokens:], old, new)
    return {**state, "positions": torch.cat([positions[:num_tokens], grid])[None]}

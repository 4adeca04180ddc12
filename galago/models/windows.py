"""Windows of Swin (Liu et al. 2021, section 3.2): cutting, shifting, masking, and positions inside one.

Letters: B images, H and W tokens down and across, S tokens along a window's side, N = H/S * W/S windows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from galago.models.attention import MASKED

__all__ = ["join_windows", "relative_position_index", "shift_bias", "split_windows"]


def split_windows(x: Tensor, side: int) -> Tensor:
    """Cut (B, H, W, C) into windows, (B * N, S * S, C): windows and the tokens in them row by row."""
    B, H, W, C = x.shape
    cells = x.reshape(B, H // side, side, W // side, side, C)
    return cells.permute(0, 1, 3, 2, 4, 5).reshape(-1, side * side, C)


def join_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """Undo :func:`split_windows`: (B * N, S * S, C) -> (B, ``height``, ``width``, C)."""
    tokens, C = windows.shape[1:]
    side = round(tokens**0.5)
    cells = windows.reshape(-1, height // side, width // side, side, side, C)
    return cells.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, C)


def relative_position_index(side: int) -> Tensor:
    """Which row of the bias table belongs to query i and key j of a window, (S * S, S * S) int64.

    The table holds a row for each offset, (2S - 1)^2 of them, (dy, dx) = (-S + 1, -S + 1) first. Offsets run
    from key to query::

        side 2     key  (0,0) (0,1) (1,0) (1,1)
        query (0,0)       4     3     1     0
        query (0,1)       5     4     2     1
        query (1,0)       7     6     4     3
        query (1,1)       8     7     5     4
    """
    along = torch.arange(side)
    y, x = (axis.flatten() for axis in torch.meshgrid(along, along, indexing="ij"))
    dy = y[:, None] - y[None, :] + side - 1
    dx = x[:, None] - x[None, :] + side - 1
    return dy * (2 * side - 1) + dx


def shift_bias(height: int, width: int, side: int, shift: int) -> Tensor:
    """What keeps tokens apart that only the cyclic shift brought together, (N, S * S, S * S) float32.

    0 where query and key are neighbours in the image, :data:`MASKED` where they are not. Rolled up and left
    by ``shift``, the windows of the last row and column hold tokens from opposite edges of the image; the
    regions (numbered as here for 4 x 4 tokens, side 2, shift 1) say which belong together::

        image, shifted windows      rolled            regions
         a | b  c | d               f  g | h  e       0 0 | 1 2
        ---+------+---              j  k | l  i       0 0 | 1 2
         e | f  g | h       ->      -----+-----  ->   ----+----
         i | j  k | l               n  o | p  m       3 3 | 4 5
        ---+------+---              b  c | d  a       6 6 | 7 8
         m | n  o | p
    """
    stops = (slice(0, -side), slice(-side, -shift), slice(-shift, None))
    regions = torch.zeros(1, height, width, 1)
    for number, (rows, columns) in enumerate((r, c) for r in stops for c in stops):
        regions[:, rows, columns] = number
    of_token = split_windows(regions, side)[..., 0]  # (N, S * S)
    apart = of_token[:, :, None] != of_token[:, None, :]
    return torch.zeros(apart.shape).masked_fill(apart, MASKED)

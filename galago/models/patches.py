"""Images as sequences of patches (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", section 3.1)."""

from __future__ import annotations

from torch import Tensor

__all__ = ["patchify"]


def patchify(images: Tensor, patch: int) -> Tensor:
    """Cut images (B, C, H, W) into rows of patches, (B, H/P * W/P, P * P * C), row by row from the top left.

    Raises:
        ValueError: height or width is no multiple of ``patch`` pixels.
    """
    B, C, H, W = images.shape
    if H % patch or W % patch:
        raise ValueError(f"an image of {W}x{H} pixels cannot be cut into patches of {patch}")
    cells = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return cells.permute(0, 2, 4, 3, 5, 1).reshape(B, (H // patch) * (W // patch), patch * patch * C)

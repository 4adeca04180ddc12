"""Images as sequences of patches: the numbers of the paper, and what pixels alone cannot say."""

from __future__ import annotations

import pytest
import torch

from galago.models.patches import patchify


@pytest.mark.parametrize(("side", "shape"), [(48, (9, 768)), (224, (196, 768))])
def test_patches_of_colour_images(side: int, shape: tuple[int, int]) -> None:
    assert patchify(torch.zeros(2, 3, side, side), 16).shape == (2, *shape)


def test_patches_go_row_by_row_and_hold_their_pixels_row_by_row() -> None:
    image = torch.arange(4 * 6, dtype=torch.float32).reshape(1, 1, 4, 6)
    assert patchify(image, 2)[0].tolist() == [
        [0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11],
        [12, 13, 18, 19], [14, 15, 20, 21], [16, 17, 22, 23],
    ]  # fmt: skip


def test_colours_of_a_pixel_stand_together() -> None:
    image = torch.stack([torch.full((2, 2), float(colour)) for colour in range(3)])[None]
    assert patchify(image, 2)[0, 0].tolist() == [0, 1, 2] * 4


def test_lines_in_different_rows_are_orthogonal() -> None:
    """Sixteen patches, each with a line one pixel high, alike to an eye: pixels alone carry no likeness."""
    images = torch.zeros(16, 1, 16, 16)
    for row in range(16):
        images[row, 0, row] = 1.0
    lines = patchify(images, 16)[:, 0]  # (16, 256)
    assert torch.equal(lines @ lines.T, 16.0 * torch.eye(16))


def test_an_image_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="50x48 pixels cannot be cut into patches of 16"):
        patchify(torch.zeros(1, 3, 48, 50), 16)

"""One image file through Pillow, whatever it holds, as the RGB that a person would see."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import SourceError
from galago.streaming.extras import import_extra
from galago.streaming.images.image_source import ImageFrame

MAX_SIDE_PIXELS = 8192  # what a session takes
MAX_PIXELS = 80_000_000  # what the largest cameras make; a file of some bytes can claim any size
#: By suffix, for folders; a file that is named is tried whatever it is called.
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})

# Of all that Pillow reads: no format that runs another program (EPS), none that only laboratories use.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_RGB_OF_BACKGROUND = {"white": (255, 255, 255), "black": (0, 0, 0)}

Background = Literal["white", "black"]


def read_image(
    path: str | os.PathLike[str], *, capture_ns: int = 0, background: Background = "white"
) -> ImageFrame:
    """Read an image file as RGB.

    EXIF orientation is applied; of an animation it is the first picture.  Palettes, grey, CMYK, YCbCr and
    Lab are converted; 16-bit grey keeps its high 8 bits; what is transparent shows `background`.  An image
    with a side of more than `MAX_SIDE_PIXELS` is reduced by a whole factor.

    Args:
        path: of a JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.
        capture_ns: of the image.
        background: behind transparent pixels.

    Raises:
        SourceError: not there, no image, truncated, larger than `MAX_PIXELS`, or numbers of no known range.
        UnsupportedError: Pillow is not installed.
    """
    pillow = import_extra("PIL.Image", extra="camera", purpose="reading image files")
    name = os.fspath(path)
    if Path(path).is_dir():
        raise SourceError(f"{name}: is a directory")
    try:
        with warnings.catch_warnings():
            # Its warning comes before our limit can be looked at, and says less.
            warnings.simplefilter("ignore", pillow.DecompressionBombWarning)
            image = pillow.open(name, formats=_FORMATS)
        with image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise SourceError(f"{name}: {width} x {height} pixels; at most {MAX_PIXELS} are read")
            # What a file says about itself may be broken in ways that Pillow has no class for.
            return ImageFrame(_rgb(pillow, image, name, _RGB_OF_BACKGROUND[background]), capture_ns)
    except pillow.UnidentifiedImageError:
        raise SourceError(f"{name}: cannot be read as an image ({', '.join(_FORMATS)})") from None
    except pillow.DecompressionBombError as error:
        raise SourceError(f"{name}: {error}") from error
    except (OSError, SyntaxError, ValueError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SourceError(f"{name}: {reason}") from error


def _rgb(pillow: Any, image: Any, name: str, background: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """(height, width, 3), upright."""
    operations = import_extra("PIL.ImageOps", extra="camera", purpose="reading image files")
    image.load()
    image = operations.exif_transpose(image)
    if image.mode == "F":
        raise SourceError(f"{name}: pixels are floating-point numbers, whose range it does not say")
    if image.mode == "I" or image.mode.startswith("I;16"):
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 0xFFFF:
            raise SourceError(f"{name}: grey levels {levels.min()} to {levels.max()}; 16 bits are read")
        image = pillow.fromarray((levels >> 8).astype(np.uint8))
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        behind = pillow.new("RGBA", image.size, (*background, 255))
        image = pillow.alpha_composite(behind, image)
    image = image.convert("RGB")
    factor = -(-max(image.size) // MAX_SIDE_PIXELS)
    return np.array(image.reduce(factor) if factor > 1 else image, np.uint8)

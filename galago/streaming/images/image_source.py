"""What an image source is: an iterator of images with capture times, of which the newest counts.

    ImageSource
    ├── CameraSource            camera_source.py      what both ways into GStreamer share
    │   ├── GstLaunchSource     gstreamer_launch.py   a `gst-launch-1.0` process, no binding needed
    │   └── AppsinkSource       gstreamer_appsink.py  inside this process, through PyGObject
    ├── ImageFolderSource       image_folder.py       image files, in the order of their names
    ├── ReconnectingSource      reconnect.py          a live source that comes back after it broke
    └── RealTimeImageSource     image_replay.py       any of the above as fast as a camera would

`camera.open_camera` picks one by a word: "camera", "rtsp://...", a path.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import InvalidArgumentError
from galago.streaming.source import Source

ImageFormat = Literal["rgb8", "nv12"]


@dataclass(frozen=True, slots=True)
class ImageFrame:
    """One image, and when it was captured.

    `data` is uint8.  "rgb8": (height, width, 3).  "nv12": (height * 3 // 2, width), `height` rows of luma
    and then `height / 2` rows of interleaved Cb and Cr, BT.601 with luma in 16..235; both sides are even.

    Raises:
        InvalidArgumentError: another dtype, a shape that does not fit the format, or no pixel at all.
    """

    data: npt.NDArray[np.uint8]
    capture_ns: int  # monotonic for live sources; counted from 0 for the others
    format: ImageFormat = "rgb8"

    def __post_init__(self) -> None:
        data = self.data
        if data.dtype != np.uint8:
            raise InvalidArgumentError(f"image: expected uint8, found {data.dtype}")
        if self.format == "rgb8":
            fits = data.ndim == 3 and data.shape[2] == 3
        elif self.format == "nv12":
            fits = data.ndim == 2 and data.shape[0] % 3 == 0 and data.shape[1] % 2 == 0
        else:
            raise InvalidArgumentError(f"image: expected the format rgb8 or nv12, found {self.format!r}")
        if not fits or data.size == 0:
            raise InvalidArgumentError(f"image: shape {data.shape} does not hold a picture in {self.format}")

    @property
    def width(self) -> int:
        return int(self.data.shape[1])

    @property
    def height(self) -> int:
        num_rows = int(self.data.shape[0])
        return num_rows if self.format == "rgb8" else num_rows * 2 // 3


class ImageSource(Source):
    """A stream of images.  A context manager; iterate it once.

    A live source never queues: an image that nobody took in time is replaced by the next.  The others wait
    for their reader and lose nothing.
    """

    @property
    def replaced_images(self) -> int:
        """Images of a live source that a newer one replaced before anybody took them."""
        return 0

    @property
    def reconnects(self) -> int:
        """How often a live source broke and came back."""
        return 0

    @abstractmethod
    def __iter__(self) -> Iterator[ImageFrame]:
        """Yield images in order of capture; raise SourceError after the last good one if it breaks."""

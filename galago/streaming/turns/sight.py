"""What was seen when: the labels of the last images, and the one that a question is about."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from galago.runtime.errors import InvalidArgumentError
from galago.runtime.events import NS_PER_MS, Labels

Seen = Literal["known", "unsure", "nothing", "blind"]
SEEN: tuple[Seen, ...] = ("known", "unsure", "nothing", "blind")


@dataclass(frozen=True, slots=True)
class Sight:
    """What the eye made of one moment.

    `seen` is "known": a label, and the eye is sure; "unsure": a label, and it is not; "nothing": there was
    an image with nothing that the eye knows; "blind": there was no image, or only one that is too old.
    """

    seen: Seen = "blind"
    label: str = ""  # the likeliest class; "" where seen is "nothing" or "blind"
    score: float = 0.0  # its smoothed probability, [0, 1]
    second: str = ""  # the next likeliest, if there is one
    capture_ns: int | None = None  # of the image
    age_ms: float | None = None  # of the image, at the moment that was asked for


class LabelHistory:
    """Labels by capture time, for as long as they may still be asked for.

    Args:
        sure_score: from this score on a label is "known"; below it, and above the bundle's own
            accept_probability, it is "unsure".
        max_age_ms: an older image tells nothing about the moment.
        capacity: images that are kept.
    """

    def __init__(self, *, sure_score: float = 0.6, max_age_ms: float = 2000.0, capacity: int = 600) -> None:
        if not 0 <= sure_score <= 1 or not max_age_ms > 0 or capacity < 1:
            raise InvalidArgumentError(
                "expected sure_score in [0, 1], max_age_ms above 0 and a capacity of at least 1, found "
                f"{sure_score}, {max_age_ms} and {capacity}"
            )
        self._sure_score = sure_score
        self._max_age_ms = max_age_ms
        self._images: deque[Labels] = deque(maxlen=capacity)

    def add(self, labels: Labels) -> None:
        """One image was looked at; images come in order of capture."""
        self._images.append(labels)

    def clear(self) -> None:
        """Forget what was seen."""
        self._images.clear()

    def at(self, moment_ns: int) -> Sight:
        """What was to be seen at a moment: the last image that was captured no later than that."""
        for image in reversed(self._images):
            if image.begin_ns > moment_ns:
                continue
            age_ms = (moment_ns - image.begin_ns) / NS_PER_MS
            if age_ms > self._max_age_ms:
                break
            if not image.labels:
                return Sight("nothing", capture_ns=image.begin_ns, age_ms=age_ms)
            best, *others = image.labels
            return Sight(
                "known" if best.score >= self._sure_score else "unsure",
                best.name,
                best.score,
                others[0].name if others else "",
                image.begin_ns,
                age_ms,
            )
        return Sight()

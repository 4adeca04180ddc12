"""Everything that galago raises on purpose.

    GalagoError
    ├── InternalError          GALAGO_E_INTERNAL          a defect of galago: please report it
    ├── InvalidArgumentError   GALAGO_E_INVALID_ARGUMENT  (also a ValueError)
    ├── InvalidStateError      GALAGO_E_INVALID_STATE     right call, wrong moment
    ├── AbiError               GALAGO_E_ABI               this package and libgalago do not fit
    ├── NotFoundError          GALAGO_E_NOT_FOUND         no such file, bundle, engine or key
    │   └── LibraryNotFoundError                          libgalago itself is missing
    ├── CorruptError           GALAGO_E_CORRUPT           a bundle or a grammar fails its checks
    ├── UnsupportedError       GALAGO_E_UNSUPPORTED       not by this build, board or bundle
    ├── NoMemoryError          GALAGO_E_NO_MEMORY         (also a MemoryError)
    ├── FullError              GALAGO_E_FULL              no room: nothing was taken
    ├── EngineError            GALAGO_E_BACKEND           the inference engine failed
    ├── SourceError                                       a file, a stream or a sound card failed
    └── SinkError                                         a speaker or an output file failed

One class stands for one negative status of the C ABI, so `except galago.FullError` reads like the
header.  The classes without a status come from the Python side alone.
"""

from __future__ import annotations

from typing import ClassVar


class GalagoError(Exception):
    """The root: `except galago.GalagoError` catches whatever galago raises on purpose."""

    status: ClassVar[int | None] = None
    """The status of the C ABI that this class stands for; None where there is none."""


class InternalError(GalagoError):
    """A defect of galago: please report it."""

    status: ClassVar[int | None] = -1


class InvalidArgumentError(GalagoError, ValueError):
    """An argument has the wrong type, shape or range; the message names it."""

    status: ClassVar[int | None] = -2


class InvalidStateError(GalagoError):
    """The right call at the wrong moment: a closed session, a step beside a worker."""

    status: ClassVar[int | None] = -3


class AbiError(GalagoError):
    """This package and the library that it loaded do not fit together."""

    status: ClassVar[int | None] = -4


class NotFoundError(GalagoError):
    """No such file, bundle, engine or key."""

    status: ClassVar[int | None] = -5


class LibraryNotFoundError(NotFoundError):
    """libgalago is nowhere to be found; the message lists where it was looked for."""

    # A status names one class: `of_status` answers with the parent.
    status: ClassVar[int | None] = None


class CorruptError(GalagoError):
    """A bundle or a compiled grammar fails its checks; nothing of it was used."""

    status: ClassVar[int | None] = -6


class UnsupportedError(GalagoError):
    """Not by this build, on this board, or with this bundle."""

    status: ClassVar[int | None] = -7


class NoMemoryError(GalagoError, MemoryError):
    """The memory of a bundle or a session could not be allocated."""

    status: ClassVar[int | None] = -8


class FullError(GalagoError):
    """No room: nothing was taken.  Step, or wait for the worker, and push again."""

    status: ClassVar[int | None] = -9


class EngineError(GalagoError):
    """The inference engine failed; the message carries its own words."""

    status: ClassVar[int | None] = -10


class SourceError(GalagoError):
    """An audio source failed: a file, a raw stream, or a sound card that went away."""


class SinkError(GalagoError):
    """Where sound goes to failed: a speaker that went away, a file that cannot be written."""


_CLASS_OF_STATUS: dict[int, type[GalagoError]] = {
    cls.status: cls
    for cls in (
        InternalError,
        InvalidArgumentError,
        InvalidStateError,
        AbiError,
        NotFoundError,
        CorruptError,
        UnsupportedError,
        NoMemoryError,
        FullError,
        EngineError,
    )
    if cls.status is not None
}


def of_status(status: int, message: str) -> GalagoError:
    """The exception for a negative status of the C ABI.

    A status that this package does not know (a newer library) becomes a plain `GalagoError` that
    carries the number, so that it is still caught and still readable.
    """
    error_class = _CLASS_OF_STATUS.get(status)
    if error_class is None:
        return GalagoError(f"status {status}: {message}")
    return error_class(message)

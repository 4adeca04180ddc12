"""galago: eyes, ears and a voice for devices.

    import galago

    with galago.open() as bundle, bundle.session() as session:
        print(session.transcribe(samples))           # float32 or int16, mono, 16 kHz

A *bundle* is a directory of small trained models; a *session* is one stream over it.  The work is done
by a native core behind a C ABI (`galago.h`); this package speaks to it through ctypes alone.
"""

from __future__ import annotations

import os

from galago.runtime import events
from galago.runtime.bundle import Bundle
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.errors import (
    AbiError,
    CorruptError,
    EngineError,
    FullError,
    GalagoError,
    InternalError,
    InvalidArgumentError,
    InvalidStateError,
    LibraryNotFoundError,
    NoMemoryError,
    NotFoundError,
    SinkError,
    SourceError,
    UnsupportedError,
)
from galago.runtime.events import (
    Event,
    Failed,
    Final,
    Gap,
    Intent,
    Label,
    Labels,
    Logits,
    Partial,
    Phrase,
    Posteriors,
    Rejected,
    VoiceStart,
    VoiceStop,
    Word,
)
from galago.runtime.session import Metrics, Session, SessionInfo

__version__ = "0.1.0"

__all__ = [
    "AbiError",
    "Bundle",
    "CorruptError",
    "EngineError",
    "Event",
    "Failed",
    "Final",
    "FullError",
    "GalagoError",
    "Gap",
    "Intent",
    "InternalError",
    "InvalidArgumentError",
    "InvalidStateError",
    "Label",
    "Labels",
    "LibraryNotFoundError",
    "Logits",
    "Metrics",
    "NoMemoryError",
    "NotFoundError",
    "Partial",
    "Phrase",
    "Posteriors",
    "Rejected",
    "Session",
    "SessionInfo",
    "SinkError",
    "SourceError",
    "UnsupportedError",
    "VoiceStart",
    "VoiceStop",
    "Word",
    "__version__",
    "events",
    "find_bundle",
    "open",
]


def open(
    name: str | os.PathLike[str] = "default",
    *,
    chunk_ms: int | None = None,
    engine: str | None = None,
    num_threads: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    roles: tuple[str, ...] | None = None,
) -> Bundle:
    """Open a bundle: a directory, or the name of one that ships with galago.

    Args:
        name: "default" is the bundle in the package.
        chunk_ms: new audio of one step, one of the bundle's; None: the bundle's first.
        engine: "openvino"; None: the first in the manifest that runs here.
        num_threads: of the engine; None: the board's.
        cache_dir: where the engine may keep compiled blobs; None: nowhere.
        roles: "ear", "eye", "voice": only these are compiled and can be used; None: all that it has.

    Raises:
        NotFoundError: no such bundle, it lacks one of the roles, or its engine is not installed.
        CorruptError: a file differs from its manifest.
    """
    return Bundle(
        find_bundle(name),
        chunk_ms=chunk_ms,
        engine=engine,
        num_threads=num_threads,
        cache_dir=cache_dir,
        roles=roles,
    )

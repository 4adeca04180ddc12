"""A bundle, as programs open it, and the sessions over it.

folder = find_bundle("default")
with Bundle(folder, chunk_ms=320) as bundle, bundle.session() as session: ...
"""

from __future__ import annotations

from typing import Any

from galago.runtime.open_bundle import OpenBundle
from galago.runtime.session import Session

__all__ = ["Bundle"]


class Bundle(OpenBundle):
    """An opened bundle: immutable, shared by any number of sessions and threads.

    Args:
        folder: the directory that holds manifest.json.
        chunk_ms: new audio of one step of the ear, one of the bundle's chunks; None: the bundle's first.
        engine: "openvino", ...; None: the first in the manifest that runs here.
        num_threads: of the engine; None: the board's.
        cache_dir: where the engine may keep compiled blobs; None: nowhere.
        engine_path: folder of the engine's libraries; None: where its Python wheel put them, or
            wherever the system finds them.
        roles: "ear", "eye", "voice": only these are compiled and can be used; None: all that it has.

    Raises:
        NotFoundError, CorruptError, UnsupportedError, EngineError, AbiError: as the message says.
    """

    def session(self, **options: Any) -> Session:
        """Open a stream over this bundle; the options are those of `Session`."""
        return Session(self, **options)

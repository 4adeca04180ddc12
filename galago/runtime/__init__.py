"""The board's half: the Python face of the native core, over its C ABI and nothing else.

Needs numpy and one engine.  Imports nothing else of galago.
"""

from __future__ import annotations

from galago.runtime.bundle import Bundle
from galago.runtime.bundle_folder import check_files, find_bundle, write_manifest
from galago.runtime.errors import GalagoError
from galago.runtime.events import Event
from galago.runtime.manifest import Manifest, read_manifest
from galago.runtime.session import Metrics, Session, SessionInfo

__all__ = [
    "Bundle",
    "Event",
    "GalagoError",
    "Manifest",
    "Metrics",
    "Session",
    "SessionInfo",
    "check_files",
    "find_bundle",
    "read_manifest",
    "write_manifest",
]

"""A bundle that is held open: its handle, its lexicon, and grammars compiled for it."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galago.runtime import abi
from galago.runtime.closing import Closing
from galago.runtime.errors import (
    InvalidArgumentError,
    InvalidStateError,
    NotFoundError,
    UnsupportedError,
)
from galago.runtime.manifest import read_manifest

if TYPE_CHECKING:
    from galago.runtime.language.lexicon import Lexicon

__all__ = ["GrammarSource", "OpenBundle"]

GrammarSource = str | bytes | os.PathLike[str] | Mapping[str, Any]

_COMPILED_MAGIC = b"GGRM"


class OpenBundle(Closing):
    """What a session needs of its bundle; opened with the arguments of :class:`galago.Bundle`."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        chunk_ms: int | None = None,
        engine: str | None = None,
        num_threads: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        engine_path: str | os.PathLike[str] | None = None,
        roles: Iterable[str] | None = None,
    ) -> None:
        self._handle: ctypes.c_void_p | None = None
        if chunk_ms is not None and not 0 < chunk_ms < 60_000:
            raise InvalidArgumentError(f"chunk_ms: expected 1 to 59999, found {chunk_ms}")
        if num_threads is not None and not 0 < num_threads <= 1024:
            raise InvalidArgumentError(f"num_threads: expected 1 to 1024, found {num_threads}")
        wanted = None if roles is None else tuple(roles)
        if isinstance(roles, str) or wanted == ():
            raise InvalidArgumentError(f'roles: expected names such as ("ear",), found {roles!r}')
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self._library = abi.library()
        engine_path = engine_path if engine_path is not None else abi.default_engine_path()
        options = abi.BundleOptions(
            struct_size=ctypes.sizeof(abi.BundleOptions),
            num_threads=num_threads or 0,
            backend=engine.encode() if engine is not None else None,
            cache_dir=os.fsencode(cache_dir) if cache_dir is not None else None,
            chunk_ms=chunk_ms or 0,
            engine_path=os.fsencode(engine_path) if engine_path is not None else None,
            roles=",".join(wanted).encode() if wanted is not None else None,
        )
        handle = ctypes.c_void_p()
        abi.check(
            self._library.galago_bundle_open(
                abi.ABI, os.fsencode(self.folder), ctypes.byref(options), ctypes.byref(handle)
            )
        )
        self._handle = handle

    @property
    def handle(self) -> ctypes.c_void_p:
        """The `galago_bundle *`.

        Raises:
            InvalidStateError: the bundle is closed.
        """
        if self._handle is None:
            raise InvalidStateError(f"{self.folder}: this bundle is closed")
        return self._handle

    def metadata(self, key: str) -> str:
        """An entry of the manifest as the core gives it: "license", "languages.0", "roles.ear.phones".

        "open.target", "open.engine" and "open.inference_precision" tell what this process runs: of the
        ear, or where there is none of the eye; "open.eye.target" says which.

        Raises:
            NotFoundError: no such key.
        """
        value = ctypes.c_char_p()
        abi.check(self._library.galago_bundle_metadata(self.handle, key.encode(), ctypes.byref(value)))
        return (value.value or b"").decode()

    @functools.cached_property
    def lexicon(self) -> Lexicon:
        """How words sound: the bundle's own lexicon, or that of the bundle that ships.

        Raises:
            NotFoundError: neither is there.
        """
        from galago.runtime.language import lexicon  # takes a moment: only for those who compile here

        own = self.manifest.ear.lexicon if self.manifest.ear is not None else None
        try:
            return lexicon.Lexicon.load(self.folder / own) if own is not None else lexicon.load_default()
        except OSError as error:
            raise NotFoundError(f"{self.folder}: no lexicon to look words up: {error}") from error

    def compile_grammar(self, grammar: GrammarSource) -> bytes:
        """Compile a grammar for sessions of this bundle; what is compiled already passes through.

        Args:
            grammar: the path of a YAML file or of compiled bytes, YAML text (with a line break), a
                mapping of the same shape, or compiled bytes.

        Raises:
            InvalidArgumentError: no grammar, or one that names an unknown list or word.
            NotFoundError: no such file.
            UnsupportedError: hassil or PyYAML is not installed.
        """
        if isinstance(grammar, bytes) and grammar.startswith(_COMPILED_MAGIC):
            return grammar
        try:
            if isinstance(grammar, os.PathLike) or (isinstance(grammar, str) and "\n" not in grammar):
                with open(grammar, "rb") as file:
                    if file.read(len(_COMPILED_MAGIC)) == _COMPILED_MAGIC:
                        file.seek(0)
                        return file.read()
            from galago.runtime.language import grammar as compiler

            return compiler.compile_grammar(grammar, lexicon=self.lexicon, phones=self._phones())
        except ImportError as error:
            raise UnsupportedError(
                f"compiling a grammar needs {error.name}: pip install 'galago[grammar]'"
            ) from error
        except OSError as error:
            raise NotFoundError(f"grammar {error.filename}: {error.strerror}") from error

    def compile_phrases(self, phrases: Iterable[str]) -> bytes:
        """Compile wake phrases for sessions of this bundle.

        Raises:
            InvalidArgumentError: a phrase that nobody can pronounce.
        """
        from galago.runtime.language import grammar as compiler

        return compiler.compile_phrases(phrases, lexicon=self.lexicon, phones=self._phones())

    def _phones(self) -> tuple[str, ...]:
        if self.manifest.ear is None:
            raise UnsupportedError(f"{self.folder}: this bundle has no ear")
        return self.manifest.ear.phones

    def close(self) -> None:
        """Let go of it; open sessions keep what they need.  May be called twice."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._library.galago_bundle_close(handle)

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self._handle is None else "open"
        kind, manifest = type(self).__name__, self.manifest
        return f"<{kind} {manifest.name} {manifest.version} at {self.folder}, {state}>"

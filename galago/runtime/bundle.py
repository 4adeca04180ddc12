"""A bundle: finding it, checking its files, writing its manifest, and holding it open.

    folder = find_bundle("default")
    with Bundle(folder, chunk_ms=320) as bundle, bundle.session() as session: ...

The native core checks every file again when it opens a bundle; what stands here serves the packer, the
tools, and the Python side's own needs (names of phones and tokens, the lexicon).
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galago.runtime import abi
from galago.runtime.closing import Closing
from galago.runtime.errors import (
    CorruptError,
    InvalidArgumentError,
    InvalidStateError,
    NotFoundError,
    UnsupportedError,
)
from galago.runtime.manifest import MANIFEST_NAME, SCHEMA_VERSION, Manifest, parse_manifest, read_manifest

if TYPE_CHECKING:
    from galago.runtime.language.lexicon import Lexicon
    from galago.runtime.session import Session

__all__ = ["Bundle", "check_files", "find_bundle", "read_manifest", "write_manifest"]

GrammarSource = str | bytes | os.PathLike[str] | Mapping[str, Any]

_BUNDLES = Path(__file__).resolve().parent.parent / "bundles"
_HASH_BLOCK_BYTES = 1 << 20
_COMPILED_MAGIC = b"GGRM"


def find_bundle(name: str | os.PathLike[str] = "default") -> Path:
    """The folder of a bundle: a path, or the name of one that ships with galago ("default").

    A name without a separator that is a folder here is taken as that folder, unless it ships.

    Raises:
        NotFoundError: neither.
    """
    shipped = _BUNDLES / name
    if shipped.parent == _BUNDLES and (shipped / MANIFEST_NAME).is_file():
        return shipped
    folder = Path(name)
    if folder.is_dir():
        return folder
    names = sorted(entry.parent.name for entry in _BUNDLES.glob(f"*/{MANIFEST_NAME}"))
    ships = f"these ship with galago: {', '.join(names)}" if names else "none ships with this galago"
    raise NotFoundError(f"{os.fspath(name)}: no such bundle; {ships}")


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare every file of a bundle with its manifest, sizes first.

    Raises:
        CorruptError: a file is missing, differs, or stands there unlisted.
    """
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise CorruptError(f"{path}: listed in {MANIFEST_NAME}, but not there")
        size_bytes = path.stat().st_size
        if size_bytes != entry.size_bytes:
            raise CorruptError(f"{path}: {size_bytes} bytes, {entry.size_bytes} in {MANIFEST_NAME}")
        if _sha256(path) != entry.sha256:
            raise CorruptError(f"{path}: sha256 differs from {MANIFEST_NAME}")
    for path in _files_of(folder):
        name = path.relative_to(folder).as_posix()
        if name not in manifest.files:
            raise CorruptError(f"{path}: not listed in {MANIFEST_NAME}")


def write_manifest(folder: Path, document: Mapping[str, Any]) -> Manifest:
    """Write `folder/manifest.json`, the packer's last act.

    Args:
        folder: holds every other file of the bundle already.
        document: the manifest without "files" and "schema_version", which are filled in here.

    Returns:
        the manifest as a reader sees it.

    Raises:
        CorruptError: the document would not pass the reader; nothing is written.
    """
    files = {
        path.relative_to(folder).as_posix(): {"sha256": _sha256(path), "size_bytes": path.stat().st_size}
        for path in _files_of(folder)
    }
    complete = {**document, "schema_version": SCHEMA_VERSION, "files": files}
    path = folder / MANIFEST_NAME
    manifest = parse_manifest(complete, str(path))
    # Written beside and moved, so that a bundle never holds half a manifest.
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(complete, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
    return manifest


def _files_of(folder: Path) -> list[Path]:
    # What a file manager or an editor leaves behind (.DS_Store) is no part of a bundle.
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST_NAME and not path.name.startswith(".")
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


class Bundle(Closing):
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

    def session(self, **options: Any) -> Session:
        """Open a stream over this bundle; the options are those of `Session`."""
        from galago.runtime.session import Session  # a session knows its bundle, not the reverse

        return Session(self, **options)

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
        return f"<Bundle {self.manifest.name} {self.manifest.version} at {self.folder}, {state}>"

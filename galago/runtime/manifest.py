"""manifest.json as frozen dataclasses: the schema of a bundle, its reading and its validation.

    Manifest
    ├── files: {"ear/int8.xml": FileEntry}       size and SHA-256 of every file but the manifest
    ├── ear: Ear | None                          a streaming recogniser: manifest_ear.py
    ├── eye: Eye | None                          a classifier of images: manifest_eye.py
    ├── voice: Voice | None                      a streaming voice: manifest_voice.py
    ├── golden: (GoldenVector, ...)              recorded samples, and what the ear made of them
    ├── golden_images: (GoldenImage, ...)        recorded images, and what the eye made of them
    └── golden_speech: (GoldenSpeech, ...)       sentences, and what the voice made of them

Readers ignore keys and roles that they do not know, so that a newer packer may add some; they refuse a
`schema_version` that they do not know.  Every complaint names the file, the key and what stood there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from galago.runtime.errors import CorruptError, NotFoundError, UnsupportedError
from galago.runtime.manifest_ear import Ear, GoldenVector, read_ear, read_golden_vector
from galago.runtime.manifest_eye import Eye, GoldenImage, read_eye, read_golden_image
from galago.runtime.manifest_keys import Keys, shown
from galago.runtime.manifest_voice import GoldenSpeech, Voice, read_golden_speech, read_voice

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1
MAX_MANIFEST_BYTES = 16 * 1024 * 1024  # bounds what a broken or hostile bundle makes us read


@dataclass(frozen=True, slots=True)
class FileEntry:
    sha256: str  # 64 lower-case hexadecimal digits
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    name: str
    version: str
    license: str
    languages: tuple[str, ...]
    description: str
    files: Mapping[str, FileEntry]
    ear: Ear | None
    golden: tuple[GoldenVector, ...]
    eye: Eye | None = None
    golden_images: tuple[GoldenImage, ...] = ()
    voice: Voice | None = None
    golden_speech: tuple[GoldenSpeech, ...] = ()
    roles: tuple[str, ...] = field(default=())


def read_manifest(folder: Path) -> Manifest:
    """Read and validate `folder/manifest.json`; the other files are not touched.

    Raises:
        NotFoundError: no such folder, or no manifest in it.
        UnsupportedError: a schema version of another galago.
        CorruptError: anything else that is wrong; the message names the file and the key.
    """
    path = folder / MANIFEST_NAME
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: no such bundle")
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_MANIFEST_BYTES:
            raise CorruptError(f"{path}: {size_bytes} bytes; a manifest has at most {MAX_MANIFEST_BYTES}")
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(f"{folder}: no bundle, it has no {MANIFEST_NAME}") from None
    except OSError as error:
        raise NotFoundError(f"{path}: {error.strerror}") from error
    except RecursionError:
        raise CorruptError(f"{path}: nested too deeply") from None
    except ValueError as error:  # not JSON, or not UTF-8
        raise CorruptError(f"{path}: {error}") from error
    return parse_manifest(document, str(path))


def parse_manifest(document: Any, path: str = MANIFEST_NAME) -> Manifest:
    """Validate a manifest that is already JSON; `path` is how messages call it."""
    if not isinstance(document, dict):
        raise CorruptError(f"{path}: expected an object, found {shown(document)}")
    top = Keys(path, "", document)
    schema_version = top.integer("schema_version", minimum=1)
    if schema_version != SCHEMA_VERSION:
        raise UnsupportedError(
            f"{path}: schema_version {schema_version}; this galago reads schema_version {SCHEMA_VERSION}"
        )
    files_keys = top.object("files")
    files = {name: _file_entry(files_keys, name) for name in files_keys.names()}
    roles = top.object("roles")
    ear = read_ear(roles.object("ear"), files) if "ear" in roles.names() else None
    eye = read_eye(roles.object("eye"), files) if "eye" in roles.names() else None
    voice = read_voice(roles.object("voice"), files) if "voice" in roles.names() else None
    golden = top.objects("golden", required=False)
    return Manifest(
        name=top.text("name"),
        version=top.text("version"),
        license=top.text("license"),
        languages=tuple(top.texts("languages")),
        description=top.text("description", ""),
        files=files,
        ear=ear,
        golden=tuple(read_golden_vector(keys, files, ear) for keys in golden if keys.text("role") == "ear"),
        eye=eye,
        golden_images=tuple(
            read_golden_image(keys, files, eye) for keys in golden if keys.text("role") == "eye"
        ),
        voice=voice,
        golden_speech=tuple(
            read_golden_speech(keys, files, voice) for keys in golden if keys.text("role") == "voice"
        ),
        roles=tuple(roles.names()),
    )


def _file_entry(keys: Keys, name: str) -> FileEntry:
    check_relative(name, f"{keys.path}: files")
    entry = keys.object(name)
    sha256 = entry.text("sha256")
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise entry.wrong("sha256", "64 lower-case hexadecimal digits", sha256)
    return FileEntry(sha256=sha256, size_bytes=entry.integer("size_bytes", minimum=0))


def check_relative(name: str, where: str) -> None:
    """Refuse a path that could leave the bundle.

    Raises:
        CorruptError: absolute, with a backslash, empty, or with an empty, "." or ".." component.
    """
    parts = name.split("/")
    if "\\" in name or "\0" in name or PurePosixPath(name).is_absolute() or {"", ".", ".."} & set(parts):
        raise CorruptError(f"{where}: {name!r} is no relative path inside the bundle")

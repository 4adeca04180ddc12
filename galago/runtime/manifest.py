"""manifest.json as frozen dataclasses: the schema of a bundle, its reading and its validation.

    Manifest
    ├── files: {"ear/int8.xml": FileEntry}       size and SHA-256 of every file but the manifest
    ├── ear: Ear | None                          a streaming CTC role
    │   ├── features: Features                   what turns samples into frames
    │   ├── targets: (Target, ...)               one graph for each engine, dtype and chunk
    │   └── decoding, voice_activity, endpoint, grammar: plain numbers for the core
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from galago.runtime.errors import CorruptError, NotFoundError, UnsupportedError
from galago.runtime.manifest_eye import Eye, GoldenImage, read_eye, read_golden_image
from galago.runtime.manifest_keys import Keys, shown
from galago.runtime.manifest_target import GraphTarget, graph_fields
from galago.runtime.manifest_voice import GoldenSpeech, Voice, read_golden_speech, read_voice

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1
MAX_MANIFEST_BYTES = 16 * 1024 * 1024  # bounds what a broken or hostile bundle makes us read


@dataclass(frozen=True, slots=True)
class FileEntry:
    sha256: str  # 64 lower-case hexadecimal digits
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What turns samples in [-1, 1] into frames: frame t covers [t * hop, t * hop + window).

    "raw_samples": a frame is the samples of its hop as they are, and its window is no longer.
    """

    type: str
    sample_rate_hz: int
    window_samples: int
    hop_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMelFeatures(Features):
    """Log-mel energies as Kaldi computes them: "kaldi_log_mel"."""

    fft_size: int
    num_mels: int
    low_hz: float
    high_hz: float
    preemphasis: float
    log_floor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(GraphTarget):
    """One graph of the ear, with its fixed shapes."""

    stateful: bool
    chunk_tokens: int
    chunk_frames: int
    left_context_tokens: int
    lookahead_tokens: int


@dataclass(frozen=True, slots=True)
class Ear:
    """A streaming CTC recogniser with a phone head and a token head."""

    features: Features
    subsampling_factor: int
    tokens: tuple[str, ...]
    phones: tuple[str, ...]
    phone_log_priors: tuple[float, ...]
    lexicon: str | None
    targets: tuple[Target, ...]
    decoding: Mapping[str, Any]
    voice_activity: Mapping[str, Any]
    endpoint: Mapping[str, Any]
    grammar: Mapping[str, Any]

    @property
    def token_ns(self) -> int:
        """How long one token lasts."""
        samples = self.features.hop_samples * self.subsampling_factor
        return samples * 1_000_000_000 // self.features.sample_rate_hz

    def chunk_ms(self, target: Target) -> int:
        """How much new audio one step of the target takes."""
        return target.chunk_tokens * self.token_ns // 1_000_000


@dataclass(frozen=True, slots=True)
class GoldenVector:
    """Samples and the log-probabilities that they gave where the bundle was packed."""

    role: str
    target: str
    audio: str  # raw float32, little-endian, mono
    num_samples: int
    phone_log_probs: str  # raw float32 (num_tokens, num_phones)
    token_log_probs: str  # raw float32 (num_tokens, num_tokens_of_the_head)
    num_tokens: int
    tolerance: float  # largest allowed absolute difference of a probability
    text: str


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
    ear = _ear(roles.object("ear"), files) if "ear" in roles.names() else None
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
        golden=tuple(_golden(keys, files, ear) for keys in golden if keys.text("role") == "ear"),
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


def _ear(keys: Keys, files: Mapping[str, FileEntry]) -> Ear:
    if keys.text("type") != "streaming_ctc":
        raise UnsupportedError(f"{keys.path}: {keys.at('type')}: {keys.text('type')!r} is not known here")
    phones, tokens = tuple(keys.texts("phones")), tuple(keys.texts("tokens"))
    priors = tuple(keys.numbers("phone_log_priors"))
    if len(phones) < 2 or len(tokens) < 2:
        raise keys.wrong("phones" if len(phones) < 2 else "tokens", "two names at least", [*phones, *tokens])
    if len(priors) != len(phones):
        raise keys.wrong("phone_log_priors", f"one number for each of {len(phones)} phones", list(priors))
    targets = tuple(_target(target, files) for target in keys.objects("targets"))
    if not targets:
        raise keys.wrong("targets", "one target at least", [])
    grammar = keys.object("grammar", required=False)
    if "acceptance" in grammar.names():
        acceptance = grammar.object("acceptance")
        for name in ("bias", "phone_ratio", "character_ratio", "character_doubt", "threshold"):
            acceptance.number(name)
        if not 0.0 <= acceptance.number("threshold") <= 1.0:
            raise acceptance.wrong("threshold", "a probability", acceptance.number("threshold"))
    lexicon = keys.optional_text("lexicon")
    if lexicon is not None:
        keys.listed("lexicon", lexicon, files)
    decoding = keys.object("decoding", required=False)
    _check_decoding(decoding, tokens, targets, files)
    return Ear(
        features=_features(keys.object("features")),
        subsampling_factor=keys.integer("subsampling_factor", minimum=1),
        tokens=tokens,
        phones=phones,
        phone_log_priors=priors,
        lexicon=lexicon,
        targets=targets,
        decoding=decoding.document,
        voice_activity=keys.object("voice_activity", required=False).document,
        endpoint=keys.object("endpoint", required=False).document,
        grammar=grammar.document,
    )


def _check_decoding(
    keys: Keys, tokens: Sequence[str], targets: Sequence[Target], files: Mapping[str, FileEntry]
) -> None:
    word_model = keys.optional_text("word_model")
    if word_model is not None:
        keys.listed("word_model", word_model, files)
    for name, most in (("final_word_beam_width", 1024), ("num_hypotheses", 256)):
        if name in keys.names() and keys.integer(name, minimum=1) > most:
            raise keys.wrong(name, f"an integer of at most {most}", keys.integer(name, minimum=1))
    character_weight = keys.number("character_weight", default=0.0)
    if not 0.0 <= character_weight <= 100.0:
        raise keys.wrong("character_weight", "a number from 0 to 100", character_weight)
    if character_weight > 0.0 and all(len(token.encode()) != 1 for token in tokens[1:]):
        raise keys.wrong("character_weight", "0, or tokens that are characters", character_weight)
    final_language_weight = keys.number("final_language_weight", default=0.0)
    if not 0.0 <= final_language_weight <= 100.0:
        raise keys.wrong("final_language_weight", "a number from 0 to 100", final_language_weight)
    if "second_pass_chunk_tokens" in keys.names():
        second = keys.integer("second_pass_chunk_tokens", minimum=1)
        if all(target.chunk_tokens != second for target in targets):
            raise keys.wrong("second_pass_chunk_tokens", "the chunk_tokens of a target", second)


def _features(keys: Keys) -> Features:
    kind = keys.text("type")
    if kind not in ("kaldi_log_mel", "raw_samples"):
        raise UnsupportedError(f"{keys.path}: {keys.at('type')}: {kind!r} is not known here")
    sample_rate_hz = keys.integer("sample_rate_hz", minimum=1)
    hop_samples = keys.integer("hop_samples", minimum=1)
    if kind == "raw_samples":
        return Features(
            type=kind, sample_rate_hz=sample_rate_hz, window_samples=hop_samples, hop_samples=hop_samples
        )
    return LogMelFeatures(
        type=kind,
        sample_rate_hz=sample_rate_hz,
        window_samples=keys.integer("window_samples", minimum=1),
        hop_samples=hop_samples,
        fft_size=keys.integer("fft_size", minimum=2),
        num_mels=keys.integer("num_mels", minimum=1),
        low_hz=keys.number("low_hz"),
        high_hz=keys.number("high_hz"),
        preemphasis=keys.number("preemphasis"),
        log_floor=keys.number("log_floor"),
    )


def _target(keys: Keys, files: Mapping[str, FileEntry]) -> Target:
    return Target(
        **graph_fields(keys, files),
        stateful=keys.boolean("stateful"),
        chunk_tokens=keys.integer("chunk_tokens", minimum=1),
        chunk_frames=keys.integer("chunk_frames", minimum=1),
        left_context_tokens=keys.integer("left_context_tokens", minimum=0),
        lookahead_tokens=keys.integer("lookahead_tokens", minimum=0),
    )


def _golden(keys: Keys, files: Mapping[str, FileEntry], ear: Ear | None) -> GoldenVector:
    names = {target.name for target in ear.targets} if ear is not None else set()
    if keys.text("target") not in names:
        raise keys.wrong("target", "the name of a target", keys.text("target"))
    for key in ("audio", "phone_log_probs", "token_log_probs"):
        keys.listed(key, keys.text(key), files)
    return GoldenVector(
        role=keys.text("role"),
        target=keys.text("target"),
        audio=keys.text("audio"),
        num_samples=keys.integer("num_samples", minimum=1),
        phone_log_probs=keys.text("phone_log_probs"),
        token_log_probs=keys.text("token_log_probs"),
        num_tokens=keys.integer("num_tokens", minimum=1),
        tolerance=keys.number("tolerance"),
        text=keys.text("text", ""),
    )

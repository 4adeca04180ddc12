"""The role "voice" of a manifest: networks that read a sentence and speak it chunk by chunk.

Voice
├── phones, pronunciations, g2p        how text becomes rows of the reader's input
├── readers: (ReaderTarget, ...)       phones of a sentence to rows and the frames that each lasts
├── speakers: (GraphTarget, ...)       chunk_frames rows to as many hops of samples, with states inside
└── noise_seed, pitch_std_octaves ...  plain numbers for the core

`docs/bundles.md` has the contract of the graphs and the noise that the speaker is given.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from galago.runtime.errors import UnsupportedError
from galago.runtime.manifest_keys import Keys
from galago.runtime.manifest_target import GraphTarget, graph_fields

__all__ = ["GoldenSpeech", "ReaderTarget", "Voice", "read_golden_speech", "read_voice"]

VOICE_TYPE = "fastspeech_streamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTarget(GraphTarget):
    """A graph that reads sentences of up to `num_phones` phones and marks."""

    num_phones: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A streaming voice."""

    sample_rate_hz: int
    hop_samples: int  # samples of a frame
    row_width: int
    num_bins: int  # of the noise that a frame is given
    delay_frames: int  # the samples of a chunk lag by so many hops
    chunk_frames: int
    frames_per_phone_max: int
    noise_seed: int
    pitch_std_octaves: float  # one unit of `pitch_shift`; 0: the voice does not know
    energy_std_nats: float  # one unit of `energy_shift`; 0: the voice does not know
    phones: tuple[str, ...]  # in the order of rows; row 0 is padding
    pronunciations: str
    g2p: str | None
    readers: tuple[ReaderTarget, ...]  # the first that has room and runs is taken
    speakers: tuple[GraphTarget, ...]


@dataclass(frozen=True, slots=True)
class GoldenSpeech:
    """A sentence and the samples that were spoken for it where the bundle was packed."""

    role: str
    target: str  # a speaker
    text: str
    phones: tuple[str, ...]
    frames: tuple[int, ...]  # one number a phone
    samples: str  # raw float32 (sum(frames) * hop_samples,)
    tolerance: float  # largest allowed mean difference of log band magnitudes, in nats


def read_voice(keys: Keys, files: Container[str]) -> Voice:
    """Validate ``roles.voice``.

    Raises:
        UnsupportedError: a type of another galago.
        CorruptError: anything else that is wrong.
    """
    if keys.text("type") != VOICE_TYPE:
        raise UnsupportedError(f"{keys.path}: {keys.at('type')}: {keys.text('type')!r} is not known here")
    phones = tuple(keys.texts("phones"))
    if len(phones) < 2 or len(set(phones)) < len(phones):
        raise keys.wrong("phones", "two phones at least, each name once", list(phones))
    g2p = keys.optional_text("g2p")
    keys.listed("pronunciations", keys.text("pronunciations"), files)
    if g2p is not None:
        keys.listed("g2p", g2p, files)
    readers = tuple(_reader(reader, files) for reader in keys.objects("readers"))
    speakers = tuple(GraphTarget(**graph_fields(speaker, files)) for speaker in keys.objects("speakers"))
    for key, targets in (("readers", readers), ("speakers", speakers)):
        if not targets:
            raise keys.wrong(key, "one target at least", [])
    names = [target.name for target in (*readers, *speakers)]
    if len(set(names)) < len(names):
        raise keys.wrong("readers", "targets with names of their own, those of speakers included", names)
    return Voice(
        sample_rate_hz=keys.integer("sample_rate_hz", minimum=1),
        hop_samples=keys.integer("hop_samples", minimum=1),
        row_width=keys.integer("row_width", minimum=1),
        num_bins=keys.integer("num_bins", minimum=1),
        delay_frames=keys.integer("delay_frames", minimum=0),
        chunk_frames=keys.integer("chunk_frames", minimum=1),
        frames_per_phone_max=keys.integer("frames_per_phone_max", minimum=1, default=200),
        noise_seed=keys.integer("noise_seed", minimum=0, default=0),
        pitch_std_octaves=_not_negative(keys, "pitch_std_octaves"),
        energy_std_nats=_not_negative(keys, "energy_std_nats"),
        phones=phones,
        pronunciations=keys.text("pronunciations"),
        g2p=g2p,
        readers=readers,
        speakers=speakers,
    )


def read_golden_speech(keys: Keys, files: Container[str], voice: Voice | None) -> GoldenSpeech:
    """Validate an entry of ``golden`` whose role is "voice"."""
    target = keys.text("target")
    if voice is None or target not in {known.name for known in voice.speakers}:
        raise keys.wrong("target", "the name of a speaker", target)
    keys.listed("samples", keys.text("samples"), files)
    phones = tuple(keys.texts("phones"))
    unknown = [phone for phone in phones if phone not in voice.phones[1:]]
    if not phones or unknown:
        raise keys.wrong("phones", "phones of the voice", unknown)
    frames = keys.numbers("frames")
    if len(frames) != len(phones) or any(count < 0 or count != int(count) for count in frames):
        raise keys.wrong("frames", f"whole numbers, one for each of {len(phones)} phones", frames)
    return GoldenSpeech(
        role=keys.text("role"),
        target=target,
        text=keys.text("text"),
        phones=phones,
        frames=tuple(int(count) for count in frames),
        samples=keys.text("samples"),
        tolerance=keys.number("tolerance"),
    )


def _reader(keys: Keys, files: Container[str]) -> ReaderTarget:
    return ReaderTarget(**graph_fields(keys, files), num_phones=keys.integer("num_phones", minimum=2))


def _not_negative(keys: Keys, key: str) -> float:
    value = keys.number(key, default=0.0)
    if value < 0:
        raise keys.wrong(key, "0 or more", value)
    return value

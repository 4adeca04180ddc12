"""The role "ear" of a manifest: a streaming CTC recogniser, and the golden vectors of it.

Ear
├── features: Features                   what turns samples into frames
├── targets: (Target, ...)               one graph for each engine, dtype and chunk
├── second_pass: EarNetwork | None       the same of another network, which finals come from
└── decoding, voice_activity, endpoint, grammar: plain numbers for the core
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from galago.runtime.errors import UnsupportedError
from galago.runtime.manifest_keys import Keys
from galago.runtime.manifest_target import GraphTarget, graph_fields

__all__ = [
    "Ear",
    "EarNetwork",
    "Features",
    "GoldenVector",
    "LogMelFeatures",
    "Target",
    "read_ear",
    "read_golden_vector",
]


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
    chunk_rows: int = 0  # of the encoder, for a decoder; 0: there is none
    row_width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EarNetwork:
    """A streaming network with a phone head and a token head, and perhaps a decoder that writes."""

    features: Features
    subsampling_factor: int
    phone_log_priors: tuple[float, ...]
    targets: tuple[Target, ...]
    decoder: str | None = None  # its file

    @property
    def token_samples(self) -> int:
        """How many samples one token lasts."""
        return self.features.hop_samples * self.subsampling_factor

    @property
    def token_ns(self) -> int:
        """How long one token lasts."""
        return self.token_samples * 1_000_000_000 // self.features.sample_rate_hz

    def chunk_ms(self, target: Target) -> int:
        """How much new audio one step of the target takes."""
        return target.chunk_tokens * self.token_ns // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear(EarNetwork):
    """A streaming recogniser: its network, perhaps another for what is final, and how they are heard."""

    second_pass: EarNetwork | None
    tokens: tuple[str, ...]
    phones: tuple[str, ...]
    lexicon: str | None
    decoding: Mapping[str, Any]
    voice_activity: Mapping[str, Any]
    endpoint: Mapping[str, Any]
    grammar: Mapping[str, Any]

    @property
    def all_targets(self) -> tuple[Target, ...]:
        """The targets of both networks; `chunk_ms` knows those of either."""
        return self.targets + (self.second_pass.targets if self.second_pass is not None else ())


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


def read_ear(keys: Keys, files: Container[str]) -> Ear:
    """Validate a role "ear".

    Raises:
        CorruptError: an entry is missing or wrong; the message names it.
        UnsupportedError: a type of ear or of features that this galago does not know.
    """
    if keys.text("type") != "streaming_ctc":
        raise UnsupportedError(f"{keys.path}: {keys.at('type')}: {keys.text('type')!r} is not known here")
    phones, tokens = tuple(keys.texts("phones")), tuple(keys.texts("tokens"))
    if len(phones) < 2 or len(tokens) < 2:
        raise keys.wrong("phones" if len(phones) < 2 else "tokens", "two names at least", [*phones, *tokens])
    network = _network(keys, phones, files)
    second_pass = None
    if "second_pass" in keys.names():
        second_pass = _second_network(keys.object("second_pass"), network, phones, files)
    grammar = keys.object("grammar", required=False)
    if "acceptance" in grammar.names():
        acceptance = grammar.object("acceptance")
        for name in ("bias", "phone_ratio", "character_ratio", "character_doubt", "threshold"):
            acceptance.number(name)
        if not 0.0 <= acceptance.number("threshold") <= 1.0:
            raise acceptance.wrong("threshold", "a probability", acceptance.number("threshold"))
    if "second_pass_share" in grammar.names() and not 0.0 <= grammar.number("second_pass_share") <= 1.0:
        raise grammar.wrong("second_pass_share", "0 to 1", grammar.number("second_pass_share"))
    lexicon = keys.optional_text("lexicon")
    if lexicon is not None:
        keys.listed("lexicon", lexicon, files)
    decoding = keys.object("decoding", required=False)
    _check_decoding(decoding, tokens, network.targets, files)
    if second_pass is not None and "second_pass_chunk_tokens" in decoding.names():
        found = decoding.integer("second_pass_chunk_tokens", minimum=1)
        raise decoding.wrong("second_pass_chunk_tokens", "nothing beside a second_pass of its own", found)
    return Ear(
        features=network.features,
        subsampling_factor=network.subsampling_factor,
        phone_log_priors=network.phone_log_priors,
        targets=network.targets,
        second_pass=second_pass,
        tokens=tokens,
        phones=phones,
        lexicon=lexicon,
        decoding=decoding.document,
        voice_activity=keys.object("voice_activity", required=False).document,
        endpoint=keys.object("endpoint", required=False).document,
        grammar=grammar.document,
    )


def _network(keys: Keys, phones: Sequence[str], files: Container[str]) -> EarNetwork:
    priors = tuple(keys.numbers("phone_log_priors"))
    if len(priors) != len(phones):
        raise keys.wrong("phone_log_priors", f"one number for each of {len(phones)} phones", list(priors))
    decoder = keys.optional_text("decoder")
    if decoder is not None:
        keys.listed("decoder", decoder, files)
    has_rows = decoder is not None
    targets = tuple(_target(target, files, has_rows=has_rows) for target in keys.objects("targets"))
    if not targets:
        raise keys.wrong("targets", "one target at least", [])
    return EarNetwork(
        features=_features(keys.object("features")),
        subsampling_factor=keys.integer("subsampling_factor", minimum=1),
        phone_log_priors=priors,
        targets=targets,
        decoder=decoder,
    )


def _second_network(
    keys: Keys, first: EarNetwork, phones: Sequence[str], files: Container[str]
) -> EarNetwork:
    second = _network(keys, phones, files)
    rate_hz = first.features.sample_rate_hz
    if second.features.sample_rate_hz != rate_hz:
        rate = second.features.sample_rate_hz
        raise keys.object("features").wrong("sample_rate_hz", f"the ear's {rate_hz}", rate)
    if second.token_samples != first.token_samples:
        expected = f"a token of {first.token_samples} samples, as the ear's"
        raise keys.wrong("subsampling_factor", expected, second.subsampling_factor)
    if second.features.type != "raw_samples" and second.features != first.features:
        raise keys.wrong("features", "raw_samples, or the ear's", dict(keys.object("features").document))
    taken = {target.name for target in first.targets}
    for target in keys.objects("targets"):
        if target.text("name") in taken:
            raise target.wrong("name", "none of the ear's own targets", target.text("name"))
    return second


def _check_decoding(
    keys: Keys, tokens: Sequence[str], targets: Sequence[Target], files: Container[str]
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


def _target(keys: Keys, files: Container[str], *, has_rows: bool) -> Target:
    return Target(
        **graph_fields(keys, files),
        stateful=keys.boolean("stateful"),
        chunk_tokens=keys.integer("chunk_tokens", minimum=1),
        chunk_frames=keys.integer("chunk_frames", minimum=1),
        left_context_tokens=keys.integer("left_context_tokens", minimum=0),
        lookahead_tokens=keys.integer("lookahead_tokens", minimum=0),
        chunk_rows=keys.integer("chunk_rows", minimum=1) if has_rows else 0,
        row_width=keys.integer("row_width", minimum=1) if has_rows else 0,
    )


def read_golden_vector(keys: Keys, files: Container[str], ear: Ear | None) -> GoldenVector:
    """Validate a golden entry of the ear.

    Raises:
        CorruptError: an entry is missing or wrong; the message names it.
    """
    names = {target.name for target in ear.all_targets} if ear is not None else set()
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

"""Networks that teach an ear: other ears, or wav2vec 2.0 and its kin with a CTC head of characters.

All of them hear samples, whole utterances with the full context, and answer in the ear's characters at rows
of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from galago.models.checkpoint import load_network
from galago.models.ear import Ear
from galago.models.tokenizer import TOKENS
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.distill.alignment import WAV2VEC2_CLOCK, RowClock
from galago.models.training.ear.checkpoint import load_model
from galago.models.wav2vec2 import Wav2Vec2
from galago.models.wav2vec2_conformer import Wav2Vec2Conformer

__all__ = ["CtcTeacher", "EarAsTeacher", "EarTeacher", "Taught", "clock_of", "load_teacher", "token_columns"]


class Taught(NamedTuple):
    """Unnormalised scores at the teacher's own rows, of which ``num_rows`` (B,) are valid."""

    token_logits: Tensor  # (B, R, 29), in the order of TOKENS
    phone_logits: Tensor | None  # (B, R, 40); only an ear has them
    num_rows: Tensor


class EarTeacher(ABC):
    """A network that is not trained, in evaluation mode; messages call it by ``name``, its file.

    Attributes:
        clock: when its rows hear.
    """

    name: str
    network: nn.Module
    clock: RowClock
    has_phones: bool

    @property
    def width(self) -> int:
        """Of the hidden states."""
        config: Any = self.network.config
        return int(config.width)

    @property
    def attention_width(self) -> int:
        """Of queries, keys and values."""
        config: Any = self.network.config
        return int(getattr(config, "attention_width", config.width))

    @abstractmethod
    def hear(self, samples: Tensor, num_samples: Tensor) -> Taught:
        """Whole utterances (B, N) at 16 kHz, padded with anything after ``num_samples`` (B,)."""


class EarAsTeacher(EarTeacher):
    """Another ear, of any width, depth and family, with the full context."""

    has_phones = True

    def __init__(self, name: str, network: Ear) -> None:
        self.name, self.network, self._ear = name, network, network
        self._front_end = network.front_end
        self.clock = clock_of(network)

    def hear(self, samples: Tensor, num_samples: Tensor) -> Taught:
        """See :meth:`EarTeacher.hear`."""
        front = self._front_end
        num_frames = (num_samples - front.window_samples) // front.hop_samples + 1
        with torch.autocast(samples.device.type, enabled=False):  # energies lose their digits in bfloat16
            features = front(samples)
        output = self._ear(features, num_frames)
        return Taught(output.token_logits, output.phone_logits, output.num_tokens)


def clock_of(network: Ear) -> RowClock:
    """When an ear's tokens hear."""
    front = network.front_end
    return RowClock(front.token_centre_samples, front.token_samples)


class CtcTeacher(EarTeacher):
    """wav2vec 2.0, HuBERT or wav2vec 2.0's Conformer, as published.

    Raises:
        CheckpointError: its characters are not those of an ear.
    """

    has_phones = False
    clock = WAV2VEC2_CLOCK

    def __init__(self, name: str, network: Wav2Vec2 | Wav2Vec2Conformer, details: Mapping[str, Any]) -> None:
        self.name, self.network = name, network
        if network.encoder.samples_per_token != self.clock.step_samples:
            raise CheckpointError(
                f"{name}: hears a row every {network.encoder.samples_per_token} samples, "
                f"not every {self.clock.step_samples}"
            )
        columns = token_columns(
            details.get("tokens", ()), details.get("blank", 0), details.get("word_separator", "|"), name
        )
        self._columns = torch.tensor(columns, device=network.head.weight.device)

    def hear(self, samples: Tensor, num_samples: Tensor) -> Taught:
        """See :meth:`EarTeacher.hear`."""
        scores = self.network(samples, num_samples)
        return Taught(scores.logits[..., self._columns], None, scores.num_tokens)


def token_columns(tokens: Sequence[str], blank: int, word_separator: str, name: str) -> list[int]:
    """Where a teacher's head has each of the ear's tokens; case does not matter.

    What the teacher can say beyond them (``<unk>``, ``</s>``) is left out, its probability shared by all.

    Raises:
        CheckpointError: it lacks some: word pieces, or another language.
    """
    columns = {TOKENS[0]: blank}
    for number, token in enumerate(tokens):
        if number != blank:
            columns.setdefault(" " if token == word_separator else token.lower(), number)
    missing = [token for token in TOKENS if token not in columns]
    if missing:
        some = ", ".join(map(repr, missing[:5])) + (" and more" if len(missing) > 5 else "")
        raise CheckpointError(f"{name}: cannot teach an ear: its {len(tokens)} tokens lack {some}")
    return [columns[token] for token in TOKENS]


def load_teacher(path: Path, device: torch.device | str = "cpu") -> EarTeacher:
    """The teacher in a run's ``model.pt`` or in a galago model file.

    Raises:
        CheckpointError: the file is damaged, or what it holds cannot teach an ear.
    """
    kind = load(path).get("role", "ear")
    if kind == "ear":
        return EarAsTeacher(str(path), load_model(path).to(device).requires_grad_(False))
    if kind not in ("wav2vec2", "wav2vec2-conformer"):
        raise CheckpointError(f"{path}: a network of the kind {kind!r} cannot teach an ear")
    stored = load_network(path)
    network = stored.network.to(device).requires_grad_(False)
    assert isinstance(network, Wav2Vec2 | Wav2Vec2Conformer)
    return CtcTeacher(str(path), network, stored.details)

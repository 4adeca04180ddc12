"""Networks that teach an ear: other ears, wav2vec 2.0 and its kin with a CTC head of characters, or a graph.

All of them hear samples, whole utterances with the full context, at rows of their own. Networks answer in the
ear's characters; a graph (:mod:`galago.models.training.ear.graph_teacher`) has hidden states only.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from galago.models.checkpoint import load_network
from galago.models.ear import Ear
from galago.models.tokenizer import TOKENS
from galago.models.training.checkpoints import CheckpointError, load
from galago.models.training.distill.alignment import WAV2VEC2_CLOCK, RowClock
from galago.models.training.distill.layers import block_names, tapped
from galago.models.training.ear.checkpoint import load_model
from galago.models.training.ear.graph_teacher import GraphTeacher, is_graph
from galago.models.training.ear.teacher import EarTeacher, Taught
from galago.models.wav2vec2 import Wav2Vec2
from galago.models.wav2vec2_conformer import Wav2Vec2Conformer

__all__ = [
    "CtcTeacher",
    "EarAsTeacher",
    "NetworkTeacher",
    "clock_of",
    "load_teacher",
    "lookahead_of",
    "token_columns",
]


class NetworkTeacher(EarTeacher):
    """One of galago's own networks."""

    network: nn.Module

    @property
    def blocks(self) -> list[str]:
        """See :class:`EarTeacher`."""
        return block_names(self.network)

    @property
    def width(self) -> int:
        """See :attr:`EarTeacher.width`."""
        config: Any = self.network.config
        return int(config.width)

    @property
    def attention_width(self) -> int:
        """See :attr:`EarTeacher.attention_width`."""
        config: Any = self.network.config
        return int(getattr(config, "attention_width", config.width))

    def hear(self, samples: Tensor, num_samples: Tensor, taps: Sequence[str] = ()) -> Taught:
        """See :meth:`EarTeacher.hear`."""
        with tapped(self.network, taps) as hidden:
            token_logits, phone_logits, num_rows = self._answers(samples, num_samples)
        return Taught(token_logits, phone_logits, num_rows, hidden)

    @abstractmethod
    def _answers(self, samples: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """The first three fields of :class:`Taught`."""


class EarAsTeacher(NetworkTeacher):
    """Another ear, of any width, depth and family, with the full context."""

    has_phones = True

    def __init__(self, name: str, network: Ear) -> None:
        self.name, self.network, self._ear = name, network, network
        self._front_end = network.front_end
        self.clock = clock_of(network)
        self.lookahead_tokens = lookahead_of(network)

    def _answers(self, samples: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        front = self._front_end
        num_frames = (num_samples - front.window_samples) // front.hop_samples + 1
        with torch.autocast(samples.device.type, enabled=False):  # energies lose their digits in bfloat16
            features = front(samples)
        output = self._ear(features, num_frames)
        return output.token_logits, output.phone_logits, output.num_tokens


def clock_of(network: Ear) -> RowClock:
    """When an ear's tokens hear."""
    front = network.front_end
    return RowClock(front.token_centre_samples, front.token_samples)


def lookahead_of(network: nn.Module) -> int:
    """Tokens by which the rows of its blocks lag behind its answers."""
    return int(getattr(network.config, "lookahead_tokens", 0))


class CtcTeacher(NetworkTeacher):
    """wav2vec 2.0, HuBERT or wav2vec 2.0's Conformer, as published.

    Raises:
        CheckpointError: its characters are not those of an ear.
    """

    has_phones = False
    clock = WAV2VEC2_CLOCK

    def __init__(self, name: str, network: Wav2Vec2 | Wav2Vec2Conformer, details: Mapping[str, Any]) -> None:
        self.name, self.network = name, network
        if network.encoder.samples_per_row != self.clock.step_samples:
            raise CheckpointError(
                f"{name}: hears a row every {network.encoder.samples_per_row} samples, "
                f"not every {self.clock.step_samples}"
            )
        columns = token_columns(
            details.get("tokens", ()), details.get("blank", 0), details.get("word_separator", "|"), name
        )
        self._columns = torch.tensor(columns, device=network.head.weight.device)

    def _answers(self, samples: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        scores = self.network(samples, num_samples)
        return scores.logits[..., self._columns], None, scores.num_tokens


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
    """The teacher in a run's ``model.pt``, in a galago model file, or in a graph of ONNX or ORT.

    Raises:
        CheckpointError: the file is damaged, or what it holds cannot teach an ear.
        ImportError: a graph, and onnxruntime is not installed.
    """
    if is_graph(path):
        return GraphTeacher(path, device)
    kind = load(path).get("role", "ear")
    if kind == "ear":
        return EarAsTeacher(str(path), load_model(path).to(device).requires_grad_(False))
    if kind not in ("wav2vec2", "wav2vec2-conformer"):
        raise CheckpointError(f"{path}: a network of the kind {kind!r} cannot teach an ear")
    stored = load_network(path)
    network = stored.network.to(device).requires_grad_(False)
    assert isinstance(network, Wav2Vec2 | Wav2Vec2Conformer)
    return CtcTeacher(str(path), network, stored.details)

"""What an ear's teacher is: something that hears whole utterances, and says what it thinks of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from galago.models.training.distill.alignment import RowClock

__all__ = ["EarTeacher", "Taught"]


@dataclass(frozen=True)
class Taught:
    """What a teacher says of a batch at its own rows, of which ``num_rows`` (B,) are valid.

    ``token_logits`` (B, R, 29), in the order of TOKENS, and ``phone_logits`` (B, R, 40) are unnormalised
    scores, None where a teacher has no such head; ``hidden`` has (B, R, C) of each name that was asked for.
    """

    token_logits: Tensor | None
    phone_logits: Tensor | None
    num_rows: Tensor
    hidden: Mapping[str, Tensor] = field(default_factory=dict)


class EarTeacher(ABC):
    """Whoever teaches: never trained, in evaluation mode; messages call it by ``name``, its file.

    Attributes:
        clock: when its rows hear.
        blocks: names of what can be asked of it as hidden states, in their order.
        lookahead_tokens: by how many rows its hidden states lag behind its answers.
    """

    name: str
    clock: RowClock
    has_phones: bool
    has_tokens: bool = True
    lookahead_tokens: int = 0

    @property
    @abstractmethod
    def blocks(self) -> list[str]: ...

    @property
    @abstractmethod
    def width(self) -> int:
        """Of the hidden states."""

    @property
    @abstractmethod
    def attention_width(self) -> int | None:
        """Of queries, keys and values; None where they cannot be asked for."""

    @abstractmethod
    def hear(self, samples: Tensor, num_samples: Tensor, taps: Sequence[str] = ()) -> Taught:
        """Whole utterances (B, N) at 16 kHz, padded with anything after ``num_samples`` (B,).

        Args:
            taps: what the answer's ``hidden`` is to have: names out of ``blocks``, or, where there is an
                ``attention_width``, ``BLOCK.attention.query`` and its like.
        """

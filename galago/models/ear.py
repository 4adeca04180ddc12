"""What every ear is, whatever its network: frames in, rows of phones and of tokens out, states in between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from galago.models.front_end import FrontEnd
from galago.models.tokenizer import PHONES, TOKENS

__all__ = ["Ear", "EarConfig", "EarOutput", "States"]

States = dict[str, Tensor]


class EarConfig(Protocol):
    """What packing and training ask of a network's shape."""

    @property
    def front_end(self) -> FrontEnd: ...
    @property
    def width(self) -> int: ...
    @property
    def num_blocks(self) -> int: ...
    @property
    def left_context_tokens(self) -> int: ...
    @property
    def lookahead_tokens(self) -> int: ...
    @property
    def num_phones(self) -> int: ...
    @property
    def num_tokens(self) -> int: ...
    def as_dict(self) -> dict[str, Any]: ...


class EarOutput(NamedTuple):
    """Unnormalised scores. ``num_tokens`` (B,) counts the valid rows of each utterance."""

    phone_logits: Tensor  # (B, T, num_phones)
    token_logits: Tensor  # (B, T, num_tokens)
    num_tokens: Tensor  # (B,)
    rows: Tensor | None = None  # (B, T', C) of the encoder, where a decoder writes of them


class Ear(nn.Module, ABC):
    """A streaming CTC network with a phone head and a token head.

    ``forward`` hears whole utterances, under the masks of a stream or with the full context;
    ``forward_chunk`` hears a stream. A stream and the whole under its masks are equal to rounding.

    Attributes:
        family: of networks, for people.
        phones, tokens: names of the rows of both heads, the CTC blank first; the first phone is silence.
        chunk_step_tokens: a chunk has a multiple of so many tokens.
    """

    config: EarConfig
    family: str
    chunk_step_tokens: int = 1
    phones: tuple[str, ...] = PHONES
    tokens: tuple[str, ...] = TOKENS

    @property
    def front_end(self) -> FrontEnd:
        """What makes the frames that this network hears."""
        return self.config.front_end

    def know_data(self, frames: Tensor) -> None:  # noqa: B027
        """Take over statistics of the frames (N, values_per_frame) that will be trained with, if any."""

    @abstractmethod
    def forward(
        self,
        features: Tensor,
        num_frames: Tensor,
        *,
        chunk_tokens: int | None = None,
        left_context_tokens: int | None = None,
    ) -> EarOutput:
        """Hear whole utterances.

        Args:
            features: frames (B, T, values_per_frame), padded with anything after ``num_frames`` (B,).
            chunk_tokens: tokens in a chunk of the stream that is imitated; ``None``: the full context.
            left_context_tokens: by default the configuration's; without chunks it is not limited.

        Returns:
            scores of ceil(T / frames_per_token) tokens; a stream's lag is taken out.
        """

    def row_shape(self, chunk_tokens: int) -> tuple[int, int] | None:
        """Rows of a chunk and their width, where a decoder writes of them; else nothing."""
        return None

    def forward_chunk_rows(
        self, features: Tensor, keep: Tensor, states: States
    ) -> tuple[Tensor, Tensor, Tensor, States]:
        """As :meth:`forward_chunk`, with the encoder's rows (B, *row_shape) behind both heads' answers.

        Raises:
            NotImplementedError: there is no decoder, and :meth:`row_shape` says so.
        """
        raise NotImplementedError(f"an ear of the family {self.family} has no rows for a decoder")

    @abstractmethod
    def initial_states(self, batch: int = 1) -> States:
        """Everything a stream remembers, all zeros at its start. Keys name the state, the first axis is B."""

    @abstractmethod
    def forward_chunk(self, features: Tensor, keep: Tensor, states: States) -> tuple[Tensor, Tensor, States]:
        """Hear the next chunk of a stream. Pure: state in, state out; every shape is fixed by the chunk.

        Args:
            features: frames (B, frames_per_token * chunk_tokens, values_per_frame).
            keep: (1,), 1 to go on, 0 to forget ``states`` first (start of a stream, a gap in the input).
            states: :meth:`initial_states` or what the last call returned.

        Returns:
            natural-log probabilities of phones (B, chunk_tokens, num_phones) and of tokens
            (B, chunk_tokens, num_tokens), and the new states. Rows lag by ``config.lookahead_tokens``.
        """

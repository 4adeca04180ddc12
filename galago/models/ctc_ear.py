"""A published CTC network as an ear: characters from its head, and voice from what the head is sure of.

An ear has a phone head, whose silence serves voice activity. A published wav2vec 2.0 or HuBERT with a CTC
head has only characters, and puts out most of them as single rows between blanks. So its "phone head" has two
rows, SIL and VOICE: there is voice where, within the last ``voice_hold_tokens``, a row was no blank and no
space::

    characters    _ _ h _ e l _ l o _ _ _ _ _ _ _ _ _ _ _
    VOICE         . . 1 1 1 1 1 1 1 1 1 1 1 1 . . . . . .       held for 6 tokens

A voice therefore ends ``voice_hold_tokens`` late. Grammars, wake phrases and words of a lexicon need phones,
and such an ear has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.ear import Ear, EarOutput, States
from galago.models.front_end import RawFrontEnd
from galago.models.wav2vec2 import Wav2Vec2, Wav2Vec2Config

__all__ = ["CtcEar", "CtcEarConfig", "published_tokens"]

VOICE_HOLD_TOKENS = 15  # 300 ms: a second of speech has about 14 characters, unevenly spread
_SURE = 1e-4  # probabilities stay this far from 0 and 1


def published_tokens(details: Mapping[str, Any]) -> dict[str, int]:
    """The tokens of an ear to rows of a published head, the blank first.

    The word separator becomes a space, and the symbols that no text holds (``<s>``, ``</s>``, ``<unk>``) are
    left out. Letters that are all capitals become small ones.

    Args:
        details: of an imported network: ``tokens`` by row, ``blank``, ``word_separator``.

    Raises:
        ValueError: two rows would be the same token, or none is left beside the blank.
    """
    names, blank, separator = list(details["tokens"]), int(details["blank"]), details["word_separator"]
    spoken = {row: " " if name == separator else str(name) for row, name in enumerate(names) if row != blank}
    spoken = {
        row: name
        for row, name in spoken.items()
        if not (len(name) > 2 and name[0] in "<[" and name[-1] in ">]")
    }
    if all(name == name.upper() for name in spoken.values()):
        spoken = {row: name.lower() for row, name in spoken.items()}
    found = {"<blank>": blank}
    for row, name in spoken.items():
        if name in found:
            raise ValueError(f"rows {found[name]} and {row} of the head are both {name!r}")
        found[name] = row
    if len(found) < 2:
        raise ValueError(f"the head has no token beside its blank {names[blank]!r}")
    return found


@dataclass(frozen=True)
class CtcEarConfig:
    """What an ear tells of its shape; the network's own is ``network``."""

    network: Wav2Vec2Config
    num_tokens: int
    voice_hold_tokens: int = VOICE_HOLD_TOKENS
    num_phones: int = 2

    @property
    def front_end(self) -> RawFrontEnd:
        return self.network.front_end

    @property
    def width(self) -> int:
        return self.network.width

    @property
    def num_blocks(self) -> int:
        return self.network.num_blocks

    @property
    def left_context_tokens(self) -> int:
        return self.network.left_context_tokens

    @property
    def lookahead_tokens(self) -> int:
        return self.network.position_lookahead_tokens

    def as_dict(self) -> dict[str, Any]:
        return {**self.network.as_dict(), "num_tokens": self.num_tokens}


class CtcEar(Ear):
    """A :class:`Wav2Vec2` with the tokens of its head in the order of an ear.

    Args:
        network: its head is exchanged for one without the rows that are left out.
        rows: the ear's tokens, the blank first, to rows of the network's head.
    """

    config: CtcEarConfig
    family = "wav2vec 2.0, characters only"
    phones = ("SIL", "VOICE")

    def __init__(
        self, network: Wav2Vec2, rows: Mapping[str, int], *, voice_hold_tokens: int = VOICE_HOLD_TOKENS
    ) -> None:
        super().__init__()
        self.tokens = tuple(rows)
        self.config = CtcEarConfig(network.config, len(rows), voice_hold_tokens)
        self.network = network
        self.head = _picked(network.head, list(rows.values()))
        self._silent = [i for i, token in enumerate(self.tokens) if i == 0 or token == " "]

    def _voice(self, token_log_probs: Tensor, exists: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities (B, T, 2) of SIL and VOICE; ``cache`` (B, hold - 1) has the tokens before."""
        silence = token_log_probs[..., self._silent].exp().sum(-1)
        said = torch.cat([cache, (1.0 - silence) * exists], dim=1)  # (B, hold - 1 + T)
        hold = self.config.voice_hold_tokens
        held = F.max_pool1d(said[:, None], hold, stride=1)[:, 0].clamp(_SURE, 1.0 - _SURE)
        return torch.stack([1.0 - held, held], dim=-1).log(), said[:, exists.shape[1] :]

    def forward(
        self,
        features: Tensor,
        num_frames: Tensor,
        *,
        chunk_tokens: int | None = None,
        left_context_tokens: int | None = None,
    ) -> EarOutput:
        """See :meth:`Ear.forward`; frames are (B, T, 320) samples."""
        encoded = self.network.encode_frames(features, num_frames, chunk_tokens, left_context_tokens)
        logits = self.head(encoded.blocks[-1])
        nothing = logits.new_zeros(len(logits), self.config.voice_hold_tokens - 1)
        voice = self._voice(torch.log_softmax(logits, -1), torch.ones_like(logits[..., 0]), nothing)[0]
        return EarOutput(voice, logits, encoded.num_tokens)

    def initial_states(self, batch: int = 1) -> States:
        """See :meth:`Wav2Vec2.initial_states`; ``voice`` are the tokens that are held."""
        states = self.network.initial_states(batch)
        return {**states, "voice": self.head.weight.new_zeros(batch, self.config.voice_hold_tokens - 1)}

    def forward_chunk(self, features: Tensor, keep: Tensor, states: States) -> tuple[Tensor, Tensor, States]:
        """See :meth:`Ear.forward_chunk`; frames are (B, chunk_tokens, 320) samples."""
        inner = {name: state for name, state in states.items() if name != "voice"}
        encoded, new = self.network.encode_chunk(features.flatten(1), keep, inner)
        tokens = torch.log_softmax(self.head(encoded.blocks[-1]), -1)
        voice, said = self._voice(tokens, encoded.exists, states["voice"] * keep)
        return voice, tokens, {**new, "voice": said}


def _picked(head: nn.Linear, rows: Sequence[int]) -> nn.Linear:
    picked = nn.Linear(head.in_features, len(rows))
    with torch.no_grad():
        picked.weight.copy_(head.weight[list(rows)])
        picked.bias.copy_(head.bias[list(rows)])
    return picked

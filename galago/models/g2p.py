"""Letters to phones for words that no dictionary holds: a small non-autoregressive transformer with CTC.

    letters   ^ g a l a g o $          boundary marks are letters too
    blocks    attention over all letters, depthwise convolution, feed-forward
    slots     two for every letter: a blank or a phone, vowels with their stress
    phones    G AH0 L EY1 G OW0        greedy: repeats merged, blanks dropped

All slots are decided at once, so that a word costs one pass. What independent decisions lose, a passage of
self-conditioning gives back: after some blocks the network's own present answer is added to its input
(Nozaki and Komatsu, "Relaxing the conditional independence assumption of CTC-based ASR by conditioning on
intermediate predictions", 2021). Positions are known by a learned bias of the attention for each distance.

The native core runs the same network from the file that ``galago.quantize.g2p`` writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.runtime.language.letter_alignment import LETTER_INDEX, LETTERS
from galago.runtime.language.phones import Pronunciation

__all__ = ["MAX_LETTERS", "G2p", "G2pConfig", "G2pOutput", "encode_letters", "greedy_phones"]

MAX_LETTERS = 48
"""Letters of the longest word that is read; a longer one is read in pieces."""

NO_LETTER, OPENING, CLOSING = 0, 1, 2  # then the letters, from 3
FIRST_LETTER = 3
NUM_SYMBOLS = FIRST_LETTER + len(LETTERS)
BLANK = 0  # of CTC; phone i of the alphabet is label i + 1


@dataclass(frozen=True)
class G2pConfig:
    """Shape of the network. ``condition_after`` counts blocks: 1 means after the first."""

    num_phones: int
    width: int = 128
    num_layers: int = 4
    num_heads: int = 4
    feed_forward: int = 256
    kernel: int = 5
    max_distance: int = 8
    slots: int = 2
    condition_after: tuple[int, ...] = (2,)
    dropout: float = 0.0  # the dictionary is large for so small a network

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError(f"width {self.width} is no multiple of num_heads {self.num_heads}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} must be odd")
        if any(not 0 < layer < self.num_layers for layer in self.condition_after):
            raise ValueError(
                f"condition_after {self.condition_after} must lie inside {self.num_layers} layers"
            )

    @property
    def num_labels(self) -> int:
        """Phones and the blank."""
        return self.num_phones + 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)


class G2pOutput(NamedTuple):
    """``logits`` (B, S, V) with S = slots of all letters, ``num_slots`` (B,); ``intermediate`` as logits."""

    logits: Tensor
    num_slots: Tensor
    intermediate: list[Tensor]


class _Attention(nn.Module):
    """Attention over all letters with a learned bias for each head and each clipped distance."""

    def __init__(self, config: G2pConfig) -> None:
        super().__init__()
        self.num_heads, self.max_distance = config.num_heads, config.max_distance
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.bias = nn.Parameter(torch.zeros(config.num_heads, 2 * config.max_distance + 1))

    def forward(self, x: Tensor, is_padding: Tensor) -> Tensor:
        batch, length, width = x.shape
        heads = self.qkv(x).view(batch, length, 3, self.num_heads, width // self.num_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # each (B, H, L, D)
        steps = torch.arange(length, device=x.device)
        distance = (steps[None, :] - steps[:, None]).clamp(-self.max_distance, self.max_distance)
        mask = self.bias[:, distance + self.max_distance].to(q.dtype)  # (H, L, L)
        mask = mask[None].masked_fill(is_padding[:, None, None, :], -1e4)  # (B, H, L, L)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        projected: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return projected


class _DepthwiseConvolution(nn.Module):
    """Each channel over neighbouring letters, as a sum of shifted products.

    For so few positions that is several times faster, most of all backwards, than a convolution of groups.
    """

    def __init__(self, config: G2pConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(config.kernel, config.width) * config.kernel**-0.5)
        self.bias = nn.Parameter(torch.zeros(config.width))

    def forward(self, x: Tensor) -> Tensor:
        kernel, length = self.weight.shape[0], x.shape[1]
        padded = F.pad(x, (0, 0, kernel // 2, kernel // 2))  # (B, L + kernel - 1, C)
        weight = self.weight.to(x.dtype)
        out: Tensor = self.bias.to(x.dtype).expand_as(x)
        for tap in range(kernel):
            out = out + padded[:, tap : tap + length] * weight[tap]
        return out


class _Block(nn.Module):
    """Pre-norm residual: attention, depthwise convolution, feed-forward."""

    def __init__(self, config: G2pConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = _Attention(config)
        self.convolution_norm = nn.LayerNorm(config.width)
        self.convolution = _DepthwiseConvolution(config)
        self.feed_forward_norm = nn.LayerNorm(config.width)
        self.expand = nn.Linear(config.width, config.feed_forward)
        self.contract = nn.Linear(config.feed_forward, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, is_padding: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), is_padding))
        inside = self.convolution_norm(x).masked_fill(is_padding[..., None], 0.0)
        x = x + self.dropout(F.relu(self.convolution(inside)))
        inside = F.relu(self.expand(self.feed_forward_norm(x)))
        out: Tensor = x + self.dropout(self.contract(inside))
        return out


class G2p(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: G2pConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(NUM_SYMBOLS, config.width, padding_idx=NO_LETTER)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.slots * config.num_labels)
        self.condition = nn.Linear(config.slots * config.num_labels, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, letters: Tensor) -> G2pOutput:
        """``letters`` (B, L) int64 from :func:`encode_letters`, padded with ``NO_LETTER`` at the end."""
        is_padding = letters == NO_LETTER
        x = self.dropout(self.embedding(letters))  # (B, L, C)
        intermediate: list[Tensor] = []
        for layer, block in enumerate(self.blocks, start=1):
            x = block(x, is_padding)
            if layer in self.config.condition_after:
                logits = self._logits(x)
                intermediate.append(logits.flatten(1, 2))
                x = x + self.condition(logits.softmax(-1).flatten(2).to(x.dtype))
        num_slots = (~is_padding).sum(dim=1) * self.config.slots
        return G2pOutput(self._logits(x).flatten(1, 2), num_slots, intermediate)

    def _logits(self, x: Tensor) -> Tensor:
        """(B, L, slots, V), always float32: probabilities of half precision would be coarse."""
        logits: Tensor = self.head(self.norm(x)).float()
        return logits.view(*logits.shape[:2], self.config.slots, self.config.num_labels)


def encode_letters(word: str) -> list[int]:
    """Symbols of a word over ``a``-``z`` and the apostrophe, with its boundary marks.

    Raises ValueError for another character, for an empty word and for more than ``MAX_LETTERS`` letters.
    """
    if not 0 < len(word) <= MAX_LETTERS:
        raise ValueError(f"{word!r} has {len(word)} letters, expected 1 to {MAX_LETTERS}")
    for letter in word:
        if letter not in LETTER_INDEX:
            raise ValueError(f"{word!r} holds {letter!r}; only a to z and the apostrophe are read")
    return [OPENING, *(FIRST_LETTER + LETTER_INDEX[letter] for letter in word), CLOSING]


def greedy_phones(labels: Sequence[int], phones: Sequence[str]) -> Pronunciation:
    """The phones of the best label of each slot: repeats merged, blanks dropped."""
    merged = [label for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    return tuple(phones[label - 1] for label in merged if label != BLANK)

"""The ear: a Conformer encoder (Gulati et al. 2020) with causal chunked attention and two CTC heads.

``forward`` hears whole utterances with the masks of a stream, ``forward_chunk`` hears a stream; they are
equal to rounding, for every chunk size, because one set of weights is trained with chunk sizes drawn at
random (dynamic chunk training: Zhang et al. 2020, "Unified Streaming and Non-streaming Two-pass End-to-end
Model for Speech Recognition", section 2.3).

The *phone* head stands on a middle block and its posteriors are fed back into the blocks above
(self-conditioned CTC, Nozaki and Komatsu 2021); the *token* head stands on the last. Index 0 is the CTC
blank of both; for phones it is silence as well, so that "nothing is said" has one name for decoding and for
voice activity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.attention import MASKED, RelativeAttention, relative_positions
from galago.models.convolution import CausalConvolutionModule, ConvolutionSubsampling, LookaheadConvolution
from galago.models.ear import Ear, EarOutput, States
from galago.models.front_end import LogMelFrontEnd
from galago.models.masks import chunk_mask, padding_mask
from galago.models.network_config import NetworkConfig

__all__ = ["PRESETS", "Conformer", "ConformerConfig", "EarOutput", "States"]

SUBSAMPLING_FACTOR = 4


@dataclass(frozen=True)
class ConformerConfig(NetworkConfig):
    """Shape of the network; stored inside every checkpoint."""

    width: int = 144
    num_blocks: int = 7
    num_heads: int = 4
    feed_forward_factor: int = 4
    kernel_tokens: int = 15
    subsampling_channels: tuple[int, int] = (32, 64)
    phone_block: int = 5  # the phone head reads the output of this many blocks
    left_context_tokens: int = 64
    lookahead_tokens: int = 0
    num_mels: int = 80
    num_phones: int = 40
    num_tokens: int = 29
    dropout: float = 0.0  # SpecAugment and noise regularise enough; drawing masks costs a third of a CPU step
    head_width: int = 0  # 0: width / num_heads; of a network whose heads were thinned out, what they had

    def __post_init__(self) -> None:
        self._freeze("subsampling_channels")
        self._check_counts("lookahead_tokens", "head_width")
        if len(self.subsampling_channels) != 2 or min(self.subsampling_channels) < 1:
            raise ValueError(f"subsampling_channels must be two counts, got {self.subsampling_channels}")
        if (self.head_width == 0 and self.width % self.num_heads) or self.width % 2:
            raise ValueError(f"width {self.width} must be even and a multiple of num_heads {self.num_heads}")
        if self.num_mels % 4:
            raise ValueError(f"num_mels {self.num_mels} is no multiple of 4")
        self._check_shares("dropout")
        if not 1 <= self.phone_block <= self.num_blocks:
            raise ValueError(f"phone_block {self.phone_block} is not among {self.num_blocks} blocks")

    @property
    def front_end(self) -> LogMelFrontEnd:
        return LogMelFrontEnd()

    @property
    def attention_width(self) -> int:
        """Of queries, keys and values: all heads side by side."""
        return self.num_heads * (self.head_width or self.width // self.num_heads)


#: Networks by their number of parameters.
PRESETS: dict[str, ConformerConfig] = {
    "3m": ConformerConfig(width=144, num_blocks=6, num_heads=4, phone_block=4),
    "4m": ConformerConfig(width=144, num_blocks=7, num_heads=4, phone_block=5),
    "10m": ConformerConfig(width=192, num_blocks=11, num_heads=4, phone_block=8),
    "30m": ConformerConfig(width=288, num_blocks=15, num_heads=8, phone_block=11),
}


class FeedForward(nn.Module):
    """LayerNorm -> expand -> Swish -> project; the block adds half of it (macaron)."""

    def __init__(self, width: int, factor: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, factor * width)
        self.project = nn.Linear(factor * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dropout(self.project(self.dropout(F.silu(self.expand(self.norm(x))))))
        return y


class ConformerBlock(nn.Module):
    """Half feed-forward, attention, causal convolution, half feed-forward, LayerNorm."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        width, dropout = config.width, config.dropout
        self.feed_forward1 = FeedForward(width, config.feed_forward_factor, dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = RelativeAttention(width, config.num_heads, dropout, head_width=config.head_width)
        self.convolution_norm = nn.LayerNorm(width)
        self.convolution = CausalConvolutionModule(width, config.kernel_tokens, dropout)
        self.feed_forward2 = FeedForward(width, config.feed_forward_factor, dropout)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, positions: Tensor, bias: Tensor) -> Tensor:
        x = x + 0.5 * self.feed_forward1(x)
        x = x + self.dropout(self.attention(self.attention_norm(x), positions, bias))
        x = x + self.convolution(self.convolution_norm(x))
        x = x + 0.5 * self.feed_forward2(x)
        return self.norm(x)  # type: ignore[no-any-return]

    def forward_chunk(
        self, x: Tensor, key: Tensor, value: Tensor, conv: Tensor, positions: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = x + 0.5 * self.feed_forward1(x)
        y, key, value = self.attention.forward_chunk(self.attention_norm(x), key, value, positions, bias)
        x = x + y
        y, conv = self.convolution.forward_chunk(self.convolution_norm(x), conv)
        x = x + y
        x = x + 0.5 * self.feed_forward2(x)
        return self.norm(x), key, value, conv


class Conformer(Ear):
    """Features in, phone and token scores out.

    The mean and the standard deviation of each mel band over the training data live inside the network
    (``mean``, ``std``), so an exported graph takes raw log-mel energies.
    """

    config: ConformerConfig
    family = "Conformer"
    mean: Tensor
    std: Tensor

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.full((config.num_mels,), -6.0))
        self.register_buffer("std", torch.full((config.num_mels,), 4.0))
        self.subsampling = ConvolutionSubsampling(config.num_mels, config.subsampling_channels, config.width)
        self.lookahead = (
            LookaheadConvolution(config.width, config.lookahead_tokens) if config.lookahead_tokens else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([ConformerBlock(config) for _ in range(config.num_blocks)])
        self.phone_head = nn.Linear(config.width, config.num_phones)
        self.phone_feedback = nn.Linear(config.num_phones, config.width)
        self.token_head = nn.Linear(config.width, config.num_tokens)

    def know_data(self, frames: Tensor) -> None:
        """Mean and deviation of each mel band."""
        self.mean.copy_(frames.mean(dim=0))
        self.std.copy_(frames.std(dim=0).clamp_min(0.1))

    def forward(
        self,
        features: Tensor,
        num_frames: Tensor,
        *,
        chunk_tokens: int | None = None,
        left_context_tokens: int | None = None,
    ) -> EarOutput:
        """Hear whole utterances, under the mask of a stream of ``chunk_tokens`` (``None``: full context).

        Args:
            features: log-mel energies (B, T, num_mels), padded with anything after ``num_frames``: an
                utterance is heard alike in every batch. (A stream's end is another matter: its last chunk
                is filled up with silence, which is heard.)
            num_frames: (B,) valid frames.
            chunk_tokens: tokens (40 ms each) in a chunk.
            left_context_tokens: by default the configuration's; without chunks it is not limited.

        Returns:
            scores of ceil(T / 4) tokens. Row j belongs to token j: a lookahead's delay is taken out here.
        """
        config = self.config
        if chunk_tokens is not None and left_context_tokens is None:
            left_context_tokens = config.left_context_tokens
        valid_frames = padding_mask(num_frames, features.shape[1])
        x = ((features - self.mean) / self.std).masked_fill(~valid_frames[..., None], 0.0)
        x = F.pad(x, (0, 0, 0, -x.shape[1] % SUBSAMPLING_FACTOR))
        x = self.subsampling(x)  # (B, T', C)
        num_tokens = (num_frames + SUBSAMPLING_FACTOR - 1) // SUBSAMPLING_FACTOR
        delay = config.lookahead_tokens
        if self.lookahead is not None:
            x = x.masked_fill(~padding_mask(num_tokens, x.shape[1])[..., None], 0.0)
            x = F.pad(x, (0, 0, 0, delay))
            x = self.lookahead.forward_chunk(x, x.new_zeros(x.shape[0], delay, x.shape[2]))[0]
        x = self.dropout(x)
        T = x.shape[1]
        positions = relative_positions(T - 1, -(T - 1), config.width).to(x)
        allowed = chunk_mask(T, chunk_tokens, left_context_tokens, x.device)[None, None]
        allowed = allowed & padding_mask(num_tokens + delay, T)[:, None, None, :]
        bias = torch.zeros(allowed.shape, dtype=x.dtype, device=x.device).masked_fill(~allowed, MASKED)
        phone_logits = x  # replaced below: phone_block is within the blocks
        for number, block in enumerate(self.blocks, 1):
            x = block(x, positions, bias)
            if number == config.phone_block:
                phone_logits, x = self._phones(x)
        token_logits = self.token_head(x)
        return EarOutput(phone_logits[:, delay:], token_logits[:, delay:], num_tokens)

    def _phones(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.phone_head(x)
        return logits, x + self.phone_feedback(torch.softmax(logits, dim=-1))

    def initial_states(self, batch: int = 1) -> States:
        """Everything a stream remembers, all zeros at its start. Keys name the state, the first axis is B.

        ``valid`` (B, L) tells which tokens of the left context exist: 0 at the start of a stream.
        """
        config = self.config
        shapes: dict[str, tuple[int, ...]] = {
            f"subsampling.{i}": shape for i, shape in enumerate(self.subsampling.state_shapes())
        }
        if config.lookahead_tokens:
            shapes["lookahead"] = (config.lookahead_tokens, config.width)
        shapes["valid"] = (config.left_context_tokens,)
        for i in range(config.num_blocks):
            shapes[f"block{i}.key"] = (config.left_context_tokens, config.attention_width)
            shapes[f"block{i}.value"] = (config.left_context_tokens, config.attention_width)
            shapes[f"block{i}.conv"] = (config.kernel_tokens - 1, config.width)
        reference = self.phone_head.weight
        return {name: reference.new_zeros(batch, *shape) for name, shape in shapes.items()}

    def forward_chunk(self, features: Tensor, keep: Tensor, states: States) -> tuple[Tensor, Tensor, States]:
        """Hear the next chunk of a stream. Pure: state in, state out; every shape is fixed by the chunk.

        Args:
            features: log-mel energies (B, 4 * chunk_tokens, num_mels).
            keep: (1,), 1 to go on, 0 to forget ``states`` first (start of a stream, a gap in the input).
            states: :meth:`initial_states` or what the last call returned.

        Returns:
            natural-log probabilities of phones (B, chunk_tokens, num_phones) and of tokens
            (B, chunk_tokens, num_tokens), and the new states. With a lookahead of L tokens, the
            rows lag by L: row j of the stream belongs to token j - L.
        """
        config = self.config
        T, L = features.shape[1] // SUBSAMPLING_FACTOR, config.left_context_tokens
        # The key and value caches need no wiping: ``valid`` hides them.
        kept = {n: s if n.endswith((".key", ".value")) else s * keep for n, s in states.items()}
        new: States = {}
        x = (features - self.mean) / self.std
        x, subsampled = self.subsampling.forward_chunk(x, [kept["subsampling.0"], kept["subsampling.1"]])
        new["subsampling.0"], new["subsampling.1"] = subsampled
        if self.lookahead is not None:
            x, new["lookahead"] = self.lookahead.forward_chunk(x, kept["lookahead"])
        valid = torch.cat([kept["valid"], torch.ones_like(x[:, :, 0])], dim=1)  # (B, L + T)
        new["valid"] = valid[:, T:]
        bias = ((1.0 - valid) * MASKED)[:, None, None, :]
        positions = relative_positions(L + T - 1, -(T - 1), config.width).to(x)
        phone_logits = x
        for i, block in enumerate(self.blocks):
            assert isinstance(block, ConformerBlock)  # a ModuleList forgets what it holds
            names = [f"block{i}.key", f"block{i}.value", f"block{i}.conv"]
            key, value, conv = (kept[name] for name in names)
            x, *moved = block.forward_chunk(x, key, value, conv, positions, bias)
            new.update(zip(names, moved, strict=True))
            if i + 1 == config.phone_block:
                phone_logits, x = self._phones(x)
        ordered = {name: new[name] for name in states}
        return torch.log_softmax(phone_logits, -1), torch.log_softmax(self.token_head(x), -1), ordered

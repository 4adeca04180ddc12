"""wav2vec 2.0 (Baevski et al. 2020) and HuBERT (Hsu et al. 2021): a transformer on raw samples, 50 tokens/s.

    samples ──► 7 convolutions ──► norm, linear ──► + convolved positions ──► blocks ──► CTC head
    16 kHz      25 ms every 20 ms                   kernel 128, 16 groups     12 or 24

Both are one network, trained for different targets; BASE has its LayerNorms behind each part, LARGE before.

``forward`` hears whole utterances, as published or under the masks of a stream; ``forward_chunk`` hears a
stream. A stream and the whole under its masks are equal to rounding. What a stream hears differently from
the published network:

- attention sees the chunk and ``left_context_tokens`` before it;
- samples begin with zeros instead of nothing, and statistics over time are running ones: see ``waveform.py``;
- nothing else. The positions' convolution looks ``position_lookahead_tokens`` ahead; a stream waits for them.
  The published 63 tokens are 1.26 s, so a network for a device is trained with fewer, or with none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.attention import MASKED
from galago.models.front_end import RawFrontEnd
from galago.models.masks import chunk_mask, padding_mask
from galago.models.network_config import NetworkConfig
from galago.models.transformer import TransformerBlock
from galago.models.waveform import FeatureEncoder

__all__ = [
    "WAV2VEC2_PRESETS",
    "EncodedChunk",
    "EncodedSpeech",
    "PositionConvolution",
    "SpeechScores",
    "Wav2Vec2",
    "Wav2Vec2Config",
]

States = dict[str, Tensor]


@dataclass(frozen=True)
class Wav2Vec2Config(NetworkConfig):
    """Shape of the network; stored inside every checkpoint. The defaults are BASE's.

    ``position_lookahead_tokens`` is ``(position_kernel_tokens - 1) // 2`` in every published network.
    """

    width: int = 768
    num_blocks: int = 12
    num_heads: int = 12
    feed_forward_width: int = 3072
    convolution_widths: tuple[int, ...] = (512,) * 7
    convolution_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    convolution_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    convolution_norm: str = "group"  # "layer": streams exactly
    has_convolution_bias: bool = False
    normalises_samples: bool = False  # to mean 0 and variance 1, as most published networks expect
    has_projection_norm: bool = True
    position_kernel_tokens: int = 128
    position_groups: int = 16
    position_lookahead_tokens: int = 63
    has_position_norm: bool = False  # BatchNorm before the positions' convolution (some HuBERTs)
    is_norm_first: bool = False
    num_tokens: int = 32  # of the CTC head
    left_context_tokens: int = 128
    norm_horizon_tokens: int = 1500  # 30 s, of a stream's running statistics
    layer_norm_eps: float = 1e-5
    dropout: float = 0.0

    def __post_init__(self) -> None:
        self._freeze("convolution_widths", "convolution_kernels", "convolution_strides")
        self._check_counts("position_lookahead_tokens")
        if self.width % self.num_heads or self.width % self.position_groups:
            raise ValueError(
                f"width {self.width} must be a multiple of num_heads {self.num_heads} "
                f"and of position_groups {self.position_groups}"
            )
        if self.position_lookahead_tokens >= self.position_kernel_tokens:
            raise ValueError(
                f"position_lookahead_tokens {self.position_lookahead_tokens} is outside the kernel of "
                f"{self.position_kernel_tokens} tokens"
            )
        self._check_shares("dropout")

    @property
    def front_end(self) -> RawFrontEnd:
        return RawFrontEnd(self.convolution_kernels, self.convolution_strides)


_LARGE = Wav2Vec2Config(width=1024, num_blocks=24, num_heads=16, feed_forward_width=4096)
_EXACT: dict[str, Any] = {
    "convolution_norm": "layer",
    "has_convolution_bias": True,
    "is_norm_first": True,
}
_SMALL: dict[str, Any] = {**_EXACT, "position_kernel_tokens": 32, "position_lookahead_tokens": 0}

#: The published sizes, and two causal ones for devices by their millions of parameters. ``large`` is the
#: paper's; ``large-stable`` has LayerNorms in the convolutions and before each part, as LARGE on 60,000
#: hours, XLSR and HuBERT LARGE were published.
WAV2VEC2_PRESETS: dict[str, Wav2Vec2Config] = {
    "base": Wav2Vec2Config(),
    "large": _LARGE,
    "large-stable": _LARGE.with_(**_EXACT),
    "hubert-base": Wav2Vec2Config(),
    "hubert-large": _LARGE.with_(**_EXACT),
    "hubert-xlarge": _LARGE.with_(**_EXACT, width=1280, num_blocks=48, feed_forward_width=5120),
    "3m": Wav2Vec2Config(
        **_SMALL,
        width=192,
        num_blocks=6,
        num_heads=4,
        feed_forward_width=768,
        convolution_widths=(96,) * 7,
        num_tokens=29,
    ),
    "9m": Wav2Vec2Config(
        **_SMALL,
        width=288,
        num_blocks=8,
        num_heads=6,
        feed_forward_width=1152,
        convolution_widths=(144,) * 7,
        num_tokens=29,
    ),
}


class SpeechScores(NamedTuple):
    """Unnormalised scores. ``num_tokens`` (B,) counts the valid rows of each utterance."""

    logits: Tensor  # (B, T, config.num_tokens)
    num_tokens: Tensor  # (B,)


class EncodedSpeech(NamedTuple):
    """What stands inside the network; pre-training and distillation read it.

    ``features`` are the convolutions' rows behind their norm, before masking: what a quantizer sees.
    """

    features: Tensor  # (B, T, convolution_widths[-1])
    blocks: tuple[Tensor, ...]  # (B, T, C) behind each block; the last one behind the final norm
    num_tokens: Tensor  # (B,)


class EncodedChunk(NamedTuple):
    """The rows of a chunk, which lag behind its samples by the lookahead."""

    blocks: tuple[Tensor, ...]  # (B, T, C) behind each block; the last one behind the final norm
    exists: Tensor  # (B, T), 1 for a token's row, 0 for the rows before a stream's first token


class PositionConvolution(nn.Module):
    """x + GELU(conv(x)): a grouped convolution tells each token what stands around it.

    ``forward`` sees zeros outside the utterance. ``forward_chunk`` is the same as a delay line: row j of a
    stream belongs to token j - lookahead.
    """

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        width, kernel = config.width, config.position_kernel_tokens
        self.past, self.lookahead = kernel - 1, config.position_lookahead_tokens
        self.norm = nn.BatchNorm1d(width) if config.has_position_norm else None
        self.conv = nn.Conv1d(width, width, kernel, groups=config.position_groups)
        nn.init.normal_(self.conv.weight, std=math.sqrt(4.0 / (kernel * width)))
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def _convolved(self, padded: Tensor, exists: Tensor) -> Tensor:
        """``padded`` (B, past + T, C), ``exists`` (B, past + T), 1 where there is a token -> (B, T, C)."""
        x = padded.transpose(1, 2)
        if self.norm is not None:
            x = self.norm(x)
        return F.gelu(self.conv(x * exists[:, None])).transpose(1, 2)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """``x`` (B, T, C), ``valid`` (B, T) bool -> (B, T, C)."""
        around = (self.past - self.lookahead, self.lookahead)
        padded = F.pad(x, (0, 0, *around))
        return x + self._convolved(padded, F.pad(valid.to(x.dtype), around))

    def forward_chunk(
        self, x: Tensor, exists: Tensor, cache: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The next tokens of a stream.

        Args:
            x: (B, T, C). exists: (B, T), 1 for a token, 0 behind an utterance's end.
            cache: (B, past, C), the tokens before. known: (B, past), 1 where there is one.

        Returns:
            rows delayed by the lookahead (B, T, C), 1 for each that is a token's (B, T), and the caches.
        """
        T, begin = x.shape[1], self.past - self.lookahead
        padded, known = torch.cat([cache, x], dim=1), torch.cat([known, exists], dim=1)
        y = padded[:, begin : begin + T] + self._convolved(padded, known)
        return y, known[:, begin : begin + T], padded[:, T:], known[:, T:]


class Wav2Vec2(nn.Module):
    """Samples of 16 kHz in [-1, 1] in, CTC scores of 50 tokens a second out."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.config = config
        width, eps = config.width, config.layer_norm_eps
        self.encoder = FeatureEncoder(
            config.convolution_widths,
            config.convolution_kernels,
            config.convolution_strides,
            norm=config.convolution_norm,
            has_bias=config.has_convolution_bias,
            normalises_samples=config.normalises_samples,
            horizon_tokens=config.norm_horizon_tokens,
        )
        num_features = config.convolution_widths[-1]
        self.projection_norm = nn.LayerNorm(num_features, eps) if config.has_projection_norm else None
        self.projection = nn.Linear(num_features, width)
        self.mask_embedding = nn.Parameter(torch.empty(width).uniform_())  # stands for masked features
        self.positions = PositionConvolution(config)
        self.norm = nn.LayerNorm(width, eps)  # before the blocks, or behind them where theirs come first
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                config.num_heads,
                config.feed_forward_width,
                is_norm_first=config.is_norm_first,
                dropout=config.dropout,
                layer_norm_eps=eps,
            )
            for _ in range(config.num_blocks)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(width, config.num_tokens)

    @property
    def samples_per_token(self) -> int:
        return self.encoder.samples_per_row

    def _features(
        self, samples: Tensor, num_samples: Tensor, chunk_tokens: int | None
    ) -> tuple[Tensor, Tensor]:
        """The convolutions' rows behind their norm, (B, T, F), and how many of them are valid, (B,)."""
        if chunk_tokens is None:
            rows, num_tokens = self.encoder(samples, num_samples), self.encoder.num_rows(num_samples)
        else:
            samples = samples.masked_fill(~padding_mask(num_samples, samples.shape[1]), 0.0)
            samples = F.pad(samples, (0, -samples.shape[1] % self.samples_per_token))
            shapes = self.encoder.state_shapes()
            zeros = {n: samples.new_zeros(len(samples), *shape) for n, shape in shapes.items()}
            rows = self.encoder.forward_chunk(samples, zeros)[0]
            num_tokens = (num_samples + self.samples_per_token - 1) // self.samples_per_token
        return rows if self.projection_norm is None else self.projection_norm(rows), num_tokens

    def encode(
        self,
        samples: Tensor,
        num_samples: Tensor,
        *,
        chunk_tokens: int | None = None,
        left_context_tokens: int | None = None,
        is_masked: Tensor | None = None,
    ) -> EncodedSpeech:
        """What :meth:`forward` scores; see there.

        Args:
            is_masked: (B, T) bool, tokens whose features are replaced by the mask embedding.
        """
        config = self.config
        features, num_tokens = self._features(samples, num_samples, chunk_tokens)
        T = features.shape[1]
        valid = padding_mask(num_tokens, T)
        x = self.projection(features)
        if is_masked is not None:
            x = torch.where(is_masked[..., None], self.mask_embedding.to(x.dtype), x)
        x = x.masked_fill(~valid[..., None], 0.0)
        x = self.positions(x, valid)
        allowed = valid[:, None, None, :]
        if chunk_tokens is not None:
            if left_context_tokens is None:
                left_context_tokens = config.left_context_tokens
            # Rows of a stream lag: chunks are cut where the stream has them, and row j is token j - lag.
            lag = config.position_lookahead_tokens
            mask = chunk_mask(T + lag, chunk_tokens, left_context_tokens, x.device)
            allowed = allowed & mask[None, None, lag:, lag:]
        bias = torch.zeros(allowed.shape, dtype=x.dtype, device=x.device).masked_fill(~allowed, MASKED)
        x = self.dropout(x if config.is_norm_first else self.norm(x))
        outputs = []
        for block in self.blocks:
            x = block(x, bias)
            outputs.append(x)
        if config.is_norm_first:
            outputs[-1] = self.norm(x)
        return EncodedSpeech(features, tuple(outputs), num_tokens)

    def encode_frames(
        self, frames: Tensor, num_frames: Tensor, chunk_tokens: int | None, left_context_tokens: int | None
    ) -> EncodedSpeech:
        """What an ear makes of frames (B, T, samples_per_token): T rows, as a stream has them.

        Without ``chunk_tokens`` it is one chunk of everything: convolutions hear as in a stream, attention
        sees all.
        """
        return self.encode(
            frames.flatten(1),
            num_frames * self.samples_per_token,
            chunk_tokens=chunk_tokens or frames.shape[1] + self.config.position_lookahead_tokens,
            left_context_tokens=left_context_tokens,
        )

    def forward(
        self,
        samples: Tensor,
        num_samples: Tensor,
        *,
        chunk_tokens: int | None = None,
        left_context_tokens: int | None = None,
    ) -> SpeechScores:
        """Hear whole utterances.

        Args:
            samples: (B, N), padded with anything after ``num_samples``: an utterance is heard alike in every
                batch.
            num_samples: (B,) valid samples.
            chunk_tokens: tokens (20 ms each) in a chunk of the stream that is imitated; ``None``: as
                published, where N samples give (N - 400) // 320 + 1 tokens.
            left_context_tokens: by default the configuration's; without chunks it is not limited.

        Returns:
            scores of T tokens; with chunks T = ceil(N / 320), and row j is token j: the stream's lag is
            taken out.

        Raises:
            ValueError: without chunks, fewer samples than one token hears.
        """
        encoded = self.encode(
            samples, num_samples, chunk_tokens=chunk_tokens, left_context_tokens=left_context_tokens
        )
        return SpeechScores(self.head(self.dropout(encoded.blocks[-1])), encoded.num_tokens)

    def initial_states(self, batch: int = 1) -> States:
        """Everything a stream remembers, all zeros at its start. Keys name the state, the first axis is B.

        ``valid`` (B, L) and ``known`` tell which remembered rows exist: 0 at the start of a stream.
        """
        config = self.config
        shapes = {f"encoder.{name}": shape for name, shape in self.encoder.state_shapes().items()}
        shapes["position"] = (self.positions.past, config.width)
        shapes["known"] = (self.positions.past,)
        shapes["valid"] = (config.left_context_tokens,)
        for i in range(config.num_blocks):
            shapes[f"block{i}.key"] = (config.left_context_tokens, config.width)
            shapes[f"block{i}.value"] = (config.left_context_tokens, config.width)
        return {name: self.head.weight.new_zeros(batch, *shape) for name, shape in shapes.items()}

    def forward_chunk(self, samples: Tensor, keep: Tensor, states: States) -> tuple[Tensor, States]:
        """Hear the next chunk of a stream. Pure: state in, state out; every shape is fixed by the chunk.

        Args:
            samples: (B, 320 * chunk_tokens).
            keep: (1,), 1 to go on, 0 to forget ``states`` first (start of a stream, a gap in the input).
            states: :meth:`initial_states` or what the last call returned.

        Returns:
            natural-log probabilities (B, chunk_tokens, num_tokens), which lag by
            ``config.position_lookahead_tokens`` rows, and the new states. The first rows, which belong to no
            token, hold no meaning.
        """
        encoded, new = self.encode_chunk(samples, keep, states)
        return torch.log_softmax(self.head(encoded.blocks[-1]), dim=-1), new

    def encode_chunk(self, samples: Tensor, keep: Tensor, states: States) -> tuple[EncodedChunk, States]:
        """What :meth:`forward_chunk` scores; see there."""
        config = self.config
        # The key and value caches need no wiping: ``valid`` hides them.
        kept = {n: s if n.endswith((".key", ".value")) else s * keep for n, s in states.items()}
        remembered = {name: kept[f"encoder.{name}"] for name in self.encoder.state_shapes()}
        features, remembered = self.encoder.forward_chunk(samples, remembered)
        new: States = {f"encoder.{name}": state for name, state in remembered.items()}
        x = self.projection(features if self.projection_norm is None else self.projection_norm(features))
        exists = torch.ones_like(x[:, :, 0])
        x, exists, new["position"], new["known"] = self.positions.forward_chunk(
            x, exists, kept["position"], kept["known"]
        )
        valid = torch.cat([kept["valid"], exists], dim=1)  # (B, L + T)
        new["valid"] = valid[:, x.shape[1] :]
        bias = ((1.0 - valid) * MASKED)[:, None, None, :]
        x = x if config.is_norm_first else self.norm(x)
        outputs = []
        for i, block in enumerate(self.blocks):
            assert isinstance(block, TransformerBlock)  # a ModuleList forgets what it holds
            key, value = f"block{i}.key", f"block{i}.value"
            x, new[key], new[value] = block.forward_chunk(x, kept[key], kept[value], bias)
            outputs.append(x)
        if config.is_norm_first:
            outputs[-1] = self.norm(x)
        return EncodedChunk(tuple(outputs), exists), {name: new[name] for name in states}

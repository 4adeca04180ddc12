"""Transformer TTS (Li et al. 2019): an autoregressive network from phones to mel, FastSpeech's teacher.

It draws one frame after the other, each from all before it, and decides itself when to stop; where attention
slips, words are skipped or repeated. That, and the time of a step for every frame, is what FastSpeech does
away with, and what it is measured against::

    phones ──► embedding, 3 convolutions ──► + positions ──► encoder blocks ─┐ memory
    frames so far ──► 2-layer prenet ──► + positions ──► decoder blocks ◄────┘ ──► frame, stop, pitch
                                                                                    └► postnet

Both front ends are the published ones: the convolutions stand in for the phrases that characters or phones
alone do not show, the prenet's narrow layers with dropout keep the decoder from copying the last frame, and
positions are sines scaled by a learned factor, because text and frames run at different rates. Blocks
normalise first (Xiong et al. 2020), where the paper normalised last: a long warm-up is then not needed. Pitch
and voicing of each frame are drawn beside it, for the vocoder that FastSpeech has; they are not fed back.

As published, a step draws a frame. With ``frames_per_step`` it draws several from the last one before them
(the reduction factor of Tacotron, Wang et al. 2017): fewer steps to speak, and to learn where it is.

Letters: B batch, H heads, P phones, T frames, R frames a step, S steps, C width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.attention import MASKED, relative_positions
from galago.models.masks import chunk_mask
from galago.models.network_config import NetworkConfig

__all__ = [
    "TRANSFORMER_TTS_PRESETS",
    "DrawnFrames",
    "SpokenSentence",
    "TransformerTts",
    "TransformerTtsConfig",
    "TransformerTtsOutput",
    "durations_from_attention",
    "focus_rates",
]

States = dict[str, Tensor]


@dataclass(frozen=True)
class TransformerTtsConfig(NetworkConfig):
    """Shape of the network; everything that decides a weight's shape, so it is stored with a checkpoint."""

    num_phones: int = 76
    num_mels: int = 80
    width: int = 512
    num_heads: int = 8
    num_encoder_blocks: int = 6
    num_decoder_blocks: int = 6
    feed_forward_width: int = 2048
    embedding_width: int = 512
    encoder_prenet_layers: int = 3
    kernel_phones: int = 5
    decoder_prenet_width: int = 256
    postnet_width: int = 512
    postnet_layers: int = 5
    kernel_frames: int = 5
    frames_per_step: int = 1
    dropout: float = 0.1
    prenet_dropout: float = 0.5

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_width(self.width, self.num_heads)
        if self.kernel_phones % 2 == 0 or self.kernel_frames % 2 == 0:
            raise ValueError(f"kernels must be odd, got {self.kernel_phones} and {self.kernel_frames}")
        self._check_shares("dropout", "prenet_dropout")


#: ``published`` as in the paper; ``small`` as many parameters as FastSpeech's "5m", to be compared with it.
TRANSFORMER_TTS_PRESETS: dict[str, TransformerTtsConfig] = {
    "small": TransformerTtsConfig(
        width=192,
        num_heads=2,
        num_encoder_blocks=4,
        num_decoder_blocks=4,
        feed_forward_width=960,
        embedding_width=192,
        postnet_width=192,
    ),
    "published": TransformerTtsConfig(),
}


class TransformerTtsOutput(NamedTuple):
    """Frame t is drawn from the frames before t. ``attention`` has a tensor a decoder block."""

    before_postnet: Tensor  # (B, T, num_mels)
    log_mel: Tensor  # (B, T, num_mels)
    stop_logits: Tensor  # (B, T): frame t is the last
    log2_pitch: Tensor  # (B, T), log2 Hz
    voiced_logits: Tensor  # (B, T)
    attention: list[Tensor]  # (B, H, T, P) each, rows sum to 1


class DrawnFrames(NamedTuple):
    """The frames of one step of each utterance, drawn from those before them."""

    log_mel: Tensor  # (B, R, num_mels), before the postnet
    stop_logits: Tensor  # (B, R): it is the last
    log2_pitch: Tensor  # (B, R), log2 Hz
    voiced_logits: Tensor  # (B, R)
    attention: list[Tensor]  # (B, H, R, P) of each decoder block


class SpokenSentence(NamedTuple):
    """A sentence spoken freely, T frames."""

    log_mel: Tensor  # (T, num_mels)
    log2_pitch: Tensor  # (T,), log2 Hz
    voiced_logits: Tensor  # (T,)
    attention: list[Tensor]  # (1, H, T, P) of each decoder block
    has_stopped: bool  # the network said that it was the end; else it was cut


def positions(num: int, width: int, begin: int = 0) -> Tensor:
    """Sines and cosines of positions ``begin ... begin + num - 1``, (num, width)."""
    return relative_positions(begin + num - 1, begin, width).flip(0)


class ScaledPositions(nn.Module):
    """Adds positions times a learned factor (Li et al. 2019, equation 2)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1))
        self.width = width
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, begin: int = 0) -> Tensor:
        y: Tensor = self.dropout(x + self.alpha * positions(x.shape[1], self.width, begin).to(x))
        return y


class EncoderPrenet(nn.Module):
    """Embedding, then convolutions with batch norm and ReLU, then a projection that centres them again."""

    def __init__(self, config: TransformerTtsConfig) -> None:
        super().__init__()
        width, kernel = config.embedding_width, config.kernel_phones
        self.embedding = nn.Embedding(config.num_phones, width, padding_idx=0)
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=kernel // 2, bias=False)
            for _ in range(config.encoder_prenet_layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in self.convs)
        self.project = nn.Linear(width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, phones: Tensor) -> Tensor:
        """``phones`` (B, P), 0 is padding -> (B, P, C)."""
        valid = (phones != 0)[:, None]  # (B, 1, P)
        x = self.embedding(phones).transpose(1, 2)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = self.dropout(F.relu(norm(conv(x * valid))))
        y: Tensor = self.project(x.transpose(1, 2))
        return y


class DecoderPrenet(nn.Module):
    """Two narrow layers with ReLU and dropout, then a projection (80 -> 256 -> 256 -> C)."""

    def __init__(self, config: TransformerTtsConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Linear(config.num_mels, config.decoder_prenet_width),
                nn.Linear(config.decoder_prenet_width, config.decoder_prenet_width),
            ]
        )
        self.project = nn.Linear(config.decoder_prenet_width, config.width)
        self.dropout = config.prenet_dropout

    def forward(self, frames: Tensor, *, drop: bool | None = None) -> Tensor:
        """``frames`` (B, T, M) -> (B, T, C). ``drop``: by default as the module is in training or not."""
        drop = self.training if drop is None else drop
        for layer in self.layers:
            frames = F.dropout(F.relu(layer(frames)), self.dropout, drop)
        y: Tensor = self.project(frames)
        return y


class Postnet(nn.Module):
    """Five convolutions with batch norm, tanh but after the last; the result is added to the frames."""

    def __init__(self, config: TransformerTtsConfig) -> None:
        super().__init__()
        sizes = [config.num_mels, *[config.postnet_width] * (config.postnet_layers - 1), config.num_mels]
        kernel = config.kernel_frames
        self.convs = nn.ModuleList(
            nn.Conv1d(before, after, kernel, padding=kernel // 2, bias=False)
            for before, after in zip(sizes, sizes[1:], strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(after) for after in sizes[1:])
        self.dropout = nn.Dropout(config.prenet_dropout)

    def forward(self, frames: Tensor) -> Tensor:
        """``frames`` (B, T, M) -> (B, T, M)."""
        x = frames.transpose(1, 2)
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), 1):
            x = norm(conv(x))
            x = self.dropout(x if number == len(self.convs) else torch.tanh(x))
        return frames + x.transpose(1, 2)


class MultiHeadAttention(nn.Module):
    """Scaled dot products (Vaswani et al. 2017); gives its weights away, which are the alignment."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.num_heads, -1))  # type: ignore[no-untyped-call]
        return heads.transpose(1, 2)  # (B, H, T, D)

    def forward(self, x: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (B, T, C) asks; ``key`` and ``value`` (B, S, C) are projected already; ``bias`` is added."""
        query, key, value = self._heads(self.query(x)), self._heads(key), self._heads(value)
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        weights = torch.softmax(scores + bias, dim=-1)
        mixed = self.dropout(weights) @ value
        return self.out(mixed.transpose(1, 2).flatten(2)), weights


class TransformerBlock(nn.Module):
    """Self-attention, attention to a memory (in the decoder), feed-forward, each behind a LayerNorm."""

    def __init__(self, config: TransformerTtsConfig, *, has_memory: bool) -> None:
        super().__init__()
        width, dropout = config.width, config.dropout
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, config.num_heads, dropout)
        self.memory_norm = nn.LayerNorm(width) if has_memory else None
        self.memory_attention = MultiHeadAttention(width, config.num_heads, dropout) if has_memory else None
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, config.feed_forward_width)
        self.project = nn.Linear(config.feed_forward_width, width)
        self.dropout = nn.Dropout(dropout)

    def self_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of ``x`` (B, T, C) for its own attention, both (B, T, C)."""
        normed = self.attention_norm(x)
        return self.attention.key(normed), self.attention.value(normed)

    def memory_keys(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the memory (B, P, C), both (B, P, C)."""
        assert self.memory_attention is not None
        return self.memory_attention.key(memory), self.memory_attention.value(memory)

    def forward(
        self,
        x: Tensor,
        keys: tuple[Tensor, Tensor],
        bias: Tensor,
        memory: tuple[Tensor, Tensor] | None = None,
        memory_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """-> (B, T, C) and the weights of the attention to the memory, or to itself where there is none."""
        y, weights = self.attention(self.attention_norm(x), *keys, bias)
        x = x + self.dropout(y)
        if self.memory_attention is not None and self.memory_norm is not None:
            assert memory is not None and memory_bias is not None
            y, weights = self.memory_attention(self.memory_norm(x), *memory, memory_bias)
            x = x + self.dropout(y)
        y = self.project(self.dropout(F.relu(self.expand(self.feed_forward_norm(x)))))
        return x + self.dropout(y), weights


class TransformerTts(nn.Module):
    """Phones in, frames out, one by one; see the module's text.

    Frames are normalised inside by mean and deviation of the voice (``mean``, ``std``; ``pitch_scale`` holds
    both of the pitch), which live here.
    """

    mean: Tensor
    std: Tensor
    pitch_scale: Tensor

    def __init__(self, config: TransformerTtsConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.num_mels))
        self.register_buffer("std", torch.ones(config.num_mels))
        self.register_buffer("pitch_scale", torch.tensor([0.0, 1.0]))
        self.encoder_prenet = EncoderPrenet(config)
        self.encoder_positions = ScaledPositions(config.width, config.dropout)
        self.encoder_blocks = nn.ModuleList(
            TransformerBlock(config, has_memory=False) for _ in range(config.num_encoder_blocks)
        )
        self.encoder_norm = nn.LayerNorm(config.width)
        self.decoder_prenet = DecoderPrenet(config)
        self.decoder_positions = ScaledPositions(config.width, config.dropout)
        self.decoder_blocks = nn.ModuleList(
            TransformerBlock(config, has_memory=True) for _ in range(config.num_decoder_blocks)
        )
        self.decoder_norm = nn.LayerNorm(config.width)
        R = config.frames_per_step
        self.mel_head = nn.Linear(config.width, R * config.num_mels)
        self.stop_head = nn.Linear(config.width, R)
        self.pitch_head = nn.Linear(config.width, R * 2)  # pitch, voicing
        self.postnet = Postnet(config)

    def encode(self, phones: Tensor) -> tuple[Tensor, Tensor]:
        """``phones`` (B, P), 0 is padding -> memory (B, P, C), and its bias (B, 1, 1, P)."""
        bias = torch.where((phones != 0)[:, None, None], 0.0, MASKED)
        x = self.encoder_positions(self.encoder_prenet(phones))
        for block in self.encoder_blocks:
            assert isinstance(block, TransformerBlock)  # a ModuleList forgets what it holds
            x, _ = block(x, block.self_keys(x), bias)
        return self.encoder_norm(x), bias

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``x`` (B, S, C) -> of S * R frames: normalised frames, stop logits, log2 pitch, voicing logits."""
        x = self.decoder_norm(x)
        frames = x.shape[1] * self.config.frames_per_step
        pitch, voiced = self.pitch_head(x).float().reshape(len(x), frames, 2).unbind(dim=-1)
        log2_pitch = pitch * self.pitch_scale[1] + self.pitch_scale[0]
        drawn = self.mel_head(x).reshape(len(x), frames, self.config.num_mels)
        return drawn, self.stop_head(x).flatten(1), log2_pitch, voiced

    def forward(self, phones: Tensor, log_mel: Tensor) -> TransformerTtsOutput:
        """Draw every frame from the recording's frames before it (teacher forcing).

        Args:
            phones: (B, P) int64, 0 is padding. log_mel: (B, T, num_mels), anything behind an utterance's end.
        """
        memory, memory_bias = self.encode(phones)
        frames = (log_mel - self.mean) / self.std
        T, R = frames.shape[1], self.config.frames_per_step
        S = -(-T // R)
        before = F.pad(frames, (0, 0, 1, 0))[:, : S * R : R]  # a zero frame begins
        bias = torch.where(chunk_mask(S, 1, None, frames.device), 0.0, MASKED)
        x = self.decoder_positions(self.decoder_prenet(before))
        attention: list[Tensor] = []
        for block in self.decoder_blocks:
            assert isinstance(block, TransformerBlock)
            x, weights = block(x, block.self_keys(x), bias, block.memory_keys(memory), memory_bias)
            attention.append(weights.repeat_interleave(R, dim=2)[:, :, :T])
        drawn, stop, log2_pitch, voiced = (found[:, :T] for found in self._heads(x))
        refined = self.postnet(drawn)
        return TransformerTtsOutput(
            drawn.float() * self.std + self.mean,
            refined.float() * self.std + self.mean,
            stop,
            log2_pitch,
            voiced,
            attention,
        )

    def initial_states(self, phones: Tensor) -> States:
        """What drawing frame by frame needs: keys and values of the memory, empty caches of the frames."""
        memory, bias = self.encode(phones)
        states: States = {"memory_bias": bias, "frame": memory.new_zeros(len(phones), self.config.num_mels)}
        for number, block in enumerate(self.decoder_blocks):
            assert isinstance(block, TransformerBlock)
            states[f"block{number}.memory_key"], states[f"block{number}.memory_value"] = block.memory_keys(
                memory
            )
            states[f"block{number}.key"] = states[f"block{number}.value"] = memory[:, :0]
        return states

    def forward_step(
        self, states: States, *, drop: bool = False, frame: Tensor | None = None
    ) -> tuple[DrawnFrames, States]:
        """Draw the next R frames from those before them.

        Args:
            states: :meth:`initial_states`, or what the last call returned.
            drop: keep the prenet's dropout: without it long utterances may repeat a frame for ever.
            frame: (B, num_mels), say that this was the last frame (teacher forcing) and not the one drawn.

        Returns:
            the frames, and the states, whose caches have grown by one step.
        """
        last = states["frame"] if frame is None else (frame - self.mean) / self.std
        begin = states["block0.key"].shape[1]
        x = self.decoder_positions(self.decoder_prenet(last[:, None], drop=drop), begin)
        new, attention = dict(states), []
        for number, block in enumerate(self.decoder_blocks):
            assert isinstance(block, TransformerBlock)
            name = f"block{number}"
            key, value = block.self_keys(x)
            new[f"{name}.key"] = torch.cat([states[f"{name}.key"], key], dim=1)
            new[f"{name}.value"] = torch.cat([states[f"{name}.value"], value], dim=1)
            memory = states[f"{name}.memory_key"], states[f"{name}.memory_value"]
            keys = new[f"{name}.key"], new[f"{name}.value"]
            x, weights = block(x, keys, x.new_zeros(1), memory, states["memory_bias"])
            attention.append(weights.expand(-1, -1, self.config.frames_per_step, -1))
        drawn, stop, log2_pitch, voiced = self._heads(x)
        new["frame"] = drawn[:, -1]
        return DrawnFrames(drawn * self.std + self.mean, stop, log2_pitch, voiced, attention), new

    @torch.no_grad()
    def generate(self, phones: Tensor, *, max_frames: int, drop: bool = True) -> SpokenSentence:
        """Speak one sentence: ``phones`` (1, P) -> T frames, at most ``max_frames`` and at least 1."""
        states = self.initial_states(phones)
        steps: list[DrawnFrames] = []
        num_frames, most, has_stopped = 0, max(1, max_frames), False
        while not has_stopped and num_frames < most:
            drawn, states = self.forward_step(states, drop=drop)
            steps.append(drawn)
            ends = [place for place, logit in enumerate(drawn.stop_logits[0].tolist(), 1) if logit > 0]
            has_stopped = bool(ends) and num_frames + ends[0] <= most
            num_frames = min(most, num_frames + (ends[0] if ends else self.config.frames_per_step))
        log_mel, _, log2_pitch, voiced = (
            torch.cat(found, dim=1)[:, :num_frames]
            for found in zip(*(step[:4] for step in steps), strict=True)
        )
        refined: Tensor = self.postnet((log_mel - self.mean) / self.std)[0] * self.std + self.mean
        attention = [
            torch.cat(rows, dim=2)[:, :, :num_frames]
            for rows in zip(*(s.attention for s in steps), strict=True)
        ]
        return SpokenSentence(refined, log2_pitch[0], voiced[0], attention, has_stopped)


def focus_rates(attention: list[Tensor]) -> Tensor:
    """How near to a path each head is: its largest weight in a frame, on the mean (Ren et al. 2019, eq. 1).

    Args:
        attention: (1, H, T, P) of each block.

    Returns:
        (blocks * H,), 1 for a head that looks at one phone at a time.
    """
    return torch.cat([weights[0] for weights in attention]).amax(dim=2).mean(dim=1)


def durations_from_attention(attention: list[Tensor]) -> Tensor:
    """Frames of each phone of one sentence, from its teacher's attention (Ren et al. 2019, equation 2).

    Of all heads the one with the largest focus rate counts; a frame belongs to the phone that it looks at
    most.

    Args:
        attention: (1, H, T, P) of each block.

    Returns:
        (P,) int64, which sum to T.
    """
    heads = torch.cat([weights[0] for weights in attention])  # (blocks * H, T, P)
    best = heads[int(focus_rates(attention).argmax())]
    return torch.bincount(best.argmax(dim=1), minlength=best.shape[1])

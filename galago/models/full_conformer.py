"""The Conformer block as published (Gulati et al. 2020, figure 1): full context, for teachers and sentences.

It differs from the ear's (``conformer.py``) where that one must stream: the depthwise convolution looks both
ways, and BatchNorm stands behind it. wav2vec 2.0's Conformer and FastSpeech2Conformer are stacks of these.
Letters: B batch, T tokens, C width, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.attention import RelativeAttention
from galago.models.chunk_windows import ChunkWindows
from galago.models.transformer import SelfAttention

__all__ = ["FullConformerBlock", "RotaryAttention", "rotate"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu, "swish": F.silu}


def rotate(x: Tensor, num_heads: int, base: float = 10_000.0) -> Tensor:
    """Rotary positions (Su et al. 2021, equation 34): pairs of values turned by the token's number.

    ``x`` (B, T, C); value i of a head and value i + D / 2 are one pair.
    """
    B, T, C = x.shape
    half = C // num_heads // 2
    rate = base ** (-torch.arange(half, dtype=torch.float32, device=x.device) / half)
    angle = torch.arange(T, dtype=torch.float32, device=x.device)[:, None, None] * rate  # (T, 1, D / 2)
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x.reshape(B, T, num_heads, 2, half).unbind(3)
    turned = torch.stack([first * cosine - second * sine, second * cosine + first * sine], dim=3)
    return turned.reshape(B, T, C)


class RotaryAttention(SelfAttention):
    """Self-attention whose queries and keys are made of rotated inputs, as wav2vec 2.0's Conformer does it.

    The usual order, projection first, is another network.
    """

    def __init__(self, width: int, num_heads: int, dropout: float = 0.0, *, base: float = 10_000.0) -> None:
        super().__init__(width, num_heads, dropout)
        if self.head_width % 2:
            raise ValueError(f"a head of {self.head_width} values cannot be turned in pairs")
        self.base = base

    def forward(self, x: Tensor, bias: Tensor | None = None, windows: ChunkWindows | None = None) -> Tensor:
        """See :meth:`SelfAttention.forward`."""
        turned = rotate(x, self.num_heads, self.base)
        return self._mix(self.query(turned), self.key(turned), self.value(x), bias, windows)


class FeedForward(nn.Module):
    """Expand -> activation -> project, (B, T, C) -> (B, T, C); the block adds half of it.

    With a kernel both maps are convolutions over tokens (FastSpeech), which see zeros in padding.
    """

    def __init__(self, width: int, inner_width: int, kernel: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.expand: nn.Linear | nn.Conv1d
        self.project: nn.Linear | nn.Conv1d
        if kernel == 1:
            self.expand, self.project = nn.Linear(width, inner_width), nn.Linear(inner_width, width)
        else:
            self.expand = nn.Conv1d(width, inner_width, kernel, padding=kernel // 2)
            self.project = nn.Conv1d(inner_width, width, kernel, padding=kernel // 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if isinstance(self.expand, nn.Linear):
            y = self.project(self.dropout(self.activation(self.expand(x))))
        else:
            inner = self.dropout(self.activation(self.expand((x * mask).transpose(1, 2))))
            y = self.project(inner * mask.transpose(1, 2)).transpose(1, 2)
        return self.dropout(y)  # type: ignore[no-any-return]


class ConvolutionModule(nn.Module):
    """Pointwise -> GLU -> depthwise, as far back as ahead -> BatchNorm -> activation -> pointwise."""

    def __init__(self, width: int, kernel: int, activation: str, dropout: float, *, has_bias: bool) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.expand = nn.Conv1d(width, 2 * width, 1, bias=has_bias)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width, bias=has_bias)
        self.batch_norm = nn.BatchNorm1d(width)
        self.project = nn.Conv1d(width, width, 1, bias=has_bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        gated = F.glu(self.expand(x.transpose(1, 2)), dim=1) * mask.transpose(1, 2)
        y = self.project(self.activation(self.batch_norm(self.depthwise(gated))))
        return self.dropout(y.transpose(1, 2))  # type: ignore[no-any-return]


class FullConformerBlock(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, each with a LayerNorm, and a last one.

    Args:
        width, num_heads, feed_forward_width: C, H and the inner width of both feed-forwards.
        kernel_tokens: of the depthwise convolution, odd.
        is_norm_first: LayerNorm before each part, as published, or behind its sum.
        positions: ``"relative"`` or ``"rotary"``.
        activation: of the feed-forwards; ``convolution_activation``: of the convolution, where it differs.
        feed_forward_kernel: odd; 1: linear maps.

    Raises:
        ValueError: a kernel that is even, an unknown activation or kind of positions.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        feed_forward_width: int,
        kernel_tokens: int,
        *,
        is_norm_first: bool = True,
        positions: str = "relative",
        activation: str = "swish",
        convolution_activation: str | None = None,
        has_convolution_bias: bool = False,
        feed_forward_kernel: int = 1,
        rotary_base: float = 10_000.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        convolution_activation = convolution_activation or activation
        for name in (activation, convolution_activation):
            if name not in ACTIVATIONS:
                raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
        if positions not in ("relative", "rotary"):
            raise ValueError(f"positions must be relative or rotary, got {positions!r}")
        if kernel_tokens % 2 == 0 or feed_forward_kernel % 2 == 0:
            raise ValueError(f"kernels must be odd, got {kernel_tokens} and {feed_forward_kernel}")
        self.is_norm_first = is_norm_first
        feed_forward = (width, feed_forward_width, feed_forward_kernel, activation, dropout)
        self.feed_forward1_norm = nn.LayerNorm(width)
        self.feed_forward1 = FeedForward(*feed_forward)
        self.attention_norm = nn.LayerNorm(width)
        self.attention: RelativeAttention | RotaryAttention = (
            RelativeAttention(width, num_heads, dropout)
            if positions == "relative"
            else RotaryAttention(width, num_heads, dropout, base=rotary_base)
        )
        self.convolution_norm = nn.LayerNorm(width)
        self.convolution = ConvolutionModule(
            width, kernel_tokens, convolution_activation, dropout, has_bias=has_convolution_bias
        )
        self.feed_forward2_norm = nn.LayerNorm(width)
        self.feed_forward2 = FeedForward(*feed_forward)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def _added(self, x: Tensor, norm: nn.LayerNorm, part: Callable[[Tensor], Tensor], share: float) -> Tensor:
        y: Tensor = x + share * part(norm(x)) if self.is_norm_first else norm(x + share * part(x))
        return y

    def forward(self, x: Tensor, positions: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
        """Hear whole utterances.

        Args:
            x: (B, T, C).
            positions: ``relative_positions(T - 1, -(T - 1), C)``, (2T - 1, C); rotary attention needs none.
            bias: added to the scores, broadcasts to (B, H, T, T).
            mask: (B, T, 1), 1 for a token, 0 in padding, which convolutions then see as zeros.

        Returns:
            (B, T, C).
        """

        def attend(heard: Tensor) -> Tensor:
            if isinstance(self.attention, RelativeAttention):
                return self.dropout(self.attention(heard, positions, bias))  # type: ignore[no-any-return]
            return self.dropout(self.attention(heard, bias))  # type: ignore[no-any-return]

        x = self._added(x, self.feed_forward1_norm, lambda y: self.feed_forward1(y, mask), 0.5)
        x = self._added(x, self.attention_norm, attend, 1.0)
        x = self._added(x, self.convolution_norm, lambda y: self.convolution(y, mask), 1.0)
        x = self._added(x, self.feed_forward2_norm, lambda y: self.feed_forward2(y, mask), 0.5)
        return self.norm(x)  # type: ignore[no-any-return]

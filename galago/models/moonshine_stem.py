"""Raw samples to rows: the three convolutions that Moonshine begins with (Jeffries et al. 2024).

Behind the first one stand tanh and a norm: one mean and variance of all channels over the utterance.
A stream takes them from what it has heard so far, as averages that forget
(:func:`galago.models.waveform.running_moments`). Samples that are exactly 0 are what a last chunk is filled
up with, and nothing was heard in them: they do not count.

Everything is in rows, (B, N, C), and a convolution of stride S and kernel K is a sum of ceil(K / S) products,
for each S rows in a row are one long row::

    stride 3, kernel 7     row j = (3j, 3j+1, 3j+2) W1 + (3j+3, 3j+4, 3j+5) W2 + (3j+6) W3

So nothing is copied into windows and nothing transposed, and of a product that reads floats an engine keeps
8-bit weights as they are: those of a convolution it would turn into floats, and hold them twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.waveform import SampleConvolutions, running_moments, whole_moments

__all__ = ["MoonshineStem", "RowConvolution", "is_heard"]


def is_heard(samples: Tensor, row_samples: int) -> Tensor:
    """Of samples (B, N): 1 for each ``row_samples`` with sound in them, 0 for zeros, (B, N / row_samples)."""
    rows: Tensor = samples.unflatten(1, (-1, row_samples))  # type: ignore[no-untyped-call]
    return (rows.abs().amax(-1) > 0).to(samples)


class RowConvolution(nn.Conv1d):
    """A convolution without padding, (B, N, C) -> (B, T, C'), T = (N - kernel) // stride + 1."""

    def forward(self, rows: Tensor) -> Tensor:
        (kernel,), (stride,) = self.kernel_size, self.stride
        num_rows = (rows.shape[1] - kernel) // stride + 1
        if rows.shape[1] % stride:
            rows = F.pad(rows, (0, 0, 0, -rows.shape[1] % stride))
        long_rows = rows.reshape(rows.shape[0], -1, stride * rows.shape[2])
        weight = self.weight.transpose(1, 2)  # (C', kernel, C)
        y: Tensor | None = None
        for first in range(0, kernel, stride):
            taps = weight[:, first : first + stride].flatten(1)
            begin = first // stride
            heard = long_rows[:, begin : begin + num_rows, : taps.shape[1]]
            y = F.linear(heard, taps, self.bias) if y is None else y + F.linear(heard, taps)
        assert y is not None
        return y


class MoonshineStem(SampleConvolutions):
    """Samples (B, N) -> rows (B, T, widths[-1]), one for every ``samples_per_row``.

    Args:
        widths, kernels, strides: one of each for a layer.
        horizon_rows: what a stream's statistics remember.

    Raises:
        ValueError: no layers, or a kernel that is shorter than its stride.
    """

    def __init__(
        self, widths: Sequence[int], kernels: Sequence[int], strides: Sequence[int], *, horizon_rows: int
    ) -> None:
        # A bias in front of tanh would be heard in silence.
        has_bias = [layer > 0 for layer in range(len(widths))]
        super().__init__(widths, kernels, strides, has_bias=has_bias, layer=RowConvolution)
        self.horizon_rows = horizon_rows
        self.group_norm = nn.GroupNorm(1, widths[0])

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what a stream remembers, without the batch dimension, by name."""
        shapes: dict[str, tuple[int, ...]] = {}
        for i, layer in enumerate(self.layers):
            if self.kernels[i] > self.strides[i]:
                shapes[f"layer{i}"] = (self.kernels[i] - self.strides[i], layer.in_channels)
        shapes["group"] = (3,)
        return shapes

    def _scaled(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """The norm with given moments, which broadcast to ``x`` (..., C)."""
        scale = self.group_norm.weight / torch.sqrt(variance + self.group_norm.eps)
        return x * scale + (self.group_norm.bias - mean * scale)

    def _scaled_by_all(self, x: Tensor, num_rows: Tensor) -> Tensor:
        """The norm by the valid part of (B, N, C)."""
        mean, variance = whole_moments(x.flatten(1)[:, None], num_rows * x.shape[2])
        return self._scaled(x, mean, variance)

    def forward(self, samples: Tensor, num_samples: Tensor) -> Tensor:
        """Whole utterances as published.

        Args:
            samples: (B, N), padded with anything. num_samples: (B,).

        Returns:
            (B, T, C), T = ``num_rows(N)``; of each utterance the first ``num_rows(num_samples)`` are valid.

        Raises:
            ValueError: N is below the receptive field of a row.
        """
        self.check_length(samples.shape[1])
        first, *others = self.layers
        x = torch.tanh(first(samples[:, :, None]))
        x = self._scaled_by_all(x, self.num_rows(num_samples, 1))
        for layer in others:
            x = F.gelu(layer(x))
        return x

    def forward_chunk(
        self,
        samples: Tensor,
        states: dict[str, Tensor],
        *,
        norm_rows: int = 1,
        num_rows: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The next samples of a stream. Pure: state in, state out.

        Args:
            samples: (B, T * samples_per_row).
            states: of :meth:`state_shapes`, zeros at the start, or what the last call returned.
            norm_rows: how many rows share what the norm knows at the last of them, for instance those of a
                chunk; divides T.
            num_rows: (B,): the stream is so long, and no longer, and all that the norm hears at once.

        Returns:
            (B, T, C) and the new states.
        """
        new: dict[str, Tensor] = {}
        T = samples.shape[1] // self.samples_per_row
        x = samples[:, :, None]
        for i, layer in enumerate(self.layers):
            past = self.kernels[i] - self.strides[i]
            if past:
                x = torch.cat([states[f"layer{i}"], x], dim=1)
                new[f"layer{i}"] = x[:, -past:]
            x = layer(x)
            if i > 0:
                x = F.gelu(x)
            elif num_rows is not None:
                x = torch.tanh(x)
                new["group"] = states["group"]
                x = self._scaled_by_all(x, num_rows * (x.shape[1] // T))
            else:
                pieces = torch.tanh(x).reshape(x.shape[0], T // norm_rows, -1, x.shape[2])
                counted = is_heard(samples, self.strides[0]).reshape(*pieces.shape[:3], 1)
                mean, variance, new["group"] = running_moments(
                    (pieces * counted).flatten(2)[:, None],
                    states["group"],
                    max(1.0, self.horizon_rows / norm_rows),
                    share=counted.mean((2, 3)),
                )
                x = self._scaled(pieces, mean[:, 0, :, None, None], variance[:, 0, :, None, None])
                x = x.flatten(1, 2)
        return x, {name: new[name] for name in self.state_shapes()}

"""Raw samples to one vector every 20 ms: the convolutional feature encoder of wav2vec 2.0 and HuBERT.

Seven convolutions over 16 kHz samples: strides 5, 2, 2, 2, 2, 2, 2 make 320 samples, kernels 10, 3, 3, 3, 3,
2, 2 a receptive field of 400 (Baevski et al. 2020, section 4.2).

``forward`` has no padding, as published: N samples give (N - 400) // 320 + 1 rows. A *stream* gives a row for
every 320 samples, from the very first: each layer remembers ``kernel - stride`` values of its input, zeros at
the start::

    samples       0 0 | . . . . . | . . . . . |        row j hears samples 320 j - 80 ... 320 j + 319
    row               |     0     |     1     |

Two things of the published networks look at a whole utterance, which no stream has heard: the GroupNorm
behind the first layer (``norm="group"``, of the BASE networks) and the normalisation of the samples. A stream
takes their mean and variance from what it has heard so far, as averages that forget
(:func:`running_moments`): another statistic than in training, near to it after some seconds. Networks with
``norm="layer"`` (the LARGE ones) on samples as they are have no such difference: they stream exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.masks import padding_mask

__all__ = [
    "FeatureEncoder",
    "SampleConvolutions",
    "band_passes",
    "normalise_utterance",
    "running_moments",
    "whole_moments",
]

SAMPLE_RATE_HZ = 16_000
LONG_KERNEL_SAMPLES = 80  # 5 ms: a filter of this length or more can tell frequencies apart
SAMPLE_NORM_EPS = 1e-7  # of the published feature extractors
_PIECE_TOKENS = 64
_LEAST_SHARE = 1e-6  # where nothing counts yet, mean and variance are 0


def running_moments(
    values: Tensor, state: Tensor, horizon_tokens: float, *, share: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of everything heard up to each token, the past fading with a time constant.

    With s_t the mean of token t's values, of which a share of c_t counts, and a = 1 - 1 / horizon::

        S_t = a S_(t-1) + s_t        w_t = a w_(t-1) + c_t        mean_t = S_t / w_t

    At the start it is the plain average of what was heard; it never overflows and does not know the chunk.

    Args:
        values: (B, C, T, S), S values a token.
        state: (B, 2C + 1), the sums of values and of squares and their weight; zeros at the start.
        horizon_tokens: at least 1.
        share: (B, T) in [0, 1], of each token's values; the others are 0. By default all count.

    Returns:
        mean (B, C, T), variance (B, C, T), and the new state.
    """
    C = values.shape[1]
    counted = torch.ones_like(values[:, :1, :, 0]) if share is None else share[:, None]
    told = torch.cat([values.mean(-1), values.square().mean(-1), counted], dim=1)
    decay = 1.0 - 1.0 / horizon_tokens
    rows = []
    for piece in torch.split(told, _PIECE_TOKENS, dim=2):
        # A product with a triangle of powers is the recurrence: every engine knows it.
        age = torch.arange(piece.shape[2], dtype=torch.float64)
        distance = age[None, :] - age[:, None]  # of an answer (column) to what it sums (row)
        powers = torch.where(distance >= 0, decay ** distance.clamp_min(0.0), 0.0).to(piece)
        faded = (decay ** (age + 1.0)).to(piece)
        summed = piece @ powers + state[..., None] * faded
        rows.append(summed)
        state = summed[..., -1]
    moments = torch.cat(rows, dim=2)
    weight = moments[:, -1:] if share is None else moments[:, -1:].clamp_min(_LEAST_SHARE)
    mean, square = moments[:, :C] / weight, moments[:, C:-1] / weight
    return mean, (square - mean.square()).clamp_min(0.0), state


def whole_moments(values: Tensor, num_values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over the valid part of (B, C, N): (B, C, 1) each."""
    valid = padding_mask(num_values, values.shape[2])[:, None]
    count = num_values[:, None, None].clamp_min(1)
    mean = values.masked_fill(~valid, 0.0).sum(2, keepdim=True) / count
    variance = (values - mean).masked_fill(~valid, 0.0).square().sum(2, keepdim=True) / count
    return mean, variance


def normalise_utterance(samples: Tensor, num_samples: Tensor) -> Tensor:
    """Samples (B, N) of mean 0 and variance 1 over the first ``num_samples`` (B,); zeros behind them."""
    mean, variance = whole_moments(samples[:, None], num_samples)
    normed = (samples - mean[:, 0]) / torch.sqrt(variance[:, 0] + SAMPLE_NORM_EPS)
    return normed.masked_fill(~padding_mask(num_samples, samples.shape[1]), 0.0)


def band_passes(num_filters: int, kernel_samples: int) -> Tensor:
    """Filters (num_filters, kernel_samples) of an ear: four to a band, bands evenly spaced in mel.

    The four are a cosine, a sine and both with the other sign. What a layer with GELU hears in them is nearly
    the band's magnitude, whatever its phase. A filter is as long as its band needs (Hann window, in the
    middle), and as large as ``kaiming_normal_`` makes one. Filters that are over are random.
    """
    filters = torch.empty(num_filters, kernel_samples)
    nn.init.kaiming_normal_(filters)
    num_bands = num_filters // 4

    def mel(hz: float) -> float:
        return 1127.0 * math.log1p(hz / 700.0)

    # On the CPU also where a network is built on no device, to be counted.
    edges = torch.linspace(mel(60.0), mel(7600.0), num_bands + 1, dtype=torch.float64, device="cpu")
    hz = 700.0 * torch.expm1(edges / 1127.0)
    time_samples = torch.arange(kernel_samples, dtype=torch.float64) - (kernel_samples - 1) / 2
    for band in range(num_bands):
        low, high = float(hz[band]), float(hz[band + 1])
        length = min(float(kernel_samples), 2.0 * SAMPLE_RATE_HZ / (high - low))
        window = torch.cos(math.pi * time_samples / length).square() * (time_samples.abs() <= length / 2)
        angle = math.pi * (low + high) / SAMPLE_RATE_HZ * time_samples
        for place, wave in enumerate((angle.cos(), angle.sin(), -angle.cos(), -angle.sin())):
            shape = window * wave
            filters[4 * band + place] = (math.sqrt(2.0) * shape / shape.norm()).float()
    return filters


class SampleConvolutions(nn.Module):
    """What networks on raw samples begin with: convolutions without padding, and the rows that they make.

    A first layer that hears 5 ms or more at once begins as a bank of band-passes, a shorter one at random.

    Args:
        widths, kernels, strides: one of each for a layer.
        has_bias: of each layer.
        layer: what a layer is made of.

    Raises:
        ValueError: no layers, or a kernel that is shorter than its stride.
    """

    def __init__(
        self,
        widths: Sequence[int],
        kernels: Sequence[int],
        strides: Sequence[int],
        *,
        has_bias: Sequence[bool],
        layer: type[nn.Conv1d] = nn.Conv1d,
    ) -> None:
        super().__init__()
        if not len(widths) == len(kernels) == len(strides) > 0:
            raise ValueError("widths, kernels and strides must name the same number of layers")
        if any(kernel < stride for kernel, stride in zip(kernels, strides, strict=True)):
            raise ValueError(f"kernels {tuple(kernels)} leave out samples at strides {tuple(strides)}")
        self.kernels, self.strides = tuple(kernels), tuple(strides)
        self.convolutions = nn.ModuleList(
            layer(num_in, num_out, kernel, stride, bias=bias)
            for num_in, num_out, kernel, stride, bias in zip(
                (1, *widths[:-1]), widths, kernels, strides, has_bias, strict=True
            )
        )
        for convolution in self.layers:
            nn.init.kaiming_normal_(convolution.weight)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
        if kernels[0] >= LONG_KERNEL_SAMPLES:  # found from random filters, this takes thousands of steps
            with torch.no_grad():
                self.layers[0].weight.copy_(band_passes(widths[0], kernels[0])[:, None])

    @property
    def layers(self) -> list[nn.Conv1d]:
        """The convolutions; a ModuleList forgets what it holds."""
        return [layer for layer in self.convolutions if isinstance(layer, nn.Conv1d)]

    @property
    def samples_per_row(self) -> int:
        return math.prod(self.strides)

    def num_rows(self, num_samples: Tensor, num_layers: int | None = None) -> Tensor:
        """Rows that ``forward`` makes of so many samples, or that its first layers make; never below 0."""
        for kernel, stride in zip(self.kernels[:num_layers], self.strides[:num_layers], strict=True):
            num_samples = torch.div(num_samples - kernel, stride, rounding_mode="floor") + 1
        return num_samples.clamp_min(0)

    def check_length(self, num_samples: int) -> None:
        """Raise ValueError where so many samples make no row."""
        if int(self.num_rows(torch.tensor(num_samples))) < 1:
            raise ValueError(f"{num_samples} samples are less than one row hears")


class FeatureEncoder(SampleConvolutions):
    """Samples (B, N) -> features (B, T, widths[-1]), one row for every ``samples_per_row``.

    Args:
        widths, kernels, strides: one of each for a layer.
        norm: ``"group"``: over time, behind the first layer; ``"layer"``: over channels, behind each layer.
        horizon_tokens: what a stream's statistics remember, where there are any.
        normalises_samples: to mean 0 and variance 1 before the first layer.

    Raises:
        ValueError: no layers, a kernel that is shorter than its stride, or an unknown norm.
    """

    def __init__(
        self,
        widths: Sequence[int],
        kernels: Sequence[int],
        strides: Sequence[int],
        *,
        norm: str,
        has_bias: bool,
        normalises_samples: bool = False,
        horizon_tokens: int = 1500,
    ) -> None:
        super().__init__(widths, kernels, strides, has_bias=[has_bias] * len(widths))
        if norm not in ("group", "layer"):
            raise ValueError(f"norm must be group or layer, got {norm!r}")
        self.normalises_samples, self.horizon_tokens = normalises_samples, horizon_tokens
        self.group_norm = nn.GroupNorm(widths[0], widths[0]) if norm == "group" else None
        self.layer_norms = nn.ModuleList(nn.LayerNorm(width) for width in widths if norm == "layer")
        first = self.layers[0]
        if first.bias is not None:
            # Samples of speech are about as large. With biases as torch draws them a LayerNorm hears little
            # else, with none it does not hear how loud they are.
            nn.init.uniform_(first.bias, -0.02, 0.02)

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what a stream remembers, without the batch dimension, by name."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.normalises_samples:
            shapes["samples"] = (3,)
        for i, convolution in enumerate(self.layers):
            if self.kernels[i] > self.strides[i]:
                shapes[f"layer{i}"] = (convolution.in_channels, self.kernels[i] - self.strides[i])
        if self.group_norm is not None:
            shapes["group"] = (2 * self.group_norm.num_channels + 1,)
        return shapes

    def _scaled(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """The GroupNorm with given moments, which broadcast to ``x`` (B, C, ...)."""
        assert self.group_norm is not None
        shape = (1, -1, *[1] * (x.ndim - 2))
        normed = (x - mean) / torch.sqrt(variance + self.group_norm.eps)
        return normed * self.group_norm.weight.reshape(shape) + self.group_norm.bias.reshape(shape)

    def _normed(self, x: Tensor, layer: int) -> Tensor:
        """LayerNorm where there is one, and GELU: (B, C, T) -> (B, C, T)."""
        if self.layer_norms:
            x = self.layer_norms[layer](x.transpose(1, 2)).transpose(1, 2)
        return F.gelu(x)

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
        if self.normalises_samples:
            samples = normalise_utterance(samples, num_samples)
        x = samples[:, None]
        for layer, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if layer == 0 and self.group_norm is not None:
                x = self._scaled(x, *whole_moments(x, self.num_rows(num_samples, 1)))
            x = self._normed(x, layer)
        return x.transpose(1, 2)

    def forward_chunk(self, samples: Tensor, states: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The next samples of a stream. Pure: state in, state out.

        Args:
            samples: (B, T * samples_per_row).
            states: of :meth:`state_shapes`, zeros at the start, or what the last call returned.

        Returns:
            (B, T, C) and the new states.
        """
        new: dict[str, Tensor] = {}
        T = samples.shape[1] // self.samples_per_row
        x = samples[:, None]
        if self.normalises_samples:
            pieces = x.reshape(x.shape[0], 1, T, -1)
            mean, variance, new["samples"] = running_moments(pieces, states["samples"], self.horizon_tokens)
            x = ((pieces - mean[..., None]) / torch.sqrt(variance[..., None] + SAMPLE_NORM_EPS)).flatten(2)
        for layer, convolution in enumerate(self.convolutions):
            past = self.kernels[layer] - self.strides[layer]
            if past:
                x = torch.cat([states[f"layer{layer}"], x], dim=2)
                new[f"layer{layer}"] = x[:, :, -past:]
            x = convolution(x)
            if layer == 0 and self.group_norm is not None:
                pieces = x.reshape(*x.shape[:2], T, -1)
                mean, variance, new["group"] = running_moments(pieces, states["group"], self.horizon_tokens)
                x = self._scaled(pieces, mean[..., None], variance[..., None]).flatten(2)
            x = self._normed(x, layer)
        return x.transpose(1, 2), {name: new[name] for name in self.state_shapes()}

"""From mel frames to sound: a harmonic-plus-noise vocoder with an inverse STFT, whole and chunk by chunk.

ConvNeXt blocks at the rate of frames and one inverse STFT are Vocos (Siuzdak 2023); that the periodic part is
made from the pitch and only shaped by the network is HiFTNet (Li et al. 2023) and NSF (Wang et al. 2019).
Here the source stands directly in the STFT, so that nothing runs at the rate of samples but the overlap-add::

    mel, pitch, voicing ──► ConvNeXt ──► log amplitudes of harmonics a and noise n, phase offset d, by bin k

    S[k] = voiced * exp(a[k]) * lobe(k - h f0) * exp(2 pi i (h phase + d[k])) + exp(n[k]) * exp(2 pi i u[k])

h is the harmonic nearest to bin k, ``phase`` the running phase of the fundamental in cycles, ``lobe`` what
the window makes of a sine, u uniform noise that the caller gives. The network has smooth envelopes to draw
and no waveform to guess: it learns from magnitudes alone, in minutes, and never buzzes out of tune.

Frame t is a window of 4 hops around sample ``t * hop``. A hop is whole when the two frames after it are
there, so rows lag by the blocks' lookahead and 2 (drawn for 4 hops a window, lookahead 0)::

    frame 0   [a0 a1|a2 a3]                  samples of hop j = c(j+2) + ... : four parts, the last from
    frame 1      [b0 b1|b2 b3]               frame j + 2
    frame 2         [c0 c1|c2 c3]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.convnext import ConvNeXtStack, States
from galago.models.network_config import NetworkConfig
from galago.models.voice_features import VoiceFeatureConfig

__all__ = ["VOCODER_PRESETS", "Vocoder", "VocoderConfig"]

_PIECE_FRAMES = 32  # phases are summed in pieces of this
_CYCLE_PARTS = (
    65_536  # a phase is a whole number of these: sums are exact, in chunks or whole, and so is h * phase
)


@dataclass(frozen=True)
class VocoderConfig(NetworkConfig):
    """Shape of the network; everything that decides a weight's shape, so it is stored with a checkpoint."""

    width: int = 192
    inner_width: int = 576
    kernel_frames: int = 7
    lookahead_frames: tuple[int, ...] = (3, 2, 1, 0, 0, 0)  # a block each
    num_mels: int = 80
    sample_rate_hz: int = 16_000
    window_samples: int = 640
    hop_samples: int = 160
    low_hz: float = 20.0
    high_hz: float = 8_000.0

    def __post_init__(self) -> None:
        self._freeze("lookahead_frames")
        if not self.lookahead_frames:
            raise ValueError("lookahead_frames needs a number for at least one block")
        if min(self.width, self.inner_width, self.kernel_frames, self.num_mels) < 1:
            raise ValueError("width, inner_width, kernel_frames and num_mels must be at least 1")
        if max(self.lookahead_frames) >= self.kernel_frames or min(self.lookahead_frames) < 0:
            raise ValueError(
                f"lookahead_frames must lie in [0, kernel_frames = {self.kernel_frames}), "
                f"got {self.lookahead_frames}"
            )
        self.features()

    def features(self) -> VoiceFeatureConfig:
        """The features that the vocoder reads.

        Raises:
            ValueError: the framing fits no features.
        """
        return VoiceFeatureConfig(
            sample_rate_hz=self.sample_rate_hz,
            window_samples=self.window_samples,
            hop_samples=self.hop_samples,
            fft_size=1 << (self.window_samples - 1).bit_length(),
            num_mels=self.num_mels,
            low_hz=self.low_hz,
            high_hz=self.high_hz,
        )

    @property
    def num_bins(self) -> int:
        return self.window_samples // 2 + 1

    @property
    def overlap(self) -> int:
        """Hops in a window."""
        return self.window_samples // self.hop_samples

    @property
    def delay_frames(self) -> int:
        return sum(self.lookahead_frames) + self.overlap // 2


#: Networks by their number of parameters.
VOCODER_PRESETS: dict[str, VocoderConfig] = {
    "1m": VocoderConfig(width=160, inner_width=480),
    "2m": VocoderConfig(),
    "3m": VocoderConfig(width=256, inner_width=768),
}


def inverse_stft_basis(config: VocoderConfig) -> Tensor:
    """Real and imaginary parts -> the windowed samples of a frame, (2 * num_bins, window_samples) float32.

    Phases are those at the middle of the window. Synthesis window and overlap are divided out, so that
    frames that are the STFT of a sound (Hann window, amplitude spectrum) add up to it.
    """
    size = config.window_samples
    window = torch.hann_window(size, dtype=torch.float64)
    bins = torch.arange(config.num_bins, dtype=torch.float64)[:, None]
    angle = 2.0 * math.pi / size * bins * (torch.arange(size, dtype=torch.float64) - size // 2)
    weight = torch.full_like(bins, 2.0)
    weight[0] = weight[-1] = 1.0
    shifted = (
        window.reshape(config.overlap, -1).square().sum(dim=0)
    )  # the same at each sample: 1.5 for 4 hops
    # An amplitude spectrum is the DFT times 4 / size (VoiceMel.magnitudes): a full-scale sine peaks at 1.
    scale = window / shifted.mean() / 4.0
    return torch.cat([weight * torch.cos(angle) * scale, -weight * torch.sin(angle) * scale]).float()


def mel_interpolation(config: VocoderConfig) -> Tensor:
    """Reads an envelope off mel bands at the STFT's bins, linear on the mel scale: (num_mels, num_bins)."""

    def mel(hz: Tensor) -> Tensor:
        return 1127.0 * torch.log1p(hz / 700.0)

    edges = mel(torch.tensor([config.low_hz, config.high_hz], dtype=torch.float64))
    bins = torch.arange(config.num_bins, dtype=torch.float64) * config.sample_rate_hz / config.window_samples
    place = (mel(bins) - edges[0]) / (edges[1] - edges[0]) * (config.num_mels + 1) - 1.0
    place = place.clamp(0.0, config.num_mels - 1.0)
    bands = torch.arange(config.num_mels, dtype=torch.float64)[:, None]
    return (1.0 - (place[None] - bands).abs()).clamp_min(0.0).float()


class Vocoder(nn.Module):
    """Log-mel magnitudes, pitch and voicing -> samples. The mean and deviation of each input live inside."""

    mean: Tensor
    std: Tensor
    basis: Tensor
    envelope: Tensor
    bins_hz: Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        self.floor = math.log(config.features().floor)
        self.mixed_precision = False  # a trainer may ask for bfloat16 in the blocks; phases never bear it
        self.register_buffer("mean", torch.full((config.num_mels,), -5.0))
        self.register_buffer("std", torch.full((config.num_mels,), 2.0))
        self.register_buffer("basis", inverse_stft_basis(config), persistent=False)
        self.register_buffer("envelope", mel_interpolation(config), persistent=False)
        bins_hz = torch.arange(config.num_bins) * (config.sample_rate_hz / config.window_samples)
        self.register_buffer("bins_hz", bins_hz, persistent=False)
        self.embed = nn.Linear(config.num_mels + 2, config.width)
        self.stack = ConvNeXtStack(
            config.width, config.inner_width, config.kernel_frames, config.lookahead_frames
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, 3 * config.num_bins)
        # At the start the mel envelope itself is heard: an eighth of it as noise, no phase offset.
        nn.init.normal_(self.head.weight, std=1e-3)
        with torch.no_grad():
            self.head.bias.zero_()
            self.head.bias[config.num_bins : 2 * config.num_bins] = -2.0

    @property
    def delay_frames(self) -> int:
        """Rows of a stream lag by so many frames."""
        return self.config.delay_frames

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what a stream remembers, without the batch dimension, by name."""
        config = self.config
        return {
            **self.stack.state_shapes(),
            "input": (self.stack.delay_frames, config.num_mels + 2),
            "phase": (1,),
            "overlap": (config.overlap - 1, config.window_samples),
        }

    def initial_states(self, batch: int = 1) -> States:
        """All zeros: the start of a stream. Keys name the state, the first axis is B."""
        return {n: self.head.weight.new_zeros(batch, *shape) for n, shape in self.state_shapes().items()}

    def _cycles(self, pitch_hz: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """The fundamental's phase at each frame, in cycles [0, 1): (B, T), and the last one, (B, 1)."""
        parts = pitch_hz * (self.config.hop_samples / self.config.sample_rate_hz * _CYCLE_PARTS)
        steps = (parts + 0.5).floor() * (1.0 / _CYCLE_PARTS)  # 0.0015 Hz: nobody hears the rounding
        steps = steps - steps.floor()
        rows: list[Tensor] = []
        for piece in torch.split(steps, _PIECE_FRAMES, dim=1):
            # A matrix of ones below the diagonal sums: fewer engines know a cumulative sum.
            size = piece.shape[1]
            summed = phase + piece @ torch.ones(size, size, dtype=piece.dtype, device=piece.device).triu()
            rows.append(summed - summed.floor())
            phase = rows[-1][:, -1:]
        return torch.cat(rows, dim=1), phase

    def _source(self, pitch_hz: Tensor, cycles: Tensor) -> tuple[Tensor, Tensor]:
        """Amplitude and phase in cycles that a flat harmonic source has at each bin, both (B, T, K)."""
        pitch = pitch_hz[..., None].clamp_min(20.0)
        harmonic = (self.bins_hz / pitch + 0.5).floor().clamp_min(1.0)
        distance = (self.bins_hz - harmonic * pitch) * (
            self.config.window_samples / self.config.sample_rate_hz
        )
        # The main lobe of a Hann window, 1 - and 0.5, and 0 - at distances of 0, 1 and 2 bins.
        lobe = 0.5 + 0.5 * torch.cos(0.5 * math.pi * distance.clamp(-2.0, 2.0))
        return lobe, harmonic * cycles[..., None]

    def _shape(self, heard: Tensor, caches: States) -> tuple[Tensor, States]:
        """Log amplitudes of harmonics and noise, phase offsets: (B, T, 3 * num_bins); and the caches."""
        hidden, caches = self.stack.forward_chunk(self.embed(heard), caches)
        return self.head(self.norm(hidden)).float(), caches

    def forward_chunk(
        self, log_mel: Tensor, pitch_hz: Tensor, voiced: Tensor, noise: Tensor, states: States
    ) -> tuple[Tensor, States]:
        """Speak the next frames of a stream. Pure: state in, state out.

        Args:
            log_mel: (B, T, num_mels) natural-log mel magnitudes. pitch_hz: (B, T), also where unvoiced.
            voiced: (B, T), the part of the harmonics in [0, 1].
            noise: (B, T, num_bins), uniform in [0, 1).
            states: :meth:`initial_states` or what the last call returned.

        Returns:
            samples (B, T * hop_samples), which lag by ``delay_frames`` frames, and the new states.
        """
        config = self.config
        T, K = log_mel.shape[1], config.num_bins
        new: States = {}
        # Above the floor, so that the zeros that a stream begins with are silence.
        inputs = torch.cat([log_mel - self.floor, pitch_hz[..., None], voiced[..., None]], dim=-1)
        padded = torch.cat([states["input"], inputs], dim=1)
        delayed, new["input"] = padded[:, :T], padded[:, T:]
        heard = torch.cat(
            [
                (log_mel - self.mean) / self.std,
                (torch.log2(pitch_hz.clamp_min(20.0))[..., None] - 7.5) * 2.0,
                voiced[..., None],
            ],
            dim=-1,
        )
        caches = {name: states[name] for name in self.stack.state_shapes()}
        if self.mixed_precision and self.training:
            with torch.autocast(heard.device.type, dtype=torch.bfloat16):
                shape, stacked = self._shape(heard, caches)
        else:
            shape, stacked = self._shape(heard, caches)
        new.update(stacked)
        mel, pitch, part = delayed[..., :-2], delayed[..., -2], delayed[..., -1:]
        base = (mel + self.floor) @ self.envelope
        harmonics = torch.exp((base + shape[..., :K]).clamp(-14.0, 2.0)) * part
        breath = torch.exp((base + shape[..., K : 2 * K]).clamp(-14.0, 2.0))
        cycles, new["phase"] = self._cycles(pitch, states["phase"])
        lobe, turns = self._source(pitch, cycles)
        turns = turns + shape[..., 2 * K :]
        angle = (turns - turns.floor()) * (2.0 * math.pi)
        random = noise * (2.0 * math.pi)
        real = harmonics * lobe * torch.cos(angle) + breath * torch.cos(random)
        imaginary = harmonics * lobe * torch.sin(angle) + breath * torch.sin(random)
        frames = torch.cat([real, imaginary], dim=-1) @ self.basis  # (B, T, window)
        windows = torch.cat([states["overlap"], frames], dim=1)
        new["overlap"] = windows[:, T:]
        hop, last = config.hop_samples, config.overlap - 1
        samples = sum(
            (windows[:, last - i : last - i + T, i * hop : (i + 1) * hop] for i in range(1, last + 1)),
            start=windows[:, last : last + T, :hop],
        )
        return samples.flatten(1), {name: new[name] for name in states}

    def forward(
        self, log_mel: Tensor, pitch_hz: Tensor, voiced: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """Speak whole utterances: as :meth:`forward_chunk`, with the lag taken out, (B, T * hop_samples).

        ``noise`` is by default drawn from torch's generator.
        """
        if noise is None:
            noise = torch.rand(*log_mel.shape[:2], self.config.num_bins, device=log_mel.device)
        silence = (0, 0, 0, self.delay_frames)
        log_mel = F.pad(log_mel, silence, value=self.floor)
        # The noise of a frame belongs to it, wherever the blocks' lookahead has moved it.
        noise = F.pad(noise, (0, 0, self.stack.delay_frames, self.config.overlap // 2))
        pitch_hz, voiced = (F.pad(x, (0, self.delay_frames)) for x in (pitch_hz, voiced))
        samples, _ = self.forward_chunk(
            log_mel, pitch_hz, voiced, noise, self.initial_states(log_mel.shape[0])
        )
        return samples[:, self.delay_frames * self.config.hop_samples :]

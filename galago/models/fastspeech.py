"""FastSpeech: phones to mel frames in one parallel pass, and the frames as a stream.

The phone side is FastSpeech (Ren et al. 2019: feed-forward transformer blocks, a duration predictor, the
length regulator) with FastSpeech 2's predictors of pitch and energy (Ren et al. 2021), one value a phone as
in FastPitch. It sees the whole sentence at once and is cheap: a sentence has fifty phones.

    phones ──► embedding ──► blocks ──► + pitch, + energy ──► rows, and how many frames each lasts
                                                                 │  length regulator: repeat each row
    mel, pitch, voicing  ◄── ConvNeXt blocks, chunk by chunk ◄───┘

The mel side is where the time goes, so it streams: convolutions with a short lookahead in place of the
published transformer blocks, ``forward`` and ``forward_chunk`` side by side. The first sound leaves when its
first chunk is computed, however long the sentence. Beside 80 mels it draws the pitch of every frame, which
the vocoder makes its harmonics from.

Letters: B batch, P phones, T frames, C width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.attention import MASKED, RelativeAttention, relative_positions
from galago.models.convnext import ConvNeXtStack, States
from galago.models.masks import padding_mask
from galago.models.network_config import NetworkConfig

__all__ = [
    "FASTSPEECH_PRESETS",
    "FastSpeech",
    "FastSpeechConfig",
    "FastSpeechOutput",
    "Prosody",
    "frame_counts",
    "regulate_length",
]


@dataclass(frozen=True)
class FastSpeechConfig(NetworkConfig):
    """Shape of the network; everything that decides a weight's shape, so it is stored with a checkpoint."""

    num_phones: int = 76
    num_mels: int = 80
    width: int = 192
    num_blocks: int = 4
    num_heads: int = 2
    feed_forward_width: int = 576
    kernel_phones: int = 5
    predictor_width: int = 192
    predictor_kernel_phones: int = 3
    decoder_width: int = 256
    decoder_inner_width: int = 640
    decoder_kernel_frames: int = 9
    decoder_lookahead_frames: tuple[int, ...] = (4, 4, 2, 2, 0, 0)  # a block each
    dropout: float = 0.1
    predictor_dropout: float = 0.3

    def __post_init__(self) -> None:
        self._freeze("decoder_lookahead_frames")
        self._check_counts()
        self._check_width(self.width, self.num_heads)
        for name in ("kernel_phones", "predictor_kernel_phones"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} must be odd, got {getattr(self, name)}")
        ahead = self.decoder_lookahead_frames
        if not ahead or min(ahead) < 0 or max(ahead) >= self.decoder_kernel_frames:
            raise ValueError(
                "decoder_lookahead_frames needs a number for each block in "
                f"[0, decoder_kernel_frames = {self.decoder_kernel_frames}), got {ahead}"
            )
        self._check_shares("dropout", "predictor_dropout")


#: ``fastspeech2`` has the published shapes of FastSpeech 2 on the phone side (4 blocks of 256, 2 heads,
#: filters of 1024 and kernel 9, predictors of 256); the others are named by their number of parameters.
FASTSPEECH_PRESETS: dict[str, FastSpeechConfig] = {
    "2m": FastSpeechConfig(
        width=128,
        num_blocks=3,
        feed_forward_width=384,
        predictor_width=128,
        decoder_width=192,
        decoder_inner_width=480,
    ),
    "5m": FastSpeechConfig(),
    "fastspeech2": FastSpeechConfig(
        width=256,
        feed_forward_width=1024,
        kernel_phones=9,
        predictor_width=256,
        decoder_width=384,
        decoder_inner_width=1536,
        decoder_kernel_frames=9,
        predictor_dropout=0.5,
    ),
}


class Prosody(NamedTuple):
    """What is said how, a value a phone, (B, P). Pitch and energy are in standard deviations of the voice."""

    log_frames: Tensor  # natural log of 1 + frames
    pitch: Tensor
    energy: Tensor


class FastSpeechOutput(NamedTuple):
    """``num_frames`` (B,) counts the valid rows of each utterance."""

    log_mel: Tensor  # (B, T, num_mels)
    log2_pitch: Tensor  # (B, T), log2 Hz
    voiced_logits: Tensor  # (B, T)
    num_frames: Tensor  # (B,)
    prosody: Prosody


def frame_counts(
    log_frames: Tensor, is_phone: Tensor, *, rate: Tensor | float = 1.0, pause_frames: Tensor | None = None
) -> Tensor:
    """Durations as whole frames: what the length regulator repeats rows by, (B, P) int64.

    Args:
        log_frames: (B, P) natural log of 1 + frames, as the duration predictor gives them.
        is_phone: (B, P) bool; a phone lasts at least a frame at any speed, so that no sound is skipped; a
            mark may last none; padding is to be given as a mark whose ``log_frames`` is 0.
        rate: speed of speech, 2 is twice as fast; a number or (B, P).
        pause_frames: (B, P), frames that marks last at least (0: as predicted); not scaled by ``rate``.

    Raises:
        ValueError: a rate that is not above 0.
    """
    if not bool((torch.as_tensor(rate) > 0).all()):
        raise ValueError(f"rate must be above 0, got {rate}")
    frames = ((log_frames.exp() - 1.0) / rate + 0.5).floor()
    frames = torch.maximum(frames, is_phone.to(frames.dtype)).clamp_min(0.0)
    if pause_frames is not None:
        frames = torch.maximum(frames, torch.where(is_phone, 0.0, pause_frames.to(frames.dtype)))
    return frames.long()


def regulate_length(rows: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """The length regulator: repeat row i of ``rows`` (B, P, C) ``counts[i]`` times -> (B, T, C), (B,) frames.

    Three phones of 2, 0 and 3 frames::

        a b c   ->   a a c c c

    T is the longest utterance's; shorter ones end in zeros.
    """
    num_frames = counts.sum(dim=1)
    ends = counts.cumsum(dim=1)  # (B, P)
    frame = torch.arange(int(num_frames.max()), device=rows.device)
    # The phone at frame t is the number of phones that have ended by then.
    index = torch.searchsorted(ends, frame.expand(len(ends), -1).contiguous(), right=True)
    regulated = rows.gather(1, index.clamp_max(rows.shape[1] - 1)[..., None].expand(-1, -1, rows.shape[2]))
    return regulated * padding_mask(num_frames, len(frame))[..., None], num_frames


class FeedForwardTransformerBlock(nn.Module):
    """Self-attention and two convolutions over phones (Ren et al. 2019, figure 1b), behind LayerNorms."""

    def __init__(self, width: int, num_heads: int, inner_width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = RelativeAttention(width, num_heads, dropout)
        self.convolution_norm = nn.LayerNorm(width)
        self.expand = nn.Conv1d(width, inner_width, kernel, padding=kernel // 2)
        self.project = nn.Conv1d(inner_width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, positions: Tensor, bias: Tensor, valid: Tensor) -> Tensor:
        """``x`` (B, P, C), ``valid`` (B, P, 1) is 0 in padding, which convolutions then see as silence."""
        x = x + self.dropout(self.attention(self.attention_norm(x), positions, bias))
        y = (self.convolution_norm(x) * valid).transpose(1, 2)
        y = self.project(self.dropout(F.relu(self.expand(y)))).transpose(1, 2)
        out: Tensor = x + self.dropout(y)
        return out


class VariancePredictor(nn.Module):
    """Two convolutions with ReLU, LayerNorm, dropout; then one value a phone (Ren et al. 2021, figure 1c)."""

    def __init__(self, width: int, inner_width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width, inner_width, kernel, padding=kernel // 2)
        self.norm1 = nn.LayerNorm(inner_width)
        self.conv2 = nn.Conv1d(inner_width, inner_width, kernel, padding=kernel // 2)
        self.norm2 = nn.LayerNorm(inner_width)
        self.out = nn.Linear(inner_width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """``x`` (B, P, C), ``valid`` (B, P, 1) -> (B, P), 0 in padding."""
        x = self.norm1(F.relu(self.conv1((x * valid).transpose(1, 2))).transpose(1, 2))
        x = self.norm2(F.relu(self.conv2((self.dropout(x) * valid).transpose(1, 2))).transpose(1, 2))
        y: Tensor = self.out(self.dropout(x)) * valid
        return y[..., 0]


class MelDecoder(nn.Module):
    """Regulated rows (B, T, C) -> mel, pitch and voicing of each frame, whole and chunk by chunk.

    Mean and deviation of each output over the voice's recordings live inside (``mean``, ``std``), so what
    leaves is log-mel, log2 Hz and a logit.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: FastSpeechConfig) -> None:
        super().__init__()
        self.num_mels = config.num_mels
        self.register_buffer("mean", torch.zeros(config.num_mels + 2))
        self.register_buffer("std", torch.ones(config.num_mels + 2))
        self.embed = nn.Linear(config.width, config.decoder_width)
        self.stack = ConvNeXtStack(
            config.decoder_width,
            config.decoder_inner_width,
            config.decoder_kernel_frames,
            config.decoder_lookahead_frames,
            dropout=config.dropout,
        )
        self.norm = nn.LayerNorm(config.decoder_width)
        self.out = nn.Linear(config.decoder_width, config.num_mels + 2)

    @property
    def delay_frames(self) -> int:
        """Rows of a stream lag by so many frames."""
        return self.stack.delay_frames

    def initial_states(self, batch: int = 1) -> States:
        """All zeros: the start of a stream. Keys name the state, the first axis is B."""
        shapes = self.stack.state_shapes()
        return {name: self.out.weight.new_zeros(batch, *shape) for name, shape in shapes.items()}

    def _outputs(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = self.out(self.norm(hidden)).float() * self.std + self.mean
        return y[..., : self.num_mels], y[..., -2], y[..., -1]

    def forward_chunk(self, rows: Tensor, states: States) -> tuple[Tensor, Tensor, Tensor, States]:
        """Draw the next frames. Pure: state in, state out; behind a sentence come rows of zeros.

        Args:
            rows: (B, T, C) regulated rows. states: :meth:`initial_states` or what the last call returned.

        Returns:
            log-mel (B, T, num_mels), log2 pitch (B, T), voicing logits (B, T), row j of frame
            ``j - delay_frames``; and the new states.
        """
        hidden, states = self.stack.forward_chunk(self.embed(rows), states)
        return *self._outputs(hidden), states

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw whole utterances; ``rows`` are zeros behind their end, and row j is of frame j."""
        rows = F.pad(rows, (0, 0, 0, self.delay_frames))
        y = self.forward_chunk(rows, self.initial_states(rows.shape[0]))
        return y[0][:, self.delay_frames :], y[1][:, self.delay_frames :], y[2][:, self.delay_frames :]


class FastSpeech(nn.Module):
    """Phones in, mel frames out. ``encode`` is the phone side, ``decoder`` the mel side."""

    def __init__(self, config: FastSpeechConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.num_phones, config.width, padding_idx=0)
        self.blocks = nn.ModuleList(
            FeedForwardTransformerBlock(
                config.width,
                config.num_heads,
                config.feed_forward_width,
                config.kernel_phones,
                config.dropout,
            )
            for _ in range(config.num_blocks)
        )
        self.norm = nn.LayerNorm(config.width)

        def predictor() -> VariancePredictor:
            return VariancePredictor(
                config.width,
                config.predictor_width,
                config.predictor_kernel_phones,
                config.predictor_dropout,
            )

        self.duration_predictor = predictor()
        self.pitch_predictor = predictor()
        self.energy_predictor = predictor()
        self.pitch_embedding = nn.Linear(1, config.width)
        self.energy_embedding = nn.Linear(1, config.width)
        self.decoder = MelDecoder(config)

    def encode(
        self,
        phones: Tensor,
        *,
        prosody: Prosody | None = None,
        pitch_shift: Tensor | float = 0.0,
        energy_shift: Tensor | float = 0.0,
    ) -> tuple[Tensor, Prosody]:
        """Read a sentence.

        Args:
            phones: (B, P) int64 rows of the alphabet, 0 behind the end: any padding reads alike.
            prosody: pitch and energy to speak with, instead of the predicted ones (training).
            pitch_shift, energy_shift: added to both, numbers or (B, P), in standard deviations.

        Returns:
            rows (B, P, C) for the length regulator, and the *predicted* prosody.
        """
        valid = (phones != 0)[..., None]
        bias = torch.where(valid[:, None, None, :, 0], 0.0, MASKED)
        mask = valid.to(self.norm.weight.dtype)
        P = phones.shape[1]
        x = self.embedding(phones)
        positions = relative_positions(P - 1, -(P - 1), self.config.width).to(x)
        for block in self.blocks:
            x = block(x, positions, bias, mask)
        x = self.norm(x) * mask
        # The durations' gradient stays out of the blocks: it would bend what the sound is read from.
        log_frames = self.duration_predictor(x.detach() if self.training else x, mask)
        found = Prosody(log_frames, self.pitch_predictor(x, mask), self.energy_predictor(x, mask))
        spoken = found if prosody is None else prosody
        pitch, energy = (spoken.pitch + pitch_shift)[..., None], (spoken.energy + energy_shift)[..., None]
        x = x + self.pitch_embedding(pitch) + self.energy_embedding(energy)
        return x * mask, found

    def forward(self, phones: Tensor, counts: Tensor, *, prosody: Prosody | None = None) -> FastSpeechOutput:
        """Speak whole sentences with given durations.

        Args:
            phones: (B, P) int64, 0 behind the end. counts: (B, P) int64 frames of each.
            prosody: pitch and energy to speak with, instead of the predicted ones.
        """
        rows, found = self.encode(phones, prosody=prosody)
        regulated, num_frames = regulate_length(rows, counts)
        log_mel, log2_pitch, voiced_logits = self.decoder(regulated)
        return FastSpeechOutput(log_mel, log2_pitch, voiced_logits, num_frames, found)

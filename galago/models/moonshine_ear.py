"""An ear on Moonshine's encoder: three tokens of 40 ms for every five of its rows, with two heads.

    rows       |   0   |   1   |   2   |   3   |   4   |      24 ms each
    tokens     |     0     |     1     |     2     |          40 ms each

Tokens then last as long as those of a Conformer, so an utterance that a small Conformer hears as it is spoken
can be heard again by this network, token for token, and everything behind them stays as it is. A head is one
linear map from the five rows to the scores of the three tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.ear import Ear, EarOutput, States
from galago.models.front_end import RawFrontEnd
from galago.models.moonshine import KERNELS, MOONSHINE_PRESETS, STRIDES, MoonshineConfig, MoonshineEncoder

__all__ = ["MOONSHINE_EAR_PRESETS", "MoonshineEar", "MoonshineEarConfig"]

GROUP_TOKENS, GROUP_ROWS = 3, 5  # 120 ms


@dataclass(frozen=True)
class MoonshineEarConfig(MoonshineConfig):
    """Shape of the network; stored inside every checkpoint."""

    num_tokens: int = 29
    num_phones: int = 40

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.left_context_rows % GROUP_ROWS:
            raise ValueError(f"left_context_rows {self.left_context_rows} is no multiple of {GROUP_ROWS}")

    @property
    def front_end(self) -> RawFrontEnd:
        return RawFrontEnd(KERNELS, STRIDES, hop_samples=self.samples_per_row * GROUP_ROWS // GROUP_TOKENS)

    @property
    def left_context_tokens(self) -> int:
        return self.left_context_rows * GROUP_TOKENS // GROUP_ROWS

    @property
    def lookahead_tokens(self) -> int:
        return 0


MOONSHINE_EAR_PRESETS: dict[str, MoonshineEarConfig] = {
    name: MoonshineEarConfig(**config.as_dict()) for name, config in MOONSHINE_PRESETS.items()
}


class _Head(nn.Linear):
    """Rows (B, 5 n, C) to scores (B, 3 n, num_scores)."""

    def __init__(self, width: int, num_scores: int) -> None:
        super().__init__(GROUP_ROWS * width, GROUP_TOKENS * num_scores)
        self.num_scores = num_scores

    def forward(self, rows: Tensor) -> Tensor:
        num_groups = rows.shape[1] // GROUP_ROWS
        scores = super().forward(rows.reshape(rows.shape[0], num_groups, self.in_features))
        return scores.reshape(rows.shape[0], num_groups * GROUP_TOKENS, self.num_scores)


class MoonshineEar(Ear):
    """Frames of samples in, phone and token scores out; a chunk has a multiple of three tokens."""

    config: MoonshineEarConfig
    family = "Moonshine"
    chunk_step_tokens = GROUP_TOKENS

    def __init__(self, config: MoonshineEarConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = MoonshineEncoder(config)
        self.dropout = nn.Dropout(config.dropout)
        self.phone_head = _Head(config.width, config.num_phones)
        self.token_head = _Head(config.width, config.num_tokens)

    @property
    def heads(self) -> tuple[nn.Module, ...]:
        """What stands on the encoder: nothing of it is in a published one."""
        return self.phone_head, self.token_head

    def forward(
        self,
        features: Tensor,
        num_frames: Tensor,
        *,
        chunk_tokens: int | None = None,
        left_context_tokens: int | None = None,
    ) -> EarOutput:
        """See :meth:`Ear.forward`; frames are (B, T, 640) samples.

        Raises:
            ValueError: a chunk that is no multiple of three tokens, or another left context than the
                configuration's.
        """
        if left_context_tokens not in (None, self.config.left_context_tokens):
            raise ValueError(f"left_context_tokens is {self.config.left_context_tokens} in this network")
        chunk_rows = None if chunk_tokens is None else self._num_rows(chunk_tokens)
        T, step = features.shape[1], chunk_tokens or GROUP_TOKENS
        features = F.pad(features, (0, 0, 0, -T % step))
        num_samples = num_frames * features.shape[2]
        rows = self.dropout(self.encoder.hear(features.flatten(1), num_samples, chunk_rows=chunk_rows))
        return EarOutput(self.phone_head(rows)[:, :T], self.token_head(rows)[:, :T], num_frames)

    @staticmethod
    def _num_rows(chunk_tokens: int) -> int:
        if chunk_tokens % GROUP_TOKENS:
            raise ValueError(f"chunk_tokens must be a multiple of {GROUP_TOKENS}, got {chunk_tokens}")
        return chunk_tokens // GROUP_TOKENS * GROUP_ROWS

    def initial_states(self, batch: int = 1) -> States:
        """See :meth:`Ear.initial_states` and :meth:`MoonshineEncoder.state_shapes`."""
        weight = self.phone_head.weight
        return {n: weight.new_zeros(batch, *shape) for n, shape in self.encoder.state_shapes().items()}

    def forward_chunk(self, features: Tensor, keep: Tensor, states: States) -> tuple[Tensor, Tensor, States]:
        """See :meth:`Ear.forward_chunk`; frames are (B, chunk_tokens, 640) samples.

        Raises:
            ValueError: a chunk that is no multiple of three tokens.
        """
        self._num_rows(features.shape[1])
        rows, new = self.encoder.forward_chunk(features.flatten(1), keep, states)
        return torch.log_softmax(self.phone_head(rows), -1), torch.log_softmax(self.token_head(rows), -1), new

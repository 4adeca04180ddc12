"""An ear on raw samples: wav2vec 2.0's network with the two heads of the Conformer, 50 tokens/s.

The *phone* head stands on a middle block, the *token* head on the last. Index 0 is the CTC blank of both;
for phones it is silence as well. So everything that a Conformer's rows serve (voice activity, grammars, wake
phrases, words) these serve too, and the same decoders hear them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from galago.models.ear import Ear, EarOutput, States
from galago.models.wav2vec2 import WAV2VEC2_PRESETS, Wav2Vec2, Wav2Vec2Config

__all__ = ["WAV2VEC2_EAR_PRESETS", "Wav2Vec2Ear", "Wav2Vec2EarConfig"]


@dataclass(frozen=True)
class Wav2Vec2EarConfig(Wav2Vec2Config):
    """Shape of the network; stored inside every checkpoint."""

    num_tokens: int = 29
    num_phones: int = 40
    phone_block: int = 4  # the phone head reads the output of this many blocks

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.phone_block > self.num_blocks:
            raise ValueError(f"phone_block {self.phone_block} is not among {self.num_blocks} blocks")

    @property
    def lookahead_tokens(self) -> int:
        return self.position_lookahead_tokens


def _ear(preset: str, phone_block: int) -> Wav2Vec2EarConfig:
    return Wav2Vec2EarConfig(
        **{**WAV2VEC2_PRESETS[preset].as_dict(), "num_tokens": 29}, phone_block=phone_block
    )


#: Causal networks by their number of parameters, in samples as they are and with LayerNorms: no statistic
#: over time, so a stream is exact from its first chunk on.
WAV2VEC2_EAR_PRESETS: dict[str, Wav2Vec2EarConfig] = {"3m": _ear("3m", 4), "9m": _ear("9m", 6)}


class Wav2Vec2Ear(Ear):
    """Frames of samples in, phone and token scores out. Without ``chunk_tokens`` all tokens see each other.

    The network, with its token head, is ``network``: pre-trained weights of a :class:`Wav2Vec2` fit.
    """

    config: Wav2Vec2EarConfig
    family = "wav2vec 2.0"

    def __init__(self, config: Wav2Vec2EarConfig) -> None:
        super().__init__()
        self.config = config
        self.network = Wav2Vec2(config)
        self.phone_norm = nn.LayerNorm(config.width, config.layer_norm_eps)
        self.phone_head = nn.Linear(config.width, config.num_phones)

    @property
    def heads(self) -> tuple[nn.Module, ...]:
        """What stands on the network: nothing of it is in a pre-trained one."""
        return self.phone_norm, self.phone_head, self.network.head

    def _heads(self, blocks: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        phones = self.phone_head(self.phone_norm(blocks[self.config.phone_block - 1]))
        return phones, self.network.head(self.network.dropout(blocks[-1]))

    def forward(
        self,
        features: Tensor,
        num_frames: Tensor,
        *,
        chunk_tokens: int | None = None,
        left_context_tokens: int | None = None,
    ) -> EarOutput:
        """See :meth:`Ear.forward`; frames are (B, T, 320) samples."""
        encoded = self.network.encode_frames(features, num_frames, chunk_tokens, left_context_tokens)
        return EarOutput(*self._heads(encoded.blocks), encoded.num_tokens)

    def initial_states(self, batch: int = 1) -> States:
        """See :meth:`Wav2Vec2.initial_states`."""
        return self.network.initial_states(batch)

    def forward_chunk(self, features: Tensor, keep: Tensor, states: States) -> tuple[Tensor, Tensor, States]:
        """See :meth:`Ear.forward_chunk`; frames are (B, chunk_tokens, 320) samples."""
        encoded, new = self.network.encode_chunk(features.flatten(1), keep, states)
        phones, tokens = self._heads(encoded.blocks)
        return torch.log_softmax(phones, -1), torch.log_softmax(tokens, -1), new

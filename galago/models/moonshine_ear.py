"""An ear on Moonshine's encoder: three tokens of 40 ms for every five of its rows, with two heads.

    rows       |   0   |   1   |   2   |   3   |   4   |      24 ms each
    tokens     |     0     |     1     |     2     |          40 ms each

Tokens then last as long as those of a Conformer, so an utterance that a small Conformer hears as it is spoken
can be heard again by this network, token for token, and everything behind them stays as it is. A head is one
linear map from the five rows to the scores of the three tokens.

With ``decoder_blocks`` a decoder writes what the rows of a whole utterance say, piece by piece
(:mod:`galago.models.piece_decoder`). Both heads and the decoder stand side by side on the rows::

    rows ──┬──► phones, characters     every 40 ms: words of a grammar, times, a lexicon's words
           └──► decoder                once an utterance: open text
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.ear import Ear, EarOutput, States
from galago.models.front_end import RawFrontEnd
from galago.models.masks import padding_mask
from galago.models.moonshine import KERNELS, MOONSHINE_PRESETS, STRIDES, MoonshineConfig, MoonshineEncoder
from galago.models.piece_decoder import PieceDecoder, PieceDecoderConfig
from galago.models.piece_writer import PieceWriter
from galago.models.pieces import Pieces

__all__ = ["MOONSHINE_EAR_PRESETS", "MoonshineEar", "MoonshineEarConfig"]

GROUP_TOKENS, GROUP_ROWS = 3, 5  # 120 ms
MAX_PIECE_BYTES = 32
#: The longest text of an utterance: of faster speech than anybody's, and for the shortest.
PIECES_PER_S, SPARE_PIECES = 8, 8


@dataclass(frozen=True)
class MoonshineEarConfig(MoonshineConfig):
    """Shape of the network; stored inside every checkpoint."""

    num_tokens: int = 29
    num_phones: int = 40
    decoder_blocks: int = 0  # 0: no decoder
    num_pieces: int = 0  # that it writes with

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.decoder_blocks) != bool(self.num_pieces):
            raise ValueError(
                f"decoder_blocks {self.decoder_blocks} and num_pieces {self.num_pieces}: both or none"
            )
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

    def as_dict(self) -> dict[str, Any]:
        """Without a decoder as before there was one: such networks still agree with themselves."""
        return {
            name: value
            for name, value in super().as_dict().items()
            if value or name not in ("decoder_blocks", "num_pieces")
        }

    def _check_counts(self, *may_be_zero: str) -> None:
        super()._check_counts("decoder_blocks", "num_pieces", *may_be_zero)

    @property
    def decoder(self) -> PieceDecoderConfig | None:
        """Shape of the decoder, as wide as the encoder."""
        if not self.decoder_blocks:
            return None
        return PieceDecoderConfig(
            width=self.width,
            num_blocks=self.decoder_blocks,
            num_heads=self.num_heads,
            feed_forward_width=self.feed_forward_width,
            rotary_width=self.rotary_width,
            num_pieces=self.num_pieces,
            layer_norm_eps=self.layer_norm_eps,
        )


MOONSHINE_EAR_PRESETS: dict[str, MoonshineEarConfig] = {
    name: MoonshineEarConfig(**config.as_dict()) for name, config in MOONSHINE_PRESETS.items()
}


@lru_cache(maxsize=4)
def _pieces_of(names: bytes) -> Pieces:
    rows = (names[i : i + MAX_PIECE_BYTES] for i in range(0, len(names), MAX_PIECE_BYTES))
    return Pieces([row.rstrip(b"\0").decode("utf-8") for row in rows])


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
        self.decoder = None if config.decoder is None else PieceDecoder(config.decoder)
        # Their names are a part of the weights: without them these say nothing.
        self.register_buffer(
            "piece_names", torch.zeros(config.num_pieces, MAX_PIECE_BYTES, dtype=torch.uint8)
        )

    piece_names: Tensor

    @property
    def pieces(self) -> Pieces:
        """What the decoder writes with.

        Raises:
            ValueError: there is no decoder, or it was never told.
        """
        return _pieces_of(self.piece_names.cpu().numpy().tobytes())

    def name_pieces(self, pieces: Pieces) -> None:
        """Tell the decoder what its pieces stand for.

        Raises:
            ValueError: there are more or fewer of them, or one is too long.
        """
        rows = [name.encode("utf-8") for name in pieces.names]
        if len(rows) != len(self.piece_names) or max(map(len, rows)) > MAX_PIECE_BYTES:
            raise ValueError(f"{len(rows)} pieces of up to {max(map(len, rows))} bytes do not fit")
        padded = b"".join(row.ljust(MAX_PIECE_BYTES, b"\0") for row in rows)
        self.piece_names.copy_(torch.frombuffer(bytearray(padded), dtype=torch.uint8).reshape(len(rows), -1))

    def written(self, output: EarOutput, chunk_tokens: int | None = None) -> list[str]:
        """What the decoder writes of each utterance of ``output``, without what it wrote in circles.

        Args:
            chunk_tokens: the rows came in chunks, and were written of as they came; ``None``: all at once.

        Raises:
            ValueError: there is no decoder.
        """
        if self.decoder is None or output.rows is None:
            raise ValueError("a network without a decoder writes nothing")
        writer = PieceWriter(self.decoder, self.pieces)
        log_probs = torch.log_softmax(output.token_logits.float(), -1)
        texts = []
        for rows, tokens, count in zip(output.rows, log_probs, output.num_tokens.tolist(), strict=True):
            writer.reset()
            for end in range(chunk_tokens or count, count, chunk_tokens or count):
                writer.write(rows[: self._rows_of(end)], tokens[:end], self._max_pieces(end))
                writer.agree()
            texts.append(writer.write(rows[: self._rows_of(count)], tokens[:count], self._max_pieces(count)))
        return texts

    def _max_pieces(self, num_tokens: int) -> int:
        return num_tokens * self.front_end.token_ms // 1000 * PIECES_PER_S + SPARE_PIECES

    @staticmethod
    def _rows_of(num_tokens: int) -> int:
        return (num_tokens * GROUP_ROWS + GROUP_TOKENS - 1) // GROUP_TOKENS

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
        return EarOutput(self.phone_head(rows)[:, :T], self.token_head(rows)[:, :T], num_frames, rows)

    def valid_rows(self, output: EarOutput) -> Tensor:
        """Which rows of ``output`` (B, T) are an utterance's, and not behind it."""
        assert output.rows is not None
        num_rows = (output.num_tokens * GROUP_ROWS + GROUP_TOKENS - 1) // GROUP_TOKENS
        return padding_mask(num_rows, output.rows.shape[1])

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
        phones, tokens, _, new = self.forward_chunk_rows(features, keep, states)
        return phones, tokens, new

    def row_shape(self, chunk_tokens: int) -> tuple[int, int] | None:
        """See :meth:`Ear.row_shape`."""
        return None if self.decoder is None else (self._num_rows(chunk_tokens), self.config.width)

    def forward_chunk_rows(
        self, features: Tensor, keep: Tensor, states: States
    ) -> tuple[Tensor, Tensor, Tensor, States]:
        """See :meth:`Ear.forward_chunk_rows`; here with or without a decoder.

        Raises:
            ValueError: a chunk that is no multiple of three tokens.
        """
        self._num_rows(features.shape[1])
        rows, new = self.encoder.forward_chunk(features.flatten(1), keep, states)
        phones, tokens = (torch.log_softmax(head(rows), -1) for head in (self.phone_head, self.token_head))
        return phones, tokens, rows, new

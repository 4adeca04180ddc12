"""What the decoder of an ear is trained by: the next piece of a text whose pieces before it are known."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from galago.models.checkpoint import load_network
from galago.models.ear import EarOutput
from galago.models.moonshine_ear import MoonshineEar
from galago.models.piece_decoder import PieceDecoder
from galago.models.pieces import BEGIN, END, Pieces, chosen_pieces
from galago.models.tokenizer import TOKENS
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.ear.batches import IGNORED, Batch
from galago.runtime.language.sphinx_ngrams import pocketsphinx_ngrams

__all__ = ["begin_decoder", "piece_loss"]

COMMON_WORDS = 60_000


def begin_decoder(model: MoonshineEar, path: Path) -> None:
    """Begin with a published decoder; of its pieces stay those that lower-case English needs most.

    Raises:
        CheckpointError: it is damaged, no decoder, or of another shape.
    """
    stored = load_network(path)
    source = stored.network
    if not isinstance(source, PieceDecoder) or model.decoder is None:
        raise CheckpointError(f"{path}: holds a {stored.kind}, no decoder")
    wanted = model.decoder.config.with_(num_pieces=source.config.num_pieces)
    if source.config != wanted:
        raise CheckpointError(f"{path}: holds a decoder of another shape: {source.config}")
    pieces = Pieces(stored.details["pieces"])
    try:
        kept = chosen_pieces(pieces, _common_words(), model.decoder.config.num_pieces)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    weights = source.state_dict()
    weights["embedding.weight"] = weights["embedding.weight"][kept]
    model.decoder.load_state_dict(weights)
    model.name_pieces(Pieces([pieces.names[i] for i in kept]))


def _common_words() -> dict[str, float]:
    """The likeliest words of PocketSphinx's language model that are spelled with letters and apostrophes."""
    model, spelled = pocketsphinx_ngrams(), set("abcdefghijklmnopqrstuvwxyz'")
    found = sorted(
        (
            (float(p), word)
            for word, p in zip(model.words, model.unigrams, strict=True)
            if set(word) <= spelled
        ),
        reverse=True,
    )
    return {word: math.exp(p) for p, word in found[:COMMON_WORDS]}


def _targets(batch: Batch, pieces: Pieces) -> Tensor:
    """Pieces of each text between BEGIN and END, (B, U); IGNORED behind them, and where none is known."""
    rows: list[list[int]] = []
    labels, at = batch.tokens.tolist(), 0
    for count, is_known in zip(batch.num_tokens.tolist(), batch.has_tokens.tolist(), strict=True):
        text = "".join(TOKENS[label] for label in labels[at : at + count])
        at += count
        rows.append([BEGIN, *pieces.encode(text.split()), END] if is_known else [IGNORED])
    targets = torch.full((len(rows), max(2, *map(len, rows))), IGNORED)
    for i, row in enumerate(rows):
        targets[i, : len(row)] = torch.tensor(row)
    return targets.to(batch.features.device)


def piece_loss(model: MoonshineEar, output: EarOutput, batch: Batch) -> dict[str, Tensor]:
    """Cross-entropy of each next piece, and how many of them are right."""
    assert model.decoder is not None and output.rows is not None
    targets = _targets(batch, model.pieces)
    heard, wanted = targets[:, :-1].clamp_min(0), targets[:, 1:]
    logits = model.decoder(heard, output.rows, model.valid_rows(output)).float()
    known = wanted != IGNORED
    count = known.sum().clamp_min(1)
    loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="sum")
    accuracy = ((logits.argmax(-1) == wanted) & known).sum() / count
    return {"pieces": loss / count, "piece_accuracy": accuracy}

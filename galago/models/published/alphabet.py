"""Tokens of a CTC head and labels of a classifier, as folders name them."""

from __future__ import annotations

from typing import Any

from galago.models.published.folder import PublishedFolder, Settings
from galago.models.training.checkpoints import CheckpointError

__all__ = ["ctc_details", "label_names", "read_tokens"]


def _tables(folder: PublishedFolder) -> list[Settings]:
    """Tokens to their ids, as one or two files hold them."""
    vocabulary = folder.settings("vocab.json")
    if vocabulary is not None:
        added = folder.settings("added_tokens.json")
        return [vocabulary] if added is None else [vocabulary, added]
    tokenizer = folder.settings("tokenizer.json")
    if tokenizer is None:
        raise CheckpointError(f"{folder.path / 'vocab.json'}: no such file, and no tokenizer.json")
    model: dict[str, Any] = tokenizer.get("model", dict)
    held = Settings(tokenizer.path, model).get("vocab", dict)
    added_tokens: list[Any] = tokenizer.get("added_tokens", list, [])
    try:
        added_ids = {token["content"]: token["id"] for token in added_tokens}
    except (TypeError, KeyError) as error:
        raise CheckpointError(f"{tokenizer.path}: added_tokens need content and id") from error
    return [Settings(tokenizer.path, held), Settings(tokenizer.path, added_ids)]


def read_tokens(folder: PublishedFolder, num_tokens: int) -> list[str]:
    """``vocab.json`` and ``added_tokens.json``, or ``tokenizer.json``, by id, 0 to ``num_tokens`` - 1.

    Raises:
        CheckpointError: there is neither, an id is missing, outside of the head, or given twice.
    """
    tables = _tables(folder)
    found: dict[int, str] = {}
    for settings in tables:
        for token in settings.values:
            number = settings.get(token, int)
            if not 0 <= number < num_tokens:
                raise CheckpointError(
                    f"{settings.path}: {token!r} is {number}, outside the {num_tokens} of the head"
                )
            if found.setdefault(number, token) != token:
                raise CheckpointError(f"{settings.path}: {token!r} and {found[number]!r} are both {number}")
    missing = [number for number in range(num_tokens) if number not in found]
    if missing:
        raise CheckpointError(f"{tables[0].path}: no token is {missing[0]}, and the head has {num_tokens}")
    return [found[number] for number in range(num_tokens)]


def ctc_details(folder: PublishedFolder) -> dict[str, Any]:
    """What decoding a CTC head needs: ``tokens`` by row, the ``blank`` row, the ``word_separator``.

    Raises:
        CheckpointError: ``vocab.json`` is missing or does not fit the head, or the blank is outside of it.
    """
    num_tokens = folder.config.get("vocab_size", int)
    tokens = read_tokens(folder, num_tokens)
    blank = folder.config.get("pad_token_id", int, 0)
    if not 0 <= blank < num_tokens:
        raise CheckpointError(
            f"{folder.config.path}: pad_token_id {blank} is outside the {num_tokens} tokens"
        )
    tokenizer = folder.settings("tokenizer_config.json")
    separator = "|" if tokenizer is None else tokenizer.get("word_delimiter_token", str, "|")
    return {"tokens": tokens, "blank": blank, "word_separator": separator}


def label_names(folder: PublishedFolder) -> list[str]:
    """Names of a classifier's rows; ``LABEL_0`` and on where the folder gives only their number.

    Raises:
        CheckpointError: the numbers of ``id2label`` are not 0 to its length.
    """
    config = folder.config
    if "id2label" not in config.values:
        return [f"LABEL_{i}" for i in range(config.get("num_labels", int, 2))]  # the layout's own default
    named: dict[str, Any] = config.get("id2label", dict)
    try:
        return [str(named[str(i)]) for i in range(len(named))]
    except KeyError as error:
        raise CheckpointError(f"{config.path}: id2label has {len(named)} labels and no {error}") from error

"""Published folders for tests: tiny networks of transformers' classes, random weights, as it saves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

TOKENS = ["<pad>", "|", "e", "t", "a"]


def make_published(
    folder: Path, kind: str, *, suffix: str, network: str | None = None, **settings: Any
) -> Any:
    """Save ``KIND`` + ``suffix``, made of ``KINDConfig(**settings)``, and return it in evaluation mode.

    ``network`` names the class where it is called otherwise.
    """
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    config = getattr(transformers, f"{kind}Config")(**settings)
    theirs = getattr(transformers, network or kind + suffix)(config).eval()
    for parameter in theirs.parameters():  # some begin at zero or one: nothing may hide there
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    for name, buffer in theirs.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(torch.rand_like(buffer))
    theirs.save_pretrained(folder)
    return theirs


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def write_vocabulary(folder: Path, tokens: list[str] = TOKENS) -> None:
    write_json(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})


def change_json(path: Path, **changes: Any) -> None:
    """Set keys of a JSON file."""
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})

"""A published CTC head as an ear: its tokens, and voice where it puts out characters."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from galago.models.ctc_ear import CtcEar, published_tokens
from tests.models.test_wav2vec2 import BASE, network
from tests.models.test_wav2vec2_ear import frames

#: A head of seven rows, laid out as published ones are.
DETAILS: dict[str, Any] = {
    "tokens": ["<pad>", "<s>", "</s>", "<unk>", "|", "E", "'"],
    "blank": 0,
    "word_separator": "|",
}
TOKENS = ("<blank>", " ", "e", "'")


def ctc_ear(**changes: Any) -> CtcEar:
    return CtcEar(network(num_tokens=7, **changes), published_tokens(DETAILS), voice_hold_tokens=3).eval()


def test_tokens_are_found_by_what_they_spell() -> None:
    assert published_tokens(DETAILS) == dict(zip(TOKENS, (0, 4, 5, 6), strict=True))
    last = {"tokens": ["a", "B", "|", "[PAD]"], "blank": 3, "word_separator": "|"}
    assert published_tokens(last) == {"<blank>": 3, "a": 0, "B": 1, " ": 2}  # not all are capitals
    with pytest.raises(ValueError, match="rows 1 and 4 of the head are both ' '"):
        published_tokens({**DETAILS, "tokens": ["<pad>", " ", "a", "b", "|", "c", "d"]})
    with pytest.raises(ValueError, match="no token beside its blank"):
        published_tokens({**DETAILS, "tokens": ["<pad>", "<s>"]})


@torch.no_grad()
def test_the_head_has_the_rows_of_the_tokens() -> None:
    """Among what is kept, probabilities stand as published."""
    model, whole = ctc_ear(), network(num_tokens=7)
    x = frames(16)
    found, _ = model.forward_chunk(x, torch.zeros(1), model.initial_states())[1:]
    published = whole.forward_chunk(x.flatten(1), torch.zeros(1), whole.initial_states())[0][
        ..., [0, 4, 5, 6]
    ]
    torch.testing.assert_close(found, published.log_softmax(-1), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, BASE], ids=["large", "base"])
def test_a_stream_is_the_whole(changes: dict[str, Any]) -> None:
    model, chunk_tokens = ctc_ear(**changes), 4
    x, lag = frames(400), 2
    whole = model(x, torch.tensor([400]), chunk_tokens=chunk_tokens)
    states, keep, rows = {n: s + 3.0 for n, s in model.initial_states().items()}, torch.zeros(1), []
    for chunk in torch.split(x, chunk_tokens, dim=1):
        voice, tokens, states = model.forward_chunk(chunk, keep, states)
        rows.append(torch.cat([voice, tokens], dim=-1))
        keep = torch.ones(1)
    expected = torch.cat([whole.phone_logits, whole.token_logits.log_softmax(-1)], dim=-1)[:, :-lag]
    assert float((torch.cat(rows, dim=1)[:, lag:] - expected).abs().max()) <= 1e-4


@torch.no_grad()
def test_voice_is_held_behind_each_character() -> None:
    model = ctc_ear()
    silent, space = [0.98, 0.01, 0.005, 0.005], [0.01, 0.98, 0.005, 0.005]
    spoken = [0.05, 0.05, 0.85, 0.05]
    rows = torch.tensor([[silent, space, spoken, silent, silent, silent, spoken]]).log()
    voice, said = model._voice(rows, torch.ones(1, 7), torch.zeros(1, 2))
    torch.testing.assert_close(voice.exp().sum(-1), torch.ones(1, 7))
    expected = torch.tensor([0.01, 0.01, 0.9, 0.9, 0.9, 0.01, 0.9])
    torch.testing.assert_close(voice[0, :, 1].exp(), expected)
    torch.testing.assert_close(said, torch.tensor([[0.01, 0.9]]))
    before_the_first_token = model._voice(rows, torch.zeros(1, 7), torch.zeros(1, 2))[0]
    assert float(before_the_first_token[..., 1].exp().max()) < 0.001

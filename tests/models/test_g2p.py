"""The letter-to-phone network: padding changes nothing, greedy reading, bad words."""

from __future__ import annotations

import pytest
import torch

from galago.models.g2p import MAX_LETTERS, NO_LETTER, G2p, G2pConfig, encode_letters, greedy_phones


def tiny() -> G2p:
    torch.manual_seed(0)
    return G2p(
        G2pConfig(5, width=16, num_layers=2, num_heads=2, feed_forward=16, condition_after=(1,))
    ).eval()


def test_a_word_reads_alike_in_any_padding() -> None:
    model = tiny()
    letters = torch.tensor([encode_letters("galago")])
    padded = torch.cat([letters, torch.full((1, 5), NO_LETTER)], dim=1)
    alone, among = model(letters), model(padded)
    num_slots = int(alone.num_slots)
    assert num_slots == 2 * (len("galago") + 2) == int(among.num_slots)
    torch.testing.assert_close(among.logits[:, :num_slots], alone.logits, atol=1e-5, rtol=1e-5)


def test_every_letter_can_change_every_slot() -> None:
    model = tiny()
    one, other = (model(torch.tensor([encode_letters(word)])).logits for word in ("galago", "galaga"))
    assert (one != other).any(dim=-1).all()


def test_greedy_merges_repeats_and_drops_blanks() -> None:
    assert greedy_phones([0, 1, 1, 0, 1, 2, 2, 0], ("B", "AH0")) == ("B", "B", "AH0")
    assert greedy_phones([0, 0], ("B",)) == ()


@pytest.mark.parametrize("word", ["", "a" * (MAX_LETTERS + 1), "naïve", "R2"])
def test_what_cannot_be_read_is_refused(word: str) -> None:
    with pytest.raises(ValueError):
        encode_letters(word)


def test_a_shape_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="num_heads"):
        G2pConfig(5, width=10, num_heads=4)
    with pytest.raises(ValueError, match="condition_after"):
        G2pConfig(5, num_layers=2, condition_after=(2,))

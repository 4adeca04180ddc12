"""CTC between networks of other rates and delays: rows meet where they hear, and late is not wrong."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from galago.models.training.distill.alignment import (
    WAV2VEC2_CLOCK,
    RowClock,
    delayed_kl,
    guided_loss,
    means_on_tokens,
    rows_exist,
    sampled_labels,
    sequence_loss,
    spikes_on_tokens,
)

V = 5
#: Tokens of four log-mel frames: windows of 400 samples, 160 apart.
CONFORMER_CLOCK = RowClock(440, 640)


def spoken(labels: list[int], *, sure: float = 0.96) -> Tensor:
    """Posteriors (1, T, V) that name these labels one a row; 0 is the blank."""
    probs = torch.full((1, len(labels), V), (1.0 - sure) / (V - 1))
    probs[0, torch.arange(len(labels)), torch.tensor(labels)] = sure
    return probs


def everything(num_tokens: int, batch: int = 1) -> Tensor:
    return torch.ones(batch, num_tokens, dtype=torch.bool)


def test_rows_at_the_same_rate_are_their_own() -> None:
    assert CONFORMER_CLOCK.rows_of(4, CONFORMER_CLOCK).tolist() == [[0], [1], [2], [3]]


def test_two_rows_of_wav2vec2_lie_in_a_token() -> None:
    table = CONFORMER_CLOCK.rows_of(5, WAV2VEC2_CLOCK)
    assert table.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    for token, rows in enumerate(table.tolist()):
        for row in rows:  # within half a token of its middle
            assert abs((200 + 320 * row) - (440 + 640 * token)) <= 320


def test_rows_that_do_not_divide_are_each_in_one_token() -> None:
    table = RowClock(50, 100).rows_of(8, RowClock(10, 30))
    found = [row for rows in table.tolist() for row in rows if row >= 0]
    assert found == list(range(len(found))) and len(found) == 27  # up to sample 800
    assert {sum(row >= 0 for row in rows) for rows in table.tolist()} == {3, 4}


def test_a_slower_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="rows every 640 samples are too few for 320"):
        WAV2VEC2_CLOCK.rows_of(3, CONFORMER_CLOCK)


def test_a_spike_survives_the_slower_clock_whole() -> None:
    probs = spoken([0, 2, 0, 0, 3, 0])
    table = torch.tensor([[0, 1], [2, 3], [4, 5], [6, 7]])
    found, exists = spikes_on_tokens(probs, table, torch.tensor([6])), rows_exist(table, torch.tensor([6]))
    assert found.argmax(-1).tolist() == [[2, 0, 3, found[0, 3].argmax().item()]]
    assert exists.tolist() == [[True, True, True, False]]
    torch.testing.assert_close(found[0, 0], probs[0, 1])
    torch.testing.assert_close(means_on_tokens(probs, table, torch.tensor([6]))[0, 0], probs[0, :2].mean(0))


def test_rows_behind_an_utterances_end_are_none_of_its_tokens() -> None:
    probs = spoken([0, 2, 1, 1])
    table = torch.tensor([[0, 1], [2, 3]])
    found, exists = spikes_on_tokens(probs, table, torch.tensor([1])), rows_exist(table, torch.tensor([1]))
    assert exists.tolist() == [[True, False]]
    torch.testing.assert_close(found[0, 0], probs[0, 0])
    torch.testing.assert_close(means_on_tokens(probs, table, torch.tensor([1]))[0, 0], probs[0, 0])


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_a_student_that_is_late_by_as_much_as_it_may_be_has_learned_all(delay: int) -> None:
    taught = torch.cat([spoken([0, 2, 0, 0, 3, 0, 0, 0, 0])])
    late = spoken([0] * delay + [0, 2, 0, 0, 3, 0, 0, 0, 0][: 9 - delay]).log()
    found = delayed_kl(late, taught, everything(9), temperature=1.0, max_delay_tokens=3)
    assert float(found.loss) < 1e-6 and float(found.delay_tokens) == delay
    if delay:
        strict = delayed_kl(late, taught, everything(9), temperature=1.0, max_delay_tokens=delay - 1)
        assert float(strict.loss) > 0.3


def test_each_utterance_has_its_own_delay() -> None:
    taught = torch.cat([spoken([2, 0, 0, 3, 0, 0])] * 2)
    logits = torch.cat([spoken([2, 0, 0, 3, 0, 0]), spoken([0, 0, 2, 0, 0, 3])]).log()
    found = delayed_kl(logits, taught, everything(6, 2), temperature=1.0, max_delay_tokens=4)
    assert float(found.loss) < 1e-6 and float(found.delay_tokens) == 1.0


def test_an_utterance_shorter_than_the_delay_is_compared_where_it_is() -> None:
    valid = torch.tensor([[True, True, False, False, False]])
    taught, logits = spoken([2, 3, 0, 0, 0]), torch.zeros(1, 5, V)
    found = delayed_kl(logits, taught, valid, temperature=1.0, max_delay_tokens=4)
    assert float(found.delay_tokens) <= 1.0 and float(found.loss) > 0.5


def test_padding_is_not_compared() -> None:
    valid = torch.tensor([[True] * 4 + [False] * 2])
    taught, logits = (
        spoken([0, 2, 0, 3, 0, 0]),
        torch.randn(1, 6, V, generator=torch.Generator().manual_seed(0)),
    )
    spoiled = logits.clone()
    spoiled[:, 4:] = torch.tensor([0.0, 9.0, 0.0, 0.0, 0.0])
    for maximum in (0, 2):
        a, b = (
            delayed_kl(x, taught, valid, temperature=2.0, max_delay_tokens=maximum) for x in (logits, spoiled)
        )
        torch.testing.assert_close(a.loss, b.loss)
        torch.testing.assert_close(
            *(guided_loss(x, taught, valid, max_delay_tokens=maximum) for x in (logits, spoiled))
        )


def test_guiding_asks_for_the_symbol_soon_after_the_teachers() -> None:
    taught = spoken([0, 2, 0, 0, 0, 0])
    for place, expected in ((1, 0.04), (3, 0.04), (4, 0.99)):
        labels = [0] * 6
        labels[place] = 2
        loss = guided_loss(spoken(labels).log(), taught, everything(6), max_delay_tokens=2)
        assert float(loss) == pytest.approx(expected, abs=0.01), place
    silent = guided_loss(taught.log(), spoken([0] * 6), everything(6), max_delay_tokens=2)
    assert float(silent) == 0.0


def test_label_sequences_are_drawn_as_ctc_gives_them() -> None:
    """Two rows of blank or 1: P(nothing) = 1/4, P(1) = 3/4, as (1 -), (- 1) and (1 1) are all the label 1."""
    torch.manual_seed(1)
    probs = torch.zeros(4000, 3, V)
    probs[..., :2] = 0.5
    labels, num_labels = sampled_labels(probs, torch.full((4000,), 2))
    assert set(labels.tolist()) == {1} and int(num_labels.max()) == 1
    assert float((num_labels == 0).float().mean()) == pytest.approx(0.25, abs=0.03)


def test_repeats_are_one_label_and_a_blank_parts_two() -> None:
    labels, num_labels = sampled_labels(
        torch.cat([spoken([2, 2, 0, 2, 3], sure=1.0), spoken([0, 4, 4, 1, 1], sure=1.0)]),
        torch.tensor([5, 3]),
    )
    assert labels.tolist() == [2, 2, 3, 4] and num_labels.tolist() == [3, 1]


def test_the_sequence_loss_is_ctc_whatever_the_rate() -> None:
    """-log P(2 | uniform rows): of V^3 paths of three rows, those that collapse to "2" are 6."""
    labels, num_labels = torch.tensor([2]), torch.tensor([1])
    loss = sequence_loss(torch.zeros(1, 3, V), torch.tensor([3]), labels, num_labels)
    assert float(loss) * 4 == pytest.approx(-math.log(6 / V**3), rel=1e-5)  # 4 is the floor of labels
    sure = sequence_loss(20.0 * spoken([0, 2, 0]), torch.tensor([3]), labels, num_labels)
    assert float(sure) < 1e-3

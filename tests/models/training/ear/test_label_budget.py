"""Learning from part of the labels: the same part each time, less within more, spread over the speakers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from galago.models.training.ear.batches import BatchMaker, load_corpora
from galago.models.training.ear.corpus import Clip
from galago.models.training.ear.label_budget import within_minutes
from tests.models.training.ear.tone_corpus import tone_recipe, write_tone_corpus


def clips(num_speakers: int, each: int, duration_s: int = 3) -> list[tuple[str, Clip]]:
    return [
        ("talk", Clip(f"{s}-{i}", "train", f"speaker{s}", ["yes"], 0, duration_s * 16_000))
        for s in range(num_speakers)
        for i in range(each)
    ]


def test_fewer_minutes_are_part_of_more_whatever_the_order() -> None:
    every = clips(10, 20)
    chosen = [within_minutes(every, minutes) for minutes in (0.5, 2.0, 5.0, 1000.0)]
    assert [len(ids) for ids in chosen] == [10, 40, 100, 200]
    assert all(less < more for less, more in zip(chosen, chosen[1:], strict=False))
    assert within_minutes(reversed(every), 2.0) == chosen[1]


def test_every_speaker_comes_before_anybody_comes_again() -> None:
    every = [*clips(8, 5), *(("solo", Clip(str(i), "train", None, [], 0, 48_000)) for i in range(50))]
    first = within_minutes(every, 9 * 3 / 60)
    assert sorted(corpus for corpus, _ in first) == ["solo"] + ["talk"] * 8
    assert len({id.split("-")[0] for corpus, id in first if corpus == "talk"}) == 8


def test_one_clip_is_learned_from_at_least() -> None:
    assert len(within_minutes(clips(2, 2, duration_s=60), 0.1)) == 1


@pytest.mark.parametrize("minutes", [0.1, 0.2])
def test_an_ear_learns_from_no_more_than_its_recipe_says(minutes: float, tmp_path: Path) -> None:
    write_tone_corpus(tmp_path)
    recipe = replace(tone_recipe(), label_minutes=minutes)
    (part,), _ = load_corpora(recipe, tmp_path, tmp_path)
    seconds = sum(source.clip.duration_s for source in part.sources)
    assert 0.5 * minutes * 60 < seconds <= minutes * 60
    drawn = {s.clip.id for batch in BatchMaker(recipe, tmp_path, tmp_path).epoch(0) for u in batch for s in u}
    assert drawn == {source.clip.id for source in part.sources}
    assert len(part.corpus.split("dev")) == 4  # what is held out stays as it is

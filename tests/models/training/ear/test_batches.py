"""Batches: a pure function of their step, with targets that stand where the sound does."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from galago.models.tokenizer import TOKENS, encode_phones
from galago.models.training.ear.batches import IGNORED, Batch, BatchMaker, Example, collate
from galago.models.training.ear.corpus import CorpusError
from galago.models.training.ear.recipe import CorpusRecipe, LossRecipe
from tests.models.training.ear.tone_corpus import LEXICON, PHONE_FRAMES, tone_recipe, write_tone_corpus


def maker(
    folder: Path,
    *,
    augmentation: dict[str, Any] | None = None,
    consistency: float = 0.0,
    **schedule: Any,
) -> BatchMaker:
    if not (folder / "tones.jsonl").is_file():
        write_tone_corpus(folder)
    recipe = tone_recipe(augmentation=augmentation, **schedule)
    return BatchMaker(replace(recipe, loss=LossRecipe(consistency=consistency)), folder, folder)


def same(left: Batch, right: Batch) -> bool:
    def equal(a: object, b: object) -> bool:
        if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
            return torch.equal(a, b)
        return a is b is None or (isinstance(a, float) and a == b)

    return all(map(equal, left, right))


@pytest.mark.parametrize("consistency", [0.0, 0.2])
def test_a_batch_is_a_pure_function_of_its_step(consistency: float, tmp_path: Path) -> None:
    """In any order, over several epochs, from another maker: the same batch."""
    first = maker(tmp_path, consistency=consistency)
    num_batches = 3 * len(first.epoch(0))
    forward = {step: first[step] for step in range(num_batches)}
    second = maker(tmp_path, consistency=consistency)
    for step in reversed(range(num_batches)):
        assert same(second[step], forward[step]), step
    assert not same(forward[0], forward[1])


def test_twins_are_made_where_views_are_compared_and_nowhere_else(tmp_path: Path) -> None:
    """The same sound under other masks; in clean steps, and in noise, there are no masks."""
    masks = {"time_masks_per_s": 2.0}
    data = maker(tmp_path, consistency=0.2, clean_steps=2, augmentation=masks)
    clean, masked = data[1], data[2]
    assert clean.twin is not None and torch.equal(clean.twin, clean.features)
    assert masked.twin is not None and masked.twin.shape == masked.features.shape
    for features, twin, num_tokens in zip(masked.features, masked.twin, masked.num_tokens, strict=True):
        same_sound = (features == twin).float().mean()
        assert (same_sound == 1.0) if num_tokens == 0 else (0.2 < same_sound < 1.0)
    assert all(maker(tmp_path)[step].twin is None for step in (0, 5))


def test_an_epoch_holds_every_clip_once_and_the_next_one_another_order(tmp_path: Path) -> None:
    data = maker(tmp_path)
    epochs = [[s.clip.id for b in data.epoch(n) for u in b for s in u] for n in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(f"clip{i}" for i in range(16))
    assert epochs[0] != epochs[1]


def test_shares_and_lengths_choose_what_an_epoch_draws(tmp_path: Path) -> None:
    write_tone_corpus(tmp_path)
    recipe = tone_recipe(max_clip_s=1.5)
    half = replace(recipe, corpora=(CorpusRecipe("tones.tar", share=0.5),))
    drawn = [s for b in BatchMaker(half, tmp_path, tmp_path).epoch(0) for u in b for s in u]
    short = [s for b in BatchMaker(recipe, tmp_path, tmp_path).epoch(0) for u in b for s in u]
    assert all(s.clip.duration_s <= 1.5 for s in drawn + short)
    assert len(drawn) == round(len(short) / 2) < len(short) < 16


def test_batches_stay_within_their_length(tmp_path: Path) -> None:
    data = maker(tmp_path, augmentation={"concatenate_probability": 0.0})
    for utterances in data.epoch(0):
        longest = max(sum(s.clip.duration_s for s in u) for u in utterances)
        assert longest * len(utterances) <= 6.0 * 1.06 or len(utterances) == 1


def heard_tones(example: Example) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which tokens are loud: more than half of a tone's energy over the hiss, in the middle of the token."""
    num_tokens = len(example.phone_frames)
    frames = np.minimum(np.arange(num_tokens) * 4 + 1, len(example.features) - 1)
    peaks = example.features.max(axis=1)
    loud: np.ndarray[Any, np.dtype[np.bool_]] = peaks[frames] > (peaks.max() + peaks.min()) / 2
    return loud


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_targets_stand_where_the_sound_does_at_every_speed(factor: float, tmp_path: Path) -> None:
    quiet = {
        "speed_factors": (factor,),
        "frequency_masks": 0,
        "time_masks_per_s": 0.0,
        "noise_only_share": 0.0,
    }
    data = maker(tmp_path, augmentation=quiet)
    agreed = total = 0
    for source in data.parts[0].sources:
        example = data._example([source], np.random.default_rng(1), clean=False)
        said = example.phone_frames != 0
        agreed += int((said == heard_tones(example)).sum())
        total += len(said)
        words = source.clip.words or []
        assert example.phones == encode_phones(p for w in words for p in LEXICON[w])
        assert "".join(TOKENS[t] for t in example.tokens or []) == " ".join(words)
        spoken_tokens = len(words) * 2 * PHONE_FRAMES / factor / 4
        assert abs(int(said.sum()) - spoken_tokens) <= len(words) + 1
    assert agreed / total > 0.93  # the rest are tokens that a border crosses


def test_joined_clips_have_joined_targets(tmp_path: Path) -> None:
    data = maker(tmp_path)
    pair = data.parts[0].sources[:2]
    example = data._example(pair, np.random.default_rng(1), clean=False)
    words = [w for s in pair for w in s.clip.words or []]
    assert example.phones == encode_phones(p for w in words for p in LEXICON[w])
    runs = [
        int(p)
        for i, p in enumerate(example.phone_frames)
        if p and (i == 0 or example.phone_frames[i - 1] != p)
    ]
    assert runs == example.phones


def test_a_clip_without_alignment_has_no_phone_targets(tmp_path: Path) -> None:
    write_tone_corpus(tmp_path, aligned=False)
    batch = maker(tmp_path, augmentation={"noise_only_share": 0.0})[3]
    assert (batch.phone_frames == IGNORED).all() and not batch.has_phones.any() and not len(batch.phones)
    assert int(batch.num_tokens.sum()) == len(batch.tokens) > 0


def test_in_noise_every_token_is_silence(tmp_path: Path) -> None:
    batch = maker(tmp_path, augmentation={"noise_only_share": 1.0})[3]
    noise = batch.num_tokens == 0
    assert noise.sum() * 2 == len(noise)
    for row in torch.nonzero(noise)[:, 0]:
        num_tokens = -(-int(batch.num_frames[row]) // 4)
        assert (batch.phone_frames[row, :num_tokens] == 0).all() and batch.has_phones[row]


def test_collate_pads_without_inventing_targets() -> None:
    short = Example(np.ones((5, 80), np.float32), np.array([1, 2]), [1, 2], [3])
    long = Example(np.ones((9, 80), np.float32), np.array([0, 4, 4]), None, [3, 4])
    batch = collate([short, long])
    assert batch.features.shape == (2, 9, 80) and (batch.features[0, 5:] == 0).all()
    assert batch.num_frames.tolist() == [5, 9]
    assert batch.phone_frames.tolist() == [[1, 2, IGNORED], [0, 4, 4]]
    assert (batch.phones.tolist(), batch.num_phones.tolist()) == ([1, 2], [2, 0])
    assert (batch.tokens.tolist(), batch.num_tokens.tolist()) == ([3, 3, 4], [1, 2])
    assert batch.has_phones.tolist() == [True, False]
    assert batch.duration_s == pytest.approx(0.18)


def test_evaluation_hears_a_clip_as_it_is(tmp_path: Path) -> None:
    data = maker(tmp_path)
    source = data.parts[0].sources[0]
    first, second = data.plain_example(source), data.plain_example(source)
    assert np.array_equal(first.features, second.features)
    assert len(first.features) == 1 + (source.clip.num_samples - 400) // 160


def test_corpora_that_give_nothing_are_refused_by_name(tmp_path: Path) -> None:
    write_tone_corpus(tmp_path)
    recipe = tone_recipe()
    for changed, message in (
        (
            replace(recipe, corpora=(CorpusRecipe("tones.tar", splits=("test",)),)),
            "tones.tar: no clip .* in test",
        ),
        (
            replace(recipe, schedule=replace(recipe.schedule, max_clip_s=0.2)),
            "tones: no clip of at most 0.2 s",
        ),
        (replace(recipe, corpora=(CorpusRecipe("tones.tar", share=0.0),)), "tones: no clip"),
        (replace(recipe, corpora=()), "tones: no clip"),
        (replace(recipe, corpora=(CorpusRecipe("none.tar"),)), "none.tar: no such corpus"),
    ):
        with pytest.raises(CorpusError, match=message):
            BatchMaker(changed, tmp_path, tmp_path)


def test_rooms_are_needed_only_where_there_is_reverberation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    assert len(maker(tmp_path)[0].num_frames) > 0
    with pytest.raises(ImportError):
        maker(tmp_path, augmentation={"reverberation_probability": 0.1})

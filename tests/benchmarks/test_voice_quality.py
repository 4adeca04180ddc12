"""The voice's measures: distortion is zero for itself, blind to time and level, and words become phones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import galago
from benchmarks.corpora import Audio, Clip
from benchmarks.pocketsphinx_peer import PocketsphinxPeer
from benchmarks.voice_quality import (
    bundle_voice,
    cepstra,
    distortion_db,
    measure,
    phones_of,
    speak,
    unseen_sentences,
)
from galago.models.fastspeech import FASTSPEECH_PRESETS, FastSpeech
from galago.models.vocoder import VOCODER_PRESETS, Vocoder

DICTIONARY = {"hello": [("HH", "AH0", "L", "OW1")], "world": [("W", "ER1", "L", "D")]}


def vowel(formant: int, num_samples: int = 4000) -> Audio:
    t = np.arange(num_samples) / 16_000
    harmonics = [np.sin(2 * np.pi * 150 * h * t) / (1 + abs(h - formant)) for h in range(1, 30)]
    hiss = 0.02 * np.random.default_rng(formant).standard_normal(num_samples)
    samples: Audio = (0.05 * np.sum(harmonics, axis=0) + hiss).astype(np.float32)
    return samples


def test_distortion_is_blind_to_time_and_level_and_nothing_else() -> None:
    first, second = vowel(4), vowel(12)
    word = np.concatenate([first, second])
    slower = np.concatenate([vowel(4, 6000), vowel(12, 3000)])
    recorded = cepstra(word)
    assert distortion_db(recorded, recorded) == 0.0
    assert distortion_db(cepstra(np.float32(0.3) * word), recorded) < 0.5
    assert distortion_db(cepstra(slower), recorded) < 1.0
    assert distortion_db(cepstra(np.concatenate([second, first])), recorded) > 1.5


def test_the_path_is_the_best_one() -> None:
    """On tiny inputs every path can be tried."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 2)), rng.normal(size=(4, 2))
    cost = np.sqrt(2.0 * ((a[:, None] - b[None]) ** 2).sum(-1)) * 10 / np.log(10)

    def best(i: int, j: int) -> tuple[float, int]:
        if i < 0 or j < 0:
            return (np.inf, 0)
        if i == j == 0:
            return (float(cost[0, 0]), 1)
        total, length = min(best(i - 1, j - 1), best(i - 1, j), best(i, j - 1))
        return total + float(cost[i, j]), length + 1

    total, length = best(2, 3)
    assert distortion_db(a, b) == pytest.approx(total / length)


def test_a_sentence_becomes_phones_and_marks() -> None:
    expected = "^ HH AH0 L OW1 , W ER1 L D ?".split()
    assert phones_of("Hello, world?", DICTIONARY) == expected
    with pytest.raises(ValueError, match="no words"):
        phones_of("...", DICTIONARY)


def test_sentences_are_chosen_by_hash() -> None:
    sentences = [f"this is sentence number {word}" for word in ("one", "two", "three", "four")]
    chosen = unseen_sentences([*sentences, "short one", "in 1999 it was so too"], 3)
    assert len(chosen) == 3 and set(chosen) <= set(sentences)
    assert unseen_sentences(reversed(sentences), 3) == chosen


def test_an_untrained_voice_is_measured_from_end_to_end(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = FastSpeech(FASTSPEECH_PRESETS["2m"]).eval()
    model.duration_predictor.out.bias.data.fill_(1.6)  # some four frames a phone
    model.decoder.mean[:80], model.decoder.mean[80] = -5.0, 7.3
    vocoder = Vocoder(VOCODER_PRESETS["1m"]).eval()

    def say(text: str) -> Audio:
        return speak(model, vocoder, phones_of(text, DICTIONARY))

    samples = say("Hello, world")
    assert samples.dtype == np.float32 and len(samples) % 160 == 0 and len(samples) > 3200
    assert float(np.abs(samples).max()) > 1e-3
    np.testing.assert_array_equal(samples, say("Hello, world"))
    clips = [Clip("made up", "0", "hello world", np.concatenate([vowel(4), vowel(9)]), {})]
    recognisers = {
        "pocketsphinx": PocketsphinxPeer(tmp_path / "cache.jsonl").recognise,
        "half": lambda clip: clip.text.split()[0],
    }
    numbers = measure({"ours": say}, clips, ["hello world"], recognisers)
    assert set(numbers) == {"recorded", "ours"}
    assert numbers["ours"]["mcd_db"] > 0 and numbers["ours"]["pocketsphinx"]["num_words"] == 2
    assert numbers["ours"]["half"]["wer_percent"] == 50.0 == numbers["recorded"]["half"]["wer_percent"]
    assert numbers["ours"]["half"]["against_recorded"] == 1.0


def test_what_a_bundle_says_is_taken_whole(tiny_voice_bundle: Path) -> None:
    with galago.open(tiny_voice_bundle, roles=("voice",)) as bundle:
        say = bundle_voice(bundle)
        once, twice = say("hello"), say("hello hello")
    assert once.dtype == np.float32 and 0 < len(once) < len(twice)

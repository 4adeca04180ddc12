from __future__ import annotations

import numpy as np
import pytest
import torch

from galago.models.features import LogMel
from galago.quantize.calibration import Array
from galago.quantize.ear.evaluate import Utterance, edit_distance, whole_text, word_error_rate
from galago.quantize.ear.golden import golden_samples
from galago.quantize.ear.oracle import Oracle, chunk_features, greedy
from tests.quantize.ear.tiny import Exports, noise


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors"),
    [
        ("turn on the light", "turn on the light", 0),
        ("turn on the light", "turn the light", 1),
        ("turn on the light", "turn on the the light", 1),
        ("turn on the light", "burn on a light", 2),
        ("", "a b", 2),
        ("a b", "", 2),
    ],
)
def test_edit_distance(reference: str, hypothesis: str, errors: int) -> None:
    assert edit_distance(reference.split(), hypothesis.split()) == errors


def test_greedy_collapses_repeats_and_blanks() -> None:
    best = [0, 3, 3, 0, 3, 1, 1, 4, 0]
    log_probs = np.full((len(best), 29), -9.0, np.float32)
    log_probs[range(len(best)), best] = -0.1
    assert greedy(log_probs) == "aa b"


def test_chunks_are_the_features_of_the_whole_stream() -> None:
    samples = noise(16_000)
    chunks = chunk_features(samples, 8)
    assert chunks.shape == (4, 32, 80)  # 25 tokens in chunks of 8
    whole = LogMel()(torch.from_numpy(samples)[None])[0].numpy()
    np.testing.assert_allclose(chunks.reshape(-1, 80)[: len(whole)], whole, atol=1e-5)


def test_streaming_equals_the_whole_utterance_in_torch(exports: Exports) -> None:
    """The graph, chunk by chunk, against ``forward`` under the same mask, with and without lookahead."""
    samples = noise(40_000)
    for lookahead in (0, 2):
        model = exports.models[lookahead]
        heard = Oracle(exports.graph(lookahead, 4), lookahead_tokens=lookahead).hear(samples)
        frames = torch.from_numpy(chunk_features(samples, 4, lookahead_tokens=lookahead)).flatten(0, 1)[None]
        with torch.no_grad():
            whole = model(frames, torch.tensor([frames.shape[1]]), chunk_tokens=4)
        expected = torch.log_softmax(whole.token_logits[0], -1).numpy()
        assert len(heard.token_log_probs) == 63  # ceil(40000 / 640), whatever the lookahead
        np.testing.assert_allclose(heard.token_log_probs, expected[:63], atol=1e-4)


def test_errors_are_added_up_by_corpus(exports: Exports) -> None:
    utterances = [
        Utterance("one", noise(16_000, 1), ("zzzz", "zzzz")),
        Utterance("two", noise(16_000, 2), ("zzzz",)),
    ]
    for found in (
        word_error_rate(Oracle(exports.graph(0, 8)), utterances),
        whole_text(exports.models[0], utterances),
    ):
        assert list(found) == ["all", "one", "two"]
        assert found["all"].num_words == 3 and found["all"].num_clips == 2
        assert found["all"].num_errors == found["one"].num_errors + found["two"].num_errors
        assert found["all"].percent >= 100.0  # random weights hear no "zzzz"


@pytest.mark.parametrize(
    "samples", [np.zeros(0, np.float32), np.full(100, np.nan, np.float32), np.zeros((2, 9), np.float32)]
)
def test_the_oracle_refuses_what_is_no_stream(exports: Exports, samples: Array) -> None:
    with pytest.raises(ValueError, match="expected finite samples"):
        Oracle(exports.graph(0, 8)).hear(samples)


def test_the_golden_sweep_moves_every_band() -> None:
    samples = golden_samples([])
    assert samples.shape == (64_000,) and samples.dtype == np.float32 and np.abs(samples).max() < 0.5
    frames = LogMel()(torch.from_numpy(samples)[None])[0].numpy()
    assert (frames.max(0) - frames.min(0)).min() > 2.0

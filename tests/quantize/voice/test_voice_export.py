"""The exported graphs against the networks, and chunks against wholes, in float and in int8."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from galago.models.fastspeech import frame_counts as torch_frame_counts
from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import compile_graph, make_stateful
from galago.quantize.export import ExportError
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.layers import quantized_layers
from galago.quantize.quantize import QuantizationConfig, plan_quantization
from galago.quantize.voice.calibrate import speaker_set
from galago.quantize.voice.export import speaker_shape
from galago.quantize.voice.noise import frame_noise
from galago.quantize.voice.oracle import Reader, Speaker, frame_counts, regulated
from galago.quantize.voice.recipe import SPEAKER_IGNORED
from galago.quantize.voice.sentences import random_sentences
from tests.quantize.voice.tiny import CHUNK_FRAMES, NUM_PHONES, VOCODER, Exports

SENTENCE = [1, 20, 31, 2, 44, 9, 60, 4]
# Of samples whose peaks are near 1. Phases advance in whole parts of 65,536: where a pitch lies between two,
# the rounding of float32 in another order of sums decides, and the 40th harmonic is off by 0.004 rad from
# there on.
TOLERANCE, MEAN_TOLERANCE = 1e-2, 5e-4


def rows_of(num_frames: int, width: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(num_frames, width)).astype(np.float32)


def spoken_by_torch(exports: Exports, rows: Array, num_frames: int) -> Array:
    """The network in one chunk, with the noise of the stream."""
    noise = frame_noise(0, num_frames + exports.speaker.delay_frames, VOCODER.num_bins)
    with torch.no_grad():
        samples = exports.speaker(torch.from_numpy(rows)[None], torch.from_numpy(noise)[None])
    return np.asarray(samples[0].numpy())


def assert_close(found: Array, expected: Array) -> None:
    difference = np.abs(found - expected)
    assert difference.max() < TOLERANCE and difference.mean() < MEAN_TOLERANCE


@pytest.mark.parametrize("num_phones", NUM_PHONES)
def test_a_reader_reads_as_the_network_whatever_its_size(exports: Exports, num_phones: int) -> None:
    reader = Reader({num_phones: exports.reader_graph(num_phones)})
    rows, frames = reader.read(SENTENCE, pitch_shift=0.5, energy_shift=-0.25)
    shift = torch.ones(1, len(SENTENCE))
    with torch.no_grad():
        expected = exports.reader(torch.tensor([SENTENCE]), 0.5 * shift, -0.25 * shift)
    assert_allclose(rows, expected[0][0].numpy(), atol=2e-5)
    assert_allclose(frames, expected[1][0].numpy(), atol=2e-5)


def test_the_smallest_reader_with_room_reads(exports: Exports) -> None:
    reader = Reader({size: exports.reader_graph(size) for size in NUM_PHONES})
    small, large = NUM_PHONES
    reader.read([5] * small)
    assert reader.requests[small].get_tensor("phones").data[0].tolist() == [5.0] * small
    reader.read([6] * (small + 1))
    assert reader.requests[large].get_tensor("phones").data[0].sum() == 6.0 * (small + 1)
    for phones in ([], [5] * (large + 1)):
        with pytest.raises(ValueError, match="sentences have 1 to 24"):
            reader.read(phones)


def test_frames_become_whole_as_in_the_network() -> None:
    rng = np.random.default_rng(2)
    frames = rng.uniform(0.0, 4.0, 64).astype(np.float32)
    phones = rng.integers(1, 76, 64).tolist()
    expected = torch_frame_counts(
        torch.from_numpy(frames).log1p()[None], torch.tensor([phones]) > 6, rate=1.7
    )
    near_half = np.abs((frames / 1.7) % 1.0 - 0.5) < 1e-4  # a logarithm and back may fall to either side
    found = frame_counts(frames, phones, rate=1.7)
    assert np.array_equal(found[~near_half], expected[0].numpy()[~near_half])
    assert frame_counts(np.array([9e9], np.float32), [20]).tolist() == [200]


@pytest.mark.parametrize("chunk_frames", CHUNK_FRAMES)
@pytest.mark.parametrize("num_frames", [1, 29, 60])
def test_many_chunks_of_the_graph_speak_what_the_network_speaks_at_once(
    exports: Exports, chunk_frames: int, num_frames: int
) -> None:
    graph, shape = exports.speaker_graph(chunk_frames)
    rows = rows_of(num_frames, shape.row_width)
    speaker = Speaker(graph, shape)
    for _ in range(2):  # the second time with the states of another sentence, which keep = 0 forgets
        samples = speaker.speak(rows)
        assert samples.shape == (num_frames * shape.hop_samples,)
        assert_close(samples, spoken_by_torch(exports, rows, num_frames))
    assert np.abs(samples).max() > 0.05


def test_the_first_samples_come_before_the_sentence_is_over(exports: Exports) -> None:
    graph, shape = exports.speaker_graph(CHUNK_FRAMES[0])
    rows = rows_of(60, shape.row_width)
    speaker = Speaker(graph, shape)
    chunks = speaker.chunks(rows)
    first = next(chunks)
    rows[2 * shape.chunk_frames :] = 0.0  # what the first sound cannot know of
    assert np.array_equal(next(Speaker(graph, shape).chunks(rows)), first)
    assert len(first) == (-shape.delay_frames % shape.chunk_frames) * shape.hop_samples
    assert sum(map(len, chunks)) + len(first) == 60 * shape.hop_samples


def test_int8_speaks_alike_in_chunks_of_any_size(exports: Exports) -> None:
    small, large = CHUNK_FRAMES
    graph, shape = exports.speaker_graph(small)
    reader = Reader({NUM_PHONES[1]: exports.reader_graph(NUM_PHONES[1])})
    recorded = speaker_set(
        "tiny", graph, shape, reader, random_sentences(6, NUM_PHONES[1], 1), num_samples=24, seed=1
    )
    plan = plan_quantization(graph, recorded, QuantizationConfig(ignored_layers=SPEAKER_IGNORED))
    quantized = quantize_graph(graph, plan)
    layers = quantized_layers(quantized)
    assert layers and not any("depthwise" in name or name.startswith("decoder.out") for name in layers)
    other, other_shape = exports.speaker_graph(large)
    rows = regulated(*_read(reader))
    by_size = [
        Speaker(quantized, shape).speak(rows),
        Speaker(quantize_graph(other, plan), other_shape).speak(rows),
    ]
    assert_close(by_size[0], by_size[1])
    in_float = Speaker(graph, shape).speak(rows)
    assert np.abs(by_size[0] - in_float).mean() > MEAN_TOLERANCE  # int8 it is


def _read(reader: Reader) -> tuple[Array, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    rows, frames = reader.read(SENTENCE)
    return rows, frame_counts(frames, SENTENCE)


def test_states_stay_inside_the_graph(exports: Exports) -> None:
    graph, shape = exports.speaker_graph(CHUNK_FRAMES[0])
    compiled = compile_graph(make_stateful(graph))
    assert {port.get_any_name() for port in compiled.inputs} == {"rows", "valid", "noise", "keep"}
    assert {port.get_any_name() for port in compiled.outputs} == {"samples"}
    assert len(compiled.create_infer_request().query_state()) == len(exports.speaker.initial_states())
    assert all(port.get_element_type().get_type_name() == "f32" for port in compiled.inputs)


def test_no_chunk_at_all_is_refused(exports: Exports) -> None:
    with pytest.raises(ExportError, match="chunk_frames: expected 1 at least, found 0"):
        speaker_shape(exports.speaker, 0)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galago.models.training.ear.corpus import Corpus, CorpusWriter
from galago.quantize.calibration import CalibrationError, CalibrationSet
from galago.quantize.compile_openvino import compile_graph
from galago.quantize.ear.calibrate import Stream, draw_streams, record
from tests.quantize.ear.tiny import Exports, noise


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    writer = CorpusWriter(tmp_path, "words")
    for number in range(4):
        pcm = (noise(9_000, number) * 20_000).astype(np.int16)
        split = "train" if number else "dev"
        writer.add(pcm, id=f"clip{number}", split=split, speaker=None, words=["word"])
    writer.add(np.zeros(5_000, np.int16), id="silent", split="train", speaker=None, words=[])
    writer.close()
    return Corpus(tmp_path, "words")


def test_recorded_states_are_those_of_the_stream(exports: Exports) -> None:
    """Every sample of a stream is kept, so each one's states must be what the step before it gave."""
    graph = exports.graph(0, 8)
    recorded = record(graph, [Stream(noise(60_000), ("noise",))], num_samples=12, seed=2, name="all")
    samples = recorded.samples
    assert samples[0]["keep"].tolist() == [0.0] and all(s["keep"].tolist() == [1.0] for s in samples[1:])
    request = compile_graph(graph).create_infer_request()
    for before, after in zip(samples, samples[1:], strict=False):
        request.infer(before)
        for name in (n for n in after if n.startswith("state.")):
            expected = request.get_tensor(name.replace("state.", "next.", 1)).data
            np.testing.assert_array_equal(after[name], expected)
    assert np.abs(samples[5]["state.block1.key"]).max() > 0.1  # real caches, not zeros


def test_a_saved_set_comes_back_with_its_hash(calibration: CalibrationSet, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    calibration.save(path)
    loaded = CalibrationSet.load(path)
    assert (loaded.name, loaded.origin, loaded.sha256) == (
        calibration.name,
        calibration.origin,
        calibration.sha256,
    )
    for ours, theirs in zip(calibration, loaded, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_changed_or_cut_file_is_refused(calibration: CalibrationSet, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    changed = CalibrationSet(calibration.name, calibration.samples[1:], calibration.origin)
    calibration.save(path)
    with np.load(path) as stored:
        note = stored["__note__"]
    arrays = {name: np.stack([s[name] for s in changed]) for name in changed.samples[0]}
    with path.open("wb") as file:
        np.savez(file, __note__=note, **arrays)  # type: ignore[arg-type]  # numpy's stub is narrow
    with pytest.raises(CalibrationError, match="sha256 differs"):
        CalibrationSet.load(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CalibrationError, match="no calibration set"):
        CalibrationSet.load(path)
    with pytest.raises(CalibrationError, match="no calibration set"):
        CalibrationSet.load(tmp_path / "absent.npz")


def test_held_out_samples_are_not_used(calibration: CalibrationSet) -> None:
    used, held_out = calibration.split(5)
    assert (len(used), len(held_out)) == (15, 5)
    assert not {id(s) for s in used} & {id(s) for s in held_out}
    with pytest.raises(CalibrationError, match="cannot hold 20 of 20"):
        calibration.split(20)


def test_streams_are_drawn_from_the_split_at_the_wanted_levels(corpus: Corpus) -> None:
    streams = list(
        draw_streams(
            [corpus], splits=["train"], num_streams=3, stream_s=1.5, level_dbfs=(-30.0, -30.0), seed=1
        )
    )
    again = list(
        draw_streams(
            [corpus], splits=["train"], num_streams=3, stream_s=1.5, level_dbfs=(-30.0, -30.0), seed=1
        )
    )
    for stream, same in zip(streams, again, strict=True):
        np.testing.assert_array_equal(stream.samples, same.samples)
        assert len(stream.samples) >= 1.5 * 16_000
        assert set(stream.clips) <= {"words:clip1", "words:clip2", "words:clip3"}  # no dev, no silence
        loud = stream.samples[np.abs(stream.samples) > 0]
        assert 20 * np.log10(np.sqrt(np.mean(np.square(loud)))) == pytest.approx(-30.0, abs=0.5)
    with pytest.raises(CalibrationError, match="words: no clip in test"):
        list(
            draw_streams(
                [corpus], splits=["test"], num_streams=1, stream_s=1.0, level_dbfs=(-30.0, -20.0), seed=1
            )
        )


def test_more_samples_than_chunks_are_refused(exports: Exports) -> None:
    with pytest.raises(CalibrationError, match="100 samples wanted, the streams have 2 chunks"):
        record(exports.graph(0, 8), [Stream(noise(9_000), ("n",))], num_samples=100, seed=1, name="few")

"""Reading of the data tars, on one made here."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.corpora import SAMPLE_RATE_HZ, DataMissingError, pad, read_clips, to_int16
from benchmarks.pocketsphinx_peer import PocketsphinxPeer

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six dev clips of 0.5 s at 24 kHz and one of train."""
    splits = ["dev", "dev", "train", "dev", "dev", "dev", "dev"]
    rows = [
        {"id": f"c{i}", "file": f"audio/c{i}.wav", "split": split, "text": f"word {i}"}
        for i, split in enumerate(splits)
    ]
    with tarfile.open(tmp_path / "toy.tar", "w") as tar:
        _add(tar, "manifest.jsonl", "\n".join(map(json.dumps, rows)).encode())
        for i, row in enumerate(rows):
            wav = io.BytesIO()
            tone = 0.1 * np.sin(2 * np.pi * (200 + 50 * i) * np.arange(12_000) / 24_000)
            soundfile.write(wav, tone, 24_000, format="WAV")
            _add(tar, str(row["file"]), wav.getvalue())
    monkeypatch.setenv("GALAGO_DATA", str(tmp_path))
    return tmp_path


def test_clips_come_at_16_khz_with_their_manifest_line(data: Path) -> None:
    clips = list(read_clips("toy", "dev"))
    assert [clip.id for clip in clips] == ["c0", "c1", "c3", "c4", "c5", "c6"]
    assert clips[2].text == "word 3" and clips[2].fields["split"] == "dev"
    assert clips[0].samples.dtype == np.float32
    assert len(clips[0].samples) == SAMPLE_RATE_HZ // 2 and clips[0].duration_s == 0.5


def test_a_limit_is_spread_over_the_split(data: Path) -> None:
    assert [clip.id for clip in read_clips("toy", "dev", limit=3)] == ["c0", "c3", "c5"]
    assert len(list(read_clips("toy", "dev", limit=100))) == 6


def test_a_missing_tar_is_named(data: Path) -> None:
    with pytest.raises(DataMissingError, match=r"nothing\.tar is missing; GALAGO_DATA"):
        next(read_clips("nothing", "dev"))


def test_padding_and_rounding() -> None:
    assert pad(np.ones(16, np.float32), 0.001, 0.002).tolist() == [0] * 16 + [1] * 16 + [0] * 32
    assert to_int16(np.array([-1.0, 0.5, 1.5], np.float32)).tolist() == [-32768, 16384, 32767]


def test_the_peer_answers_from_its_cache(data: Path) -> None:
    clip = next(read_clips("toy", "dev"))
    cache = data / "cache.jsonl"
    assert PocketsphinxPeer(cache).known(clip) is None
    row = {"sha256": clip.sha256(), "text": "word zero", "audio_s": 0.5, "cpu_s": 0.25}
    cache.write_text(json.dumps(row) + "\n")
    peer = PocketsphinxPeer(cache)
    assert peer.known(clip) == peer.recognise(clip) == "word zero"
    assert peer.rtf([clip]) == 0.5

"""Audio files of every shape: heard, or refused with the file and the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from galago.runtime.errors import SourceError
from galago.streaming.sound.files import FileSource
from galago.streaming.sound.resample import MonoSource


def tone(rate_hz: int, seconds: float = 1.0, channels: int = 1) -> npt.NDArray[np.float32]:
    time_s = np.arange(round(rate_hz * seconds)) / rate_hz
    mono = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    return np.repeat(mono[:, None], channels, axis=1).astype(np.float32)


def read_all(source: FileSource) -> npt.NDArray[np.float32]:
    with source:
        return np.concatenate([block.samples for block in source])


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_U8", 0.01),
        ("wav", "PCM_16", 1e-4),
        ("wav", "PCM_24", 1e-6),
        ("wav", "FLOAT", 0.0),
        ("flac", "PCM_16", 1e-4),
        ("ogg", "VORBIS", 0.1),
    ],
)
def test_any_width_rate_and_channel_count(
    suffix: str, subtype: str, tolerance: float, channels: int, rate_hz: int, tmp_path: Path
) -> None:
    path = tmp_path / f"tone.{suffix}"
    samples = tone(rate_hz, channels=channels)
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    source = FileSource(path)
    assert (source.sample_rate_hz, source.num_channels, source.live) == (rate_hz, channels, False)
    assert source.duration_s == pytest.approx(1.0)
    np.testing.assert_allclose(read_all(source), samples, atol=tolerance)


def test_blocks_follow_each_other_in_time(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16000, 1.05), 16000)
    with FileSource(tmp_path / "a.wav", block_ms=100) as source:
        blocks = list(source)
    assert [len(block.samples) for block in blocks] == [1600] * 10 + [800]
    assert [block.capture_ns for block in blocks] == [i * 100_000_000 for i in range(11)]
    assert blocks[-1].end_ns(16000) == 1_050_000_000


def test_stereo_at_44100_becomes_mono_at_16000(tmp_path: Path) -> None:
    samples = tone(44100, channels=2)
    samples[:, 1] *= -0.5  # the channels differ: their mean is a quarter of the left
    soundfile.write(tmp_path / "s.wav", samples, 44100, subtype="FLOAT")
    with MonoSource(FileSource(tmp_path / "s.wav"), 16000) as source:
        mono = np.concatenate([block.samples for block in source])
    assert mono.shape == (16000, 1)
    np.testing.assert_allclose(mono[1000:-1000, 0], 0.25 * tone(16000)[1000:-1000, 0], atol=1e-3)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SourceError, match=r"not_there\.wav: No such file"):
        FileSource("not_there.wav")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a directory"):
        FileSource(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (bytes(range(256)) * 64, "cannot be read as audio.*--rate"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "cannot be read as audio"),
        (b"fLaC\x00\x00\x00", "cannot be read as audio"),
        (b"OggS", "cannot be read as audio"),
        (b"just a text\n", "cannot be read as audio"),
    ],
    ids=["empty", "headerless", "cut-wav", "cut-flac", "cut-ogg", "text"],
)
def test_what_is_no_audio_is_refused_with_file_and_reason(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"odd\.wav: {reason}"):
        FileSource(path)


def test_every_truncation_of_a_header_is_an_answer(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.wav", tone(16000, 0.1), 16000)
    content = (tmp_path / "whole.wav").read_bytes()
    path = tmp_path / "cut.wav"
    for length in range(44):
        path.write_bytes(content[:length])
        with pytest.raises(SourceError, match=r"cut\.wav: "):
            read_all(FileSource(path))


def test_a_header_without_samples_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1), np.float32), 16000)
    with pytest.raises(SourceError, match=r"none\.wav: .*no samples"):
        FileSource(tmp_path / "none.wav")


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_truncated_file_is_heard_to_its_end_and_then_told(suffix: str, tmp_path: Path) -> None:
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
    soundfile.write(whole, noise, 16000)
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    heard = 0
    with FileSource(cut) as source, pytest.raises(SourceError, match=rf"cut\.{suffix}: (truncated|broken)"):
        for block in source:
            heard += len(block.samples)
    assert 11000 <= heard <= 16000  # all but the block that does not decode


def test_a_header_that_leaves_the_length_open_is_no_truncation(tmp_path: Path) -> None:
    """Programs that write WAV into a pipe cannot go back to fill the length in."""
    path = tmp_path / "streamed.wav"
    soundfile.write(path, tone(16000), 16000)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(read_all(FileSource(path))) == 16000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused_with_their_place(value: float, tmp_path: Path) -> None:
    samples = tone(16000, 2.0)
    samples[24000] = value
    soundfile.write(tmp_path / "nan.wav", samples, 16000, subtype="FLOAT")
    heard = 0
    with (
        FileSource(tmp_path / "nan.wav") as source,
        pytest.raises(SourceError, match=r"nan\.wav: NaN or .* 1\.50 s"),
    ):
        for block in source:
            heard += len(block.samples)
    assert heard == 24000


def test_a_rate_that_cannot_be_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", tone(16000, 0.1), 100)
    with pytest.raises(SourceError, match=r"slow\.wav: a sample rate of 100 Hz"):
        FileSource(tmp_path / "slow.wav")


def test_closing_ends_the_iteration(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16000), 16000)
    source = FileSource(tmp_path / "a.wav")
    blocks = iter(source)
    next(blocks)
    source.close()
    source.close()
    assert list(blocks) == []

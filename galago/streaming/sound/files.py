"""Audio files through libsndfile, block by block: a three-hour file costs the memory of a block."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from galago.runtime.errors import SourceError
from galago.streaming.extras import import_extra
from galago.streaming.source import NS_PER_S, AudioBlock, AudioSource

BLOCK_MS = 100
MAX_CHANNELS = 64
_HEADERLESS = "raw PCM without a header needs its --rate, --channels and --dtype"
MIN_RATE_HZ, MAX_RATE_HZ = 1000, 768_000


class FileSource(AudioSource):
    """A WAV, FLAC, OGG (or other libsndfile) file of any rate, width and channel count.

    Args:
        path: of the file.
        block_ms: duration of a block.

    Raises:
        SourceError: not there, not audio, without samples, or a rate or channel count out of all reason.
    """

    def __init__(self, path: str | os.PathLike[str], *, block_ms: int = BLOCK_MS) -> None:
        soundfile = import_extra("soundfile", extra="audio", purpose="reading audio files")
        self.name = os.fspath(path)
        self._file: Any = None
        self._reading = threading.Lock()
        if Path(path).is_dir():
            raise SourceError(f"{self.name}: is a directory")
        try:
            size_bytes = Path(path).stat().st_size
        except OSError as error:
            raise SourceError(f"{self.name}: {error.strerror}") from error
        if size_bytes == 0:
            raise SourceError(f"{self.name}: the file is empty")
        if Path(path).suffix.lower() == ".raw":  # libsndfile would take it for headerless by its name
            raise SourceError(f"{self.name}: {_HEADERLESS}")
        try:
            self._file = soundfile.SoundFile(self.name)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.rstrip(".")
            raise SourceError(f"{self.name}: cannot be read as audio: {reason}; {_HEADERLESS}") from error
        self.sample_rate_hz = self._file.samplerate
        self.num_channels = self._file.channels
        self._num_frames = self._file.frames
        if not MIN_RATE_HZ <= self.sample_rate_hz <= MAX_RATE_HZ:
            self.close()
            raise SourceError(f"{self.name}: a sample rate of {self.sample_rate_hz} Hz cannot be right")
        if self.num_channels > MAX_CHANNELS:
            self.close()
            raise SourceError(f"{self.name}: {self.num_channels} channels; at most {MAX_CHANNELS} are read")
        if self._num_frames <= 0:
            self.close()
            raise SourceError(f"{self.name}: the header is there, but no samples")
        self.duration_s = self._num_frames / self.sample_rate_hz
        self._missing_bytes = _missing_wav_bytes(Path(path))
        self._block_frames = max(1, self.sample_rate_hz * block_ms // 1000)

    def __iter__(self) -> Iterator[AudioBlock]:
        num_read = 0
        while True:
            try:
                with self._reading:
                    if self._file is None:  # closed while it was read
                        return
                    samples = self._file.read(self._block_frames, dtype="float32", always_2d=True)
            except RuntimeError as error:  # libsndfile's errors: a block that does not decode
                raise SourceError(f"{self.name}: broken at {self._at(num_read)}: {error}") from error
            if len(samples) == 0:
                break
            if not np.isfinite(samples).all():
                raise SourceError(f"{self.name}: NaN or infinite samples at {self._at(num_read)}")
            yield AudioBlock(samples, num_read * NS_PER_S // self.sample_rate_hz)
            num_read += len(samples)
        if self._missing_bytes:
            raise SourceError(
                f"{self.name}: truncated: it ends at {self._at(num_read)}, "
                f"{self._missing_bytes} bytes short of what its header says"
            )
        if num_read < self._num_frames:
            raise SourceError(
                f"{self.name}: truncated: it ends at {self._at(num_read)} of {self._at(self._num_frames)}"
            )

    def _at(self, num_frames: int) -> str:
        return f"{num_frames / self.sample_rate_hz:.2f} s"

    def close(self) -> None:
        with self._reading:  # libsndfile frees what another thread may read from
            file, self._file = self._file, None
            if file is not None:
                file.close()


def _missing_wav_bytes(path: Path) -> int:
    """Bytes that the data chunk of a RIFF file promises and the file does not hold.

    libsndfile shortens such a file without a word.  Streams whose writer could not seek back carry 0 or
    0xFFFFFFFF there, or the largest size that fits: these mean "until the end" and are no promise.
    """
    with path.open("rb") as file:
        header = file.read(12)
        if header[:4] != b"RIFF" or header[8:] != b"WAVE":
            return 0
        end_of_file = path.stat().st_size
        while len(chunk := file.read(8)) == 8:
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                open_ended = size == 0 or size >= 0x7FFF_F000
                return 0 if open_ended else max(0, file.tell() + size - end_of_file)
            file.seek(size + size % 2, os.SEEK_CUR)
    return 0

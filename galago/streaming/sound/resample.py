"""Any rate and channel count in, mono at the rate of the session out, without a seam between blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from galago.runtime.errors import InvalidArgumentError, SourceError
from galago.streaming.extras import import_extra
from galago.streaming.source import NS_PER_S, AudioBlock, AudioSource, WrappedSource

# Off by more than this, the next block does not continue the one before: the same bound as the core's gap.
GAP_NS = 40_000_000


class StreamResampler:
    """A band-limited resampler that keeps its filter between blocks (libsoxr, "HQ").

    Block by block its output equals that of the whole signal at once.  Output sample k stands for the
    time k / out_rate of the input: the filter's delay holds samples back, it does not shift them.

    Args:
        in_rate_hz, out_rate_hz: equal rates pass samples through untouched.
    """

    def __init__(self, in_rate_hz: int, out_rate_hz: int) -> None:
        if in_rate_hz <= 0 or out_rate_hz <= 0:
            raise InvalidArgumentError(f"rates: expected above 0 Hz, found {in_rate_hz} and {out_rate_hz}")
        self._rates_hz = (in_rate_hz, out_rate_hz)
        self._stream = None
        if in_rate_hz != out_rate_hz:
            soxr = import_extra("soxr", extra="audio", purpose=f"resampling {in_rate_hz} to {out_rate_hz} Hz")
            self._stream = soxr.ResampleStream(in_rate_hz, out_rate_hz, 1, dtype="float32", quality="HQ")

    def push(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(num_in,) in, what is ready of the output out: (num_out,), perhaps empty."""
        return samples if self._stream is None else self._resample(samples, last=False)

    def finish(self) -> npt.NDArray[np.float32]:
        """The tail that the filter held back; begin anew for the next stream."""
        empty = np.empty(0, np.float32)
        if self._stream is None:
            return empty
        tail = self._resample(empty, last=True)
        self._stream.clear()
        return tail

    def _resample(self, samples: npt.NDArray[np.float32], *, last: bool) -> npt.NDArray[np.float32]:
        assert self._stream is not None
        resampled: npt.NDArray[np.float32] = self._stream.resample_chunk(samples, last=last)
        return resampled


class MonoSource(WrappedSource):
    """Another source as mono at `out_rate_hz`; blocks have shape (num_samples, 1).

    Channels are averaged.  Where the capture time jumps, the filter is emptied and begins anew, so that
    what was said before a gap never leaks behind it.
    """

    def __init__(self, source: AudioSource, out_rate_hz: int) -> None:
        super().__init__(source)
        self._resampler = StreamResampler(source.sample_rate_hz, out_rate_hz)
        self._num_skipped = 0
        self.sample_rate_hz = out_rate_hz
        self.num_channels = 1

    @property
    def dropped_frames(self) -> int:
        """Of the inner source, at its own rate; blocks with samples that are no numbers count as well."""
        return self._source.dropped_frames + self._num_skipped

    def __iter__(self) -> Iterator[AudioBlock]:
        in_rate_hz, out_rate_hz = self._source.sample_rate_hz, self.sample_rate_hz
        begin_ns = 0  # capture time of the first sample since the filter began
        expected_ns: int | None = None
        num_out = 0

        def located(samples: npt.NDArray[np.float32]) -> Iterator[AudioBlock]:
            nonlocal num_out
            if len(samples):
                yield AudioBlock(samples[:, None], begin_ns + num_out * NS_PER_S // out_rate_hz)
                num_out += len(samples)

        try:
            for block in self._source:
                mono = block.samples[:, 0] if self._source.num_channels == 1 else block.samples.mean(axis=1)
                if not np.isfinite(mono).all():
                    # A file refuses such samples itself.  A device's hiccup must not end the stream.
                    self._num_skipped += len(mono)
                    continue
                if expected_ns is None or abs(block.capture_ns - expected_ns) > GAP_NS:
                    yield from located(self._resampler.finish())
                    begin_ns, num_out = block.capture_ns, 0
                elif self.live:
                    # The device's clock is not ours: follow it, or an hour of drift would look like latency.
                    begin_ns += block.capture_ns - expected_ns
                expected_ns = block.end_ns(in_rate_hz)
                yield from located(self._resampler.push(np.ascontiguousarray(mono, np.float32)))
        except SourceError:  # what was said before it broke is whole first
            yield from located(self._resampler.finish())
            raise
        yield from located(self._resampler.finish())

"""Echo cancelling by SpeexDSP: the system's libspeexdsp, reached by ctypes.

An adaptive filter (a multi-delay block frequency-domain filter) learns the way from the speaker to the
microphone and subtracts what the device itself plays; a post-filter takes away what is left of it.

J.-M. Valin, "On Adjusting the Learning Rate in Frequency Domain Echo Cancellation With Double-Talk", IEEE
Transactions on Audio, Speech and Language Processing 15(3), 2007, https://arxiv.org/abs/1602.08044.

The Python packages that wrap it, or WebRTC's canceller, come as sources that need SWIG and a compiler; this
library is one Debian package of 100 KB with an interface that has not changed since 2008.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from ctypes import POINTER, byref, c_int, c_int16, c_void_p

import numpy as np
import numpy.typing as npt

from galago.runtime.closing import Closing
from galago.runtime.errors import InvalidArgumentError, UnsupportedError

_SONAME = "libspeexdsp.so.1"
# speex_echo.h and speex_preprocess.h
_ECHO_SET_SAMPLING_RATE = 24
_PREPROCESS_SET_DENOISE = 0
_PREPROCESS_SET_ECHO_STATE = 24


class SpeexEchoCanceller(Closing):
    """One microphone, one speaker.

    Args:
        sample_rate_hz: of both.
        frame_samples: of one call.
        tail_ms: the longest way from what `played` says to the microphone, echoes of the room included.

    Raises:
        UnsupportedError: libspeexdsp is not installed.
    """

    def __init__(self, sample_rate_hz: int, *, frame_samples: int, tail_ms: int = 250) -> None:
        if sample_rate_hz <= 0 or frame_samples <= 0 or tail_ms <= 0:
            raise InvalidArgumentError("echo: expected rate, frame and tail above 0")
        self._library = load_speexdsp()
        self.frame_samples = frame_samples
        self.tail_ms = tail_ms
        tail_samples = sample_rate_hz * tail_ms // 1000
        self._echo: int | None = self._library.speex_echo_state_init(frame_samples, tail_samples)
        self._post: int | None = self._library.speex_preprocess_state_init(frame_samples, sample_rate_hz)
        rate, no = c_int(sample_rate_hz), c_int(0)
        self._library.speex_echo_ctl(self._echo, _ECHO_SET_SAMPLING_RATE, byref(rate))
        # What the ear was trained on has its noise: only the echo is taken away.
        self._library.speex_preprocess_ctl(self._post, _PREPROCESS_SET_DENOISE, byref(no))
        self._library.speex_preprocess_ctl(self._post, _PREPROCESS_SET_ECHO_STATE, self._echo)

    def process(
        self, heard: npt.NDArray[np.float32], played: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """What the microphone heard, without what the speaker played.

        Args:
            heard, played: (frame_samples,) each, in [-1, 1], of the same moment.
        """
        if self._echo is None:
            raise InvalidArgumentError("echo: the canceller is closed")
        if heard.shape != (self.frame_samples,) or played.shape != (self.frame_samples,):
            raise InvalidArgumentError(f"echo: expected two frames of {self.frame_samples} samples")
        near, far = _int16(heard), _int16(played)
        cleaned = np.empty(self.frame_samples, np.int16)
        self._library.speex_echo_cancellation(self._echo, _at(near), _at(far), _at(cleaned))
        self._library.speex_preprocess_run(self._post, _at(cleaned))
        return cleaned.astype(np.float32) / np.float32(32768.0)

    def reset(self) -> None:
        """Forget the way from the speaker to the microphone."""
        self._library.speex_echo_state_reset(self._echo)

    def close(self) -> None:
        echo, self._echo, post, self._post = self._echo, None, self._post, None
        if post is not None:
            self._library.speex_preprocess_state_destroy(post)
        if echo is not None:
            self._library.speex_echo_state_destroy(echo)

    def __del__(self) -> None:
        if getattr(self, "_echo", None) is not None:
            self.close()


@functools.cache
def load_speexdsp() -> ctypes.CDLL:
    """The system's libspeexdsp, its functions declared.

    Raises:
        UnsupportedError: it is not installed; the message says how to get it.
    """
    try:
        library = ctypes.CDLL(_SONAME)
    except OSError:
        found = ctypes.util.find_library("speexdsp")
        if found is None:
            raise UnsupportedError(
                "echo cancelling needs libspeexdsp, which is not installed: apt-get install libspeexdsp1 "
                '(without it: echo = "half-duplex")'
            ) from None
        library = ctypes.CDLL(found)
    samples = POINTER(c_int16)
    for name, result, arguments in (
        ("speex_echo_state_init", c_void_p, [c_int, c_int]),
        ("speex_echo_state_destroy", None, [c_void_p]),
        ("speex_echo_state_reset", None, [c_void_p]),
        ("speex_echo_cancellation", None, [c_void_p, samples, samples, samples]),
        ("speex_echo_ctl", c_int, [c_void_p, c_int, c_void_p]),
        ("speex_preprocess_state_init", c_void_p, [c_int, c_int]),
        ("speex_preprocess_state_destroy", None, [c_void_p]),
        ("speex_preprocess_run", c_int, [c_void_p, samples]),
        ("speex_preprocess_ctl", c_int, [c_void_p, c_int, c_void_p]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def _int16(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    return np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)


def _at(samples: npt.NDArray[np.int16]) -> ctypes._Pointer[c_int16]:
    return samples.ctypes.data_as(POINTER(c_int16))

"""A session: one stream over a bundle.  Samples and images go in by push, events come out.

    with Bundle(folder) as bundle, bundle.session() as session:
        for block in microphone:                      # float32, mono, at session.sample_rate_hz
            session.push_audio(block)
            while session.step():
                pass
            for event in session.events():
                print(event)

With `worker=True` galago steps on a thread of its own, and the loop is push on one thread and
`wait` / `events` on another.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from galago.runtime import abi
from galago.runtime.closing import Closing
from galago.runtime.errors import InvalidArgumentError, InvalidStateError, UnsupportedError, of_status
from galago.runtime.events import NS_PER_S, Event, Failed, Final, decode
from galago.runtime.fair_lock import FairLock
from galago.runtime.image_planes import ImageFormat, Planes, describe_image

if TYPE_CHECKING:
    from galago.runtime.open_bundle import GrammarSource, OpenBundle

# One nap inside the library: `close` from another thread waits at most this long for `wait`.
_WAIT_SLICE_MS = 20


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """The shape of a stream, fixed while its session is open."""

    sample_rate_hz: int  # of push_audio, mono; 0: the bundle has no ear
    chunk_samples: int  # new audio of one step
    left_context_samples: int  # past that the caches hold
    lookahead_samples: int  # future that a step waits for
    image_width: int = 0  # pixels that the eye's network sees; 0: the bundle has no eye
    image_height: int = 0
    speech_sample_rate_hz: int = 0  # of read_speech, mono; 0: the bundle has no voice

    @property
    def chunk_ms(self) -> int:
        return self.chunk_samples * 1000 // self.sample_rate_hz if self.sample_rate_hz else 0

    @property
    def algorithmic_latency_ms(self) -> int:
        """Audio that must exist before its text can: one chunk and the lookahead."""
        if not self.sample_rate_hz:
            return 0
        return (self.chunk_samples + self.lookahead_samples) * 1000 // self.sample_rate_hz


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counters since open or reset; None where nothing was measured yet."""

    gaps: int
    input_samples: int
    refused_samples: int  # pushed while there was no room
    steps: int
    late_steps: int  # took longer than their chunk lasts
    busy_ns: int
    engine_ns: int  # of busy_ns, inside the inference engine
    step_p50_ns: int | None
    step_p99_ns: int | None
    partial_latency_ns: int | None  # voice start to first partial, last utterance
    final_latency_ns: int | None  # end of voice to final, with the endpoint silence, last utterance
    peak_bytes: int  # of this session, without the bundle
    input_duration_ns: int
    replaced_images: int = 0  # a newer one came before the eye had looked
    image_steps: int = 0  # images looked at; steps, busy_ns and engine_ns are the ear's alone
    image_busy_ns: int = 0
    image_engine_ns: int = 0  # of image_busy_ns, inside the inference engine
    image_step_p50_ns: int | None = None
    image_step_p99_ns: int | None = None
    ttfa_ns: int | None = None  # speak to first sample, last utterance that did not wait for another
    speech_duration_ns: int = 0  # of the speech that was made
    speech_busy_ns: int = 0  # speech is counted apart too
    speech_engine_ns: int = 0  # of speech_busy_ns, inside the inference engine
    speech_underruns: int = 0  # reads that found too little amid an utterance

    @property
    def rtf(self) -> float | None:
        """Busy time over audio time: 0.01 means one core at one percent."""
        return self.busy_ns / self.input_duration_ns if self.input_duration_ns else None

    @property
    def speech_rtf(self) -> float | None:
        """The same for speech: what it takes to make it over how long it lasts."""
        return self.speech_busy_ns / self.speech_duration_ns if self.speech_duration_ns else None


class Session(Closing):
    """One stream.  A context manager; every buffer is allocated when it opens, none later.

    Threads: `push_audio` and `end_input` may run on one thread, `push_image` on a second and `read_speech`
    on a third, while the other calls run on a fourth.  Calls of the same part wait for each other, so a
    mistake costs time and never memory safety; `speak`, `stop_speech` and `close` may come from any thread.

    Args:
        bundle: stays open until the session lets go of it.
        worker: galago steps on its own thread; `step` is then refused.
        partials: False: only finals are told.
        posteriors: tell `Posteriors` for every step and `Logits` for every image: for research and
            verification.
        greedy: the best token of each row, collapsed, in place of the bundle's decoding.
        beam: prefix beam search over tokens in place of either.
        one_pass: finals by the chunks that partials come from, though the bundle could look twice: half
            the work, more errors.
        input_capacity_ms: audio that may wait; None: 2000.
        event_capacity: events that may wait; None: 64.
        endpoint_silence_ms: silence that ends an utterance; None: the bundle's.
        max_utterance_ms: None: the bundle's.
    """

    def __init__(
        self,
        bundle: OpenBundle,
        *,
        worker: bool = False,
        partials: bool = True,
        posteriors: bool = False,
        greedy: bool = False,
        beam: bool = False,
        one_pass: bool = False,
        input_capacity_ms: int | None = None,
        event_capacity: int | None = None,
        endpoint_silence_ms: int | None = None,
        max_utterance_ms: int | None = None,
    ) -> None:
        self._handle: ctypes.c_void_p | None = None
        self._closing = False
        self._capture = threading.Lock()
        self._camera = threading.Lock()
        self._playback = threading.Lock()
        self._speaking = threading.Lock()
        self._control = FairLock()
        self._library = abi.library()
        self.bundle = bundle
        self.worker = worker
        ear = bundle.manifest.ear
        self._num_phones = len(ear.phones) if ear is not None else 0
        self._num_tokens = len(ear.tokens) if ear is not None else 0
        flags = (
            (abi.SESSION_WORKER if worker else 0)
            | (0 if partials else abi.SESSION_NO_PARTIALS)
            | (abi.SESSION_POSTERIORS if posteriors else 0)
            | (abi.SESSION_GREEDY if greedy else 0)
            | (abi.SESSION_BEAM if beam else 0)
            | (abi.SESSION_ONE_PASS if one_pass else 0)
        )
        options = abi.SessionOptions(
            struct_size=ctypes.sizeof(abi.SessionOptions),
            flags=flags,
            input_capacity_ms=_count("input_capacity_ms", input_capacity_ms),
            event_capacity=_count("event_capacity", event_capacity),
            endpoint_silence_ms=_count("endpoint_silence_ms", endpoint_silence_ms),
            max_utterance_ms=_count("max_utterance_ms", max_utterance_ms),
        )
        handle = ctypes.c_void_p()
        abi.check(
            self._library.galago_session_open(bundle.handle, ctypes.byref(options), ctypes.byref(handle))
        )
        self._handle = handle
        raw = abi.SessionInfo(struct_size=ctypes.sizeof(abi.SessionInfo))
        abi.check(self._library.galago_session_get_info(handle, ctypes.byref(raw)))
        self.info = SessionInfo(
            sample_rate_hz=raw.input_sample_rate_hz,
            chunk_samples=raw.chunk_samples,
            left_context_samples=raw.left_context_samples,
            lookahead_samples=raw.lookahead_samples,
            image_width=raw.image_width,
            image_height=raw.image_height,
            speech_sample_rate_hz=raw.speech_sample_rate_hz,
        )
        self._next_capture_ns = 0
        self._event = abi.Event(struct_size=ctypes.sizeof(abi.Event))
        self._event_reference = ctypes.byref(self._event)

    # -- capture ---------------------------------------------------------------------------------------

    def push_audio(self, samples: npt.NDArray[Any], capture_ns: int | None = None) -> None:
        """Append mono samples at `info.sample_rate_hz`.

        A contiguous float32 array is handed over as it is, without a copy on the Python side.

        Args:
            samples: (num_samples,), float32 in [-1, 1] or int16.
            capture_ns: monotonic time of the first sample; None: just behind the samples before it,
                counted from 0.  A jump of more than 40 ms is a gap.

        Raises:
            FullError: no room; nothing was taken.  Step (or wait for the worker) and push again.
            InvalidArgumentError: wrong dtype or shape, or a sample that is not finite.
            InvalidStateError: after `end_input`, or the session is closed.
            UnsupportedError: the bundle has no ear.
        """
        mono = _mono_float32(samples)
        with self._capture:
            handle = self._open_handle()
            start_ns = self._next_capture_ns if capture_ns is None else capture_ns
            if not 0 <= start_ns < 2**63:
                raise InvalidArgumentError(f"capture_ns: expected 0 or more, found {start_ns}")
            # Not mono.ctypes.data: that makes a cycle, which keeps the samples until the collector comes.
            address = mono.__array_interface__["data"][0]
            abi.check(self._library.galago_session_push_audio(handle, address, mono.size, start_ns))
            self._next_capture_ns = start_ns + mono.size * NS_PER_S // self.info.sample_rate_hz

    def push_image(
        self,
        image: npt.NDArray[np.uint8] | Planes,
        capture_ns: int | None = None,
        *,
        format: ImageFormat | None = None,
    ) -> None:
        """Show the eye an image; it replaces one that waits.  Cropped and scaled before this returns.

        Args:
            image: uint8: (height, width, 3), (height, width), or NV12 as (height * 3 // 2, width) or as its
                two planes.  Rows may have any stride.
            capture_ns: monotonic time, as of the audio; None: now.
            format: "rgb8", "bgr8", "gray8" or "nv12"; None: rgb8 or gray8 by the shape, nv12 of two planes.

        Raises:
            InvalidArgumentError: wrong dtype, shape or format, or a side of no or more than 8192 pixels.
            InvalidStateError: after `end_input`, the eye has failed, or the session is closed.
            UnsupportedError: the bundle has no eye.
        """
        when_ns = time.monotonic_ns() if capture_ns is None else capture_ns
        raw, planes = describe_image(image, format, when_ns)
        with self._camera:
            abi.check(self._library.galago_session_push_image(self._open_handle(), ctypes.byref(raw)))
        del planes  # they had to live until here

    def end_input(self) -> None:
        """No more input: the next steps finalise the tail and see the image that waits.

        `reset` begins anew.
        """
        with self._capture:
            abi.check(self._library.galago_session_end_input(self._open_handle()))

    # -- control ---------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Process one chunk or, where no audio waits, the newest image.

        False: not enough input yet, or all of it is done.

        Raises:
            InvalidStateError: the session has a worker, or it failed and was not reset.
        """
        with self._control:
            status: int = abi.check(self._library.galago_session_step(self._open_handle()))
        return status == abi.OK

    def next_event(self) -> Event | None:
        """Take the oldest event; None where there is none now."""
        with self._control:
            handle = self._open_handle()
            while abi.check(self._library.galago_session_next_event(handle, self._event_reference)) == abi.OK:
                event = decode(self._event, num_phones=self._num_phones, num_tokens=self._num_tokens)
                if event is not None:  # a newer library may tell what this package does not know
                    return event
            return None

    def events(self) -> Iterator[Event]:
        """Take every event that is ready now; never blocks."""
        while (event := self.next_event()) is not None:
            yield event

    def wait(self, timeout_s: float | None = None) -> bool:
        """Sleep until there is an event to take or, without a worker, a step to do.

        Returns:
            True: there is.  False: the time is over, or the input ended and everything was taken
            (`finished` tells which).
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_ms = _WAIT_SLICE_MS
            if deadline is not None:
                left_ms = max(0, min(left_ms, round((deadline - time.monotonic()) * 1000)))
            status = self._wait(left_ms)
            if status != abi.TIMEOUT:
                return status == abi.OK
            if deadline is not None and time.monotonic() >= deadline:
                return False

    @property
    def finished(self) -> bool:
        """The input ended, all of it is processed, and every event was taken."""
        return self._wait(0) == abi.EMPTY

    def _wait(self, timeout_ms: int) -> int:
        with self._control:
            return abi.check(self._library.galago_session_wait(self._open_handle(), timeout_ms))

    def reset(self) -> None:
        """Forget the stream, keep the memory, the grammar, the phrases and the hotwords."""
        with self._capture, self._camera, self._playback, self._speaking, self._control:
            abi.check(self._library.galago_session_reset(self._open_handle()))
            self._next_capture_ns = 0

    def metrics(self) -> Metrics:
        """Counters since open or reset; from any thread."""
        raw = abi.Metrics(struct_size=ctypes.sizeof(abi.Metrics))
        # Under the lock that is held for moments only: `wait` holds the other one while it sleeps.
        with self._capture:
            abi.check(self._library.galago_session_get_metrics(self._open_handle(), ctypes.byref(raw)))
        return Metrics(
            gaps=raw.gaps,
            input_samples=raw.input_samples,
            refused_samples=raw.refused_samples,
            steps=raw.steps,
            late_steps=raw.late_steps,
            busy_ns=max(raw.busy_ns, 0),
            engine_ns=max(raw.engine_ns, 0),
            step_p50_ns=_measured(raw.step_p50_ns),
            step_p99_ns=_measured(raw.step_p99_ns),
            partial_latency_ns=_measured(raw.partial_latency_ns),
            final_latency_ns=_measured(raw.final_latency_ns),
            peak_bytes=max(raw.peak_bytes, 0),
            input_duration_ns=raw.input_samples * NS_PER_S // max(self.info.sample_rate_hz, 1),
            replaced_images=raw.replaced_images,
            image_steps=raw.image_steps,
            image_busy_ns=max(raw.image_busy_ns, 0),
            image_engine_ns=max(raw.image_engine_ns, 0),
            image_step_p50_ns=_measured(raw.image_step_p50_ns),
            image_step_p99_ns=_measured(raw.image_step_p99_ns),
            ttfa_ns=_measured(raw.ttfa_ns),
            speech_duration_ns=raw.speech_samples * NS_PER_S // max(self.info.speech_sample_rate_hz, 1),
            speech_busy_ns=max(raw.speech_busy_ns, 0),
            speech_engine_ns=max(raw.speech_engine_ns, 0),
            speech_underruns=raw.speech_underruns,
        )

    # -- what to listen for ----------------------------------------------------------------------------

    def set_grammar(self, grammar: GrammarSource | None) -> None:
        """Close the vocabulary to a grammar, from the next utterance on; None opens it again.

        Args:
            grammar: compiled bytes (`galago grammar`), the path of a YAML file or of compiled bytes,
                YAML text, or a mapping of the same shape as the YAML.

        Raises:
            InvalidArgumentError: no grammar, or one that names an unknown list or word.
            CorruptError: compiled bytes that fail their checks.
        """
        compiled = b"" if grammar is None else self.bundle.compile_grammar(grammar)
        with self._control:
            abi.check(
                self._library.galago_session_set_grammar(
                    self._open_handle(), compiled if grammar is not None else None, len(compiled)
                )
            )

    def set_phrases(self, phrases: Iterable[str] | bytes | None) -> None:
        """Listen for wake phrases, beside whatever else is listened for; None or none stops it."""
        if isinstance(phrases, str):
            raise InvalidArgumentError("phrases: expected a list of strings, found one string")
        compiled = b""
        if isinstance(phrases, bytes):
            compiled = phrases
        elif phrases is not None and (spoken := list(phrases)):
            compiled = self.bundle.compile_phrases(spoken)
        with self._control:
            abi.check(
                self._library.galago_session_set_phrases(self._open_handle(), compiled or None, len(compiled))
            )

    def set_hotwords(self, hotwords: Iterable[str] | Mapping[str, float] | None) -> None:
        """Boost phrases of the open vocabulary; replaces the set before it, at once.

        Args:
            hotwords: phrases with the bundle's boost, or phrase -> boost in nats a token.
        """
        if isinstance(hotwords, str | bytes):
            raise InvalidArgumentError("hotwords: expected a list of strings, found one string")
        if hotwords is None:
            boosts: dict[str, float] = {}
        elif isinstance(hotwords, Mapping):
            boosts = {str(phrase): float(boost) for phrase, boost in hotwords.items()}
        else:
            boosts = {phrase: 0.0 for phrase in hotwords}
        phrases_raw = (ctypes.c_char_p * len(boosts))(*(phrase.encode() for phrase in boosts))
        boosts_raw = (ctypes.c_float * len(boosts))(*boosts.values())
        with self._control:
            abi.check(
                self._library.galago_session_set_hotwords(
                    self._open_handle(), phrases_raw, boosts_raw, len(boosts)
                )
            )

    # -- speech ----------------------------------------------------------------------------------------

    def speak(self, text: str) -> int:
        """Queue text, or SSML, to be spoken behind what is queued already.  From any thread.

        The steps make the sound, so without a worker somebody has to call `step`.

        Returns:
            The utterance that its `SpeakStart` and `SpeakStop` will carry: 1, 2, 3, ...  Each text ends in
            one `SpeakStop`, also where it is stopped before it sounds.

        Raises:
            UnsupportedError: the bundle has no voice, or it cannot shift its pitch and SSML asks for it.
            InvalidArgumentError: malformed SSML, with line and column; nothing in the text that can be said;
                more than 256 KiB; a NUL character.
            FullError: 32 texts wait already; nothing was taken.
            InvalidStateError: the voice has failed and the session was not reset.
        """
        if "\0" in text:
            raise InvalidArgumentError("text: holds a NUL character")
        try:
            encoded = text.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise InvalidArgumentError(f"text: is no Unicode at character {error.start}") from error
        utterance = ctypes.c_uint64()
        # A lock of its own: `wait` holds the control's while it sleeps, and that would be heard.
        with self._speaking:
            abi.check(
                self._library.galago_session_speak(self._open_handle(), encoded, ctypes.byref(utterance))
            )
        return utterance.value

    def read_speech(self, buffer: npt.NDArray[np.float32]) -> int:
        """Fill the start of a buffer with the samples that are ready; for the playback thread.

        Args:
            buffer: (capacity,), contiguous and writable, mono at `info.speech_sample_rate_hz`, in [-1, 1].

        Returns:
            How many samples; 0: play silence.

        Raises:
            UnsupportedError: the bundle has no voice.
            InvalidArgumentError: a buffer of another kind.
        """
        flags = buffer.flags
        if buffer.dtype != np.float32 or buffer.ndim != 1 or not (flags.c_contiguous and flags.writeable):
            raise InvalidArgumentError(
                "buffer: expected a contiguous, writable float32 array of shape (capacity,), found "
                f"{buffer.dtype} of shape {buffer.shape}"
            )
        num_read = ctypes.c_size_t()
        with self._playback:
            address = buffer.__array_interface__["data"][0]
            abi.check(
                self._library.galago_session_read_speech(
                    self._open_handle(), address, buffer.size, ctypes.byref(num_read)
                )
            )
        return num_read.value

    def stop_speech(self) -> None:
        """Fall silent now and forget what is queued.  From any thread.

        Raises:
            UnsupportedError: the bundle has no voice.
        """
        # Under the lock that is held for moments only: `wait` holds the control's while it sleeps.
        with self._capture:
            abi.check(self._library.galago_session_stop_speech(self._open_handle()))

    # -- convenience -----------------------------------------------------------------------------------

    def run(self, samples: npt.NDArray[Any]) -> Iterator[Event]:
        """Push all samples, end the input, and yield every event as it comes; then reset.

        Raises:
            InvalidStateError: the session has a worker.
            GalagoError: the stream failed; the class is that of its status.
        """
        if self.worker:
            raise InvalidStateError("run: this session has a worker; push, wait and take events instead")
        mono = _mono_float32(samples)
        if not self.info.sample_rate_hz:
            raise UnsupportedError(f"run: {self.bundle.manifest.name} has no ear")
        block_samples = self.info.chunk_samples
        self.reset()
        for begin in range(0, mono.size, block_samples):
            self.push_audio(mono[begin : begin + block_samples])
            yield from self._step_through()
        self.end_input()
        yield from self._step_through()
        self.reset()

    def transcribe(self, samples: npt.NDArray[Any]) -> str:
        """The text of all finals in the samples, joined with spaces."""
        return " ".join(event.text for event in self.run(samples) if isinstance(event, Final))

    def synthesise(self, text: str) -> npt.NDArray[np.float32]:
        """All that is spoken of a text: (num_samples,), mono at `info.speech_sample_rate_hz`; then reset.

        Raises:
            InvalidStateError: the session has a worker.
            GalagoError: as `speak` does, or the voice failed.
        """
        if self.worker:
            raise InvalidStateError("synthesise: this session has a worker; speak and read_speech instead")
        self.reset()
        self.speak(text)
        self.end_input()
        buffer = np.empty(max(1, self.info.speech_sample_rate_hz // 10), np.float32)
        spoken = [np.zeros(0, np.float32)]
        is_working = True
        while is_working:
            is_working = self.step()
            while num_read := self.read_speech(buffer):
                spoken.append(buffer[:num_read].copy())
            for _ in self._checked_events():
                pass
        self.reset()
        return np.concatenate(spoken)

    def _step_through(self) -> Iterator[Event]:
        while self.step():
            yield from self._checked_events()
        yield from self._checked_events()

    def _checked_events(self) -> Iterator[Event]:
        for event in self.events():
            if isinstance(event, Failed):
                raise of_status(event.status, event.text)
            yield event

    # -- life ------------------------------------------------------------------------------------------

    def _open_handle(self) -> ctypes.c_void_p:
        if self._handle is None or self._closing:
            raise InvalidStateError("this session is closed")
        return self._handle

    def close(self) -> None:
        """Free the stream; joins the worker.  From any thread; may be called twice."""
        self._closing = True  # turns away whoever waits for the locks
        with self._capture, self._camera, self._playback, self._speaking, self._control:
            handle, self._handle = self._handle, None
            if handle is not None:
                self._library.galago_session_close(handle)

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def __repr__(self) -> str:
        info = self.info
        hears = [f"{info.chunk_ms} ms chunks"] if info.sample_rate_hz else []
        sees = [f"{info.image_width} x {info.image_height} pixels"] if info.image_width else []
        speaks = [f"speech at {info.speech_sample_rate_hz} Hz"] if info.speech_sample_rate_hz else []
        state = "closed" if self._handle is None else ", ".join(hears + sees + speaks)
        return f"<Session of {self.bundle.manifest.name}, {state}>"


def _count(name: str, value: int | None) -> int:
    if value is None:
        return 0
    if not 0 < value < 2**32:
        raise InvalidArgumentError(f"{name}: expected 1 to {2**32 - 1}, found {value}")
    return value


def _measured(value: int) -> int | None:
    return value if value >= 0 else None


def _mono_float32(samples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if not isinstance(samples, np.ndarray):
        raise InvalidArgumentError(f"samples: expected a numpy array, found {type(samples).__name__}")
    if samples.ndim != 1:
        raise InvalidArgumentError(
            f"samples: expected mono of shape (num_samples,), found shape {samples.shape}; "
            "mix channels down with samples.mean(axis=1)"
        )
    if samples.dtype == np.float32:
        return np.ascontiguousarray(samples)
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(32768.0)
    raise InvalidArgumentError(f"samples: expected float32 in [-1, 1] or int16, found {samples.dtype}")

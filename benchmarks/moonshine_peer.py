"""Moonshine Voice with the English model that its wheel carries, clip by clip, results kept.

A peer that hears whole clips: an encoder over the waveform and a decoder of sub-words, behind its own voice
activity detection. A clip is given at once (``transcribe_without_streaming``), on one core, so that its
runtime makes one thread; what it writes in digits counts as wrong, as with every recogniser here.

    pip install moonshine-voice==0.0.62

N. Jeffries et al., "Moonshine: speech recognition for live transcription and voice commands", 2024.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.answers import Answers
from benchmarks.corpora import SAMPLE_RATE_HZ, Clip

DEFAULT_CACHE = Path.home() / ".cache" / "galago-benchmarks" / "moonshine.jsonl"
MODEL = "tiny-en"


class MoonshineMissingError(ModuleNotFoundError):
    """The package, or what it needs, is not installed."""


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """This thread, and those that it starts meanwhile, stay on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class MoonshinePeer:
    """Recognises clips; keeps each answer in the file ``cache``, see :class:`~benchmarks.answers.Answers`.

    Raises:
        MoonshineMissingError: the package cannot be imported; the message says how to get it.
    """

    def __init__(self, cache: Path = DEFAULT_CACHE) -> None:
        try:
            import moonshine_voice
            from moonshine_voice.transcriber import Transcriber
        except ModuleNotFoundError as error:
            raise MoonshineMissingError(
                f"{error}: pip install moonshine-voice==0.0.62 brings the peer", name=error.name
            ) from error
        self._answers = Answers(cache, "sha256")
        with on_one_core():
            folder = moonshine_voice.get_model_path(MODEL)
            self._transcriber: Any = Transcriber(str(folder), moonshine_voice.ModelArch.TINY)

    def recognise(self, clip: Clip) -> str:
        """Text of ``clip``, from the cache or decoded now."""
        return str(self._row(clip)["text"])

    def cpu_s(self, clip: Clip) -> float:
        """CPU seconds that ``clip`` took, all threads together."""
        return float(self._row(clip)["cpu_s"])

    def _row(self, clip: Clip) -> dict[str, Any]:
        key = clip.sha256()
        row = self._answers.get(key)
        if row is None:
            samples = clip.samples.tolist()
            with on_one_core():
                begin = time.process_time()
                lines = self._transcriber.transcribe_without_streaming(samples, SAMPLE_RATE_HZ).lines
                cpu_s = time.process_time() - begin
            row = {
                "sha256": key,
                "corpus": clip.corpus,
                "id": clip.id,
                "text": " ".join(line.text for line in lines),
                "cpu_s": round(cpu_s, 4),
            }
            self._answers.add(row)
        return row

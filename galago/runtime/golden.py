"""Golden vectors: what a bundle heard, saw and said where it was packed, replayed on the machine at hand.

An engine, a processor or an instruction set that computes something else is found here and not in the
field: the probabilities of a recorded stream and the logits of an image are compared number by number,
spoken sentences by their spectra (`golden_speech.py`).
Log-probabilities would not do: those of symbols that nobody heard move by most of a nat where features
differ in their last bit, and mean nothing. Nor would the text, which a tie between two letters decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from galago.runtime.bundle import Bundle
from galago.runtime.bundle_folder import check_files
from galago.runtime.errors import CorruptError, GalagoError
from galago.runtime.events import Final, Labels, Logits, Posteriors
from galago.runtime.golden_speech import speak_golden
from galago.runtime.manifest import read_manifest
from galago.runtime.manifest_ear import Ear, GoldenVector, Target
from galago.runtime.manifest_eye import Eye, GoldenImage
from galago.runtime.manifest_target import GraphTarget
from galago.runtime.manifest_voice import GoldenSpeech, Voice


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """How far one target is from its record.

    Exactly one of `max_abs_difference` and `not_run` is None.
    """

    target: str
    tolerance: float
    max_abs_difference: float | None
    text: str | None  # what is heard here, or said; of an image, the label; "" where nothing is known
    expected_text: str
    not_run: str | None  # why this target could not be replayed here
    role: str = "ear"

    @property
    def passed(self) -> bool:
        return self.max_abs_difference is not None and self.max_abs_difference <= self.tolerance


def verify_golden(folder: Path, *, num_threads: int | None = None) -> list[GoldenResult]:
    """Check every file of a bundle, then replay its golden vectors.

    Raises:
        CorruptError: a file differs from the manifest, or the bundle holds no golden vectors.
        NotFoundError, UnsupportedError: the bundle cannot be opened here at all.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    results = []
    ear, eye, voice = manifest.ear, manifest.eye, manifest.voice
    if ear is not None:
        # A chunk that only the second network has opens that one alone.
        targets = {target.name: target for target in ear.all_targets}
        for golden in manifest.golden:
            target, hear = targets[golden.target], partial(_hear, golden, ear)
            chunk_ms = ear.chunk_ms(target)
            results.append(
                _replay("ear", target, golden.tolerance, golden.text, hear, folder, num_threads, chunk_ms)
            )
    if eye is not None:
        eye_targets = {target.name: target for target in eye.targets}
        for image in manifest.golden_images:
            seen, look = eye_targets[image.target], partial(_look, image, eye)
            results.append(_replay("eye", seen, image.tolerance, image.label, look, folder, num_threads))
    if voice is not None:
        speakers = {target.name: target for target in voice.speakers}
        for speech in manifest.golden_speech:
            speaker, say = speakers[speech.target], partial(_say, speech, voice)
            results.append(_replay("voice", speaker, speech.tolerance, speech.text, say, folder, num_threads))
    if not results:
        raise CorruptError(f"{folder}: holds no golden vectors")
    return results


def _replay(
    role: str,
    target: Target | GraphTarget,
    tolerance: float,
    expected_text: str,
    play: Callable[[Bundle], tuple[float, str | None]],
    folder: Path,
    num_threads: int | None,
    chunk_ms: int | None = None,
) -> GoldenResult:
    """Open what one record needs, and no more, and play it: `play` returns the difference and the text."""

    def result(difference: float | None, text: str | None, why: str | None) -> GoldenResult:
        return GoldenResult(target.name, tolerance, difference, text, expected_text, why, role)

    try:
        bundle = Bundle(
            folder, chunk_ms=chunk_ms, engine=target.engine, num_threads=num_threads, roles=(role,)
        )
    except CorruptError:
        raise
    except GalagoError as error:  # this engine is not here; another target may still run
        return result(None, None, str(error))
    with bundle:
        opened = bundle.metadata(f"open.{role}.target")
        if opened != target.name:
            return result(None, None, f"{opened} is taken before it here")
        return result(*play(bundle), None)


def _hear(golden: GoldenVector, ear: Ear, bundle: Bundle) -> tuple[float, str]:
    samples = _read(bundle.folder, golden.audio, golden.num_samples, 1)[:, 0]
    # What is recorded is the target's own: no second pass by another one.
    with bundle.session(posteriors=True, one_pass=True) as session:
        rows, finals = [], []
        for event in session.run(samples):
            if isinstance(event, Posteriors):
                rows.append(event.log_probs)
            elif isinstance(event, Final):
                finals.append(event.text)
    heard = np.concatenate(rows) if rows else np.empty((0, len(ear.phones) + len(ear.tokens)))
    recorded = np.concatenate(
        [
            _read(bundle.folder, golden.phone_log_probs, golden.num_tokens, len(ear.phones)),
            _read(bundle.folder, golden.token_log_probs, golden.num_tokens, len(ear.tokens)),
        ],
        axis=1,
    )
    difference = float("inf")
    if len(heard) >= golden.num_tokens:
        difference = float(np.abs(np.exp(heard[: golden.num_tokens]) - np.exp(recorded)).max())
    return difference, " ".join(finals)


def _look(golden: GoldenImage, eye: Eye, bundle: Bundle) -> tuple[float, str | None]:
    path = bundle.folder / golden.image
    pixels = np.fromfile(path, np.uint8)
    if pixels.size != golden.height * golden.width * 3:
        raise CorruptError(
            f"{path}: {pixels.size} bytes; the manifest says {golden.height} x {golden.width} x 3"
        )
    recorded = _read(bundle.folder, golden.logits, 1, len(eye.labels))[0]
    with bundle.session(posteriors=True) as session:
        session.push_image(pixels.reshape(golden.height, golden.width, 3), 0)
        while session.step():
            pass
        events = list(session.events())
    difference, label = float("inf"), None
    for event in events:
        if isinstance(event, Logits):
            difference = float(np.abs(event.values - recorded).max())
        elif isinstance(event, Labels):
            label = event.labels[0].name if event.labels else ""
    return difference, label


def _say(golden: GoldenSpeech, voice: Voice, bundle: Bundle) -> tuple[float, str]:
    return speak_golden(golden, voice, bundle), golden.text


def _read(folder: Path, name: str, num_rows: int, num_columns: int) -> npt.NDArray[np.float32]:
    values = np.fromfile(folder / name, "<f4")
    if values.size != num_rows * num_columns:
        raise CorruptError(
            f"{folder / name}: {values.size} numbers; the manifest says {num_rows} x {num_columns}"
        )
    return values.reshape(num_rows, num_columns).astype(np.float32, copy=False)

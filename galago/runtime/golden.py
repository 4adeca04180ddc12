"""Golden vectors: what a bundle heard, saw and said where it was packed, replayed on the machine at hand.

An engine, a processor or an instruction set that computes something else is found here and not in the
field: the probabilities of a recorded stream and the logits of an image are compared number by number,
spoken sentences by their spectra (`golden_speech.py`).
Log-probabilities would not do: those of symbols that nobody heard move by most of a nat where features
differ in their last bit, and mean nothing. Nor would the text, which a tie between two letters decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from galago.runtime.bundle import Bundle, check_files, read_manifest
from galago.runtime.errors import CorruptError, GalagoError
from galago.runtime.events import Final, Labels, Logits, Posteriors
from galago.runtime.golden_speech import speak_golden
from galago.runtime.manifest import Ear, GoldenVector, Target
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
    if manifest.ear is not None:
        targets = {target.name: target for target in manifest.ear.targets}
        for golden in manifest.golden:
            results.append(_replay(folder, manifest.ear, golden, targets[golden.target], num_threads))
    if manifest.eye is not None:
        eye_targets = {target.name: target for target in manifest.eye.targets}
        for image in manifest.golden_images:
            results.append(_replay_image(folder, manifest.eye, image, eye_targets[image.target], num_threads))
    if manifest.voice is not None:
        speakers = {target.name: target for target in manifest.voice.speakers}
        for speech in manifest.golden_speech:
            results.append(
                _replay_speech(folder, manifest.voice, speech, speakers[speech.target], num_threads)
            )
    if not results:
        raise CorruptError(f"{folder}: holds no golden vectors")
    return results


def _replay(
    folder: Path, ear: Ear, golden: GoldenVector, target: Target, num_threads: int | None
) -> GoldenResult:
    def skipped(why: str) -> GoldenResult:
        return GoldenResult(target.name, golden.tolerance, None, None, golden.text, why)

    try:
        bundle = Bundle(folder, chunk_ms=ear.chunk_ms(target), engine=target.engine, num_threads=num_threads)
    except CorruptError:
        raise
    except GalagoError as error:  # this engine is not here; another target may still run
        return skipped(str(error))
    with bundle:
        opened = bundle.metadata("open.ear.target")
        if opened != target.name:
            return skipped(f"{opened} is taken before it here")
        samples = _read(folder, golden.audio, golden.num_samples, 1)[:, 0]
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
            _read(folder, golden.phone_log_probs, golden.num_tokens, len(ear.phones)),
            _read(folder, golden.token_log_probs, golden.num_tokens, len(ear.tokens)),
        ],
        axis=1,
    )
    if len(heard) < golden.num_tokens:
        return GoldenResult(target.name, golden.tolerance, float("inf"), " ".join(finals), golden.text, None)
    difference = float(np.abs(np.exp(heard[: golden.num_tokens]) - np.exp(recorded)).max())
    return GoldenResult(target.name, golden.tolerance, difference, " ".join(finals), golden.text, None)


def _replay_image(
    folder: Path, eye: Eye, golden: GoldenImage, target: GraphTarget, num_threads: int | None
) -> GoldenResult:
    def result(difference: float | None, label: str | None, why: str | None) -> GoldenResult:
        return GoldenResult(target.name, golden.tolerance, difference, label, golden.label, why, role="eye")

    try:
        bundle = Bundle(folder, engine=target.engine, num_threads=num_threads)
    except CorruptError:
        raise
    except GalagoError as error:  # this engine is not here; another target may still run
        return result(None, None, str(error))
    with bundle:
        opened = bundle.metadata("open.eye.target")
        if opened != target.name:
            return result(None, None, f"{opened} is taken before it here")
        pixels = np.fromfile(folder / golden.image, np.uint8)
        if pixels.size != golden.height * golden.width * 3:
            raise CorruptError(
                f"{folder / golden.image}: {pixels.size} bytes; the manifest says "
                f"{golden.height} x {golden.width} x 3"
            )
        recorded = _read(folder, golden.logits, 1, len(eye.labels))[0]
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
    return result(difference, label, None)


def _replay_speech(
    folder: Path, voice: Voice, golden: GoldenSpeech, target: GraphTarget, num_threads: int | None
) -> GoldenResult:
    def result(difference: float | None, text: str | None, why: str | None) -> GoldenResult:
        return GoldenResult(target.name, golden.tolerance, difference, text, golden.text, why, role="voice")

    try:
        bundle = Bundle(folder, engine=target.engine, num_threads=num_threads)
    except CorruptError:
        raise
    except GalagoError as error:  # this engine is not here; another target may still run
        return result(None, None, str(error))
    with bundle:
        opened = bundle.metadata("open.voice.target")
        if opened != target.name:
            return result(None, None, f"{opened} is taken before it here")
        return result(speak_golden(folder, bundle, voice, golden), golden.text, None)


def _read(folder: Path, name: str, num_rows: int, num_columns: int) -> npt.NDArray[np.float32]:
    values = np.fromfile(folder / name, "<f4")
    if values.size != num_rows * num_columns:
        raise CorruptError(
            f"{folder / name}: {values.size} numbers; the manifest says {num_rows} x {num_columns}"
        )
    return values.reshape(num_rows, num_columns).astype(np.float32, copy=False)

"""The golden sentence of a voice, spoken again on the machine at hand.

Samples are not compared: a pitch that differs in its fifth digit is out of phase after a second, and nobody
hears it. Compared are log magnitudes of bands, along the best alignment in time, since a duration that lies
between two frames may fall to either side.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from galago.runtime.bundle import Bundle
from galago.runtime.errors import CorruptError
from galago.runtime.manifest_voice import GoldenSpeech, Voice

__all__ = ["spectral_difference", "speak_golden"]

WINDOW_SAMPLES, STEP_SAMPLES = 512, 256
NUM_BANDS, BINS_A_BAND = 24, 10
FLOOR = 1e-4  # of an RMS: below is silence

Samples = npt.NDArray[np.float32]


def spectral_difference(found: Samples, recorded: Samples) -> float:
    """Mean absolute difference of log band magnitudes along the best path of dynamic time warping, in nats.

    Samples (N,) of two utterances, of which each is a window long at least; else the answer is infinite.
    """
    if min(len(found), len(recorded)) < WINDOW_SAMPLES:
        return float("inf")
    a, b = _log_bands(found), _log_bands(recorded)
    cost = np.abs(a[:, None] - b[None]).mean(axis=-1)  # (windows of found, windows of recorded)
    # Sums along the best path and the steps of it, row by row.
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    steps = np.zeros(total.shape, np.int64)
    total[0, 0] = 0.0
    for i in range(len(a)):
        for j in range(len(b)):
            before = min(((i, j), (i, j + 1), (i + 1, j)), key=lambda place: total[place])
            total[i + 1, j + 1] = total[before] + cost[i, j]
            steps[i + 1, j + 1] = steps[before] + 1
    return float(total[-1, -1] / steps[-1, -1])


def _log_bands(samples: Samples) -> npt.NDArray[np.float64]:
    windows = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), WINDOW_SAMPLES)
    windows = windows[::STEP_SAMPLES] * np.hanning(WINDOW_SAMPLES + 1)[:-1]
    power = np.abs(np.fft.rfft(windows)) ** 2 * (4.0 / WINDOW_SAMPLES) ** 2  # a full-scale sine peaks at 1
    bands = power[:, 1 : 1 + NUM_BANDS * BINS_A_BAND].reshape(len(power), NUM_BANDS, BINS_A_BAND)
    return np.asarray(np.log(np.maximum(np.sqrt(bands.mean(axis=-1)), FLOOR)))


def speak_golden(golden: GoldenSpeech, voice: Voice, bundle: Bundle) -> float:
    """Speak the golden text with an open bundle; how far it is from the record.

    Raises:
        CorruptError: the record is not as long as its frames say.
        GalagoError: the voice fails.
    """
    path = bundle.folder / golden.samples
    recorded = np.fromfile(path, "<f4").astype(np.float32, copy=False)
    if recorded.size != sum(golden.frames) * voice.hop_samples:
        raise CorruptError(
            f"{path}: {recorded.size} samples; the manifest says "
            f"{sum(golden.frames)} frames of {voice.hop_samples}"
        )
    with bundle.session() as session:
        return spectral_difference(session.synthesise(golden.text), recorded)

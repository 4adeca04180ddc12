"""What the benchmarks of the eye make of scores and times."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import attention_cost, eye_accuracy
from galago.models.training.eye.labels import EyeDescription, EyeLabel, ImageFormat

LABELS = (
    EyeLabel("lemon", "grocery", "citrus"),
    EyeLabel("lime", "grocery", "citrus"),
    EyeLabel("leek", "grocery", "leek"),
    EyeLabel("1", "hand_sign", "1"),
)
EYE = EyeDescription(LABELS, ImageFormat(8, 8, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)), 1.0, 0.5)


def images(*values: int) -> NDArray[np.uint8]:
    """Pictures of one gray each."""
    return np.stack([np.full((8, 8, 3), value, np.uint8) for value in values])


def by_gray(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A scorer that takes gray 0 to 3 for that label, surely, and is unsure about all the rest."""
    logits = np.zeros((len(batch), 4), np.float32)
    for row, image in zip(logits, batch, strict=True):
        if image.max() <= 3:
            row[image[0, 0, 0]] = 12.0
    return logits


def test_accuracies_of_each_group_and_the_unknown() -> None:
    found = eye_accuracy.score(by_gray, EYE, images(0, 0, 2, 9, 3), np.array([0, 1, 2, 2, 3]))
    grocery, signs = found["groups"]["grocery"], found["groups"]["hand_sign"]
    assert (grocery["num_photos"], grocery["fine_percent"], grocery["coarse_percent"]) == (4, 50.0, 75.0)
    assert grocery["answered_percent"] == 75.0
    assert grocery["right_of_answered_percent"] == pytest.approx(66.67)
    assert signs["fine_percent"] == 100.0 and signs["calibration_error_percent"] < 0.1
    assert found["unknown"]["pictures of nothing"]["rejected_percent"] == 100.0


def test_no_photos_are_no_score() -> None:
    with pytest.raises(ValueError, match="no photos"):
        eye_accuracy.score(by_gray, EYE, np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0, np.int64))


def test_the_exponent_of_a_power_is_found() -> None:
    areas = [1.0, 4.0, 9.0, 16.0]
    assert attention_cost.exponent(areas, [3.0 * a**1.5 for a in areas]) == pytest.approx(1.5)
    with pytest.raises(ValueError, match="one size"):
        attention_cost.exponent([1.0], [1.0])


def test_windows_cost_in_proportion_to_the_area_and_global_attention_more() -> None:
    small, large = (attention_cost.measure(side, repeats=1) for side in (28, 56))
    assert large["tokens"] == 4 * small["tokens"] == 196
    growth = {
        name: large[name]["multiply_adds"] / small[name]["multiply_adds"] for name in ("windows", "global")
    }
    assert growth["windows"] == 4.0 and growth["global"] > 4.0
    assert large["windows"]["cpu_ms"] > 0.0

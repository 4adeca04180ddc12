"""Honest probabilities, and a threshold between what is known and what is not."""

from __future__ import annotations

import pytest
import torch

from galago.models.training.eye.calibrate import (
    accept_probability,
    confidences,
    confidences_without_own_kind,
    expected_calibration_error,
    fit_temperature,
    pictures_of_nothing,
)
from galago.models.training.eye.labels import EyeDescription, EyeLabel, ImageFormat


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_drawn_labels_is_found(true_temperature: float) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 2.0 * torch.randn(8000, 5, generator=generator)
    labels = torch.multinomial(torch.softmax(logits, 1), 1, generator=generator)[:, 0]
    sharp = logits * true_temperature
    found = fit_temperature(sharp, labels)
    assert found == pytest.approx(true_temperature, rel=0.08)
    right = sharp.argmax(1) == labels
    assert expected_calibration_error(confidences(sharp, found), right) < 0.03
    if true_temperature == 3.0:
        assert expected_calibration_error(confidences(sharp, 1.0), right) > 0.1


def test_the_calibration_error_of_boasting_and_of_honesty() -> None:
    right = torch.arange(100) < 60
    assert expected_calibration_error(torch.full((100,), 0.9), right) == pytest.approx(0.3, abs=1e-4)
    assert expected_calibration_error(torch.full((100,), 0.6), right) == pytest.approx(0.0, abs=1e-4)


def test_the_threshold_parts_known_from_unknown() -> None:
    known, unknown = torch.linspace(0.5, 0.9, 50), torch.linspace(0.05, 0.4, 50)
    threshold = accept_probability(known, unknown)
    assert float(unknown.max()) < threshold <= float(known.min()) + 1e-4


def test_the_threshold_keeps_the_known_even_where_they_mix() -> None:
    known, unknown = torch.linspace(0.2, 0.9, 100), torch.linspace(0.6, 1.0, 100)
    threshold = accept_probability(known, unknown, rejected_share=0.1)
    assert (known < threshold).float().mean() <= 0.1


def test_without_its_own_kind_a_photo_is_taken_for_the_best_other() -> None:
    labels = (
        EyeLabel("a", "x", "k"),
        EyeLabel("b", "x", "k"),
        EyeLabel("c", "x", "l"),
        EyeLabel("d", "x", "m"),
    )
    description = EyeDescription(labels, ImageFormat(4, 4, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)))
    logits = torch.tensor([[9.0, 8.0, 1.0, 0.0]])
    found = confidences_without_own_kind(logits, torch.tensor([1]), description, 1.0)
    torch.testing.assert_close(found, torch.softmax(torch.tensor([1.0, 0.0]), 0)[:1])


def test_pictures_of_nothing_are_various_and_always_the_same() -> None:
    pictures = pictures_of_nothing(8, 16, 20)
    assert pictures.shape == (8, 16, 20, 3)
    assert (pictures == pictures_of_nothing(8, 16, 20)).all()
    spread = pictures.reshape(8, -1, 3).std(axis=1).mean(axis=1)
    assert spread[0] > 50 and spread[1] < 10 < spread[2]

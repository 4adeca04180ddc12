"""From a float graph and its samples to what a packer reports of it."""

from __future__ import annotations

import pytest
import torch

from galago.models.fake_quantization import LearnedScales
from galago.models.integers import Integers, Scales
from galago.quantize.accuracy_control import AccuracyConfig
from galago.quantize.calibration import CalibrationError
from galago.quantize.dtype_choice import choose_dtype
from galago.quantize.layers import quantized_layers
from galago.quantize.quantize import QuantizationConfig
from galago.quantize.role_quantization import provenance_entry, quantization_report, quantize_role
from tests.quantize.small_graph import LAYERS, WIDTH, samples, small_graph

LEARNED = LearnedScales(
    input=Scales(torch.tensor([0.03]), torch.tensor([128.0])),
    weight=Scales(torch.full((WIDTH,), 0.0125), torch.zeros(WIDTH)),
    input_integers=Integers(8, symmetric=False),
    weight_integers=Integers(7),
)


@pytest.mark.parametrize("learned", [{}, {"first": LEARNED}])
def test_scales_of_training_are_taken_and_others_observed(learned: dict[str, LearnedScales]) -> None:
    said: list[str] = []
    config, accuracy = QuantizationConfig(), AccuracyConfig(max_cost=1.0)
    calibration, held_out = samples(8).split(2)
    controlled = quantize_role(
        small_graph(),
        calibration,
        held_out,
        config,
        accuracy,
        lambda graph: 0.01 * len(quantized_layers(graph)),
        precision="f32",
        learned=learned,
        measure_time=False,
        say=said.append,
    )
    assert set(controlled.plan.layers) == ({LAYERS[0]} if learned else set(LAYERS))
    choice = choose_dtype(controlled, accuracy, {}, what="costs {:.2f}")
    report = {
        "calibration": calibration.describe(len(held_out)),
        "quantization": quantization_report(controlled, config, choice),
        "checkpoint": {"sha256": "abc"},
    }
    assert report["quantization"]["choice"]["sentence"] == "Packed in int8."
    entry = provenance_entry(report)
    assert entry["scales"] == ("learned" if learned else "observed")
    assert entry["calibration"] == {"name": "small", "sha256": calibration.sha256}
    if learned:
        assert said == ["  scales of 1 layers were learned in training"]
        scales = controlled.plan.layers[LAYERS[0]]
        assert scales.input is LEARNED.input and scales.weight is LEARNED.weight


def test_a_recipe_may_insist_on_its_calibration_set() -> None:
    recorded = samples(3)
    recorded.check(None)
    recorded.check(recorded.sha256)
    with pytest.raises(CalibrationError, match=r"small: the set is .*, and the recipe wants 00ff"):
        recorded.check("00ff")
    assert samples(3, seed=1).sha256 != recorded.sha256 == samples(3).sha256

"""What the packers of all roles do between a float graph and what is packed of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import openvino as ov

from galago.models.fake_quantization import LearnedScales
from galago.quantize.accuracy_control import AccuracyConfig, Controlled, control_accuracy
from galago.quantize.calibration import CalibrationSet
from galago.quantize.compile_openvino import Precision
from galago.quantize.dtype_choice import DtypeChoice
from galago.quantize.learned import plan_of_learned
from galago.quantize.quantize import QuantizationConfig, plan_quantization
from galago.quantize.timing import estimated_savings, measured_savings

__all__ = ["provenance_entry", "quantization_report", "quantize_role"]


def quantize_role(
    graph: ov.Model,
    calibration: CalibrationSet,
    held_out: CalibrationSet,
    config: QuantizationConfig,
    accuracy: AccuracyConfig,
    cost_of: Callable[[ov.Model], float],
    *,
    precision: Precision,
    learned: Mapping[str, LearnedScales] | None = None,
    measure_time: bool,
    say: Callable[[str], None],
) -> Controlled:
    """Quantize a float graph with its cost under control.

    Args:
        learned: scales of a network that was trained with its integers; without them, ranges are observed.
        measure_time: what layers save is measured on the engine, otherwise estimated.

    Raises:
        QuantizationError: as the functions say that it calls.
    """
    if learned:
        say(f"  scales of {len(learned)} layers were learned in training")
        plan = plan_of_learned(graph, learned, config)
    else:
        plan = plan_quantization(graph, calibration, config)

    def measured(exact: ov.Model, quantized: ov.Model) -> Mapping[str, float]:
        return measured_savings(exact, quantized, held_out.samples[0], precision)

    savings_of = measured if measure_time else estimated_savings
    controlled = control_accuracy(graph, plan, held_out, accuracy, cost_of, savings_of)
    for revert in controlled.reverts:
        layers = ", ".join(revert.layers)
        say(f"  back to float ({revert.cost_before:.5f} -> {revert.cost_after:.5f}): {layers}")
    return controlled


def quantization_report(
    controlled: Controlled, config: QuantizationConfig, choice: DtypeChoice
) -> dict[str, Any]:
    """The report's part on quantization."""
    return {**controlled.as_dict(), "config": config.as_dict(), "choice": choice.as_dict()}


def provenance_entry(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle's manifest says of where a role's integers come from; engines do not read it.

    Args:
        report: with ``calibration`` and ``quantization``, as packers make it.
    """
    calibration, quantization = report["calibration"], report["quantization"]
    return {
        "scales": quantization["scales"],
        "calibration": {"name": calibration["name"], "sha256": calibration["sha256"]},
        "checkpoint_sha256": report["checkpoint"]["sha256"],
    }

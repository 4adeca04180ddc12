"""The tiny network is exported once for the whole session: exporting is what takes the time."""

from __future__ import annotations

import openvino as ov
import pytest

from galago.quantize.calibration import CalibrationSet
from galago.quantize.ear.calibrate import Stream, record
from galago.quantize.integer_graph import quantize_graph
from galago.quantize.plan import QuantizationPlan
from galago.quantize.quantize import QuantizationConfig, plan_quantization
from tests.quantize.ear.tiny import Exports, noise


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    return Exports(tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="session")
def calibration(exports: Exports) -> CalibrationSet:
    streams = [Stream(noise(40_000, seed), ("noise",)) for seed in range(3)]
    return record(exports.graph(0, 8), streams, num_samples=20, seed=1, name="tiny")


@pytest.fixture(scope="session")
def plan(exports: Exports, calibration: CalibrationSet) -> QuantizationPlan:
    """Of the network without lookahead, observed in chunks of 8 tokens."""
    return plan_quantization(exports.graph(0, 8), calibration, QuantizationConfig())


@pytest.fixture(scope="session")
def quantized(exports: Exports, plan: QuantizationPlan) -> ov.Model:
    """int8 of the graph for chunks of 8 tokens, without lookahead."""
    return quantize_graph(exports.graph(0, 8), plan)

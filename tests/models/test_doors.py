"""The doors of the networks: every name is there, and opening them loads nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

import galago.models
import galago.models.training.distill
import galago.models.training.ear
import galago.models.training.eye

ROOT = Path(__file__).resolve().parents[2]


DOORS = [
    galago.models,
    galago.models.training.distill,
    galago.models.training.ear,
    galago.models.training.eye,
]


@pytest.mark.parametrize("door", DOORS)
def test_every_name_is_there_and_no_other(door: types.ModuleType) -> None:
    assert dir(door) == sorted(door.__all__)
    for name in door.__all__:
        assert getattr(door, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'conforming'"):
        door.conforming  # noqa: B018


def test_opening_a_door_loads_neither_torch_nor_the_native_library() -> None:
    """And the network loads no part of training's: an exporter need not have an aligner installed."""
    program = """
import json, sys
import galago.models, galago.models.training.ear, galago.models.training.eye
doors = sorted(sys.modules)
from galago.models import Conformer, LogMel
print(json.dumps([doors, sorted(sys.modules)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=280
    )
    doors, network = (set(names) for names in json.loads(done.stdout))
    training = {"soundfile", "soxr", "scipy", "pocketsphinx", "pyroomacoustics", "matplotlib"}
    assert not doors & ({"torch"} | training)
    assert "torch" in network and not network & training
    assert not any(name.startswith("galago.runtime.") and "native" in name for name in network)

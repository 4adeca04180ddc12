"""int8 that was measured slower than float is not packed, and everything that is written says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from galago.quantize import command
from galago.quantize.eye import pack
from galago.runtime.manifest import read_manifest
from tests.quantize.eye.tiny import RECIPE, save_tiny_eye


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose int8 graph takes a quarter longer than its float one, whatever machine this is."""

    def slower(exact: Any, quantized: Any) -> tuple[float, float, float]:
        return 1.0, 1.25, 1.25

    monkeypatch.setattr(pack, "both_step_ms", slower)
    return save_tiny_eye(tmp_path / "run")


def packed(run: Path, text: str) -> tuple[Path, Any]:
    recipe = run / "eye.pack.toml"
    recipe.write_text(text)
    assert command.main([str(run), "--recipe", str(recipe), "-o", str(run / "bundle")]) == 0
    return run / "bundle", json.loads((run / "pack/report.json").read_text())


def test_it_is_packed_in_float_with_the_reason(run: Path) -> None:
    bundle, report = packed(run, RECIPE)
    eye = read_manifest(bundle).eye
    assert eye is not None and [target.dtype for target in eye.targets] == ["f32"]
    assert not (bundle / "eye/int8.xml").exists()
    reason = "int8 takes 1.25 ms where float takes 1.00 ms (size 1)"
    assert report["quantization"]["choice"]["refusal"] == reason
    for text in ((bundle / "MODEL_CARD.md").read_text(), (run / "pack/report.html").read_text()):
        assert f"Packed in float: {reason}." in text


def test_a_recipe_that_insists_gets_it_with_a_remark(run: Path) -> None:
    bundle, _ = packed(run, RECIPE + "even_if_slower = true\n")
    eye = read_manifest(bundle).eye
    assert eye is not None and [target.dtype for target in eye.targets] == ["int8"]
    assert "as the recipe insists, although int8 takes 1.25 ms" in (bundle / "MODEL_CARD.md").read_text()

"""The command line on bundles that see: what is told of an eye, and what an eye alone refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

pytest.importorskip("typer", reason="the command line is the extra galago[cli]")
from typer.testing import CliRunner, Result

from galago.streaming.cli.app import app
from tests import tiny_eye


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_info_describes_both_roles(tiny_both_bundle: Path) -> None:
    printed = run("info", tiny_both_bundle).stdout
    assert "here: openvino-f32-chunk8" in printed and "here: openvino-f32-eye" in printed
    assert "sees 7 labels in images of 24 x 16" in printed
    described = json.loads(run("info", tiny_both_bundle, "--json").stdout)
    assert described["roles"] == ["ear", "eye"] and described["num_golden_vectors"] == 2
    assert described["opened"]["target"] == "openvino-f32-chunk8"
    assert described["opened"]["roles"]["eye"]["target"] == "openvino-f32-eye"
    assert described["eye"]["num_labels"] == 7 and described["eye"]["groups"] == ["colour"]


def test_info_describes_an_eye_alone(tiny_eye_bundle: Path) -> None:
    described = json.loads(run("info", tiny_eye_bundle, "--json").stdout)
    assert described["ear"] is None
    assert described["opened"]["target"] == "openvino-f32-eye"
    assert "openvino-f32-eye" in run("info", tiny_eye_bundle).stdout


def test_verify_replays_the_image(tiny_both_bundle: Path) -> None:
    rows = json.loads(run("verify", tiny_both_bundle, "--json").stdout)
    assert [(row["role"], row["passed"]) for row in rows] == [("ear", True), ("eye", True)]
    assert rows[1]["text"] == "red"
    printed = run("verify", tiny_both_bundle).stdout
    assert "eye" in printed and "red" in printed


def test_an_image_file_is_seen(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "blue.png"
    Image.fromarray(tiny_eye.draw("blue")).save(path)
    result = run("see", path, "--bundle", tiny_eye_bundle, "--json")
    assert result.exit_code == 0, result.stderr
    row = json.loads(result.stdout)
    assert row["type"] == "labels" and row["labels"][0]["name"] == "blue"


@pytest.mark.parametrize("command", ["listen", "bench"])
def test_what_needs_an_ear_says_so(command: str, tiny_eye_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(1600, np.float32), 16000)
    arguments = ["listen", path, "--bundle"] if command == "listen" else ["bench", "ear", "--bundle"]
    result = run(*arguments, tiny_eye_bundle)
    assert result.exit_code == 1
    assert "ear" in result.stderr and "Traceback" not in result.stderr

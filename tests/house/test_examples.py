"""The examples are as true as the documents: programs run, clips and grammar fit, the unit is valid."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house.repository import ROOT
from tests.house.test_readme import check_galago
from tests.make_tiny_bundle import make_tiny_bundle

DEMO = ROOT / "examples" / "demo"
UNIT = ROOT / "examples" / "systemd" / "galago.service"


def clips() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((DEMO / "demo.json").read_text(encoding="utf-8"))
    return listed


def test_every_clip_is_listed_and_there() -> None:
    assert sorted(clip["file"] for clip in clips()) == sorted(path.name for path in DEMO.glob("*.flac"))


def test_clips_are_what_a_session_takes() -> None:
    import soundfile

    for path in DEMO.glob("*.flac"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels) == (16000, 1), path.name
        assert info.duration < 8.0, path.name


def test_the_grammar_holds_the_commands_and_not_the_chatter() -> None:
    """One clip of the grammar is there to be rejected; hassil itself is the judge."""
    import yaml
    from hassil import Intents, recognize

    intents = Intents.from_dict(yaml.safe_load((DEMO / "home.yaml").read_text(encoding="utf-8")))
    for clip in [clip for clip in clips() if "grammar" in clip]:
        fits = recognize(clip["text"], intents) is not None
        assert fits == ("rejected" not in clip["shows"]), clip["text"]


def test_the_demo_plays_every_clip(tmp_path: Path) -> None:
    """With the tiny bundle, whose ear knows tones and no speech: it is the path that is tried here."""
    bundle = make_tiny_bundle(tmp_path / "tiny")
    # Two clips are enough: they are played in real time.
    played = [clip for clip in clips() if clip["file"][:4] in ("turn", "the-")]
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "demo.json").write_text(json.dumps(played))
    for name in [*(clip["file"] for clip in played), "home.yaml"]:
        shutil.copy(DEMO / name, tmp_path / "clips" / name)
    done = run_galago(["demo", "--bundle", str(bundle), "--clips", str(tmp_path / "clips")], tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(played) == 2
    for clip in played:
        assert clip["text"] in done.stdout
    assert "RTF" in done.stdout


def run_galago(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "galago.streaming.entry", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_the_unit_starts_a_command_that_exists() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]  # the way that configparser documents
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert Path(program).name == "galago"
    check_galago(arguments)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine (Debian: systemd)")
    # The unit as it is, but for the program, which is installed on a board and not here.
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/galago/bin/galago", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=280, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert complaints == [], done.stderr
    if done.returncode != 0:
        pytest.skip(f"systemd-analyze does not run on this machine: {done.stderr.strip()}")

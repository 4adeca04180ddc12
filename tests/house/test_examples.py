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

from galago.runtime import abi
from tests.house.repository import ROOT
from tests.house.test_readme import check_galago
from tests.make_tiny_bundle import make_tiny_bundle

AUDIO = ROOT / "examples" / "audio"
UNIT = ROOT / "examples" / "systemd" / "galago.service"


def clips() -> dict[str, list[dict[str, Any]]]:
    listed: dict[str, list[dict[str, Any]]] = json.loads((AUDIO / "clips.json").read_text(encoding="utf-8"))
    return listed


def test_every_clip_is_listed_and_there() -> None:
    listed = {clip["file"] for group in clips().values() for clip in group}
    assert listed == {path.name for path in AUDIO.glob("*.flac")}


def test_clips_are_what_a_session_takes() -> None:
    import soundfile

    for path in AUDIO.glob("*.flac"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels) == (16000, 1), path.name
        assert info.duration < 8.0, path.name


def test_the_grammar_holds_the_commands_and_not_the_chatter() -> None:
    """The last clip of the home group is there to be rejected; hassil itself is the judge."""
    import yaml
    from hassil import Intents, recognize

    text = (ROOT / "examples" / "grammars" / "home.yaml").read_text(encoding="utf-8")
    intents = Intents.from_dict(yaml.safe_load(text))
    *commands, chatter = [clip["text"] for clip in clips()["home"]]
    for text in commands:
        assert recognize(text, intents) is not None, text
    assert recognize(chatter, intents) is None


def test_the_demo_plays_every_clip(tmp_path: Path) -> None:
    """With the tiny bundle, whose ear knows tones and no speech: it is the path that is tried here."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "python" / "demo.py"), "--fast"]
        + ["--bundle", str(make_tiny_bundle(tmp_path / "tiny"))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GALAGO_LIBRARY": str(abi.find_library())},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    for clip in [clip for group in clips().values() for clip in group]:
        assert clip["text"] in done.stdout
    assert "RTF 0." in done.stdout


def test_the_demo_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "python" / "demo.py"), "--bundle", "no-such-bundle"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("galago: no-such-bundle: no such bundle")


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
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert done.returncode == 0 and complaints == [], done.stderr

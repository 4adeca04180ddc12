"""`galago see` and `galago watch`: formats, exit codes, and failures that are sentences."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer", reason="the command line is the extra galago[cli]")
pytest.importorskip("PIL.Image", reason="image files are read by the extra galago[camera]")
from PIL import Image
from typer.testing import CliRunner, Result

from galago.runtime.events import Label, Labels
from galago.streaming.cli.app import app
from galago.streaming.cli.doctor import examine_eyes
from galago.streaming.cli.watch import JsonView, LiveView, PlainView
from tests.streaming.cli.command_process import running
from tests.streaming.images.gstreamer import LIVE, skip_without_gst_launch
from tests.tiny_eye import COLOURS


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def paint(path: Path, colour: str) -> Path:
    Image.new("RGB", (60, 40), COLOURS[colour]).save(path)
    return path


def json_lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def labels(name: str | None, at_ms: int) -> Labels:
    found = () if name is None else (Label(name, 0.75), Label("other", 0.2))
    at_ns = at_ms * 1_000_000
    return Labels(
        sequence=1,
        utterance=0,
        begin_ns=at_ns,
        end_ns=at_ns,
        emitted_ns=at_ns + 20_000_000,
        labels=found,
        confidence=0.75,
    )


# -- see -------------------------------------------------------------------------------------------------


def test_json_lines_have_the_promised_form(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    files = [paint(tmp_path / f"{colour}.png", colour) for colour in ("red", "blue", "red")]
    result = run("see", *files, "--json", "--bundle", tiny_eye_bundle)
    assert result.exit_code == 0, result.stderr
    lines = json_lines(result)
    assert [list(line) for line in lines] == [["type", "file", "labels"]] * 3
    assert [line["file"] for line in lines] == [str(path) for path in files]
    assert [line["labels"][0]["name"] for line in lines] == ["red", "blue", "red"], "none colours the next"
    for line in lines:
        assert line["type"] == "labels"
        scores = [label["score"] for label in line["labels"]]
        assert scores == sorted(scores, reverse=True) and 0.5 < scores[0] <= 1.0


def test_nothing_known_is_an_answer(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.new("RGB", (40, 40), (128, 128, 128)).save(grey)
    (line,) = json_lines(run("see", grey, "--json", "-b", tiny_eye_bundle))
    assert line["labels"] == []
    assert run("see", grey, "-b", tiny_eye_bundle).stdout == "nothing I know\n"


def test_words_for_people(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    red, blue = paint(tmp_path / "red.png", "red"), paint(tmp_path / "blue.png", "blue")
    assert run("see", red, "-b", tiny_eye_bundle).stdout == "red 1.00\n"
    first, second = run("see", red, blue, "-b", tiny_eye_bundle).stdout.splitlines()
    assert (first, second) == (f"{red}: red 1.00", f"{blue}: blue 1.00")


def test_a_bad_image_is_told_and_the_others_are_answered(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image at all")
    red = paint(tmp_path / "red.png", "red")
    result = run("see", bad, red, tmp_path / "none.png", "--json", "-b", tiny_eye_bundle)
    assert result.exit_code == 2
    assert [line["labels"][0]["name"] for line in json_lines(result)] == ["red"]
    first, second = result.stderr.splitlines()
    assert first.startswith(f"galago: {bad}: cannot be read as an image")
    assert second == f"galago: {tmp_path / 'none.png'}: No such file or directory"


def test_the_background_can_be_chosen(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(clear)
    assert run("see", clear, "-b", tiny_eye_bundle).stdout.startswith("white")
    assert run("see", clear, "-b", tiny_eye_bundle, "--background", "black").stdout.startswith("black")


def test_a_bundle_without_an_eye_is_told(tiny_bundle: Path, tmp_path: Path) -> None:
    red = paint(tmp_path / "red.png", "red")
    for command in ("see", "watch"):
        result = run(command, red, "-b", tiny_bundle)
        assert result.exit_code == 1
        assert "no eye" in result.stderr and result.stdout == ""


# -- watch -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two seconds of red and three of blue, at five images a second."""
    shots = tmp_path / "shots"
    shots.mkdir()
    for number in range(25):
        paint(shots / f"{number}.png", "red" if number < 10 else "blue")
    return shots


def test_labels_are_printed_when_they_change(tiny_eye_bundle: Path, folder: Path) -> None:
    result = run("watch", folder, "-b", tiny_eye_bundle)
    assert result.exit_code == 0, result.stderr
    first, *_, last = result.stdout.splitlines()
    assert first == "    0.00 s  red 1.00" and " s  blue 0." in last
    names = [line.split()[2] for line in result.stdout.splitlines()]
    assert all(before != after for before, after in zip(names, names[1:], strict=False))


def test_json_tells_every_image(tiny_eye_bundle: Path, folder: Path) -> None:
    lines = json_lines(run("watch", folder, "-b", tiny_eye_bundle, "--json"))
    assert len(lines) == 25
    assert all(list(line) == ["type", "file", "labels", "begin_s", "end_s", "latency_ms"] for line in lines)
    assert [line["begin_s"] for line in lines] == [round(index / 5, 3) for index in range(25)]
    assert {line["latency_ms"] for line in lines} == {None}
    assert {line["file"] for line in lines} == {str(folder)}


def test_real_time_has_latency(tiny_eye_bundle: Path, folder: Path) -> None:
    for path in list(folder.iterdir())[3:]:
        path.unlink()
    lines = json_lines(run("watch", folder, "-b", tiny_eye_bundle, "--json", "--realtime", "--rate", "20"))
    assert lines and all(line["latency_ms"] > 0 for line in lines)


def test_a_source_that_is_not_there_is_told(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    result = run("watch", tmp_path / "none.webm", "-b", tiny_eye_bundle)
    assert result.exit_code == 1
    assert result.stderr == f"galago: {tmp_path / 'none.webm'}: No such file or directory\n"


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_watching(tiny_eye_bundle: Path) -> None:
    skip_without_gst_launch()
    words = ["watch", LIVE, "--binding", "gst-launch", "--json", "--rate", "30", "-b", str(tiny_eye_bundle)]
    with running(*words) as process:
        process.output.wait_for("labels")
        process.send(signal.SIGINT)
        assert process.exit_code() == 130, process.complaints.all()
        assert process.complaints.all() == []
        line = json.loads(process.output.all()[0])
    assert line["type"] == "labels" and line["latency_ms"] > 0 and line["file"] == LIVE


# -- views -----------------------------------------------------------------------------------------------


def test_plain_lines_come_with_a_change() -> None:
    stream = io.StringIO()
    with PlainView(stream) as view:
        for name, at_ms in (("red", 100), ("red", 300), (None, 500), ("blue", 700)):
            view.show(labels(name, at_ms), "camera", 0, live=True)
    assert stream.getvalue().splitlines() == [
        "    0.10 s  red 0.75, other 0.20",
        "    0.50 s  nothing I know",
        "    0.70 s  blue 0.75, other 0.20",
    ]


def test_json_counts_from_the_first_image() -> None:
    stream = io.StringIO()
    with JsonView(stream) as view:
        view.show(labels("red", 5300), "camera", 5_000_000_000, live=True)
    assert json.loads(stream.getvalue()) == {
        "type": "labels",
        "file": "camera",
        "labels": [{"name": "red", "score": 0.75}, {"name": "other", "score": 0.2}],
        "begin_s": 0.3,
        "end_s": 0.3,
        "latency_ms": 20.0,
    }


def test_a_terminal_keeps_what_changed(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveView() as view:
        for name, at_ms in (("red", 100), ("red", 300), ("blue", 700)):
            view.show(labels(name, at_ms), "camera", 0, live=True)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["0.10", "s", "red"] in lines and ["0.70", "s", "blue"] in lines
    assert sum(line[-1:] == ["red"] for line in lines) == 1


def test_doctor_knows_eyes() -> None:
    findings = {finding.name: finding for finding in examine_eyes()}
    assert list(findings) == ["PIL", "gst-launch-1.0", "PyGObject", "camera"]
    for name in ("gst-launch-1.0", "PyGObject"):
        ok = findings[name].state == "ok"
        assert (
            "GStreamer 1." if ok else "needed for" if name == "PyGObject" else "does not run"
        ) in findings[name].detail
    camera = findings["camera"]
    assert ("/dev/video" if camera.state == "ok" else "no camera") in camera.detail

"""The command line: formats, exit codes, and failures that are sentences."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("typer", reason="the command line is the extra galago[cli]")
from typer.testing import CliRunner, Result

from galago.runtime.errors import UnsupportedError
from galago.runtime.manifest import read_manifest
from galago.streaming.cli import doctor
from galago.streaming.cli.app import app
from galago.streaming.cli.demo import load_clips
from tests.make_tiny_bundle import SAMPLE_RATE_HZ, make_tiny_bundle, synthesise
from tests.streaming.cli.command_process import ENTRY, ENVIRONMENT, HANGS_S, running
from tests.streaming.cli.json_lines import KEYS

SENTENCE = "turn on the light"
GRAMMAR = """\
language: en
intents:
  TurnOn:
    data:
      - sentences: ["turn on the {thing}"]
lists:
  thing:
    values: [light, fan]
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*ENTRY, *map(str, arguments)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def json_lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    soundfile.write(path, synthesise(SENTENCE.split()), SAMPLE_RATE_HZ, subtype="FLOAT")
    return path


@pytest.fixture
def grammar(tmp_path: Path) -> Path:
    pytest.importorskip("hassil", reason="grammars are compiled with hassil")
    path = tmp_path / "things.yaml"
    path.write_text(GRAMMAR)
    return path


# -- listen --------------------------------------------------------------------------------------------


def test_json_lines_have_the_promised_form(tiny_bundle: Path, clip: Path) -> None:
    result = run("listen", clip, "--bundle", tiny_bundle, "--json")
    assert result.exit_code == 0, result.stderr
    lines = json_lines(result)
    assert all(list(line) == KEYS and line["file"] == str(clip) for line in lines)
    assert {"voice_start", "partial", "final", "voice_stop"} <= {line["type"] for line in lines}
    (final,) = [line for line in lines if line["type"] == "final"]
    assert final["text"] == SENTENCE
    assert [word["word"] for word in final["words"]] == SENTENCE.split()
    for word in final["words"]:
        assert final["begin_s"] <= word["begin_s"] < word["end_s"] <= final["end_s"] + 0.001
    assert final["latency_ms"] is None


def test_plain_output_is_the_text(tiny_bundle: Path, clip: Path) -> None:
    assert run("listen", clip, "-b", tiny_bundle).stdout == SENTENCE + "\n"
    assert run("listen", clip, clip, "-b", tiny_bundle).stdout == f"{clip}: {SENTENCE}\n" * 2


@pytest.mark.parametrize("chunk_ms", ["160", "640"])
def test_the_chunk_can_be_chosen(chunk_ms: str, tiny_bundle: Path, clip: Path) -> None:
    assert run("listen", clip, "-b", tiny_bundle, "--chunk-ms", chunk_ms).stdout == SENTENCE + "\n"


def test_a_chunk_that_is_not_there_is_refused(tiny_bundle: Path, clip: Path) -> None:
    result = run("listen", clip, "-b", tiny_bundle, "--chunk-ms", "250")
    assert result.exit_code == 1
    assert "250" in result.stderr


def test_a_grammar_gives_an_intent(tiny_bundle: Path, clip: Path, grammar: Path) -> None:
    result = run("listen", clip, "-b", tiny_bundle, "--grammar", grammar, "--json")
    assert result.exit_code == 0, result.stderr
    (intent,) = [line for line in json_lines(result) if line["type"] == "intent"]
    assert (intent["name"], intent["slots"], intent["text"]) == ("TurnOn", {"thing": "light"}, SENTENCE)


def test_an_encoding_without_arrows_gets_question_marks(tiny_bundle: Path, clip: Path, grammar: Path) -> None:
    done = subprocess.run(
        [*ENTRY, "listen", str(clip), "-b", str(tiny_bundle), "--grammar", str(grammar)],
        env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=HANGS_S,
    )
    assert done.returncode == 0, done.stderr
    assert b"? TurnOn thing='light'" in done.stdout


def test_phrases_and_hotwords_are_listened_for(tiny_bundle: Path, clip: Path) -> None:
    result = run("listen", clip, "-b", tiny_bundle, "--phrase", "turn on", "--hotword", "light", "--json")
    assert result.exit_code == 0, result.stderr
    assert [line["text"] for line in json_lines(result) if line["type"] == "phrase"] == ["turn on"]


def test_real_time_has_latency(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "go.wav"
    soundfile.write(path, synthesise(["go"], lead_ms=200, tail_ms=900), SAMPLE_RATE_HZ, subtype="FLOAT")
    began = time.monotonic()
    result = run("listen", path, "-b", tiny_bundle, "--realtime", "--json")
    lasted_s = time.monotonic() - began
    assert lasted_s > soundfile.info(path).duration - 0.1
    (final,) = [line for line in json_lines(result) if line["type"] == "final"]
    assert final["text"] == "go"
    # However slow the machine is: what was said after the beginning was told before now.
    assert 0 < final["latency_ms"] < 1000 * lasted_s
    assert 0.1 < final["begin_s"] < 1.0, "times count from the first sample, not from when the machine booted"


def test_one_bad_file_does_not_silence_the_others(tiny_bundle: Path, clip: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio at all")
    result = run("listen", bad, clip, tmp_path / "none.wav", "-b", tiny_bundle)
    assert result.exit_code == 1
    assert result.stdout == f"{clip}: {SENTENCE}\n"
    first, second = result.stderr.splitlines()
    assert first.startswith(f"galago: {bad}: cannot be read as audio")
    assert second.startswith(f"galago: {tmp_path / 'none.wav'}: No such file")


def test_a_truncated_file_is_heard_and_then_told(tiny_bundle: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.wav", tmp_path / "cut.wav"
    soundfile.write(whole, synthesise(SENTENCE.split(), tail_ms=3000), SAMPLE_RATE_HZ, subtype="FLOAT")
    content = whole.read_bytes()
    cut.write_bytes(content[: -4 * SAMPLE_RATE_HZ])
    result = run("listen", cut, "-b", tiny_bundle)
    assert (result.exit_code, result.stdout) == (1, SENTENCE + "\n")
    assert "cut.wav: truncated" in result.stderr


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_a_bundle_that_is_not_there_is_named(name: str, clip: Path) -> None:
    result = run("listen", clip, "-b", name or "/does/not/exist")
    assert result.exit_code == 1
    assert "no such bundle" in result.stderr


def test_raw_pcm_from_a_pipe(tiny_bundle: Path) -> None:
    samples = synthesise(SENTENCE.split())
    for arguments, content in (
        ([], (samples * 32767).astype("<i2").tobytes()),
        (["--dtype", "f32", "--channels", "2"], np.repeat(samples, 2).astype("<f4").tobytes()),
    ):
        done = subprocess.run(
            [*ENTRY, "listen", "-", "-b", str(tiny_bundle), *arguments],
            env=ENVIRONMENT,
            input=content,
            capture_output=True,
            timeout=HANGS_S,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode() == SENTENCE + "\n"


def test_a_headerless_file_needs_its_format(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "sound.raw"
    path.write_bytes((synthesise(SENTENCE.split()) * 32767).astype("<i2").tobytes())
    refused = run("listen", path, "-b", tiny_bundle)
    assert refused.exit_code == 1
    assert "--rate, --channels and --dtype" in refused.stderr
    assert run("listen", path, "-b", tiny_bundle, "--rate", "16000").stdout == SENTENCE + "\n"


def test_a_format_that_cannot_be_is_refused(tiny_bundle: Path, clip: Path) -> None:
    assert run("listen", clip, "-b", tiny_bundle, "--dtype", "s8").exit_code == 2
    result = run("listen", clip, "-b", tiny_bundle, "--rate", "5")
    assert result.exit_code == 1
    assert "rate: expected" in result.stderr


def test_a_closed_pipe_ends_quietly(tiny_bundle: Path, clip: Path) -> None:
    # What it has to say fills any pipe many times: it cannot be done before somebody reads or goes away.
    with start("listen", *[clip] * 500, "-b", tiny_bundle, "--json") as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b"{")
        process.stdout.close()
        assert process.wait(timeout=HANGS_S) == 141
        assert process.stderr.read() == b""


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_with_what_was_said(tiny_bundle: Path) -> None:
    with running("listen", "-", "-b", tiny_bundle, "--json") as process:
        # Cut in the middle of the tail: no endpoint will come.
        process.give((synthesise(SENTENCE.split(), tail_ms=100) * 32767).astype("<i2").tobytes())
        process.output.wait_for('"partial"')
        # It may have heard the rest by now, or may not have.
        process.send(signal.SIGINT)
        assert process.exit_code() == 130, process.complaints.all()
        assert process.complaints.all() == []
        lines = [json.loads(line) for line in process.output.all()]
        (final,) = [line for line in lines if line["type"] == "final"]
        assert final["text"] and SENTENCE.startswith(final["text"])


# -- the other commands --------------------------------------------------------------------------------


def test_info_describes_a_bundle(tiny_bundle: Path) -> None:
    result = run("info", tiny_bundle)
    assert result.exit_code == 0, result.stderr
    assert "galago-tiny 0.1.0" in result.stdout
    assert "openvino-f32-chunk8" in result.stdout
    described = json.loads(run("info", tiny_bundle, "--json").stdout)
    assert described["opened"]["target"] == "openvino-f32-chunk8"
    assert [target["chunk_ms"] for target in described["ear"]["targets"]] == [320, 160, 640]


def test_info_tells_of_a_second_network(tmp_path: Path, native_library: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundle", second_pass=True)
    result = run("info", bundle)
    assert result.exit_code == 0, result.stderr
    assert "what is final comes of another network" in result.stdout
    assert "480 ms" in result.stdout
    second_pass = json.loads(run("info", bundle, "--json").stdout)["ear"]["second_pass"]
    assert second_pass["features"] == "raw_samples"
    assert [target["chunk_ms"] for target in second_pass["targets"]] == [480]


def test_verify_passes_a_whole_bundle_and_fails_a_broken_one(tiny_bundle: Path, tmp_path: Path) -> None:
    result = run("verify", tiny_bundle, "--json")
    assert result.exit_code == 0, result.stderr
    assert [row["passed"] for row in json.loads(result.stdout)] == [True] * 3
    assert "ok" in run("verify", tiny_bundle).stdout
    broken = Path(shutil.copytree(tiny_bundle, tmp_path / "broken"))
    name = next(iter(read_manifest(broken).files))
    content = bytearray((broken / name).read_bytes())
    content[0] ^= 1
    (broken / name).write_bytes(content)
    result = run("verify", broken)
    assert result.exit_code == 1
    assert f"{Path(name).name}: sha256 differs" in result.stderr


def test_bench_measures(tiny_bundle: Path) -> None:
    result = run("bench", "ear", "-b", tiny_bundle, "--seconds", "5", "--json")
    assert result.exit_code == 0, result.stderr
    row = json.loads(result.stdout)
    assert (row["bench"], row["chunk_ms"], row["num_steps"]) == (
        "ear",
        320,
        14,
    )  # the last chunk waits for its window
    step = row["step_ms"]
    assert 0 < step["p50"] <= step["p95"] <= step["p99"] <= step["max"]
    assert 0 < row["rtf"] <= row["wall_rtf"]
    assert 0 < row["own_overhead"] < 1
    assert row["board"]["num_cores"] >= 1
    assert "RTF" in run("bench", "ear", "-b", tiny_bundle, "--seconds", "2").stdout


def test_grammar_compiles_to_bytes(grammar: Path, tmp_path: Path, tiny_bundle: Path, clip: Path) -> None:
    compiled = tmp_path / "things.ggrm"
    result = run("grammar", grammar, "-o", compiled, "--sentences", "5", "-b", tiny_bundle)
    assert result.exit_code == 0, result.stderr
    assert "turn on the light  → TurnOn thing='light'" in result.stdout
    assert "turn on the fan  → TurnOn thing='fan'" in result.stdout
    assert compiled.read_bytes().startswith(b"GGRM")


def test_grammar_wants_a_file_or_phrases(grammar: Path) -> None:
    assert run("grammar").exit_code == 2
    assert run("grammar", grammar, "--phrases", "hello").exit_code == 2
    missing = run("grammar", "none.yaml")
    assert missing.exit_code == 1
    assert "none.yaml" in missing.stderr


def test_doctor_says_what_is_missing_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {finding.name: finding for finding in doctor.examine()}
    assert found["numpy"].state == "ok"
    assert found["typer"].state == "ok"

    def without_speexdsp() -> None:
        raise UnsupportedError("echo cancelling needs libspeexdsp, which is not installed")

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(doctor, "load_speexdsp", without_speexdsp)
    absent = {finding.name: finding for finding in doctor.examine()}
    assert absent["speexdsp"].state == "missing"
    assert "libspeexdsp1" in (absent["speexdsp"].remedy or "")
    assert absent["sounddevice"].state == "missing"
    assert "libportaudio2" in (absent["sounddevice"].remedy or "")
    assert "portaudio19-dev" in (absent["pyaudio"].remedy or "")
    assert all(finding.remedy for finding in absent.values() if finding.state != "ok")
    result = run("doctor", "--json")
    assert result.exit_code == 1, "numpy is essential"
    assert json.loads(result.stdout)["findings"]


def test_the_workstation_commands_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    extras = {"train": "train", "import": "train", "label": "train", "pack": "quantize"}
    extras["make"] = "train,quantize"
    for command, extra in extras.items():
        result = run(command, "something")
        assert result.exit_code == 1
        assert "torch" in result.stderr and f"galago[{extra}]" in result.stderr


def test_help_loads_no_library_of_a_command() -> None:
    program = (
        "import sys\nsys.argv = ['galago', '--help']\nfrom galago.streaming.entry import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert done.code == 0\n"
        "heavy = {'torch', 'soundfile', 'soxr', 'sounddevice', 'pyaudio', 'hassil', 'openvino'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, timeout=HANGS_S
    )
    assert done.returncode == 0, done.stderr
    for command in (
        "listen",
        "devices",
        "info",
        "verify",
        "bench",
        "doctor",
        "grammar",
        "train",
        "pack",
        "make",
        "demo",
    ):
        assert command in done.stdout


def test_without_the_extra_the_command_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from galago.streaming import entry

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as done:
        entry.main()
    assert done.value.code == 1
    assert "pip install 'galago[cli]'" in capsys.readouterr().err


# -- demo ----------------------------------------------------------------------------------------------


@pytest.fixture
def demo_bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    from galago.runtime.bundle_folder import write_manifest

    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "demo_bundle"))
    (bundle / "demo").mkdir()
    soundfile.write(bundle / "demo" / "go.flac", synthesise(["go"], lead_ms=200, tail_ms=800), SAMPLE_RATE_HZ)
    listing = [
        {"file": "go.flac", "text": "go", "shows": "one word"},
        {"file": "lost.flac", "text": "never recorded"},
    ]
    (bundle / "demo" / "demo.json").write_text(json.dumps(listing))
    document = json.loads((bundle / "manifest.json").read_text())
    write_manifest(bundle, {key: document[key] for key in document if key not in ("files", "schema_version")})
    return bundle


def test_the_demo_plays_what_is_there(demo_bundle: Path) -> None:
    result = run("demo", "-b", demo_bundle)
    assert result.exit_code == 0, result.stderr
    assert "one word: “go”" in result.stdout
    assert "\ngo\n" in result.stdout
    assert "RTF" in result.stdout
    assert "lost" not in result.stdout


def test_a_bundle_without_clips_has_no_demo(tiny_bundle: Path) -> None:
    result = run("demo", "-b", tiny_bundle)
    assert result.exit_code == 1
    assert "no clips to play" in result.stderr


@pytest.mark.parametrize(
    ("listing", "named"),
    [
        ("{", "demo.json"),
        ("{}", "a list of clips"),
        ("[3]", r"\[0\]"),
        ('[{"file": "../x.wav"}]', r"\.\./x\.wav"),
    ],
)
def test_a_broken_list_of_clips_is_named(listing: str, named: str, tmp_path: Path) -> None:
    from galago.runtime.errors import CorruptError

    (tmp_path / "demo.json").write_text(listing)
    with pytest.raises(CorruptError, match=named):
        load_clips(tmp_path)


# -- on a terminal -------------------------------------------------------------------------------------


def test_a_terminal_shows_partials_live_and_keeps_the_final(tiny_bundle: Path, clip: Path) -> None:
    pty = pytest.importorskip("pty", reason="pseudo terminals are a thing of Unix")
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [*ENTRY, "listen", str(clip), "-b", str(tiny_bundle)],
        env={**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "100"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                received = os.read(controller, 4096)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not received:
                break
            shown += received
        os.close(controller)
        assert process.wait(timeout=HANGS_S) == 0
    text = shown.decode()
    assert "… " in text, "partials are shown while they change"
    assert "\x1b[2K" in text, "and rewritten in place"
    assert f"\x1b[2K{SENTENCE}\r\n" in text, "the final stays above"

"""`galago run` and `galago say`: a device out of one file, its timeline, and how it ends."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("typer", reason="the command line is the extra galago[cli]")
from typer.testing import CliRunner, Result

from galago.runtime.bundle import Bundle
from galago.runtime.errors import InvalidArgumentError
from galago.runtime.events import Final, Label, Labels, Word
from galago.runtime.language.grammar_format import sentences
from galago.streaming.cli.app import app
from galago.streaming.cli.run import converse
from galago.streaming.cli.say import play
from galago.streaming.sound.wav_sink import WavSink
from galago.streaming.turns.conversation import Interrupted, Told, Trouble
from galago.streaming.turns.dialogue import Reply
from galago.streaming.turns.dialogue_file import Vocabulary, read_dialogue
from galago.streaming.turns.player import PlaybackEnded, PlaybackStarted
from galago.streaming.turns.question import Question
from galago.streaming.turns.run_config import read_config
from galago.streaming.turns.timeline import Timeline
from galago.streaming.turns.timeline_picture import HEIGHT, WIDTH, save_picture
from tests.make_tiny_bundle import SAMPLE_RATE_HZ, synthesise
from tests.streaming.turns.fake_voice import RATE_HZ, FakeVoice, speech
from tests.tiny_eye import draw

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "dialogue"
MS = 1_000_000
HANGS_S = 120  # nothing here takes a tenth of it

CONFIG = """\
schema_version = 1
bundle = "{bundle}"
[ear]
source = "question.wav"
grammar = "grammar.yaml"
[turn]
dialogue = "turn.toml"
[voice]
sink = "{sink}"
[output]
format = "{format}"
timeline = true
picture = "turn.png"
"""
GRAMMAR = """\
language: en
intents:
  AskSee:
    data:
      - sentences: ["turn on the {thing}"]
lists:
  thing:
    values: [light, fan]
"""
DIALOGUE = """\
schema_version = 1
max_age_ms = 60000
[[reply]]
intent = "AskSee"
seen = "known"
say = "I see {label} and the {thing}"
[[reply]]
say = "I see nothing of the {thing}"
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def device(tmp_path: Path, tiny_both_bundle: Path) -> Path:
    """The folder of a device that hears one question."""
    soundfile.write(tmp_path / "question.wav", synthesise("turn on the light".split()), SAMPLE_RATE_HZ)
    (tmp_path / "grammar.yaml").write_text(GRAMMAR)
    (tmp_path / "turn.toml").write_text(DIALOGUE)
    (tmp_path / "device.toml").write_text(CONFIG.format(bundle=tiny_both_bundle, sink="none", format="text"))
    return tmp_path


# -- the command -------------------------------------------------------------------------------------------


def test_a_file_becomes_a_turn(device: Path, tiny_both_bundle: Path) -> None:
    result = run("run", device / "device.toml")
    assert result.exit_code == 0, result.stderr
    assert "turn on the light" in result.stdout
    assert "« I see nothing of the light »" in result.stdout
    assert "person" in result.stdout  # the timeline
    assert (device / "turn.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_turn_in_json_with_a_voice_and_a_file_to_speak_into(device: Path, tiny_both_bundle: Path) -> None:
    """As the command does, but for the voice, which the tiny bundle has not."""
    path = device / "device.toml"
    path.write_text(CONFIG.format(bundle=tiny_both_bundle, sink="reply.wav", format="json"))
    with path.open("a") as file:
        file.write('[eye]\nsource = "pictures"\nrate_hz = 100\n')
    (device / "pictures").mkdir()
    from PIL import Image

    Image.fromarray(draw("red")).save(device / "pictures" / "red.png")
    output = io.StringIO()
    with Bundle(tiny_both_bundle) as bundle:
        assert converse(bundle, read_config(path), output, voice=FakeVoice(word_samples=500)) is None
    rows = [json.loads(line) for line in output.getvalue().splitlines()]
    kinds = [row["type"] for row in rows]
    for kind in ("voice_start", "final", "intent", "labels", "reply", "playback_start", "playback_end"):
        assert kind in kinds, kinds
    (reply,) = [row for row in rows if row["type"] == "reply"]
    assert reply["text"] == "I see red and the light"
    assert (reply["seen"], reply["label"], reply["rule"]) == ("known", "red", "turn.toml:3")
    samples, rate_hz = soundfile.read(device / "reply.wav", dtype="float32")
    assert rate_hz == RATE_HZ
    np.testing.assert_allclose(samples, speech(reply["text"], 500), atol=1e-4)


def test_sigterm_ends_it_with_a_whole_transcript(device: Path, interruptible: None) -> None:
    """From standard input, which hangs: what was said before the signal is told, and the exit code is 0."""
    text = (device / "device.toml").read_text().replace('source = "question.wav"', 'source = "-"')
    (device / "device.toml").write_text(text.replace('format = "text"', 'format = "json"'))
    process = subprocess.Popen(
        [sys.executable, "-m", "galago.streaming.entry", "run", str(device / "device.toml")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    guard = threading.Timer(HANGS_S, process.kill)
    guard.start()
    try:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        samples = synthesise("turn on the light".split(), tail_ms=2000)
        process.stdin.write((samples * 32767).astype("<i2").tobytes())
        process.stdin.flush()
        rows = []
        for line in process.stdout:
            rows.append(json.loads(line))
            if rows[-1]["type"] == "reply":
                process.send_signal(signal.SIGTERM)
        assert process.wait() == 0, process.stderr.read().decode()
        assert [row["text"] for row in rows if row["type"] == "reply"] == ["I see nothing of the light"]
    finally:
        guard.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("schema_version = 1", "schema_version = 3", "device.toml:1: schema_version: expected 1, found 3"),
        ('source = "question.wav"', 'source = "none.wav"', "device.toml:4: source: there is no file"),
        ("[output]", "[outputs]", "outputs: is not known here"),
        ("timeline = true", "timeline = 1", "device.toml:12: timeline: expected true or false, found 1"),
        ('sink = "none"', 'sink = "none"\nbackend = "jack"', "expected one of sounddevice, pyaudio"),
        ('dialogue = "turn.toml"', 'echo = "all"', "expected one of half-duplex, cancel, none"),
        ("[output]", '[eye]\nsource = "x.png"\nrate_hz = 0\n[output]', "rate_hz: expected a number from"),
    ],
)
def test_mistakes_of_a_file_are_told_with_their_line(
    device: Path, old: str, new: str, complaint: str
) -> None:
    path = device / "device.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InvalidArgumentError) as caught:
        read_config(path)
    assert complaint in str(caught.value)
    result = run("run", path)
    assert result.exit_code == 1 and complaint in result.stderr and "Traceback" not in result.stderr


def test_a_bundle_that_lacks_a_role_is_refused_by_name(
    device: Path, tiny_bundle: Path, tiny_eye_bundle: Path, tiny_both_bundle: Path
) -> None:
    path = device / "device.toml"
    path.write_text(CONFIG.format(bundle=tiny_both_bundle, sink="reply.wav", format="text"))
    result = run("run", path)
    assert result.exit_code == 1 and "has no voice" in result.stderr
    path.write_text(CONFIG.format(bundle=tiny_eye_bundle, sink="none", format="text"))
    assert "has no ear" in run("run", path).stderr
    path.write_text(CONFIG.format(bundle=tiny_bundle, sink="none", format="text") + "[eye]\n")
    assert "has no eye" in run("run", path).stderr


def test_say_needs_a_voice_and_something_to_say(tiny_both_bundle: Path, tmp_path: Path) -> None:
    result = run("say", "hello", "-o", tmp_path / "a.wav", "--bundle", tiny_both_bundle)
    assert result.exit_code == 1 and "this bundle has no voice" in result.stderr
    assert not (tmp_path / "a.wav").exists()
    result = run("say", "  ", "--bundle", tiny_both_bundle)
    assert result.exit_code == 1 and "the text is empty" in result.stderr


def test_say_plays_to_the_end(tmp_path: Path) -> None:
    with WavSink(tmp_path / "a.wav", RATE_HZ) as sink:
        play("hello there", FakeVoice(), sink)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    np.testing.assert_allclose(samples, speech("hello there"), atol=1e-4)


# -- the example -------------------------------------------------------------------------------------------


def test_the_example_fits_together(tiny_both_bundle: Path, tmp_path: Path) -> None:
    """Every intent of the grammar is answered, and the hook is found beside the file."""
    for path in EXAMPLES.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path / path.name)
    config = read_config(tmp_path / "run.toml")
    assert config.ear.grammar is not None and config.turn.dialogue is not None
    with Bundle(tiny_both_bundle) as bundle:
        compiled = bundle.compile_grammar(config.ear.grammar)
    dialogue = read_dialogue(config.turn.dialogue, Vocabulary.of_grammar(compiled)).dialogue
    replies = {}
    for sentence in sentences(compiled):
        question = Question("intent", 0, intent=sentence.name, slots=dict(sentence.slots), text=sentence.text)
        reply = dialogue.answer(question)
        assert reply is not None and reply.text and reply.problem is None, sentence
        replies[sentence.text] = reply.text
    assert replies["turn on the kitchen light"] == "The light in the kitchen is on."
    assert replies["what do you see"] == "I cannot see anything: there is no picture."
    dialogue.close()


# -- the timeline ------------------------------------------------------------------------------------------


def told_turn() -> list[Told]:
    at = {"sequence": 1, "utterance": 1}
    question = Question("intent", 1200 * MS, text="what do you see")

    def image(time_ms: int, name: str) -> Labels:
        when = {"begin_ns": time_ms * MS, "end_ns": time_ms * MS, "emitted_ns": time_ms * MS}
        return Labels(**at, **when, labels=(Label(name, 0.9),) if name else ())

    return [
        image(100, "apple"),
        image(300, "apple"),
        image(500, ""),
        Final(
            **at,
            begin_ns=400 * MS,
            end_ns=1200 * MS,
            emitted_ns=1900 * MS,
            text="what do you see",
            words=(Word("what", 400 * MS, 700 * MS, 0.9), Word("see", 900 * MS, 1200 * MS, 0.9)),
        ),
        Reply("I see an apple.", question, "turn.toml:3"),
        PlaybackStarted(2000 * MS),
        Interrupted(2500 * MS, 2512 * MS),
        PlaybackEnded(2000 * MS, 2512 * MS, True),
        Trouble(3000 * MS, "camera: stalled"),
    ]


def test_a_timeline_says_who_did_what_when() -> None:
    timeline = Timeline()
    for told in told_turn():
        timeline.add(told)
    assert timeline.table() == [
        ("0.00", "0.20", "eye", "apple  [0.90]"),
        ("0.30", "1.10", "person", "what do you see"),
        ("0.40", "", "eye", "nothing it knows"),
        ("1.90", "2.41", "device", "I see an apple. —  [800 ms after the question]"),
        ("2.40", "2.41", "", "interrupted; silent 12 ms after they began"),
        ("2.90", "", "", "camera: stalled"),
    ]


def test_a_picture_shows_what_was_loud(tmp_path: Path) -> None:
    from PIL import Image

    def colours(timeline: Timeline) -> int:
        save_picture(timeline, tmp_path / "turn.png")
        with Image.open(tmp_path / "turn.png") as picture:
            assert picture.size == (WIDTH, HEIGHT)
            return int((np.asarray(picture.convert("RGB")) != 255).any(axis=2).sum())

    timeline = Timeline()
    empty = colours(timeline)
    for told in told_turn():
        timeline.add(told)
    with_rows = colours(timeline)
    for index in range(300):  # the last minutes are kept, in order
        timeline.heard.add(np.full(160, index / 300, np.float32), index * 10 * MS, 16000)
    with_sound = colours(timeline)
    assert empty < with_rows < with_sound
    assert [round(peak * 300) for _, peak in timeline.heard.peaks()][-2:] == [298, 299]


def test_configs_are_values(device: Path) -> None:
    config = read_config(device / "device.toml")
    assert config == read_config(device / "device.toml")
    assert dataclasses.replace(config, bundle="x").bundle == "x"
    assert config.ear.source == str(device / "question.wav") and config.turn.echo == "half-duplex"

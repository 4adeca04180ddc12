"""The turn of `galago demo`: with a whole bundle, with parts of one, and the one that ships."""

from __future__ import annotations

import importlib.util
import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("typer", reason="the command line is the extra galago[cli]")
from typer.testing import CliRunner, Result

from galago.runtime.bundle import Bundle
from galago.runtime.errors import InvalidArgumentError
from galago.runtime.events import Labels
from galago.runtime.language.grammar_format import sentences
from galago.streaming.cli import run as run_command
from galago.streaming.cli.app import app
from galago.streaming.cli.demo_turn import load_turn
from galago.streaming.sound.replay import RealTimeSource
from galago.streaming.source import AudioBlock
from galago.streaming.turns.conversation import Told
from galago.streaming.turns.dialogue_file import Vocabulary, read_dialogue
from galago.streaming.turns.question import Question
from galago.streaming.turns.run_config import read_config
from galago.streaming.turns.timeline import Timeline
from galago.streaming.turns.turn_meter import TurnCost
from tests.make_tiny_bundle import SAMPLE_RATE_HZ, make_tiny_bundle, synthesise
from tests.tiny_eye import draw

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "demo"
HANGS_S = 120  # nothing here takes a tenth of it

TURN = """\
schema_version = 1
[ear]
source = "question.flac"
grammar = "grammar.yaml"
[eye]
source = "red.png"
rate_hz = 20
[turn]
dialogue = "dialogue.toml"
[voice]
sink = "elsewhere.wav"
"""
GRAMMAR = 'language: en\nintents: {AskSee: {data: [{sentences: ["turn on the light"]}]}}\n'
DIALOGUE = """\
schema_version = 1
max_age_ms = 60000
[[reply]]
seen = "known"
say = "I see {label}."
[[reply]]
say = "I see a world."
"""


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """The folder of a demo with one clip and a turn."""
    from PIL import Image

    folder = tmp_path / "clips"
    (folder / "turn").mkdir(parents=True)
    soundfile.write(folder / "go.flac", synthesise(["go"], lead_ms=200, tail_ms=700), SAMPLE_RATE_HZ)
    question = synthesise("turn on the light".split(), lead_ms=200, tail_ms=900)
    soundfile.write(folder / "turn" / "question.flac", question, SAMPLE_RATE_HZ)
    Image.fromarray(draw("red")).save(folder / "turn" / "red.png")
    (folder / "turn" / "turn.toml").write_text(TURN)
    (folder / "turn" / "grammar.yaml").write_text(GRAMMAR)
    (folder / "turn" / "dialogue.toml").write_text(DIALOGUE)
    return folder


@pytest.fixture
def looks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question begins when the eye has told something, however slow this machine is."""
    looked = threading.Event()
    add = Timeline.add

    def spy(self: Timeline, told: Told) -> None:
        add(self, told)
        if isinstance(told, Labels):
            looked.set()

    class AfterTheFirstLook(RealTimeSource):
        def __iter__(self) -> Iterator[AudioBlock]:
            assert looked.wait(HANGS_S)
            yield from super().__iter__()

    monkeypatch.setattr(Timeline, "add", spy)
    monkeypatch.setattr(run_command, "RealTimeSource", AfterTheFirstLook)


def demo(bundle: Path, clips: Path, *more: str | Path) -> Result:
    return CliRunner().invoke(
        app, ["demo", "-b", str(bundle), "--clips", str(clips), *(str(one) for one in more)]
    )


def test_a_question_is_answered_aloud_with_what_is_seen(
    tiny_whole_bundle: Path, clips: Path, tmp_path: Path, looks_first: None
) -> None:
    out = tmp_path / "new" / "out"
    result = demo(tiny_whole_bundle, clips, "-o", out)
    assert result.exit_code == 0, result.output
    assert "\ngo\n" in result.stdout  # the clips first
    assert "« I see red. »" in result.stdout
    for row in (
        *("voice stop to reply", "understood", "answered", "first audio", "RTF of the ear"),
        *("RTF of the eye", "RTF of the voice", "whole process", "peak memory"),
    ):
        assert row in result.stdout, row
    assert (out / "turn.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    said, rate_hz = soundfile.read(out / "reply.wav", dtype="float32")
    alone = tmp_path / "alone.wav"
    spoken = CliRunner().invoke(app, ["say", "I see red.", "-o", str(alone), "-b", str(tiny_whole_bundle)])
    assert spoken.exit_code == 0, spoken.output
    expected, expected_rate_hz = soundfile.read(alone, dtype="float32")
    assert rate_hz == expected_rate_hz and len(said) > 0
    np.testing.assert_array_equal(said, expected)
    assert not (clips / "turn" / "elsewhere.wav").exists()  # what is saved goes into one folder


def test_what_the_bundle_lacks_is_said_and_the_rest_shown(
    clips: Path, tmp_path: Path, tiny_bundle: Path, tiny_both_bundle: Path, native_library: Path
) -> None:
    out = tmp_path / "out"
    result = demo(tiny_bundle, clips, "-o", out)
    assert result.exit_code == 0, result.output
    assert "\ngo\n" in result.stdout and "no eye and no voice" in result.stdout
    assert not out.exists()
    result = demo(tiny_both_bundle, clips, "-o", out)
    assert result.exit_code == 0, result.output
    assert "no voice in" in result.stdout and "« I see" in result.stdout
    assert (out / "turn.png").exists() and not (out / "reply.wav").exists()
    blind = make_tiny_bundle(tmp_path / "blind", voice=True)
    result = demo(blind, clips, "-o", out)
    assert result.exit_code == 0, result.output
    assert "no eye in" in result.stdout and "« I see a world. »" in result.stdout
    assert soundfile.info(out / "reply.wav").frames > 0


def test_a_folder_that_cannot_be_made_is_named(tiny_whole_bundle: Path, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = demo(tiny_whole_bundle, clips, "-o", tmp_path / "file" / "out")
    assert result.exit_code == 1 and "cannot be made" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_mistake_of_the_turn_is_told_before_a_clip_is_played(tiny_bundle: Path, clips: Path) -> None:
    (clips / "turn" / "turn.toml").write_text(TURN.replace("[eye]", "[eyes]"))
    result = demo(tiny_bundle, clips)
    assert result.exit_code == 1 and "turn.toml: eyes: is not known here" in result.stderr
    assert "go.flac" not in result.stdout
    shutil.rmtree(clips / "turn")
    assert load_turn(clips) is None


def test_what_is_said_is_recorded_beside_its_sink(
    tiny_whole_bundle: Path, clips: Path, looks_first: None
) -> None:
    path = clips / "turn" / "turn.toml"
    path.write_text(TURN + 'record = "record.wav"\n')
    costs: list[TurnCost] = []
    with Bundle(tiny_whole_bundle) as bundle:
        assert run_command.converse(bundle, read_config(path), io.StringIO(), measured=costs.append) is None
    (cost,) = costs
    assert len(cost.latencies) == 1 and cost.num_images > 0 and cost.ttfa_ms is not None
    sink, record = (soundfile.read(path.with_name(name))[0] for name in ("elsewhere.wav", "record.wav"))
    assert len(sink) > 0
    np.testing.assert_array_equal(sink, record)
    path.write_text(TURN.replace('sink = "elsewhere.wav"', 'record = "record.wav"'))
    with pytest.raises(InvalidArgumentError, match="record: there is nothing to record"):
        read_config(path)


# -- the one that ships ------------------------------------------------------------------------------------


def test_the_turn_of_the_house_fits_together(tiny_both_bundle: Path) -> None:
    """Every question of its grammar is answered, whatever is seen."""
    config = load_turn(EXAMPLE)
    assert config is not None and config.eye is not None
    assert config.ear.grammar is not None and config.turn.dialogue is not None
    assert Path(config.eye.source).is_file() and config.eye.rate_hz == 5
    with Bundle(tiny_both_bundle) as bundle:
        compiled = bundle.compile_grammar(config.ear.grammar)
    dialogue = read_dialogue(config.turn.dialogue, Vocabulary.of_grammar(compiled)).dialogue
    spoken = [sentence.text for sentence in sentences(compiled)]
    assert Path(config.ear.source).stem.replace("-", " ") in spoken
    for sentence in sentences(compiled):
        reply = dialogue.answer(Question("intent", 0, intent=sentence.name, text=sentence.text))
        assert reply is not None and reply.text, sentence


def test_the_picture_of_the_house_is_what_its_script_draws() -> None:
    """And no photo of anybody's."""
    from PIL import Image

    config = load_turn(EXAMPLE)
    assert config is not None and config.eye is not None
    spec = importlib.util.spec_from_file_location("draw", EXAMPLE / "turn" / "draw.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with Image.open(config.eye.source) as picture:
        shown = np.asarray(picture.convert("RGB"), np.int16)
    np.testing.assert_allclose(shown, np.asarray(module.draw(), np.int16), atol=2)


def test_the_question_is_as_long_as_ear_and_eye_shall_go_on() -> None:
    config = load_turn(EXAMPLE)
    assert config is not None
    info = soundfile.info(config.ear.source)
    assert (info.samplerate, info.channels) == (SAMPLE_RATE_HZ, 1) and 3.0 < info.duration < 8.0

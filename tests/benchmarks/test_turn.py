"""Turns are measured as they happen, and counted as they were measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import turn
from benchmarks.latency import voice_span
from galago.runtime.bundle import Bundle
from galago.streaming import TurnCost, TurnLatency
from galago.streaming.turns.run_config import RunConfig, read_config
from tests.make_tiny_bundle import SAMPLE_RATE_HZ, synthesise
from tests.tiny_eye import draw

MS = 1_000_000
CONFIG = """\
schema_version = 1
[ear]
source = "question.wav"
grammar = "grammar.yaml"
[eye]
source = "red.png"
[turn]
dialogue = "dialogue.toml"
"""


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """Answers the same whatever is seen: how soon the eye looks is the machine's business."""
    from PIL import Image

    samples = synthesise("turn on the light".split(), lead_ms=200, tail_ms=1000)
    soundfile.write(tmp_path / "question.wav", samples, SAMPLE_RATE_HZ)
    Image.fromarray(draw("red")).save(tmp_path / "red.png")
    (tmp_path / "grammar.yaml").write_text(
        'language: en\nintents: {AskSee: {data: [{sentences: ["turn on the light"]}]}}\n'
    )
    (tmp_path / "dialogue.toml").write_text('schema_version = 1\n[[reply]]\nsay = "I heard {intent}."\n')
    (tmp_path / "turn.toml").write_text(CONFIG)
    return read_config(tmp_path / "turn.toml")


def test_a_turn_is_taken(tiny_whole_bundle: Path, config: RunConfig) -> None:
    question = turn.read_question(Path(config.ear.source))
    end = voice_span(question)[1]
    with Bundle(tiny_whole_bundle, roles=turn.ROLES) as bundle:
        assert turn.endpoint_silence_ms(bundle.manifest, config) == 600
        taken = turn.take_turn(bundle, config, question)
    assert taken.replies == ("I heard AskSee.",)
    (latency,) = taken.cost.latencies
    assert taken.origin_ns < latency.voice_end_ns < taken.origin_ns + len(question) * 62_500
    numbers = turn.summary([(taken, end)])
    assert (numbers["num_turns"], numbers["unanswered"]) == (1, 0)
    # The ear tells the end of a voice to its token of 40 ms.
    assert abs(numbers["turn_ms"]["p50"] - numbers["turn_by_clip_ms"]["p50"]) <= 120
    assert numbers["cpu_percent"] > 0 and numbers["ttfa_ms"]["p50"] > 0 and numbers["voice_rtf"] > 0


def test_what_a_turn_needs_is_asked_for(
    tiny_bundle: Path, tiny_voice_bundle: Path, config: RunConfig, tmp_path: Path
) -> None:
    with Bundle(tiny_bundle) as bundle, pytest.raises(ValueError, match="needs an eye"):
        turn.take_turn(bundle, config, np.zeros(160, np.float32))
    with Bundle(tiny_voice_bundle) as bundle, pytest.raises(ValueError, match="needs an ear"):
        turn.endpoint_silence_ms(bundle.manifest, config)
    soundfile.write(tmp_path / "fast.wav", np.zeros(100, np.float32), 8000)
    with pytest.raises(ValueError, match="16000 Hz"):
        turn.read_question(tmp_path / "fast.wav")


def test_latency_is_counted_from_the_clip_too() -> None:
    """Two turns with latencies of 50 and 150 ms, of which the ear took the ends 20 ms late; one without."""

    def taken(turn_ms: float | None) -> turn.Turn:
        ends_ns = 1000 * MS + 20 * MS
        latency = TurnLatency(ends_ns, turn_ms or 0.0, 10.0, 40.0)
        return turn.Turn(
            TurnCost(
                latencies=() if turn_ms is None else (latency,),
                ttfa_ms=None if turn_ms is None else 5.0,
                ear_rtf=0.02,
                eye_share=None,
                voice_rtf=None,
                num_images=10,
                wall_s=2.0,
                cpu_share=0.5,
                peak_bytes=300_000_000,
            ),
            origin_ns=0,
            replies=() if turn_ms is None else ("I see an apple.",),
        )

    numbers = turn.summary([(taken(50.0), 16000), (taken(150.0), 16000), (taken(None), 16000)])
    assert (numbers["num_turns"], numbers["unanswered"]) == (3, 1)
    assert numbers["turn_ms"] == {"p50": 50.0, "p95": 150.0, "p99": 150.0}
    assert numbers["turn_by_clip_ms"] == {"p50": 70.0, "p95": 170.0, "p99": 170.0}
    assert numbers["replies"] == {"I see an apple.": 2}
    assert (numbers["cpu_percent"], numbers["images_per_s"], numbers["peak_mb"]) == (50.0, 5.0, 300.0)
    assert (numbers["ear_rtf"], numbers["eye_share"]) == (0.02, None)
    with pytest.raises(ValueError, match="no measurements"):
        turn.summary([(taken(None), 16000)])

"""Drawing commands, mixing noise, scoring answers, choosing thresholds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import hearing
from benchmarks.grammar_accuracy import GRAMMARS, Answer, Trial, hear_trial, score_conditions, table_of
from benchmarks.grammar_calibration import ANYTHING, Outcome, best_thresholds, thresholded, with_settings
from benchmarks.grammar_peer import transitions
from benchmarks.spoken_commands import (
    SPEECH_RMS,
    TEST_NOISE_FILES,
    TEST_VOICES,
    TUNING_NOISE_FILES,
    TUNING_VOICES,
    CommandGrammar,
    Noise,
    active_rms,
    clip_of,
)
from galago.runtime.language.grammar import compile_grammar, sentences
from galago.runtime.language.lexicon import load_default

LEXICON = load_default()
EXAMPLES = tuple(sorted(Path(__file__).resolve().parents[2].glob("examples/grammars/*.yaml")))


@pytest.fixture(scope="module")
def kitchen() -> CommandGrammar:
    return CommandGrammar(next(path for path in GRAMMARS if path.stem == "kitchen"))


def test_three_unlike_grammars_of_five_intents_or_more() -> None:
    assert [path.stem for path in GRAMMARS] == ["kitchen", "lab", "mobile_base"]
    assert all(len(CommandGrammar(path).intents) >= 5 for path in GRAMMARS)


def test_nothing_of_the_test_is_in_the_tuning() -> None:
    assert not set(TEST_VOICES) & set(TUNING_VOICES)
    assert not set(TEST_NOISE_FILES) & set(TUNING_NOISE_FILES)
    assert not {path.read_text() for path in GRAMMARS} & {path.read_text() for path in EXAMPLES}


@pytest.mark.parametrize("path", [*GRAMMARS, *EXAMPLES], ids=lambda path: path.stem)
def test_drawn_commands_mean_what_the_compiled_grammar_says(path: Path) -> None:
    grammar = CommandGrammar(path)
    drawn = grammar.draw(20)
    assert drawn == grammar.draw(20)
    assert len({command.text for command in drawn}) == 20
    assert {intent for command in drawn for intent, _ in command.meanings} == set(grammar.intents)
    for sentence in sentences(compile_grammar(path, lexicon=LEXICON), limit=50):
        meaning = (sentence.name, tuple(sorted(dict(sentence.slots).items())))
        assert meaning in grammar.meanings(sentence.text)


def test_what_is_no_sentence_means_nothing(kitchen: CommandGrammar) -> None:
    assert kitchen.meanings("set a timer for ten minutes") == {("StartTimer", (("minutes", "10"),))}
    assert not kitchen.meanings("set a timer for ten")
    assert not kitchen.meanings("")


def test_the_peer_gets_every_word_and_one_end(kitchen: CommandGrammar) -> None:
    listed = transitions(kitchen.graph)
    words = {label.text for arcs in kitchen.graph.arcs for label in arcs if label.kind == 1}
    assert {t[3] for t in listed if len(t) == 4} == words
    last = len(kitchen.graph.arcs)
    assert {t[1] for t in listed if t[1] >= last} == {last}
    for state in range(last):
        leaving = sum(t[2] for t in listed if t[0] == state)
        assert leaving == pytest.approx(1.0)


def _trial(condition: str, *, is_command: bool, voice: str = "flite slt") -> Trial:
    meanings = frozenset({("Go", (("place", "dock"),))}) if is_command else frozenset()
    return Trial("mobile_base", condition, voice, "go to the dock", meanings)


def test_a_command_is_right_with_one_intent_and_all_its_slots() -> None:
    right, slot = ("Go", (("place", "dock"),)), ("Go", (("place", "desk"),))
    command, foreign = _trial("clean", is_command=True), _trial("clean", is_command=False)
    assert Answer(command, (right,)).is_right
    assert not Answer(command, (slot,)).is_right and Answer(command, (slot,)).is_intent_right
    assert not Answer(command, (right, right)).is_right
    assert not Answer(command, ()).is_right
    assert Answer(foreign, ()).is_right and not Answer(foreign, (right,)).is_right
    numbers = score_conditions([Answer(command, (right,)), Answer(command, ()), Answer(foreign, (right,))])
    assert list(numbers) == ["clean"]
    assert numbers["clean"]["right_percent"] == 50.0 and numbers["clean"]["rejected_percent"] == 0.0
    shown = table_of({"clean": {"galago": numbers["clean"]}})
    assert "mobile_base" in shown and "50.00" in shown


def test_the_noise_is_as_loud_as_the_condition_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tone(text: str, voice: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return np.sin(np.arange(16_000, dtype=np.float32))

    class Hiss(Noise):
        def __init__(self) -> None:
            self._kinds = [[np.random.default_rng(1).normal(0.0, 0.3, 5_000).astype(np.float32)]] * 2

    monkeypatch.setattr("benchmarks.spoken_commands._synthesise", tone)
    clean = clip_of("a", "v", "clean", Hiss(), tmp_path)
    assert active_rms(clean[4_800:20_800]) == pytest.approx(SPEECH_RMS, rel=1e-3)
    for condition, snr_db in (("12 dB", 12.0), ("6 dB", 6.0)):
        noisy = clip_of("a", "v", condition, Hiss(), tmp_path)
        added = float(np.sqrt(np.mean((noisy - clean) ** 2)))
        assert 20.0 * np.log10(SPEECH_RMS / added) == pytest.approx(snr_db, abs=0.1)
        assert np.array_equal(noisy, clip_of("a", "v", condition, Hiss(), tmp_path))


def test_thresholds_reject_enough_first_and_then_keep_the_most() -> None:
    def run(worst: float) -> list[Outcome]:
        commands = [Outcome(True, True, ratio) for ratio in (-0.1, -0.3, -0.8)]
        foreign = [Outcome(False, False, ratio) for ratio in (-0.5, -1.5, -2.0, -2.5)]
        if worst > -2.0:  # strict: drops the hard command and the foreign sentence that fits
            return [Outcome(o.is_command, False, -np.inf) if o.mean_ratio in (-0.8, -0.5) else o
                    for o in commands + foreign]  # fmt: skip
        return commands + foreign

    assert thresholded(run(-3.0), ANYTHING) == (100.0, 0.0)
    assert thresholded(run(-3.0), -1.0) == (100.0, 75.0)
    mean, worst, right, rejected = best_thresholds({-3.0: run(-3.0), -1.0: run(-1.0)}, min_rejected=97.0)
    assert (right, rejected) == (66.67, 100.0)
    assert mean >= -1.45 and worst in (-1.0, -3.0)
    assert best_thresholds({-3.0: run(-3.0)}, min_rejected=75.0)[2:] == (100.0, 75.0)


def test_settings_reach_a_copy_of_the_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    copy = with_settings(
        tiny_bundle, {"accept_mean": ANYTHING, "accept_worst_word": ANYTHING}, tmp_path / "b"
    )
    manifest = json.loads((copy / "manifest.json").read_text())
    assert manifest["roles"]["ear"]["grammar"]["accept_mean"] == ANYTHING
    args = argparse.Namespace(bundle=copy, target=None, chunk_ms=None, threads=1)
    with hearing.opened(args) as bundle, bundle.session(partials=False) as session:
        session.set_grammar(EXAMPLES[0])
        clip = np.random.default_rng(3).normal(0.0, 0.01, 16_000).astype(np.float32)
        np.save(tmp_path / "clip.npy", clip)
        from benchmarks import grammar_accuracy

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(grammar_accuracy, "clip_of", lambda *arguments: clip)
            noise = Noise.__new__(Noise)
            answer, seconds = hear_trial(session, _trial("clean", is_command=False), noise, tmp_path)
    assert answer.is_right and answer.heard == () and seconds > 0

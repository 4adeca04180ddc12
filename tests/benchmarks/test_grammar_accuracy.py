"""Drawing commands, mixing noise, scoring answers, choosing thresholds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import hearing
from benchmarks.grammar_accuracy import GRAMMARS, Answer, hear_trial, score_conditions, table_of
from benchmarks.grammar_calibration import (
    EVIDENCE,
    Outcome,
    Utterance,
    by_condition,
    chosen_scale,
    evidence_of,
    fit_acceptance,
    loosest_threshold,
    probe,
    reliability,
    thresholded,
    with_settings,
)
from benchmarks.grammar_peer import transitions
from benchmarks.grammar_trials import Trial
from benchmarks.logistic import fit_logistic
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


def _outcome(condition: str, *utterances: tuple[bool, float], is_command: bool) -> Outcome:
    heard = tuple(Utterance(is_right, confidence) for is_right, confidence in utterances)
    return Outcome(_trial(condition, is_command=is_command), heard)


def test_a_command_is_right_with_one_utterance_accepted() -> None:
    found = [
        _outcome("clean", (True, 0.9), is_command=True),
        _outcome("clean", (True, 0.8), (False, 0.3), is_command=True),  # split in two
        _outcome("clean", is_command=True),
        _outcome("clean", (False, 0.4), is_command=False),
        _outcome("clean", is_command=False),
    ]
    assert thresholded(found, 0.0) == (33.33, 50.0)
    assert thresholded(found, 0.35) == (66.67, 50.0)
    assert thresholded(found, 0.5) == (66.67, 100.0)


def test_the_loosest_threshold_that_rejects_enough_at_every_level() -> None:
    confidences = {"clean": (0.02, 0.03, 0.05, 0.1), "6 dB": (0.1, 0.2, 0.31, 0.6)}
    found = [
        _outcome(condition, (False, confidence), is_command=False)
        for condition, listed in confidences.items()
        for confidence in listed
    ]
    assert loosest_threshold(found, 75.0) == 0.315
    assert loosest_threshold(found, 100.0) == 0.605
    assert by_condition(found, 0.315) == {"clean": (0.0, 100.0), "6 dB": (0.0, 75.0)}
    found.append(_outcome("6 dB", (False, 1.0), is_command=False))  # none can reject this one
    assert loosest_threshold(found, 100.0) == 0.605


@pytest.mark.parametrize("kind", EVIDENCE)
@pytest.mark.parametrize("nats", [0.0, 0.01, 1.5, 40.0])
def test_a_probe_tells_its_evidence_alone(kind: str, nats: float) -> None:
    acceptance = probe(kind)
    evidence = -EVIDENCE[kind] * nats
    assert acceptance["threshold"] == 0.0
    assert {name for name in EVIDENCE if acceptance[name]} == {kind}
    answered = float(np.float32(1.0 / (1.0 + np.exp(-acceptance[kind] * evidence))))
    assert evidence_of(kind, answered) == pytest.approx(evidence, abs=1e-5)


def test_a_fitted_acceptance_means_what_it_says() -> None:
    rng = np.random.default_rng(1)
    weights = {"phone_ratio": 1.0, "character_ratio": 1.5, "character_doubt": -3.0}
    evidence = {kind: -EVIDENCE[kind] * rng.exponential(1.0, 4_000) for kind in EVIDENCE}
    logits = 3.0 + sum(weights[kind] * evidence[kind] for kind in EVIDENCE)
    is_right = rng.random(4_000) < 1.0 / (1.0 + np.exp(-logits))

    def probabilities(of: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
        listed: list[float] = (1.0 / (1.0 + np.exp(-of))).tolist()
        return listed

    answers = {
        kind: [
            _outcome("clean", (bool(right), p), is_command=True)
            for right, p in zip(is_right, probabilities(probe(kind)[kind] * evidence[kind]), strict=True)
        ]
        for kind in EVIDENCE
    }
    acceptance, found = fit_acceptance(answers)
    assert acceptance == pytest.approx({"bias": 3.0, **weights}, rel=0.2)
    for _, _, mean_percent, right_percent in reliability(found):
        assert right_percent == pytest.approx(mean_percent, abs=7.0)


def test_another_prior_scale_must_be_worth_it() -> None:
    assert chosen_scale({0.0: 97.0, 0.3: 97.5, 0.6: 98.4}, 0.3) == 0.3
    assert chosen_scale({0.0: 97.0, 0.3: 97.5, 0.6: 98.6}, 0.3) == 0.6
    assert chosen_scale({0.0: 98.5, 0.3: 90.0, 0.6: 98.6}, 0.5) == 0.6


def test_labels_that_are_all_alike_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="all of 3 labels are True"):
        fit_logistic(np.zeros((3, 2)), np.ones(3, np.bool_))


def test_separable_labels_have_finite_weights() -> None:
    features = np.arange(10.0)[:, None]
    model = fit_logistic(features, features[:, 0] > 4.5)
    assert np.isfinite(model.weights).all() and model.weights[0] > 0
    assert ((model.probability(features) > 0.5) == (features[:, 0] > 4.5)).all()


def test_settings_reach_a_copy_of_the_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    copy = with_settings(tiny_bundle, {"acceptance": probe(None)}, tmp_path / "b")
    manifest = json.loads((copy / "manifest.json").read_text())
    assert manifest["roles"]["ear"]["grammar"]["acceptance"]["threshold"] == 0.0
    assert "prior_scale" in manifest["roles"]["ear"]["grammar"]  # what was there stays
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

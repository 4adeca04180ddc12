"""A bundle's "grammar" settings, fitted on grammars, voices and noises that the test has not.

1. ``prior_scale`` (how much phone priors are divided out): the bundle's own, unless another one gets
   clearly more commands right with rejection off; wake phrases depend on it as well.
2. The evidence for every utterance, as the library weighs it (``acceptance.h``): what its phones and its
   characters say. The library tells a probability alone, so a bundle whose acceptance has one weight, to be
   divided out again, is played to once for each kind of evidence.
3. A logistic model of the evidence: was the intent right with all its slots? Foreign sentences and
   commands that were misheard are both wrong, so its probability means what it says, for speech like this.
4. The lowest threshold under which at least ``MIN_REJECTED`` percent of the foreign sentences are
   rejected at every level of noise.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import galago
from benchmarks import common, hearing
from benchmarks.grammar_trials import NUM_FOREIGN as NUM_TEST_FOREIGN
from benchmarks.grammar_trials import Trial, percent, trials_of
from benchmarks.logistic import LogisticModel, fit_logistic
from benchmarks.spoken_commands import (
    TUNING_ESC10_FOLDS,
    TUNING_NOISE_FILES,
    TUNING_VOICES,
    CommandGrammar,
    Noise,
    clip_of,
    lj_texts,
)
from galago.runtime.bundle_folder import find_bundle

GRAMMARS = tuple(sorted((Path(__file__).resolve().parents[1] / "examples" / "grammars").glob("*.yaml")))
NUM_SENTENCES = 36  # of each grammar
NUM_FOREIGN = 120

PRIOR_SCALES = (0.0, 0.15, 0.3, 0.45, 0.6)
SCALE_STRIDE = 5  # every so many commands choose among them, which takes all voices in turn
SCALE_GAIN = 1.0  # percent more commands right are worth another scale; less is chance
#: Kinds of evidence as the manifest names their weights, each with the sign that makes it <= 0: where a
#: probability is near 0, a float holds its logit best.
EVIDENCE = {"phone_ratio": 1.0, "character_ratio": 1.0, "character_doubt": -1.0}
_PROBE_WEIGHT = 0.1
THRESHOLDS = tuple(step / 200 for step in range(201))
MIN_REJECTED = 97.0  # percent of the foreign sentences, at every level of noise

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Utterance:
    """One utterance of a clip: whether the intent was what was said, and the confidence."""

    is_right: bool
    confidence: float


@dataclass(frozen=True)
class Outcome:
    """What was heard in one clip."""

    trial: Trial
    utterances: tuple[Utterance, ...]

    @property
    def is_command(self) -> bool:
        return bool(self.trial.meanings)


def outcomes(
    bundle: Path,
    settings: Settings,
    args: argparse.Namespace,
    trials: Mapping[str, Sequence[Trial]],
    noise: Noise,
) -> list[Outcome]:
    """Play all trials to a bundle with these settings."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = with_settings(bundle, settings, Path(scratch) / "bundle")
        chosen = argparse.Namespace(**{**vars(args), "bundle": folder})
        with hearing.opened(chosen) as opened, opened.session(partials=False) as session:
            for path in GRAMMARS:
                session.set_grammar(path)
                for trial in common.progress(trials[path.stem], f"{path.stem} {_label(settings)}"):
                    samples = clip_of(trial.text, trial.voice, trial.condition, noise, args.cache)
                    found.append(outcome_of(trial, hearing.Heard(list(session.run(samples))).intents))
    return found


def _label(settings: Settings) -> str:
    weights = [name for name in EVIDENCE if settings["acceptance"][name] != 0.0]
    return ", ".join(weights) or f"prior_scale {settings['prior_scale']}"


def outcome_of(trial: Trial, intents: Sequence[galago.Intent]) -> Outcome:
    return Outcome(
        trial,
        tuple(
            Utterance((intent.name, tuple(sorted(intent.slots.items()))) in trial.meanings, intent.confidence)
            for intent in intents
        ),
    )


def with_settings(bundle: Path, settings: Settings, into: Path) -> Path:
    """Copy a bundle with other grammar settings; its files stay, and so do their hashes."""
    shutil.copytree(bundle, into)
    write_settings(into, settings)
    return into


def read_settings(bundle: Path) -> dict[str, Any]:
    """The grammar settings in a bundle's manifest."""
    document = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    settings: dict[str, Any] = document["roles"]["ear"].get("grammar", {})
    return settings


def write_settings(bundle: Path, settings: Settings) -> None:
    """Put grammar settings into a bundle's manifest; those it has besides stay."""
    path = bundle / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["roles"]["ear"].setdefault("grammar", {}).update(settings)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def probe(kind: str | None) -> dict[str, float]:
    """An acceptance that rejects nothing, and whose probability tells one kind of evidence."""
    weights = {name: sign * _PROBE_WEIGHT if name == kind else 0.0 for name, sign in EVIDENCE.items()}
    return {"bias": 0.0, **weights, "threshold": 0.0}


def evidence_of(kind: str, probability: float) -> float:
    """The evidence that ``probe(kind)`` answers ``probability`` for, in nats a character."""
    probability = max(probability, 1e-30)
    return EVIDENCE[kind] * (math.log(probability) - math.log1p(-probability)) / _PROBE_WEIGHT


def chosen_scale(right_percent: Mapping[float, float], present: float) -> float:
    """Of the scales within ``SCALE_GAIN`` percent of the best, the nearest to the present one."""
    best = max(right_percent.values())
    near = [scale for scale, right in right_percent.items() if right > best - SCALE_GAIN]
    return min(near, key=lambda scale: abs(scale - present))


def thresholded(found: Sequence[Outcome], threshold: float) -> tuple[float, float]:
    """Percent of commands right and of foreign sentences rejected, were ``threshold`` the least accepted."""
    accepted = [(o, [u for u in o.utterances if u.confidence >= threshold]) for o in found]
    commands = [len(us) == 1 and us[0].is_right for o, us in accepted if o.is_command]
    foreign = [not us for o, us in accepted if not o.is_command]
    return percent(commands) or 0.0, percent(foreign) or 0.0


def by_condition(found: Sequence[Outcome], threshold: float) -> dict[str, tuple[float, float]]:
    """``thresholded`` for each level of noise."""
    conditions = dict.fromkeys(outcome.trial.condition for outcome in found)
    return {c: thresholded([o for o in found if o.trial.condition == c], threshold) for c in conditions}


def loosest_threshold(found: Sequence[Outcome], min_rejected: float = MIN_REJECTED) -> float:
    """The lowest that rejects ``min_rejected`` percent at every level; else the lowest that rejects most."""

    def rejected(threshold: float) -> float:
        worst = min(share for _, share in by_condition(found, threshold).values())
        return min(worst, min_rejected)

    return max(THRESHOLDS, key=lambda threshold: (rejected(threshold), -threshold))


def reliability(found: Sequence[Outcome], num_bins: int = 5) -> list[tuple[str, int, float, float]]:
    """(range of confidence, utterances, mean confidence, share that was right), in percent."""
    listed = [utterance for outcome in found for utterance in outcome.utterances]
    rows = []
    for index in range(num_bins):
        low, high = index / num_bins, (index + 1) / num_bins
        inside = [u for u in listed if low <= u.confidence and (u.confidence < high or index == num_bins - 1)]
        if inside:
            mean = 100.0 * sum(u.confidence for u in inside) / len(inside)
            right = percent(u.is_right for u in inside) or 0.0
            rows.append((f"{low:.1f} to {high:.1f}", len(inside), round(mean, 2), right))
    return rows


def tuning_trials(args: argparse.Namespace) -> dict[str, list[Trial]]:
    """For each grammar by its name; no line of them is one of the test."""
    grammars = [CommandGrammar(path) for path in GRAMMARS]
    num_foreign = min(args.limit or NUM_FOREIGN, NUM_FOREIGN)
    lines = lj_texts(num_foreign, seed=2, without=lj_texts(NUM_TEST_FOREIGN))
    return {
        grammar.name: trials_of(
            grammar,
            [other for other in grammars if other is not grammar],
            TUNING_VOICES,
            num_sentences=min(args.limit or NUM_SENTENCES, NUM_SENTENCES),
            num_foreign=num_foreign,
            foreign_lines=lines,
        )
        for grammar in grammars
    }


def fit_acceptance(evidence: Mapping[str, Sequence[Outcome]]) -> tuple[dict[str, float], list[Outcome]]:
    """The acceptance without its threshold, and the outcomes with the confidence that it gives them.

    ``evidence``: for each kind what the probe answered, utterance by utterance the same ones.
    """
    features = np.array(
        [
            [evidence_of(kind, u.confidence) for outcome in found for u in outcome.utterances]
            for kind, found in evidence.items()
        ]
    ).T
    first = next(iter(evidence.values()))
    labels = np.array([u.is_right for outcome in first for u in outcome.utterances])
    model = fit_logistic(features, labels)
    model = LogisticModel(round(model.bias, 4), np.round(model.weights, 4))
    confidences = iter(model.probability(features).tolist())
    weighed = [
        Outcome(o.trial, tuple(Utterance(u.is_right, next(confidences)) for u in o.utterances)) for o in first
    ]
    return {"bias": model.bias, **dict(zip(evidence, model.weights.tolist(), strict=True))}, weighed


def calibrate(args: argparse.Namespace) -> None:
    """Measure, fit, print the "grammar" settings; with ``--write``, put them into the bundle."""
    bundle = find_bundle(args.bundle if args.bundle is not None else "default")
    trials, noise = tuning_trials(args), Noise(TUNING_NOISE_FILES, TUNING_ESC10_FOLDS)
    commands = {name: [t for t in of if t.meanings][::SCALE_STRIDE] for name, of in trials.items()}
    scales = {
        scale: thresholded(
            outcomes(bundle, {"prior_scale": scale, "acceptance": probe(None)}, args, commands, noise), 0.0
        )[0]
        for scale in PRIOR_SCALES
    }
    print(common.table(["prior_scale", "right %, nothing rejected"], list(scales.items())))
    prior_scale = chosen_scale(scales, read_settings(bundle).get("prior_scale", 0.3))

    evidence = {
        kind: outcomes(bundle, {"prior_scale": prior_scale, "acceptance": probe(kind)}, args, trials, noise)
        for kind in EVIDENCE
    }
    acceptance, found = fit_acceptance(evidence)
    acceptance["threshold"] = threshold = loosest_threshold(found)
    print(
        common.table(
            ["noise", "right %", "rejected %"],
            [(condition, *shares) for condition, shares in by_condition(found, threshold).items()],
        )
    )
    print(common.table(["confidence", "utterances", "mean %", "right %"], reliability(found)))
    settings = {"prior_scale": prior_scale, "acceptance": acceptance}
    print(f'"grammar": {json.dumps(settings)}', end="\n\n")  # of a manifest
    print(f"[grammar]\nprior_scale = {prior_scale}\n\n[grammar.acceptance]")  # of a packing recipe
    print("\n".join(f"{name} = {value}" for name, value in acceptance.items()))
    if args.write:
        write_settings(bundle, settings)
        print(f"written to {bundle / 'manifest.json'}")

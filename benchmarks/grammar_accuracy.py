"""Commands of grammars that galago never saw, spoken by voices and in noises that training never had.

Three unlike grammars (a kitchen, a mobile base, a laboratory): sentences drawn from each are spoken by four
synthetic voices, clean and in real noise. A command is right where exactly one intent is heard, with the
right name and the right value in every slot. Speech of no sentence (commands of the other two grammars,
lines of LJ Speech) must be rejected: no intent at all.

    python -m benchmarks.grammar_accuracy                      all of it
    python -m benchmarks.grammar_accuracy --pocketsphinx       beside pocketsphinx, same clips, same grammars
    python -m benchmarks.grammar_accuracy --calibrate          values for a bundle's "grammar" section
    python -m benchmarks.grammar_accuracy --calibrate --write  and put them there

flite and espeak-ng speak (Debian packages of these names).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import galago
from benchmarks import common, hearing
from benchmarks.corpora import SAMPLE_RATE_HZ
from benchmarks.grammar_calibration import calibrate
from benchmarks.grammar_peer import DEFAULT_CACHE as PEER_CACHE
from benchmarks.grammar_peer import GrammarPeer
from benchmarks.grammar_trials import NUM_FOREIGN, Trial, percent, trials_of
from benchmarks.spoken_commands import (
    CONDITIONS,
    DEFAULT_CACHE,
    TEST_ESC10_FOLDS,
    TEST_NOISE_FILES,
    TEST_VOICES,
    CommandGrammar,
    Meaning,
    Noise,
    clip_of,
)
from galago.runtime.language.lexicon import load_default

GRAMMARS = tuple(sorted((Path(__file__).parent / "grammars").glob("*.yaml")))
NUM_SENTENCES = 60  # of each grammar


@dataclass(frozen=True)
class Answer:
    """What was heard: the intents, and for commands whether everything was right."""

    trial: Trial
    heard: tuple[Meaning, ...]

    @property
    def is_right(self) -> bool:
        if not self.trial.meanings:
            return not self.heard
        return len(self.heard) == 1 and self.heard[0] in self.trial.meanings

    @property
    def is_intent_right(self) -> bool:
        return len(self.heard) == 1 and self.heard[0][0] in {intent for intent, _ in self.trial.meanings}


def hear_trial(session: galago.Session, trial: Trial, noise: Noise, cache: Path) -> tuple[Answer, float]:
    """What galago heard, and the seconds it took for each second of audio."""
    samples = clip_of(trial.text, trial.voice, trial.condition, noise, cache)
    begin = time.perf_counter()
    heard = hearing.Heard(list(session.run(samples)))
    wall_s = time.perf_counter() - begin
    meanings = tuple((intent.name, tuple(sorted(intent.slots.items()))) for intent in heard.intents)
    return Answer(trial, meanings), wall_s / (len(samples) / SAMPLE_RATE_HZ)


def answers_of_peer(peer: GrammarPeer, grammar: CommandGrammar, trials: Iterable[Trial], noise: Noise,
                    cache: Path) -> Iterator[Answer]:  # fmt: skip
    """What pocketsphinx heard; its text is read by the same grammar."""
    for trial in trials:
        text = peer.recognise(clip_of(trial.text, trial.voice, trial.condition, noise, cache))
        meanings = grammar.meanings(text)
        right = meanings & trial.meanings  # an ambiguous text counts in its favour
        yield Answer(trial, tuple(sorted(right or meanings))[:1])


def score(answers: Sequence[Answer]) -> dict[str, Any]:
    """Percentages over the commands and over the foreign sentences among ``answers``."""
    commands = [answer for answer in answers if answer.trial.meanings]
    foreign = [answer for answer in answers if not answer.trial.meanings]
    return {
        "num_commands": len(commands),
        "right_percent": percent(answer.is_right for answer in commands),
        "intent_percent": percent(answer.is_intent_right for answer in commands),
        "nothing_percent": percent(not answer.heard for answer in commands),
        "num_foreign": len(foreign),
        "rejected_percent": percent(answer.is_right for answer in foreign),
    }


def score_conditions(answers: Sequence[Answer]) -> dict[str, Any]:
    """``score`` for each condition, over all, by grammar and by voice."""
    numbers: dict[str, Any] = {}
    for condition in CONDITIONS:
        of_condition = [answer for answer in answers if answer.trial.condition == condition]
        if not of_condition:
            continue
        numbers[condition] = score(of_condition)
        for field in ("grammar", "voice"):
            names = sorted({str(getattr(answer.trial, field)) for answer in of_condition})
            numbers[condition][f"by_{field}"] = {
                name: score([answer for answer in of_condition if getattr(answer.trial, field) == name])
                for name in names
            }
    return numbers


def table_of(numbers: dict[str, Any]) -> str:
    """Conditions, then grammars and voices, one a line; the peer beside."""
    lines = []
    for condition, found in numbers.items():
        ours = found["galago"]
        parts = {"all": ours} | {
            f"  {k}": v for by in ("grammar", "voice") for k, v in ours[f"by_{by}"].items()
        }
        theirs: dict[str, Any] = {}
        if "pocketsphinx" in found:
            peer = found["pocketsphinx"]
            theirs = {"all": peer} | {
                f"  {k}": v for by in ("grammar", "voice") for k, v in peer[f"by_{by}"].items()
            }
        for name, part in parts.items():
            cells = [
                part["num_commands"],
                part["right_percent"],
                part["intent_percent"],
                part["rejected_percent"],
            ]
            beside = theirs.get(name)
            cells += [beside["right_percent"], beside["rejected_percent"]] if beside else []
            lines.append([condition, name, *("" if cell is None else cell for cell in cells)])
    header = ["noise", "over", "commands", "right %", "intent %", "rejected %"]
    header += (
        ["pocketsphinx right %", "rejected %"] if any("pocketsphinx" in f for f in numbers.values()) else []
    )
    return common.table(header, lines)


def measure(args: argparse.Namespace) -> None:
    grammars = [CommandGrammar(path) for path in GRAMMARS]
    noise = Noise(TEST_NOISE_FILES, TEST_ESC10_FOLDS)
    answers: list[Answer] = []
    peer_answers: list[Answer] = []
    rtf: list[float] = []
    with hearing.opened(args) as bundle, bundle.session(partials=False) as session:
        for grammar in grammars:
            others = [other for other in grammars if other is not grammar]
            trials = trials_of(
                grammar,
                others,
                TEST_VOICES,
                num_sentences=min(args.limit or NUM_SENTENCES, NUM_SENTENCES),
                num_foreign=min(args.limit or NUM_FOREIGN, NUM_FOREIGN),
            )
            session.set_grammar(grammar.path)
            for trial in common.progress(trials, grammar.name):
                answer, seconds = hear_trial(session, trial, noise, args.cache)
                answers.append(answer)
                rtf.append(seconds)
            if args.pocketsphinx:
                peer = GrammarPeer(grammar, load_default(), args.peer_cache)
                peer_trials = common.progress(trials, f"pocketsphinx {grammar.name}")
                peer_answers += answers_of_peer(peer, grammar, peer_trials, noise, args.cache)
        numbers = {condition: {"galago": found} for condition, found in score_conditions(answers).items()}
        for condition, found in score_conditions(peer_answers).items():
            numbers[condition]["pocketsphinx"] = found
        target = hearing.running_target(bundle)
        row = common.make_row(
            "grammar_accuracy",
            numbers,
            variant=target + ("" if args.limit is None else f"-limit{args.limit}"),
            bundle=bundle.folder,
            target=target,
            threads=args.threads,
            settings={
                "chunk_ms": session.info.chunk_ms,
                "limit": args.limit,
                "grammars": [path.name for path in GRAMMARS],
                "voices": list(TEST_VOICES),
                "noises": [*TEST_NOISE_FILES, *(f"esc10 {fold}" for fold in TEST_ESC10_FOLDS)],
                "wall_rtf": common.percentiles(rtf, digits=5),
            },
        )
    for answer in [a for a in answers if not a.is_right][: args.show]:
        print(
            f"{answer.trial.condition} | {answer.trial.voice} | {answer.trial.grammar}: {answer.trial.text}"
        )
        print(f"    heard {answer.heard or 'nothing'}")
    print(table_of(numbers))
    common.finish([row], args)


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument("--limit", type=int, help="sentences of each grammar, and foreign ones")
    parser.add_argument("--pocketsphinx", action="store_true", help="run the peer on the very same clips")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="of the synthetic speech")
    parser.add_argument("--peer-cache", type=Path, default=PEER_CACHE, help="of the peer's answers")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N clips that went wrong")
    parser.add_argument("--calibrate", action="store_true", help="fit a bundle's grammar settings instead")
    parser.add_argument("--write", action="store_true", help="what --calibrate found, into the bundle")
    args = parser.parse_args()
    if args.write and not args.calibrate:
        parser.error("--write needs --calibrate")
    if args.cache.exists() and not args.cache.is_dir():
        parser.error(f"--cache: expected a folder, found the file {args.cache}")
    if args.calibrate:
        calibrate(args)
    else:
        measure(args)


if __name__ == "__main__":
    main()

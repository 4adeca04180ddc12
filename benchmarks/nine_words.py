"""Nine words of Speech Commands from unseen speakers, through a grammar of nine one-word phrases.

A clip counts as right where the first intent carries its word in the slot; silence, a rejection and
another word all count as wrong. Clips are about 1 s long and some are cut or mislabelled by the crowd.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks import common, hearing
from benchmarks.corpora import read_clips

WORDS = ("down", "eight", "five", "go", "left", "one", "right", "up", "zero")
NOTHING, REJECTED = "(nothing)", "(rejected)"

GRAMMAR: dict[str, Any] = {
    "language": "en",
    "intents": {"Word": {"data": [{"sentences": ["{word}"]}]}},
    "lists": {"word": {"values": list(WORDS)}},
}


def answer_of(heard: hearing.Heard) -> str:
    """The word of the first intent, or why there is none."""
    if heard.intents:
        return str(heard.intents[0].slots["word"])
    return REJECTED if heard.rejected else NOTHING


def score(answers: list[tuple[str, str]]) -> dict[str, Any]:
    """Accuracy over (said, answered) pairs, per word and in all, and who is taken for whom.

    Raises:
        ValueError: there are no pairs.
    """
    if not answers:
        raise ValueError("no clips: nothing to score")
    said = Counter(word for word, _ in answers)
    right = Counter(word for word, answer in answers if word == answer)
    wrong = Counter(pair for pair in answers if pair[0] != pair[1])
    return {
        "num_clips": len(answers),
        "num_right": sum(right.values()),
        "accuracy_percent": round(100.0 * sum(right.values()) / len(answers), 2),
        "per_word_percent": {word: round(100.0 * right[word] / said[word], 1) for word in sorted(said)},
        "confusions": [
            {"said": word, "answered": answer, "num_clips": count}
            for (word, answer), count in wrong.most_common()
        ],
        "num_rejected": sum(answer == REJECTED for _, answer in answers),
        "num_nothing": sum(answer == NOTHING for _, answer in answers),
    }


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument("--limit", type=int, help="clips, spread evenly over the split")
    args = parser.parse_args()
    clips = list(read_clips("speech_commands", "dev", limit=args.limit))
    answers = []
    with hearing.opened(args) as bundle, bundle.session(partials=False) as session:
        session.set_grammar(GRAMMAR)
        for clip in common.progress(clips, "words"):
            answers.append((str(clip.fields["label"]), answer_of(hearing.hear(session, clip.samples))))
        numbers = score(answers) | {"num_speakers": len({clip.fields["speaker"] for clip in clips})}
        target = hearing.running_target(bundle)
        row = common.make_row(
            "nine_words",
            numbers,
            variant=target + ("" if args.limit is None else f"-limit{args.limit}"),
            bundle=bundle.folder,
            target=target,
            threads=args.threads,
            settings={"chunk_ms": session.info.chunk_ms, "limit": args.limit, "grammar": GRAMMAR},
        )
    print(common.table(["word", "right %"], numbers["per_word_percent"].items()))
    print(common.table(["said", "answered", "clips"], [c.values() for c in numbers["confusions"]]))
    print(f"{numbers['num_right']} of {numbers['num_clips']} right: {numbers['accuracy_percent']} %")
    common.finish([row], args)


if __name__ == "__main__":
    main()

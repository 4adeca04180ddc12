"""Words that a voice skips or says twice, in 200 hard sentences (`hard_sentences.txt`).

    python -m benchmarks.hard_sentences --run runs/voice --teacher runs/voice-teacher/teacher/model.pt

The sentences have what autoregressive voices stumble over: words that come again and again, digits, spelled
letters, long lists, tongue twisters, a single word, much punctuation. Counted in two ways:

- *heard*: by a recogniser that is told the words (`word_counter.py`).
- *drawn*: by the voice's own alignment of frames and phones, FastSpeech's durations or the teacher's most
  focused head. A word without a frame is skipped; one that is come back to for 50 ms is repeated.

What the recogniser itself gets wrong stands beside: the same count over recordings of the speaker, and how
many words it finds that were cut out of them or doubled, and that FastSpeech was told to leave out or to say
twice. The teacher speaks until it stops, at most twice as long as FastSpeech. Each voice is a row of its own.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import galago
from benchmarks import common
from benchmarks.corpora import Audio, Clip, read_clips
from benchmarks.scoring import reference_words
from benchmarks.spoken_script import (
    Script,
    phones_of_segment,
    script_reader,
    visits,
    words_of_segment,
)
from benchmarks.torch_voices import Drawn, Student, Teacher, vocode
from benchmarks.voice_speed import read_sentences
from benchmarks.word_counter import Variants, WordCounter
from galago.models.training.checkpoints import load
from galago.models.training.ear.align import sound_out
from galago.models.training.voice.checkpoint import load_fastspeech, load_teacher, load_vocoder
from galago.models.vocoder import Vocoder
from galago.runtime.bundle_folder import find_bundle

SENTENCES = common.ROOT / "benchmarks" / "hard_sentences.txt"
PRICE = 1e-4  # of a fault; of 1e-4 to 1e-20 the one that finds most faults in 40 training recordings
REPEAT_FRAMES = 5  # a shorter look back is no word
VOICES = ("recordings", "fastspeech", "bundle", "teacher")
LONGEST = 2  # times as long as FastSpeech the teacher may speak


@dataclass(frozen=True)
class Said:
    """One text spoken: its sound, and of each word how often the voice's own alignment comes to it."""

    samples: Audio
    touched: list[int] | None = None  # frames at all
    returned: list[int] | None = None  # stays of REPEAT_FRAMES and more
    has_stopped: bool = True


@dataclass
class Faults:
    """Counts over texts."""

    num_sentences: int = 0
    num_words: int = 0
    skipped: int = 0
    repeated: int = 0
    faulty_sentences: int = 0

    def add(self, skipped: int, repeated: int, num_words: int) -> None:
        """Count one text."""
        self.num_sentences += 1
        self.num_words += num_words
        self.skipped += skipped
        self.repeated += repeated
        self.faulty_sentences += bool(skipped or repeated)


def variants_of(script: Script) -> list[Variants]:
    """Of each word the one pronunciation that the voice was given."""
    return [[word.plain_phones] for word in script.words]


def spoken(drawings: Iterable[tuple[list[int | None], Drawn]], num_words: int, vocoder: Vocoder) -> Said:
    """The sound of a text's sentences, each with the words of its phones."""
    samples: list[Audio] = []
    path: list[int | None] = []
    has_stopped = True
    for words, drawn in drawings:
        samples.append(vocode(vocoder, drawn))
        path += [words[phone] for phone in drawn.phone_of_frame]
        has_stopped = has_stopped and drawn.has_stopped
    touched, returned = visits(path, num_words), visits(path, num_words, REPEAT_FRAMES)
    return Said(np.concatenate(samples), touched, returned, has_stopped)


def say_by_student(student: Student, vocoder: Vocoder, script: Script, num_words: int) -> Said:
    """``num_words`` of the text, of which a changed script may have fewer."""
    drawings = ((words_of_segment(s), student.draw(phones_of_segment(s))) for s in script.segments)
    return spoken(drawings, num_words, vocoder)


def say_by_teacher(teacher: Teacher, student: Student, vocoder: Vocoder, script: Script) -> Said:
    """The teacher's, no longer than LONGEST times the student's."""

    def drawings() -> Iterator[tuple[list[int | None], Drawn]]:
        for segment in script.segments:
            phones = phones_of_segment(segment)
            most = LONGEST * len(student.draw(phones).phone_of_frame)
            yield words_of_segment(segment), teacher.draw(phones, most)

    return spoken(drawings(), len(script.words), vocoder)


def count_faults(
    counter: WordCounter, scripts: Sequence[Script], say: Callable[[int], Said], label: str
) -> dict[str, Any]:
    """Faults heard and faults drawn, over all scripts; ``say(i)`` speaks the i-th."""
    heard, drawn = Faults(), Faults()
    num_unended = 0
    for number, script in enumerate(common.progress(scripts, label)):
        said = say(number)
        counts = counter.count(said.samples, variants_of(script))
        heard.add(counts.count(0), sum(n > 1 for n in counts), len(counts))
        if said.touched is not None and said.returned is not None:
            drawn.add(said.touched.count(0), sum(n > 1 for n in said.returned), len(counts))
        num_unended += not said.has_stopped
    row: dict[str, Any] = {**vars(heard)}
    if drawn.num_sentences:
        row["drawn"] = {**vars(drawn)}
        row["unended"] = num_unended
    return row


def chosen_word(text: str, num_words: int) -> int:
    """The word to leave out or to double, by hash."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % num_words


def notices(counts: Sequence[int], word: int) -> tuple[bool, bool]:
    """Whether a word is missed, or heard twice, at the place of ``word`` or right beside it."""
    near = counts[max(0, word - 1) : word + 2]
    return 0 in near, max(near) > 1


def percent(found: Sequence[bool]) -> float:
    return round(100.0 * sum(found) / len(found), 1)


def calibrate_on_recordings(counter: WordCounter, clips: Iterable[Clip]) -> dict[str, Any]:
    """The count over recordings, and how many words that are cut out or doubled it finds."""
    faults = Faults()
    cut: list[bool] = []
    doubled: list[bool] = []
    for clip in common.progress(clips, "recordings"):
        words = [sound_out(word) for word in reference_words(clip.text) or ()]
        if len(words) < 2 or not all(words):
            continue
        counts = counter.count(clip.samples, words)
        faults.add(counts.count(0), sum(n > 1 for n in counts), len(counts))
        places = counter.places(clip.samples, words)
        if places is None:
            continue
        word = chosen_word(clip.text, len(words))
        begin, end = places[word]
        without = np.concatenate([clip.samples[:begin], clip.samples[end:]])
        twice = np.concatenate([clip.samples[:end], clip.samples[begin:]])
        cut.append(notices(counter.count(without, words), word)[0])
        doubled.append(notices(counter.count(twice, words), word)[1])
    return {**vars(faults), "cut_found_percent": percent(cut), "doubled_found_percent": percent(doubled)}


def calibrate_on_student(
    counter: WordCounter, texts: Sequence[str], scripts: Sequence[Script], say: Callable[[Script, int], Said]
) -> dict[str, float]:
    """How many words it finds that a voice was told to leave out, or to say twice."""
    cut: list[bool] = []
    doubled: list[bool] = []
    for text, script in common.progress(list(zip(texts, scripts, strict=True)), "changed on purpose"):
        words = script.words
        if len(words) < 2:
            continue
        word = chosen_word(text, len(words))
        for found, changed, which in ((cut, script.without(word), 0), (doubled, script.doubled(word), 1)):
            counts = counter.count(say(changed, len(words)).samples, variants_of(script))
            found.append(notices(counts, word)[which])
    return {"cut_found_percent": percent(cut), "doubled_found_percent": percent(doubled)}


def measure(texts: Sequence[str], args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and numbers of each row that the command line asks for, as soon as it is measured."""
    counter = WordCounter(args.price)
    folder = find_bundle(args.bundle or "default")
    scripts = list(map(script_reader(folder), texts))
    student = Student(load_fastspeech(args.run / "acoustic" / "model.pt"))
    vocoder = load_vocoder(args.run / "vocoder" / "model.pt")

    def by_student(script: Script, num_words: int) -> Said:
        return say_by_student(student, vocoder, script, num_words)

    if "recordings" in args.voices:
        clips = list(read_clips("kathleen", args.split, limit=args.num_clips))
        yield "her recordings", calibrate_on_recordings(counter, clips)
    if "bundle" in args.voices:
        with galago.open(folder, num_threads=1, roles=("voice",)) as bundle, bundle.session() as session:
            yield (
                "FastSpeech, int8, native core",
                count_faults(counter, scripts, lambda i: Said(session.synthesise(texts[i])), "int8"),
            )
    if "fastspeech" in args.voices:
        counts = count_faults(
            counter, scripts, lambda i: by_student(scripts[i], len(scripts[i].words)), "float"
        )
        chosen = [i * len(texts) // args.num_changed for i in range(min(args.num_changed, len(texts)))]
        found = calibrate_on_student(
            counter, [texts[i] for i in chosen], [scripts[i] for i in chosen], by_student
        )
        yield "FastSpeech, float", {**counts, **found}
    if "teacher" in args.voices:
        teacher = Teacher(load_teacher(args.teacher))
        counts = count_faults(
            counter, scripts, lambda i: say_by_teacher(teacher, student, vocoder, scripts[i]), "teacher"
        )
        yield teacher.name, {**counts, "steps_trained": load(args.teacher)["step"]}


def main(arguments: Sequence[str] | None = None) -> None:
    made = common.parser(__doc__)
    made.add_argument("--run", type=Path, required=True, help="folder of a voice's run")
    made.add_argument("--teacher", type=Path, help="model.pt of the teacher")
    made.add_argument("--voices", nargs="+", choices=VOICES, default=list(VOICES), help="which rows [all]")
    made.add_argument("--limit", type=int, help="sentences, spread evenly")
    made.add_argument("--price", type=float, default=PRICE, help="of a fault, as a probability [%(default)s]")
    made.add_argument("--split", default="dev", help="recordings that the recogniser is judged on [dev]")
    made.add_argument("--num-clips", type=int, default=60, help="of them, spread evenly")
    made.add_argument("--num-changed", type=int, default=50, help="sentences with a fault on purpose")
    args = made.parse_args(arguments)
    if "teacher" in args.voices and args.teacher is None:
        made.error("--teacher is missing: name its model.pt, or leave it out of --voices")
    torch.set_num_threads(1)
    texts = read_sentences(SENTENCES)
    if args.limit is not None:
        texts = [texts[i * len(texts) // args.limit] for i in range(args.limit)]
    is_whole = args.limit is None and args.split == "dev" and args.price == PRICE
    settings = {
        "price": args.price,
        "split": args.split,
        "sentences": len(texts),
        "changed": args.num_changed,
    }
    lines = []
    for name, numbers in measure(texts, args):
        variant = name + ("" if is_whole else "-limit")
        row = common.make_row("hard_sentences", numbers, variant=variant, threads=1, settings=settings)
        common.finish([row], args)
        shown = ("num_sentences", "num_words", "skipped", "repeated", "faulty_sentences")
        lines.append([name, *(numbers[key] for key in shown)])
    print(common.table(["voice", "sentences", "words", "skipped", "repeated", "with a fault"], lines))


if __name__ == "__main__":
    main()

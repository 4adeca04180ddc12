"""Synthetic speech for words and voices that recorded corpora lack: espeak-ng, flite and festival.

The programs are run, not linked. What is said comes from three places: sentences of a text file, random
phrases of command words (numbers, units, places, things), and random word sequences, so that the phone
head meets every phone in every neighbourhood and not only the sentences that somebody once recorded.

Voices that are kept for evaluation must not be named here; see ``benchmarks/grammar_accuracy.py``.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from galago.models.training.ear.corpus import Corpus, CorpusError, CorpusWriter, decode, refuse_other_source
from galago.models.training.ear.transcripts import UnspeakableTextError, normalise

__all__ = ["ESPEAK_VOICES", "FESTIVAL_VOICES", "FLITE_VOICES", "SpeechPlan", "synthesize_corpus"]

ESPEAK_VOICES = (
    *("en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc"),
    *(f"en-us+{v}" for v in ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f4", "f5")),
    *(f"en-gb+{v}" for v in ("m2", "m4", "m7", "f1", "f2", "f4", "f5")),
)
FLITE_VOICES = ("rms",)
FESTIVAL_VOICES = ("ked_diphone",)  # Debian: festival, festvox-kdlpc16k
SPEAKING_TIMEOUT_S = 60

_DIGITS = "zero one two three four five six seven eight nine".split()
_TEENS = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty "
    "fifty sixty seventy eighty ninety hundred thousand half quarter point first second third"
).split()
_UNITS = (
    "second seconds minute minutes hour hours degrees percent meter meters centimeters millimeters feet "
    "inches miles grams kilograms liters milliliters cups spoons volts hertz times steps"
).split()
_VERBS = (
    "set start stop open close turn move go bring take put show tell find call play pause raise lower "
    "increase decrease pick drop hold lift push pull check read write save send clean fill empty switch "
    "lock unlock heat cool mix stir weigh measure count follow dock wait look record cancel add remove"
).split()
_FUNCTION = (
    "the a an to of in on at for from with and or is are please my your all up down left right off "
    "back forward it this that what where how many much me is there by into under over near"
).split()
_THINGS = (
    "light lights lamp door window kitchen bedroom bathroom office garage table chair box bottle cup plate "
    "red blue green yellow white black orange small large big fan heater oven fridge coffee tea milk water "
    "bread sugar salt rice pasta chicken soup egg eggs timer alarm music song volume radio camera robot arm "
    "gripper wheel battery charger station shelf drawer floor wall corner hall room home base speed angle "
    "sample tube tray pump valve sensor scale burner flask pipette sink stove pot pan knife spoon bowl"
).split()


@dataclass(frozen=True)
class SpeechPlan:
    """How many clips of which kind. Seeds, counts and voices decide every clip; nothing else does."""

    num_sentences: int = 3000
    num_commands: int = 2000
    num_word_sequences: int = 1000
    flite_share: float = 0.2
    festival_share: float = 0.0
    seed: int = 1

    def texts(self, sentences: Sequence[str], vocabulary: Sequence[str]) -> list[str]:
        """The lines to speak, shuffled. Long sentences are cut to at most fourteen words."""
        rng = random.Random(self.seed)
        lines: list[str] = []
        shuffled = list(sentences)
        rng.shuffle(shuffled)
        for sentence in shuffled:
            if len(lines) == self.num_sentences:
                break
            try:
                words = normalise(sentence)
            except UnspeakableTextError:
                continue
            if len(words) > 3:
                begin = rng.randrange(max(1, len(words) - 13))
                lines.append(" ".join(words[begin : begin + rng.randint(4, 14)]))
        for _ in range(self.num_commands):
            phrase = [rng.choice(_VERBS)] if rng.random() < 0.7 else []
            for _ in range(rng.randint(1, 6)):
                phrase.append(rng.choice(rng.choice((_DIGITS, _TEENS, _UNITS, _FUNCTION, _THINGS, _THINGS))))
            lines.append(" ".join(phrase))
        lines += [
            " ".join(rng.choices(vocabulary, k=rng.randint(1, 7))) for _ in range(self.num_word_sequences)
        ]
        rng.shuffle(lines)
        return lines


def _speak(text: str, voice: str, rng: random.Random, path: Path) -> None:
    engine, name = voice.split(":")
    spoken = None  # what the program reads on standard input
    stretch = f"{rng.uniform(0.85, 1.2):.2f}"
    if engine == "flite":
        command = [
            "flite",
            "-voice",
            name,
            "--setf",
            f"duration_stretch={stretch}",
            "-t",
            text,
            "-o",
            str(path),
        ]
    elif engine == "festival":
        setting = f"(begin (voice_{name}) (Parameter.set 'Duration_Stretch {stretch}))"
        command, spoken = ["text2wave", "-eval", setting, "-o", str(path)], text
    else:
        speed, pitch = str(rng.randint(125, 195)), str(rng.randint(20, 80))
        command = ["espeak-ng", "-v", name, "-s", speed, "-p", pitch, "-w", str(path), text]
    try:
        done = subprocess.run(
            command, input=spoken, capture_output=True, text=True, timeout=SPEAKING_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise CorpusError(f"{engine} took more than {SPEAKING_TIMEOUT_S} s over {text!r}") from error
    if done.returncode != 0 or not path.is_file():
        raise CorpusError(f"{engine} failed on {text!r}: {done.stderr.strip()}")


def _voice(plan: SpeechPlan, rng: random.Random) -> str:
    kind = rng.random()
    if kind < plan.flite_share:
        return f"flite:{rng.choice(FLITE_VOICES)}"
    if kind < plan.flite_share + plan.festival_share:
        return f"festival:{rng.choice(FESTIVAL_VOICES)}"
    return f"espeak:{rng.choice(ESPEAK_VOICES)}"


def synthesize_corpus(
    plan: SpeechPlan, folder: Path, *, name: str, sentences: Sequence[str], num_workers: int = 2
) -> Corpus:
    """Speak ``plan`` into a new corpus; a later call with the same name only opens it.

    Args:
        plan: counts and seed.
        folder, name: where the corpus goes.
        sentences: running text; its words are also the vocabulary of the random sequences.
        num_workers: programs that speak at a time.

    Raises:
        CorpusError: a program that the plan needs is not installed, or fails; or the corpus of this name was
            spoken by another plan or from other sentences.
    """
    from tqdm import tqdm

    source = {
        "path": f"plan {name}",
        "plan": asdict(plan),
        "sentences_sha256": hashlib.sha256("\n".join(sentences).encode()).hexdigest(),
    }
    if (folder / f"{name}.jsonl").is_file():
        refuse_other_source(folder, name, source)
        return Corpus(folder, name)
    programs = {"espeak-ng": "espeak-ng"}
    if plan.flite_share:
        programs["flite"] = "flite"
    if plan.festival_share:
        programs["text2wave"] = "festival festvox-kdlpc16k"
    for program, package in programs.items():
        if shutil.which(program) is None:
            raise CorpusError(f"{program} is not installed (Debian: apt-get install {package})")
    words: set[str] = set()
    for sentence in sentences:
        try:
            words.update(normalise(sentence))
        except UnspeakableTextError:
            continue
    if plan.num_word_sequences and not words:
        raise CorpusError(f"{name}: word sequences need sentences to take their words from")
    texts = plan.texts(sentences, sorted(words))

    def make(number: int) -> tuple[str, bytes]:
        digest = hashlib.sha256(f"{plan.seed}:{number}".encode()).digest()
        rng = random.Random(digest)
        voice = _voice(plan, rng)
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "speech.wav"
            _speak(texts[number], voice, rng, path)
            return voice, path.read_bytes()

    with CorpusWriter(folder, name, source=source) as writer, ThreadPoolExecutor(num_workers) as pool:
        spoken = pool.map(make, range(len(texts)))
        for number, (voice, data) in enumerate(
            tqdm(spoken, total=len(texts), desc=f"speak {name}", unit="clip")
        ):
            where = f"{name}-{number:05d}"
            writer.add(
                decode(data, where), id=where, split="train", speaker=voice, words=texts[number].split()
            )
    return Corpus(folder, name)

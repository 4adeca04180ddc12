"""Sentences of a grammar, spoken by synthetic voices, in real noise: the material of ``grammar_accuracy``.

Everything is drawn from seeds: the same grammar gives the same sentences, and a clip's noise depends on its
text, voice and level alone.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.corpora import SAMPLE_RATE_HZ, Audio, data_dir, read_clips, resample
from benchmarks.hearing import AFTER_S, BEFORE_S
from galago.runtime.language.sentence_templates import IntentSentences, read_templates
from galago.runtime.language.template_graph import Label, LabelKind
from galago.runtime.language.word_graph import WordGraph, build_word_graph

#: Kept out of training: the first fold of ESC-10 and two of the six long background noises.
TEST_NOISE_FILES = ("_background_noise__doing_the_dishes", "_background_noise__running_tap")
TEST_ESC10_FOLDS = ("fold1",)
TEST_VOICES = ("flite slt", "flite awb", "flite kal16", "espeak-ng en-gb-scotland+f3")

#: For fitting acceptance: noises that training uses as well, two voices that it uses and four that it
#: does not, so that what a new voice does to the evidence is in it.
TUNING_NOISE_FILES = ("_background_noise__dude_miaowing", "_background_noise__exercise_bike")
TUNING_ESC10_FOLDS = ("fold2", "fold3")
TUNING_VOICES = (
    *("flite rms", "espeak-ng en-us"),
    *(f"espeak-ng {v}" for v in ("en-gb-x-rp+f2", "en-us-nyc+m3", "en-029+f4", "en-gb-x-gbclan+m7")),
)

#: Without noise, or with it at a ratio of signal to noise.
CONDITIONS = ("clean", "12 dB", "6 dB")

DEFAULT_CACHE = Path.home() / ".cache" / "galago-benchmarks" / "speech"

SPEECH_RMS = 0.05  # of the loud parts, -26 dBFS
_ACTIVE_BELOW_PEAK_DB = 30.0  # frames louder than this below the loudest count as speech
_FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
_MAX_DRAWS = 100  # for one new sentence of an intent

Meaning = tuple[str, tuple[tuple[str, str], ...]]
"""Intent, and its slots sorted by name."""


@dataclass(frozen=True)
class Command:
    """A sentence of a grammar and everything it can mean there (nearly always one thing)."""

    text: str
    meanings: frozenset[Meaning]


class CommandGrammar:
    """A grammar file as sentences: draws some, and tells what a text means."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        self._templates = read_templates(path)
        self._graph = self._graph_of(self._templates.blocks)
        self.intents = list(dict.fromkeys(block.intent for block in self._templates.blocks))

    @property
    def graph(self) -> WordGraph:
        """All sentences, without filler words."""
        return self._graph

    def _graph_of(self, blocks: Iterable[IntentSentences]) -> WordGraph:
        return build_word_graph(self.path.name, blocks, lambda word: None)

    def draw(self, num_sentences: int, seed: int = 1) -> list[Command]:
        """Different sentences, the intents in turn; every arc of the word graph as likely as its sisters."""
        rng = np.random.default_rng(seed)
        graphs = [
            self._graph_of(block for block in self._templates.blocks if block.intent == intent)
            for intent in self.intents
        ]
        drawn: dict[str, Command] = {}
        for turn in range(num_sentences):
            for _ in range(_MAX_DRAWS):
                text = _random_sentence(graphs[turn % len(graphs)], rng)
                if text not in drawn:
                    drawn[text] = Command(text, self.meanings(text))
                    break
        return list(drawn.values())

    def meanings(self, text: str) -> frozenset[Meaning]:
        """What the text means in this grammar; nothing where it is no sentence of it."""
        found = set()
        words = text.split()
        stack: list[tuple[int, int, tuple[Label, ...]]] = [(0, 0, ())]
        while stack:
            state, position, marks = stack.pop()
            if self._graph.is_final[state] and position == len(words):
                found.add(_meaning(marks))
            for label, target in self._graph.arcs[state].items():
                if label.kind != LabelKind.WORD:
                    stack.append((target, position, (*marks, label)))
                elif position < len(words) and label.text == words[position]:
                    stack.append((target, position + 1, marks))
        return frozenset(found)


def _random_sentence(graph: WordGraph, rng: np.random.Generator) -> str:
    state, words = 0, []
    while not graph.is_final[state]:
        arcs = list(graph.arcs[state].items())
        label, state = arcs[rng.integers(len(arcs))]
        if label.kind == LabelKind.WORD:
            words.append(label.text)
    return " ".join(words)


def _meaning(marks: Sequence[Label]) -> Meaning:
    slots: dict[str, str] = {}
    intent, slot = "", ""
    for mark in marks:
        if mark.kind == LabelKind.SLOT_BEGIN:
            slot = mark.text
        elif mark.kind == LabelKind.SLOT_END:
            slots[slot] = mark.text
        else:
            intent = mark.text
    return intent, tuple(sorted(slots.items()))


def lj_texts(
    num_texts: int, *, max_words: int = 14, seed: int = 1, without: Collection[str] = ()
) -> list[str]:
    """Short sentences of the LJ Speech list, for speech that no grammar holds; none of ``without``."""
    import tarfile

    with tarfile.open(data_dir() / "lj.tar") as tar:
        member = next(m for m in tar if m.name.endswith("lj_sentences.txt"))
        stream = tar.extractfile(member)
        assert stream is not None  # the member is a plain file
        lines = stream.read().decode().splitlines()
    texts = [line.split("|")[2] for line in lines]
    short = [text for text in texts if 4 <= len(text.split()) <= max_words and text not in without]
    chosen = np.random.default_rng(seed).choice(len(short), num_texts, replace=False)
    return [short[index] for index in chosen]


def speak(text: str, voice: str, cache: Path = DEFAULT_CACHE) -> Audio:
    """One reading at 16 kHz, (num_samples,), its loud parts at ``SPEECH_RMS``; kept in ``cache``.

    A voice is ``"flite NAME"`` or ``"espeak-ng NAME"``.
    """
    path = cache / f"{hashlib.sha256(f'{voice}|{text}'.encode()).hexdigest()[:32]}.npy"
    if path.is_file():
        kept: Audio = np.load(path)
        return kept
    samples = _synthesise(text, voice)
    samples = samples * np.float32(SPEECH_RMS / max(active_rms(samples), 1e-9))
    cache.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, samples)
    part = path.with_suffix(".part")
    part.write_bytes(buffer.getvalue())
    os.replace(part, path)
    return samples


def _synthesise(text: str, voice: str) -> Audio:
    import soundfile

    program, name = voice.split(" ", 1)
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        command = {
            "flite": ["flite", "-voice", name, "-t", text, "-o", str(wav)],
            "espeak-ng": ["espeak-ng", "-v", name, "-s", "160", "-w", str(wav), text],
        }[program]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        samples, rate_hz = soundfile.read(wav, dtype="float32")
    return resample(samples, rate_hz)


def active_rms(samples: Audio) -> float:
    """Root mean square of the 20 ms frames within 30 dB of the loudest one: speech without its pauses."""
    num_frames = max(len(samples) // _FRAME_SAMPLES, 1)
    frames = np.resize(samples, num_frames * _FRAME_SAMPLES).reshape(num_frames, -1).astype(np.float64)
    power = (frames**2).mean(axis=1)
    return float(np.sqrt(power[power >= power.max() * 10.0 ** (-_ACTIVE_BELOW_PEAK_DB / 10.0)].mean()))


class Noise:
    """Real noises: long background recordings and sound events, each as likely as the other kind."""

    def __init__(self, files: Sequence[str], esc10_folds: Sequence[str]) -> None:
        self._kinds = [
            [
                clip.samples
                for clip in read_clips("speech_commands", "noise")
                if any(name in (clip.id, Path(clip.fields["file"]).stem) for name in files)
            ],
            [clip.samples for fold in esc10_folds for clip in read_clips("esc10", fold)],
        ]
        if len(self._kinds[0]) != len(files):
            raise ValueError(f"found {len(self._kinds[0])} of the noises {', '.join(files)}")

    def excerpt(self, num_samples: int, rng: np.random.Generator) -> Audio:
        """A random stretch, repeated where the recording is shorter; never a silent one."""
        while True:
            recordings = self._kinds[rng.integers(len(self._kinds))]
            recording = recordings[rng.integers(len(recordings))]
            begin = int(rng.integers(len(recording)))
            stretch: Audio = np.resize(np.roll(recording, -begin), num_samples)
            if np.sqrt(np.mean(stretch**2)) > 1e-4:
                return stretch


def clip_of(text: str, voice: str, condition: str, noise: Noise, cache: Path = DEFAULT_CACHE) -> Audio:
    """The text as it is played: speech with room before and after it, noise all the way through.

    The ratio is that of the speech's loud parts (``active_rms``) to the whole noise.
    """
    speech = speak(text, voice, cache)
    samples = np.pad(speech, (round(BEFORE_S * SAMPLE_RATE_HZ), round(AFTER_S * SAMPLE_RATE_HZ)))
    if condition == "clean":
        return samples
    snr_db = float(condition.removesuffix(" dB"))
    seed = hashlib.sha256(f"{text}|{voice}|{condition}".encode()).digest()
    stretch = noise.excerpt(len(samples), np.random.default_rng(int.from_bytes(seed[:8], "little")))
    gain = SPEECH_RMS / np.sqrt(np.mean(stretch**2)) * 10.0 ** (-snr_db / 20.0)
    noisy: Audio = np.clip(samples + np.float32(gain) * stretch, -1.0, 1.0)
    return noisy

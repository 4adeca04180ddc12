"""The features of a voice's recordings: computed once, kept as flat arrays, opened as memory maps.

Beside a corpus in the cache stand::

    NAME.voice.json        what they were made from, and a line a clip: phones, counts, where its frames begin
    NAME.voice.mel.npy     log-mel magnitudes, float16 (frames, num_mels)
    NAME.voice.pitch.npy   Hz, 0 where unvoiced, float32 (frames,)
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from galago.models.pitch import PitchConfig, interpolate_pitch, track_pitch
from galago.models.training.ear.align import Alignment, align_corpus, load_alignments, sound_out
from galago.models.training.ear.corpus import SAMPLE_RATE_HZ, Clip, Corpus, CorpusError, import_corpus
from galago.models.training.g2p_words import find_dictionary, read_words
from galago.models.training.options import say
from galago.models.training.sources import read_rows
from galago.models.training.voice.recipe import VoiceRecipe
from galago.models.training.voice.utterances import Utterance, utterance_of
from galago.models.voice_features import VoiceFeatureConfig, VoiceMel, frame_energy
from galago.runtime.language.voice_phones import VOICE_PHONES, encode_voice_phones

__all__ = ["Features", "Statistics", "VoiceClip", "VoiceData", "prepare"]

_FORMAT = 2  # of the files, and of the code that fills them
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """One clip, from its first frame to its last: T frames, P phones, T * hop samples."""

    phones: NDArray[np.int64]  # (P,)
    counts: NDArray[np.int64]  # (P,) frames
    log_mel: Floats  # (T, num_mels)
    pitch_hz: Floats  # (T,), without gaps
    voiced: Floats  # (T,) 0 or 1
    energy: Floats  # (T,) nats


@dataclass(frozen=True)
class VoiceClip:
    """A clip that can be learned from, and where its frames stand in the arrays."""

    corpus: Corpus
    clip: Clip
    utterance: Utterance
    begin_frame: int  # of the whole clip in the arrays of its corpus


@dataclass(frozen=True)
class Statistics:
    """Mean and deviation over the training clips: mel bands, log2 pitch of voiced frames, phone values."""

    mel: tuple[Floats, Floats]
    log2_pitch: tuple[float, float]
    phone_pitch: tuple[float, float]
    phone_energy: tuple[float, float]


def _digest(corpus: Corpus, dictionary: Path) -> str:
    """What the features of a corpus depend on, beside its name."""
    digest = hashlib.sha256()
    for path in (
        corpus.folder / f"{corpus.name}.jsonl",
        corpus.folder / f"{corpus.name}.phones.jsonl",
        dictionary,
    ):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    made_with = {"features": asdict(VoiceFeatureConfig()), "pitch": asdict(PitchConfig())}
    digest.update(json.dumps({**made_with, "phones": VOICE_PHONES, "format": _FORMAT}).encode())
    return digest.hexdigest()


def _extract(corpus: Corpus, texts: dict[str, str], dictionary_path: Path, digest: str) -> None:
    from tqdm import tqdm

    dictionary = read_words(dictionary_path)
    alignments: dict[str, Alignment] = load_alignments(corpus)
    clips = [clip for clip in corpus.clips if clip.id in alignments]
    config = VoiceFeatureConfig()
    total = sum(config.num_frames(clip.num_samples) for clip in clips)
    mels = np.empty((total, config.num_mels), dtype=np.float16)
    pitches = np.empty(total, dtype=np.float32)
    log_mel, rows, position = VoiceMel(config), [], 0
    for clip in tqdm(clips, desc=f"features {corpus.name}", unit="clip", mininterval=2.0):
        samples = corpus.pcm(clip).astype(np.float32) / np.float32(32768.0)
        with torch.no_grad():
            mel = log_mel(torch.from_numpy(samples)[None])[0]
        end = position + len(mel)
        mels[position:end], pitches[position:end] = mel.numpy(), track_pitch(samples)
        utterance = utterance_of(
            alignments[clip.id],
            clip.split,
            texts.get(clip.id, ""),
            frame_energy(mel).numpy(),
            dictionary,
        )
        rows.append({"begin_frame": position, "utterance": asdict(utterance)})
        position = end
    stem = corpus.folder / f"{corpus.name}.voice"
    for suffix, array in ((".mel.npy", mels), (".pitch.npy", pitches)):
        part = Path(f"{stem}{suffix}.part")
        with open(part, "wb") as file:
            np.save(file, array)
        os.replace(part, f"{stem}{suffix}")
    part = Path(f"{stem}.json.part")
    part.write_text(json.dumps({"format": _FORMAT, "digest": digest, "clips": rows}), encoding="utf-8")
    os.replace(part, f"{stem}.json")


def prepare(recipe: VoiceRecipe, *, root: Path, cache: Path) -> None:
    """Decode, align and measure the recipe's recordings; what is done already is only opened.

    Raises:
        CorpusError: a corpus cannot be read, or its rate is not the voice's.
        DictionaryError: there is no dictionary with stress.
    """
    assert SAMPLE_RATE_HZ == VoiceFeatureConfig().sample_rate_hz
    dictionary = find_dictionary(recipe.dictionary, root)
    for entry in recipe.corpora:
        corpus = import_corpus(root / entry.path, cache, name=entry.name)
        align_corpus(corpus, splits=(*entry.splits, "dev"), pronounce=sound_out)
        digest = _digest(corpus, dictionary)
        index = corpus.folder / f"{corpus.name}.voice.json"
        if index.is_file() and json.loads(index.read_text(encoding="utf-8")).get("digest") == digest:
            continue
        texts = {str(row["id"]): str(row.get("text") or "") for row, _ in read_rows(root / entry.path)}
        _extract(corpus, texts, dictionary, digest)
        aligned = load_alignments(corpus)
        say(f"{corpus.name}: {len(aligned)} of {len(corpus.clips)} clips aligned")


class VoiceData:
    """The clips of a recipe: ``train`` and ``dev``, their features and their samples.

    Raises:
        CorpusError: a corpus was not prepared, or leaves no clip to learn from.
    """

    def __init__(self, recipe: VoiceRecipe, root: Path, cache: Path) -> None:
        self.train: list[VoiceClip] = []
        self.dev: list[VoiceClip] = []
        self._mels: dict[str, NDArray[np.float16]] = {}
        self._pitches: dict[str, Floats] = {}
        config = VoiceFeatureConfig()
        for entry in recipe.corpora:
            corpus = import_corpus(root / entry.path, cache, name=entry.name)
            stem = cache / f"{corpus.name}.voice"
            try:
                index = json.loads(Path(f"{stem}.json").read_text(encoding="utf-8"))
                self._mels[corpus.name] = np.load(f"{stem}.mel.npy", mmap_mode="r")
                self._pitches[corpus.name] = np.load(f"{stem}.pitch.npy", mmap_mode="r")
            except (OSError, ValueError) as error:
                raise CorpusError(f"{stem}.*: no features of {corpus.name}: {error}") from error
            clips = {clip.id: clip for clip in corpus.clips}
            for row in index["clips"]:
                fields = row["utterance"]
                fields.update(phones=tuple(fields["phones"]), counts=tuple(fields["counts"]))
                utterance = Utterance(**fields)
                voice_clip = VoiceClip(corpus, clips[utterance.id], utterance, row["begin_frame"])
                if (
                    utterance.num_frames > recipe.max_clip_s * config.frame_rate_hz
                    or min(utterance.counts) < 0
                ):
                    continue
                if utterance.split in entry.splits:
                    self.train.append(voice_clip)
                elif utterance.split == "dev":
                    self.dev.append(voice_clip)
        if not self.train:
            raise CorpusError(f"recipe {recipe.name}: no aligned clip of at most {recipe.max_clip_s:g} s")

    def features(self, voice_clip: VoiceClip) -> Features:
        """What the clip looks like, from memory maps."""
        name, utterance = voice_clip.corpus.name, voice_clip.utterance
        begin = voice_clip.begin_frame + utterance.begin_frame
        frames = slice(begin, begin + utterance.num_frames)
        log_mel = np.asarray(self._mels[name][frames], dtype=np.float32)
        pitch = np.asarray(self._pitches[name][frames])
        return Features(
            np.asarray(encode_voice_phones(utterance.phones)),
            np.asarray(utterance.counts),
            log_mel,
            interpolate_pitch(pitch),
            (pitch > 0).astype(np.float32),
            frame_energy(torch.from_numpy(log_mel)).numpy(),
        )

    def samples(self, voice_clip: VoiceClip, begin: int = 0, num_frames: int | None = None) -> Floats:
        """Samples in [-1, 1] of frames from ``begin`` on, zeros past the end of the utterance."""
        hop = VoiceFeatureConfig().hop_samples
        num_frames = voice_clip.utterance.num_frames - begin if num_frames is None else num_frames
        first = (voice_clip.utterance.begin_frame + begin) * hop
        pcm = voice_clip.corpus.pcm(voice_clip.clip)[first : first + num_frames * hop]
        samples = np.zeros(num_frames * hop, dtype=np.float32)
        samples[: len(pcm)] = pcm / np.float32(32768.0)
        return samples

    def statistics(self) -> Statistics:
        """Over every training clip."""
        mels, pitches, phone_pitch, phone_energy = [], [], [], []
        for voice_clip in self.train:
            features = self.features(voice_clip)
            mels.append(features.log_mel)
            pitches.append(np.log2(features.pitch_hz[features.voiced > 0]))
            used = features.counts > 0
            phone_pitch.append(means_by_phone(np.log2(features.pitch_hz), features.counts)[used])
            phone_energy.append(means_by_phone(features.energy, features.counts)[used])
        frames = np.concatenate(mels)
        if not sum(map(len, pitches)):
            raise CorpusError("no frame of the recordings is voiced: is this speech?")
        log2_pitch, by_phone, energy = (
            (float(np.mean(x)), max(1e-3, float(np.std(x))))
            for x in (np.concatenate(pitches), np.concatenate(phone_pitch), np.concatenate(phone_energy))
        )
        return Statistics((frames.mean(0), frames.std(0).clip(0.1)), log2_pitch, by_phone, energy)


def means_by_phone(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """Mean of ``values`` (T,) over the frames of each phone, (P,); 0 for a phone without frames."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    ends = np.cumsum(counts)
    sums = total[ends] - total[ends - counts]
    means: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), 0.0).astype(np.float32)
    return means

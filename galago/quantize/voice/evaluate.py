"""What int8 costs in sound: distances of log-mel magnitudes, in nats, and durations that come out otherwise.

A nat is 8.7 dB. Distances are means of absolute differences over bands and frames, of magnitudes above
``QUIET``: below it is silence, whose logarithm says nothing. All voices get the same noise, so what differs
is the network and not chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch import Tensor

from galago.models.fastspeech import FastSpeech
from galago.models.voice_features import VoiceFeatureConfig, VoiceMel
from galago.quantize.calibration import Array, CalibrationSet
from galago.quantize.compile_openvino import compile_graph
from galago.quantize.voice.export import FRAMES, PHONES, ROWS, SAMPLES
from galago.quantize.voice.oracle import Counts, VoiceOracle, frame_counts, regulated
from galago.quantize.voice.sentences import Sentence

__all__ = ["QUIET", "ReaderCost", "SpeakerCost", "sound_costs"]

QUIET = -9.0  # natural log of a magnitude: 78 dB below a full-scale sine


def _distance(found: Tensor, wanted: Tensor) -> Tensor:
    return (found.clamp_min(QUIET) - wanted.clamp_min(QUIET)).abs().mean()


class ReaderCost:
    """Nats between what the float mel decoder draws from rows of a float and of a quantized reader."""

    def __init__(self, graph: ov.Model, model: FastSpeech, samples: CalibrationSet) -> None:
        self._model, self._samples = model, samples
        self._drawn: list[tuple[Counts, Tensor]] = []  # counts and log-mel by the float rows
        for sample, rows, frames in self._read(graph):
            counts = frame_counts(frames, [int(row) for row in sample[PHONES][0, : len(rows)]])
            self._drawn.append((counts, self._draw(rows, counts)))

    def __call__(self, graph: ov.Model) -> float:
        found = [
            float(_distance(self._draw(rows, counts), wanted))
            for (_, rows, _), (counts, wanted) in zip(self._read(graph), self._drawn, strict=True)
        ]
        return float(np.mean(found))

    def _read(self, graph: ov.Model) -> list[tuple[dict[str, Array], Array, Array]]:
        request = compile_graph(graph).create_infer_request()
        found = []
        for sample in self._samples:
            request.infer(sample)
            size = int((sample[PHONES] > 0).sum())
            rows, frames = (request.get_tensor(name).data[0, :size].copy() for name in (ROWS, FRAMES))
            found.append((sample, rows, frames))
        return found

    @torch.no_grad()
    def _draw(self, rows: Array, counts: Counts) -> Tensor:
        log_mel: Tensor = self._model.decoder(torch.from_numpy(regulated(rows, counts))[None])[0][0]
        return log_mel


class SpeakerCost:
    """Nats between the samples of a float and of a quantized speaker, chunk by chunk from the same states."""

    def __init__(self, graph: ov.Model, features: VoiceFeatureConfig, samples: CalibrationSet) -> None:
        self._log_mel, self._samples = VoiceMel(features), samples
        self._wanted = self._heard(graph)

    def __call__(self, graph: ov.Model) -> float:
        return float(_distance(self._heard(graph), self._wanted))

    @torch.no_grad()
    def _heard(self, graph: ov.Model) -> Tensor:
        request = compile_graph(graph).create_infer_request()
        chunks = []
        for sample in self._samples:
            request.infer(sample)
            chunks.append(request.get_tensor(SAMPLES).data[0].copy())
        log_mel: Tensor = self._log_mel(torch.from_numpy(np.stack(chunks)))
        return log_mel


@torch.no_grad()
def sound_costs(
    voices: Mapping[str, VoiceOracle],
    sentences: Sequence[Sentence],
    features: VoiceFeatureConfig,
    say: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """How each voice speaks sentences, beside the first voice and beside the recordings.

    Args:
        voices: "float" first, then what is packed.
        sentences: with counts and log-mel of recordings, whose durations all voices take, so that frames can
            be compared one by one.
    """
    log_mel = VoiceMel(features)
    found: dict[str, dict[str, Any]] = {}
    first: list[tuple[Tensor, Counts]] = []
    for name, voice in voices.items():
        rows: list[tuple[float, float]] = []
        moved: list[Counts] = []
        for number, sentence in enumerate(sentences):
            spoken = voice.speak(sentence.phones, counts=sentence.counts)
            heard = log_mel(torch.from_numpy(spoken.samples)[None])[0]
            own = frame_counts(voice.reader.read(sentence.phones)[1], sentence.phones)
            if len(first) == number:
                first.append((heard, own))
            wanted, counts = first[number]
            recorded = wanted if sentence.log_mel is None else torch.from_numpy(sentence.log_mel)
            rows.append((float(_distance(heard, wanted)), float(_distance(heard, recorded))))
            moved.append(np.abs(own - counts))
        steps = np.concatenate(moved)
        from_float, from_recordings = (float(np.mean(column)) for column in zip(*rows, strict=True))
        found[name] = {
            "log_mel_nats_from_float": round(from_float, 4),
            "log_mel_nats_from_recordings": round(from_recordings, 4),
            "durations_changed_percent": round(100.0 * float((steps > 0).mean()), 2),
            "mean_frames_changed": round(float(steps.mean()), 4),
            "num_sentences": len(sentences),
        }
        say(f"  {name}: {from_float:.3f} nats from float, {from_recordings:.3f} from recordings")
    return found

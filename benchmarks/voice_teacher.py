"""FastSpeech against its own autoregressive teacher, as large as it: time to the frames, and to the sound.

    python -m benchmarks.voice_teacher --run runs/voice --teacher runs/voice-teacher/teacher/model.pt

Both in PyTorch, float, one thread, with the same vocoder behind them, sentence by sentence in turns, each
drawn several times; CPU time over the length of the speech, the median over all. The teacher keeps keys and
values of its past (no frame is computed twice) and draws until it stops, or until it has as many frames as
FastSpeech where it does not. Several teachers may be named, of one frame a step as published and of more.
Beside them the bundle's own voice, the same FastSpeech in int8: text to sound in the native core, and to the
frames by its packed graphs cut in front of the vocoder (:mod:`benchmarks.packed_voice`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

import galago
from benchmarks import common
from benchmarks.packed_voice import PackedFastSpeech
from benchmarks.spoken_script import Script, phones_of_segment, script_reader
from benchmarks.torch_voices import Drawn, Student, Teacher, vocode
from benchmarks.voice_speed import read_sentences
from galago.models.training.checkpoints import load
from galago.models.training.voice.checkpoint import load_fastspeech, load_teacher, load_vocoder
from galago.models.vocoder import Vocoder
from galago.models.voice_features import VoiceFeatureConfig
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.language.voice_phones import encode_voice_phones

T = TypeVar("T")

FASTSPEECH, CORE = "FastSpeech, float", "FastSpeech, int8, native core"


def cpu_ms(work: Callable[[], T]) -> tuple[float, T]:
    """CPU time of this process while ``work`` runs, and what it gives."""
    begin_ns = time.process_time_ns()
    found = work()
    return (time.process_time_ns() - begin_ns) / 1e6, found


def measure(
    scripts: Sequence[Script],
    student: Student,
    teachers: Sequence[Teacher],
    vocoder: Vocoder,
    repeats: int,
) -> dict[str, dict[str, list[float]]]:
    """Milliseconds per second of speech, by voice: ``mel`` and ``sound`` of each sentence and repeat."""
    found: dict[str, dict[str, list[float]]] = {
        name: {"mel": [], "sound": [], "stopped": [], "speech_s": []}
        for name in (FASTSPEECH, *(teacher.name for teacher in teachers))
    }
    rate_hz = VoiceFeatureConfig().frame_rate_hz

    def record(name: str, draw: Callable[[], Drawn]) -> int:
        mel_ms, drawn = cpu_ms(draw)
        vocoder_ms, _ = cpu_ms(partial(vocode, vocoder, drawn))
        num_frames = len(drawn.phone_of_frame)
        speech_s = num_frames / rate_hz
        found[name]["mel"].append(mel_ms / speech_s)
        found[name]["sound"].append((mel_ms + vocoder_ms) / speech_s)
        found[name]["stopped"].append(float(drawn.has_stopped))
        found[name]["speech_s"].append(speech_s)
        return num_frames

    for script in common.progress(scripts, "sentences"):
        for segment in script.segments:
            phones = phones_of_segment(segment)
            num_frames = len(student.draw(phones).phone_of_frame)  # the first call of a shape is slower
            for _ in range(repeats):
                record(FASTSPEECH, partial(student.draw, phones))
                for teacher in teachers:
                    record(teacher.name, partial(teacher.draw, phones, num_frames))
    return found


def measure_packed(
    folder: Path, student: Student, scripts: Sequence[Script], repeats: int
) -> tuple[list[float], float]:
    """Milliseconds per second of speech to the frames of the bundle's voice, and how far those are off.

    Returns:
        the times, and the mean distance of its log-mel frames from those in float, in nats.
    """
    packed = PackedFastSpeech.of_bundle(folder, student.model.decoder.delay_frames)
    num_mels, rate_hz = student.model.config.num_mels, VoiceFeatureConfig().frame_rate_hz
    times, distances = [], []
    for script in scripts:
        for segment in script.segments:
            phones = phones_of_segment(segment)
            drawn = student.draw(phones)
            counts = np.bincount(np.array(drawn.phone_of_frame), minlength=len(phones))
            numbers = encode_voice_phones(phones)
            found = packed.draw(numbers, counts)[:, :num_mels]
            distances.append(float(np.abs(found - drawn.log_mel[0].numpy()).mean()))
            for _ in range(repeats):
                spent_ms, frames = cpu_ms(partial(packed.draw, numbers))
                times.append(spent_ms / (len(frames) / rate_hz))
    return times, float(np.mean(distances))


def measure_core(bundle: galago.Bundle, sentences: Sequence[str], repeats: int) -> dict[str, list[float]]:
    """The same of the bundle's voice, text to sound."""
    sound: list[float] = []
    with bundle.session() as session:
        rate_hz = session.info.speech_sample_rate_hz
        for sentence in sentences:
            session.synthesise(sentence)
            for _ in range(repeats):
                spent_ms, samples = cpu_ms(partial(session.synthesise, sentence))
                sound.append(spent_ms / (len(samples) / rate_hz))
    return {"sound": sound}


def summary(found: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, Any]]:
    """Medians by voice, and how many times FastSpeech's float voice each takes."""
    base = {stage: float(np.median(found[FASTSPEECH][stage])) for stage in ("mel", "sound")}
    numbers: dict[str, dict[str, Any]] = {}
    for name, values in found.items():
        row: dict[str, Any] = {}
        for stage in ("mel", "sound"):
            if stage in values:
                median = float(np.median(values[stage]))
                row[f"{stage}_ms"] = round(median, 3)
                row[f"{stage}_ratio"] = round(median / base[stage], 2)
        if CORE in found and name != CORE:
            for stage in ("mel", "sound"):
                own = float(np.median(found[CORE][stage]))
                row[f"{stage}_ratio_core"] = round(float(np.median(values[stage])) / own, 1)
        if "stopped" in values:
            row["stopped_percent"] = round(100.0 * float(np.mean(values["stopped"])), 1)
            row["speech_s"] = round(sum(values["speech_s"]), 1)
        numbers[name] = row
    return numbers


def main(arguments: Sequence[str] | None = None) -> None:
    made = common.parser(__doc__)
    made.add_argument("--run", type=Path, required=True, help="folder of a voice's run")
    made.add_argument("--teacher", type=Path, nargs="+", required=True, help="model.pt of each teacher")
    made.add_argument("--num-sentences", type=int, default=20, help="of benchmarks/sentences.txt, spread")
    made.add_argument("--repeats", type=int, default=3, help="of every sentence")
    args = made.parse_args(arguments)
    torch.set_num_threads(1)
    folder = find_bundle(args.bundle or "default")
    listed = sorted(read_sentences(), key=len)
    chosen = [listed[i * len(listed) // args.num_sentences] for i in range(args.num_sentences)]
    read = script_reader(folder)
    student = Student(load_fastspeech(args.run / "acoustic" / "model.pt"))
    teachers = [Teacher(load_teacher(path)) for path in args.teacher]
    vocoder = load_vocoder(args.run / "vocoder" / "model.pt")
    scripts = [read(text) for text in chosen]
    found = measure(scripts, student, teachers, vocoder, args.repeats)
    with galago.open(folder, num_threads=1, roles=("voice",)) as bundle:
        found[CORE] = measure_core(bundle, chosen, args.repeats)
    found[CORE]["mel"], distance_nats = measure_packed(folder, student, scripts, args.repeats)
    numbers = summary(found)
    numbers[CORE]["log_mel_nats_from_float"] = round(distance_nats, 3)
    numbers[FASTSPEECH]["num_parameters"] = sum(p.numel() for p in student.model.parameters())
    for teacher, path in zip(teachers, args.teacher, strict=True):
        numbers[teacher.name]["num_parameters"] = sum(p.numel() for p in teacher.model.parameters())
        numbers[teacher.name]["steps_trained"] = load(path)["step"]
    lines = [
        [name, row.get("mel_ms", ""), row.get("mel_ratio", ""), row["sound_ms"], row["sound_ratio"]]
        for name, row in numbers.items()
    ]
    print(common.table(["voice", "mel, ms/s", "times", "sound, ms/s", "times"], lines))
    row = common.make_row(
        "voice_teacher",
        numbers,
        bundle=folder,
        threads=1,
        warm_up="every sentence once",
        settings={"sentences": args.num_sentences, "repeats": args.repeats, "clock": "CPU time"},
    )
    common.finish([row], args)


if __name__ == "__main__":
    main()

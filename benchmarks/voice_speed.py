"""How fast a bundle's voice speaks: time to the first audio, and the real-time factor, one thread.

    python -m benchmarks.voice_speed --bundle my-bundle

The 50 sentences of `benchmarks/sentences.txt`, from one word to thirty, each spoken once after all were
spoken unmeasured, through `Session.speak` and `read_speech`, text to samples. Told apart:

- *first audio* (TTFA): from the call of `speak` to the first samples in the hands of the caller.
- *RTF*: time from the call to the last sample over how long the speech lasts; *CPU*: the same of CPU time.

Beside it the RTF of espeak-ng and flite (slt), where they are installed: one process that speaks all
sentences into a file, its start included.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import galago
from benchmarks import common
from galago.runtime.bundle import Bundle
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.errors import of_status
from galago.runtime.events import Failed, SpeakStop
from galago.runtime.manifest import read_manifest

SENTENCES = common.ROOT / "benchmarks" / "sentences.txt"
BLOCK_MS = 10  # of one read, as a speaker asks for
NS_PER_S = 1_000_000_000

#: Name -> command that speaks a text file into a WAV file.
PEERS: dict[str, tuple[str, ...]] = {
    "espeak-ng": ("espeak-ng", "-v", "en-us", "-f", "{text}", "-w", "{wav}"),
    "flite slt": ("flite", "-voice", "slt", "-f", "{text}", "-o", "{wav}"),
}


@dataclass(frozen=True)
class Spoken:
    """One sentence."""

    ttfa_ns: int
    wall_ns: int
    cpu_ns: int
    duration_ns: int


def read_sentences(path: Path = SENTENCES) -> list[str]:
    """A sentence a line."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def speak(session: galago.Session, text: str) -> Spoken:
    """Say one sentence in a session without a worker, to its end.

    Raises:
        GalagoError: the voice failed, or the text cannot be said.
        ValueError: it said nothing.
    """
    rate_hz = session.info.speech_sample_rate_hz
    buffer = np.empty(rate_hz * BLOCK_MS // 1000, np.float32)
    num_samples, first_ns, is_over = 0, 0, False
    cpu_ns, begin_ns = time.process_time_ns(), time.perf_counter_ns()
    session.speak(text)
    while not is_over:
        session.step()
        while num_read := session.read_speech(buffer):
            first_ns = first_ns or time.perf_counter_ns()
            num_samples += num_read
        for event in session.events():
            if isinstance(event, Failed):
                raise of_status(event.status, event.text)
            is_over = is_over or isinstance(event, SpeakStop)
    end_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns() - cpu_ns
    if not num_samples:
        raise ValueError(f"nothing was said of {text!r}")
    return Spoken(first_ns - begin_ns, end_ns - begin_ns, cpu_ns, num_samples * NS_PER_S // rate_hz)


def summary(spoken: Sequence[Spoken]) -> dict[str, Any]:
    """The numbers of all sentences."""
    duration_ns = sum(one.duration_ns for one in spoken)
    return {
        "num_sentences": len(spoken),
        "speech_s": round(duration_ns / NS_PER_S, 1),
        "ttfa_ms": common.percentiles([one.ttfa_ns / 1e6 for one in spoken], 2),
        "sentence_rtf": common.percentiles([one.wall_ns / one.duration_ns for one in spoken], 5),
        "rtf": round(sum(one.wall_ns for one in spoken) / duration_ns, 5),
        "rtf_cpu": round(sum(one.cpu_ns for one in spoken) / duration_ns, 5),
    }


def measure_peer(command: Sequence[str], sentences: Sequence[str]) -> dict[str, Any]:
    """The same of a program that speaks all of it at once.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = {"text": f"{folder}/sentences.txt", "wav": f"{folder}/speech.wav"}
        Path(paths["text"]).write_text("\n".join(sentences) + "\n", encoding="utf-8")
        before, begin_ns = _children_cpu_s(), time.perf_counter_ns()
        done = subprocess.run([word.format_map(paths) for word in command], capture_output=True, text=True)
        wall_s, cpu_s = (time.perf_counter_ns() - begin_ns) / NS_PER_S, _children_cpu_s() - before
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
        with wave.open(paths["wav"]) as file:
            speech_s = file.getnframes() / file.getframerate()
    return {
        "num_sentences": len(sentences),
        "speech_s": round(speech_s, 1),
        "rtf": round(wall_s / speech_s, 5),
        "rtf_cpu": round(cpu_s / speech_s, 5),
    }


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(bundle: Bundle, sentences: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Numbers by voice."""
    with bundle.session() as session:
        for sentence in sentences:
            speak(session, sentence)
        spoken = [speak(session, sentence) for sentence in common.progress(sentences, "sentences")]
    numbers = {"galago": summary(spoken)}
    for name, command in PEERS.items():
        if shutil.which(command[0]) is None:
            print(f"{command[0]} is not installed: no peer in this row", file=sys.stderr)
            continue
        measure_peer(command, sentences)  # its files are in memory then
        numbers[name] = measure_peer(command, sentences)
    return numbers


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine")
    parser.add_argument("--sentences", type=Path, default=SENTENCES, help="a sentence a line")
    args = parser.parse_args()
    folder, sentences = find_bundle(args.bundle or "default"), read_sentences(args.sentences)
    if read_manifest(folder).voice is None:
        raise SystemExit(f"{folder}: the bundle has no voice")
    with Bundle(folder, num_threads=args.threads, roles=("voice",)) as bundle:
        numbers, target = measure(bundle, sentences), bundle.metadata("open.target")
    row = common.make_row(
        "voice_speed",
        numbers,
        variant=target + ("" if args.sentences == SENTENCES else f"-{args.sentences.stem}"),
        bundle=folder,
        target=target,
        threads=args.threads,
        warm_up="every sentence once",
        settings={"sentences": args.sentences.name},
    )
    no_ttfa = dict.fromkeys(("p50", "p95", "p99"), "")
    lines = [
        [name, *found.get("ttfa_ms", no_ttfa).values(), f"{found['rtf']:.4f}"]
        for name, found in numbers.items()
    ]
    print(common.table(["voice", "TTFA p50, ms", "p95", "p99", "RTF"], lines))
    common.finish([row], args)


if __name__ == "__main__":
    main()

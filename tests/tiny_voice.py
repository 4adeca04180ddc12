"""A voice that a test can reason about: every phone is a sine of its own, every mark a pause.

Phone in row r of the alphabet sounds at ``BASE_HZ + STEP_HZ * r`` with amplitude `AMPLITUDE`, for
``2 + r % 3`` frames, and its phase goes on from one phone into the next; marks are silent, and those of
`MARK_FRAMES` last. Over all lies a little of the noise that the speaker is given, so that a test sees
whether it was the right noise. Pitch and energy shifts do what the manifest says: `PITCH_STD_OCTAVES` and
`ENERGY_STD_NATS` for each unit.

`spoken` is the same in numpy. The dictionary has a few words, and the g2p says a sound for each letter.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galago.quantize.voice.noise import frame_noise
from galago.runtime.language.pronunciations import build_pronunciations
from galago.runtime.language.voice_phones import MARKS, VOICE_PHONE_INDEX, VOICE_PHONES

SAMPLE_RATE_HZ, HOP_SAMPLES = 16_000, 160
ROW_WIDTH, NUM_BINS = 4, 8
DELAY_FRAMES, CHUNK_FRAMES = 3, 4
NUM_PHONES = (32, 256)  # of the two readers
NOISE_SEED = 7
BASE_HZ, STEP_HZ = 200.0, 20.0
AMPLITUDE, NOISE_AMPLITUDE = 0.25, 0.01
PITCH_STD_OCTAVES, ENERGY_STD_NATS = 0.25, 0.5
MARK_FRAMES = {"^": 2, " ": 0, ",": 5, ".": 6, "?": 6, "!": 6}

WORDS: dict[str, str] = {
    "hello": "HH AH0 L OW1",
    "world": "W ER1 L D",
    "galago": "G AH0 L EY1 G OW0",
    "i": "AY1",
    "see": "S IY1",
    "a": "AH0",
    "red": "R EH1 D",
    "apple": "AE1 P AH0 L",
    "twenty": "T W EH1 N T IY0",
    "one": "W AH1 N",
    "two": "T UW1",
    "stop": "S T AA1 P",
    "read": "R IY1 D",
    "read/past": "R EH1 D",
    "a.": "EY1",
    "b.": "B IY1",
    "c.": "S IY1",
    "d.": "D IY1",
    "e.": "IY1",
    "f.": "EH1 F",
    "g.": "JH IY1",
    "h.": "EY1 CH",
    "i.": "AY1",
    "j.": "JH EY1",
    "k.": "K EY1",
    "l.": "EH1 L",
    "m.": "EH1 M",
    "n.": "EH1 N",
    "o.": "OW1",
    "p.": "P IY1",
    "q.": "K Y UW1",
    "r.": "AA1 R",
    "s.": "EH1 S",
    "t.": "T IY1",
    "u.": "Y UW1",
    "v.": "V IY1",
    "w.": "D AH1 B AH0 L Y UW0",
    "x.": "EH1 K S",
    "y.": "W AY1",
    "z.": "Z IY1",
}
LETTER_SOUNDS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "AE1 B K D EH1 F G HH IH1 JH K L M N AA1 P K R S T AH1 V W K Y Z".split(),
        strict=True,
    )
)
GOLDEN_TEXT = "Hello, world."
GOLDEN_PHONES = ("^", *"HH AH0 L OW1 , W ER1 L D .".split())

_SPEAKER = "openvino-f32-speaker"


def add_tiny_voice(
    root: Path, changes: dict[str, Any] | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write the graphs, the dictionary, the g2p and a golden sentence; return role and golden entries."""
    (root / "voice").mkdir(parents=True, exist_ok=True)
    (root / "golden").mkdir(exist_ok=True)
    for num_phones in NUM_PHONES:
        _save(_reader_graph(num_phones), root / f"voice/reader-{num_phones}.xml")
    _save(_speaker_graph(), root / "voice/speaker.xml")
    words = {word: tuple(phones.split()) for word, phones in WORDS.items()}
    (root / "voice/pronunciations.bin").write_bytes(build_pronunciations(words))
    (root / "voice/g2p.bin").write_bytes(letter_g2p())
    (root / "golden/voice.f32").write_bytes(spoken(GOLDEN_PHONES).astype("<f4").tobytes())
    role = {
        "type": "fastspeech_streamed",
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "hop_samples": HOP_SAMPLES,
        "row_width": ROW_WIDTH,
        "num_bins": NUM_BINS,
        "delay_frames": DELAY_FRAMES,
        "chunk_frames": CHUNK_FRAMES,
        "frames_per_phone_max": 200,
        "noise_seed": NOISE_SEED,
        "pitch_std_octaves": PITCH_STD_OCTAVES,
        "energy_std_nats": ENERGY_STD_NATS,
        "phones": list(VOICE_PHONES),
        "pronunciations": "voice/pronunciations.bin",
        "g2p": "voice/g2p.bin",
        "readers": [
            {
                **_target(f"openvino-f32-{num_phones}", f"voice/reader-{num_phones}"),
                "num_phones": num_phones,
                "inputs": {name: name for name in ("phones", "pitch_shift", "energy_shift")},
                "outputs": {"rows": "rows", "frames": "frames"},
            }
            for num_phones in NUM_PHONES
        ],
        "speakers": [
            {
                **_target(_SPEAKER, "voice/speaker"),
                "inputs": {name: name for name in ("rows", "valid", "noise", "keep")},
                "outputs": {"samples": "samples"},
            }
        ],
        **(changes or {}),
    }
    golden = {
        "role": "voice",
        "target": _SPEAKER,
        "text": GOLDEN_TEXT,
        "phones": list(GOLDEN_PHONES),
        "frames": frames_of(GOLDEN_PHONES),
        "samples": "golden/voice.f32",
        "tolerance": 0.05,
    }
    return role, [golden]


def _target(name: str, stem: str) -> dict[str, Any]:
    return {
        "name": name,
        "engine": "openvino",
        "dtype": "f32",
        "model": f"{stem}.xml",
        "weights": f"{stem}.bin",
        "inference_precision": "f32",
        "measured": {"board": "any"},
    }


def frames_of(phones: Sequence[str]) -> list[int]:
    """How long each phone or mark lasts, as the reader says."""
    return [MARK_FRAMES.get(phone, 2 + VOICE_PHONE_INDEX[phone] % 3) for phone in phones]


def spoken(
    phones: Sequence[str],
    frames: Sequence[int] | None = None,
    *,
    pitch_shift: float = 0.0,
    energy_shift: float = 0.0,
) -> npt.NDArray[np.float64]:
    """The samples of a sentence, (sum(frames) * HOP_SAMPLES,); `frames` are the reader's by default."""
    counts = frames_of(phones) if frames is None else list(frames)
    rows = np.repeat([VOICE_PHONE_INDEX[phone] for phone in phones], counts)
    is_sound = rows > len(MARKS)
    hz = np.where(is_sound, (BASE_HZ + STEP_HZ * rows) * 2.0 ** (PITCH_STD_OCTAVES * pitch_shift), 0.0)
    cycles = np.concatenate([[0.0], np.cumsum(np.repeat(hz, HOP_SAMPLES) / SAMPLE_RATE_HZ)[:-1]])
    amplitude = AMPLITUDE * np.exp(ENERGY_STD_NATS * energy_shift) * np.repeat(is_sound, HOP_SAMPLES)
    noise = frame_noise(DELAY_FRAMES, len(rows), NUM_BINS, NOISE_SEED).astype(np.float64)
    breath = NOISE_AMPLITUDE * (np.repeat(noise.reshape(-1), HOP_SAMPLES // NUM_BINS) - 0.5)
    return np.asarray(amplitude * np.sin(2 * np.pi * cycles) + breath)


def letter_g2p() -> bytes:
    """A g2p file that says `LETTER_SOUNDS`: its one block adds nothing, its head looks each letter up."""
    phones = VOICE_PHONES[1 + len(MARKS) :]
    width = num_symbols = 30  # nothing, two boundary marks, a to z, the apostrophe
    num_labels, first_letter, feed_forward, kernel, max_distance = 1 + len(phones), 3, 1, 1, 1
    names = "".join(phone + "\n" for phone in phones).encode()
    header = struct.pack(
        "<4s12I", b"GG2P", 1, num_symbols, width, 1, 1, feed_forward, kernel, max_distance, 1, 0,
        len(phones), len(names),
    )  # fmt: skip
    head = np.zeros((width, num_labels), np.int8)
    for symbol in range(width):
        letter = chr(ord("a") + symbol - first_letter)
        sound = LETTER_SOUNDS.get(letter) if symbol >= first_letter else None
        head[symbol, 0 if sound is None else 1 + phones.index(sound)] = 1

    def f32(count: int, value: float) -> bytes:
        return np.full(count, value, "<f4").tobytes()

    def norm() -> bytes:
        return f32(width, 1.0) + f32(width, 0.0)

    def linear(weights: npt.NDArray[np.int8]) -> bytes:
        num_out = weights.shape[1]
        return f32(num_out, 1.0) + f32(num_out, 0.0) + weights.tobytes()

    def nothing(num_in: int, num_out: int) -> bytes:
        return linear(np.zeros((num_in, num_out), np.int8))

    return b"".join(
        [
            header, names,
            f32(num_symbols, 1.0), np.eye(num_symbols, width, dtype=np.int8).tobytes(),
            norm(), nothing(width, 3 * width), nothing(width, width), f32(2 * max_distance + 1, 0.0),
            norm(), f32(kernel * width, 0.0), f32(width, 0.0),
            norm(), nothing(width, feed_forward), nothing(feed_forward, width),
            norm(), linear(head), nothing(num_labels, width),
        ]
    )  # fmt: skip


def _reader_graph(num_phones: int) -> Any:
    from openvino import opset13 as ops

    shape = [1, num_phones]
    phones, pitch_shift, energy_shift = (
        ops.parameter(shape, np.float32, name=name) for name in ("phones", "pitch_shift", "energy_shift")
    )
    index = np.arange(len(VOICE_PHONES))
    is_sound = (index > len(MARKS)).astype(np.float32)
    frames = np.array([0, *frames_of(VOICE_PHONES[1:])], np.float32)
    row = ops.convert(phones, "i32")

    def of_phone(table: npt.NDArray[np.floating[Any]]) -> Any:
        return ops.gather(ops.constant(table.astype(np.float32)), row, ops.constant(0))

    def raised(base: float, exponent: Any) -> Any:
        return ops.exp(ops.multiply(exponent, np.float32(np.log(base))))

    hz = ops.multiply(
        of_phone((BASE_HZ + STEP_HZ * index) * is_sound), raised(2.0**PITCH_STD_OCTAVES, pitch_shift)
    )
    amplitude = ops.multiply(
        of_phone(AMPLITUDE * is_sound), raised(float(np.exp(ENERGY_STD_NATS)), energy_shift)
    )
    last = ops.constant(np.array([2]))
    columns = (hz, amplitude, of_phone(is_sound), of_phone(frames))
    rows = ops.concat([ops.unsqueeze(column, last) for column in columns], 2)
    return _model({"rows": rows, "frames": of_phone(frames)}, [phones, pitch_shift, energy_shift])


def _speaker_graph() -> Any:
    from openvino import opset13 as ops

    T, D, C = CHUNK_FRAMES, DELAY_FRAMES, ROW_WIDTH
    rows = ops.parameter([1, T, C], np.float32, name="rows")
    valid = ops.parameter([1, T], np.float32, name="valid")
    noise = ops.parameter([1, T, NUM_BINS], np.float32, name="noise")
    keep = ops.parameter([1], np.float32, name="keep")
    kept = ops.reshape(keep, np.array([1, 1, 1]), False)

    def state(name: str, shape: list[int]) -> tuple[Any, Any]:
        read = ops.read_value(ops.constant(np.zeros(shape, np.float32)), name, np.float32, shape)
        return read, ops.multiply(read, kept)

    def part(value: Any, begin: int, end: int, axis: int) -> Any:
        bounds = (ops.constant(np.array([number])) for number in (begin, end, 1))
        return ops.slice(value, *bounds, ops.constant(np.array([axis])))

    _, before = state("before", [1, D, C + 1])
    _, phase = state("phase", [1, 1, 1])
    arrived = ops.concat([rows, ops.unsqueeze(valid, ops.constant(np.array([2])))], 2)
    frames = ops.concat([before, arrived], 1)  # (1, D + T, C + 1)
    now = part(frames, 0, T, 1)
    hz, amplitude, spoken_now = part(now, 0, 1, 2), part(now, 1, 2, 2), part(now, C, C + 1, 2)

    steps = ops.multiply(hz, np.float32(HOP_SAMPLES / SAMPLE_RATE_HZ))
    total = ops.add(ops.cum_sum(steps, ops.constant(1)), phase)
    begins = ops.concat([phase, part(total, 0, T - 1, 1)], 1)  # (1, T, 1) cycles where each frame begins
    last = part(total, T - 1, T, 1)
    next_phase = ops.subtract(last, ops.floor(last))
    seconds = (np.arange(HOP_SAMPLES) / SAMPLE_RATE_HZ).astype(np.float32)[None, None]
    cycles = ops.add(begins, ops.multiply(hz, ops.constant(seconds)))  # (1, T, HOP)
    sine = ops.multiply(amplitude, ops.sin(ops.multiply(cycles, np.float32(2 * np.pi))))
    ones = ops.constant(np.ones((1, 1, 1, HOP_SAMPLES // NUM_BINS), np.float32))
    spread = ops.multiply(ops.unsqueeze(noise, ops.constant(np.array([3]))), ones)
    breath = ops.reshape(spread, np.array([1, T, HOP_SAMPLES]), False)
    breath = ops.multiply(ops.subtract(breath, np.float32(0.5)), np.float32(NOISE_AMPLITUDE))
    samples = ops.reshape(
        ops.multiply(ops.add(sine, breath), spoken_now), np.array([1, T * HOP_SAMPLES]), False
    )
    assigns = [ops.assign(part(frames, T, T + D, 1), "before"), ops.assign(next_phase, "phase")]
    return _model({"samples": samples}, [rows, valid, noise, keep], assigns)


def _model(outputs: dict[str, Any], inputs: list[Any], sinks: Sequence[Any] = ()) -> Any:
    import openvino as ov
    from openvino import opset13 as ops

    results = []
    for name, node in outputs.items():
        node.output(0).get_tensor().set_names({name})
        results.append(ops.result(node, name=f"{name}/result"))
    for parameter in inputs:
        parameter.output(0).get_tensor().set_names({parameter.get_friendly_name()})
    model = ov.Model(results, list(sinks), inputs, "tiny_voice")
    for number, node in enumerate(model.get_ordered_ops()):  # automatic names count up within a process
        if node not in inputs:
            node.set_friendly_name(f"{node.get_type_name()}_{number}")
    return model


def _save(model: Any, path: Path) -> None:
    import openvino as ov

    ov.save_model(model, path, compress_to_fp16=False)

"""A bundle whose ear is a tone detector: small, exact, and made in a moment.

Tests need a model that hears what the test says.  This one hears *chords*: every phone and every character is
a pair of tones, one from a low group and one from a high group, and four groups lie apart on the mel axis::

    mel bin   20 ........ 32 | 36 ....... 46 | 50 ......... 60 | 64 ....... 72
              phone, low (7)   phone, high (6)   character, low (6)   character, high (5)

Phone number ``p`` (1..39) is low tone ``(p-1) // 6`` with high tone ``(p-1) % 6``; character ``c`` (1..28) is
low tone ``(c-1) // 5`` with high tone ``(c-1) % 5``.  A phone and a character may sound at once, so the two
heads can be told different things.  With no chord the ear hears SIL and blank, under white noise of up to
about 0.05 RMS.

The graph is a real streaming graph: stateful, with `keep`, fixed shapes, log-softmax inside.  Its receptive
field is two tokens (the state holds what came before the chunk), and `lookahead_tokens` delays the outputs as
the contract says.

    >>> bundle = make_tiny_bundle(folder)                       # doctest: +SKIP
    >>> samples = synthesise(["turn", "on"])                    # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 16000
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
FFT_SIZE = 512
NUM_MELS = 80
LOG_FLOOR = 1.1920929e-07
SUBSAMPLING_FACTOR = 4
TOKEN_SAMPLES = SUBSAMPLING_FACTOR * HOP_SAMPLES  # 640 samples = 40 ms

PHONES = (
    "SIL AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
).split()
TOKENS = ["<blank>", " ", "'", *"abcdefghijklmnopqrstuvwxyz"]

#: Words that the helpers can say.  Other words: pass their phones.
PRONUNCIATIONS: dict[str, str] = {
    "turn": "T ER N",
    "switch": "S W IH CH",
    "on": "AA N",
    "off": "AO F",
    "the": "DH AH",
    "light": "L AY T",
    "lamp": "L AE M P",
    "fan": "F AE N",
    "red": "R EH D",
    "green": "G R IY N",
    "stop": "S T AA P",
    "go": "G OW",
    "hello": "HH AH L OW",
    "galago": "G AH L AA G OW",
    "kitchen": "K IH CH AH N",
    "set": "S EH T",
    "to": "T UW",
    "one": "W AH N",
    "two": "T UW",
    "three": "TH R IY",
}

_PHONE_LOW_MELS = tuple(range(20, 34, 2))  # 7 tones
_PHONE_HIGH_MELS = tuple(range(36, 48, 2))  # 6 tones
_CHAR_LOW_MELS = tuple(range(50, 62, 2))  # 6 tones
_CHAR_HIGH_MELS = tuple(range(64, 74, 2))  # 5 tones

_TONE_AMPLITUDE = 0.15
_THRESHOLD = 1.0  # log mel energy from which a tone counts as there
_STEEPNESS = 2.0
_GAIN = 14.0  # nats between a chord with one tone and one with two
_NOW, _BEFORE = 0.9, 0.1  # weights of this token and the one before it


def make_tiny_bundle(
    folder: Path | str,
    *,
    chunk_tokens: int | Sequence[int] = 8,
    lookahead_tokens: int = 0,
    changes: Mapping[str, Any] | None = None,
    eye: bool = False,
    ear: bool = True,
    voice: bool = False,
    second_pass: bool = False,
) -> Path:
    """Write the bundle into `folder` (made if needed) and return the folder.

    Args:
        folder: Where the bundle goes; files of the same names are replaced.
        chunk_tokens: Tokens (of 40 ms) in a step; several make one target each, in this order.
        lookahead_tokens: Tokens by which the outputs are delayed.
        changes: Keys of ``roles.ear`` to replace, e.g. ``{"endpoint": {...}}``.
        eye: With the eye of `tests.tiny_eye` too.
        ear: False: without the ear, so that nothing hears.
        voice: With the voice of `tests.tiny_voice` too.
        second_pass: With the second network of `tests.tiny_second_pass` too.
    """
    root = Path(folder)
    (root / "ear").mkdir(parents=True, exist_ok=True)
    (root / "golden").mkdir(exist_ok=True)
    sizes = [chunk_tokens] if isinstance(chunk_tokens, int) else list(chunk_tokens)

    text = "turn on the light"
    audio = synthesise(text.split(), num_samples=4 * SAMPLE_RATE_HZ)
    _write(root / "golden/audio.f32", audio)

    targets: list[dict[str, Any]] = []
    golden: list[dict[str, Any]] = []
    for size in sizes:
        name = f"openvino-f32-chunk{size}"
        stem = f"ear/f32-chunk{size}"
        model = _save_graph(root / f"{stem}.xml", size, lookahead_tokens)
        phones, tokens = run_graph(model, audio, chunk_tokens=size, lookahead_tokens=lookahead_tokens)
        _write(root / f"golden/chunk{size}.phones.f32", phones)
        _write(root / f"golden/chunk{size}.tokens.f32", tokens)
        targets.append(
            {
                "name": name,
                "engine": "openvino",
                "dtype": "f32",
                "model": f"{stem}.xml",
                "weights": f"{stem}.bin",
                "inference_precision": "f32",
                "stateful": True,
                "chunk_tokens": size,
                "chunk_frames": size * SUBSAMPLING_FACTOR,
                "left_context_tokens": 1,
                "lookahead_tokens": lookahead_tokens,
                "inputs": {"features": "features", "keep": "keep"},
                "outputs": {"phone_log_probs": "phone_log_probs", "token_log_probs": "token_log_probs"},
                "states": [{"name": "before", "shape": [1, 1 + lookahead_tokens, NUM_MELS], "dtype": "f32"}],
                "measured": {"step_ms_p50": 0.1, "board": "any"},
            }
        )
        golden.append(
            {
                "role": "ear",
                "target": name,
                "audio": "golden/audio.f32",
                "num_samples": len(audio),
                "phone_log_probs": f"golden/chunk{size}.phones.f32",
                "token_log_probs": f"golden/chunk{size}.tokens.f32",
                "num_tokens": len(phones),
                "tolerance": 0.01,
                "text": text,
            }
        )

    ear_role: dict[str, Any] = {
        "type": "streaming_ctc",
        "features": {
            "type": "kaldi_log_mel",
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "window_samples": WINDOW_SAMPLES,
            "hop_samples": HOP_SAMPLES,
            "fft_size": FFT_SIZE,
            "num_mels": NUM_MELS,
            "low_hz": 20.0,
            "high_hz": 8000.0,
            "preemphasis": 0.97,
            "log_floor": LOG_FLOOR,
        },
        "subsampling_factor": SUBSAMPLING_FACTOR,
        "tokens": TOKENS,
        "phones": PHONES,
        "phone_log_priors": [round(float(np.log(1 / len(PHONES))), 6)] * len(PHONES),
        "targets": targets,
        "decoding": {"method": "greedy", "beam_width": 8, "hotword_boost": 2.0},
        "voice_activity": {
            "start_probability": 0.6,
            "stop_probability": 0.35,
            "start_ms": 80,
            "padding_ms": 200,
        },
        "endpoint": {"silence_ms": 600, "max_utterance_ms": 20000},
        "grammar": {
            "prior_scale": 0.3,
            "accept_mean": -1.0,
            "accept_worst_word": -2.5,
            "phrase_threshold": -1.0,
        },
        **(changes or {}),
    }
    if second_pass:
        from tests.tiny_second_pass import add_tiny_second_pass  # not found where this file is a program

        ear_role["second_pass"], golden_second = add_tiny_second_pass(root, audio)
        golden += golden_second
    roles: dict[str, Any] = {"ear": ear_role}
    if eye:
        from tests.tiny_eye import add_tiny_eye  # not found where this file is run as a program

        roles["eye"], golden_images = add_tiny_eye(root)
        golden += golden_images
    if voice:
        from tests.tiny_voice import add_tiny_voice

        roles["voice"], golden_speech = add_tiny_voice(root)
        golden += golden_speech
    if not ear:
        del roles["ear"]
        shutil.rmtree(root / "ear")
        golden = [entry for entry in golden if entry["role"] != "ear"]
        for path in (root / "golden").glob("*"):
            if not path.name.startswith(("image.", "voice.")):
                path.unlink()
    manifest = {
        "schema_version": 1,
        "name": "galago-tiny",
        "version": "0.1.0",
        "license": "Apache-2.0",
        "languages": ["en-US"],
        "description": "Hears chords: for tests only.",
        "files": {},
        "roles": roles,
        "golden": golden,
    }
    write_manifest(root, manifest)
    return root


def write_manifest(folder: Path | str, manifest: dict[str, Any]) -> None:
    """Write manifest.json with the size and SHA-256 of every other file of the folder."""
    root = Path(folder)
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path != root / "manifest.json":
            content = path.read_bytes()
            files[path.relative_to(root).as_posix()] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_bytes": len(content),
            }
    manifest["files"] = files
    (root / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def synthesise(
    words: Sequence[str | tuple[str, str]],
    *,
    lead_ms: int = 400,
    pause_ms: int = 0,
    tail_ms: int = 1000,
    num_samples: int | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> npt.NDArray[np.float32]:
    """Audio that the tiny ear hears as these words: float32 mono at 16 kHz, shape (num_samples,).

    Args:
        words: Spellings out of `PRONUNCIATIONS`, or pairs (spelling, "P HH ON EH Z").  An empty spelling
            leaves the character head silent; empty phones leave the phone head silent.
        lead_ms: Silence before the first word.
        pause_ms: Silence between words (none by default: words follow each other, as in running speech).
        tail_ms: Silence after the last word.
        num_samples: Pad with silence, or cut, to this length.
        noise: RMS of white noise over the whole.
        seed: Of that noise.
    """
    phone_track: list[int] = []  # one entry a token
    char_track: list[int] = []

    def rest(duration_ms: int) -> None:
        num_tokens = -(-duration_ms * SAMPLE_RATE_HZ // 1000 // TOKEN_SAMPLES)
        phone_track.extend([0] * num_tokens)
        char_track.extend([0] * num_tokens)

    rest(lead_ms)
    for i, word in enumerate(words):
        spelling, phones = word if isinstance(word, tuple) else (word, PRONUNCIATIONS[word])
        if i:
            rest(pause_ms)
        # The word break is a character too: it sounds with the first phone of the next word.
        letters = [TOKENS.index(c) for c in (" " if i and spelling else "") + spelling]
        chars = [c for letter in letters for c in (letter, letter, 0)]  # a blank between letters
        numbers = [PHONES.index(p) for p in phones.split()]
        length = max(len(chars), 3 * len(numbers), 1)
        for t in range(length):
            char_track.append(chars[t] if t < len(chars) else 0)
            # Phones share the word evenly: no gap, as in speech.
            phone_track.append(numbers[t * len(numbers) // length] if numbers else 0)
    rest(tail_ms)

    samples = np.zeros(len(phone_track) * TOKEN_SAMPLES, dtype=np.float64)
    for track, low, high, per_row in (
        (phone_track, _PHONE_LOW_MELS, _PHONE_HIGH_MELS, len(_PHONE_HIGH_MELS)),
        (char_track, _CHAR_LOW_MELS, _CHAR_HIGH_MELS, len(_CHAR_HIGH_MELS)),
    ):
        for begin, end, symbol in _runs(track):
            if symbol:
                row, column = divmod(symbol - 1, per_row)
                span = slice(begin * TOKEN_SAMPLES, end * TOKEN_SAMPLES)
                samples[span] += _tone(low[row], span) + _tone(high[column], span)
    if num_samples is not None:
        samples = np.pad(samples, (0, max(0, num_samples - len(samples))))[:num_samples]
    if noise:
        samples += np.random.default_rng(seed).normal(0.0, noise, len(samples))
    return samples.astype(np.float32)


def log_mel(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Kaldi-compatible log-mel of whole windows (snip_edges), shape (num_frames, 80)."""
    num_frames = max(0, 1 + (len(samples) - WINDOW_SAMPLES) // HOP_SAMPLES)
    index = np.arange(num_frames)[:, None] * HOP_SAMPLES + np.arange(WINDOW_SAMPLES)
    windows = samples.astype(np.float64)[index]  # (num_frames, 400)
    windows -= windows.mean(axis=1, keepdims=True)
    shifted = np.concatenate([windows[:, :1], windows[:, :-1]], axis=1)
    windows = windows - 0.97 * shifted
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / (WINDOW_SAMPLES - 1))
    power = np.abs(np.fft.rfft(windows * hann**0.85, FFT_SIZE)) ** 2  # (num_frames, 257)
    energies = power[:, : FFT_SIZE // 2] @ _mel_filters().T
    return np.log(np.maximum(energies, LOG_FLOOR)).astype(np.float32)


def run_graph(
    model: Any, samples: npt.NDArray[np.float32], *, chunk_tokens: int, lookahead_tokens: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Log-probabilities of the phone head and of the character head over a whole stream, chunk by chunk.

    The tail is zero samples up to a whole chunk, as at the end of input.  `model` is an ``openvino.Model``.
    """
    import openvino as ov

    compiled = ov.Core().compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    )
    request = compiled.create_infer_request()
    chunk_samples = chunk_tokens * TOKEN_SAMPLES
    context = WINDOW_SAMPLES - HOP_SAMPLES  # a chunk needs 240 samples of the next one
    num_tokens = -(-len(samples) // TOKEN_SAMPLES)
    num_chunks = -(-(num_tokens + lookahead_tokens) // chunk_tokens)
    padded = np.zeros(num_chunks * chunk_samples + context, dtype=np.float32)
    padded[: len(samples)] = samples
    phone_rows, token_rows = [], []
    for i in range(num_chunks):
        features = log_mel(padded[i * chunk_samples : (i + 1) * chunk_samples + context])
        keep = np.array([1.0 if i else 0.0], dtype=np.float32)
        outputs = request.infer({"features": features[None], "keep": keep})
        phone_rows.append(outputs["phone_log_probs"][0].copy())
        token_rows.append(outputs["token_log_probs"][0].copy())
    keep_rows = slice(lookahead_tokens, lookahead_tokens + num_tokens)
    return np.concatenate(phone_rows)[keep_rows], np.concatenate(token_rows)[keep_rows]


def _save_graph(path: Path, chunk_tokens: int, lookahead_tokens: int) -> Any:
    """Build the streaming graph, save it beside its weights, return the ``openvino.Model``."""
    import openvino as ov
    from openvino import opset13 as ops

    depth = 1 + lookahead_tokens  # tokens the state holds
    chunk_frames = chunk_tokens * SUBSAMPLING_FACTOR
    f32 = np.float32

    features = ops.parameter([1, chunk_frames, NUM_MELS], f32, name="features")
    keep = ops.parameter([1], f32, name="keep")

    # A frame's tone detectors, then their mean over the frames of a token: (1, chunk_tokens, 80).
    level = ops.multiply(ops.subtract(features, f32(_THRESHOLD)), f32(_STEEPNESS))
    by_token = np.array([1, chunk_tokens, SUBSAMPLING_FACTOR, NUM_MELS])
    grouped = ops.reshape(ops.sigmoid(level), by_token, False)
    tones = ops.reduce_mean(grouped, np.array([2]), False)

    zeros = ops.constant(np.zeros((1, depth, NUM_MELS), f32))
    before = ops.read_value(zeros, "before", f32, [1, depth, NUM_MELS])
    kept = ops.multiply(before, ops.reshape(keep, np.array([1, 1, 1]), False))
    joined = ops.concat([kept, tones], 1)  # (1, depth + chunk_tokens, 80)
    axis, step = np.array([1]), np.array([1])
    now = ops.slice(joined, np.array([1]), np.array([1 + chunk_tokens]), step, axis)
    previous = ops.slice(joined, np.array([0]), np.array([chunk_tokens]), step, axis)
    after = ops.slice(joined, np.array([chunk_tokens]), np.array([chunk_tokens + depth]), step, axis)
    assign = ops.assign(after, "before")
    heard = ops.add(ops.multiply(now, f32(_NOW)), ops.multiply(previous, f32(_BEFORE)))

    results = []
    for name, weight, bias in (
        ("phone_log_probs", *_head(len(PHONES), _PHONE_LOW_MELS, _PHONE_HIGH_MELS)),
        ("token_log_probs", *_head(len(TOKENS), _CHAR_LOW_MELS, _CHAR_HIGH_MELS)),
    ):
        logits = ops.add(ops.matmul(heard, ops.constant(weight), False, False), ops.constant(bias))
        log_probs = ops.log_softmax(logits, 2)
        log_probs.output(0).get_tensor().set_names({name})
        results.append(ops.result(log_probs, name=f"{name}/result"))
    for parameter in (features, keep):
        parameter.output(0).get_tensor().set_names({parameter.get_friendly_name()})

    model = ov.Model(results, [assign], [features, keep], "tiny_ear")
    # Automatic names count up within a process; ours make two runs write the same bytes.
    for number, node in enumerate(model.get_ordered_ops()):
        if node not in (features, keep):
            node.set_friendly_name(f"{node.get_type_name()}_{number}")
    ov.save_model(model, path, compress_to_fp16=False)
    return model


def _head(
    num_classes: int, low: Sequence[int], high: Sequence[int]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weight (80, num_classes) and bias (num_classes,): class 0 scores 0, others need both their tones."""
    weight = np.zeros((NUM_MELS, num_classes), dtype=np.float32)
    bias = np.full(num_classes, -1.4 * _GAIN, dtype=np.float32)
    bias[0] = 0.0
    for symbol in range(1, num_classes):
        row, column = divmod(symbol - 1, len(high))
        weight[low[row], symbol] = _GAIN
        weight[high[column], symbol] = _GAIN
    return weight, bias


def _mel(hz: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hz) / 700.0))


def _mel_edges() -> npt.NDArray[np.float64]:
    return np.linspace(_mel(20.0), _mel(8000.0), NUM_MELS + 2)


def _mel_filters() -> npt.NDArray[np.float64]:
    """Triangles in the mel domain over FFT bins 0..255, shape (80, 256)."""
    edges = _mel_edges()
    bins = _mel(np.arange(FFT_SIZE // 2) * SAMPLE_RATE_HZ / FFT_SIZE)
    left, centre, right = (edges[i : i + NUM_MELS, None] for i in range(3))
    return np.maximum(0.0, np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)))


def _tone(mel_bin: int, span: slice) -> npt.NDArray[np.float64]:
    """The tone in the middle of a mel bin, with 5 ms ramps that keep it within its bin."""
    hz = 700.0 * np.expm1(_mel_edges()[mel_bin + 1] / 1127.0)
    time = np.arange(span.start, span.stop) / SAMPLE_RATE_HZ
    ramp = np.minimum(1.0, np.minimum(time - time[0], time[-1] - time) / 0.005)
    return np.asarray(_TONE_AMPLITUDE * ramp * np.sin(2 * np.pi * hz * time))


def _runs(track: Sequence[int]) -> list[tuple[int, int, int]]:
    """(begin, end, symbol) of every stretch of equal symbols."""
    runs: list[tuple[int, int, int]] = []
    for t, symbol in enumerate(track):
        if runs and runs[-1][2] == symbol:
            runs[-1] = (runs[-1][0], t + 1, symbol)
        else:
            runs.append((t, t + 1, symbol))
    return runs


def _write(path: Path, values: npt.NDArray[np.float32]) -> None:
    path.write_bytes(np.ascontiguousarray(values, dtype="<f4").tobytes())


if __name__ == "__main__":
    import sys

    print(make_tiny_bundle(sys.argv[1] if len(sys.argv) > 1 else "tiny-bundle", chunk_tokens=(8, 4, 16)))

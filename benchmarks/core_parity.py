"""The native core against a Python oracle of the same bundle: log-probabilities and text, clip by clip.

The oracle shares nothing with the core but the graph: kaldi-native-fbank, OpenVINO's Python API, greedy
CTC in numpy. Its own *noise floor* stands beside each difference: how far its outputs move when 1e-6 is
added to its features. In fp32 that is rounding; in int8 a value on the edge of two levels falls to the
other side, so the floor is as large as a level, and no two implementations can be nearer than that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import galago
from benchmarks import common
from benchmarks.corpora import Audio
from benchmarks.hearing import only_target, running_target
from benchmarks.onnx_peer import GreedyText, StreamingFeatures
from galago.runtime.manifest_ear import Target

if TYPE_CHECKING:
    from galago.models.conformer import Conformer

Array = NDArray[np.float32]
LogProbs = tuple[Array, Array]  # of phones (T, 40) and of tokens (T, 29)

HOP_SAMPLES, TOKEN_SAMPLES = 160, 640
WINDOW_TAIL_SAMPLES = 400 - HOP_SAMPLES  # a chunk's last frame reaches this far into the next chunk
FEATURE_NOISE = 1e-6


def run_stateful(compiled: Any, chunks: Sequence[Array]) -> LogProbs:
    """A compiled stateful graph in OpenVINO's Python API, chunk by chunk (chunk_frames, 80)."""
    request = compiled.create_infer_request()
    phones, tokens = [], []
    for index, chunk in enumerate(chunks):
        keep = np.array([1.0 if index else 0.0], np.float32)
        found = request.infer({"features": chunk[None], "keep": keep})
        phones.append(found["phone_log_probs"][0].copy())
        tokens.append(found["token_log_probs"][0].copy())
    return np.concatenate(phones), np.concatenate(tokens)


def largest_difference(found: LogProbs, expected: LogProbs, delay_tokens: int = 0) -> dict[str, float]:
    """Per head. Row j of ``found`` belongs to token j - delay; what came before the stream is dropped.

    Raises:
        ValueError: a head has no rows to compare.
    """
    differences = {}
    for name, a, b in zip(("phones", "tokens"), found, expected, strict=True):
        late = a[delay_tokens:]
        rows = min(len(late), len(b))
        if rows == 0:
            raise ValueError(f"{name}: no rows to compare ({len(a)} found, {len(b)} expected)")
        differences[name] = float(np.abs(late[:rows] - b[:rows]).max())
    return differences


class Oracle:
    """A target of a bundle without galago's core."""

    def __init__(self, folder: Path, target: Target) -> None:
        import openvino as ov

        core = ov.Core()
        model = core.read_model(folder / target.model, folder / target.weights if target.weights else None)
        precision = {"INFERENCE_PRECISION_HINT": target.inference_precision or "f32"}
        self._compiled = core.compile_model(model, "CPU", {**precision, "INFERENCE_NUM_THREADS": 1})
        self._target = target

    def chunks(self, samples: Audio) -> list[Array]:
        """Features of a clip; zero samples fill its last chunk and the lookahead."""
        frames, delay_samples = self._target.chunk_frames, self._target.lookahead_tokens * TOKEN_SAMPLES
        num_chunks = -(-(len(samples) + delay_samples) // (frames * HOP_SAMPLES))
        padded = np.zeros(num_chunks * frames * HOP_SAMPLES + WINDOW_TAIL_SAMPLES, np.float32)
        padded[: len(samples)] = samples
        features = StreamingFeatures()
        features.push(padded)
        return [chunk for _ in range(num_chunks) if (chunk := features.pop(frames)) is not None]

    def hear(self, chunks: Sequence[Array]) -> LogProbs:
        """Row j belongs to token j: the delay of a lookahead is taken out here."""
        phones, tokens = run_stateful(self._compiled, chunks)
        delay = self._target.lookahead_tokens
        return phones[delay:], tokens[delay:]


def hear_natively(session: galago.Session, samples: Audio) -> tuple[LogProbs, str]:
    """Log-probabilities of a clip from the core, and the texts of its finals."""
    phones, tokens, texts = [], [], []
    for event in session.run(samples):
        if isinstance(event, galago.Posteriors):
            phones.append(event.phone_log_probs)
            tokens.append(event.token_log_probs)
        elif isinstance(event, galago.Final):
            texts.append(event.text)
    return (np.concatenate(phones), np.concatenate(tokens)), " ".join(texts)


@dataclass
class CoreParity:
    """What was found over clips."""

    largest: dict[str, float] = field(default_factory=lambda: {"phones": 0.0, "tokens": 0.0})
    floor: dict[str, float] = field(default_factory=lambda: {"phones": 0.0, "tokens": 0.0})
    num_rows: int = 0
    num_clips: int = 0
    num_same_text: int = 0

    def numbers(self) -> dict[str, Any]:
        counts = {"num_rows": self.num_rows, "num_clips": self.num_clips, "num_same_text": self.num_same_text}
        return {**self.largest, **counts, "noise_floor": dict(self.floor)}


def compare(bundle: galago.Bundle, clips: Sequence[Audio]) -> CoreParity:
    """Hear clips in the core and in the oracle of the target that the bundle runs.

    Raises:
        ValueError: the bundle has no ear.
    """
    ear = bundle.manifest.ear
    if ear is None:
        raise ValueError(f"{bundle.folder}: the bundle has no ear")
    target = next(t for t in ear.targets if t.name == running_target(bundle))
    oracle, found = Oracle(bundle.folder, target), CoreParity()
    rng = np.random.default_rng(5)
    with bundle.session(greedy=True, one_pass=True, posteriors=True, partials=False) as session:
        for samples in common.progress(clips, "clips"):
            chunks = oracle.chunks(samples)
            noisy = [c + rng.normal(0.0, FEATURE_NOISE, c.shape).astype(np.float32) for c in chunks]
            expected, (native, text) = oracle.hear(chunks), hear_natively(session, samples)
            _keep_larger(found.largest, largest_difference(native, expected))
            _keep_larger(found.floor, largest_difference(oracle.hear(noisy), expected))
            greedy = GreedyText(ear.tokens)
            greedy.advance(expected[1])
            found.num_rows += len(native[0])
            found.num_clips += 1
            found.num_same_text += text == greedy.text
    return found


def _keep_larger(kept: dict[str, float], fresh: dict[str, float]) -> None:
    for name, value in fresh.items():
        kept[name] = max(kept[name], value)


def fp32_bundle(folder: Path, target: str, network: Conformer, into: Path) -> Path:
    """Copy a bundle with one target, the network in fp32 in place of its graph: no int8 in the way."""
    import openvino as ov

    from galago.quantize.compile_openvino import convert_onnx, make_stateful
    from galago.quantize.ear.export import export_onnx

    only_target(folder, target, into)
    path = into / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    (entry,) = document["roles"]["ear"]["targets"]
    onnx = into.with_suffix(".onnx")
    export_onnx(network, entry["chunk_tokens"], onnx)
    ov.save_model(make_stateful(convert_onnx(onnx)), into / "fp32.xml", compress_to_fp16=False)
    entry |= {"name": f"{target}-as-fp32", "dtype": "f32", "inference_precision": "f32"}
    entry |= {"model": "fp32.xml", "weights": "fp32.bin"}
    document["golden"] = []
    for name in ("fp32.xml", "fp32.bin"):
        data = (into / name).read_bytes()
        document["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    path.write_text(json.dumps(document), encoding="utf-8")
    return into

"""Chunk = whole, from the network in torch to the native core, as largest differences of log-probabilities.

- *torch*: ``forward_chunk`` chained over a stream against ``forward`` over the whole of it, in fp32.
- *openvino*: the exported fp32 graph, chained over the same stream, against ``forward`` of torch.
- *native*: the bundle in the native core (features, engine, decoding) against a Python oracle of it:
  kaldi-native-fbank, the same graph in OpenVINO's Python API, greedy CTC in numpy. Same text as well.

    python -m benchmarks.parity --checkpoint best.pt              # torch and OpenVINO
    python -m benchmarks.parity --checkpoint 4m                   # a preset with random weights
    python -m benchmarks.parity --bundle galago/bundles/default   # the native core
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import galago
from benchmarks import common, hearing
from benchmarks.corpora import Audio, read_clips
from benchmarks.onnx_peer import GreedyText, StreamingFeatures
from galago.runtime.manifest import Target

if TYPE_CHECKING:
    from galago.models.conformer import Conformer

Array = NDArray[np.float32]

BARS = {"torch": 1e-4, "openvino": 1e-4, "native": 1e-3}
WINDOW_TAIL_SAMPLES = 400 - 160  # a chunk's last frame reaches this far into the next chunk


# -- the network ------------------------------------------------------------------------------------


def load_network(checkpoint: str) -> Conformer:
    """A trained network from its file, or a preset with random weights by its name."""
    import torch

    from galago.models.conformer import PRESETS, Conformer

    if checkpoint in PRESETS:
        torch.manual_seed(7)
        return Conformer(PRESETS[checkpoint]).eval()
    from galago.models.training.trainer import load_model

    return load_model(Path(checkpoint)).eval()


def whole(network: Conformer, features: Array, chunk_tokens: int | None) -> tuple[Array, Array]:
    """Log-probabilities of phones and tokens of ``forward`` over features (T, 80), under the chunk mask.

    ``None``: every token sees all others.
    """
    import torch

    with torch.inference_mode():
        out = network(
            torch.from_numpy(features)[None], torch.tensor([len(features)]), chunk_tokens=chunk_tokens
        )
        phones, tokens = (torch.log_softmax(x, -1)[0].numpy() for x in (out.phone_logits, out.token_logits))
    return phones, tokens


def chained_torch(network: Conformer, chunks: Sequence[Array]) -> tuple[Array, Array]:
    """The same from ``forward_chunk``, chunk by chunk (chunk_frames, 80)."""
    import torch

    states, phones, tokens = network.initial_states(), [], []
    with torch.inference_mode():
        for index, chunk in enumerate(chunks):
            keep = torch.tensor([1.0 if index else 0.0])
            phone, token, states = network.forward_chunk(torch.from_numpy(chunk)[None], keep, states)
            phones.append(phone[0].numpy())
            tokens.append(token[0].numpy())
    return np.concatenate(phones), np.concatenate(tokens)


def largest_difference(
    found: tuple[Array, Array], expected: tuple[Array, Array], delay_tokens: int
) -> dict[str, float]:
    """Per head. Row j of ``found`` belongs to token j - delay; what came before the stream is dropped."""
    names = ("phones", "tokens")
    differences = {}
    for name, a, b in zip(names, found, expected, strict=True):
        late = a[delay_tokens:]
        rows = min(len(late), len(b))
        if rows == 0:
            raise ValueError(f"{name}: no rows to compare ({len(a)} found, {len(b)} expected)")
        differences[name] = float(np.abs(late[:rows] - b[:rows]).max())
    return differences


def network_numbers(network: Conformer, chunk_tokens: int, num_chunks: int) -> dict[str, Any]:
    """Torch, and OpenVINO fp32, over one long stream of real speech."""
    chunk_frames = 4 * chunk_tokens
    chunks = speech_chunks(chunk_frames, num_chunks)
    expected = whole(network, np.concatenate(chunks), chunk_tokens)
    delay = network.config.lookahead_tokens
    numbers = {"torch": largest_difference(chained_torch(network, chunks), expected, delay)}
    numbers["openvino"] = largest_difference(chained_openvino(network, chunks, chunk_tokens), expected, delay)
    return {name: found | {"num_chunks": num_chunks} for name, found in numbers.items()}


def speech_chunks(chunk_frames: int, num_chunks: int) -> list[Array]:
    """Features of running speech, as chunks (chunk_frames, 80)."""
    features = StreamingFeatures()
    chunks: list[Array] = []
    for clip in read_clips("lj", "train"):
        features.push(clip.samples)
        while (chunk := features.pop(chunk_frames)) is not None:
            chunks.append(chunk)
            if len(chunks) == num_chunks:
                return chunks
    raise ValueError(f"lj train holds {len(chunks)} chunks of {chunk_frames} frames, asked for {num_chunks}")


# -- engines ----------------------------------------------------------------------------------------


def chained_openvino(network: Conformer, chunks: Sequence[Array], chunk_tokens: int) -> tuple[Array, Array]:
    """The exported fp32 graph with its states inside, chunk by chunk."""
    from galago.quantize.compile_openvino import compile_graph, convert_onnx, make_stateful
    from galago.quantize.export import export_onnx

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "ear.onnx"
        export_onnx(network, chunk_tokens, path)
        return run_stateful(compile_graph(make_stateful(convert_onnx(path)), "f32"), chunks)


def run_stateful(compiled: Any, chunks: Sequence[Array]) -> tuple[Array, Array]:
    """A compiled stateful graph in OpenVINO's Python API, chunk by chunk."""
    request = compiled.create_infer_request()
    phones, tokens = [], []
    for index, chunk in enumerate(chunks):
        keep = np.array([1.0 if index else 0.0], np.float32)
        found = request.infer({"features": chunk[None], "keep": keep})
        phones.append(found["phone_log_probs"][0].copy())
        tokens.append(found["token_log_probs"][0].copy())
    return np.concatenate(phones), np.concatenate(tokens)


# -- the native core --------------------------------------------------------------------------------


def oracle(bundle: galago.Bundle, target: Target, samples: Audio) -> tuple[tuple[Array, Array], str]:
    """Log-probabilities and greedy text of a clip, without galago's core."""
    import openvino as ov

    chunk_samples, delay = target.chunk_frames * 160, target.lookahead_tokens
    num_chunks = -(-(len(samples) + delay * 640) // chunk_samples)
    padded = np.zeros(num_chunks * chunk_samples + WINDOW_TAIL_SAMPLES, np.float32)
    padded[: len(samples)] = samples
    features = StreamingFeatures()
    features.push(padded)
    chunks = [chunk for _ in range(num_chunks) if (chunk := features.pop(target.chunk_frames)) is not None]
    core = ov.Core()
    weights = bundle.folder / target.weights if target.weights is not None else None
    model = core.read_model(bundle.folder / target.model, weights)
    precision = {"INFERENCE_PRECISION_HINT": target.inference_precision or "f32"}
    compiled = core.compile_model(model, "CPU", {**precision, "INFERENCE_NUM_THREADS": 1})
    phones, tokens = (rows[delay:] for rows in run_stateful(compiled, chunks))
    ear = bundle.manifest.ear
    text = GreedyText(ear.tokens if ear is not None else ())
    text.advance(tokens)
    return (phones, tokens), text.text


def native(session: galago.Session, samples: Audio) -> tuple[tuple[Array, Array], str]:
    """The same from the native core."""
    phones, tokens, texts = [], [], []
    for event in session.run(samples):
        if isinstance(event, galago.Posteriors):
            phones.append(event.phone_log_probs)
            tokens.append(event.token_log_probs)
        elif isinstance(event, galago.Final):
            texts.append(event.text)
    return (np.concatenate(phones), np.concatenate(tokens)), " ".join(texts)


def native_numbers(bundle: galago.Bundle, target: Target, clips: Sequence[Audio]) -> dict[str, Any]:
    """Largest differences over clips, and in how many the text is the same."""
    largest, same, num_rows = {"phones": 0.0, "tokens": 0.0}, 0, 0
    with bundle.session(posteriors=True, partials=False) as session:
        for samples in common.progress(clips, "clips"):
            (expected, expected_text), (found, text) = (
                oracle(bundle, target, samples),
                native(session, samples),
            )
            for head, value in largest_difference(found, expected, 0).items():
                largest[head] = max(largest[head], value)
            num_rows += len(found[0])
            same += text == expected_text
    return largest | {"num_rows": num_rows, "num_clips": len(clips), "num_same_text": same}


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument("--checkpoint", help="a trained network, or a preset's name for random weights")
    parser.add_argument("--chunk-tokens", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--chunks", type=int, default=500, help="length of the chained stream")
    parser.add_argument("--limit", type=int, default=20, help="clips through the native core")
    args = parser.parse_args()
    rows = list(network_rows(args)) if args.checkpoint is not None else []
    if args.bundle is not None or args.checkpoint is None:
        rows.append(native_row(args))
    lines = []
    for row in rows:
        for name, found in row["numbers"].items():
            text = f"{found['num_same_text']}/{found['num_clips']}" if name == "native" else ""
            lines.append([row["variant"], name, f"{found['phones']:.1e}", f"{found['tokens']:.1e}",
                          f"{BARS[name]:.0e}", text])  # fmt: skip
    print(common.table(["", "what", "phones", "tokens", "bar", "same text"], lines))
    common.finish(rows, args)


def network_rows(args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each chunk size."""
    network = load_network(args.checkpoint)
    return [
        common.make_row(
            "parity",
            network_numbers(network, size, args.chunks),
            variant=f"{Path(args.checkpoint).name}-chunk{size}",
            settings={
                "checkpoint": args.checkpoint,
                "config": network.config.as_dict(),
                "chunks": args.chunks,
            },
        )
        for size in args.chunk_tokens
    ]


def native_row(args: argparse.Namespace) -> dict[str, Any]:
    clips = [clip.samples for clip in read_clips("voxforge", "dev", limit=args.limit)]
    with hearing.opened(args) as bundle:
        name = hearing.running_target(bundle)
        ear = bundle.manifest.ear
        target = next(t for t in ear.targets if t.name == name) if ear is not None else None
        if target is None:
            raise SystemExit(f"{bundle.folder}: the bundle has no ear")
        numbers = {"native": native_numbers(bundle, target, clips)}
        return common.make_row("parity", numbers, variant=name, bundle=bundle.folder, target=name, threads=1)


if __name__ == "__main__":
    main()

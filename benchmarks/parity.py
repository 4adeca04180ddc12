"""Chunk = whole, from the network in torch to the native core, as largest differences of log-probabilities.

- *torch*: ``forward_chunk`` chained over a stream against ``forward`` over the whole of it, in fp32.
- *openvino*: the exported fp32 graph, chained over the same stream, against ``forward`` of torch.
- *native*: the native core against a Python oracle (``core_parity.py``), on the bundle's target and, where
  the checkpoint is given, on the same network in fp32.

    python -m benchmarks.parity --checkpoint 4m --no-native   # a preset with random weights
    python -m benchmarks.parity                               # the native core with the bundle that ships
    python -m benchmarks.parity --checkpoint best.pt          # everything
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common, hearing
from benchmarks.core_parity import Array, LogProbs, compare, fp32_bundle, largest_difference, run_stateful
from benchmarks.corpora import read_clips
from benchmarks.onnx_peer import StreamingFeatures
from galago.runtime.bundle_folder import find_bundle

if TYPE_CHECKING:
    from galago.models.conformer import Conformer

BARS = {"torch": 1e-4, "openvino": 1e-4, "native": 1e-3}


def load_network(checkpoint: str) -> Conformer:
    """A trained network from its file, or a preset with random weights by its name."""
    import torch

    from galago.models.conformer import PRESETS, Conformer

    if checkpoint in PRESETS:
        torch.manual_seed(7)
        return Conformer(PRESETS[checkpoint]).eval()
    from galago.models.training.ear.checkpoint import load_conformer

    return load_conformer(Path(checkpoint))


def whole(network: Conformer, features: Array, chunk_tokens: int | None) -> LogProbs:
    """Log-probabilities of phones and tokens of ``forward`` over features (T, 80), under the chunk mask.

    ``None``: every token sees all others.
    """
    import torch

    with torch.inference_mode():
        num_frames = torch.tensor([len(features)])
        out = network(torch.from_numpy(features)[None], num_frames, chunk_tokens=chunk_tokens)
        phones, tokens = (torch.log_softmax(x, -1)[0].numpy() for x in (out.phone_logits, out.token_logits))
    return phones, tokens


def chained_torch(network: Conformer, chunks: Sequence[Array]) -> LogProbs:
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


def chained_openvino(network: Conformer, chunks: Sequence[Array], chunk_tokens: int) -> LogProbs:
    """The exported fp32 graph with its states inside, chunk by chunk."""
    from galago.quantize.compile_openvino import compile_graph, convert_onnx, make_stateful
    from galago.quantize.ear.export import export_onnx

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "ear.onnx"
        export_onnx(network, chunk_tokens, path)
        return run_stateful(compile_graph(make_stateful(convert_onnx(path)), "f32"), chunks)


def speech_chunks(chunk_frames: int, num_chunks: int) -> list[Array]:
    """Features of running speech, as chunks (chunk_frames, 80).

    Raises:
        ValueError: there is not that much speech.
    """
    features = StreamingFeatures()
    chunks: list[Array] = []
    for clip in read_clips("lj", "train"):
        features.push(clip.samples)
        while (chunk := features.pop(chunk_frames)) is not None:
            chunks.append(chunk)
            if len(chunks) == num_chunks:
                return chunks
    raise ValueError(f"lj train holds {len(chunks)} chunks of {chunk_frames} frames, asked for {num_chunks}")


def network_rows(args: argparse.Namespace, network: Conformer) -> Iterator[dict[str, Any]]:
    """Torch and OpenVINO: one row for each chunk size."""
    delay = network.config.lookahead_tokens
    for size in args.chunk_tokens:
        chunks = speech_chunks(4 * size, args.chunks)
        expected = whole(network, np.concatenate(chunks), size)
        found = {
            "torch": chained_torch(network, chunks),
            "openvino": chained_openvino(network, chunks, size),
        }
        yield common.make_row(
            "parity",
            {name: largest_difference(rows, expected, delay) for name, rows in found.items()},
            variant=f"{Path(args.checkpoint).name}-chunk{size}",
            threads=1,
            settings={
                "checkpoint": Path(args.checkpoint).name,
                "config": network.config.as_dict(),
                "num_chunks": args.chunks,
            },
        )


def native_rows(args: argparse.Namespace, network: Conformer | None) -> Iterator[dict[str, Any]]:
    """The core: a row for the bundle's target, and one for the network in fp32 in its place."""
    clips = [clip.samples for clip in read_clips("voxforge", "dev", limit=args.limit)]

    def row(chosen: argparse.Namespace) -> dict[str, Any]:
        with hearing.opened(chosen) as bundle:
            target = hearing.running_target(bundle)
            numbers = {"native": compare(bundle, clips).numbers()}
            return common.make_row(
                "parity", numbers, variant=target, bundle=bundle.folder, target=target, threads=args.threads
            )

    first = row(args)
    yield first
    if network is not None:
        folder = find_bundle(args.bundle if args.bundle is not None else "default")
        with tempfile.TemporaryDirectory() as scratch:
            fp32 = fp32_bundle(folder, first["target"], network, Path(scratch) / "bundle")
            yield row(argparse.Namespace(**{**vars(args), "bundle": fp32, "target": None, "chunk_ms": None}))


def table_of(rows: Sequence[dict[str, Any]]) -> str:
    """Differences beside their bars."""
    lines = []
    for row in rows:
        for name, found in row["numbers"].items():
            floor, clips = found.get("noise_floor", {}), found.get("num_clips")
            lines.append(
                [
                    row["variant"],
                    name,
                    *(f"{found[head]:.1e}" for head in ("phones", "tokens")),
                    f"{BARS[name]:.0e}",
                    f"{max(floor.values()):.1e}" if floor else "",
                    f"{found['num_same_text']}/{clips}" if clips else "",
                ]
            )
    return common.table(["", "what", "phones", "tokens", "bar", "floor", "same text"], lines)


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument("--checkpoint", help="the bundle's network, or a preset's name for random weights")
    parser.add_argument("--no-native", action="store_true", help="leave the bundle and the native core out")
    parser.add_argument("--chunk-tokens", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--chunks", type=int, default=500, help="length of the chained stream")
    parser.add_argument("--limit", type=int, default=20, help="clips through the native core")
    args = parser.parse_args()
    network = load_network(args.checkpoint) if args.checkpoint is not None else None
    rows = list(network_rows(args, network)) if network is not None else []
    if not args.no_native:
        rows += native_rows(args, network)
    if not rows:
        parser.error("--no-native without --checkpoint leaves nothing to compare")
    print(table_of(rows))
    common.finish(rows, args)


if __name__ == "__main__":
    main()

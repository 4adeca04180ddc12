"""What streaming and int8 cost in word error rate: readings of the same clips by the same weights.

- *full*: the network in torch, fp32, every token sees the whole clip;
- *streaming*: the same under the mask of a stream (chunk and left context of the bundle's target);
- *int8*: the bundle's target in the native core, greedy text of its log-probabilities;
- *second full*, *second*: as *full* and *streaming*, by the network and with the chunks that the bundle's
  finals come from, if it looks twice;
- *finals*: the greedy texts of that core's finals, with voice activity and endpoints.

    python -m benchmarks.accuracy_cost --checkpoint first.pt --second-checkpoint second.pt --limit 100
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import galago
from benchmarks import common, hearing, pocketsphinx_peer
from benchmarks.corpora import Audio, pad, read_clips
from benchmarks.onnx_peer import GreedyText
from benchmarks.scoring import reference_words
from benchmarks.word_error_rate import score_groups
from galago.runtime.manifest_ear import Ear as EarManifest

if TYPE_CHECKING:
    from galago.models.ear import Ear

READINGS = ("full", "streaming", "int8", "second_full", "second", "finals")


def torch_text(network: Ear, samples: Audio, chunk_tokens: int | None) -> str:
    """Greedy text of a clip under the mask of a stream, or with full context (``None``)."""
    import torch

    from galago.quantize.ear.oracle import chunk_features, greedy

    frames = np.concatenate(chunk_features(samples, 1, front_end=network.front_end))
    with torch.inference_mode():
        out = network(torch.from_numpy(frames)[None], torch.tensor([len(frames)]), chunk_tokens=chunk_tokens)
    return greedy(out.token_logits[0].numpy(), network.tokens)


def core_texts(session: galago.Session, tokens: tuple[str, ...], samples: Audio) -> tuple[str, str]:
    """Greedy text of the core's log-probabilities, and the text of its finals."""
    text, finals = GreedyText(tokens), []
    for event in session.run(samples):
        if isinstance(event, galago.Posteriors):
            text.advance(event.token_log_probs)
        elif isinstance(event, galago.Final):
            finals.append(event.text)
    return text.text, " ".join(finals)


def costs(wer: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Points of WER, from the WER of each reading of each set: what streaming and int8 cost partials, what
    streaming costs finals, and what those of the core (int8, endpoints) are beyond it.
    """
    points: dict[str, Any] = {}
    for group, found in wer.items():
        points[group] = {
            "wer_percent": {name: round(value, 2) for name, value in found.items()},
            "streaming_points": round(found["streaming"] - found["full"], 2),
            "int8_points": round(found["int8"] - found["streaming"], 2),
            "finals_streaming_points": round(found["second"] - found["second_full"], 2),
            "finals_core_points": round(found["finals"] - found["second"], 2),
        }
    return points


def finals_chunk_tokens(ear: EarManifest) -> int:
    """The chunk that finals come of; 0: that of partials."""
    if ear.second_pass is not None:
        return ear.second_pass.targets[0].chunk_tokens
    return int(ear.decoding.get("second_pass_chunk_tokens", 0))


def main() -> None:
    from galago.models.training.ear.checkpoint import load_model

    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="the network that the bundle was made from"
    )
    parser.add_argument(
        "--second-checkpoint", type=Path, help="that of its second pass, where this is another network"
    )
    parser.add_argument("--sets", nargs="+", default=list(pocketsphinx_peer.DEV_SETS))
    parser.add_argument("--limit", type=int, help="clips of each set, spread evenly over it")
    args = parser.parse_args()
    network = load_model(args.checkpoint)
    second = network if args.second_checkpoint is None else load_model(args.second_checkpoint)
    clips = [clip for name in args.sets for clip in read_clips(name, "dev", limit=args.limit)]
    clips = [clip for clip in clips if reference_words(clip.text) is not None]
    texts: dict[str, list[str]] = {name: [] for name in READINGS}
    options = {"greedy": True, "posteriors": True, "partials": False}
    with hearing.opened(args) as bundle, bundle.session(**options) as session:
        ear, target = bundle.manifest.ear, hearing.running_target(bundle)
        if ear is None:
            raise SystemExit(f"{bundle.folder}: the bundle has no ear")
        chunk_tokens = session.info.chunk_samples // 640
        second_tokens = finals_chunk_tokens(ear) or chunk_tokens
        for clip in common.progress(clips, "clips"):
            samples = pad(clip.samples, hearing.BEFORE_S, hearing.AFTER_S)
            texts["full"].append(torch_text(network, samples, None))
            texts["streaming"].append(torch_text(network, samples, chunk_tokens))
            int8, finals = core_texts(session, ear.tokens, samples)
            texts["int8"].append(int8)
            texts["second_full"].append(torch_text(second, samples, None))
            texts["second"].append(torch_text(second, samples, second_tokens))
            texts["finals"].append(finals)
        chunk_ms = session.info.chunk_ms
        wer: dict[str, dict[str, float]] = {}
        for name in READINGS:
            for group, errors in score_groups(clips, texts[name]).items():
                wer.setdefault(group, {})[name] = errors.wer
        numbers = costs(wer)
        row = common.make_row(
            "accuracy_cost",
            numbers,
            variant=target + ("" if args.limit is None else f"-limit{args.limit}"),
            bundle=bundle.folder,
            target=target,
            threads=args.threads,
            settings={
                "chunk_ms": chunk_ms,
                "second_pass_ms": second_tokens * 40,
                "limit": args.limit,
                "num_clips": len(clips),
            },
        )
    names = ("streaming_points", "int8_points", "finals_streaming_points", "finals_core_points")
    lines = [[g, *found["wer_percent"].values(), *(found[n] for n in names)] for g, found in numbers.items()]
    header = [
        "set",
        *(f"{name} WER %" for name in READINGS),
        "streaming costs",
        "int8 costs",
        "streaming costs finals",
        "the core's are beyond",
    ]
    print(common.table(header, lines))
    common.finish([row], args)


if __name__ == "__main__":
    main()

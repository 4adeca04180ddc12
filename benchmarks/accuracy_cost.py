"""What streaming and int8 cost in word error rate: readings of the same clips by the same weights.

Of the network that partials come from, in greedy characters:

- *full*: in torch, fp32, every token sees the whole clip;
- *streaming*: the same under the mask of a stream (chunk and left context of the bundle's target);
- *int8*: the bundle's target in the native core, greedy text of its log-probabilities.

Of the network that finals come from, if it is another one, or the bundle looks twice with one; in what its
decoder writes, or in greedy characters without one:

- *second_full*, *second*: as *full* and *streaming*, with the chunks of finals;
- *finals*: the texts of the core's finals, with voice activity and endpoints.

Each network has a row of its own, and is measured where its checkpoint is given:

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

PARTIALS, FINALS = ("full", "streaming", "int8"), ("second_full", "second", "finals")


def torch_text(network: Ear, samples: Audio, chunk_tokens: int | None) -> str:
    """Text of a clip under the mask of a stream, or with full context (``None``): written, or greedy."""
    import torch

    from galago.quantize.ear.evaluate import text_of
    from galago.quantize.ear.oracle import chunk_features

    frames = np.concatenate(chunk_features(samples, 1, front_end=network.front_end))
    with torch.inference_mode():
        out = network(torch.from_numpy(frames)[None], torch.tensor([len(frames)]), chunk_tokens=chunk_tokens)
    return text_of(network, out)


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
    """Points of WER, from the WER of each reading of each set: what streaming costs a network, and what the
    core's answer (int8; of finals, endpoints too) costs beyond it.
    """
    points: dict[str, Any] = {}
    for group, found in wer.items():
        full, streaming, core = found
        points[group] = {
            "wer_percent": {name: round(value, 2) for name, value in found.items()},
            "streaming_points": round(found[streaming] - found[full], 2),
            "core_points": round(found[core] - found[streaming], 2),
        }
    return points


def finals_chunk_tokens(ear: EarManifest) -> int:
    """The chunk that finals come of; 0: that of partials."""
    if ear.second_pass is not None:
        return ear.second_pass.targets[0].chunk_tokens
    return int(ear.decoding.get("second_pass_chunk_tokens", 0))


def in_float(path: Path | None) -> Ear | None:
    """The network of a checkpoint, all of it in float."""
    from galago.models.moonshine_ear import MoonshineEar
    from galago.models.training.ear.checkpoint import load_model

    if path is None:
        return None
    network = load_model(path)
    if isinstance(network, MoonshineEar) and network.decoder is not None:
        network.decoder.set_float(True)
    return network


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument("--checkpoint", type=Path, help="the network that partials come from")
    parser.add_argument("--second-checkpoint", type=Path, help="the network that finals come from")
    parser.add_argument("--sets", nargs="+", default=list(pocketsphinx_peer.DEV_SETS))
    parser.add_argument("--limit", type=int, help="clips of each set, spread evenly over it")
    args = parser.parse_args()
    first, second = in_float(args.checkpoint), in_float(args.second_checkpoint)
    readings = (PARTIALS if first else ()) + (FINALS if second else ())
    if not readings:
        parser.error("--checkpoint, --second-checkpoint or both")
    clips = [clip for name in args.sets for clip in read_clips(name, "dev", limit=args.limit)]
    clips = [clip for clip in clips if reference_words(clip.text) is not None]
    texts: dict[str, list[str]] = {name: [] for name in readings}
    options = {"greedy": True, "posteriors": True, "partials": False}
    with hearing.opened(args) as bundle, bundle.session(**options) as session:
        ear, target = bundle.manifest.ear, hearing.running_target(bundle)
        if ear is None:
            raise SystemExit(f"{bundle.folder}: the bundle has no ear")
        chunk_tokens = session.info.chunk_samples // 640
        second_tokens = finals_chunk_tokens(ear) or chunk_tokens
        for clip in common.progress(clips, "clips"):
            samples = pad(clip.samples, hearing.BEFORE_S, hearing.AFTER_S)
            int8, finals = core_texts(session, ear.tokens, samples)
            if first:
                texts["full"].append(torch_text(first, samples, None))
                texts["streaming"].append(torch_text(first, samples, chunk_tokens))
                texts["int8"].append(int8)
            if second:
                texts["second_full"].append(torch_text(second, samples, None))
                texts["second"].append(torch_text(second, samples, second_tokens))
                texts["finals"].append(finals)
        rows = []
        for names, mark, chunk in ((PARTIALS, "", chunk_tokens), (FINALS, "-finals", second_tokens)):
            if names[0] not in texts:
                continue
            wer: dict[str, dict[str, float]] = {}
            for name in names:
                for group, errors in score_groups(clips, texts[name]).items():
                    wer.setdefault(group, {})[name] = errors.wer
            numbers = costs(wer)
            rows.append(
                common.make_row(
                    "accuracy_cost",
                    numbers,
                    variant=target + mark + ("" if args.limit is None else f"-limit{args.limit}"),
                    bundle=bundle.folder,
                    target=target,
                    threads=args.threads,
                    settings={"chunk_ms": chunk * 40, "limit": args.limit, "num_clips": len(clips)},
                )
            )
            lines = [
                [g, *found["wer_percent"].values(), found["streaming_points"], found["core_points"]]
                for g, found in numbers.items()
            ]
            header = ["set", *(f"{name} WER %" for name in names), "streaming costs", "the core beyond it"]
            print(common.table(header, lines))
    common.finish(rows, args)


if __name__ == "__main__":
    main()

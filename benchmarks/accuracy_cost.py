"""What streaming and int8 cost in word error rate: readings of the same clips by the same weights.

Of the network that partials come from, in greedy characters:

- *full*: in torch, fp32, every token sees the whole clip;
- *streaming*: the same under the mask of a stream (chunk and left context of the bundle's target);
- *int8*: the bundle's target in the native core, greedy text of its log-probabilities.

Of the network that finals come from, if it is another one, or the bundle looks twice with one; in what its
decoder writes, or in greedy characters without one:

- *second_full*, *second*: as *full* and *streaming*, with the chunks of finals;
- *second_int8*: the bundle's graph of finals over the whole clip;
- *second_four_bits*: the same rows, written by what four bits hold of the decoder, if there is one;
- *finals*: the texts of the core's finals, with voice activity and endpoints.

Each network has a row of its own, and is measured where its checkpoint is given:

    python -m benchmarks.accuracy_cost --checkpoint first.pt --second-checkpoint second.pt --limit 100
"""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import galago
from benchmarks import common, hearing, pocketsphinx_peer
from benchmarks.corpora import Audio, Clip, pad, read_clips
from benchmarks.onnx_peer import GreedyText
from benchmarks.scoring import count_errors, reference_words
from benchmarks.word_error_rate import score_groups
from galago.runtime.manifest_ear import Ear as EarManifest

if TYPE_CHECKING:
    from galago.models.ear import Ear
    from galago.quantize.ear.oracle import Oracle

PARTIALS = ("full", "streaming", "int8")
FOUR_BITS = "second_four_bits"
FINALS = ("second_full", "second", "second_int8", FOUR_BITS, "finals")
#: What a reading costs beyond the one before it.
COSTS = {
    "streaming": "streaming_points",
    "second": "streaming_points",
    "int8": "int8_points",
    "second_int8": "int8_points",
    FOUR_BITS: "four_bits_points",
    "finals": "core_points",
}
ALL = "all"


def torch_text(network: Ear, samples: Audio, chunk_tokens: int | None) -> str:
    """Text of a clip under the mask of a stream, or with full context (``None``): written, or greedy."""
    import torch

    from galago.quantize.ear.evaluate import text_of
    from galago.quantize.ear.oracle import chunk_features

    frames = np.concatenate(chunk_features(samples, 1, front_end=network.front_end))
    with torch.inference_mode():
        out = network(torch.from_numpy(frames)[None], torch.tensor([len(frames)]), chunk_tokens=chunk_tokens)
    return text_of(network, out, chunk_tokens)


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
    """Points of WER, from the WER of each reading of each set: what each costs beyond the one before."""
    points: dict[str, Any] = {}
    for group, found in wer.items():
        steps = {COSTS[name]: round(found[name] - found[before], 2) for before, name in pairwise(found)}
        rounded = {name: round(value, 2) for name, value in found.items()}
        points[group] = {"wer_percent": rounded, **steps}
    return points


def second_oracle(bundle: Path, network: Ear) -> Oracle:
    """The bundle's graph of finals in OpenVINO, and what else of the network makes texts of its rows."""
    from galago.quantize.ear.oracle import Oracle
    from galago.runtime.manifest import read_manifest

    ear = read_manifest(bundle).ear
    if ear is None or ear.second_pass is None:
        raise SystemExit(f"{bundle}: finals have no network of their own")
    target = ear.second_pass.targets[0]
    weights = None if target.weights is None else bundle / target.weights
    return Oracle(bundle / target.model, weights=weights, model=network)


def finals_chunk_tokens(ear: EarManifest) -> int:
    """The chunk that finals come of; 0: that of partials."""
    if ear.second_pass is not None:
        return ear.second_pass.targets[0].chunk_tokens
    return int(ear.decoding.get("second_pass_chunk_tokens", 0))


def loaded(path: Path | None) -> Ear | None:
    """The network of a checkpoint, its decoder in float."""
    from galago.models.moonshine_ear import MoonshineEar
    from galago.models.training.ear.checkpoint import load_model

    if path is None:
        return None
    network = load_model(path)
    if isinstance(network, MoonshineEar) and network.decoder is not None:
        network.decoder.set_float(True)
    return network


def in_four_bits(network: Ear | None) -> Ear | None:
    """A copy whose decoder is what four bits hold of it; ``None``: there is no decoder."""
    from galago.models.moonshine_ear import MoonshineEar

    copy = deepcopy(network)
    if not isinstance(copy, MoonshineEar) or copy.decoder is None:
        return None
    copy.decoder.set_float(False)
    copy.decoder = copy.decoder.as_used()  # rounded once, not for every clip
    return copy


def wer_of(clips: list[Clip], texts: dict[str, list[str]]) -> dict[str, dict[str, float]]:
    """WER of each reading of each set, and of all clips together."""
    wer: dict[str, dict[str, float]] = {}
    for name, heard in texts.items():
        for group, errors in score_groups(clips, heard).items():
            wer.setdefault(group, {})[name] = errors.wer
        pairs = [(reference_words(clip.text) or [], text) for clip, text in zip(clips, heard, strict=True)]
        wer.setdefault(ALL, {})[name] = count_errors(pairs).wer
    wer[ALL] = wer.pop(ALL)  # as the last
    return wer


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument("--checkpoint", type=Path, help="the network that partials come from")
    parser.add_argument("--second-checkpoint", type=Path, help="the network that finals come from")
    parser.add_argument("--sets", nargs="+", default=list(pocketsphinx_peer.DEV_SETS))
    parser.add_argument("--limit", type=int, help="clips of each set, spread evenly over it")
    args = parser.parse_args()
    first, second = loaded(args.checkpoint), loaded(args.second_checkpoint)
    packed = in_four_bits(second)
    finals_readings = tuple(name for name in FINALS if packed or name != FOUR_BITS)
    readings = (PARTIALS if first else ()) + (finals_readings if second else ())
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
        oracle = None if second is None else second_oracle(bundle.folder, second)
        for clip in common.progress(clips, "clips"):
            samples = pad(clip.samples, hearing.BEFORE_S, hearing.AFTER_S)
            int8, finals = core_texts(session, ear.tokens, samples)
            if first:
                texts["full"].append(torch_text(first, samples, None))
                texts["streaming"].append(torch_text(first, samples, chunk_tokens))
                texts["int8"].append(int8)
            if second and oracle:
                texts["second_full"].append(torch_text(second, samples, None))
                texts["second"].append(torch_text(second, samples, second_tokens))
                heard = oracle.hear(samples)
                texts["second_int8"].append(heard.text)
                if packed:
                    texts[FOUR_BITS].append(heard._replace(model=packed).text)
                texts["finals"].append(finals)
        rows = []
        for names, mark, chunk in ((PARTIALS, "", chunk_tokens), (finals_readings, "-finals", second_tokens)):
            if names[0] not in texts:
                continue
            numbers = costs(wer_of(clips, {name: texts[name] for name in names}))
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
                [g, *found.pop("wer_percent").values(), *found.values()]
                for g, found in deepcopy(numbers).items()
            ]
            header = ["set", *(f"{name} WER %" for name in names), *(f"{name} costs" for name in names[1:])]
            print(common.table(header, lines))
    common.finish(rows, args)


if __name__ == "__main__":
    main()

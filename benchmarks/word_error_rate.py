"""Word error rate of the streaming ear on the dev splits, beside peers on the same clips.

Each clip goes through a fresh stream of the public Python API, between two silences, decoded as the bundle
says unless ``--greedy`` or ``--beam`` is given; the texts of all its finals together are the answer. Clips
whose text cannot be spelled without guessing (digits, stage directions) are left out for all recognisers,
and counted. Beside Moonshine stands what hearing cost: CPU seconds of the whole process for a second of the
clips, all threads together; galago's include the silences around them.

    python -m benchmarks.word_error_rate --sets lj kathleen --limit 20
    python -m benchmarks.word_error_rate --pocketsphinx          # adds the peer; slow until its cache is full
    python -m benchmarks.word_error_rate --moonshine             # another, if it is installed
    python -m benchmarks.word_error_rate --keep-peers            # their numbers of the last run
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from benchmarks import common, hearing, moonshine_peer, pocketsphinx_peer
from benchmarks.corpora import Clip, read_clips
from benchmarks.moonshine_peer import MoonshineMissingError, MoonshinePeer
from benchmarks.scoring import WordErrors, count_errors, reference_words
from galago import Session

CHILD_BELOW_YEARS = 16


def groups_of(clip: Clip) -> list[str]:
    """The sets that a clip counts in: its corpus, and for so762 children or adults as well."""
    if clip.corpus != "so762":
        return [clip.corpus]
    age = int(clip.fields["age"])
    return [clip.corpus, f"{clip.corpus}-{'children' if age < CHILD_BELOW_YEARS else 'adults'}"]


def score_groups(clips: list[Clip], texts: list[str]) -> dict[str, WordErrors]:
    """Errors of each set, in the order in which the sets first occur."""
    pairs: dict[str, list[tuple[list[str], str]]] = {}
    for clip, text in zip(clips, texts, strict=True):
        words = reference_words(clip.text)
        if words is None:
            raise ValueError(f"{clip.corpus}/{clip.id}: no reference; leave the clip out first")
        for group in groups_of(clip):
            pairs.setdefault(group, []).append((words, text))
    return {group: count_errors(of_group) for group, of_group in pairs.items()}


def cpu_of_groups(clips: list[Clip], cpu_s: list[float]) -> dict[str, float]:
    """CPU seconds per second of audio of each set."""
    sums: dict[str, tuple[float, float]] = {}
    for clip, spent_s in zip(clips, cpu_s, strict=True):
        for group in groups_of(clip):
            of_group_s, audio_s = sums.get(group, (0.0, 0.0))
            sums[group] = of_group_s + spent_s, audio_s + clip.duration_s
    return {group: round(of_group_s / audio_s, 5) for group, (of_group_s, audio_s) in sums.items()}


def hear_timed(session: Session, clip: Clip) -> tuple[str, float]:
    """What is heard of a clip, and the CPU seconds that it took."""
    begin = time.process_time()
    text = hearing.hear(session, clip.samples).text
    return text, time.process_time() - begin


def find_moonshine(cache: Path) -> MoonshinePeer | None:
    """The peer, or None, said, where it is not installed."""
    try:
        return MoonshinePeer(cache)
    except MoonshineMissingError as error:
        print(f"moonshine is left out: {error}")
        return None


def keep_peers(numbers: dict[str, Any], results: Path, variant: str) -> str | None:
    """Put into ``numbers`` what the row before has of peers, who answer alike whatever galago does.

    Returns:
        the commit at which they were asked, or None where no row has them.

    Raises:
        SystemExit: that row is of other clips.
    """
    path = results / "word_error_rate.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    before = next((row for row in rows if row["variant"] == variant), None)
    if before is None:
        return None
    for group, found in numbers.items():
        old = before["numbers"].get(group, {})
        peers = {name: old[name] for name in ("pocketsphinx", "moonshine") if name in old}
        ours = found["galago"]
        for peer in peers.values():
            if (peer["num_clips"], peer["num_words"]) != (ours["num_clips"], ours["num_words"]):
                raise SystemExit(f"{path}: {variant} has other clips of {group}; run the peers again")
        found |= peers
        if "pocketsphinx" in peers and peers["pocketsphinx"]["wer_percent"]:
            found["ratio"] = round(ours["wer_percent"] / peers["pocketsphinx"]["wer_percent"], 3)
    return before["settings"].get("peers_of_commit") or str(before["commit"])


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument("--sets", nargs="+", default=list(pocketsphinx_peer.DEV_SETS))
    parser.add_argument("--limit", type=int, help="clips of each set, spread evenly over it")
    parser.add_argument("--greedy", action="store_true", help="the best token of each row, collapsed")
    parser.add_argument("--beam", action="store_true", help="prefix beam search over tokens")
    parser.add_argument("--pocketsphinx", action="store_true", help="run the peer on the very same clips")
    parser.add_argument("--cache", type=Path, default=pocketsphinx_peer.DEFAULT_CACHE, help="of the peer")
    parser.add_argument("--moonshine", action="store_true", help="run Moonshine Voice on the very same clips")
    parser.add_argument("--moonshine-cache", type=Path, default=moonshine_peer.DEFAULT_CACHE)
    parser.add_argument(
        "--keep-peers", action="store_true", help="what the row before says of them, if of the same clips"
    )
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N clips of each set")
    args = parser.parse_args()

    clips, refused = [], {}
    for name in args.sets:
        found = list(read_clips(name, "dev", limit=args.limit))
        spelled = [clip for clip in found if reference_words(clip.text) is not None]
        refused[name] = len(found) - len(spelled)
        clips += spelled

    options = {"greedy": args.greedy, "beam": args.beam, "partials": False}
    with hearing.opened(args) as bundle, bundle.session(**options) as session:
        target, chunk_ms = hearing.running_target(bundle), session.info.chunk_ms
        heard = [hear_timed(session, clip) for clip in common.progress(clips, "galago")]
        texts = [text for text, _ in heard]
        scores = score_groups(clips, texts)
        numbers: dict[str, Any] = {group: {"galago": errors.as_row()} for group, errors in scores.items()}
        if args.pocketsphinx:
            peer = pocketsphinx_peer.PocketsphinxPeer(args.cache)
            peer_texts = [peer.recognise(clip) for clip in common.progress(clips, "pocketsphinx")]
            for group, errors in score_groups(clips, peer_texts).items():
                numbers[group]["pocketsphinx"] = errors.as_row()
                numbers[group]["ratio"] = round(scores[group].wer / errors.wer, 3) if errors.wer else None
        moonshine = find_moonshine(args.moonshine_cache) if args.moonshine else None
        if moonshine is not None:
            peer_texts = [moonshine.recognise(clip) for clip in common.progress(clips, "moonshine")]
            peer_cpu = cpu_of_groups(clips, [moonshine.cpu_s(clip) for clip in clips])
            for group, errors in score_groups(clips, peer_texts).items():
                numbers[group]["moonshine"] = {**errors.as_row(), "rtf_cpu": peer_cpu[group]}
        for group, seconds in cpu_of_groups(clips, [cpu_s for _, cpu_s in heard]).items():
            numbers[group]["galago"]["rtf_cpu"] = seconds
        for name, count in refused.items():
            if name in numbers:
                numbers[name]["clips_left_out"] = count
        assert bundle.manifest.ear is not None
        method = bundle.manifest.ear.decoding.get("method", "greedy")
        method = "beam" if args.beam else "greedy" if args.greedy else method
        variant = f"{target}-{method}" + ("" if args.limit is None else f"-limit{args.limit}")
        kept = keep_peers(numbers, args.results, variant) if args.keep_peers else None
        row = common.make_row(
            "word_error_rate",
            numbers,
            variant=variant,
            bundle=bundle.folder,
            target=target,
            threads=args.threads,
            settings={"chunk_ms": chunk_ms, "method": method, "limit": args.limit,
                      "silence_before_s": hearing.BEFORE_S, "silence_after_s": hearing.AFTER_S,
                      "peers_of_commit": kept},
        )  # fmt: skip
    shown: dict[str, int] = {}
    for clip, text in zip(clips, texts, strict=True):
        shown[clip.corpus] = shown.get(clip.corpus, 0) + 1
        if shown[clip.corpus] <= args.show:
            print(f"{clip.corpus}/{clip.id}\n  said  {clip.text}\n  heard {text}")
    print(table_of(numbers))
    common.finish([row], args)


def table_of(numbers: dict[str, Any]) -> str:
    """Sets, clips, WER and cost side by side."""
    lines = []
    for group, found in numbers.items():
        ours, peer, moonshine = found["galago"], found.get("pocketsphinx"), found.get("moonshine")
        counts = [ours["num_clips"], found.get("clips_left_out", ""), ours["num_words"]]
        lines.append([group, *counts, ours["wer_percent"]]
                     + ([peer["wer_percent"], found["ratio"] or ""] if peer else ["", ""])
                     + ([moonshine["wer_percent"], ours["rtf_cpu"], moonshine["rtf_cpu"]]
                        if moonshine else ["", "", ""]))  # fmt: skip
    header = ["set", "clips", "left out", "words", "galago WER %", "pocketsphinx WER %", "ratio",
              "moonshine WER %", "galago CPU s/s", "moonshine CPU s/s"]  # fmt: skip
    return common.table(header, lines)


if __name__ == "__main__":
    main()

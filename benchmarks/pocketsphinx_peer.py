"""pocketsphinx with its own acoustic model, dictionary and language model, clip by clip, results kept.

A clip is given whole (``full_utt``): the cepstral mean is taken over all of it, which streaming cannot do.
No silence is put around it. The noise level is forgotten between clips, so an answer does not depend on
what came before: that is what makes the cache honest.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.answers import Answers
from benchmarks.corpora import Clip, read_clips, to_int16
from benchmarks.scoring import WordErrors, count_errors, reference_words

DEFAULT_CACHE = Path.home() / ".cache" / "galago-benchmarks" / "pocketsphinx.jsonl"
DEV_SETS = ("voxforge", "lj", "kathleen", "so762", "asterisk")


def decode_whole(decoder: Any, pcm: bytes) -> str:
    """The text of a whole clip; empty where nothing was heard."""
    with warnings.catch_warnings():
        # Called unnecessary by its deprecation, yet it alone forgets the noise level of the clips before.
        warnings.simplefilter("ignore", DeprecationWarning)
        decoder.start_stream()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return "" if hypothesis is None else str(hypothesis.hypstr)


class PocketsphinxPeer:
    """Recognises clips; keeps each answer in the file ``cache``, see :class:`~benchmarks.answers.Answers`."""

    def __init__(self, cache: Path = DEFAULT_CACHE) -> None:
        self._answers = Answers(cache, "sha256")
        self._decoder: Any = None

    def known(self, clip: Clip) -> str | None:
        """The text for ``clip`` if the cache has it."""
        row = self._answers.get(clip.sha256())
        return None if row is None else str(row["text"])

    def recognise(self, clip: Clip) -> str:
        """Text of ``clip``, from the cache or decoded now."""
        key = clip.sha256()
        row = self._answers.get(key)
        if row is None:
            begin = time.process_time()
            text = self._decode(clip)
            row = {
                "sha256": key,
                "corpus": clip.corpus,
                "id": clip.id,
                "text": text,
                "audio_s": round(clip.duration_s, 3),
                "cpu_s": round(time.process_time() - begin, 3),
            }
            self._answers.add(row)
        return str(row["text"])

    def rtf(self, clips: list[Clip]) -> float:
        """CPU seconds per second of audio over ``clips``, all of which it has recognised."""
        rows = [row for clip in clips if (row := self._answers.get(clip.sha256())) is not None]
        return float(sum(r["cpu_s"] for r in rows) / sum(r["audio_s"] for r in rows))

    def _decode(self, clip: Clip) -> str:
        if self._decoder is None:
            import pocketsphinx

            self._decoder = pocketsphinx.Decoder(samprate=16000.0, loglevel="ERROR")
        return decode_whole(self._decoder, to_int16(clip.samples).tobytes())


def score(peer: PocketsphinxPeer, clips: list[Clip]) -> WordErrors:
    """Errors over those of ``clips`` that have a reference and an answer."""
    pairs = []
    for clip in clips:
        words, text = reference_words(clip.text), peer.known(clip)
        if words is not None and text is not None:
            pairs.append((words, text))
    return count_errors(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(DEV_SETS))
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--limit", type=int, help="clips of each set, spread evenly over it")
    parser.add_argument("--score-only", action="store_true", help="decode nothing, score what is there")
    args = parser.parse_args()
    peer = PocketsphinxPeer(args.cache)
    for name in args.sets:
        clips = [c for c in read_clips(name, "dev", limit=args.limit) if reference_words(c.text)]
        for index, clip in enumerate(clips):
            if not args.score_only:
                peer.recognise(clip)
                if index % 20 == 19 or index == len(clips) - 1:
                    done = clips[: index + 1]
                    wer, rtf = score(peer, done).wer, peer.rtf(done)
                    print(
                        f"{name}: {index + 1}/{len(clips)} clips, WER {wer:.1f} %, RTF {rtf:.2f}", flush=True
                    )
        if any(peer.known(clip) is not None for clip in clips):
            errors = score(peer, clips)
            print(f"{name}: WER {errors.wer:.2f} % over {errors.num_clips} of {len(clips)} clips", flush=True)


if __name__ == "__main__":
    main()

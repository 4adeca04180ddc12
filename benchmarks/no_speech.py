"""Text from sound without speech: at least ten minutes of noises, sound events and silence in one stream.

The background noises of Speech Commands (half a minute of each), the sound events of one ESC-10 fold
(dogs, rain, a crying baby, sneezes, a clock, a helicopter ...), white and pink noise at five levels and
digital silence follow one another without a break. No final with a word in it may come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import galago
from benchmarks import common, hearing
from benchmarks.corpora import SAMPLE_RATE_HZ, Audio, read_clips

NOISE_SECONDS = 30.0
SYNTHETIC_SECONDS = 10.0
SYNTHETIC_LEVELS_DBFS = (-60, -50, -40, -30, -20)
SILENCE_SECONDS = 30.0


def white_noise(num_samples: int, rms: float, rng: np.random.Generator) -> Audio:
    """Gaussian noise of the given RMS, clipped to [-1, 1]."""
    return np.clip(rng.normal(0.0, rms, num_samples), -1.0, 1.0).astype(np.float32)


def pink_noise(num_samples: int, rms: float, rng: np.random.Generator) -> Audio:
    """Noise whose power falls by 3 dB an octave, of the given RMS, clipped to [-1, 1]."""
    spectrum = np.fft.rfft(rng.normal(size=num_samples))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, num_samples)
    noise *= rms / np.sqrt(np.mean(noise**2))
    return np.clip(noise, -1.0, 1.0).astype(np.float32)


def pieces(fold: str) -> Iterator[tuple[str, Audio]]:
    """(kind, samples) of everything that is played, in order."""
    for clip in read_clips("speech_commands", "noise"):
        yield "background noise", clip.samples[: round(NOISE_SECONDS * SAMPLE_RATE_HZ)]
    for clip in read_clips("esc10", fold):
        yield f"esc10 {clip.fields['label']}", clip.samples
    rng = np.random.default_rng(20)
    num_samples = round(SYNTHETIC_SECONDS * SAMPLE_RATE_HZ)
    for level_dbfs in SYNTHETIC_LEVELS_DBFS:
        rms = 10.0 ** (level_dbfs / 20.0)
        yield f"white {level_dbfs} dBFS", white_noise(num_samples, rms, rng)
        yield f"pink {level_dbfs} dBFS", pink_noise(num_samples, rms, rng)
    yield "digital silence", np.zeros(round(SILENCE_SECONDS * SAMPLE_RATE_HZ), np.float32)


def piece_at(begins_ns: list[int], time_ns: int) -> int:
    """Index of the piece that sounds at ``time_ns``; ``begins_ns`` rises from 0."""
    return int(np.searchsorted(begins_ns, time_ns, side="right")) - 1


def main() -> None:
    parser = common.parser(__doc__)
    hearing.add_arguments(parser)
    parser.add_argument("--fold", default="fold1", help="of ESC-10: one that training did not use")
    args = parser.parse_args()

    played = list(pieces(args.fold))
    kinds = [kind for kind, _ in played]
    begins = np.cumsum([0, *(len(samples) for _, samples in played)])
    begins_ns = [int(b) * 1_000_000_000 // SAMPLE_RATE_HZ for b in begins[:-1]]
    stream = np.concatenate([samples for _, samples in played])
    counts: dict[str, dict[str, int]] = {k: {"finals": 0, "partials": 0, "voice_starts": 0} for k in kinds}
    texts: list[dict[str, Any]] = []
    with hearing.opened(args) as bundle, bundle.session() as session:
        for event in common.progress(session.run(stream), "events"):
            kind = kinds[piece_at(begins_ns, max(event.begin_ns, 0))]
            if isinstance(event, galago.Final) and event.text.strip():
                counts[kind]["finals"] += 1
                texts.append({"kind": kind, "begin_s": round(event.begin_s, 2), "text": event.text})
            elif isinstance(event, galago.Partial) and event.text.strip():
                counts[kind]["partials"] += 1
            elif isinstance(event, galago.VoiceStart):
                counts[kind]["voice_starts"] += 1
        totals = {
            name: sum(c[name] for c in counts.values()) for name in ("finals", "partials", "voice_starts")
        }
        numbers = {
            "audio_s": round(len(stream) / SAMPLE_RATE_HZ, 1),
            **totals,
            "per_kind": counts,
            "texts": texts,
        }
        target = hearing.running_target(bundle)
        row = common.make_row(
            "no_speech",
            numbers,
            variant=target,
            bundle=bundle.folder,
            target=target,
            threads=args.threads,
            settings={"chunk_ms": session.info.chunk_ms, "esc10_fold": args.fold},
        )
    seconds: dict[str, float] = {}
    for kind, samples in played:
        seconds[kind] = seconds.get(kind, 0.0) + len(samples) / SAMPLE_RATE_HZ
    header = ["kind", "s", "finals with a word", "partials", "voice starts"]
    print(common.table(header, [[kind, f"{seconds[kind]:.0f}", *c.values()] for kind, c in counts.items()]))
    for text in texts:
        print(f"  {text['begin_s']:8.2f} s  {text['kind']}: {text['text']!r}")
    print(f"{numbers['audio_s']} s: {totals['finals']} finals with a word, {totals['partials']} partials, "
          f"{totals['voice_starts']} voice starts")  # fmt: skip
    common.finish([row], args)


if __name__ == "__main__":
    main()

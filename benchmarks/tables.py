"""The tables of the documents: which rows of which benchmark, which numbers; `render.py` draws them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        title: head of the column.
        value: dotted path in a row: "variant", "numbers.step_ms.p50".
        digits: after the point, for numbers.
        unit: put behind the value.
        scale: the number is multiplied by it: 100 makes a share a percentage.
        is_number: numbers stand to the right.
        optional: some runs measure it and some do not; where none does, the table is without it. Any other
            column must be in one row at least.
    """

    title: str
    value: str
    digits: int = 1
    unit: str = ""
    scale: float = 1.0
    is_number: bool = True
    optional: bool = False


@dataclass(frozen=True)
class Table:
    """One table: the rows of `benchmark` whose variant fits one of `variants` (shell patterns).

    Rows of a partial run (``--limit``) stay out: a number over some of the clips is no number of the set.

    Args:
        benchmark: module and result file.
        columns: what is shown of each line.
        variants: which rows.
        each: dotted path of a mapping; the table then has a line for each of its entries, whose name is
            "key" and whose value is "entry" in the paths of the columns.
    """

    benchmark: str
    columns: tuple[Column, ...]
    variants: tuple[str, ...] = ("*",)
    each: str | None = None

    def takes(self, row: Mapping[str, Any]) -> bool:
        variant = str(row["variant"])
        return "-limit" not in variant and any(fnmatchcase(variant, pattern) for pattern in self.variants)

    def lines(self, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The rows as the columns see them."""
        if self.each is None:
            return list(rows)
        return [
            {**row, "key": key, "entry": entry}
            for row in rows
            for key, entry in (look_up(row, self.each) or {}).items()
        ]


def look_up(row: Mapping[str, Any], path: str) -> Any:
    """`look_up(row, "numbers.step_ms.p50")`; None where the row ends before the path does."""
    value: Any = row
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


QUANTIZATION = (
    Column("weights of", "settings.weights", is_number=False),
    Column("scales", "settings.scales", is_number=False),
    Column("chunk", "settings.chunk", is_number=False),
    Column("wrong", "numbers.sets.all.errors_percent", digits=2, unit=" %"),
    Column("points lost", "numbers.sets.all.points_lost", digits=2),
    Column("at least", "numbers.sets.all.points_lost_low", digits=2),
    Column("at most", "numbers.sets.all.points_lost_high", digits=2),
    Column("KL from float, nats", "numbers.kl_nats", digits=5, optional=True),
    Column("step, times float's", "numbers.step_ratio_p50", digits=2, optional=True),
)

QUANTIZATION_SETS = (
    Column("set", "key", is_number=False),
    Column("chunk", "settings.chunk", is_number=False),
    Column("words or photos", "entry.num_counted", digits=0),
    Column("float", "entry.float_errors_percent", digits=2, unit=" %"),
    Column("int8", "entry.errors_percent", digits=2, unit=" %"),
    Column("points lost", "entry.points_lost", digits=2),
    Column("at least", "entry.points_lost_low", digits=2),
    Column("at most", "entry.points_lost_high", digits=2),
)

TABLES: dict[str, Table] = {
    "word-error-rate": Table(
        "word_error_rate",
        (
            Column("set", "key", is_number=False),
            Column("clips", "entry.galago.num_clips", digits=0),
            Column("target", "variant", is_number=False),
            Column("galago WER", "entry.galago.wer_percent", unit=" %"),
            Column("pocketsphinx WER", "entry.pocketsphinx.wer_percent", unit=" %", optional=True),
        ),
        each="numbers",
    ),
    "moonshine": Table(
        "word_error_rate",
        (
            Column("set", "key", is_number=False),
            Column("clips", "entry.galago.num_clips", digits=0),
            Column("galago WER", "entry.galago.wer_percent", unit=" %"),
            Column("Moonshine tiny WER", "entry.moonshine.wer_percent", unit=" %"),
            Column("galago, of a core", "entry.galago.rtf_cpu", digits=2, unit=" %", scale=100.0),
            Column("Moonshine tiny, of a core", "entry.moonshine.rtf_cpu", digits=2, unit=" %", scale=100.0),
        ),
        each="numbers",
        variants=("*-words",),
    ),
    "accuracy-cost": Table(
        "accuracy_cost",
        (
            Column("set", "key", is_number=False),
            Column("float, whole clips", "entry.wer_percent.full", unit=" %"),
            Column("float, streaming", "entry.wer_percent.streaming", unit=" %"),
            Column("int8, streaming", "entry.wer_percent.int8", unit=" %"),
        ),
        each="numbers",
        variants=("*-chunk?", "*-chunk??"),
    ),
    "accuracy-cost-finals": Table(
        "accuracy_cost",
        (
            Column("set", "key", is_number=False),
            Column("float, whole clips", "entry.wer_percent.second_full", unit=" %"),
            Column("float, streaming", "entry.wer_percent.second", unit=" %"),
            Column("int8, streaming", "entry.wer_percent.second_int8", unit=" %"),
            Column("decoder in four bits", "entry.wer_percent.second_four_bits", unit=" %"),
            Column("the finals of the core", "entry.wer_percent.finals", unit=" %"),
            Column("streaming costs", "entry.streaming_points", digits=1),
            Column("int8 costs", "entry.int8_points", digits=1),
            Column("four bits cost", "entry.four_bits_points", digits=1),
            Column("endpoints cost", "entry.core_points", digits=1),
        ),
        each="numbers",
        variants=("*-finals",),
    ),
    "grammar-accuracy": Table(
        "grammar_accuracy",
        (
            Column("noise", "key", is_number=False),
            Column("commands", "entry.galago.num_commands", digits=0),
            Column("right: intent and every slot", "entry.galago.right_percent", unit=" %"),
            Column("other speech rejected", "entry.galago.rejected_percent", unit=" %"),
            Column("pocketsphinx right", "entry.pocketsphinx.right_percent", unit=" %", optional=True),
        ),
        each="numbers",
    ),
    "nine-words": Table(
        "nine_words",
        (
            Column("target", "variant", is_number=False),
            Column("clips", "numbers.num_clips", digits=0),
            Column("right", "numbers.accuracy_percent", unit=" %"),
        ),
    ),
    "no-speech": Table(
        "no_speech",
        (
            Column("target", "variant", is_number=False),
            Column("minutes without speech", "numbers.audio_s", scale=1 / 60),
            Column("finals with a word", "numbers.finals", digits=0),
        ),
    ),
    "ear-speed": Table(
        "ear_speed",
        (
            Column("bundle", "bundle.name", is_number=False),
            Column("recogniser", "key", is_number=False),
            Column("threads", "threads", digits=0),
            Column("chunk", "settings.chunk_ms", digits=0, unit=" ms"),
            Column("step p50", "entry.step_wall_ms.p50", digits=2, unit=" ms"),
            Column("p95", "entry.step_wall_ms.p95", digits=2, unit=" ms"),
            Column("p99", "entry.step_wall_ms.p99", digits=2, unit=" ms"),
            Column("RTF", "entry.rtf_wall", digits=4),
            Column("step p50, times galago's", "entry.ratio_wall", digits=2, optional=True),
            Column("outside the engine", "entry.own_overhead_percent", unit=" %", optional=True),
        ),
        each="numbers",
    ),
    "latency": Table(
        "latency",
        (
            Column("target", "variant", is_number=False),
            Column("finals", "numbers.num_finals", digits=0),
            Column("endpoint silence", "settings.endpoint_silence_ms", digits=0, unit=" ms"),
            Column("final beyond it, p50", "numbers.final_ms.p50", digits=0, unit=" ms"),
            Column("p99", "numbers.final_ms.p99", digits=0, unit=" ms"),
            Column("word to partial, p50", "numbers.word_ms.p50", digits=0, unit=" ms"),
            Column("p99", "numbers.word_ms.p99", digits=0, unit=" ms"),
        ),
    ),
    "parity": Table(
        "parity",
        (
            Column("weights, chunk", "variant", is_number=False),
            Column("chunk by chunk in", "key", is_number=False),
            Column("phones, largest difference", "entry.phones", digits=7),
            Column("characters, largest difference", "entry.tokens", digits=7),
            Column("clips", "entry.num_clips", digits=0, optional=True),
            Column("same text", "entry.num_same_text", digits=0, optional=True),
        ),
        each="numbers",
    ),
    "memory": Table(
        "memory",
        (
            Column("target", "variant", is_number=False),
            Column("audio", "numbers.audio_s", scale=1 / 3600, unit=" h"),
            Column("after the first minute", "numbers.rss_after_first_minute_mib", unit=" MiB"),
            Column("peak", "numbers.peak_rss_mib", unit=" MiB"),
            Column("growth", "numbers.growth_kib", digits=0, unit=" KiB"),
        ),
    ),
    "turn": Table(
        "turn",
        (
            Column("ear", "variant", is_number=False),
            Column("turns", "numbers.num_turns", digits=0),
            Column("endpoint silence", "settings.endpoint_silence_ms", digits=0, unit=" ms"),
            Column("beyond it, p50", "numbers.turn_by_clip_ms.p50", digits=0, unit=" ms"),
            Column("p95", "numbers.turn_by_clip_ms.p95", digits=0, unit=" ms"),
            Column("p99", "numbers.turn_by_clip_ms.p99", digits=0, unit=" ms"),
            Column("first audio, p50", "numbers.ttfa_ms.p50", unit=" ms"),
            Column("CPU of one core", "numbers.cpu_percent", unit=" %"),
            Column("peak memory", "numbers.peak_mb", digits=0, unit=" MB"),
        ),
    ),
    "voice-speed": Table(
        "voice_speed",
        (
            Column("voice", "key", is_number=False),
            Column("sentences", "entry.num_sentences", digits=0),
            Column("first audio, p50", "entry.ttfa_ms.p50", unit=" ms", optional=True),
            Column("p95", "entry.ttfa_ms.p95", unit=" ms", optional=True),
            Column("p99", "entry.ttfa_ms.p99", unit=" ms", optional=True),
            Column("RTF", "entry.rtf", digits=4),
            Column("RTF in CPU time", "entry.rtf_cpu", digits=4),
        ),
        each="numbers",
    ),
    "voice-quality": Table(
        "voice_quality",
        (
            Column("voice", "key", is_number=False),
            Column("mel-cepstral distortion", "entry.mcd_db", unit=" dB", optional=True),
            Column("sentences", "entry.pocketsphinx.num_clips", digits=0),
            Column("pocketsphinx WER", "entry.pocketsphinx.wer_percent", unit=" %"),
            Column("its own ear's WER", "entry.ear.wer_percent", unit=" %", optional=True),
        ),
        each="numbers",
    ),
    "voice-teacher": Table(
        "voice_teacher",
        (
            Column("voice", "key", is_number=False),
            Column("parameters", "entry.num_parameters", scale=1e-6, digits=2, unit=" M", optional=True),
            Column("steps trained", "entry.steps_trained", digits=0, optional=True),
            Column("text to mel, a second of speech", "entry.mel_ms", unit=" ms", optional=True),
            Column("times FastSpeech's", "entry.mel_ratio", optional=True),
            Column("times the bundle's", "entry.mel_ratio_core", optional=True),
            Column("text to sound", "entry.sound_ms", unit=" ms"),
            Column("times FastSpeech's", "entry.sound_ratio"),
            Column("times the bundle's", "entry.sound_ratio_core", optional=True),
            Column(
                "ended by itself within FastSpeech's frames",
                "entry.stopped_percent",
                digits=0,
                unit=" %",
                optional=True,
            ),
        ),
        each="numbers",
    ),
    "hard-sentences": Table(
        "hard_sentences",
        (
            Column("voice", "variant", is_number=False),
            Column("steps trained", "numbers.steps_trained", digits=0, optional=True),
            Column("sentences", "numbers.num_sentences", digits=0),
            Column("words", "numbers.num_words", digits=0),
            Column("heard: skipped", "numbers.skipped", digits=0),
            Column("repeated", "numbers.repeated", digits=0),
            Column("sentences with either", "numbers.faulty_sentences", digits=0),
            Column("drawn: skipped", "numbers.drawn.skipped", digits=0, optional=True),
            Column("repeated", "numbers.drawn.repeated", digits=0, optional=True),
            Column("without an end", "numbers.unended", digits=0, optional=True),
            Column("of words cut out, found", "numbers.cut_found_percent", unit=" %", optional=True),
            Column("of doubled words, found", "numbers.doubled_found_percent", unit=" %", optional=True),
        ),
    ),
    "eye-speed": Table(
        "eye_speed",
        (
            Column("eye", "key", is_number=False),
            Column("image p50", "entry.image_wall_ms.p50", digits=2, unit=" ms"),
            Column("p95", "entry.image_wall_ms.p95", digits=2, unit=" ms"),
            Column("p99", "entry.image_wall_ms.p99", digits=2, unit=" ms"),
            Column("p50, times galago's", "entry.ratio_wall", digits=2, optional=True),
        ),
        each="numbers",
    ),
    "attention-cost": Table(
        "attention_cost",
        (
            Column("image, pixels", "key", is_number=False),
            Column("tokens", "entry.tokens", digits=0),
            Column("windows of 7 x 7", "entry.windows.cpu_ms", digits=2, unit=" ms"),
            Column("every token with every other", "entry.global.cpu_ms", digits=2, unit=" ms"),
        ),
        each="numbers.sides",
    ),
    "attention-growth": Table(
        "attention_cost",
        (
            Column("attention", "key", is_number=False),
            Column("CPU time grows with area to the", "entry.cpu_ms", digits=2),
            Column("multiply-adds with area to the", "entry.multiply_adds", digits=2),
        ),
        each="numbers.growth",
    ),
    "eye-accuracy": Table(
        "eye_accuracy",
        (
            Column("network", "variant", is_number=False),
            Column("photos of", "key", is_number=False),
            Column("photos", "entry.num_photos", digits=0),
            Column("label right", "entry.fine_percent", unit=" %"),
            Column("coarse class right", "entry.coarse_percent", unit=" %"),
            Column("calibration error", "entry.calibration_error_percent", unit=" %"),
            Column("answered", "entry.answered_percent", unit=" %"),
            Column("right of the answered", "entry.right_of_answered_percent", unit=" %", optional=True),
        ),
        variants=("torch-f32", "*int8", "*fp32"),
        each="numbers.groups",
    ),
    "distillation-ear": Table(
        "distillation",
        (
            Column("set", "key", is_number=False),
            Column("student alone", "entry.alone_percent", unit=" %"),
            Column("distilled", "entry.distilled_percent", unit=" %"),
            Column("errors gone", "entry.better_percent", unit=" %"),
            Column("teacher, full context", "entry.teacher_percent", unit=" %", optional=True),
        ),
        variants=("ear",),
        each="numbers.sets",
    ),
    "distillation-eye": Table(
        "distillation",
        (
            Column("photos of", "key", is_number=False),
            Column("student alone", "entry.alone_percent", unit=" %"),
            Column("distilled", "entry.distilled_percent", unit=" %"),
            Column("gained", "entry.better_points", unit=" points"),
            Column("teacher", "entry.teacher_percent", unit=" %", optional=True),
        ),
        variants=("eye",),
        each="numbers.sets",
    ),
    "pretraining": Table(
        "pretraining",
        (
            Column("labels", "entry.labels", is_number=False),
            Column("set", "entry.set", is_number=False),
            Column("words wrong, none", "entry.without.wer_percent", unit=" %"),
            Column("pre-trained", "entry.with.wer_percent", unit=" %"),
            Column("characters wrong, none", "entry.without.cer_percent", unit=" %"),
            Column("pre-trained", "entry.with.cer_percent", unit=" %"),
            Column("phones wrong, none", "entry.without.per_percent", unit=" %"),
            Column("pre-trained", "entry.with.per_percent", unit=" %"),
            Column("frames wrong, none", "entry.without.frames_wrong_percent", unit=" %"),
            Column("pre-trained", "entry.with.frames_wrong_percent", unit=" %"),
        ),
        variants=("ear",),
        each="numbers.lines",
    ),
    "quantization-ear": Table("quantization", QUANTIZATION, variants=("ear-*",)),
    "quantization-ear-sets": Table(
        "quantization",
        QUANTIZATION_SETS,
        variants=("ear-min-max-*-of-ear-en-us-two-latencies",),
        each="numbers.sets",
    ),
    "quantization-eye": Table(
        "quantization",
        tuple(column for column in QUANTIZATION if column.title != "chunk"),
        variants=("eye-*",),
    ),
    "quantization-eye-sets": Table(
        "quantization",
        tuple(column for column in QUANTIZATION_SETS if column.title != "chunk"),
        variants=("eye-min-max-of-eye-groceries",),
        each="numbers.sets",
    ),
    "eye-unknown": Table(
        "eye_accuracy",
        (
            Column("network", "variant", is_number=False),
            Column("shown", "key", is_number=False),
            Column("pictures", "entry.num_photos", digits=0),
            Column("rejected", "entry.rejected_percent", unit=" %"),
        ),
        variants=("torch-f32", "*int8", "*fp32"),
        each="numbers.unknown",
    ),
}

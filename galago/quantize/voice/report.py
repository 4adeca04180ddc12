"""What the report of a voice shows beside its quantization: graphs, times, distances of sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galago.quantize.report import ReportTable, rounded
from galago.quantize.voice.export import SpeakerShape
from galago.quantize.voice.parts import Part

__all__ = ["graph_rows", "merged_quantization", "report_tables", "sound_rows", "speed"]


def merged_quantization(parts: Mapping[str, Part]) -> dict[str, Any]:
    """Reader and speaker in the one form that the reports of all roles have; each by itself in ``parts``.

    The cost is the larger one. Of a part that stayed in float nothing counts as quantized.
    """
    reports = {name: part.report() for name, part in parts.items()}
    quantized = [report for report in reports.values() if report["choice"]["refusal"] is None]
    return {
        "scales": "observed",
        "cost": max((report["cost"] for report in quantized), default=0.0),
        "max_cost": max(report["max_cost"] for report in reports.values()),
        "layers": [layer for report in quantized for layer in report["layers"]],
        "reverts": [revert for report in quantized for revert in report["reverts"]],
        "config": {
            **next(iter(reports.values()))["config"],
            "ignored_layers": [p for report in reports.values() for p in report["config"]["ignored_layers"]],
        },
        "parts": reports,
    }


def speed(parts: Mapping[str, Part], shape: SpeakerShape) -> dict[str, float]:
    """Busy time to the first sample of a sentence that fits the smallest reader, and per second of speech.

    Samples lag by ``delay_frames``: the first are there with the chunk in which row ``delay_frames`` is.
    """
    reader, speaker = parts["reader"], parts["speaker"]
    if not (reader.choice.times and speaker.choice.times):
        return {}
    reader_ms = reader.row(min(reader.choice.times))["step_ms_p50"]
    chunk_ms = speaker.row(shape.chunk_frames)["step_ms_p50"]
    chunk_s = shape.chunk_frames * shape.hop_samples / shape.sample_rate_hz
    num_first_chunks = shape.delay_frames // shape.chunk_frames + 1
    return {
        "first_audio_ms": round(reader_ms + num_first_chunks * chunk_ms, 2),
        "real_time_factor": round(chunk_ms / 1000.0 / chunk_s, 4),
    }


def graph_rows(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table: a row a graph."""
    head = ["target", "float, p50 (ms)", "int8, p50 (ms)", "int8 from float (nats of log-mel)"]
    rows = [
        [
            name,
            rounded(row.get("float_step_ms_p50"), 3),
            rounded(row.get("int8_step_ms_p50"), 3),
            rounded(row["int8_cost"], 4),
        ]
        for name, row in report["targets"].items()
    ]
    return head, rows


def sound_rows(sound: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table: a row a voice."""
    head = [
        "voice",
        "from float (nats)",
        "from recordings (nats)",
        "durations changed (%)",
        "by frames, mean",
    ]
    keys = (
        ("log_mel_nats_from_float", 3),
        ("log_mel_nats_from_recordings", 3),
        ("durations_changed_percent", 1),
        ("mean_frames_changed", 3),
    )
    return head, [[name, *(rounded(row[key], digits) for key, digits in keys)] for name, row in sound.items()]


def report_tables(report: Mapping[str, Any]) -> list[ReportTable]:
    """The tables of the page."""
    choices = [[name, part["choice"]["sentence"]] for name, part in report["quantization"]["parts"].items()]
    tables = [
        ReportTable("The graphs", *graph_rows(report)),
        ReportTable("What is packed, and why", ["graphs", ""], choices),
    ]
    if report["sound"]:
        tables.append(
            ReportTable(
                "Sentences that were held out, log-mel magnitudes in nats (8.7 dB)",
                *sound_rows(report["sound"]),
            )
        )
    return tables

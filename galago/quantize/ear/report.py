"""What the report of an ear shows beside its quantization: times, divergence, word error rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galago.quantize.report import ReportTable, percent, rounded

__all__ = ["SECOND_PASS_LABEL", "report_tables", "targets_of"]

SECOND_PASS_LABEL = "second pass: "  # before the names of the word error rates of its network


def targets_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of all graphs of an ear by their names, those of a second network behind."""
    return {**report["targets"], **report.get("second_pass", {}).get("targets", {})}


def report_tables(report: Mapping[str, Any]) -> list[ReportTable]:
    """The tables of the page."""
    graphs = [
        [
            name,
            rounded(row.get("step_ms_p50"), 3),
            rounded(row.get("float_step_ms_p50"), 3),
            rounded(row["divergence"]["kl_nats"], 5),
            percent(row["divergence"]["disagreement"]),
        ]
        for name, row in targets_of(report).items()
    ]
    head = ["target", "step, p50 (ms)", "float, p50 (ms)", "KL from float (nats)", "best class differs"]
    tables = [ReportTable("The graphs", head, graphs)]
    rates: Mapping[str, Mapping[str, Any]] = report.get("word_error_rate") or {}
    if rates:
        corpora = sorted({corpus for row in rates.values() for corpus in row})
        rows = [[name, *(rounded(row[c]["wer_percent"], 2) for c in corpora)] for name, row in rates.items()]
        tables.append(ReportTable("Word error rate, greedy, in percent", ["graph", *corpora], rows))
    return tables

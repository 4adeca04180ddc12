"""What the report of an eye shows beside its quantization: times, divergence, accuracies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galago.quantize.report import ReportTable, percent, rounded

__all__ = ["accuracy_rows", "report_tables"]


def accuracy_rows(accuracies: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table: a row a graph, a column a measure that all have."""
    keys = [key for key in next(iter(accuracies.values()), {}) if key.endswith("_percent")]
    head = ["graph", *(key.removesuffix("_percent").replace("_", " ") for key in keys)]
    return head, [[name, *(rounded(row[key], 1) for key in keys)] for name, row in accuracies.items()]


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
        for name, row in report["targets"].items()
    ]
    head = ["target", "image, p50 (ms)", "float, p50 (ms)", "KL from float (nats)", "best label differs"]
    tables = [ReportTable("The graph", head, graphs)]
    if report.get("accuracy"):
        tables.append(
            ReportTable("Photos that were held out, in percent", *accuracy_rows(report["accuracy"]))
        )
    return tables

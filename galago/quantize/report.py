"""What quantization did, as JSON for programs and as one HTML page for people, with all it needs inside."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["ReportTable", "percent", "rounded", "write_report"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd }
th { text-align: left } td.number { text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100% } code { background: #f4f4f4; padding: 0 .2rem }
"""


class ReportTable(NamedTuple):
    """A table of the page, its numbers as text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def write_report(folder: Path, report: Mapping[str, Any], tables: Sequence[ReportTable]) -> None:
    """Write ``report.json`` and ``report.html`` into ``folder``.

    Args:
        report: with ``name``, ``version``, ``board``, ``checkpoint``, ``calibration`` and ``quantization``,
            and the last three in ``second_pass`` where another network was quantized by itself; what more a
            role tells is in ``report.json`` as it is, and on the page by ``tables``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(_page(report, tables), encoding="utf-8")


def _page(report: Mapping[str, Any], tables: Sequence[ReportTable]) -> str:
    networks = {"": report, **({"Second pass: ": report["second_pass"]} if "second_pass" in report else {})}
    parts = [
        f"<h1>{html.escape(report['name'])} {html.escape(report['version'])}: what int8 costs</h1>",
        f"<p>Board: {html.escape(report['board'])}.</p>",
        *(part for label, network in networks.items() for part in _quantized(label, network)),
    ]
    for table in tables:
        parts += [f"<h2>{html.escape(table.title)}</h2>", _table(table.head, table.rows)]
    for label, network in networks.items():
        layers = network["quantization"]["layers"]
        if layers:
            parts += [
                f"<h2>{label}Signal to quantization noise, layer by layer</h2>",
                "<p><b>alone</b>: the layer is fed with the float network's activations. "
                "<b>in the graph</b>: with everything before it quantized too.</p>",
                f'<img alt="SQNR of each layer" src="data:image/png;base64,{_bars(layers)}">',
            ]
    body = "\n".join(parts)
    title = html.escape(report["name"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}: int8</title>'
        f"<style>{_STYLE}</style><body>{body}</body></html>\n"
    )


def _quantized(label: str, network: Mapping[str, Any]) -> list[str]:
    """Of one network: what it was made of, and what stayed in float."""
    checkpoint, calibration = network["checkpoint"], network["calibration"]
    quantization = network["quantization"]
    parts = [
        f"<h2>{label}Layers that went back to float</h2>",
        f"<p>Checkpoint <code>{checkpoint['sha256'][:16]}</code> (step {checkpoint['step']}), "
        f"calibration set <code>{html.escape(calibration['name'])}</code> "
        f"<code>{calibration['sha256'][:16]}</code>, {calibration['num_samples']} samples; "
        f"scales {quantization['scales']}.</p>",
        _reverts(quantization),
    ]
    if "choice" in quantization:
        parts.append(f"<p>{html.escape(quantization['choice']['sentence'])}</p>")
    return parts


def _reverts(quantization: Mapping[str, Any]) -> str:
    cost, allowed = quantization["cost"], quantization["max_cost"]
    verdict = f"The mean divergence from the float network is {cost:.5f} nats; {allowed:.5f} are allowed. "
    patterns = ", ".join(f"<code>{html.escape(p)}</code>" for p in quantization["config"]["ignored_layers"])
    verdict += f"In float from the start: {patterns}." if patterns else ""
    if not quantization["reverts"]:
        return f"<p>None. {verdict}</p>"
    rows = [
        [
            name,
            rounded(db, 1),
            rounded(alone, 5),
            rounded(lost_ms, 4),
            rounded(revert["cost_before"], 5),
            rounded(revert["cost_after"], 5),
        ]
        for revert in quantization["reverts"]
        for name, db, alone, lost_ms in zip(
            revert["layers"], revert["sqnr_db"], revert["cost_alone"], revert["lost_ms"], strict=True
        )
    ]
    head = ["layer", "SQNR alone (dB)", "cost alone", "time lost (ms)", "cost before", "cost after"]
    return f"<p>{verdict}</p>" + _table(head, rows)


def rounded(value: float | None, digits: int) -> str:
    """A number for a table; empty where nothing was measured."""
    return "" if value is None else f"{value:.{digits}f}"


def percent(share: float) -> str:
    """A share in [0, 1] for a table."""
    return f"{100 * share:.2f} %"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    lines = [f"<tr>{cells}</tr>"]
    for row in rows:
        first, *numbers = row
        lines.append(
            f"<tr><td>{html.escape(first)}</td>"
            + "".join(f'<td class="number">{html.escape(n)}</td>' for n in numbers)
            + "</tr>"
        )
    return "<table>" + "".join(lines) + "</table>"


def _bars(layers: Sequence[Mapping[str, Any]]) -> str:
    """A PNG of horizontal bars, base64."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [layer["name"].partition("/")[0] for layer in layers]
    figure = Figure(figsize=(9, 1 + 0.22 * len(layers)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = list(range(len(layers)))
    axes.barh([p - 0.2 for p in places], [layer["alone_db"] for layer in layers], 0.4, label="alone")
    axes.barh(
        [p + 0.2 for p in places], [layer["in_graph_db"] for layer in layers], 0.4, label="in the graph"
    )
    axes.set_yticks(places, names, fontsize=7)
    axes.invert_yaxis()
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_xlabel("SQNR (dB)")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")

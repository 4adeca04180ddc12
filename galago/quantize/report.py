"""What quantization did, as JSON for programs and as one HTML page for people, with all it needs inside."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["write_report"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd }
th { text-align: left } td.number { text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100% } code { background: #f4f4f4; padding: 0 .2rem }
"""


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write ``report.json`` and ``report.html`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(_page(report), encoding="utf-8")


def _page(report: Mapping[str, Any]) -> str:
    quantization = report["quantization"]
    layers = quantization["layers"]
    checkpoint, calibration = report["checkpoint"], report["calibration"]
    parts = [
        f"<h1>{html.escape(report['name'])} {html.escape(report['version'])}: what int8 costs</h1>",
        f"<p>Checkpoint <code>{checkpoint['sha256'][:16]}</code> (step {checkpoint['step']}), "
        f"calibration set <code>{html.escape(calibration['name'])}</code> "
        f"<code>{calibration['sha256'][:16]}</code>, {calibration['num_samples']} chunks of real "
        f"streams with their caches. Board: {html.escape(report['board'])}.</p>",
        "<h2>The graphs</h2>",
        _table(
            ["target", "step, p50 (ms)", "float, p50 (ms)", "KL from float (nats)", "best class differs"],
            [
                [
                    name,
                    _number(row.get("step_ms_p50"), 3),
                    _number(row.get("float_step_ms_p50"), 3),
                    _number(row["divergence"]["kl_nats"], 5),
                    f"{100 * row['divergence']['disagreement']:.2f} %",
                ]
                for name, row in report["targets"].items()
            ],
        ),
        "<h2>Layers that went back to float</h2>",
        _reverts(quantization),
    ]
    if report.get("word_error_rate"):
        parts += [
            "<h2>Word error rate, greedy, in percent</h2>",
            _word_error_rates(report["word_error_rate"]),
        ]
    if layers:
        parts += [
            "<h2>Signal to quantization noise, layer by layer</h2>",
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


def _reverts(quantization: Mapping[str, Any]) -> str:
    cost, allowed = quantization["cost"], quantization["max_cost"]
    verdict = f"The mean divergence from the float network is {cost:.5f} nats; {allowed:.5f} are allowed. "
    patterns = ", ".join(f"<code>{html.escape(p)}</code>" for p in quantization["config"]["ignored_layers"])
    verdict += f"In float from the start: {patterns}." if patterns else ""
    if not quantization["reverts"]:
        return f"<p>None. {verdict}</p>"
    rows = [
        [name, _number(db, 1), _number(revert["cost_before"], 5), _number(revert["cost_after"], 5)]
        for revert in quantization["reverts"]
        for name, db in zip(revert["layers"], revert["sqnr_db"], strict=True)
    ]
    return f"<p>{verdict}</p>" + _table(["layer", "SQNR alone (dB)", "cost before", "cost after"], rows)


def _word_error_rates(rates: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    corpora = sorted({corpus for row in rates.values() for corpus in row})
    rows = [[graph, *(_number(row[c]["wer_percent"], 2) for c in corpora)] for graph, row in rates.items()]
    return _table(["graph", *corpora], rows)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


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

"""``report.html``: one page about a make, with everything it needs inside."""

from __future__ import annotations

import base64
import difflib
import hashlib
import html
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from galago.models.training.plots import SMOOTHING_STEPS, moving_average
from galago.quantize.make.charts import Line, Point, bars, histogram, lines, points
from galago.quantize.make.measures import read_log
from galago.quantize.make.plan import Plan
from galago.quantize.make.runner import Outcome, duration
from galago.quantize.make.state import State

__all__ = ["bundle_sha256", "write_report"]

_STYLE = Path(__file__).with_name("report.css")
_NUM_SAMPLES = 4
_UNDRAWN = ("step", "learning_rate")


def bundle_sha256(bundle: Path) -> str | None:
    """SHA-256 of a bundle's manifest, which holds those of all its files; None where there is no bundle."""
    manifest = bundle / "manifest.json"
    return hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else None


def write_report(plan: Plan, state: State, outcome: Outcome) -> Path:
    """Write the page, whatever was made by now; of what is missing it says nothing.

    Raises:
        OSError: it cannot be written.
    """
    layout = plan.layout
    roles = [packing.role for packing in plan.inputs.packings]
    subjects = [*(s.name for s in plan.inputs.stages), *roles]
    measured = {name: _read(layout.measured(name)) for name in subjects if _is_made(name, plan, state)}
    sections = [
        _head(plan, outcome),
        _accepted(outcome),
        _compared(plan, measured),
        *(_curves(stage.name, layout.run(stage.name)) for stage in plan.inputs.stages),
        *(_quantized(p.role, measured.get(p.role, {})) for p in plan.inputs.packings),
        *(_samples(stage.name, layout.run(stage.name)) for stage in plan.inputs.stages),
        *(_wrong(name, measured.get(name, {}), is_open=name in roles) for name in reversed(subjects)),
        _steps(plan, state, outcome),
    ]
    title = html.escape(f"{plan.recipe.name}: report")
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title>\n<style>{_STYLE.read_text(encoding='utf-8')}</style></head>\n<body>"
        + "\n".join(part for part in sections if part)
        + "</body></html>\n"
    )
    part = layout.report.with_suffix(".part")
    part.write_text(page, encoding="utf-8")
    os.replace(part, layout.report)
    return layout.report


def _is_made(name: str, plan: Plan, state: State) -> bool:
    """Measures of an older make, which no step stands for now, are not shown."""
    return f"measure {name}" in state.steps and plan.layout.measured(name).is_file()


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _head(plan: Plan, outcome: Outcome) -> str:
    bundle = plan.layout.bundle
    sha256 = None if outcome.error else bundle_sha256(bundle)
    parts = [f"<h1>{html.escape(plan.recipe.name)}</h1>"]
    if outcome.error:
        parts.append(f'<p class="bad">Not made: {html.escape(outcome.error)}</p>')
    if sha256:
        size = sum(p.stat().st_size for p in bundle.rglob("*") if p.is_file())
        roles = ", ".join(p.role for p in plan.inputs.packings)
        parts.append(
            f"<p>A bundle of {size / 1e6:.2f} MB: {html.escape(roles)}. "
            f'<span class="quiet">SHA-256 of its manifest:</span> <code>{sha256}</code></p>'
        )
    return "".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, num_texts: int = 1) -> str:
    """Rows of HTML; after the first ``num_texts`` columns there are numbers."""

    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = ("" if i < num_texts else ' class="number"' for i in range(len(row)))
        return "".join(f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, row, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{cells("th", head)}</tr>{body}</table></div>'


def _accepted(outcome: Outcome) -> str:
    if not outcome.verdicts:
        return ""
    rows = [
        [
            html.escape(verdict.subject),
            html.escape(str(verdict.criterion)),
            "not measured" if verdict.found is None else f"{verdict.found:.4g}",
            '<span class="good">met</span>' if verdict.is_met else '<span class="bad">missed</span>',
        ]
        for verdict in outcome.verdicts
    ]
    return "<h2>What must be reached</h2>" + _table(["of", "wanted", "found", ""], rows, num_texts=2)


def _compared(plan: Plan, measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Stages and packed roles side by side, a table and charts for each kind of network."""
    roles = {stage.name: stage.role for stage in plan.inputs.stages} | {
        p.role: p.role for p in plan.inputs.packings
    }
    parts = []
    for role in dict.fromkeys(roles.values()):
        found = {n: measured[n]["measures"] for n, r in roles.items() if r == role and n in measured}
        keys = list(dict.fromkeys(key for values in found.values() for key in values))
        if not keys:
            continue
        names = {name: f"{name} (packed)" if name == role else name for name in found}
        rows = [[html.escape(k), *(_value(k, v.get(k)) for v in found.values())] for k in keys]
        parts.append(f"<h3>{html.escape(role.capitalize())}</h3>")
        parts.append(_table(["", *(html.escape(names[name]) for name in found)], rows))
        metric = next((key for key in ("wer", "accuracy") if key in keys), None)
        charts = []
        for key, label, scale in (("size_bytes", "weights (MB)", 1e-6), ("step_ms", "step, p50 (ms)", 1.0)):
            places = [
                Point(names[n], v[key] * scale, v[metric])
                for n, v in found.items()
                if metric is not None and metric in v and key in v
            ]
            charts.append(points(f"{metric} against {label}", places, label, str(metric)))
        parts.append(f'<div class="row">{"".join(charts)}</div>' if any(charts) else "")
    return "<h2>Every stage</h2>" + "".join(parts) if parts else ""


def _value(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if key == "size_bytes":
        return f"{value / 1e6:.2f} MB"
    if key == "num_parameters":
        return f"{value / 1e6:.2f} M"
    return f"{value:.4g}"


def _curves(name: str, run: Path) -> str:
    parts = []
    for network, rows in read_log(run).items():
        keys = list(dict.fromkeys(key for row in rows for key in row))
        shown = [k for k in keys if k not in _UNDRAWN and not k.endswith("gradient_norm")]
        losses = [k for k in shown if not k.startswith("dev_") and not k.endswith("accuracy")]
        shares = [k for k in shown if k not in losses]
        called = f"{network}: " if network else ""
        parts.append(lines(f"{called}training losses", [*_lines(rows, losses)], "step", "loss"))
        parts.append(lines(f"{called}measures", [*_lines(rows, shares)], "step", "share or distance"))
    if not any(parts):
        return ""
    return f'<h2>Training: {html.escape(name)}</h2><div class="row">{"".join(parts)}</div>'


def _lines(rows: Sequence[Mapping[str, float]], keys: Sequence[str]) -> Iterator[Line]:
    for key in keys:
        steps = [row["step"] for row in rows if key in row]
        values = [row[key] for row in rows if key in row]
        is_measure = key.startswith("dev_")
        width = 1 if is_measure else max(1, min(SMOOTHING_STEPS, len(values) // 10))
        yield Line(key, steps, moving_average(values, width).tolist(), is_marked=is_measure)


def _quantized(role: str, found: Mapping[str, Any]) -> str:
    layers, spread = found.get("layers", []), found.get("histograms", [])
    parts = [f"<p>{html.escape(sentence)}</p>" for sentence in found.get("choices", [])]
    if layers:
        rows = [
            (
                layer["name"].rpartition("/")[0] or layer["name"],
                (layer["alone_db"], layer["in_graph_db"]),
                layer["is_float"],
            )
            for layer in layers
        ]
        chart = bars("Signal to quantization noise", rows, ("alone", "in the graph"), "SQNR (dB)")
        parts.append(
            "<p><b>alone</b>: the layer is fed with the float network's activations; <b>in the graph</b>: "
            'with everything before it quantized too. Layers in <span class="bad">red</span> went back '
            "to float.</p>" + chart
        )
    if spread:
        charts = (
            histogram(f"{row['set']}: {row['input']}", row["low"], row["high"], row["counts"])
            for row in spread
        )
        parts.append(
            '<h3>What the ranges were measured on</h3><p class="quiet">Counts on a logarithmic scale.</p>'
            f'<div class="row small">{"".join(charts)}</div>'
        )
    return f"<h2>int8: {html.escape(role)}</h2>{''.join(parts)}" if parts else ""


def _samples(name: str, run: Path) -> str:
    """Pictures that a run has drawn of dev data when it was measured last: of voices, spectrograms."""
    figures = []
    for network in sorted(path.parent.name for path in run.glob("*/samples")):
        last = max((run / network / "samples").iterdir(), default=None)
        for path in sorted(last.glob("*.png"))[:_NUM_SAMPLES] if last is not None else ():
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            caption = html.escape(f"{network}, step {path.parent.name}: {path.stem}")
            figures.append(
                f'<figure><figcaption>{caption}</figcaption><img class="sample" alt="" '
                f'src="data:image/png;base64,{data}"></figure>'
            )
    return f"<h2>Samples: {html.escape(name)}</h2>{''.join(figures)}" if figures else ""


def _wrong(name: str, found: Mapping[str, Any], *, is_open: bool) -> str:
    """Examples of a role that is packed, and folded away those of its stages."""
    examples = found.get("examples", [])
    if not examples:
        return ""
    draw = _clip if "num_errors" in examples[0] else _photo
    body = "".join(draw(example) for example in examples)
    body = f'<div class="row photos">{body}</div>' if draw is _photo else body
    title = f"What went wrong: {html.escape(name)}"
    if is_open:
        return f"<h2>{title}</h2>{body}"
    return f"<details><summary>{title}</summary>{body}</details>"


def _clip(example: Mapping[str, Any]) -> str:
    said, heard = example["reference"].split(), example["hypothesis"].split()
    marked: dict[str, list[str]] = {"del": [], "ins": []}
    for kind, a, b, c, d in difflib.SequenceMatcher(None, said, heard, autojunk=False).get_opcodes():
        for tag, words in (("del", said[a:b]), ("ins", heard[c:d])):
            text = html.escape(" ".join(words))
            marked[tag].append(text if kind == "equal" or not text else f"<{tag}>{text}</{tag}>")
    return (
        f'<div class="clip"><img alt="log-mel spectrogram" src="data:image/png;base64,{example["picture"]}">'
        f"<p>said: {' '.join(marked['del'])}<br>heard: {' '.join(marked['ins']) or 'nothing'} "
        f'<span class="quiet">({html.escape(example["corpus"])}, words wrong: {example["num_errors"]})'
        "</span></p></div>"
    )


def _photo(example: Mapping[str, Any]) -> str:
    return (
        f'<figure><img alt="" src="data:image/png;base64,{example["picture"]}">'
        f"<figcaption>{html.escape(example['reference'])}: <ins>{html.escape(example['hypothesis'])}</ins> "
        f"{example['confidence']:.0%}</figcaption></figure>"
    )


def _steps(plan: Plan, state: State, outcome: Outcome) -> str:
    rows = []
    for step in plan.steps:
        done = state.steps.get(step.name)
        now = "done now" if step.name in outcome.seconds else "up to date" if done else "not done"
        rows.append(
            [
                html.escape(step.name),
                now,
                f"<code>{done.key[:12]}</code>" if done else "",
                duration(done.seconds) if done else "",
            ]
        )
    return "<h2>Steps</h2>" + _table(["step", "", "made of", "took"], rows, num_texts=3)

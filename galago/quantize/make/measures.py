"""Numbers of a stage, a role or the bundle by name: what can be asked for in ``accept``.

=========  ==================================================================================================
of         measures
=========  ==================================================================================================
stages     ``dev_...`` and ``NETWORK.dev_...``: the last line of the run's log that has them
ears       ``wer`` and ``wer.CORPUS``: word error rate, greedy, in chunks, in [0, 1]
eyes       ``accuracy``, ``coarse_accuracy``, ``GROUP_accuracy``, ``GROUP_coarse_accuracy``, in [0, 1]
g2p        ``word_accuracy``, ``phone_error_rate``, and both ``..._unstressed``, of held-out words
roles      what their stages have without ``dev_``; ``wer_loss`` or ``accuracy_loss``, which int8 has cost;
           ``cost`` (nats from float) and ``num_float_layers``; of voices ``log_mel_nats_from_float``,
           ``log_mel_nats_from_recordings`` and ``durations_changed_percent``; of ears whose second pass
           is another network ``second_pass.wer``, ``second_pass.cost`` and ``second_pass.num_float_layers``
all        ``size_bytes``, ``num_parameters`` (stages), ``step_ms`` (ears, eyes: busy time of a step)
=========  ==================================================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from galago.quantize.ear.report import SECOND_PASS_LABEL

__all__ = [
    "known_measures",
    "log_measures",
    "read_log",
    "reverted_layers",
    "second_pass_measures",
    "sound_measures",
]

_G2P = r"(word_accuracy|phone_error_rate)(_unstressed)?"
_HEARD = r"wer(\.[\w.-]+)?"
_SEEN = r"(\w+_)?(coarse_)?accuracy"
_SECOND_PASS = r"second_pass\.(wer|cost|num_float_layers)"
_SOUND = ("log_mel_nats_from_float", "log_mel_nats_from_recordings", "durations_changed_percent")

_KNOWN = {
    ("bundle", ""): r"size_bytes",
    ("stage", "ear"): rf"dev_\w+|num_parameters|size_bytes|step_ms|{_HEARD}",
    ("stage", "eye"): rf"dev_\w+|num_parameters|size_bytes|step_ms|{_SEEN}",
    ("stage", "voice"): r"\w+\.dev_\w+|num_parameters|size_bytes",
    ("stage", "g2p"): rf"dev_\w+|num_parameters|size_bytes|{_G2P}",
    ("role", "ear"): rf"cost|num_float_layers|size_bytes|step_ms|wer_loss|{_HEARD}|{_SECOND_PASS}",
    ("role", "eye"): rf"cost|num_float_layers|size_bytes|step_ms|accuracy_loss|{_SEEN}",
    ("role", "voice"): rf"cost|num_float_layers|size_bytes|{'|'.join(_SOUND)}",
}


def known_measures(of: str, role: str = "") -> Callable[[str], bool]:
    """Whether a name is a measure ``of`` a "stage", a "role" or the "bundle"."""
    pattern = re.compile(_KNOWN.get((of, role), r"dev_\w+|num_parameters|size_bytes"))
    return lambda name: pattern.fullmatch(name) is not None


def read_log(run: Path) -> dict[str, list[dict[str, float]]]:
    """The rows of a run's log by network; "" where the run trains one. A torn line is left out."""
    found = {}
    for path in [run / "log.jsonl", *sorted(run.glob("*/log.jsonl"))]:
        if path.is_file():
            network = "" if path.parent == run else path.parent.name
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            found[network] = [json.loads(line) for line in lines if line.endswith("\n")]
    return found


def log_measures(run: Path) -> dict[str, float]:
    """The last of each ``dev_`` measure; of letters to phones also those on held-out words."""
    found: dict[str, float] = {}
    for network, rows in read_log(run).items():
        for row in rows:
            found |= {f"{network}.{k}" if network else k: v for k, v in row.items() if k.startswith("dev_")}
    held_out = run / "held_out.json"
    if held_out.is_file():
        found |= json.loads(held_out.read_text(encoding="utf-8"))
    return found


def sound_measures(report: Mapping[str, Any]) -> dict[str, float]:
    """Of the packed voice, from its packing report; nothing where it had no recordings to compare with."""
    rows = list((report.get("sound") or {}).values())
    if not rows:
        return {}
    return {name: float(rows[-1][name]) for name in _SOUND if rows[-1].get(name) is not None}


def reverted_layers(quantization: Mapping[str, Any]) -> list[str]:
    """Layers that went back to float, of a packing report's part on quantization."""
    return [name for revert in quantization.get("reverts", ()) for name in revert["layers"]]


def second_pass_measures(report: Mapping[str, Any]) -> dict[str, float]:
    """Of the second network of a packed ear, from its packing report; nothing where it has none."""
    second = report.get("second_pass")
    if second is None:
        return {}
    quantization = second["quantization"]
    found = {
        "second_pass.cost": quantization["cost"],
        "second_pass.num_float_layers": float(len(reverted_layers(quantization))),
    }
    chunk_ms = next(iter(second["targets"].values()))["chunk_ms"]
    row = report.get("word_error_rate", {}).get(f"{SECOND_PASS_LABEL}packed, chunks of {chunk_ms} ms")
    return found if row is None else {**found, "second_pass.wer": row["all"]["wer_percent"] / 100.0}

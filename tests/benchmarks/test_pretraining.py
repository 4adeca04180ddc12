"""Which runs the benchmark of pre-training compares, and how it counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.pretraining import Trained, draw, faults, labels_name, lines_of, phones_of, trained
from galago.models.tokenizer import PHONES


def run(name: str, minutes: float | None, weights: str | None, step: int = 9, **recipe: Any) -> Trained:
    told = {
        "name": name,
        "label_minutes": minutes,
        "initial_weights": weights,
        "loss": 1,
        "schedule": {},
        **recipe,
    }
    return trained(Path(name), {"recipe": json.dumps(told), "step": step})


PAIR = [run("a", 10, None), run("b", 10, "p.pt")]


def test_pairs_that_differ_in_labels_and_weights_alone_are_compared() -> None:
    idle = run("c", None, None, schedule={"head_steps": 5})
    assert faults([*PAIR, idle, run("d", None, "p.pt")]) == []


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ([run("c", 10, "p.pt", loss=2)], "c: recipe.loss is not that of a"),
        ([run("c", 10, "p.pt", schedule={"seed": 2})], "c: recipe.schedule is not that of a"),
        ([run("c", 60, None)], "1 h: needs a run with pre-training and one without"),
        ([run("c", 10, "q.pt")], "c: a second run of its kind"),
        ([run("c", None, None), run("d", None, "p.pt", step=8)], "d: 8 steps and not 9"),
    ],
)
def test_other_runs_are_refused_by_what_is_wrong(other: list[Trained], message: str) -> None:
    assert message in faults([*PAIR, *other])


def test_phones_last_a_while_and_silence_parts_equal_ones() -> None:
    def rows(*best: int) -> np.ndarray:
        log_probs = np.full((len(best), 40), np.log(0.4 / 39), dtype=np.float32)
        log_probs[np.arange(len(best)), best] = np.log(0.6)
        return log_probs

    a, b = PHONES[3], PHONES[5]
    spoken = [0] * 4 + [3] * 4 + [0] * 4 + [3] * 4 + [5] * 4
    assert phones_of(rows(*spoken), 20) == [a, a, b]
    spoken[6] = spoken[17] = 9  # flickers
    assert phones_of(rows(*spoken), 20) == [a, a, b]
    assert phones_of(rows(), 20) == []


def test_lines_go_from_few_labels_to_all_and_are_drawn(tmp_path: Path) -> None:
    measures = {"wer_percent": 90.0, "cer_percent": 50.0, "per_percent": 40.0, "frames_wrong_percent": 60.0}
    sets = {"all sets": measures, "so762": measures}
    lines = lines_of({(m, way): sets for m in (None, 60.0, 10.0) for way in ("with", "without")})
    assert list(lines)[::2] == ["10 min, all sets", "1 h, all sets", "all, all sets"]
    assert lines["1 h, so762"]["with"] == measures and labels_name(30) == "30 min"
    draw(lines, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"

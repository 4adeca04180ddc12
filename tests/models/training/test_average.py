"""The mean of checkpoints: of their weights alone, of one network, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from galago.models.training.average import average, main
from galago.models.training.checkpoints import CheckpointError, load, save_atomically


def _write(path: Path, value: float, **changes: Any) -> Path:
    weights = {"weight": torch.full((2, 3), value), "count": torch.tensor(int(value))}
    stored = {"family": "tiny", "config": {"width": 3}, "model": weights, "step": int(value)}
    save_atomically({**stored, **changes}, path)
    return path


def test_weights_are_averaged_and_the_rest_is_of_the_last(tmp_path: Path) -> None:
    paths = [_write(tmp_path / f"{value}.pt", float(value)) for value in (1, 2, 6)]
    assert main([*map(str, paths), "-o", str(tmp_path / "mean.pt")]) == 0
    found = load(tmp_path / "mean.pt")
    torch.testing.assert_close(found["model"]["weight"], torch.full((2, 3), 3.0))
    assert int(found["model"]["count"]) == 6 and found["step"] == 6
    assert load(paths[0])["step"] == 1


def test_one_alone_is_itself(tmp_path: Path) -> None:
    path = _write(tmp_path / "one.pt", 4.0)
    assert torch.equal(average([path])["model"]["weight"], load(path)["model"]["weight"])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"config": {"width": 4}}, "another network than that of"),
        ({"family": "small"}, "another network than that of"),
        ({"model": {"weight": torch.zeros(2, 4)}}, "another network than that of"),
    ],
)
def test_networks_that_differ_are_refused(
    changes: dict[str, Any], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [_write(tmp_path / "a.pt", 1.0, **changes), _write(tmp_path / "b.pt", 2.0)]
    assert main([*map(str, paths), "-o", str(tmp_path / "mean.pt")]) == 1
    assert f"{paths[0]}: {named}" in capsys.readouterr().err
    assert not (tmp_path / "mean.pt").exists()


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    save_atomically({"networks": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: no model\.pt of a run"):
        average([tmp_path / "checkpoint.pt"])

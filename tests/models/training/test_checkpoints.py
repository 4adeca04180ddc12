"""Checkpoints: what cannot be written leaves no part, what cannot be read is named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from galago.models.training.checkpoints import (
    CheckpointError,
    files_sha256,
    is_finished,
    load,
    save_atomically,
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_atomically({"weights": torch.arange(3.0), "step": 1}, path)
    save_atomically({"weights": torch.arange(4.0), "step": 2}, path)
    stored = load(path)
    assert stored["step"] == 2 and stored["weights"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_a_file_that_cannot_be_replaced_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "taken.pt").mkdir()
    with pytest.raises(OSError):
        save_atomically({"a": 1}, tmp_path / "taken.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["taken.pt"]


class Code:
    """Unpickled, it would run what it likes."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit",))


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none.pt: cannot be read"):
        load(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(CheckpointError, match=r"text.pt: cannot be read"):
        load(tmp_path / "text.pt")
    torch.save({"a": Code()}, tmp_path / "code.pt")
    with pytest.raises(CheckpointError, match=r"code.pt: cannot be read"):
        load(tmp_path / "code.pt")
    save_atomically([1, 2], tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match=r"list.pt: holds a list, no checkpoint"):
        load(tmp_path / "list.pt")


def test_a_run_is_finished_when_its_steps_are_made_and_its_model_is_there(tmp_path: Path) -> None:
    identity = {"name": "mine", "seed": 1}
    assert not is_finished(tmp_path, identity, 5)  # never begun
    save_atomically({"identity": json.dumps(identity), "step": 5}, tmp_path / "checkpoint.pt")
    assert not is_finished(tmp_path, identity, 5)  # killed before the model was written
    (tmp_path / "model.pt").touch()
    assert is_finished(tmp_path, identity, 5)
    assert not is_finished(tmp_path, identity, 6)
    with pytest.raises(CheckpointError, match="belongs to another recipe"):
        is_finished(tmp_path, {"name": "other", "seed": 1}, 5)
    save_atomically({"identity": json.dumps(identity)}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=r"checkpoint.pt: holds no 'step'"):
        is_finished(tmp_path, identity, 5)


def test_files_are_known_by_their_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    found = files_sha256([str(tmp_path / "a"), str(tmp_path / "b")])
    assert found == [hashlib.sha256(data).hexdigest() for data in (b"one", b"two")]

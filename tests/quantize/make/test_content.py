from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from galago.models.training.sources import CorpusError
from galago.quantize.make.content import Contents, digest_of_values
from galago.quantize.make.state import Done, State


def test_a_file_is_read_again_only_when_it_was_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    first = Contents()
    sha = first.of_file(path)
    again = Contents(json.loads(json.dumps(first.remembered)))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda *args, **kwargs: pytest.fail("it was read again"))
        assert again.of_file(path) == sha
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_text("two")
    os.utime(path, ns=times)  # as a copy that keeps its times would
    assert again.of_file(path) != sha


def test_a_folder_is_its_names_and_contents(tmp_path: Path) -> None:
    for name in ("left", "right"):
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / name / "below" / "a").write_text("same")
    contents = Contents()
    left, right = (contents.of_path(tmp_path / name) for name in ("left", "right"))
    assert left == right
    (tmp_path / "right" / "below" / "a").rename(tmp_path / "right" / "b")
    assert contents.of_path(tmp_path / "right") != left
    with pytest.raises(FileNotFoundError, match="nowhere: neither a file nor a folder"):
        contents.of_path(tmp_path / "nowhere")


def test_a_manifest_counts_with_the_files_that_it_names(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"file": "a.wav"}\n\n{"audio_filepath": "b.wav"}\n')
    for name in ("a.wav", "b.wav", "unnamed.wav"):
        (tmp_path / name).write_text(name)
    contents = Contents()
    before = contents.of_source(manifest)
    (tmp_path / "unnamed.wav").write_text("changed")
    assert contents.of_source(manifest) == before
    (tmp_path / "b.wav").write_text("changed")
    assert contents.of_source(manifest) != before
    (tmp_path / "b.wav").unlink()
    with pytest.raises(CorpusError, match=r"manifest\.jsonl:3: no file .*b\.wav"):
        contents.of_source(manifest)
    manifest.write_text('{"text": "no file"}\n')
    with pytest.raises(CorpusError, match=r"manifest\.jsonl:1: a line needs 'file'"):
        contents.of_source(manifest)


def test_the_order_of_keys_does_not_count() -> None:
    assert digest_of_values({"a": 1, "b": [1, 2]}) == digest_of_values({"b": [1, 2], "a": 1})
    assert digest_of_values({"a": [1, 2]}) != digest_of_values({"a": [2, 1]})


def test_a_state_comes_back_and_a_torn_one_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("made")
    state = State.load(tmp_path / "make.json")
    outputs = {"out": state.contents.of_path(tmp_path / "out")}
    state.steps["step"] = Done("key", outputs, 1.5)
    state.save()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["make.json", "out"]
    loaded = State.load(tmp_path / "make.json")
    assert loaded.steps == state.steps
    assert loaded.is_done("step", "key", tmp_path) and not loaded.is_done("step", "other key", tmp_path)
    (tmp_path / "out").write_text("changed by somebody")
    assert not loaded.is_done("step", "key", tmp_path)
    (tmp_path / "out").unlink()
    assert not loaded.is_done("step", "key", tmp_path)
    whole = (tmp_path / "make.json").read_text()
    for torn in (
        whole[: len(whole) // 2],
        "[]",
        '{"schema_version": 0}',
        '{"schema_version": 1, "steps": 3}',
    ):
        (tmp_path / "make.json").write_text(torn)
        assert State.load(tmp_path / "make.json").steps == {}

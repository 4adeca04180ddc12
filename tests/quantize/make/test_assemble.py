from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from galago.models.training.toml_tables import RecipeError
from galago.quantize.make.assemble import assemble
from galago.runtime.bundle_folder import check_files
from galago.runtime.errors import CorruptError
from galago.runtime.manifest import read_manifest
from tests.make_tiny_bundle import make_tiny_bundle


def hashes(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def ear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("ear") / "ear")


@pytest.fixture(scope="module")
def eye(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("eye") / "eye", ear=False, eye=True)


def test_roles_stand_side_by_side(ear: Path, eye: Path, tmp_path: Path) -> None:
    output = tmp_path / "both"
    output.mkdir()
    (output / "old").write_text("stood there before")
    assemble([ear, eye], output, header={"version": "9.0.0"})
    manifest = read_manifest(output)
    check_files(output, manifest)
    assert manifest.ear is not None and manifest.eye is not None
    assert (manifest.name, manifest.version) == ("galago-tiny", "9.0.0")
    document = json.loads((output / "manifest.json").read_text())
    assert {entry["role"] for entry in document["golden"]} == {"ear", "eye"}
    kept = {**hashes(ear), **hashes(eye)}
    found = hashes(output)
    for changed in ("manifest.json", "MODEL_CARD.md"):
        kept.pop(changed, None)
        found.pop(changed)
    assert found == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both"]


def test_a_role_stands_once_and_a_file_is_what_both_say(ear: Path, eye: Path, tmp_path: Path) -> None:
    output = tmp_path / "both"
    with pytest.raises(RecipeError, match="a second ear"):
        assemble([ear, ear], output)
    for folder, text in ((ear, "ours"), (eye, "theirs")):
        copy = tmp_path / folder.name
        copy.mkdir()
        assemble([folder], copy)
        (copy / "LICENSES.md").write_text(text)
        document = json.loads((copy / "manifest.json").read_text())
        sha = hashlib.sha256(text.encode()).hexdigest()
        document["files"]["LICENSES.md"] = {"sha256": sha, "size_bytes": len(text)}
        (copy / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(RecipeError, match=r"LICENSES\.md: another role has a file of this name"):
        assemble([tmp_path / "ear", tmp_path / "eye"], output)
    (tmp_path / "eye" / "LICENSES.md").write_text("damage")
    with pytest.raises(CorruptError, match=r"LICENSES\.md"):
        assemble([tmp_path / "eye"], output)
    assert not output.exists()

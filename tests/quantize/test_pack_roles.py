"""What a bundle of several roles is made of, with packers that only write a file each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from galago.models.training.checkpoints import CheckpointError
from galago.models.training.toml_tables import RecipeError
from galago.quantize import pack as packing
from galago.quantize.model_card import join_parts, split_parts
from galago.quantize.pack import Source, pack
from galago.quantize.packer import Job, PackedRole
from galago.quantize.recipe import PackRecipe
from galago.quantize.roles import Role
from galago.runtime.errors import CorruptError
from galago.runtime.manifest import read_manifest


@dataclass
class OneFile:
    """Writes its checkpoint's note; the manifest's reader does not know its roles and leaves them alone."""

    recipe: PackRecipe
    job: Job

    def pack(self, folder: Path) -> PackedRole:
        role, note = self.recipe.role, torch.load(self.job.checkpoint)["note"]
        for name in (f"{role}/graph.xml", f"golden/{role}.f32"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(note)
        return PackedRole(
            entry={"type": note, "targets": [{"model": f"{role}/graph.xml"}]},
            golden=({"role": role, "values": f"golden/{role}.f32"},),
            card=f"# {role}: {note}\n",
            report={"work": str(self.job.work)},
        )


@pytest.fixture(autouse=True)
def roles(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name: Role(PackRecipe, OneFile) for name in ("nose", "tail")}
    monkeypatch.setattr(packing, "ROLES", known)
    monkeypatch.setattr("galago.quantize.roles.ROLES", known)


Make = Callable[..., Source]


@pytest.fixture
def source(tmp_path: Path) -> Make:
    def make(role: str, note: str = "first", **recipe: Any) -> Source:
        folder = tmp_path / f"{role}-{note}"
        folder.mkdir(exist_ok=True)
        torch.save({"role": role, "note": note}, folder / "model.pt")
        settings = {"role": role, "name": role, "version": "1", "description": f"It has a {role}."}
        return Source(folder, PackRecipe(**{**settings, **recipe}), tmp_path)

    return make


def texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def test_two_roles_make_one_bundle(source: Make, tmp_path: Path) -> None:
    reports = pack(
        [source("nose", languages=("en-US",)), source("tail", license="MIT")],
        tmp_path / "bundle",
        work=tmp_path / "work",
    )
    manifest = read_manifest(tmp_path / "bundle")
    assert manifest.roles == ("nose", "tail") and (manifest.name, manifest.version) == ("nose", "1")
    assert manifest.description == "It has a nose. It has a tail."
    assert manifest.license == "Apache-2.0 AND MIT" and manifest.languages == ("en-US",)
    assert {Path(report["work"]).name for report in reports.values()} == {"nose", "tail"}
    card = (tmp_path / "bundle/MODEL_CARD.md").read_text()
    assert split_parts(card, []) == {"nose": "# nose: first\n", "tail": "# tail: first\n"}


def test_a_role_goes_into_a_bundle_and_leaves_the_others_alone(source: Make, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    (tmp_path / "NOTICE").write_text("notes")
    pack([source("nose", files=("NOTICE",))], bundle)
    assert texts(bundle)["MODEL_CARD.md"] == "# nose: first\n"  # alone it stands as it is
    pack([source("tail", version="9")], bundle, into=True)
    before = texts(bundle)
    pack([source("tail", "second")], bundle, into=True, header={"version": "2"})
    after = texts(bundle)
    assert {name for name in after if after[name] != before[name]} == {
        "tail/graph.xml",
        "golden/tail.f32",
        "MODEL_CARD.md",
    }
    assert after.keys() == before.keys() and after["NOTICE"] == "notes"
    document = json.loads((bundle / "manifest.json").read_text())
    assert [document["roles"][role]["type"] for role in ("nose", "tail")] == ["first", "second"]
    assert [entry["role"] for entry in document["golden"]] == ["nose", "tail"]
    assert (document["name"], document["version"]) == ("nose", "2")
    assert document["description"] == "It has a nose. It has a tail."


def test_without_into_an_old_bundle_is_replaced_whole(source: Make, tmp_path: Path) -> None:
    pack([source("nose")], tmp_path / "bundle")
    pack([source("tail")], tmp_path / "bundle")
    assert read_manifest(tmp_path / "bundle").roles == ("tail",)
    assert set(texts(tmp_path / "bundle")) == {"tail/graph.xml", "golden/tail.f32", "MODEL_CARD.md"}


def test_a_damaged_bundle_is_not_packed_into(source: Make, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    pack([source("nose")], bundle)
    (bundle / "nose/graph.xml").write_text("other")
    before = texts(bundle)
    with pytest.raises(CorruptError, match=r"nose/graph\.xml"):
        pack([source("tail")], bundle, into=True)
    assert texts(bundle) == before


def test_what_does_not_fit_together_is_refused(source: Make, tmp_path: Path) -> None:
    nose, tail = source("nose"), source("tail")
    bundle = tmp_path / "bundle"
    with pytest.raises(RecipeError, match="role 'nose', but its packing recipe is for 'tail'"):
        pack([replace(nose, recipe=tail.recipe)], bundle)
    with pytest.raises(RecipeError, match="a second nose"):
        pack([nose, source("nose", "second")], bundle)
    with pytest.raises(FileNotFoundError, match="LOST: named in the recipe"):
        pack([source("nose", files=("LOST",))], bundle)
    with pytest.raises(CheckpointError, match="role 'ear'; packed are nose, tail"):
        torch.save({"note": "an old ear says nothing"}, nose.checkpoint)
        pack([nose], bundle)
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "NOTICE").write_text(folder)
    with pytest.raises(RecipeError, match="the same name in the bundle"):
        pack([source("nose", files=("one/NOTICE",)), source("tail", files=("other/NOTICE",))], bundle)
    assert not bundle.exists()


def test_a_card_without_marks_is_the_first_roles() -> None:
    assert split_parts("# The ear\n", ["ear"]) == {"ear": "# The ear\n"}
    assert split_parts("", ["ear"]) == {}
    parts = {"ear": "# One\n\ntext\n", "eye": "# Two\n", "voice": "# Three"}
    assert split_parts(join_parts(parts, num_roles=2), []) == parts

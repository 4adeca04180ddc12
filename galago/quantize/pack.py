"""Packing: from the runs of one role or several to one bundle.

Each role has a packer of its own, which writes its files and measures them. What they share is here: the
bundle in the making, what is shipped as it is, the card, the manifest, and the exchange at the very end. A
role may also be packed *into* a bundle: what belongs to the others stays as it is, byte by byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galago.models.training.toml_tables import RecipeError
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.ear.second_pass import SecondPassPacker
from galago.quantize.model_card import join_parts, split_parts
from galago.quantize.packer import Job, Packer
from galago.quantize.recipe import PackRecipe
from galago.quantize.roles import ROLES, role_of_checkpoint
from galago.runtime.bundle_folder import check_files, write_manifest
from galago.runtime.manifest import read_manifest

__all__ = ["CARD", "MANIFEST", "Source", "joined_header", "pack", "pack_second_pass", "replace_folder"]

CARD = "MODEL_CARD.md"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Source:
    """One role to be packed.

    Args:
        run: a training run's folder, or its ``model.pt``.
        recipe: of the role that the run trained.
        recipe_folder: what the recipe's paths are relative to.
    """

    run: Path
    recipe: PackRecipe
    recipe_folder: Path = Path()

    @property
    def checkpoint(self) -> Path:
        """The role's first network: a voice has a folder for each of its networks."""
        if not self.run.is_dir():
            return self.run
        acoustic = self.run / "acoustic" / "model.pt"
        return acoustic if acoustic.is_file() else self.run / "model.pt"

    @property
    def work(self) -> Path:
        """Where graphs, calibration sets and reports are kept unless another place is named."""
        return (self.run if self.run.is_dir() else self.run.parent) / "pack"


def pack(
    sources: Sequence[Source],
    output: Path,
    *,
    into: bool = False,
    corpora: Path | None = None,
    albums: Path | None = None,
    g2p: Path | None = None,
    second_pass: Path | None = None,
    work: Path | None = None,
    header: Mapping[str, str] | None = None,
    measure_time: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, dict[str, Any]]:
    """Export, quantize and pack trained networks; return a report a role.

    Args:
        sources: one at least, each of another role.
        output: the bundle; what stood there is replaced at the very end, when the new one has been read back.
        into: keep what ``output`` holds of other roles, its name and its version.
        corpora: folder of imported corpora (``NAME.pcm``, ``NAME.jsonl``), for ears and voices.
        albums: folder of albums, for eyes.
        g2p: run of a letter-to-phone network, for voices.
        second_pass: run of the network of the second pass, for ears.
        work: where graphs, calibration sets and reports are kept; by default ``pack`` inside each run. Of
            several sources each has a folder in it that is called as its role.
        header: "name", "version" or "description" of the bundle, where the recipes' are not wanted.
        measure_time: without it the same input gives the same bytes, every one of them.
        say: told what is being done, a line at a time.

    Raises:
        FileNotFoundError: no checkpoint, or a file that a recipe names is missing.
        RecipeError: a recipe of another role than its run's, two of one role, or one that needs corpora,
            albums or another network and none are given; a network that no role of these takes.
        CheckpointError, CorpusError, ExportError, CalibrationError, QuantizationError: as their messages say.
        GalagoError: ``into`` what is no whole bundle.
    """
    packers: dict[str, Packer] = {}
    for source in sources:
        role = _role_of(source)
        if role in packers:
            raise RecipeError(f"{source.run}: a second {role}; a bundle has one")
        own = work if work is None or len(sources) == 1 else work / role
        job = Job(
            checkpoint=source.checkpoint,
            recipe_folder=source.recipe_folder,
            work=own or source.work,
            corpora=corpora,
            albums=albums,
            g2p=g2p,
            second_pass=second_pass,
            measure_time=measure_time,
            say=say,
        )
        packers[role] = ROLES[role].packer(source.recipe, job)
    if second_pass is not None and "ear" not in packers:
        raise RecipeError(f"{second_pass}: the network of an ear's second pass, and no ear is packed")
    shipped = _shipped(sources)
    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    kept = _keep(output, partial, list(packers)) if into else _Kept({}, {}, [], {})
    partial.mkdir(parents=True, exist_ok=True)

    packed = {role: packer.pack(partial) for role, packer in packers.items()}
    say("manifest")
    cards = {**kept.cards, **{role: found.card for role, found in packed.items()}}
    (partial / CARD).write_text(join_parts(cards, num_roles=len({**kept.roles, **packed})), encoding="utf-8")
    for name, path in shipped.items():
        shutil.copyfile(path, partial / name)
    write_manifest(
        partial,
        {
            **_header([source.recipe for source in sources], kept.header),
            **(header or {}),
            "roles": {**kept.roles, **{role: found.entry for role, found in packed.items()}},
            "golden": [*kept.golden, *(entry for found in packed.values() for entry in found.golden)],
        },
    )
    check_files(partial, read_manifest(partial))
    replace_folder(partial, output)
    say(f"{output}: {sum(p.stat().st_size for p in output.rglob('*') if p.is_file()) / 1e6:.1f} MB")
    return {role: found.report for role, found in packed.items()}


def pack_second_pass(
    source: Source,
    bundle: Path,
    *,
    corpora: Path | None = None,
    work: Path | None = None,
    measure_time: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Give the ear of a bundle another second pass; return its report. All else stays, byte by byte.

    Args:
        source: the run of the second pass's network, and the recipe of the whole ear.

    Raises:
        as :func:`pack`; RecipeError too where the bundle has no ear.
    """
    manifest = read_manifest(bundle)
    check_files(bundle, manifest)
    if manifest.ear is None or not isinstance(source.recipe, EarPackRecipe):
        raise RecipeError(f"{bundle}: has no ear, or the recipe is for none")
    if not source.checkpoint.is_file():
        raise FileNotFoundError(f"{source.checkpoint}: no checkpoint for the second pass")
    job = Job(
        checkpoint=source.checkpoint,
        recipe_folder=source.recipe_folder,
        work=work or source.work,
        corpora=corpora,
        measure_time=measure_time,
        say=say,
    )
    ear = manifest.ear
    packer = SecondPassPacker(
        source.recipe, job, token_samples=ear.token_samples, tokens=ear.tokens, phones=ear.phones
    )
    shipped = _shipped([source])
    document = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    del document["files"]
    roles, golden = document["roles"], document["golden"]
    old = roles["ear"].pop("second_pass", None)
    gone = {target["name"] for target in (old or {}).get("targets", [])}
    kept_golden = [entry for entry in golden if entry.get("target") not in gone or entry["role"] != "ear"]
    unused = set(_texts([old, *(e for e in golden if e not in kept_golden)]))
    unused -= set(_texts([roles, kept_golden]))
    partial = bundle.with_name(bundle.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    _copy_files(bundle, partial, set(manifest.files) - unused)
    cards = split_parts((bundle / CARD).read_text(encoding="utf-8"), list(roles))
    packed = packer.pack(partial, roles["ear"], cards["ear"])
    say("manifest")
    cards["ear"] = packed.card
    (partial / CARD).write_text(join_parts(cards, num_roles=len(roles)), encoding="utf-8")
    for name, path in shipped.items():
        shutil.copyfile(path, partial / name)
    roles["ear"] = packed.entry
    of_ears = [entry for entry in kept_golden if entry["role"] == "ear"]
    others = [entry for entry in kept_golden if entry["role"] != "ear"]
    write_manifest(partial, {**document, "golden": [*of_ears, *packed.golden, *others]})
    check_files(partial, read_manifest(partial))
    replace_folder(partial, bundle)
    return packed.report


def _role_of(source: Source) -> str:
    if not source.checkpoint.is_file():
        raise FileNotFoundError(f"{source.checkpoint}: no checkpoint; train one, or name a run's folder")
    role = role_of_checkpoint(source.checkpoint)
    if role != source.recipe.role:
        raise RecipeError(
            f"{source.checkpoint}: a network of role {role!r}, but its packing recipe is for "
            f"{source.recipe.role!r}"
        )
    return role


def _shipped(sources: Sequence[Source]) -> dict[str, Path]:
    """Files that go into the bundle as they are, by their names there."""
    found: dict[str, Path] = {}
    for source in sources:
        for name in source.recipe.files:
            path = source.recipe_folder / name
            if not path.is_file():
                raise FileNotFoundError(f"{path}: named in the recipe, but not there")
            other = found.setdefault(path.name, path)
            if other.read_bytes() != path.read_bytes():
                raise RecipeError(f"{path}: {other} would have the same name in the bundle")
    return found


@dataclass(frozen=True)
class _Kept:
    """What stays of a bundle that a role is packed into."""

    header: dict[str, Any]
    roles: dict[str, Any]
    golden: list[dict[str, Any]]
    cards: dict[str, str]


def _keep(bundle: Path, partial: Path, replaced: Sequence[str]) -> _Kept:
    """Copy a bundle, without what belongs to the roles that are ``replaced`` and to no other."""
    manifest = read_manifest(bundle)
    check_files(bundle, manifest)
    document = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    roles, golden = document.pop("roles"), document.pop("golden", [])
    gone = [role for role in roles if role in replaced]
    kept_roles = {role: entry for role, entry in roles.items() if role not in gone}
    kept_golden = [entry for entry in golden if entry["role"] not in gone]
    lost = [roles[role] for role in gone], [entry for entry in golden if entry["role"] in gone]
    unused = set(_texts(lost)) - set(_texts((kept_roles, kept_golden)))
    _copy_files(bundle, partial, set(manifest.files) - unused)
    card = bundle / CARD
    cards = split_parts(card.read_text(encoding="utf-8"), list(roles)) if card.is_file() else {}
    return _Kept(document, kept_roles, kept_golden, {r: c for r, c in cards.items() if r not in gone})


def _copy_files(bundle: Path, partial: Path, names: Iterable[str]) -> None:
    for name in names:
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle / name, partial / name)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a JSON document, names of files among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)


def joined_header(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Name and version of the first of these headers, the rest of all together.

    Args:
        parts: of bundles, with ``name``, ``version``, ``license``, ``languages`` and ``description``.
    """
    return {
        "name": parts[0]["name"],
        "version": parts[0]["version"],
        "license": " AND ".join(_without_parts_of_others([part["license"] for part in parts])),
        "languages": list(dict.fromkeys(name for part in parts for name in part["languages"])),
        "description": " ".join(_without_parts_of_others([part["description"] for part in parts])),
    }


def _header(recipes: Sequence[PackRecipe], kept: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("name", "version", "license", "languages", "description")
    before = [{"license": "", "languages": [], "description": "", **kept}] if kept else []
    return joined_header([*before, *({key: getattr(recipe, key) for key in keys} for recipe in recipes)])


def _without_parts_of_others(texts: Sequence[str]) -> list[str]:
    """Each text once; none that stands inside one before it: a role may be packed again into its bundle."""
    found: list[str] = []
    for text in texts:
        if text and not any(text in other for other in found):
            found.append(text)
    return found


def replace_folder(partial: Path, output: Path) -> None:
    """Put a finished folder in the place of an old one, of which nothing is left."""
    old = output.with_name(output.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        output.rename(old)
    partial.rename(output)
    shutil.rmtree(old, ignore_errors=True)

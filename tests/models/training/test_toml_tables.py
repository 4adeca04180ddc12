"""TOML tables: what is wrong is refused on reading, with the place it stands at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from galago.models.training.toml_tables import (
    Count,
    NotEmpty,
    Range,
    RecipeError,
    Rising,
    Share,
    build,
    read_toml,
)


@dataclass(frozen=True)
class Inner:
    share: Share = 0.5
    interval: Annotated[tuple[float, float], Range(-10.0, 10.0), Rising()] = (0.0, 1.0)
    names: Annotated[tuple[str, ...], NotEmpty()] = ("one",)


@dataclass(frozen=True)
class Outer:
    kind: Literal["small", "large"]
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    count: Count | None = None

    def __post_init__(self) -> None:
        if self.kind == "small" and len(self.many) > 1:
            raise ValueError("a small one holds one at most")


def test_values_reach_their_fields() -> None:
    built = build(Outer, {"kind": "large", "many": [{"share": 1}, {}], "count": 3}, "a.toml")
    assert built == Outer("large", many=(Inner(share=1.0), Inner()), count=3)
    assert isinstance(built.many[0].share, float)


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, r"a.toml: key 'kind' is missing"),
    ({"kind": "huge"}, r"a.toml.kind: must be 'small' or 'large', got 'huge'"),
    ({"kind": []}, r"a.toml.kind: must be 'small' or 'large', got \[\]"),
    ({"kind": "small", "shape": 1}, r"a.toml: unknown key 'shape' \(known: kind, inner, many, count\)"),
    ({"kind": "small", "inner": 3}, r"a.toml.inner: expected a table, got 3"),
    ({"kind": "small", "inner": {"share": 1.5}}, r"a.toml.inner.share: must be at least 0 and at most 1"),
    ({"kind": "small", "inner": {"share": True}}, r"a.toml.inner.share: expected float, got True"),
    ({"kind": "small", "inner": {"interval": [1, 0]}}, r"inner.interval: the first value must not exceed"),
    ({"kind": "small", "inner": {"interval": [0, 11]}}, r"inner.interval: must be at least -10"),
    ({"kind": "small", "inner": {"interval": [0]}}, r"inner.interval: expected 2 values, got \[0\]"),
    ({"kind": "small", "inner": {"names": []}}, r"inner.names: needs at least one value"),
    ({"kind": "small", "many": [{}, {"names": [1]}]}, r"a.toml.many\[1\].names\[0\]: expected str, got 1"),
    ({"kind": "small", "many": [{}, {}]}, r"a.toml: a small one holds one at most"),
    ({"kind": "small", "count": -1}, r"a.toml.count: must be at least 0 and finite, got -1"),
]


@pytest.mark.parametrize(("table", "message"), BAD, ids=[message for _, message in BAD])
def test_what_is_wrong_is_refused_with_its_place(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Outer, table, "a.toml")


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    with pytest.raises(RecipeError, match=r"a.toml: No such file"):
        read_toml(path, 1)
    path.write_bytes(b'name = "caf\xe9"')
    with pytest.raises(RecipeError, match=r"a.toml: is not UTF-8 \(byte 11\)"):
        read_toml(path, 1)
    path.write_text("schema_version = ")
    with pytest.raises(RecipeError, match=r"a.toml: "):
        read_toml(path, 1)
    for text, found in (("", "None"), ("schema_version = 3", "3"), ('schema_version = "2"', "'2'")):
        path.write_text(text)
        with pytest.raises(RecipeError, match=rf"a.toml: schema_version must be 2, got {found}"):
            read_toml(path, 2)
    path.write_text("schema_version = 2\n[table]\nkey = 1")
    assert read_toml(path, 2) == {"schema_version": 2, "table": {"key": 1}}


def test_changes_stand_in_place_of_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("schema_version = 1\nname = 'a'\n[table]\nkey = 1\nother = 2\n")
    found = read_toml(path, 1, ["table.key = 3", "name='b'", "new.table = [1]"])
    assert found == {"schema_version": 1, "name": "b", "table": {"key": 3, "other": 2}, "new": {"table": [1]}}
    with pytest.raises(RecipeError, match="'name = b' does not change a recipe: "):
        read_toml(path, 1, ["name = b"])

"""Bundles: every byte checked, every complaint with a file and a key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galago.runtime import bundle_folder
from galago.runtime.bundle import Bundle
from galago.runtime.bundle_folder import check_files, find_bundle, write_manifest
from galago.runtime.errors import (
    CorruptError,
    GalagoError,
    InvalidArgumentError,
    InvalidStateError,
    NotFoundError,
    UnsupportedError,
)
from galago.runtime.golden import verify_golden
from galago.runtime.manifest import parse_manifest, read_manifest

Document = dict[str, Any]


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle of the test's own, to break."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.fixture
def document(tiny_folder: Path) -> Document:
    loaded: Document = json.loads((tiny_folder / "manifest.json").read_text())
    return loaded


# -- the manifest --------------------------------------------------------------------------------------


def test_a_manifest_is_read_whole(tiny_folder: Path) -> None:
    manifest = read_manifest(tiny_folder)
    assert (manifest.name, manifest.license, manifest.languages) == ("galago-tiny", "Apache-2.0", ("en-US",))
    ear = manifest.ear
    assert ear is not None
    assert (len(ear.phones), len(ear.tokens), ear.subsampling_factor) == (40, 29, 4)
    assert ear.token_ns == 40_000_000
    assert [ear.chunk_ms(target) for target in ear.targets] == [320, 160, 640]
    assert {golden.target for golden in manifest.golden} == {target.name for target in ear.targets}
    assert manifest.roles == ("ear",)


def test_keys_of_the_future_are_ignored(document: Document) -> None:
    document["surprise"] = {"deep": [1, 2, 3]}
    document["roles"]["ear"]["targets"][0]["surprise"] = True
    document["roles"]["nose"] = {"type": "smell"}
    assert parse_manifest(document).roles == ("ear", "nose")


Change = Callable[[Document], None]


def at(*path: str | int, value: Any) -> Change:
    """A change of one value deep in the document."""

    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


def without(*path: str | int) -> Change:
    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return change


EAR = ("roles", "ear")
TARGET = (*EAR, "targets", 0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without("name"), "name is missing"),
        (at("name", value=7), "name: expected a string, found 7"),
        (at("languages", value="en"), "languages: expected a list of strings"),
        (at("files", value=[]), "files: expected an object"),
        (
            at("files", "../passwd", value={"sha256": "0" * 64, "size_bytes": 1}),
            r"files: '\.\./passwd' is no rel",
        ),
        (
            at("files", "/etc/passwd", value={"sha256": "0" * 64, "size_bytes": 1}),
            "files: '/etc/passwd' is no rel",
        ),
        (at("files", "a\\b", value={"sha256": "0" * 64, "size_bytes": 1}), "files: .* is no relative path"),
        (at("files", "a//b", value={"sha256": "0" * 64, "size_bytes": 1}), "files: .* is no relative path"),
        (at("files", "ear/x", value={"sha256": "short", "size_bytes": 1}), "files.ear/x.sha256: expected 64"),
        (
            at("files", "ear/x", value={"sha256": "0" * 64, "size_bytes": -1}),
            "size_bytes: expected an integer",
        ),
        (
            at("files", "ear/x", value={"sha256": "0" * 64, "size_bytes": True}),
            "size_bytes: expected an integer",
        ),
        (
            at(*EAR, "subsampling_factor", value=0),
            "roles.ear.subsampling_factor: expected an integer of at least 1",
        ),
        (at(*EAR, "subsampling_factor", value=4.5), "roles.ear.subsampling_factor"),
        (at(*EAR, "phones", value=["SIL"]), "roles.ear.phones: expected two names"),
        (at(*EAR, "phone_log_priors", value=[0.0]), "phone_log_priors: expected one number for each of 40"),
        (at(*EAR, "phone_log_priors", value=["x"]), "phone_log_priors: expected a list of finite numbers"),
        (at(*EAR, "targets", value=[]), "roles.ear.targets: expected one target"),
        (at(*EAR, "targets", value=[3]), "roles.ear.targets: expected a list of objects"),
        (at(*EAR, "lexicon", value="lexicon.gz"), "roles.ear.lexicon: expected a file that stands in files"),
        (at(*EAR, "decoding", value={"final_word_beam_width": 0}), "final_word_beam_width: expected an int"),
        (at(*EAR, "decoding", value={"num_hypotheses": 257}), "num_hypotheses: expected .* at most 256"),
        (at(*EAR, "decoding", value={"character_weight": -1}), "decoding.character_weight: expected .* 0 to"),
        (at(*EAR, "decoding", value={"final_language_weight": -1}), "final_language_weight: expected .* 0"),
        (at(*EAR, "features", "num_mels", value=None), "roles.ear.features.num_mels"),
        (at(*EAR, "features", "low_hz", value=float("inf")), "features.low_hz: expected a finite number"),
        (at(*EAR, "features", value={"type": "raw_samples"}), "features.sample_rate_hz is missing"),
        (
            at(*TARGET, "model", value="ear/none.xml"),
            r"targets\[0\].model: expected a file that stands in files",
        ),
        (at(*TARGET, "weights", value="ear/none.bin"), r"targets\[0\].weights: expected a file"),
        (without(*TARGET, "stateful"), r"roles.ear.targets\[0\].stateful is missing"),
        (at("golden", 0, "target", value="none"), r"golden\[0\].target: expected the name of a target"),
        (at("golden", 0, "tolerance", value="low"), r"golden\[0\].tolerance: expected a finite number"),
    ],
)
def test_each_wrong_value_is_named(change: Change, named: str, document: Document) -> None:
    change(document)
    with pytest.raises(CorruptError, match=rf"here/manifest\.json: .*{named}"):
        parse_manifest(document, "here/manifest.json")


def test_words_are_chosen_by_tokens_that_are_characters(document: Document) -> None:
    ear = document["roles"]["ear"]
    ear["decoding"] = {"character_weight": 0.5, "num_hypotheses": 20, "final_word_beam_width": 200}
    assert parse_manifest(document, "manifest.json").ear is not None
    ear["tokens"] = ["<blank>", "the", "ing"]
    with pytest.raises(CorruptError, match="character_weight: expected 0, or tokens that are characters"):
        parse_manifest(document, "manifest.json")


def test_a_schema_of_the_future_is_refused(document: Document, copy: Path) -> None:
    document["schema_version"] = 2
    (copy / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(UnsupportedError, match=r"schema_version 2"):
        read_manifest(copy)
    with pytest.raises(UnsupportedError, match=r"schema_version"):
        Bundle(copy)


def test_features_may_be_raw_samples(document: Document) -> None:
    """A frame is the samples of its hop, and a token may last 20 ms."""
    role = document["roles"]["ear"]
    role["features"] = {"type": "raw_samples", "sample_rate_hz": 16000, "hop_samples": 320}
    role["subsampling_factor"] = 1
    ear = parse_manifest(document).ear
    assert ear is not None and (ear.features.window_samples, ear.token_ns) == (320, 20_000_000)
    assert ear.chunk_ms(ear.targets[0]) == 20 * ear.targets[0].chunk_tokens
    role["features"]["type"] = "spikes"
    with pytest.raises(UnsupportedError, match="roles.ear.features.type: 'spikes'"):
        parse_manifest(document)


def test_a_role_of_a_type_of_the_future_is_refused(document: Document) -> None:
    document["roles"]["ear"]["type"] = "quantum"
    with pytest.raises(UnsupportedError, match="'quantum'"):
        parse_manifest(document)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"schema_version": 1}']
)
def test_a_broken_manifest_is_an_answer(content: bytes, copy: Path) -> None:
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(CorruptError, match=r"manifest\.json"):
        read_manifest(copy)
    with pytest.raises(CorruptError):
        Bundle(copy)


def test_a_manifest_out_of_all_proportion_is_not_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galago.runtime.manifest.MAX_MANIFEST_BYTES", 1000)
    with pytest.raises(CorruptError, match="at most 1000"):
        read_manifest(copy)


# -- finding -------------------------------------------------------------------------------------------


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere: no such bundle"):
        find_bundle("nowhere")
    with pytest.raises(NotFoundError, match="no such bundle"):
        read_manifest(tmp_path / "nowhere")
    with pytest.raises(NotFoundError, match=r"it has no manifest\.json"):
        read_manifest(tmp_path)


def test_a_shipped_bundle_is_found_by_name(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "default")
    monkeypatch.setattr(bundle_folder, "_BUNDLES", tmp_path)
    assert find_bundle() == tmp_path / "default"
    assert find_bundle(tiny_bundle) == tiny_bundle
    with pytest.raises(NotFoundError, match="these ship with galago: default"):
        find_bundle("other")


# -- files ---------------------------------------------------------------------------------------------


def test_a_whole_bundle_passes(tiny_folder: Path) -> None:
    check_files(tiny_folder, read_manifest(tiny_folder))


def test_every_damaged_file_is_found_by_python_and_by_the_core(copy: Path) -> None:
    manifest = read_manifest(copy)
    for name in manifest.files:
        path = copy / name
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 0x10
        for damaged in (bytes(flipped), whole[:-1], whole + b"\0", b""):
            path.write_bytes(damaged)
            with pytest.raises(CorruptError, match=path.name):
                check_files(copy, manifest)
            with pytest.raises(CorruptError, match=path.name):
                Bundle(copy)
        path.unlink()
        with pytest.raises(CorruptError, match="not there"):
            check_files(copy, manifest)
        with pytest.raises(GalagoError, match=path.name):
            Bundle(copy)
        path.write_bytes(whole)
    Bundle(copy).close()


def test_a_file_that_nobody_listed_is_found(copy: Path) -> None:
    (copy / "ear" / "extra.bin").write_bytes(b"?")
    with pytest.raises(CorruptError, match=r"extra\.bin: not listed"):
        check_files(copy, read_manifest(copy))
    (copy / "ear" / "extra.bin").unlink()
    (copy / ".DS_Store").write_bytes(b"?")
    check_files(copy, read_manifest(copy))


def test_what_is_written_is_read_again(document: Document, copy: Path) -> None:
    (copy / "manifest.json").unlink()
    (copy / "MODEL_CARD.md").write_text("a card")
    parts = {key: value for key, value in document.items() if key not in ("files", "schema_version")}
    written = write_manifest(copy, parts)
    assert written == read_manifest(copy)
    assert written.files["MODEL_CARD.md"].size_bytes == 6
    assert "manifest.json" not in written.files
    check_files(copy, written)
    Bundle(copy).close()


def test_a_wrong_document_is_not_written(document: Document, copy: Path) -> None:
    before = (copy / "manifest.json").read_bytes()
    document["roles"]["ear"]["targets"][0]["model"] = "ear/none.xml"
    with pytest.raises(CorruptError, match="ear/none"):
        write_manifest(copy, document)
    assert (copy / "manifest.json").read_bytes() == before


# -- open ----------------------------------------------------------------------------------------------


def test_an_open_bundle_tells_what_it_is(tiny_bundle: Path) -> None:
    with Bundle(tiny_bundle) as bundle:
        assert bundle.metadata("name") == bundle.manifest.name
        assert bundle.metadata("license") == "Apache-2.0"
        assert bundle.metadata("languages.0") == "en-US"
        assert bundle.metadata("open.target") == "openvino-f32-chunk8"
        assert "openvino" in bundle.metadata("open.engine").lower()
        with pytest.raises(NotFoundError, match="nonsense"):
            bundle.metadata("nonsense")
        assert "open" in repr(bundle)
    assert "closed" in repr(bundle)
    with pytest.raises(InvalidStateError, match="closed"):
        bundle.metadata("name")
    bundle.close()


def test_the_wanted_chunk_chooses_the_target(tiny_bundle: Path) -> None:
    with Bundle(tiny_bundle, chunk_ms=640) as bundle:
        assert bundle.metadata("open.target") == "openvino-f32-chunk16"


def test_an_engine_that_is_not_there_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(GalagoError, match="nonsense"):
        Bundle(tiny_bundle, engine="nonsense")
    # In a process of its own: an engine that is loaded stays loaded.
    program = f"import galago.runtime as r; r.Bundle({str(tiny_bundle)!r}, engine_path={str(tmp_path)!r})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 1
    assert "NotFoundError" in done.stderr and "libopenvino_c" in done.stderr and str(tmp_path) in done.stderr


@pytest.mark.parametrize(
    ("options", "named"),
    [({"chunk_ms": 0}, "chunk_ms"), ({"chunk_ms": -320}, "chunk_ms"), ({"num_threads": 0}, "num_threads")],
)
def test_options_out_of_range_are_named(options: dict[str, Any], named: str, tiny_bundle: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        Bundle(tiny_bundle, **options)


# -- golden vectors ------------------------------------------------------------------------------------


def test_golden_vectors_are_replayed(tiny_bundle: Path) -> None:
    results = verify_golden(tiny_bundle)
    assert len(results) == 3
    for result in results:
        assert result.passed, result
        assert result.max_abs_difference is not None and result.max_abs_difference < result.tolerance
        assert result.text == result.expected_text == "turn on the light"


def test_a_machine_that_computes_something_else_is_found(document: Document, copy: Path) -> None:
    name = document["golden"][0]["phone_log_probs"]
    recorded = np.fromfile(copy / name, "<f4")
    loudest = int(recorded[:40].argmax())  # of the first token
    probability = np.exp(recorded[loudest])
    recorded[loudest] -= 0.5
    recorded.tofile(copy / name)
    write_manifest(copy, {key: document[key] for key in document if key not in ("files", "schema_version")})
    first, *others = verify_golden(copy)
    assert not first.passed
    assert first.max_abs_difference == pytest.approx(probability * (1.0 - np.exp(-0.5)), rel=0.05)
    assert all(other.passed for other in others)


def test_a_record_of_another_length_is_corrupt(document: Document, copy: Path) -> None:
    document["golden"][0]["num_tokens"] += 1
    write_manifest(copy, {key: document[key] for key in document if key not in ("files", "schema_version")})
    with pytest.raises(CorruptError, match="the manifest says"):
        verify_golden(copy)


def test_a_bundle_without_golden_vectors_cannot_be_verified(document: Document, copy: Path) -> None:
    document["golden"] = []
    write_manifest(copy, {key: document[key] for key in document if key not in ("files", "schema_version")})
    with pytest.raises(CorruptError, match="no golden vectors"):
        verify_golden(copy)


def test_only_the_roles_that_are_wanted_are_opened(tiny_both_bundle: Path) -> None:
    def opened(bundle: Bundle, role: str) -> bool:
        try:
            return bool(bundle.metadata(f"open.{role}.target"))
        except NotFoundError:
            return False

    for roles, expected in (
        (None, (True, True)),
        (("ear",), (True, False)),
        (("eye",), (False, True)),
        (("eye", "ear"), (True, True)),
    ):
        with Bundle(tiny_both_bundle, roles=roles) as bundle:
            assert (opened(bundle, "ear"), opened(bundle, "eye")) == expected
            assert bundle.metadata("roles.ear.type") and bundle.metadata("roles.eye.type")
    with Bundle(tiny_both_bundle, roles=("ear",)) as bundle, bundle.session() as session:
        with pytest.raises(UnsupportedError):
            session.push_image(np.zeros((4, 4, 3), np.uint8), 0)


@pytest.mark.parametrize("roles", [("nose",), ("ear", "voice"), ("ear,",)])
def test_a_role_that_is_not_there_is_named(roles: tuple[str, ...], tiny_both_bundle: Path) -> None:
    with pytest.raises(NotFoundError, match='has no "(nose|voice|)" that this build can run'):
        Bundle(tiny_both_bundle, roles=roles)


@pytest.mark.parametrize("roles", ["ear", ()])
def test_roles_are_names_one_by_one(roles: str | tuple[str, ...], tiny_both_bundle: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="roles: expected names"):
        Bundle(tiny_both_bundle, roles=roles)

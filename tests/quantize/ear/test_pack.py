"""The whole road on a tiny checkpoint: what comes out must be a bundle that the runtime's reader accepts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from galago.models.tokenizer import PHONES, TOKENS
from galago.models.training.toml_tables import RecipeError
from galago.quantize import command
from galago.quantize.ear.oracle import Oracle
from galago.quantize.ear.recipe import EarPackRecipe
from galago.quantize.roles import load_pack_recipe
from galago.runtime.bundle_folder import check_files
from galago.runtime.errors import CorruptError
from galago.runtime.manifest import read_manifest
from tests.quantize.ear.tiny import tiny_model

RECIPE = """
schema_version = 1
name = "tiny"
version = "0.0.1"
description = "Random weights"
languages = ["en-US"]
chunk_tokens = [4, 8]
files = ["NOTES.md"]

[calibration]
num_streams = 2
stream_s = 3.0
num_samples = 8
num_held_out = 2

[accuracy]
max_cost = 1.0
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    model = tiny_model(lookahead_tokens=2)
    stored = {"config": model.config.as_dict(), "model": model.state_dict(), "step": 7}
    torch.save(stored, folder / "model.pt")
    (folder / "tiny.pack.toml").write_text(RECIPE)
    (folder / "NOTES.md").write_text("notes\n")
    return folder


def packed(run: Path, output: Path, *options: str) -> int:
    recipe = str(run / "tiny.pack.toml")
    return command.main([str(run), "-o", str(output), "--recipe", recipe, *options])


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    assert packed(run, run / "bundle", "--no-timing") == 0
    return run / "bundle"


def test_the_manifest_says_what_the_bundle_is(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    check_files(bundle, manifest)
    ear = manifest.ear
    assert ear is not None
    assert (manifest.name, manifest.version, manifest.languages) == ("tiny", "0.0.1", ("en-US",))
    assert ear.phones == PHONES and ear.tokens == TOKENS
    assert np.exp(ear.phone_log_priors).sum() == pytest.approx(1.0, abs=1e-3)
    assert [target.name for target in ear.targets] == ["openvino-int8-chunk4", "openvino-int8-chunk8"]
    for target in ear.targets:
        assert target.inference_precision == "f32" and target.stateful
        assert (target.lookahead_tokens, target.left_context_tokens) == (2, 12)
        assert target.chunk_frames == 4 * target.chunk_tokens
    document = json.loads((bundle / "manifest.json").read_text())
    states = document["roles"]["ear"]["targets"][0]["states"]
    assert {"name": "block1.key", "shape": [1, 12, 32], "dtype": "f32"} in states
    assert (bundle / "NOTES.md").read_text() == "notes\n"


def test_golden_vectors_are_what_the_packed_files_answer(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.ear is not None and len(manifest.golden) == 2
    for golden, target in zip(manifest.golden, manifest.ear.targets, strict=True):
        assert target.weights is not None
        oracle = Oracle(bundle / target.model, weights=bundle / target.weights, lookahead_tokens=2)
        heard = oracle.hear(np.fromfile(bundle / golden.audio, "<f4"))
        phones = np.fromfile(bundle / golden.phone_log_probs, "<f4").reshape(golden.num_tokens, 40)
        tokens = np.fromfile(bundle / golden.token_log_probs, "<f4").reshape(golden.num_tokens, 29)
        np.testing.assert_allclose(heard.phone_log_probs, phones, atol=1e-4)
        np.testing.assert_allclose(heard.token_log_probs, tokens, atol=1e-4)
        assert heard.text == golden.text


def test_targets_share_one_file_of_weights(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.ear is not None
    assert {target.weights for target in manifest.ear.targets} == {"ear/int8.bin"}
    text = (bundle / "ear/int8-chunk4.xml").read_text()
    assert "conversion_parameters" not in text and "/home" not in text and "Runtime_version" not in text


def test_packing_twice_gives_the_same_bytes(run: Path, bundle: Path) -> None:
    assert packed(run, run / "again", "--no-timing") == 0
    digests = [
        {p.relative_to(root): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*.*")}
        for root in (bundle, run / "again")
    ]
    assert len(digests[0]) > 10
    assert digests[0] == digests[1]


def test_the_report_and_the_card_hold_the_numbers(run: Path, bundle: Path) -> None:
    report = json.loads((run / "pack/report.json").read_text())
    assert report["checkpoint"]["step"] == 7
    assert report["calibration"]["num_samples"] == 8 and report["calibration"]["num_held_out"] == 2
    assert len(report["quantization"]["layers"]) == 29  # the lookahead's convolution is one of them
    assert report["targets"]["openvino-int8-chunk8"]["divergence"]["kl_nats"] > 0
    page = (run / "pack/report.html").read_text()
    assert "data:image/png;base64," in page and "http" not in page
    card = (bundle / "MODEL_CARD.md").read_text()
    assert report["calibration"]["sha256"][:16] in card and "step 7" in card and "$" not in card


def test_a_flipped_byte_is_refused(bundle: Path, tmp_path: Path) -> None:
    manifest = read_manifest(bundle)
    path = bundle / "ear/int8.bin"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        with pytest.raises(CorruptError, match=r"int8\.bin"):
            check_files(bundle, manifest)
    finally:
        path.write_bytes(whole)


def test_what_cannot_be_packed_is_said(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = run / "tiny.pack.toml"

    def complaint(*arguments: str) -> str:
        assert command.main(list(arguments)) == 1
        return capsys.readouterr().err

    output = str(tmp_path / "bundle")
    absent = complaint(str(tmp_path), "-o", output, "--recipe", str(recipe))
    assert "model.pt: no checkpoint" in absent
    assert "no.toml" in complaint(str(run), "-o", output, "--recipe", str(tmp_path / "no.toml"))
    needy = run / "needy.pack.toml"
    needy.write_text(RECIPE.replace("[calibration]", '[calibration]\ncorpora = ["voices"]'))
    assert "needs corpora (voices)" in complaint(str(run), "-o", output, "--recipe", str(needy))
    lost = run / "lost.pack.toml"
    lost.write_text(RECIPE.replace("NOTES.md", "LOST.md"))
    assert "LOST.md: named in the recipe" in complaint(str(run), "-o", output, "--recipe", str(lost))
    assert not Path(output).exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("schema_version = 1", "schema_version = 9"), "schema_version"),
        (('name = "tiny"', ""), "'name' is missing"),
        (("max_cost = 1.0", "max_cots = 1.0"), "unknown key 'max_cots'"),
        (("[4, 8]", "[4, 4]"), "chunk_tokens"),
        (("[4, 8]", "[0]"), "chunk_tokens"),
        (('version = "0.0.1"', 'version = "0.0.1"\ninference_precision = "f8"'), "inference_precision"),
        (("num_streams = 2", 'num_streams = "two"'), "expected int"),
    ],
)
def test_a_wrong_recipe_names_its_key(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    path = tmp_path / "wrong.pack.toml"
    path.write_text(RECIPE.replace(*change))
    with pytest.raises(RecipeError, match=complaint):
        load_pack_recipe(path)


def test_the_shipped_recipe_finds_its_files() -> None:
    folder = Path(__file__).parents[3] / "recipes"
    recipe = load_pack_recipe(folder / "ear-en-us.pack.toml")
    assert isinstance(recipe, EarPackRecipe)
    for name in (*recipe.files, *recipe.golden.audio):
        assert (folder / name).is_file(), name
    assert recipe.chunk_tokens[0] == 8
    assert {source.name for source in recipe.data} >= {"speechocean762", "LJ Speech (part)"}

"""An ear whose second pass is another network: one bundle of both, and what cannot be one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from galago.models.moonshine_ear import MoonshineEar, MoonshineEarConfig
from galago.models.training.toml_tables import RecipeError
from galago.quantize import command
from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import convert_onnx
from galago.quantize.ear.network import load_ear
from galago.quantize.ear.oracle import Oracle
from galago.quantize.roles import load_pack_recipe
from galago.runtime.golden import verify_golden
from tests.quantize.ear.raw_bundle import two_heads
from tests.quantize.ear.tiny import noise, tiny_model

RECIPE = """
schema_version = 1
name = "tiny"
version = "0.0.1"
description = "Random weights"
languages = ["en-US"]
chunk_tokens = [4]

[calibration]
num_streams = 2
stream_s = 3.0
num_samples = 8
num_held_out = 2

[accuracy]
max_cost = 1.0
"""
SECOND_PASS = """
[second_pass]
chunk_tokens = [6]

[second_pass.quantization]
ignored_layers = [
  '.*\\.attention/MatMul.*', 'encoder\\.stem\\.convolutions(/MatMul|\\.0/.*)', 'phone_head/.*',
]

[second_pass.accuracy]
max_cost = 2.0

[second_pass.calibration]
num_streams = 3
num_samples = 12
num_held_out = 4

[[second_pass.data]]
name = "A larger network"
what = "weights of seed 7"
licence = "MIT"
source = "https://example.org"
"""


def larger(**changes: Any) -> MoonshineEar:
    torch.manual_seed(7)
    config: dict[str, Any] = {
        "width": 16,
        "num_blocks": 1,
        "num_heads": 2,
        "feed_forward_width": 24,
        "rotary_width": 4,
        "left_context_rows": 20,
        "norm_horizon_rows": 40,
    }
    model = MoonshineEar(MoonshineEarConfig(**{**config, **changes}))
    for parameter in model.parameters():  # norms and biases too: nothing is trivially 0 or 1
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def write_run(folder: Path, family: str, model: Any) -> Path:
    folder.mkdir()
    stored = {"family": family, "config": model.config.as_dict(), "model": model.state_dict(), "step": 7}
    torch.save(stored, folder / "model.pt")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    write_run(folder / "small", "conformer", tiny_model())
    write_run(folder / "larger", "moonshine", larger())
    (folder / "two.pack.toml").write_text(RECIPE + SECOND_PASS)
    (folder / "one.pack.toml").write_text(RECIPE)
    return folder


def packed(folder: Path, recipe: str, *options: str) -> int:
    arguments = [str(folder / "small"), "-o", str(folder / "bundle"), "--recipe", str(folder / recipe)]
    return command.main([*arguments, "--no-timing", *options])


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    assert packed(folder, "two.pack.toml", "--second-pass", str(folder / "larger")) == 0
    return folder / "bundle"


def test_the_manifest_has_both_networks(bundle: Path) -> None:
    document = json.loads((bundle / "manifest.json").read_text())
    ear = document["roles"]["ear"]
    second = ear["second_pass"]
    assert second["features"] == {"type": "raw_samples", "sample_rate_hz": 16000, "hop_samples": 640}
    assert second["subsampling_factor"] == 1 and ear["subsampling_factor"] == 4
    assert np.exp(second["phone_log_priors"]).sum() == pytest.approx(1.0, abs=1e-3)
    assert second["phone_log_priors"] != ear["phone_log_priors"]
    (target,) = second["targets"]
    names = [each["name"] for each in (*ear["targets"], target)]
    assert names == ["openvino-int8-chunk4", "openvino-int8-second-chunk6"]
    assert (target["model"], target["weights"]) == ("ear/second-int8-chunk6.xml", "ear/second-int8.bin")
    assert (target["chunk_tokens"], target["chunk_frames"], target["lookahead_tokens"]) == (6, 6, 0)
    assert target.keys() == ear["targets"][0].keys()
    assert {"name": "block0.key", "shape": [1, 20, 16], "dtype": "f32"} in target["states"]
    made = ear["quantization"]
    assert made["second_pass"]["checkpoint_sha256"] != made["checkpoint_sha256"]
    assert made["second_pass"]["calibration"]["name"] == "tiny-0.0.1-second-pass"


def test_golden_vectors_are_what_each_network_answers(folder: Path, bundle: Path) -> None:
    document = json.loads((bundle / "manifest.json").read_text())
    first, second = document["golden"]
    assert first["target"] == "openvino-int8-chunk4" and first["audio"] == second["audio"]
    assert (second["role"], second["target"]) == ("ear", "openvino-int8-second-chunk6")
    assert second["phone_log_probs"] == "golden/second-chunk6.phones.f32"
    oracle = Oracle(
        bundle / "ear/second-int8-chunk6.xml",
        weights=bundle / "ear/second-int8.bin",
        model=load_ear(folder / "larger/model.pt"),
    )
    heard = oracle.hear(np.fromfile(bundle / second["audio"], "<f4"))
    for key, rows in (("phone_log_probs", heard.phone_log_probs), ("token_log_probs", heard.token_log_probs)):
        expected = np.fromfile(bundle / second[key], "<f4").reshape(second["num_tokens"], -1)
        np.testing.assert_allclose(rows, expected, atol=1e-4)
    assert heard.text == second["text"] and heard.text != first["text"]


def test_torch_onnx_runtime_and_openvino_answer_alike(folder: Path, bundle: Path) -> None:
    """Chunk by chunk with their own states, and the whole in torch under the masks of the stream."""
    path = folder / "small/pack/second-float-chunk6.onnx"
    assert bundle.is_dir()
    model = load_ear(folder / "larger/model.pt")
    samples = noise(6 * 60 * 640)
    chunks = samples.reshape(60, 1, 6, 640)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    states = model.initial_states()
    feed = {f"state.{name}": value.numpy() for name, value in states.items()}
    rows: dict[str, list[Array]] = {"torch": [], "onnx": []}
    with torch.no_grad():
        for number, chunk in enumerate(chunks):
            keep = np.full(1, float(number > 0), np.float32)
            phones, tokens, states = model.forward_chunk(
                torch.from_numpy(chunk), torch.from_numpy(keep), states
            )
            rows["torch"].append(torch.cat([phones, tokens], dim=-1)[0].numpy())
            found = dict(
                zip(outputs, session.run(None, {"features": chunk, "keep": keep, **feed}), strict=True)
            )
            feed = {name.replace("next.", "state."): v for name, v in found.items() if "next." in name}
            rows["onnx"].append(np.concatenate([found["phone_log_probs"], found["token_log_probs"]], -1)[0])
        frames = torch.from_numpy(samples.reshape(1, -1, 640))
        whole = model(frames, torch.tensor([frames.shape[1]]), chunk_tokens=6)
    heard = Oracle(convert_onnx(path), model=model).hear(samples)
    in_torch = np.concatenate(rows["torch"])
    expected = torch.cat([whole.phone_logits.log_softmax(-1), whole.token_logits.log_softmax(-1)], -1)[0]
    for others in (
        np.concatenate(rows["onnx"]),
        np.concatenate([heard.phone_log_probs, heard.token_log_probs], -1),
        expected.numpy(),
    ):
        assert others.shape == in_torch.shape == (360, 69)
        assert np.abs(others - in_torch).max() <= 1e-4


def test_the_core_answers_as_the_golden_vectors_of_both(bundle: Path, native_library: Path) -> None:
    results = verify_golden(bundle)
    assert [result.not_run for result in results] == [None, None]
    assert all(result.passed for result in results), results


def test_the_report_and_the_card_tell_of_both(folder: Path, bundle: Path) -> None:
    report = json.loads((folder / "small/pack/report.json").read_text())
    second = report["second_pass"]
    assert list(report["targets"]) == ["openvino-int8-chunk4"]
    assert second["targets"]["openvino-int8-second-chunk6"]["chunk_ms"] == 240
    assert (second["calibration"]["num_samples"], second["calibration"]["num_held_out"]) == (12, 4)
    assert second["quantization"]["max_cost"] == 2.0 and report["quantization"]["max_cost"] == 1.0
    integers = {layer["name"] for layer in second["quantization"]["layers"]}
    assert "encoder.stem.convolutions.1/MatMul" in integers and "token_head/MatMul" in integers
    assert not [name for name in integers if "attention/MatMul" in name or "phone_head" in name]
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "Moonshine" in card and "**A larger network**: weights of seed 7. MIT." in card and "$" not in card
    page = (folder / "small/pack/report.html").read_text()
    assert second["checkpoint"]["sha256"][:16] in page and "second-chunk6" in page


def test_a_second_pass_and_its_recipe_come_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert packed(folder, "two.pack.toml") == 1
    assert "has a [second_pass]: name the run of its network (--second-pass)" in capsys.readouterr().err
    assert packed(folder, "one.pack.toml", "--second-pass", str(folder / "larger")) == 1
    assert "larger: a second pass, and the recipe has no [second_pass]" in capsys.readouterr().err
    assert packed(folder, "two.pack.toml", "--second-pass", str(folder)) == 1
    assert "model.pt: no checkpoint for the second pass" in capsys.readouterr().err


def test_networks_that_do_not_fit_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faster = write_run(folder / "faster", "wav2vec2", two_heads())
    assert packed(folder, "two.pack.toml", "--second-pass", str(faster)) == 1
    complaint = capsys.readouterr().err
    assert f"{faster}/model.pt: a token has 320 samples, and 640 in {folder}/small/model.pt" in complaint
    recipe = folder / "uneven.pack.toml"
    recipe.write_text(RECIPE + SECOND_PASS.replace("[6]", "[8]"))
    assert packed(folder, recipe.name, "--second-pass", str(folder / "larger")) == 1
    assert "hears multiples of 3, and not 8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SECOND_PASS.replace("[6]", "[6, 6]"), "second_pass: chunk_tokens: expected different chunk sizes"),
        (SECOND_PASS.replace("max_cost", "max_cots"), r"second_pass\.accuracy: unknown key 'max_cots'"),
        (SECOND_PASS + "[decoding]\nsecond_pass_chunk_tokens = 8\n", "second_pass_chunk_tokens"),
    ],
)
def test_a_wrong_recipe_names_its_key(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "wrong.pack.toml"
    path.write_text(RECIPE + text)
    with pytest.raises(RecipeError, match=complaint):
        load_pack_recipe(path)

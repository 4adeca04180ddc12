"""Graphs that onnxruntime runs teach hidden states: when rows hear, what is learned, what is refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from galago.models.training.checkpoints import CheckpointError
from galago.models.training.distill.alignment import RowClock
from galago.models.training.ear.batches import BatchMaker
from galago.models.training.ear.graph_teacher import measured_clock
from galago.models.training.ear.pseudo_labels import SoundSettings, label_sound
from galago.models.training.ear.recipe import EarDistillationRecipe, LossRecipe, Recipe
from galago.models.training.ear.teachers import load_teacher
from galago.models.training.ear.trainer import EarTask
from galago.models.training.loop import Run
from galago.models.training.toml_tables import RecipeError
from tests.models.training.ear.tone_corpus import NETWORK, tone_recipe, write_tone_corpus

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

CHANNELS = 6
MOONSHINE = ((127, 64), (7, 3), (3, 2))  # kernels and strides of the convolutions that it begins with


def graph(
    path: Path,
    *,
    convolutions: Sequence[tuple[int, int]] = ((128, 64), (7, 6)),
    pads: int = 0,
    mask: str = "tensor(int64)",
    rank: int = 3,
    length: int | str = "samples",
) -> Path:
    """Random convolutions with a ReLU behind each; a masked sample is heard as a loud one.

    Args:
        mask: its type, or "" for a graph without it. rank: of the output. length: of the sound.
    """
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(2)
    axis = numpy_helper.from_array(np.array([1], dtype=np.int64), "axis")
    nodes, weights = [helper.make_node("Unsqueeze", ["heard", "axis"], ["x0"])], [axis]
    inputs = [helper.make_tensor_value_info("sound", TensorProto.FLOAT, ["batch", length])]
    if mask:
        kind = {"tensor(int64)": TensorProto.INT64, "tensor(bool)": TensorProto.BOOL}[mask]
        inputs.append(helper.make_tensor_value_info("mask", kind, ["batch", "samples"]))
        one = numpy_helper.from_array(np.array(1, dtype=np.float32), "one")
        weights.append(one)
        nodes = [
            helper.make_node("Cast", ["mask"], ["known"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["one", "known"], ["unknown"]),
            helper.make_node("Add", ["sound", "unknown"], ["heard"]),
            *nodes,
        ]
    else:
        nodes = [helper.make_node("Identity", ["sound"], ["heard"]), *nodes]
    for i, (kernel, stride) in enumerate(convolutions):
        shape = (CHANNELS, CHANNELS if i else 1, kernel)
        values = np.abs(rng.normal(0.0, 1.0 / kernel, shape)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{i}"))
        edges = [pads if i == 0 else 0] * 2
        nodes.append(helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"y{i}"], strides=[stride], pads=edges))
        nodes.append(helper.make_node("Relu", [f"y{i}"], [f"x{i + 1}"]))
    last = f"x{len(convolutions)}"
    nodes.append(helper.make_node("Transpose", [last], ["rows"], perm=[0, 2, 1]))
    if rank == 2:
        nodes.append(helper.make_node("ReduceMax", ["rows"], ["most"], axes=[2], keepdims=0))
    shape_out: list[str | int | None] = ["batch", "rows", CHANNELS]
    name = "rows" if rank == 3 else "most"
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape_out[:rank])
    model = helper.make_model(
        helper.make_graph(nodes, "teacher", inputs, [output], weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tone_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def teacher(cache: Path) -> Path:
    return graph(cache / "teacher.onnx")


def distilled(teacher: Path, schedule: dict[str, Any] | None = None, **table: Any) -> Recipe:
    hidden = {"hidden": 1.0, "hidden_norm": "channel", "layer_map": ((2, 1),), "clean": True}
    learned = EarDistillationRecipe((str(teacher),), **{**hidden, **table})
    recipe = tone_recipe(**{"checkpoint_steps": 99, **(schedule or {})})
    return replace(recipe, name="student", distillation=learned)


def run_of(recipe: Recipe, folder: Path, cache: Path) -> Run[EarTask]:
    return Run(EarTask(recipe, BatchMaker(recipe, cache, cache)), folder)


def num_rows(num_samples: int, convolutions: Sequence[tuple[int, int]]) -> int:
    for kernel, stride in convolutions:
        num_samples = max((num_samples - kernel) // stride + 1, 0)
    return num_samples


def test_a_clock_is_measured() -> None:
    clock, fewest_samples = measured_clock(lambda n: num_rows(n, MOONSHINE), "it")
    assert (clock, fewest_samples) == (RowClock(447, 384), 895)  # 127 + 6 * 64 + 2 * 192 samples a row
    wav2vec2 = ((10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2)
    assert measured_clock(lambda n: num_rows(n, wav2vec2), "it") == (RowClock(200, 320), 400)


@pytest.mark.parametrize("pads", [0, 40])
def test_rows_hear_when_their_clock_says(pads: int, tmp_path: Path) -> None:
    """A click is heard the most by the rows that are nearest to it, and by nobody far away."""
    clicked = load_teacher(graph(tmp_path / "g.onnx", pads=pads))
    assert clicked.clock == RowClock(256 - pads, 384) and clicked.width == CHANNELS
    for place in (3000, 9123):
        samples = torch.zeros(1, 16000)
        samples[0, place] = 1.0
        taught = clicked.hear(samples, torch.tensor([16000]), ["output"])
        sure = taught.hidden["output"][0].sum(dim=-1)
        rows = torch.arange(len(sure)) * 384 + 256 - pads
        assert (rows - place).abs()[sure > 0].max() <= 256 and bool((sure > 0).any())


def test_each_utterance_is_heard_by_itself(teacher: Path) -> None:
    """Padding is another's sound, and what is too short for a row has none."""
    rng = torch.Generator().manual_seed(1)
    samples = torch.rand(3, 8000, generator=rng) - 0.5
    lengths = torch.tensor([8000, 5000, 100])
    loaded = load_teacher(teacher)
    taught = loaded.hear(samples, lengths, ["output"])
    assert taught.token_logits is None and taught.phone_logits is None
    assert taught.num_rows.tolist() == [num_rows(int(n), ((128, 64), (7, 6))) for n in lengths]
    alone = loaded.hear(samples[1:2, :5000], lengths[1:2], ["output"]).hidden["output"][0]
    torch.testing.assert_close(taught.hidden["output"][1, : len(alone)], alone)
    assert len(alone) == taught.num_rows[1] and alone.abs().sum() > 0


def test_a_student_learns_hidden_states_of_both_views(teacher: Path, cache: Path, tmp_path: Path) -> None:
    recipe = distilled(teacher, supervised=0.0, schedule={"num_steps": 24, "clean_steps": 24})
    recipe = replace(recipe, loss=LossRecipe(consistency=0.2), network={**NETWORK, "lookahead_tokens": 2})
    run = run_of(recipe, tmp_path, cache)
    run.train()
    assert run.history[-1]["taught_hidden"] < 0.9 * run.history[0]["taught_hidden"]
    assert run.task.networks["projections"].state_dict()["maps.0.weight"].shape == (CHANNELS, 16)


def test_a_teacher_may_hear_what_is_said_without_its_scene(teacher: Path, cache: Path) -> None:
    """The student hears the same either way, at the same times; noise in which nobody speaks is silence."""
    loud: dict[str, Any] = {
        "noise_only_share": 0.5,
        "silence_probability": 1.0,
        "concatenate_probability": 0.0,
    }
    schedule = {"clean_steps": 0}
    recipes = [
        replace(r, augmentation=replace(r.augmentation, **loud))
        for r in (distilled(teacher, schedule, clean=clean) for clean in (True, False))
    ]
    clean, heard = (BatchMaker(recipe, cache, cache)[3] for recipe in recipes)
    assert torch.equal(clean.features, heard.features)
    assert clean.samples is not None and heard.samples is not None and heard.num_samples is not None
    assert clean.num_samples is not None and torch.equal(clean.num_samples, heard.num_samples)
    for row, (said, scene) in enumerate(zip(clean.samples, heard.samples, strict=True)):
        if clean.num_tokens[row] == 0:
            assert not said.any()
            continue
        level = scene.square().mean().sqrt() / said.square().mean().sqrt()
        unclipped = scene.abs() < 1.0  # the scene of this recipe is nothing but a level
        torch.testing.assert_close(scene[unclipped], (level * said)[unclipped], atol=1e-3, rtol=1e-2)
        assert abs(float(level) - 1.0) > 1e-3
    assert 0 < int((clean.num_tokens == 0).sum()) < len(clean.num_tokens)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"phones": 1.0}, r"distillation.phones: .*teacher.onnx has no phones to teach; set it to 0"),
        ({"sequence": 1.0}, r"distillation.sequence: .*teacher.onnx has no characters to teach"),
        ({"relation": 1.0, "relation_heads": 4}, r"relation: .*teacher.onnx shows no queries, keys"),
        ({"layer_map": ((2, 2),)}, r"layer_map: the teacher has blocks 1 to 1, and no block 2"),
    ],
)
def test_what_a_graph_cannot_teach_is_refused(
    table: dict[str, Any], message: str, teacher: Path, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=message):
        run_of(distilled(teacher, **table), tmp_path, cache)


def test_a_graph_is_known_by_what_it_holds(teacher: Path, tmp_path: Path) -> None:
    """``galago make`` calls the file of every stage model.pt."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "teacher.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(teacher), options, providers=["CPUExecutionProvider"])
    for kind in (teacher, tmp_path / "teacher.ort"):
        renamed = tmp_path / "model.pt"
        renamed.write_bytes(kind.read_bytes())
        assert load_teacher(renamed).clock == RowClock(256, 384)


def test_files_that_are_no_teachers_are_refused(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere.ort: cannot be read: no such file"):
        load_teacher(tmp_path / "nowhere.ort")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(teacher.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=r"damaged.onnx: no graph that onnxruntime runs"):
        load_teacher(damaged)
    with pytest.raises(
        CheckpointError, match=r"needs one float input .* and has sound .*, mask tensor\(bool\)"
    ):
        load_teacher(graph(tmp_path / "inputs.onnx", mask="tensor(bool)"))
    with pytest.raises(CheckpointError, match=r"needs one float output .* and has most tensor\(float\)"):
        load_teacher(graph(tmp_path / "outputs.onnx", rank=2))
    with pytest.raises(
        CheckpointError, match=r"length.onnx: .*does not hear 16000 samples: .*INVALID_ARGUMENT"
    ):
        load_teacher(graph(tmp_path / "length.onnx", length=48000))
    with pytest.raises(CheckpointError, match=r"it: .*its rows do not come at a steady pace"):
        measured_clock(lambda n: int(n**0.5), "it")
    with pytest.raises(CheckpointError, match=r"it: .*its rows do not come at a steady pace"):
        measured_clock(lambda n: 1, "it")


def test_onnxruntime_is_asked_for_by_name(teacher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"onnxruntime is needed for the teacher .*pip install onnxruntime"):
        load_teacher(teacher)


def test_a_graph_writes_no_labels(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"teacher.onnx: has no characters"):
        next(label_sound([load_teacher(teacher)], tmp_path, SoundSettings()))

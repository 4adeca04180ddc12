"""Importing and model files: what is wrong is refused by name, and nothing is written then."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.checkpoint import (
    IMPORTERS,
    NETWORKS,
    StoredNetwork,
    import_folder,
    load_network,
    save_network,
)
from galago.models.published.command import main
from galago.models.published.folder import read_folder
from galago.models.published.importer import TensorReader
from galago.models.published.safetensors_file import read_safetensors
from galago.models.training.checkpoints import CheckpointError, load, save_atomically
from galago.models.vit import Vit, VitConfig

VIT = VitConfig(height=16, width=16, num_classes=2, patch=8, channels=4, depth=1, num_heads=2)
_SAFETENSORS = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """The format by hand: a header, and the bytes behind it."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        header[name] = {
            "dtype": _SAFETENSORS[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    write_header(path, json.dumps(header).encode(), data)


def write_header(path: Path, header: bytes, data: bytes = b"") -> None:
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def published_vit(folder: Path) -> dict[str, Tensor]:
    """A ViT as its authors would save it, without their library."""
    generator = torch.Generator().manual_seed(1)
    block = "vit.encoder.layer.0."
    shapes: dict[str, tuple[int, ...]] = {
        "vit.embeddings.cls_token": (1, 1, 4),
        "vit.embeddings.position_embeddings": (1, 5, 4),
        "vit.embeddings.patch_embeddings.projection.weight": (4, 3, 8, 8),
        "vit.embeddings.patch_embeddings.projection.bias": (4,),
        f"{block}intermediate.dense.weight": (16, 4),
        f"{block}intermediate.dense.bias": (16,),
        f"{block}output.dense.weight": (4, 16),
        f"{block}output.dense.bias": (4,),
        "classifier.weight": (2, 4),
        "classifier.bias": (2,),
    }
    for part in ("attention.query", "attention.key", "attention.value", "output.dense"):
        shapes[f"{block}attention.{part}.weight"] = (4, 4)
        shapes[f"{block}attention.{part}.bias"] = (4,)
    for norm in (f"{block}layernorm_before", f"{block}layernorm_after", "vit.layernorm"):
        shapes[f"{norm}.weight"] = shapes[f"{norm}.bias"] = (4,)
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    write_safetensors(folder / "model.safetensors", tensors)
    config = {
        "architectures": ["ViTForImageClassification"],
        "image_size": 16,
        "patch_size": 8,
        "hidden_size": 4,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "id2label": {"0": "cat", "1": "dog"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return tensors


def test_the_command_writes_a_model_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = published_vit(tmp_path)
    output = tmp_path / "model.pt"
    assert main([str(tmp_path), "-o", str(output), "--check"]) == 0
    assert not output.exists()
    assert main([str(tmp_path), "-o", str(output)]) == 0
    assert "vit of ViTForImageClassification, 0.0 M parameters, 2 labels" in capsys.readouterr().out
    stored = load_network(output)
    assert stored.details == {"labels": ["cat", "dog"]} and isinstance(stored.network, Vit)
    assert stored.network.config == VIT and not stored.network.training
    weights = stored.network.state_dict()
    assert torch.equal(weights["head.weight"], tensors["classifier.weight"])
    key = tensors["vit.encoder.layer.0.attention.attention.key.weight"]
    assert torch.equal(weights["blocks.0.query_key_value.weight"][4:8], key)


def test_missing_extra_and_wrongly_shaped_tensors_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All at once, by their published names; nothing is written."""
    tensors = published_vit(tmp_path)
    del tensors["vit.encoder.layer.0.attention.attention.key.weight"]
    tensors["classifier.bias"] = torch.zeros(3)
    tensors["vit.encoder.layer.1.output.dense.bias"] = torch.zeros(4)
    write_safetensors(tmp_path / "model.safetensors", tensors)
    assert main([str(tmp_path), "-o", str(tmp_path / "model.pt")]) == 2
    said = capsys.readouterr().err
    assert "missing: vit.encoder.layer.0.attention.attention.key.weight;" in said
    assert "wrongly shaped: classifier.bias is (3,), not (2,);" in said
    assert "left over: vit.encoder.layer.1.output.dense.bias\n" in said
    assert not (tmp_path / "model.pt").exists()


def test_a_network_in_half_precision_becomes_float32(tmp_path: Path) -> None:
    tensors = published_vit(tmp_path)
    halves = {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}
    write_safetensors(tmp_path / "model.safetensors", halves)
    weight = import_folder(tmp_path).network.state_dict()["head.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, halves["classifier.weight"].float())


def test_weights_in_parts_are_one(tmp_path: Path) -> None:
    tensors = published_vit(tmp_path)
    names = list(tensors)
    parts = {"part-1.safetensors": names[:7], "part-2.safetensors": names[7:]}
    for part, held in parts.items():
        write_safetensors(tmp_path / part, {name: tensors[name] for name in held})
    (tmp_path / "model.safetensors").unlink()
    index = {"weight_map": {name: part for part, held in parts.items() for name in held}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    stored = import_folder(tmp_path)
    assert torch.equal(stored.network.state_dict()["head.weight"], tensors["classifier.weight"])
    assert sorted(stored.source["sha256"]) == ["config.json", "part-1.safetensors", "part-2.safetensors"]
    write_safetensors(tmp_path / "part-2.safetensors", {names[0]: tensors[names[0]]})
    with pytest.raises(CheckpointError, match=f"{names[0]} stands in another part, too"):
        import_folder(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../elsewhere"}}')
    with pytest.raises(CheckpointError, match="'../elsewhere' is no file of this folder"):
        import_folder(tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "config.json: cannot be read"),
        ("[]", "holds a list, no JSON object"),
        ("[" * 100_000, "config.json: cannot be read"),
        ("{}", "architectures must be list, got None"),
        ('{"architectures": ["A", "B"]}', "architectures must be one name"),
        ('{"architectures": ["BertForMaskedLM"]}', "architecture 'BertForMaskedLM' cannot be imported"),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_refused(config: str, message: str, tmp_path: Path) -> None:
    published_vit(tmp_path)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=message):
        import_folder(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match="config.json: cannot be read"):
        read_folder(tmp_path)


ENTRY = '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{", "the header is no JSON object"),
        ("3", "the header is no JSON object"),
        ('{"a": 3}', "a: no dtype, shape and data_offsets"),
        ('{"a": {"dtype": "F8", "shape": [8], "data_offsets": [0, 8]}}', "a: unknown type 'F8'"),
        ('{"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}', "are no counts"),
        ('{"a": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}}', "are no counts"),
        ('{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}', "are not the 12 of F32"),
        ('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}', "bytes 4 to 12 of 8 are not"),
        ('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}', "bytes 8 to 0 of 8 are not"),
        (ENTRY + ', "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}', "b and a share bytes"),
        (ENTRY + ', "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', "a name stands twice"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(header: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    write_header(path, header.encode(), bytes(8))
    with pytest.raises(CheckpointError, match=message):
        read_safetensors(path)


def test_a_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    published_vit(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    for size in (0, 5, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="model.safetensors"):
            read_safetensors(path)
    write_header(path, b"")
    with pytest.raises(CheckpointError, match="the header is no JSON object"):
        read_safetensors(path)


def test_scalars_and_empty_tensors_are_read(tmp_path: Path) -> None:
    tensors = {"count": torch.tensor(3), "none": torch.zeros(0, 4), "half": torch.ones(3).half()}
    write_safetensors(tmp_path / "a.safetensors", tensors)
    found = read_safetensors(tmp_path / "a.safetensors")
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)


def test_what_is_read_is_what_the_formats_own_library_wrote(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.torch")
    tensors = {"b": torch.randn(3, 5), "a": torch.arange(4), "c": torch.randn(2, 2).bfloat16()}
    library.save_file(tensors, tmp_path / "a.safetensors")
    found = read_safetensors(tmp_path / "a.safetensors")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_many_problems_are_counted_and_not_all_named() -> None:
    reader = TensorReader({f"t{i:03}": torch.zeros(1) for i in range(50)}, "here")
    with pytest.raises(CheckpointError, match=r"here: left over: t000, .*t019 and 30 more$"):
        reader.finish()


def test_model_files_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    model = Vit(VIT)
    save_network(path, StoredNetwork("vit", model, {"labels": ["a", "b"]}))
    stored = load(path)
    for changes, message in (
        ({"role": "ear"}, "holds 'ear' of schema 1"),
        ({"role": ["vit"]}, r"holds \['vit'\] of schema 1"),
        ({"schema_version": 2}, "holds 'vit' of schema 2"),
        ({"config": {**stored["config"], "depth": 2}}, "holds no vit of this version"),
        ({"details": "{"}, "holds no vit of this version"),
    ):
        save_atomically({**stored, **changes}, path)
        with pytest.raises(CheckpointError, match=message):
            load_network(path)


def test_everything_listed_is_there() -> None:
    import importlib

    for module, *names in NETWORKS.values():
        assert all(hasattr(importlib.import_module(f"galago.models.{module}"), name) for name in names)
    for module, function in IMPORTERS.values():
        assert callable(getattr(importlib.import_module(f"galago.models.published.{module}"), function))

"""Moonshine: of a folder with ``MoonshineForConditionalGeneration`` its encoder, of a package both halves.

The package ``moonshine-voice`` holds ``encoder_model.ort`` and ``decoder_model_merged.ort``: ONNX Runtime's
own format, in which linear maps are 8-bit integers with one scale and one zero point each, or one for each
output. They are turned back into numbers; what rounding took is lost. Beside them ``tokenizer.bin`` has the
pieces that the decoder writes with.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from galago.models.moonshine import MOONSHINE_PRESETS, MoonshineConfig, MoonshineEncoder
from galago.models.piece_decoder import PieceDecoder, PieceDecoderBlock, PieceDecoderConfig
from galago.models.pieces import NUM_SPECIAL, SPACE
from galago.models.published.folder import PublishedFolder, Settings
from galago.models.published.importer import Imported, TensorReader
from galago.models.training.checkpoints import CheckpointError
from galago.models.transformer import TransformerBlock

__all__ = ["INSTALLED", "import_moonshine", "import_moonshine_graph", "installed_moonshine"]

PACKAGE, FOLDER = "moonshine_voice", "assets/tiny-en"
#: What the package holds, by the names that it has on a command line.
INSTALLED = {"moonshine-tiny": "encoder_model.ort", "moonshine-tiny-decoder": "decoder_model_merged.ort"}
PIECES = "tokenizer.bin"
_ONNX_DTYPES = {1: "<f4", 2: "u1", 3: "i1"}  # of weights; whatever has another type is none
#: What the graph calls the two parameters that an optimizer named anew.
_NORM_NODES = {"/groupnorm/Mul": "groupnorm.weight", "/groupnorm/Add": "groupnorm.bias"}


def installed_moonshine(name: str = "moonshine-tiny") -> Path:
    """A graph in the package, by its name in :data:`INSTALLED`; the package's code is not run.

    Raises:
        CheckpointError: the package is not installed, or holds no such graph.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise CheckpointError(f"{name}: its weights are not installed; pip install moonshine-voice")
    path = Path(found.submodule_search_locations[0]) / FOLDER / INSTALLED[name]
    if not path.is_file():
        raise CheckpointError(f"{path}: is not in this version of moonshine-voice")
    return path


def import_moonshine(folder: PublishedFolder) -> Imported:
    """The encoder of a published model; its decoder is left out.

    Raises:
        CheckpointError: a setting that galago's network has not, or tensors that are missing, of another
            shape or left over.
    """
    config = folder.config
    config.only("encoder_hidden_act", "gelu")
    config.only("attention_bias", False)
    width = config.get("hidden_size", int)
    num_heads = config.get("encoder_num_attention_heads", int)
    config.only("encoder_num_key_value_heads", num_heads, None)
    # Older folders have the settings of rotations beside all others, newer ones in a table of their own.
    values = {**config.values, **config.get("rope_parameters", dict, {})}
    rotation = Settings(config.path, values)
    rotation.only("rope_type", "default")
    rotation.only("rope_theta", 10_000.0)
    share = rotation.get("partial_rotary_factor", float, 0.9)
    reader = TensorReader(folder.tensors, str(folder.path))
    reader.leave(r"model\.decoder\.|proj_out\.")
    try:
        shape = MoonshineConfig(
            width=width,
            num_blocks=config.get("encoder_num_hidden_layers", int),
            num_heads=num_heads,
            feed_forward_width=config.get("intermediate_size", int),
            rotary_width=int(width // num_heads * share),
        )
        network = MoonshineEncoder(shape).eval()
    except ValueError as error:
        raise CheckpointError(f"{config.path}: {error}") from error
    return _filled(network, reader, "model.encoder.")


def import_moonshine_graph(path: Path) -> Imported:
    """An encoder of a published size, or a decoder with its pieces beside it, as ONNX Runtime saves them.

    Raises:
        CheckpointError: the file is damaged or another graph, its size is none that was published, ONNX
            Runtime, which reads it, is missing, or the decoder's ``tokenizer.bin`` is.
    """
    tensors = _graph_tensors(path)
    if "embed_tokens.weight" in tensors:
        return _decoder(tensors, path)
    network = MoonshineEncoder(MOONSHINE_PRESETS[_preset_of(tensors, path)]).eval()
    return _filled(network, TensorReader(tensors, str(path)), "")


def _preset_of(tensors: Mapping[str, Tensor], path: Path) -> str:
    """The preset that is as wide and as deep; how many heads it has, no tensor tells."""
    first = tensors.get("conv1.weight")
    if first is None:
        raise CheckpointError(f"{path}: is another graph than Moonshine's encoder: it has no conv1.weight")
    width, num_blocks = first.shape[0], sum(name.endswith(".self_attn.q_proj.weight") for name in tensors)
    for name, config in MOONSHINE_PRESETS.items():
        if (config.width, config.num_blocks) == (width, num_blocks):
            return name
    raise CheckpointError(f"{path}: no published Moonshine has {num_blocks} blocks, {width} wide")


def _filled(network: MoonshineEncoder, reader: TensorReader, prefix: str) -> Imported:
    for i, convolution in enumerate(network.stem.convolutions):
        reader.module(f"{prefix}conv{i + 1}", convolution)
    assert network.stem.group_norm is not None
    reader.modules(prefix, {"groupnorm": network.stem.group_norm, "layer_norm": network.norm})
    for i, block in enumerate(network.blocks):
        assert isinstance(block, TransformerBlock)  # a ModuleList forgets what it holds
        parts: Mapping[str, nn.Module] = {
            "self_attn.q_proj": block.attention.query,
            "self_attn.k_proj": block.attention.key,
            "self_attn.v_proj": block.attention.value,
            "self_attn.o_proj": block.attention.out,
            "input_layernorm": block.attention_norm,
            "post_attention_layernorm": block.feed_forward_norm,
            "mlp.fc1": block.expand,
            "mlp.fc2": block.project,
        }
        reader.modules(f"{prefix}layers.{i}.", parts)
    reader.finish()
    return Imported("moonshine", network)


def _decoder(tensors: dict[str, Tensor], path: Path) -> Imported:
    """As wide as Moonshine tiny or base: how many heads it has, no tensor tells."""
    num_pieces, width = tensors["embed_tokens.weight"].shape
    shape = next((c for c in MOONSHINE_PRESETS.values() if c.width == width), None)
    if shape is None:
        raise CheckpointError(f"{path}: no published Moonshine is {width} wide")
    config = PieceDecoderConfig(
        width=width,
        num_blocks=sum(name.endswith(".self_attn.q_proj.weight") for name in tensors),
        num_heads=shape.num_heads,
        feed_forward_width=shape.feed_forward_width,
        rotary_width=shape.rotary_width,
        num_pieces=num_pieces,
    )
    network, reader = PieceDecoder(config).eval(), TensorReader(tensors, str(path))
    reader.modules("", {"embed_tokens": network.embedding, "norm": network.norm})
    for i, block in enumerate(network.blocks):
        assert isinstance(block, PieceDecoderBlock)  # a ModuleList forgets what it holds
        parts: dict[str, nn.Module] = {
            "input_layernorm": block.attention_norm,
            "post_attention_layernorm": block.rows_norm,
            "final_layernorm": block.feed_forward_norm,
            "mlp.fc1": block.expand,
            "mlp.fc2": block.project,
        }
        for name, attention in (("self_attn", block.attention), ("encoder_attn", block.rows_attention)):
            parts |= {
                f"{name}.q_proj": attention.query,
                f"{name}.k_proj": attention.key,
                f"{name}.v_proj": attention.value,
                f"{name}.o_proj": attention.out,
            }
        reader.modules(f"layers.{i}.", parts)
    reader.finish()
    pieces = _piece_names(path.with_name(PIECES))
    if len(pieces) != num_pieces:
        raise CheckpointError(f"{path.with_name(PIECES)}: {len(pieces)} pieces, {path.name} has {num_pieces}")
    return Imported("piece-decoder", network, {"pieces": pieces})


def _piece_names(path: Path) -> list[str]:
    """Pieces as Moonshine's ``tokenizer.bin`` has them: a length, one or two bytes, and so much UTF-8.

    Behind the three that are no text come the 256 bytes, for what no other piece spells.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    raw: list[bytes] = []
    at = 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 128 and at < len(data):
            length += 128 * (data[at] - 1)
            at += 1
        raw.append(data[at : at + length])
        at += length
    first = NUM_SPECIAL + 256
    if at != len(data) or len(raw) <= first:
        raise CheckpointError(f"{path}: holds no pieces")
    special = [f"<{i}>" for i in range(NUM_SPECIAL)] + [f"<0x{i:02x}>" for i in range(256)]
    try:
        return special + [piece.decode("utf-8").replace("\u2581", SPACE) for piece in raw[first:]]
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: a piece is not UTF-8") from error


def _graph_tensors(path: Path) -> dict[str, Tensor]:
    """The weights of a graph under the names that they have in a folder."""
    try:
        from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession import (
            InferenceSession,
        )
    except ImportError as error:
        raise CheckpointError(
            f"{path}: onnxruntime reads it and is not installed: pip install onnxruntime"
        ) from error
    file = path.read_bytes()
    try:
        if not InferenceSession.InferenceSessionBufferHasIdentifier(file, 0):
            raise ValueError("it does not begin as one")
        graph = InferenceSession.GetRootAs(file, 0).Model().Graph()
        stored, named = _constants_and_nodes(graph)
    except Exception as error:  # a flatbuffer of something else fails anywhere, with anything
        raise CheckpointError(f"{path}: is no graph of ONNX Runtime: {error}") from error
    tensors: dict[str, Tensor] = {}
    for node, inputs in named:
        key = node.removeprefix("/model/decoder/").removeprefix("/")
        for name in inputs:
            if name not in stored:
                continue
            if node in _NORM_NODES:
                tensors[_NORM_NODES[node]] = torch.from_numpy(stored[name].reshape(-1))
            elif name.endswith("_quantized"):
                key = key.removesuffix("/MatMul_quant").replace("/", ".")
                if key not in ("embed_tokens.Gather", "proj_out"):
                    tensors[f"{key}.weight"] = torch.from_numpy(_dequantized(stored, name, path).T)
                elif key == "proj_out":  # the same numbers as the table's, each row with its own scale
                    tensors["embed_tokens.weight"] = torch.from_numpy(_dequantized(stored, name, path).T)
            else:
                plain = (
                    name.removeprefix("model.decoder.").removesuffix("_add_tensor").removesuffix("_merged_0")
                )
                if re.fullmatch(r"(layers\.\d+|layer_norm|norm|conv\d)(\..*)?\.(weight|bias)", plain):
                    tensors[plain] = torch.from_numpy(stored[name])
    return tensors


def _constants_and_nodes(graph: Any) -> tuple[dict[str, Any], list[tuple[str, list[str]]]]:
    """Arrays by name, and the nodes' names and inputs, of a graph and of those inside of it."""
    constants = [graph.Initializers(i) for i in range(graph.InitializersLength())]
    stored = {t.Name().decode(): _array(t) for t in constants if t.DataType() in _ONNX_DTYPES}
    named: list[tuple[str, list[str]]] = []
    for node in (graph.Nodes(i) for i in range(graph.NodesLength())):
        named.append((node.Name().decode(), [node.Inputs(i).decode() for i in range(node.InputsLength())]))
        for inner in (node.Attributes(i).G() for i in range(node.AttributesLength())):
            if inner is not None:
                more, nodes = _constants_and_nodes(inner)
                stored |= more
                named += nodes
    return stored, named


def _dequantized(stored: Mapping[str, Any], name: str, path: Path) -> Any:
    """Integers (inputs, outputs) as the numbers that they stand for."""
    integers, base = stored[name], name.removesuffix("_quantized")
    zero, scale = stored.get(f"{base}_zero_point"), stored.get(f"{base}_scale")
    if zero is None or scale is None or not zero.shape == scale.shape in ((), integers.shape[1:]):
        raise CheckpointError(f"{path}: {name} has no scale and zero point, or not one for each output")
    return (integers.astype(np.float32) - zero.astype(np.float32)) * scale


def _array(tensor: Any) -> Any:
    dtype = np.dtype(_ONNX_DTYPES[tensor.DataType()])
    shape = [tensor.Dims(i) for i in range(tensor.DimsLength())]
    return np.frombuffer(tensor.RawDataAsNumpy().tobytes(), dtype).reshape(shape).copy()

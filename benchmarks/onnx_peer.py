"""The same network in ONNX Runtime, as an engineer without galago would run it: the peer of ``ear_speed``.

Features by kaldi-native-fbank, a streaming graph with its states as inputs and outputs, greedy CTC in
numpy. It gets what helps it: int8 as QDQ with unsigned activations (signed ones lose the gain on VNNI),
per-channel weights, states kept in two sets of bound buffers that swap roles, so that no step copies them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.corpora import SAMPLE_RATE_HZ

Array = NDArray[np.float32]

NUM_MELS = 80
FEATURES, KEEP = "features", "keep"
PHONES, TOKENS = "phone_log_probs", "token_log_probs"


class StreamingFeatures:
    """Log-mel frames of a stream, as the ear wants them."""

    def __init__(self) -> None:
        import kaldi_native_fbank as knf

        options = knf.FbankOptions()
        options.frame_opts.dither = 0.0
        options.frame_opts.samp_freq = SAMPLE_RATE_HZ
        options.frame_opts.snip_edges = True
        options.mel_opts.num_bins = NUM_MELS
        options.mel_opts.low_freq = 20.0
        options.mel_opts.high_freq = 0.0
        options.energy_floor = 0.0  # of the energy term, which is not used
        self._fbank = knf.OnlineFbank(options)
        self._next = 0

    def push(self, samples: Array) -> None:
        """Append samples (n,) in [-1, 1]."""
        self._fbank.accept_waveform(SAMPLE_RATE_HZ, samples)

    def pop(self, num_frames: int) -> Array | None:
        """The next ``num_frames`` frames (num_frames, 80), or ``None`` until all of them are there."""
        if self._fbank.num_frames_ready < self._next + num_frames:
            return None
        # get_frame gives a view of memory that pop frees: copy first.
        frames = np.stack([self._fbank.get_frame(self._next + i) for i in range(num_frames)])
        self._next += num_frames
        self._fbank.pop(num_frames)
        return frames


class GreedyText:
    """Greedy CTC over the token head: index 0 is the blank, repeats fall together."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._last = 0
        self._text: list[str] = []

    def advance(self, log_probs: Array) -> None:
        """Add the best path of ``log_probs`` (T, num_tokens)."""
        for index in log_probs.argmax(axis=-1).tolist():
            if index not in (0, self._last):
                self._text.append(self._tokens[index])
            self._last = index

    @property
    def text(self) -> str:
        return " ".join("".join(self._text).split())


class OnnxEar:
    """A streaming graph with explicit states in ONNX Runtime. The states live in bound buffers.

    Args:
        path: graph with inputs ``features`` (1, chunk_frames, 80), ``keep`` (1,) and the states, and
            outputs ``phone_log_probs``, ``token_log_probs`` and the new states in the states' order.
        num_threads: of one run.
    """

    def __init__(self, path: Path, num_threads: int = 1) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        self._session = ort.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
        shapes = {i.name: tuple(i.shape) for i in self._session.get_inputs()}
        states = [name for name in shapes if name not in (FEATURES, KEEP)]
        outputs = [o.name for o in self._session.get_outputs()]
        new_states = [name for name in outputs if name not in (PHONES, TOKENS)]
        if len(new_states) != len(states):
            raise ValueError(f"{path}: {len(states)} states go in, {len(new_states)} come out")
        out_shapes = {o.name: tuple(o.shape) for o in self._session.get_outputs()}
        for state, new in zip(states, new_states, strict=True):
            if shapes[state] != out_shapes[new]:
                raise ValueError(f"{path}: state {state} {shapes[state]} becomes {new} {out_shapes[new]}")
        self.chunk_frames = int(shapes[FEATURES][1])
        self._features = np.zeros(shapes[FEATURES], np.float32)
        self._keep = np.zeros(1, np.float32)
        self._phones = np.zeros(out_shapes[PHONES], np.float32)
        self._tokens = np.zeros(out_shapes[TOKENS], np.float32)
        sets = [[np.zeros(shapes[state], np.float32) for state in states] for _ in range(2)]
        self._states = sets
        self._bindings = []
        for now, then in ((sets[0], sets[1]), (sets[1], sets[0])):
            binding = self._session.io_binding()
            bound: list[tuple[Any, str, Array]] = [(binding.bind_input, FEATURES, self._features)]
            bound += [(binding.bind_input, KEEP, self._keep)] if KEEP in shapes else []
            bound += [(binding.bind_input, n, a) for n, a in zip(states, now, strict=True)]
            bound += [
                (binding.bind_output, PHONES, self._phones),
                (binding.bind_output, TOKENS, self._tokens),
            ]
            bound += [(binding.bind_output, n, a) for n, a in zip(new_states, then, strict=True)]
            for bind, name, array in bound:
                bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
            self._bindings.append(binding)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._keep[0] = 0.0
        self._turn = 0
        for state in self._states[0]:
            state[...] = 0.0

    def step(self, features: Array) -> tuple[Array, Array]:
        """Log-probabilities (chunk_tokens, 40) and (chunk_tokens, 29), valid until the next step."""
        self._features[0] = features
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._keep[0] = 1.0
        self._turn = 1 - self._turn
        return self._phones[0], self._tokens[0]

    def record(self, chunks: Sequence[Array]) -> Iterator[dict[str, Array]]:
        """The inputs of each step of a stream of chunks (chunk_frames, 80): what calibration needs."""
        self.reset()
        names = [i.name for i in self._session.get_inputs()]
        states = [name for name in names if name not in (FEATURES, KEEP)]
        for chunk in chunks:
            feed = {FEATURES: chunk[None].copy(), KEEP: self._keep.copy()}
            feed |= {n: a.copy() for n, a in zip(states, self._states[self._turn], strict=True)}
            yield {name: feed[name] for name in names}
            self.step(chunk)


def chunks_of(samples: Array, chunk_frames: int) -> list[Array]:
    """Features of a whole clip in chunks (chunk_frames, 80); a last short one is dropped."""
    features = StreamingFeatures()
    features.push(samples)
    chunks = []
    while (chunk := features.pop(chunk_frames)) is not None:
        chunks.append(chunk)
    return chunks


def quantise(fp32: Path, int8: Path, streams: Sequence[Sequence[Array]], *, unsigned: bool = True) -> Path:
    """Quantise a streaming graph to int8 (static, QDQ), calibrated on streams with their real states.

    Layers with weights become int8. The products inside the attention stay fp32: small as they are, their
    quantisation costs more time than it saves, and accuracy beside.

    Args:
        fp32: graph as for :class:`OnnxEar`.
        int8: where the quantised graph goes.
        streams: chunks of features (chunk_frames, 80) of each calibration clip.
        unsigned: U8 activations, which VNNI wants; S8 otherwise.
    """
    ear = OnnxEar(fp32)
    return quantise_static(
        fp32, int8, (feed for stream in streams for feed in ear.record(stream)), unsigned=unsigned
    )


def quantise_static(
    fp32: Path, int8: Path, feeds: Iterator[dict[str, Array]], *, unsigned: bool = True
) -> Path:
    """Quantise a graph to int8 (static, QDQ) over ``feeds``, inputs of single runs; else as `quantise`."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def get_next(self) -> dict[str, Array] | None:
            return next(feeds, None)

    prepared = int8.with_suffix(".prepared.onnx")
    quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        int8,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul", "Gemm", "Conv"],
        nodes_to_exclude=products_without_weights(onnx.load(prepared)),
        per_channel=True,
        activation_type=QuantType.QUInt8 if unsigned else QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()
    return int8


def quantise_dynamic(fp32: Path, int8: Path) -> Path:
    """Quantise weights to int8 and, at run time, the activations: scales are made in each step."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = int8.with_suffix(".prepared.onnx")
    quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
    model = onnx.load(prepared)
    # quantize_dynamic turns transposed Gemm weights round and then stumbles over their noted shapes.
    model.graph.ClearField("value_info")
    quantize_dynamic(
        model,
        int8,
        op_types_to_quantize=["MatMul", "Gemm"],
        nodes_to_exclude=products_without_weights(model),
        per_channel=True,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()
    return int8


def products_without_weights(model: Any) -> list[str]:
    """Names of the MatMul nodes of an ONNX model whose right side is no weight matrix."""
    matrices = {weight.name for weight in model.graph.initializer if len(weight.dims) == 2}
    return [n.name for n in model.graph.node if n.op_type == "MatMul" and n.input[1] not in matrices]


def hear(ear: OnnxEar, tokens: Sequence[str], samples: Array) -> str:
    """Greedy text of a clip, streamed through ``ear``."""
    ear.reset()
    text = GreedyText(tokens)
    for chunk in chunks_of(samples, ear.chunk_frames):
        text.advance(ear.step(chunk)[1])
    return text.text

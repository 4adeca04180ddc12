"""A graph that onnxruntime runs, such as the encoder of a published recogniser, teaches hidden states.

It is asked for nothing but what its last layer says of 16 kHz samples, so word pieces or another decoder do
not matter::

    samples (1, N) float32, with or without a mask (1, N) int64 ──► hidden states (1, R, C) float32

A graph does not say when its rows hear. That is measured once: a stack of convolutions makes its row R of
F + (R - 1) * S samples, and the lengths at which one more row comes give S and F.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galago.models.training.checkpoints import CheckpointError
from galago.models.training.distill.alignment import RowClock
from galago.models.training.ear.teacher import EarTeacher, Taught

__all__ = ["GraphTeacher", "is_graph", "measured_clock"]

ORT_MARK = b"ORTM"  # of a flatbuffer, behind the place of its root
ONNX_MARK = b"\x08"  # the key of ir_version, the first field of a protobuf; torch writes a zip or a pickle
BLOCK = "output"
ONE_SECOND_SAMPLES = 16_000
LONGEST_STEP_SAMPLES = ONE_SECOND_SAMPLES  # a row a second is far too few for any ear
MEASURED_ROWS = (3, 4, 7, 8)  # row numbers whose first samples are looked for


def is_graph(path: Path) -> bool:
    """By its name, or by its first bytes: the stages of ``galago make`` call every file ``model.pt``."""
    if path.suffix in (".onnx", ".ort"):
        return True
    try:
        with open(path, "rb") as file:
            begin = file.read(8)
    except OSError:
        return False  # whoever loads it as a network says why
    return begin[4:] == ORT_MARK or begin[:1] == ONNX_MARK


class _Ports(NamedTuple):
    """Names of a graph's inputs and output."""

    samples: str
    mask: str | None
    hidden: str


class GraphTeacher(EarTeacher):
    """Hidden states of one ONNX or ORT graph.

    Each utterance is heard by itself: encoders that normalise over time, as Moonshine's does, hear padding
    whatever the mask says.

    Raises:
        CheckpointError: no such file, onnxruntime cannot read it, it has other inputs or outputs, it hears
            only one length of sound, or its rows come at no steady pace.
        ImportError: onnxruntime is not installed.
    """

    has_phones = False
    has_tokens = False
    attention_width = None
    blocks = [BLOCK]

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        """Runs on the processor, with torch's number of threads; answers come to ``device``."""
        self.name, self._device = str(path), torch.device(device)
        self._session = _session(path)
        self._ports = _ports(self._session, self.name)
        try:
            self._width = int(self._run(np.zeros(ONE_SECOND_SAMPLES, dtype=np.float32)).shape[-1])
        except _refusals() as error:
            raise CheckpointError(
                f"{self.name}: cannot teach an ear: does not hear {ONE_SECOND_SAMPLES} samples: {error}"
            ) from error
        self.clock, self._fewest_samples = measured_clock(self._num_rows, self.name)

    @property
    def width(self) -> int:
        """See :attr:`EarTeacher.width`."""
        return self._width

    def _run(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) -> (R, C)."""
        given: dict[str, Any] = {self._ports.samples: samples[None]}
        if self._ports.mask is not None:
            given[self._ports.mask] = np.ones((1, len(samples)), dtype=np.int64)
        rows: NDArray[np.float32] = self._session.run([self._ports.hidden], given)[0][0]
        return rows

    def _num_rows(self, num_samples: int) -> int:
        """Rows of so many samples; 0 where the graph refuses them as too few."""
        try:
            return len(self._run(np.zeros(num_samples, dtype=np.float32)))
        except _refusals():
            return 0

    def hear(self, samples: Tensor, num_samples: Tensor, taps: Sequence[str] = ()) -> Taught:
        """See :meth:`EarTeacher.hear`."""
        padded = samples.float().cpu().numpy()
        heard = [
            torch.from_numpy(self._run(row[:count]))
            if count >= self._fewest_samples
            else torch.zeros(0, self.width)
            for row, count in zip(padded, num_samples.tolist(), strict=True)
        ]
        num_rows = torch.tensor([len(rows) for rows in heard], device=self._device)
        hidden = torch.nn.utils.rnn.pad_sequence([*heard, torch.zeros(1, self.width)], batch_first=True)[:-1]
        return Taught(None, None, num_rows, dict.fromkeys(taps, hidden.to(self._device)))


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"onnxruntime is needed for the teacher {path} and is not installed: pip install onnxruntime"
        ) from error
    if not path.is_file():
        raise CheckpointError(f"{path}: cannot be read: no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what a measured length is too short for is no news
    with open(path, "rb") as file:
        if file.read(8)[4:] == ORT_MARK:  # by itself, onnxruntime only looks at the name
            options.add_session_config_entry("session.load_model_format", "ORT")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base, and any of them is about this file
        raise CheckpointError(f"{path}: no graph that onnxruntime runs: {error}") from error


def _refusals() -> tuple[type[Exception], ...]:
    """What onnxruntime raises where a graph cannot take an input."""
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

    return (Fail, InvalidArgument, RuntimeException)


def _ports(session: Any, name: str) -> _Ports:
    """Which input takes samples, which the mask, and which output is the hidden states."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    samples = [p.name for p in inputs if p.type == "tensor(float)" and len(p.shape) == 2]
    masks = [p.name for p in inputs if p.type == "tensor(int64)" and len(p.shape) == 2]
    if len(samples) != 1 or len(masks) > 1 or len(inputs) != len(samples) + len(masks):
        raise CheckpointError(
            f"{name}: cannot teach an ear: needs one float input (batch, samples) and at most one int64 mask "
            f"(batch, samples), and has {_described(inputs)}"
        )
    hidden = [p.name for p in outputs if p.type == "tensor(float)" and len(p.shape) == 3]
    if len(hidden) > 1 and "last_hidden_state" in hidden:
        hidden = ["last_hidden_state"]
    if len(hidden) != 1:
        raise CheckpointError(
            f"{name}: cannot teach an ear: needs one float output (batch, rows, channels), or one of that "
            f"shape called last_hidden_state, and has {_described(outputs)}"
        )
    return _Ports(samples[0], masks[0] if masks else None, hidden[0])


def _described(ports: Sequence[Any]) -> str:
    return ", ".join(f"{p.name} {p.type} {list(p.shape)}" for p in ports) or "none"


def measured_clock(num_rows: Callable[[int], int], name: str) -> tuple[RowClock, int]:
    """When the rows of a graph hear, and the fewest samples that make a row.

    A row's centre is the middle of its samples; where convolutions pad both ends alike, what they add stands
    as much before the first sample as it makes rows come sooner, and the middle is the same.

    Args:
        num_rows: rows of so many samples, never fewer for more. name: how messages call the graph.

    Raises:
        CheckpointError: rows do not come one by one and as many samples apart.
    """
    longest = (max(MEASURED_ROWS) + 1) * LONGEST_STEP_SAMPLES
    first = {row: _fewest(num_rows, row, longest) for row in (1, *MEASURED_ROWS)}
    steps = {(first[b] - first[a]) / (b - a) for a, b in itertools.combinations(MEASURED_ROWS, 2)}
    step = steps.pop()
    if steps or step < 1 or step != int(step) or first[MEASURED_ROWS[0]] > longest:
        raise CheckpointError(f"{name}: cannot teach an ear: its rows do not come at a steady pace")
    step_samples = int(step)
    field_samples = first[MEASURED_ROWS[0]] - (MEASURED_ROWS[0] - 1) * step_samples
    return RowClock(field_samples // 2, step_samples), first[1]


def _fewest(num_rows: Callable[[int], int], wanted: int, longest: int) -> int:
    """The fewest samples that make ``wanted`` rows; more than ``longest`` where not even these do."""
    low, high = 0, 1600
    while num_rows(high) < wanted:
        if high > longest:
            return high
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if num_rows(middle) >= wanted else (middle, high)
    return high

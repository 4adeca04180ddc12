"""The FastSpeech of a bundle by itself: its packed graphs, cut in front of the vocoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from galago.quantize.compile_openvino import compile_graph, core
from galago.quantize.voice.export import KEEP, ROWS
from galago.quantize.voice.oracle import Counts, Reader, frame_counts, regulated
from galago.runtime.manifest import read_manifest

__all__ = ["PackedFastSpeech", "cut_at_mel"]

DECODER = "decoder."


def cut_at_mel(speaker: ov.Model) -> ov.Model:
    """The decoder of a speaker's graph, states and all: rows and ``keep`` in, mel, pitch and voicing out.

    Raises:
        ValueError: the graph has no layer ``decoder.out``.
    """
    nodes = {node.get_friendly_name(): node for node in speaker.get_ordered_ops()}
    last = next((nodes[name] for name in nodes if name == f"{DECODER}out/MatMul"), None)
    if last is None:
        raise ValueError(f"{speaker.get_friendly_name()}: has no layer {DECODER}out")
    while len(users := last.output(0).get_target_inputs()) == 1:
        user = next(iter(users)).get_node()
        if user.get_type_name() not in ("Add", "Multiply"):  # bias, and the scale of the voice
            break
        last = user
    sinks = [sink for sink in speaker.get_sinks() if sink.get_variable_id().startswith(DECODER)]
    inputs = [node for node in speaker.get_parameters() if node.get_friendly_name() in (ROWS, KEEP)]
    return ov.Model([last.output(0)], sinks, inputs, "mel")


class PackedFastSpeech:
    """Phones to frames, one thread, as the core runs them: whole sentences read, frames drawn in chunks.

    Args:
        speaker: the packed graph, states inside. chunk_frames: of its step.
        delay_frames: by which the decoder alone lags.
    """

    def __init__(self, reader: Reader, speaker: ov.Model, chunk_frames: int, delay_frames: int) -> None:
        self._reader, self._chunk_frames, self._delay_frames = reader, chunk_frames, delay_frames
        self._request: Any = compile_graph(cut_at_mel(speaker), "f32").create_infer_request()

    @classmethod
    def of_bundle(cls, folder: Path, delay_frames: int) -> PackedFastSpeech:
        """The voice of a bundle.

        Raises:
            ValueError: it has none.
        """
        voice = read_manifest(folder).voice
        if voice is None:
            raise ValueError(f"{folder}: this bundle has no voice")
        (reader, read_weights), (speaker, speak_weights) = (
            (target, None if target.weights is None else folder / target.weights)
            for target in (voice.readers[0], voice.speakers[0])
        )
        num_phones = voice.readers[0].num_phones
        graph = core().read_model(folder / speaker.model, speak_weights)
        read = Reader({num_phones: folder / reader.model}, weights=read_weights)
        return cls(read, graph, voice.chunk_frames, delay_frames)

    def draw(self, phones: Sequence[int], counts: Counts | None = None) -> NDArray[np.float32]:
        """Log-mel frames, log2 pitch and voicing logits side by side, (T, num_mels + 2).

        Args:
            phones: rows of the alphabet. counts: frames of each; None: as the reader says.
        """
        rows, frames = self._reader.read(phones)
        rows = regulated(rows, frame_counts(frames, phones) if counts is None else counts)
        size = self._chunk_frames
        num_chunks = -(-(len(rows) + self._delay_frames) // size)
        padded = np.zeros((num_chunks * size, rows.shape[1]), np.float32)
        padded[: len(rows)] = rows
        drawn = []
        for begin in range(0, len(padded), size):
            keep = np.full(1, float(begin > 0), np.float32)
            self._request.infer({ROWS: padded[None, begin : begin + size], KEEP: keep})
            drawn.append(self._request.get_output_tensor(0).data[0].copy())
        return np.concatenate(drawn)[self._delay_frames :][: len(rows)]

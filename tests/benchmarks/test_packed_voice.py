"""A voice cut in front of its vocoder draws the frames that its network draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from benchmarks.packed_voice import PackedFastSpeech, cut_at_mel
from galago.quantize.compile_openvino import make_stateful
from galago.quantize.voice.oracle import Reader
from tests.make_tiny_bundle import make_tiny_bundle
from tests.quantize.voice.tiny import CHUNK_FRAMES, NUM_PHONES, Exports

SENTENCE = [1, 20, 31, 2, 44, 9, 60, 4]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    return Exports(tmp_path_factory.mktemp("voice_exports"))


@torch.no_grad()
def test_frames_are_those_of_the_network(exports: Exports) -> None:
    counts = np.array([2, 3, 4, 0, 5, 1, 6, 2])
    rows, _ = exports.reader(torch.tensor([SENTENCE]), *torch.zeros(2, 1, len(SENTENCE)))
    repeated = torch.repeat_interleave(rows[0], torch.from_numpy(counts), dim=0)[None]
    expected = torch.cat([y[0].reshape(counts.sum(), -1) for y in exports.acoustic.decoder(repeated)], dim=1)
    reader = Reader({NUM_PHONES[0]: exports.reader_graph(NUM_PHONES[0])})
    delay_frames = exports.acoustic.decoder.delay_frames
    for chunk_frames in CHUNK_FRAMES:
        graph = make_stateful(exports.speaker_graph(chunk_frames)[0])
        packed = PackedFastSpeech(reader, graph, chunk_frames, delay_frames)
        for _ in range(2):  # the second sentence knows nothing of the first
            found = packed.draw(SENTENCE, counts)
            assert_allclose(found, expected.numpy(), atol=2e-4)


def test_what_has_no_voice_is_said(exports: Exports, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no layer decoder.out"):
        cut_at_mel(exports.reader_graph(NUM_PHONES[0]))
    bundle = make_tiny_bundle(tmp_path / "bundle")
    with pytest.raises(ValueError, match="this bundle has no voice"):
        PackedFastSpeech.of_bundle(bundle, 0)

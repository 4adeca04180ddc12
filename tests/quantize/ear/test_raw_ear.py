"""Ears on raw samples: torch, the graph in OpenVINO and the native core hear alike, chunk by chunk."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import openvino as ov
import pytest
import torch

from galago.models.ear import Ear
from galago.models.tokenizer import PHONES
from galago.quantize.calibration import Array
from galago.quantize.compile_openvino import convert_onnx
from galago.quantize.ear.export import export_onnx
from galago.quantize.ear.oracle import Oracle, chunk_features
from galago.runtime.bundle import Bundle
from galago.runtime.errors import InvalidArgumentError
from galago.runtime.events import Posteriors
from tests.quantize.ear.raw_bundle import BASE, characters_only, two_heads, write_bundle
from tests.quantize.ear.tiny import noise

CHUNK_TOKENS = 4
NUM_CHUNKS = 500


def rows_of_the_whole(model: Ear, samples: Array) -> Array:
    """Log-probabilities of both heads side by side, (T, phones + tokens), by one ``forward`` in torch."""
    lookahead = model.config.lookahead_tokens
    frames = chunk_features(
        samples, CHUNK_TOKENS, lookahead_tokens=lookahead, front_end=model.front_end
    ).reshape(1, -1, model.front_end.values_per_frame)
    heard = model(torch.from_numpy(frames), torch.tensor([frames.shape[1]]), chunk_tokens=CHUNK_TOKENS)
    rows = torch.cat([heard.phone_logits.log_softmax(-1), heard.token_logits.log_softmax(-1)], dim=-1)[0]
    return np.asarray(rows[: len(samples) // model.front_end.token_samples].numpy())


def rows_of_a_session(bundle: Bundle, samples: Array) -> Array:
    """The same by the native core, from blocks of odd sizes."""
    rng = np.random.default_rng(2)
    with bundle.session(posteriors=True, partials=False) as session:
        rows, begin = [], 0
        while begin < len(samples):
            block = samples[begin : begin + int(rng.integers(1, 3000))]
            session.push_audio(block, begin * 62_500)
            begin += len(block)
            if begin >= len(samples):
                session.end_input()
            while session.step():
                rows += [event.log_probs for event in session.events() if isinstance(event, Posteriors)]
    return np.concatenate(rows)


class Exported(NamedTuple):
    model: Ear
    graph: ov.Model
    bundle: Path


@pytest.fixture(
    scope="module",
    params=[two_heads, lambda: two_heads(**BASE), lambda: characters_only(**BASE)],
    ids=["causal", "base", "characters only"],
)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("raw")
    model: Ear = request.param()
    export_onnx(model, CHUNK_TOKENS, folder / "ear.onnx")
    graph = convert_onnx(folder / "ear.onnx")
    return Exported(model, graph, write_bundle(folder / "bundle", model, graph, CHUNK_TOKENS))


@torch.no_grad()
def test_500_chunks_are_the_whole(exported: Exported, native_library: Path) -> None:
    model = exported.model
    samples = noise(CHUNK_TOKENS * NUM_CHUNKS * model.front_end.token_samples)
    expected = rows_of_the_whole(model, samples)
    heard = Oracle(exported.graph, model=model).hear(samples)
    in_openvino = np.concatenate([heard.phone_log_probs, heard.token_log_probs], axis=1)
    assert in_openvino.shape == expected.shape == (CHUNK_TOKENS * NUM_CHUNKS, expected.shape[1])
    assert np.abs(in_openvino - expected).max() <= 1e-4
    with Bundle(exported.bundle) as bundle:
        in_the_core = rows_of_a_session(bundle, samples)
    assert np.abs(in_the_core[: len(expected)] - expected).max() <= 1e-3


def test_what_needs_phones_is_refused_by_name_where_there_are_none(
    exported: Exported, native_library: Path
) -> None:
    with Bundle(exported.bundle) as bundle, bundle.session() as session:
        if exported.model.phones == PHONES:
            session.set_phrases(["turn on"])
            return
        with pytest.raises(InvalidArgumentError, match="'turn' needs the phone T, which the bundle lacks"):
            session.set_phrases(["turn on"])
        session.set_hotwords(["ab a"])

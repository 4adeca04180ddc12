"""Ears on raw samples by ``galago pack``: of a training run, and of an imported checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from galago.models.checkpoint import StoredNetwork, save_network
from galago.models.ctc_ear import CtcEar
from galago.models.wav2vec2 import Wav2Vec2, Wav2Vec2Config
from galago.models.wav2vec2_ear import Wav2Vec2Ear
from galago.quantize import command
from galago.quantize.ear.network import load_ear
from galago.runtime.golden import verify_golden
from galago.runtime.manifest import read_manifest
from tests.quantize.ear.raw_bundle import BASE, TINY, two_heads

RECIPE = """
schema_version = 1
name = "raw"
version = "0.0.1"
description = "Random weights"
languages = ["en-US"]
chunk_tokens = [8, 16]

[quantization]
ignored_layers = ['.*\\.attention/MatMul.*', '(features|.*encoder\\.convolutions(\\.0)?)/.*']

[calibration]
num_streams = 2
stream_s = 3.0
num_samples = 8
num_held_out = 2

[accuracy]
max_cost = 1.0

[decoding]
method = "greedy"
second_pass_chunk_tokens = 16
"""
#: As a folder of Hugging Face's layout says it.
DETAILS = {"tokens": ["<pad>", "<s>", "</s>", "<unk>", "|", "E", "T"], "blank": 0, "word_separator": "|"}


def write_run(folder: Path) -> Path:
    model = two_heads()
    stored = {"family": "wav2vec2", "config": model.config.as_dict(), "model": model.state_dict(), "step": 3}
    torch.save(stored, folder / "model.pt")
    return folder


def write_imported(folder: Path) -> Path:
    torch.manual_seed(1)
    network = Wav2Vec2(Wav2Vec2Config(**{**TINY, **BASE, "num_tokens": 7}))
    save_network(folder / "model.pt", StoredNetwork("wav2vec2", network, DETAILS))
    return folder


def packed(run: Path, text: str) -> Path:
    recipe = run / "raw.pack.toml"
    recipe.write_text(text)
    assert command.main([str(run), "-o", str(run / "bundle"), "--recipe", str(recipe), "--no-timing"]) == 0
    return run / "bundle"


def test_a_run_on_raw_samples_is_packed(tmp_path: Path, native_library: Path) -> None:
    bundle = packed(write_run(tmp_path), RECIPE)
    ear = read_manifest(bundle).ear
    assert ear is not None and ear.features.type == "raw_samples" and len(ear.phones) == 40
    assert (ear.features.hop_samples, ear.subsampling_factor) == (320, 1)
    assert [ear.chunk_ms(target) for target in ear.targets] == [160, 320]
    report = json.loads((tmp_path / "pack/report.json").read_text())
    assert report["targets"]["openvino-int8-chunk8"]["chunk_ms"] == 160
    results = verify_golden(bundle)
    assert [result.not_run for result in results] == [None, None]
    assert all(result.passed for result in results), results
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "wav2vec 2.0" in card and "samples as they are" in card and "every 20 ms" in card
    assert "160 ms, 320 ms of new audio" in card


def test_an_imported_head_of_characters_is_packed(tmp_path: Path, native_library: Path) -> None:
    bundle = packed(write_imported(tmp_path), RECIPE.replace("16", "8").replace("[8, 8]", "[8]"))
    ear = read_manifest(bundle).ear
    assert ear is not None and ear.phones == ("SIL", "VOICE") and ear.tokens == ("<blank>", " ", "e", "t")
    assert [target.lookahead_tokens for target in ear.targets] == [2]
    assert np.exp(ear.phone_log_priors).sum() == pytest.approx(1.0, abs=1e-3)
    assert all(result.passed for result in verify_golden(bundle))


def test_which_network_a_file_holds(tmp_path: Path) -> None:
    assert isinstance(load_ear(write_run(tmp_path) / "model.pt"), Wav2Vec2Ear)
    assert isinstance(load_ear(write_imported(tmp_path) / "model.pt"), CtcEar)

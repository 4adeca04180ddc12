"""A voice packed alone and into a bundle that hears: the runtime's reader, and its bytes, must agree."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch

from galago.models.training.g2p import load_g2p
from galago.quantize import command
from galago.quantize.accuracy_control import AccuracyConfig, Controlled
from galago.quantize.calibration import CalibrationSet
from galago.quantize.dtype_choice import StepTimes, choose_dtype
from galago.quantize.g2p import pack_g2p
from galago.quantize.plan import QuantizationPlan
from galago.quantize.quantize import QuantizationConfig
from galago.quantize.roles import role_of_checkpoint
from galago.quantize.sensitivity import LayerSqnr
from galago.quantize.voice.export import SpeakerShape
from galago.quantize.voice.oracle import Reader, Speaker, VoiceOracle
from galago.quantize.voice.parts import Part
from galago.quantize.voice.report import merged_quantization, speed
from galago.runtime.bundle_folder import check_files
from galago.runtime.language.pronunciations import read_pronunciations
from galago.runtime.language.voice_phones import VOICE_PHONES, encode_voice_phones
from galago.runtime.manifest import read_manifest
from tests.make_tiny_bundle import make_tiny_bundle
from tests.quantize.voice.tiny import CHUNK_FRAMES, NUM_PHONES, save_tiny_run

RECIPE = f"""
schema_version = 1
role = "voice"
name = "tiny-voice"
version = "0.0.1"
description = "Says nothing."
num_phones = {list(NUM_PHONES)}
chunk_frames = {CHUNK_FRAMES[0]}
noise_seed = 3
dictionary = "words.dict"
limits = ["It has learned nothing."]

[calibration]
num_sentences = 6
num_held_out_sentences = 2
num_chunks = 20
num_held_out_chunks = 4

[accuracy]
max_cost = 10.0
max_reverted_layers = 0

[golden]
text = "I see a red apple."
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_tiny_run(tmp_path_factory.mktemp("voice") / "run")
    (folder / "voice.pack.toml").write_text(RECIPE)
    return folder


def packed(run: Path, *options: str, recipe: str = "voice.pack.toml") -> int:
    options = ("--recipe", str(run / recipe), "--g2p", str(run / "g2p"), "--no-timing", *options)
    return command.main([str(run), *options])


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    """A voice packed into a bundle that hears."""
    folder = make_tiny_bundle(run.parent / "bundle")
    assert packed(run, "--into", str(folder)) == 0
    return folder


def test_the_bundle_is_whole_and_has_both_roles(bundle: Path, run: Path) -> None:
    manifest = read_manifest(bundle)
    check_files(bundle, manifest)
    assert manifest.roles == ("ear", "voice") and manifest.name == "galago-tiny"
    voice = manifest.voice
    assert voice is not None
    assert [target.name for target in voice.readers] == ["openvino-int8-12", "openvino-int8-24"]
    assert {target.weights for target in voice.readers} == {"voice/reader.bin"}
    assert [target.name for target in voice.speakers] == ["openvino-int8-speaker"]
    assert voice.phones == VOICE_PHONES and voice.noise_seed == 3
    assert voice.delay_frames == 5 and voice.chunk_frames == CHUNK_FRAMES[0]
    assert voice.pitch_std_octaves == pytest.approx(0.2)
    card = (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "It has learned nothing." in card and "tiny-voice 0.0.1: the voice" in card
    report = json.loads((run / "pack" / "report.json").read_text(encoding="utf-8"))
    assert report["quantization"]["parts"]["speaker"]["choice"]["refusal"] is None
    assert len(report["quantization"]["layers"]) > 10 and report["speed"] == {}


def test_dictionary_and_letters_to_phones_are_as_the_core_reads_them(bundle: Path, run: Path) -> None:
    words = read_pronunciations((bundle / "voice/pronunciations.bin").read_bytes())
    assert words["apple"] == ("AE1", "P", "AH0", "L") and words["b."] == ("B", "IY1")
    assert (bundle / "voice/g2p.bin").read_bytes() == pack_g2p(*load_g2p(run / "g2p/model.pt"))


def test_the_golden_sentence_is_what_the_packed_files_speak(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    voice, (golden,) = manifest.voice, manifest.golden_speech
    assert voice is not None
    assert "".join(golden.phones).startswith("^AY1 SIY1 AH0 REH1D ") and golden.phones[-1] == "."
    shape = SpeakerShape(
        chunk_frames=voice.chunk_frames,
        row_width=voice.row_width,
        num_bins=voice.num_bins,
        hop_samples=voice.hop_samples,
        delay_frames=voice.delay_frames,
        sample_rate_hz=voice.sample_rate_hz,
    )
    oracle = VoiceOracle(
        Reader(
            {reader.num_phones: bundle / reader.model for reader in voice.readers},
            weights=bundle / "voice/reader.bin",
        ),
        Speaker(bundle / voice.speakers[0].model, shape, noise_seed=voice.noise_seed),
    )
    spoken = oracle.speak(encode_voice_phones(golden.phones))
    assert spoken.counts.tolist() == list(golden.frames)
    recorded = np.fromfile(bundle / golden.samples, "<f4")
    assert len(recorded) == sum(golden.frames) * voice.hop_samples
    assert np.abs(spoken.samples - recorded).max() < 1e-4 < np.abs(recorded).max()


def test_without_timing_the_same_run_gives_the_same_bytes(bundle: Path, run: Path) -> None:
    again = make_tiny_bundle(run.parent / "again")
    assert packed(run, "--into", str(again)) == 0
    for path in sorted(bundle.rglob("*")):
        if path.is_file():
            assert (again / path.relative_to(bundle)).read_bytes() == path.read_bytes(), path.name


def part(cost: float, times_ms: dict[int, tuple[float, float]]) -> Part:
    """A reader of which only the numbers are looked at."""
    layers = (LayerSqnr("blocks.0.expand/Conv", 20.0, 18.0),)
    graph = ov.Model([], [], "int8")
    controlled = Controlled(graph, QuantizationPlan({}), cost, 0.1, layers, layers, ())
    none = CalibrationSet("none", (), {})
    times = {size: StepTimes(*pair) for size, pair in times_ms.items()}
    choice = choose_dtype(controlled, AccuracyConfig(), times, what="moves the sound by {:.3f} nats")
    floats = {12: ov.Model([], [], "float")}
    return Part("reader", floats, {12: graph}, controlled, none, none, QuantizationConfig(), choice)


def test_a_part_that_is_refused_is_packed_in_float() -> None:
    good, far = part(0.05, {12: (2.0, 1.0)}), part(0.2, {12: (2.0, 1.0)})
    assert good.dtype == "int8" and good.graphs is good.quantized
    assert far.dtype == "f32" and far.graphs is far.floats
    assert (good.row(12)["step_ms_p50"], far.row(12)["step_ms_p50"]) == (1.0, 2.0)
    merged = merged_quantization({"reader": far, "speaker": good})
    assert merged["cost"] == 0.05 and len(merged["layers"]) == 1
    refusal = "int8 moves the sound by 0.200 nats; 0.1 are allowed"
    assert merged["parts"]["reader"]["choice"]["refusal"] == refusal


def test_speed_counts_the_steps_until_the_lag_is_made_up_for() -> None:
    shape = SpeakerShape(
        chunk_frames=8, row_width=4, num_bins=9, hop_samples=160, delay_frames=20, sample_rate_hz=16_000
    )
    parts = {"reader": part(0.0, {64: (3.0, 1.5), 256: (9.0, 5.0)}), "speaker": part(0.0, {8: (2.0, 1.0)})}
    assert speed(parts, shape) == {"first_audio_ms": 1.5 + 3 * 1.0, "real_time_factor": 0.0125}
    assert speed({**parts, "reader": part(0.0, {})}, shape) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[golden]\n", '[evaluation]\ncorpora = ["x"]\n[golden]\n'), "needs corpora (x)"),
        (("red apple", "blue whale"), "'blue', 'whale'"),
        (("num_phones = [12, 24]", "num_phones = [24, 12]"), "num_phones: must rise"),
        (('"words.dict"', '"none.dict"'), "none.dict"),
    ],
)
def test_a_recipe_that_cannot_be_packed_says_why(
    run: Path, change: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert change[0] in RECIPE
    (run / "wrong.pack.toml").write_text(RECIPE.replace(*change))
    assert packed(run, "-o", str(run / "none"), recipe="wrong.pack.toml") == 1
    assert said in capsys.readouterr().err


def test_a_run_without_its_vocoder_or_g2p_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = str(run / "voice.pack.toml")
    assert command.main([str(run), "-o", str(tmp_path / "b"), "--recipe", recipe]) == 1
    assert "--g2p" in capsys.readouterr().err
    shutil.copytree(run / "acoustic", tmp_path / "half" / "acoustic")
    assert command.main([str(tmp_path / "half"), "-o", str(tmp_path / "b"), "--recipe", recipe]) == 1
    assert "vocoder/model.pt: no checkpoint" in capsys.readouterr().err


def test_a_voice_is_told_by_its_role_or_by_its_network(run: Path, tmp_path: Path) -> None:
    assert role_of_checkpoint(run / "acoustic" / "model.pt") == "voice"
    torch.save({"role": "voice", "network": "vocoder"}, tmp_path / "model.pt")
    assert role_of_checkpoint(tmp_path / "model.pt") == "voice"

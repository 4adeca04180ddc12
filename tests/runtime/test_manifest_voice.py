"""The voice's entry of a manifest: read as it stands, refused by the key that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from galago.runtime.bundle_folder import check_files
from galago.runtime.errors import CorruptError, UnsupportedError
from galago.runtime.manifest import parse_manifest, read_manifest
from tests import tiny_voice
from tests.make_tiny_bundle import make_tiny_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("voice"), ear=False, voice=True)


def document(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def test_a_voice_is_read(folder: Path) -> None:
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    voice = manifest.voice
    assert voice is not None and manifest.ear is None and manifest.roles == ("voice",)
    assert (voice.chunk_frames, voice.delay_frames, voice.hop_samples) == (4, 3, 160)
    assert [reader.num_phones for reader in voice.readers] == list(tiny_voice.NUM_PHONES)
    assert [speaker.name for speaker in voice.speakers] == ["openvino-f32-speaker"]
    assert (voice.pronunciations, voice.g2p) == ("voice/pronunciations.bin", "voice/g2p.bin")
    (golden,) = manifest.golden_speech
    assert golden.phones == tiny_voice.GOLDEN_PHONES
    assert list(golden.frames) == tiny_voice.frames_of(tiny_voice.GOLDEN_PHONES)


def test_what_may_be_absent_has_a_default(folder: Path) -> None:
    manifest = document(folder)
    for key in ("g2p", "noise_seed", "pitch_std_octaves", "energy_std_nats", "frames_per_phone_max"):
        del manifest["roles"]["voice"][key]
    voice = parse_manifest(manifest).voice
    assert voice is not None and voice.g2p is None
    assert (voice.noise_seed, voice.pitch_std_octaves, voice.frames_per_phone_max) == (0, 0.0, 200)


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"type": "waves"}, UnsupportedError, "roles.voice.type: 'waves'"),
        ({"phones": ["_"]}, CorruptError, "roles.voice.phones: expected two phones"),
        ({"phones": ["_", "A", "A"]}, CorruptError, "roles.voice.phones: expected two phones"),
        ({"readers": []}, CorruptError, "roles.voice.readers: expected one target"),
        ({"speakers": []}, CorruptError, "roles.voice.speakers: expected one target"),
        ({"hop_samples": 0}, CorruptError, "roles.voice.hop_samples"),
        ({"chunk_frames": 1.5}, CorruptError, "roles.voice.chunk_frames"),
        ({"delay_frames": -1}, CorruptError, "roles.voice.delay_frames"),
        ({"pitch_std_octaves": -0.5}, CorruptError, "roles.voice.pitch_std_octaves: expected 0 or more"),
        ({"g2p": "voice/none.bin"}, CorruptError, "roles.voice.g2p: expected a file that stands in files"),
        ({"pronunciations": "x"}, CorruptError, "roles.voice.pronunciations: expected a file"),
    ],
)
def test_a_wrong_voice_is_refused_by_its_key(
    folder: Path, change: dict[str, Any], error: type[Exception], named: str
) -> None:
    manifest = document(folder)
    manifest["roles"]["voice"] |= change
    with pytest.raises(error, match=named):
        parse_manifest(manifest)


def test_targets_of_readers_and_speakers_have_names_of_their_own(folder: Path) -> None:
    manifest = document(folder)
    manifest["roles"]["voice"]["speakers"][0]["name"] = manifest["roles"]["voice"]["readers"][0]["name"]
    with pytest.raises(CorruptError, match="names of their own"):
        parse_manifest(manifest)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"target": "openvino-f32-32"}, "golden.*target: expected the name of a speaker"),
        ({"phones": ["^", "QQ"]}, "golden.*phones: expected phones of the voice"),
        ({"phones": ["_"]}, "golden.*phones: expected phones of the voice"),
        ({"frames": [1, 2]}, "golden.*frames: expected whole numbers"),
        ({"samples": "golden/none.f32"}, "golden.*samples: expected a file"),
    ],
)
def test_a_wrong_golden_sentence_is_refused(folder: Path, change: dict[str, Any], named: str) -> None:
    manifest = document(folder)
    manifest["golden"][0] |= change
    with pytest.raises(CorruptError, match=named):
        parse_manifest(manifest)

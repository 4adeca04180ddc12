"""An ear of two networks: what is refused of it, which of them is opened, and what each of them hears."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from galago.runtime.bundle import Bundle
from galago.runtime.errors import CorruptError, NotFoundError, UnsupportedError
from galago.runtime.events import Final, Partial, VoiceStart
from galago.runtime.golden import verify_golden
from galago.runtime.manifest import parse_manifest
from tests.make_tiny_bundle import make_tiny_bundle, synthesise
from tests.tiny_second_pass import CHUNK_TOKENS, TARGET, TEXT

Document = dict[str, Any]
FIRST = "openvino-f32-chunk8"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, native_library: Path) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("second_pass"), chunk_tokens=(8, 4), second_pass=True)


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Document:
    document: Document = json.loads((folder / "manifest.json").read_text())
    return document


def test_a_second_network_is_read(manifest: Document) -> None:
    ear = parse_manifest(manifest).ear
    assert ear is not None and ear.second_pass is not None
    assert ear.features.type == "kaldi_log_mel" and ear.second_pass.features.type == "raw_samples"
    assert [target.name for target in ear.all_targets] == [FIRST, "openvino-f32-chunk4", TARGET]
    assert ear.chunk_ms(ear.second_pass.targets[0]) == 40 * CHUNK_TOKENS
    assert len(ear.second_pass.phone_log_priors) == len(ear.phones)


def test_it_may_see_what_the_first_one_does(manifest: Document) -> None:
    document = copy.deepcopy(manifest)
    ear = document["roles"]["ear"]
    ear["second_pass"] |= {"features": dict(ear["features"]), "subsampling_factor": 4}
    assert parse_manifest(document).ear is not None
    ear["second_pass"]["features"]["num_mels"] = 40
    with pytest.raises(CorruptError, match="roles.ear.second_pass.features: expected raw_samples, or the"):
        parse_manifest(document)


def _set(**values: Any) -> Callable[[Document], None]:
    return lambda ear: ear["second_pass"].update(values)


def _feature(**values: Any) -> Callable[[Document], None]:
    return lambda ear: ear["second_pass"]["features"].update(values)


def _target(**values: Any) -> Callable[[Document], None]:
    return lambda ear: ear["second_pass"]["targets"][0].update(values)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_set(targets=[]), "roles.ear.second_pass.targets: expected one target"),
        (_set(subsampling_factor=2), "second_pass.subsampling_factor: expected a token of 640 samples"),
        (_set(phone_log_priors=[0.0]), "second_pass.phone_log_priors: expected one number for each of 40"),
        (_feature(sample_rate_hz=8000), "second_pass.features.sample_rate_hz: expected the ear's 16000"),
        (_feature(hop_samples=320), "second_pass.subsampling_factor: expected a token of 640 samples"),
        (_target(name=FIRST), r"second_pass.targets\[0\].name: expected none of the ear's own targets"),
        (_target(model="ear/none.xml"), r"second_pass.targets\[0\].model: expected a file that stands in"),
        (
            lambda ear: ear["decoding"].update(second_pass_chunk_tokens=8),
            "decoding.second_pass_chunk_tokens: expected nothing beside a second_pass",
        ),
    ],
)
def test_each_rule_of_it_is_named(change: Callable[[Document], None], named: str, manifest: Document) -> None:
    document = copy.deepcopy(manifest)
    change(document["roles"]["ear"])
    with pytest.raises(CorruptError, match=named):
        parse_manifest(document)


@pytest.mark.parametrize(
    ("share", "is_right"), [(0.0, True), (0.5, True), (1, True), (1.5, False), ("a", False)]
)
def test_a_share_of_the_mean_is_between_none_and_all(
    share: object, is_right: bool, manifest: Document
) -> None:
    document = copy.deepcopy(manifest)
    document["roles"]["ear"].setdefault("grammar", {})["second_pass_share"] = share
    with (
        contextlib.nullcontext()
        if is_right
        else pytest.raises(CorruptError, match="grammar.second_pass_share")
    ):
        parse_manifest(document)


def test_features_of_the_future_are_unsupported(manifest: Document) -> None:
    document = copy.deepcopy(manifest)
    document["roles"]["ear"]["second_pass"]["features"]["type"] = "spikes"
    with pytest.raises(UnsupportedError, match="roles.ear.second_pass.features.type: 'spikes'"):
        parse_manifest(document)


@pytest.mark.parametrize(
    ("chunk_ms", "target"), [(None, FIRST), (160, "openvino-f32-chunk4"), (40 * CHUNK_TOKENS, TARGET)]
)
def test_finals_are_of_the_second_network(chunk_ms: int | None, target: str, folder: Path) -> None:
    """Its own chunk opens it alone: then the partials are of it, too."""
    samples = synthesise(["turn", "on", "the", "light"])
    with Bundle(folder, chunk_ms=chunk_ms) as bundle, bundle.session() as session:
        assert bundle.metadata("open.target") == target
        assert session.info.chunk_ms == (chunk_ms or 320)
        events = list(session.run(samples))
    assert [event.text for event in events if isinstance(event, Final)] == [TEXT]
    assert [type(event) for event in events].count(VoiceStart) == 1
    partials = [event.text for event in events if isinstance(event, Partial)]
    assert (set("".join(partials)) == {TEXT}) is (target == TARGET)


def test_one_pass_is_of_the_first_network(folder: Path) -> None:
    with Bundle(folder) as bundle, bundle.session(one_pass=True) as session:
        events = list(session.run(synthesise(["turn", "on"])))
    assert [event.text for event in events if isinstance(event, Final)] == ["turn on"]


def test_a_chunk_of_neither_network_is_refused(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="no target with chunks of 80 ms"):
        Bundle(folder, chunk_ms=80)


def test_golden_vectors_of_both_networks_are_replayed(folder: Path) -> None:
    results = verify_golden(folder)
    assert [result.target for result in results] == [FIRST, "openvino-f32-chunk4", TARGET]
    assert [result.not_run for result in results] == [None] * 3
    assert all(result.passed for result in results)
    assert [result.text for result in results] == ["turn on the light", "turn on the light", TEXT]

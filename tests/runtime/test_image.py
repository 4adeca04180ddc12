"""Images from Python: what goes in, what is seen, and every mistake that must be an answer."""

from __future__ import annotations

import ctypes
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import galago
from galago.runtime import abi
from galago.runtime.bundle import Bundle
from galago.runtime.errors import (
    CorruptError,
    InvalidArgumentError,
    InvalidStateError,
    UnsupportedError,
)
from galago.runtime.events import Labels, Logits
from galago.runtime.golden import verify_golden
from galago.runtime.session import Session
from tests import tiny_eye
from tests.make_tiny_bundle import make_tiny_bundle, synthesise, write_manifest

Image = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def bundle(tiny_eye_bundle: Path) -> Iterator[Bundle]:
    with Bundle(tiny_eye_bundle) as opened:
        yield opened


@pytest.fixture
def session(bundle: Bundle) -> Iterator[Session]:
    with bundle.session() as opened:
        yield opened


def look(session: Session) -> list[Labels]:
    while session.step():
        pass
    return [event for event in session.events() if isinstance(event, Labels)]


def look_at(session: Session, image: Any, **options: Any) -> Labels:
    session.reset()
    session.push_image(image, 0, **options)
    (labels,) = look(session)
    return labels


@pytest.mark.parametrize("colour", tiny_eye.COLOURS)
def test_a_picture_is_told_by_its_colour(colour: str, session: Session) -> None:
    session.push_image(tiny_eye.draw(colour), capture_ns=5_000)
    (event,) = look(session)
    assert event.labels[0].name == colour
    assert event.labels[0].score == event.confidence > 0.9
    assert len(event.labels) == 5
    scores = [label.score for label in event.labels]
    assert scores == sorted(scores, reverse=True) and sum(scores) <= 1.0001
    assert event.begin_ns == event.end_ns == 5_000
    metrics = session.metrics()
    assert metrics.image_steps == 1 and metrics.replaced_images == 0 and metrics.steps == 0
    assert metrics.rtf is None and metrics.image_busy_ns > 0 and metrics.image_step_p50_ns is not None


def test_probabilities_are_those_of_the_graph_and_the_temperature(bundle: Bundle) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (90, 130, 3), np.uint8)
    colours = (np.array(list(tiny_eye.COLOURS.values())) / 255 - tiny_eye.MEAN) / tiny_eye.STD
    mean = tiny_eye.seen(picture)[0].mean(axis=(1, 2))
    expected = tiny_eye.GAIN * (2 * colours @ mean - (colours**2).sum(axis=1))
    with bundle.session(posteriors=True) as session:
        session.push_image(picture, 0)
        assert session.step()
        logits, labels = session.events()
    assert isinstance(logits, Logits) and isinstance(labels, Labels)
    np.testing.assert_allclose(logits.values, expected, atol=0.05)
    scaled = logits.values / tiny_eye.TEMPERATURE
    probabilities = np.exp(scaled - scaled.max()) / np.exp(scaled - scaled.max()).sum()
    assert labels.confidence == pytest.approx(float(probabilities.max()), abs=1e-5)


def test_what_the_eye_does_not_know_has_no_labels(session: Session) -> None:
    event = look_at(session, np.full((30, 40, 3), 128, np.uint8))
    assert event.labels == ()
    assert 0 < event.confidence < tiny_eye.ACCEPT_PROBABILITY


def nv12_of(picture: Image) -> tuple[Image, Image]:
    """BT.601, limited range, chroma as the mean of its four pixels."""
    r, g, b = picture.astype(np.float64).transpose(2, 0, 1)
    y = 16 + 219 / 255 * (0.299 * r + 0.587 * g + 0.114 * b)
    u = 128 + 224 / 255 * (-0.168736 * r - 0.331264 * g + 0.5 * b)
    v = 128 + 224 / 255 * (0.5 * r - 0.418688 * g - 0.081312 * b)
    half = [c.reshape(c.shape[0] // 2, 2, c.shape[1] // 2, 2).mean(axis=(1, 3)) for c in (u, v)]
    uv = np.stack(half, axis=-1).reshape(y.shape[0] // 2, y.shape[1])
    return np.round(y).astype(np.uint8), np.round(uv).astype(np.uint8)


@pytest.mark.parametrize("colour", ["red", "blue", "yellow"])
def test_every_format_shows_the_same(colour: str, session: Session) -> None:
    picture = tiny_eye.draw(colour)
    y, uv = nv12_of(picture)
    expected = look_at(session, picture)
    assert look_at(session, picture, format="rgb8").labels == expected.labels
    reversed_channels = np.ascontiguousarray(picture[:, :, ::-1])
    for other in (
        look_at(session, reversed_channels, format="bgr8"),
        look_at(session, picture[::1, ::-1][:, ::-1]),
        look_at(session, (y, uv)),
        look_at(session, [y, uv.reshape(22, 30, 2)], format="nv12"),
        look_at(session, np.concatenate([y, uv]), format="nv12"),
    ):
        assert other.labels[0].name == colour
        assert other.confidence == pytest.approx(expected.confidence, abs=0.02)


def test_grey_is_grey_by_two_dimensions(session: Session) -> None:
    assert look_at(session, np.zeros((20, 30), np.uint8)).labels[0].name == "black"
    assert look_at(session, np.full((20, 30), 255, np.uint8), format="gray8").labels[0].name == "white"


def test_rows_with_something_between_are_not_copied_and_not_mixed() -> None:
    from galago.runtime.image_planes import describe_image

    wide = np.zeros((20, 50, 3), np.uint8)
    raw, planes = describe_image(wide[:, 7:40], None, 0)
    assert np.shares_memory(planes[0], wide)
    assert (raw.width, raw.height, raw.row_stride_bytes[0]) == (33, 20, 150)
    for strange in (wide[:, ::2], wide[::-1], wide[:, :, ::-1], np.broadcast_to(wide[:1], wide.shape)):
        raw, planes = describe_image(strange, None, 0)
        assert not np.shares_memory(planes[0], wide)
        assert raw.row_stride_bytes[0] == strange.shape[1] * 3


def test_a_part_of_an_image_is_seen_alone(session: Session) -> None:
    both = np.concatenate([tiny_eye.draw("green"), tiny_eye.draw("magenta")], axis=1)
    assert look_at(session, both[:, :60]).labels[0].name == "green"
    assert look_at(session, both[:, 60:]).labels[0].name == "magenta"


def test_without_a_time_it_is_now(session: Session) -> None:
    before = time.monotonic_ns()
    session.push_image(tiny_eye.draw("red"))
    (event,) = look(session)
    assert before <= event.begin_ns <= time.monotonic_ns()


def test_the_newest_image_wins(session: Session) -> None:
    for i, colour in enumerate(["red", "green", "blue"]):
        session.push_image(tiny_eye.draw(colour), i)
    (event,) = look(session)
    assert event.labels[0].name == "blue"
    assert session.metrics().replaced_images == 2


PICTURE = np.zeros((4, 6, 3), np.uint8)
PLANE = np.zeros((4, 6), np.uint8)


@pytest.mark.parametrize(
    ("image", "options", "named"),
    [
        ([[1, 2], [3, 4]], {}, "numpy array, found list"),
        (b"abc", {}, "numpy array, found bytes"),
        (None, {}, "numpy array, found NoneType"),
        (PICTURE.astype(np.float32), {}, "expected uint8, found float32"),
        (np.zeros((4, 6, 4), np.uint8), {}, r"rgb8 has the shape \(height, width, 3\), found \(4, 6, 4\)"),
        (np.zeros(12, np.uint8), {}, r"found \(12,\)"),
        (np.zeros((2, 4, 6, 3), np.uint8), {}, r"found \(2, 4, 6, 3\)"),
        (PICTURE, {"format": "gray8"}, "gray8 has the shape"),
        (PLANE, {"format": "bgr8"}, "bgr8 has the shape"),
        (PICTURE, {"format": "rgba8"}, "expected one of rgb8, bgr8, gray8, nv12, found 'rgba8'"),
        (np.zeros((0, 6, 3), np.uint8), {}, "holds no pixel"),
        (np.zeros((4, 0), np.uint8), {}, "holds no pixel"),
        (np.zeros((4, 8193), np.uint8), {}, "above 8192"),
        (np.zeros((8193, 1, 3), np.uint8), {}, "above 8192"),
        (PICTURE, {"format": "nv12"}, "nv12 has the shape"),
        (np.zeros((5, 6), np.uint8), {"format": "nv12"}, "nv12 has the shape"),
        (np.zeros((9, 5), np.uint8), {"format": "nv12"}, "even sides"),
        ((PLANE, PLANE), {}, "half as many rows"),
        ((PLANE, PLANE[:2, :4]), {}, "half as many rows"),
        ((np.zeros((3, 6), np.uint8), PLANE[:1]), {}, "even sides"),
        ((PLANE, PLANE[:2], PLANE[:2]), {"format": "nv12"}, "two planes"),
        (PICTURE, {"capture_ns": -1}, "capture_ns"),
        (PICTURE, {"capture_ns": 2**63}, "capture_ns"),
        (PICTURE, {"capture_ns": 2**62 + 1}, "capture_ns"),
    ],
)
def test_wrong_images_are_refused_by_name(
    image: Any, options: dict[str, Any], named: str, session: Session
) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        session.push_image(image, **options)
    assert not session.step()


class NewerImage(ctypes.Structure):
    """What a header of next year might pass: the struct has grown at its end."""

    _fields_ = [*abi.Image._fields_, ("unheard_of", ctypes.c_uint64)]


def test_a_newer_struct_is_taken_and_a_smaller_one_refused(session: Session) -> None:
    picture = tiny_eye.draw("red")
    raw = NewerImage(
        struct_size=ctypes.sizeof(NewerImage), format=abi.RGB8, width=60, height=44, unheard_of=7
    )
    raw.planes[0] = picture.__array_interface__["data"][0]
    pointer = ctypes.cast(ctypes.byref(raw), ctypes.POINTER(abi.Image))
    push = abi.library().galago_session_push_image
    assert push(session._open_handle(), pointer) == abi.OK
    assert look(session)[0].labels[0].name == "red"
    for size in (0, 4, ctypes.sizeof(abi.Image) - 1):
        raw.struct_size = size
        assert push(session._open_handle(), pointer) == abi.E_INVALID_ARGUMENT
        assert b"struct_size" in abi.library().galago_last_error()
    assert push(session._open_handle(), None) == abi.E_INVALID_ARGUMENT
    assert push(None, pointer) == abi.E_INVALID_ARGUMENT


def test_an_eye_alone_does_not_hear(session: Session) -> None:
    assert session.info.sample_rate_hz == 0 and session.info.chunk_ms == 0
    assert (session.info.image_width, session.info.image_height) == (tiny_eye.WIDTH, tiny_eye.HEIGHT)
    for hear in (
        lambda: session.push_audio(np.zeros(160, np.float32)),
        lambda: session.transcribe(np.zeros(160, np.float32)),
        lambda: session.set_phrases(None),
        lambda: session.set_hotwords(["lamp"]),
    ):
        with pytest.raises(UnsupportedError, match="ear"):
            hear()


def test_an_ear_alone_does_not_see(tiny_bundle: Path) -> None:
    with Bundle(tiny_bundle) as bundle, bundle.session() as session:
        assert session.info.image_width == 0
        with pytest.raises(UnsupportedError, match="eye"):
            session.push_image(PICTURE)


def test_both_hear_and_see_in_one_session(tiny_both_bundle: Path) -> None:
    samples = synthesise(["turn", "on"])
    with Bundle(tiny_both_bundle) as bundle, bundle.session() as session:
        assert bundle.metadata("open.target") == bundle.metadata("open.ear.target") == "openvino-f32-chunk8"
        assert bundle.metadata("open.eye.target") == "openvino-f32-eye"
        heard = []
        for begin in range(0, len(samples), 5120):
            session.push_audio(samples[begin : begin + 5120])
            session.push_image(tiny_eye.draw("blue"), begin * 62_500)
            while session.step():
                heard += list(session.events())
        session.end_input()
        while session.step():
            heard += list(session.events())
        heard += list(session.events())
        assert session.finished
    assert [event.text for event in heard if isinstance(event, galago.Final)] == ["turn on"]
    labels = [event for event in heard if isinstance(event, Labels)]
    assert len(labels) == -(-len(samples) // 5120)
    assert all(event.labels[0].name == "blue" for event in labels)


def test_a_worker_sees_beside_another_thread(bundle: Bundle) -> None:
    with bundle.session(worker=True) as session:
        for i in range(20):
            session.push_image(tiny_eye.draw("red"), i)
            assert session.wait(20)
            assert isinstance(session.next_event(), Labels)
        session.end_input()
        with pytest.raises(InvalidStateError, match="end_input"):
            session.push_image(PICTURE)
        while not session.finished:
            session.wait(20)


def test_after_close_an_image_is_refused(bundle: Bundle) -> None:
    session = bundle.session()
    session.close()
    with pytest.raises(InvalidStateError, match="closed"):
        session.push_image(PICTURE)


# -- the bundle ----------------------------------------------------------------------------------------


def test_the_golden_image_is_replayed(tiny_both_bundle: Path) -> None:
    results = verify_golden(tiny_both_bundle)
    assert [result.role for result in results] == ["ear", "eye"]
    assert all(result.passed for result in results)
    assert results[1].text == results[1].expected_text == "red"
    assert results[1].max_abs_difference is not None and results[1].max_abs_difference < 0.05


def changed(source: Path, folder: Path, change: Any) -> Path:
    shutil.copytree(source, folder)
    document = json.loads((folder / "manifest.json").read_text())
    change(folder, document)
    write_manifest(folder, document)
    return folder


def test_an_eye_that_computes_something_else_is_found(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    def recolour(folder: Path, _document: dict[str, Any]) -> None:
        (folder / "golden/image.rgb8").write_bytes(tiny_eye.draw("green").tobytes())

    (result,) = verify_golden(changed(tiny_eye_bundle, tmp_path / "b", recolour))
    assert not result.passed and result.text == "green"


def test_a_golden_image_of_another_size_is_corrupt(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    def widen(_folder: Path, document: dict[str, Any]) -> None:
        document["golden"][0]["width"] = 61

    with pytest.raises(CorruptError, match="image.rgb8"):
        verify_golden(changed(tiny_eye_bundle, tmp_path / "b", widen))


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"type": "detector"}, UnsupportedError, "roles.eye.type"),
        ({"labels": [{"name": "a"}, {"name": "a"}]}, CorruptError, "each name once"),
        ({"labels": [{"name": "a"}, {"name": ""}]}, CorruptError, r"labels\[1\].name"),
        ({"labels": []}, CorruptError, "two labels"),
        ({"targets": []}, CorruptError, "one target"),
        ({"temperature": 0}, CorruptError, "temperature"),
        ({"accept_probability": 1.1}, CorruptError, "accept_probability"),
        ({"smoothing_half_life_ms": -1}, CorruptError, "smoothing_half_life_ms"),
        ({"image": {"width": 0}}, CorruptError, "roles.eye.image"),
    ],
)
def test_a_wrong_eye_is_refused_by_its_key(
    change: dict[str, Any], error: type[Exception], named: str, tiny_eye_bundle: Path, tmp_path: Path
) -> None:
    def apply(_folder: Path, document: dict[str, Any]) -> None:
        document["roles"]["eye"] |= change

    with pytest.raises(error, match=named):
        Bundle(changed(tiny_eye_bundle, tmp_path / "b", apply))


def test_a_graph_of_another_size_is_corrupt(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    def widen(_folder: Path, document: dict[str, Any]) -> None:
        document["roles"]["eye"]["image"]["width"] = 25

    with pytest.raises(CorruptError, match=r"\[1, 3, 16, 24\], manifest.json leads to \[1, 3, 16, 25\]"):
        Bundle(changed(tiny_eye_bundle, tmp_path / "b", widen))


def test_roles_that_a_reader_does_not_know_are_ignored(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    def add(_folder: Path, document: dict[str, Any]) -> None:
        document["roles"]["nose"] = {"type": "smell"}
        document["golden"].append({"role": "nose", "anything": 1})

    folder = changed(tiny_eye_bundle, tmp_path / "b", add)
    with Bundle(folder) as bundle:
        assert bundle.manifest.roles == ("eye", "nose")
    assert len(verify_golden(folder)) == 1


def test_a_bundle_of_unknown_roles_alone_is_unsupported(tiny_eye_bundle: Path, tmp_path: Path) -> None:
    def rename(_folder: Path, document: dict[str, Any]) -> None:
        document["roles"] = {"nose": {"type": "smell"}}
        document["golden"] = []

    with pytest.raises(UnsupportedError, match="no role that this build can run"):
        Bundle(changed(tiny_eye_bundle, tmp_path / "b", rename))


def test_smoothing_and_acceptance_are_the_bundles(tmp_path: Path, native_library: Path) -> None:
    folder = make_tiny_bundle(tmp_path / "b", ear=False, eye=True)
    document = json.loads((folder / "manifest.json").read_text())
    document["roles"]["eye"] |= {"smoothing_half_life_ms": 0, "accept_probability": 0.0}
    write_manifest(folder, document)
    with Bundle(folder) as bundle, bundle.session() as session:
        session.push_image(tiny_eye.draw("red"), 0)
        session.step()
        session.push_image(np.full((8, 8), 128, np.uint8), 1_000)
        last = look(session)[-1]
        assert last.labels and last.labels[0].name != "red"

"""Speed of the eye on one thread, and of the same weights elsewhere, one image at a time, in one run.

From the RGB bytes of a camera's frame to the best label: galago through its public Python API (native crop,
scaling and normalising, engine, smoothing), the peers as a Python program would do it (Pillow, numpy, the
engine, softmax). All take turns image by image, so that a slow moment of the machine meets each of them, and
the ratios are those of the medians. Time is taken twice around each image: on the wall, and as CPU time of
the whole process, which a busy machine disturbs less.

    python -m benchmarks.eye_speed --checkpoint RUN/model.pt --bundle BUNDLE

The peers' weights are the checkpoint's: the one that the bundle was packed from.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import galago
from benchmarks import common, onnx_peer
from benchmarks.image_scaling import draw
from galago.runtime.bundle_folder import find_bundle
from galago.runtime.manifest_eye import Eye, EyeImage

NUM_WARM_UP = 20
NUM_CALIBRATION_IMAGES = 64
#: galago has to be this many times as fast, image path included.
BARS = {"openvino-fp32": 2.0, "onnxruntime-int8": 1.5}

Frame = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]
Look = Callable[[Frame], str]  # (height, width, 3) RGB -> the best label


@dataclass
class Timed:
    """Times of the images of one eye, and what it saw."""

    look: Look
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def step(self, frame: Frame) -> None:
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        label = self.look(frame)
        self.cpu_ms.append((time.process_time_ns() - cpu_ns) / 1e6)
        self.wall_ms.append((time.perf_counter_ns() - wall_ns) / 1e6)
        self.labels.append(label)

    def numbers(self) -> dict[str, Any]:
        return {
            "image_wall_ms": common.percentiles(self.wall_ms),
            "image_cpu_ms": common.percentiles(self.cpu_ms),
            "num_images": len(self.wall_ms),
        }


class GalagoEye:
    """galago: an image in, its events out. Smoothing is undone by a new session time for each image."""

    def __init__(self, session: galago.Session) -> None:
        self._session = session
        self._capture_ns = 0

    def __call__(self, frame: Frame) -> str:
        session = self._session
        self._capture_ns += 10_000_000_000  # a gap after which smoothing begins anew
        session.push_image(frame, self._capture_ns)
        while session.step():
            pass
        found = [event for event in session.events() if isinstance(event, galago.Labels)]
        return found[-1].labels[0].name if found and found[-1].labels else ""

    def numbers(self, num_images: int) -> dict[str, Any]:
        """The core's own account: busy time, and the engine's part of it."""
        metrics = self._session.metrics()
        return {
            "busy_ms_per_image": round(metrics.busy_ns / 1e6 / max(num_images, 1), 4),
            "engine_ms_per_image": round(metrics.engine_ns / 1e6 / max(num_images, 1), 4),
        }


def by_pillow(image: EyeImage, frame: Frame) -> Values:
    """(1, 3, height, width), normalised, as the network wants it."""
    from PIL import Image

    height, width = frame.shape[:2]
    scaled = Image.fromarray(frame).resize(
        (image.width, image.height), Image.Resampling.BILINEAR, box=image.crop(width, height)
    )
    values = np.asarray(scaled, np.float32)
    mean, std = np.array(image.mean, np.float32), np.array(image.std, np.float32)
    values *= 1 / (255 * std)  # in place: two passes over the image and no copies
    values -= mean / std
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def answer(eye: Eye, logits: Values) -> str:
    """The best label of logits (num_labels,), or nothing."""
    scores = np.exp((logits - logits.max()) / np.float32(eye.temperature))
    best = int(logits.argmax())
    return eye.labels[best].name if scores[best] / scores.sum() >= eye.accept_probability else ""


def openvino_eye(eye: Eye, graph: Path, threads: int) -> Look:
    import openvino

    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.Core().compile_model(graph, "CPU", options).create_infer_request()

    def look(frame: Frame) -> str:
        request.infer({"image": by_pillow(eye.image, frame)}, share_inputs=True)
        return answer(eye, request.get_output_tensor().data[0])

    return look


def onnxruntime_eye(eye: Eye, graph: Path, threads: int) -> Look:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def look(frame: Frame) -> str:
        return answer(eye, session.run(["logits"], {"image": by_pillow(eye.image, frame)})[0][0])

    return look


def peer_graphs(checkpoint: Path, eye: Eye, folder: Path) -> dict[str, Path]:
    """The checkpoint's graphs for the peers. Ranges are those of drawn pictures: times do not ask for more.

    They are the network as it is written, with BatchNorm folded; ``rewritten`` is the float graph that galago
    packs, of convolutions only. Static quantisation is what ONNX Runtime documents for a CPU; dynamic
    is beside it because a peer is to be measured at its best.
    """
    from galago.models.training.eye.trainer import load_eye
    from galago.quantize.eye.export import export_onnx

    names = ("fp32", "rewritten", "int8", "int8-rewritten", "int8-dynamic")
    paths = {name: folder / f"{name}.onnx" for name in names}
    network, _ = load_eye(checkpoint)
    if (network.config.width, network.config.height) != (eye.image.width, eye.image.height):
        raise SystemExit(f"{checkpoint}: sees images of another size than the bundle's eye")
    export_onnx(network, paths["fp32"], as_written=True)
    export_onnx(network, paths["rewritten"])

    def feeds() -> Iterator[dict[str, Values]]:
        rng = np.random.default_rng(1)
        for _ in range(NUM_CALIBRATION_IMAGES):
            shift = rng.integers(0, 255)
            yield {"image": by_pillow(eye.image, draw("rgb8", 320, 240) + np.uint8(shift))}

    print("quantising for ONNX Runtime ...", file=sys.stderr, flush=True)
    onnx_peer.quantise_static(paths["fp32"], paths["int8"], feeds())
    onnx_peer.quantise_static(paths["rewritten"], paths["int8-rewritten"], feeds())
    onnx_peer.quantise_dynamic(paths["fp32"], paths["int8-dynamic"])
    return paths


def fp32_bundle(folder: Path, graph: Path, into: Path) -> Path:
    """A copy of a bundle with nothing but its eye, whose graph is the fp32 one at ``graph``."""
    import openvino

    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (into / "eye").mkdir(parents=True)
    openvino.save_model(openvino.convert_model(graph), into / "eye/fp32.xml", compress_to_fp16=False)
    eye = manifest["roles"]["eye"]
    target = {**eye["targets"][0], "name": "openvino-fp32", "dtype": "f32"}
    eye["targets"] = [target | {"model": "eye/fp32.xml", "weights": "eye/fp32.bin"}]
    files = {f"eye/{path.name}": path.read_bytes() for path in (into / "eye").iterdir()}
    entries = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
        for name, data in files.items()
    }
    document = manifest | {"roles": {"eye": eye}, "golden": [], "files": entries}
    (into / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    return into


def compare(eyes: dict[str, Look], frames: list[Frame]) -> dict[str, Timed]:
    """All eyes look at each frame, one after the other."""
    timed = {name: Timed(look) for name, look in eyes.items()}
    for look in eyes.values():
        for frame in frames[:NUM_WARM_UP]:
            look(frame)
    for frame in common.progress(frames, "images"):
        for times in timed.values():
            times.step(frame)
    return timed


def ratios(timed: dict[str, Timed]) -> dict[str, Any]:
    """The numbers of the row; each peer's medians over galago's."""
    numbers: dict[str, Any] = {name: times.numbers() for name, times in timed.items()}
    own = numbers["galago"]
    for name, found in numbers.items():
        if name == "galago":
            continue
        for clock in ("wall", "cpu"):
            medians = found[f"image_{clock}_ms"]["p50"], own[f"image_{clock}_ms"]["p50"]
            found[f"ratio_{clock}"] = round(medians[0] / medians[1], 2)
        same = [a == b for a, b in zip(timed["galago"].labels, timed[name].labels, strict=True)]
        found["same_label_percent"] = round(100.0 * sum(same) / len(same), 1)
        if name in BARS:
            found["bar"] = BARS[name]
    return numbers


def table_of(numbers: dict[str, Any]) -> str:
    """Eyes one below the other, ratios against galago."""
    lines = []
    for name, found in numbers.items():
        times = [*found["image_wall_ms"].values(), found["image_cpu_ms"]["p50"]]
        lines.append(
            [name, *times, found.get("ratio_wall", 1.0), found.get("ratio_cpu", 1.0), found.get("bar", "")]
        )
    return common.table(["", "p50 ms", "p95 ms", "p99 ms", "p50 CPU ms", "ratio", "ratio CPU", "bar"], lines)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="model.pt that the eye was packed from"
    )
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--threads", type=int, default=1, help="threads of each engine")
    args = parser.parse_args()
    folder = find_bundle(args.bundle if args.bundle is not None else "default")
    width, height = args.size
    picture = draw("rgb8", width, height)
    frames = [np.roll(picture, 7 * i, axis=1) for i in range(args.images)]
    with tempfile.TemporaryDirectory() as scratch, galago.open(folder, num_threads=args.threads) as bundle:
        eye = bundle.manifest.eye
        if eye is None:
            raise SystemExit(f"{folder}: the bundle has no eye")
        graphs = peer_graphs(args.checkpoint, eye, Path(scratch))
        exact = fp32_bundle(folder, graphs["rewritten"], Path(scratch) / "bundle")
        with galago.open(exact, num_threads=args.threads) as fp32, bundle.session() as session:
            with fp32.session() as fp32_session:
                own = GalagoEye(session)
                timed = compare(
                    {
                        "galago": own,
                        "galago-fp32": GalagoEye(fp32_session),
                        "openvino-fp32": openvino_eye(eye, graphs["fp32"], args.threads),
                        "openvino-fp32-rewritten": openvino_eye(eye, graphs["rewritten"], args.threads),
                        "onnxruntime-int8": onnxruntime_eye(eye, graphs["int8"], args.threads),
                        "onnxruntime-int8-rewritten": onnxruntime_eye(
                            eye, graphs["int8-rewritten"], args.threads
                        ),
                        "onnxruntime-int8-dynamic": onnxruntime_eye(
                            eye, graphs["int8-dynamic"], args.threads
                        ),
                        "onnxruntime-fp32": onnxruntime_eye(eye, graphs["fp32"], args.threads),
                    },
                    frames,
                )
                numbers = ratios(timed)
                numbers["galago"] |= own.numbers(len(frames) + min(NUM_WARM_UP, len(frames)))
        target = bundle.metadata("open.eye.target")
    row = common.make_row(
        "eye_speed",
        numbers,
        variant=f"{target}-{eye.image.width}x{eye.image.height}-{args.threads}thread",
        bundle=folder,
        target=target,
        threads=args.threads,
        warm_up=f"{NUM_WARM_UP} images of each",
        settings={"images": args.images, "frame": f"rgb8-{width}x{height}"},
    )
    print(table_of(numbers))
    common.finish([row], args)


if __name__ == "__main__":
    main()

"""Make recipes that are made in seconds: coloured photos for an eye, tones for an ear."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.house.repository import ROOT
from tests.models.training.ear.tone_corpus import tone_clip
from tests.models.training.eye.color_album import COLORS, photo_bytes, write_tar

_EYE = """
schema_version = 1
role = "eye"
name = "{name}"
{more}

[network]
preset = "device-3m"
height = 16
width = 16
window = 4
widths = [8]
depths = [1]
num_heads = [2]

[[albums]]
path = "colors.tar"
group = "color"

[augmentation]
hue_deg = 0.0

[schedule]
num_steps = {num_steps}
warmup_steps = 2
decay_steps = 4
peak_learning_rate = 0.01
batch_photos = 8
average_decay = 0.8
checkpoint_steps = 4
evaluate_steps = 8
stored_side = 24
"""
_EYE_PACK = """
schema_version = 1
role = "eye"
name = "tiny-eye"
version = "0.0.1"
description = "Sees colours."

[accuracy]
max_cost = 1.0

[calibration]
splits = ["train"]
num_samples = 8
num_held_out = 4
num_pictures_of_nothing = 2

[evaluation]
splits = ["dev-test"]
"""
_EYE_MAKE = """
schema_version = 1
name = "colors"
accept = ["size_bytes <= 1000000"]

[[train]]
recipe = "small.toml"
accept = ["dev_accuracy >= 0.0"]
measure = false

[[train]]
recipe = "larger.toml"

[[pack]]
run = "larger"
recipe = "eye.pack.toml"
accept = ["accuracy >= 0.0", "accuracy_loss <= 1.0"]
"""


def write_eye(folder: Path, *, num_steps: int = 12) -> Path:
    """An album and the recipes of two stages; returns the make recipe. Data is in ``folder / "data"``."""
    (folder / "data").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    files = {}
    for number in range(40):
        name, (coarse, color) = list(COLORS.items())[number % len(COLORS)]
        split = "train" if number < 24 else "val" if number < 32 else "dev-test"
        file = f"images/{number:03}.png"
        rows.append({"file": file, "split": split, "label": name, "coarse": coarse})
        files[file] = photo_bytes(color, number)
    write_tar(folder / "data" / "colors.tar", rows, files)
    (folder / "small.toml").write_text(_EYE.format(name="small", more="", num_steps=num_steps))
    begin = 'initial_weights = "runs/small/model.pt"'
    (folder / "larger.toml").write_text(_EYE.format(name="larger", more=begin, num_steps=num_steps))
    (folder / "eye.pack.toml").write_text(_EYE_PACK)
    (folder / "colors.make.toml").write_text(_EYE_MAKE)
    return folder / "colors.make.toml"


def command(recipe: Path, output: Path, *options: str) -> list[str]:
    """The command line of a make, on one thread, without times."""
    return [
        *(sys.executable, "-m", "galago.quantize.make.command", str(recipe), "-o", str(output)),
        *("--data-root", str(recipe.parent / "data"), "--threads", "1", "--num-workers", "0"),
        *("--no-step-times", *options),
    ]


def environment() -> dict[str, str]:
    """Of such a process: it finds galago as these tests did, and uses one core."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def make(recipe: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        command(recipe, output, *options), env=environment(), capture_output=True, text=True, check=False
    )


_EAR = """
schema_version = 1
name = "{name}"
{more}

[network]
preset = "3m"
width = 32
num_blocks = 2
num_heads = 2
phone_block = 1
kernel_tokens = 3
left_context_tokens = 8
subsampling_channels = [4, 8]

[[corpora]]
path = "tones/manifest.jsonl"

[augmentation] # none: CTC leaves its plateau sooner
level_dbfs = [-26.0, -24.0]
silence_probability = 0.0
noise_probability = 0.0
reverberation_probability = 0.0
concatenate_probability = 0.0
speed_factors = [1.0]
frequency_masks = 0
time_masks_per_s = 0.0
noise_only_share = 0.0

[loss] # no aligner knows these phones
phone_frames = 0.0
phone_ctc = 0.0
token_ctc = 1.0

[schedule]
num_steps = {num_steps}
warmup_steps = 10
decay_steps = {decay_steps}
clean_steps = 0
full_context_probability = 0.0
peak_learning_rate = 6e-3
batch_s = 12
chunk_tokens = [8]
average_decay = 0.95
checkpoint_steps = 100
evaluate_steps = 100
"""
_EAR_PACK = """
schema_version = 1
name = "tiny-ear"
version = "0.0.1"
description = "Hears tones."
languages = ["en-US"]
chunk_tokens = [8]

[accuracy]
max_cost = 1.0

[calibration]
corpora = ["tones"]
num_streams = 3
stream_s = 3.0
num_samples = 12
num_held_out = 4

[evaluation]
corpora = ["tones"]
clips_per_corpus = 8
"""
_EAR_MAKE = """
schema_version = 1
name = "tones"

[[train]]
recipe = "teacher.toml"
accept = ["dev_wer <= 0.5"]
measure = false

[[train]]
recipe = "student.toml"
accept = ["wer <= 0.5"]

[[pack]]
run = "student"
recipe = "ear.pack.toml"
accept = ["wer <= 0.5", "wer.tones <= 0.5", "wer_loss <= 0.2"]
"""


def write_ear(folder: Path) -> Path:
    """Clips of tones, a teacher, a student that goes on from it; returns the make recipe."""
    write_tones(folder / "data" / "tones")
    more = {
        "teacher": "",
        "student": """
initial_weights = "runs/teacher/model.pt"
[distillation]
teachers = ["runs/teacher/model.pt"]
tokens = 1.0
""",
    }
    for name, num_steps, decay_steps in (("teacher", 260, 100), ("student", 40, 30)):
        text = _EAR.format(name=name, more=more[name], num_steps=num_steps, decay_steps=decay_steps)
        (folder / f"{name}.toml").write_text(text)
    (folder / "ear.pack.toml").write_text(_EAR_PACK)
    (folder / "tones.make.toml").write_text(_EAR_MAKE)
    return folder / "tones.make.toml"


def write_tones(folder: Path, *, num_train: int = 48, num_dev: int = 8) -> None:
    """Clips of one to three words, each a chord of two tones, with a manifest."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    rows = []
    for number in range(num_train + num_dev):
        words = [str(word) for word in rng.choice(["up", "go"], size=rng.integers(1, 4))]
        clip = tone_clip(words, number)[0]
        # Half a second in which nobody speaks: the last chunk, padded with zeros, holds no word.
        pause = 20.0 * rng.standard_normal(8_000)
        samples = np.concatenate([clip, pause])
        samples *= 10 ** (-25 / 20) / np.sqrt(np.mean(samples**2))  # as loud as the recipes make them
        soundfile.write(folder / f"{number}.wav", samples, 16_000)
        split = "train" if number < num_train else "dev"
        rows.append({"file": f"{number}.wav", "text": " ".join(words), "split": split})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

"""`galago train`: from files to a model, errors as messages with exit code 2, Ctrl-C after a checkpoint."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import soundfile
import torch

from galago.models.training.command import main, run
from galago.models.training.ear.command import read_sentences
from galago.models.training.ear.corpus import CorpusError
from tests.models.training.ear.tone_corpus import tone_clip

RECIPE = """
schema_version = 1
name = "said"
[[corpora]]
path = "said/manifest.jsonl"
[network]
width = 16
num_blocks = 1
num_heads = 2
phone_block = 1
subsampling_channels = [2, 4]
left_context_tokens = 8
[augmentation]
reverberation_probability = 0.0
[schedule]
num_steps = 2
batch_s = 4
clean_steps = 0
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A JSONL manifest with four clips of tones, and a recipe."""
    folder = tmp_path / "data" / "said"
    folder.mkdir(parents=True)
    rows = []
    for number, word in enumerate(("up", "go", "it", "up")):
        soundfile.write(folder / f"{number}.wav", tone_clip([word], number)[0], 16_000)
        rows.append({"file": f"{number}.wav", "text": word, "split": "dev" if number == 3 else "train"})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "said.toml").write_text(RECIPE)
    return tmp_path


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def test_from_files_to_a_model(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed: nothing aligns")
    arguments = [
        str(data / "said.toml"),
        "--data-root",
        str(data / "data"),
        "--run-folder",
        str(data / "run"),
    ]
    assert run([*arguments, "--prepare-only", "--threads", "1"]) == 0
    assert (data / "corpora" / "said.pcm").is_file() and not (data / "run").exists()
    assert "4 clips" in capsys.readouterr().err
    assert run([*arguments, "--num-workers", "0"]) == 0
    said = capsys.readouterr().err
    assert "step 2 of 2" in said and "model.pt" in said
    assert (data / "run" / "model.pt").is_file()
    assert run([*arguments, "--num-workers", "0", "--num-steps", "3"]) == 0
    assert "step 3 of 3" in capsys.readouterr().err
    (data / "corpora" / "said.pcm").unlink()  # nothing is decoded for a run that is finished
    assert run([*arguments, "--num-workers", "0", "--num-steps", "3"]) == 0
    assert "all 3 steps are made" in capsys.readouterr().err
    assert not (data / "corpora" / "said.pcm").exists()


def test_what_is_wrong_is_said_in_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, root = data / "said.toml", data / "data"

    def said(expected: str, path: Path = recipe, **options: object) -> None:
        keywords = {"data_root": root, "run_folder": tmp_path / "run", **options}
        assert main(path, **keywords) == 2  # type: ignore[arg-type]  # each keyword is of its own type
        lines = capsys.readouterr().err.strip().splitlines()
        assert lines[-1].startswith("galago train: ") and expected in lines[-1] and "Traceback" not in lines

    said("No such file", tmp_path / "none.toml")
    said("no such corpus", data_root=tmp_path / "nowhere")
    said("at least 1, got 0", num_steps=0)
    said("cannot run with 0 threads", threads=0)
    said("cannot run with None threads and -1 workers", num_workers=-1)
    said("no device 'meta' here", device="meta")
    said("RuntimeError", device="toaster")
    if not torch.cuda.is_available():
        said("no device 'cuda' here", device="cuda")
    recipe.write_text('dictionary = "my.dict"\n' + RECIPE)
    said("my.dict: no such dictionary")
    recipe.write_text(RECIPE.replace("num_steps = 2", "num_steps = -2"))
    said("said.toml.schedule.num_steps: must be at least 1")


def test_sentences_of_a_file_and_of_a_member(tmp_path: Path) -> None:
    text = "LJ001|In 1455|In fourteen fifty five\nplain text\n\n"
    (tmp_path / "s.txt").write_text(text)
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        info = tarfile.TarInfo("in/s.txt")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    expected = ["In fourteen fifty five", "plain text"]
    assert read_sentences("s.txt", tmp_path) == read_sentences("s.tar:in/s.txt", tmp_path) == expected
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    for place, message in (
        ("none.txt", "No such file"),
        ("s.tar:none", r"s.tar: holds no none"),
        ("s.txt:none", r"s.txt: no readable tar"),
        ("latin.txt", r"is not UTF-8 \(byte 3\)"),
    ):
        with pytest.raises(CorpusError, match=message):
            read_sentences(place, tmp_path)

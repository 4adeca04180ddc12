"""Pseudo-labels: what a teacher is sure of becomes a corpus or an album, what it is not is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from galago.models.tokenizer import TOKENS, encode_words
from galago.models.training.distill.alignment import RowClock
from galago.models.training.distill.command import main
from galago.models.training.distill.pseudo_labels import Verdict, most_confident, write_pseudo_labels
from galago.models.training.ear.corpus import import_corpus
from galago.models.training.ear.pseudo_labels import SoundSettings, label_sound, transcript
from galago.models.training.ear.teachers import NetworkTeacher
from galago.models.training.ear.trainer import EarTask
from galago.models.training.eye.album import read_album
from galago.models.training.eye.batches import BatchMaker
from galago.models.training.eye.recipe import AlbumRecipe
from galago.models.training.eye.trainer import EyeTask
from galago.models.training.loop import Run
from galago.models.training.sources import CorpusError
from tests.models.training.ear import tone_corpus
from tests.models.training.eye.color_album import color_recipe, photo_bytes, write_color_album, write_tar


def rows_of(words: list[str], sure: float = 0.99) -> Tensor:
    """Scores (R, 29) that say these words, a blank behind each character."""
    path = [row for label in encode_words(words) for row in (label, 0)] or [0]
    probs = torch.full((len(path), len(TOKENS)), (1.0 - sure) / (len(TOKENS) - 1))
    probs[torch.arange(len(path)), torch.tensor(path)] = sure
    return probs.log()


class Parrot(NetworkTeacher):
    """Says what belongs to the length of a clip, in tenths of a second."""

    has_phones = False
    clock = RowClock(440, 640)

    def __init__(self, texts: dict[int, str], sure: float = 0.99) -> None:
        self.name, self.network, self.texts, self.sure = "parrot", nn.Identity(), texts, sure

    def _answers(self, samples: Tensor, num_samples: Tensor) -> tuple[Tensor, None, Tensor]:
        scores = rows_of(self.texts[int(num_samples[0]) // 1600].split(), self.sure)
        return scores[None], None, torch.tensor([len(scores)])


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "said"
    folder.mkdir()
    for tenths in (2, 3, 4, 40):
        soundfile.write(folder / f"{tenths}.wav", np.full(1600 * tenths, 0.1), 16_000)
    return folder


def test_a_text_is_as_sure_as_its_characters() -> None:
    text, confidence = transcript(rows_of(["go", "up"]))
    assert text == "go up" and confidence == pytest.approx(0.99, rel=1e-4)
    once = rows_of(["go"])
    once[2] = torch.log_softmax(torch.zeros(29).index_fill(0, torch.tensor([encode_words(["o"])[0]]), 3.4), 0)
    text, confidence = transcript(once)
    assert text == "go" and confidence == pytest.approx((0.99 * float(once[2].exp().max())) ** 0.5, rel=1e-4)
    assert transcript(rows_of([])) == ("", 0.0)


def test_what_is_kept_is_a_corpus(clips: Path, tmp_path: Path) -> None:
    texts = {2: "go up", 3: "", 4: "it", 40: "never heard"}
    verdicts = list(label_sound([Parrot(texts)], clips, SoundSettings(max_clip_s=1.0)))
    model = tmp_path / "teacher.pt"
    model.write_bytes(b"weights")
    report = write_pseudo_labels(verdicts, clips, tmp_path / "out", teachers=[model], settings={"a": 1})
    assert (report["num_files"], report["num_kept"]) == (4, 2)
    assert report["left_out"] == {"nothing said": 1, "too long": 1}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    corpus = import_corpus(tmp_path / "out" / "manifest.jsonl", tmp_path / "cache")
    assert [(clip.words, clip.split) for clip in corpus.clips] == [(["go", "up"], "train"), (["it"], "train")]
    assert corpus.name == "out" and corpus.clips[0].num_samples == 3200


def test_unsure_and_disputed_texts_are_left_out(clips: Path) -> None:
    texts = {2: "go up it", 3: "up", 4: "it", 40: "go"}
    other = Parrot({2: "go up", 3: "up", 4: "it", 40: "go"})
    unsure = list(label_sound([Parrot(texts, sure=0.6)], clips, SoundSettings()))
    assert {verdict.reason for verdict in unsure} == {"not sure"}
    disputed = {v.row["file"]: v.reason for v in label_sound([Parrot(texts), other], clips, SoundSettings())}
    assert disputed["2.wav"] == "teachers disagree" and disputed["3.wav"] == ""
    tolerant = SoundSettings(max_disagreement=0.4)
    assert all(v.label is not None for v in label_sound([Parrot(texts), other], clips, tolerant))


def verdict(label: str | None, confidence: float, file: str = "a.wav") -> Verdict:
    found = None if label is None else {"label": label}
    return Verdict({"file": file, "id": file}, b"", found, confidence)


def test_the_surest_of_each_label_are_kept() -> None:
    given = [verdict("a", 0.8), verdict("b", 0.9), verdict("a", 0.95), verdict(None, 0.0), verdict("a", 0.9)]
    kept = most_confident(given, "label", 2)
    assert [v.label is not None for v in kept] == [False, True, True, False, True]
    assert kept[0].reason == "enough of its label"


def test_nothing_left_is_an_error_and_writes_no_manifest(tmp_path: Path) -> None:
    refused = [Verdict({"file": "a.wav", "id": "a"}, b"", None, reason="not sure")] * 2
    with pytest.raises(CorpusError, match="nothing is left: 2 not sure"):
        write_pseudo_labels(refused, tmp_path, tmp_path / "out", teachers=[], settings={})
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["/etc/a.wav", "../a.wav", "b/../../a.wav"])
def test_a_tar_cannot_write_outside_of_the_output(name: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="leads out of the tar"):
        write_pseudo_labels(
            [verdict("a", 1.0, name)], tmp_path / "x.tar", tmp_path / "out", teachers=[], settings={}
        )


def run_eye(tar: Path, folder: Path, **schedule: Any) -> Path:
    run = Run(EyeTask(color_recipe(tar, **schedule), root=Path()), folder)
    run.train()
    return folder / "model.pt"


@pytest.fixture(scope="module")
def eye(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eye")
    tar = write_color_album(folder / "colors.tar")
    return run_eye(
        tar, folder / "run", num_steps=40, average_decay=0.5, checkpoint_steps=99, evaluate_steps=99
    )


def test_the_command_labels_photos_and_a_recipe_learns_from_them(
    eye: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reds and blues in a tar without labels; the album made of them joins the labelled one."""
    colors = {"red": (200, 40, 40), "blue": (40, 60, 200)}
    files = {f"{n}{i}.png": photo_bytes(c, 50 + i) for n, c in colors.items() for i in range(3)}
    tar = write_tar(tmp_path / "more.tar", [{"file": name} for name in files], files)
    output = tmp_path / "more"
    arguments = [str(tar), "--teacher", str(eye), "-o", str(output), "--min-confidence", "0.3"]
    assert main(arguments) == 0
    assert "of 6 files" in capsys.readouterr().out
    album = read_album(output / "manifest.jsonl", "color")
    right = [photo.id.startswith(photo.label.name) for photo in album.photos]
    assert len(right) >= 4 and all(right) and {p.label.coarse for p in album.photos} <= {"warm", "cold"}
    labelled = eye.parents[1] / "colors.tar"
    recipe = color_recipe(labelled)
    both = (*recipe.albums, AlbumRecipe(str(output / "manifest.jsonl"), "color"))
    data = BatchMaker(type(recipe)(**{**vars(recipe), "albums": both}), Path(), 16, 16)
    assert len(data.description.labels) == 4 and data.photos_per_epoch == 24 + len(right)
    assert main([*arguments, "--most-each", "1"]) == 0
    assert len(read_album(output / "manifest.jsonl", "color").photos) <= 2


def test_the_command_hears(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A teacher that has learned nothing is sure of nothing; its file is asked all the same."""
    from galago.models.training.ear.batches import BatchMaker as Utterances

    tone_corpus.write_tone_corpus(tmp_path)
    recipe = tone_corpus.tone_recipe()
    Run(EarTask(recipe, Utterances(recipe, tmp_path, tmp_path)), tmp_path / "run").save()
    clips = tmp_path / "clips"
    clips.mkdir()
    soundfile.write(clips / "a.wav", tone_corpus.tone_clip(["up"], 1)[0], 16_000)
    model = str(tmp_path / "run" / "model.pt")
    assert main([str(clips), "--teacher", model, "--teacher", model, "-o", str(tmp_path / "out")]) == 2
    assert "nothing is left: 1" in capsys.readouterr().err


def test_what_is_wrong_is_said_in_one_line(
    eye: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(expected: str, *arguments: str, source: Path = tmp_path) -> None:
        assert main([str(source), "-o", str(tmp_path / "out"), *arguments]) == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line.startswith("galago label: ") and expected in line

    said("no such corpus", "--teacher", str(eye), source=tmp_path / "nowhere")
    said("cannot be read", "--teacher", str(tmp_path / "none.pt"))
    said("knows no group 'animals' (known: color)", "--teacher", str(eye), "--group", "animals")
    said("nothing is left: it holds no file", "--teacher", str(eye))
    torch.save({"role": "voice"}, tmp_path / "voice.pt")
    said("cannot teach an ear", "--teacher", str(tmp_path / "voice.pt"))

"""Corpora: every way in gives the same clips; every fault is named; a copy knows what it was made from."""

from __future__ import annotations

import io
import json
import math
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from galago.models.training.ear.corpus import Corpus, CorpusError, CorpusWriter, decode, import_corpus

ROWS = [
    {"id": "a", "file": "audio/a.wav", "text": "Turn left.", "speaker": "ann", "split": "train", "age": 9},
    {"id": "b", "file": "audio/b.wav", "text": "room 101", "speaker": 7, "split": "dev", "label": "room"},
]


def wav(frequency_hz: float, *, rate_hz: int = 16_000, channels: int = 1, subtype: str = "PCM_16") -> bytes:
    t = np.arange(rate_hz // 4) / rate_hz
    tone = 0.5 * np.sin(2 * math.pi * frequency_hz * t)
    stream = io.BytesIO()
    soundfile.write(stream, np.stack([tone] * channels, axis=1), rate_hz, format="WAV", subtype=subtype)
    return stream.getvalue()


def files(rows: list[dict[str, Any]]) -> dict[str, bytes]:
    found = {str(row["file"]): wav(300.0 * (i + 1)) for i, row in enumerate(rows)}
    return {"manifest.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode(), **found}


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def write_folder(folder: Path, members: dict[str, bytes]) -> Path:
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def is_empty(cache: Path) -> bool:
    return not cache.exists() or not list(cache.iterdir())


def test_a_tar(tmp_path: Path) -> None:
    corpus = import_corpus(write_tar(tmp_path / "said.tar", files(ROWS)), tmp_path / "cache")
    first, second = corpus.clips
    assert (corpus.name, first.id, first.split, first.speaker, first.age) == ("said", "a", "train", "ann", 9)
    assert first.words == ["turn", "left"]
    assert (second.words, second.speaker, second.label) == (None, "7", "room")  # digits: no transcript
    assert corpus.split("dev") == [second]
    assert np.array_equal(corpus.pcm(second), decode(wav(600.0), "b.wav"))
    assert first.duration_s == 0.25


def test_a_tar_made_of_a_folder_has_its_names_behind_a_dot(tmp_path: Path) -> None:
    members = files(ROWS)
    last = {**{f"./{name}": data for name, data in members.items() if name != "manifest.jsonl"}}
    dotted = write_tar(tmp_path / "dotted.tar", {**last, "./manifest.jsonl": members["manifest.jsonl"]})
    plain = write_tar(tmp_path / "plain.tar", members)
    cache = tmp_path / "cache"
    assert import_corpus(dotted, cache).clips == import_corpus(plain, cache).clips


def test_a_jsonl_manifest_beside_its_files(tmp_path: Path) -> None:
    write_folder(tmp_path, files(ROWS))
    nemo = [{"audio_filepath": "audio/a.wav", "text": "one\u2028two"}]  # a line separator inside a text
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in nemo) + "\n\n"
    (tmp_path / "nemo.jsonl").write_text(text, encoding="utf-8")
    corpus = import_corpus(tmp_path / "nemo.jsonl", tmp_path / "cache")
    assert [(c.id, c.split, c.words) for c in corpus.clips] == [("audio/a.wav", "train", ["one", "two"])]


def test_a_folder_of_audio_with_texts(tmp_path: Path) -> None:
    root = write_folder(
        tmp_path / "mine",
        {"eve/x.wav": wav(200), "eve/x.txt": b"Hello", "bob/y.flac": wav(200), "notes.md": b""},
    )
    clips = import_corpus(root, tmp_path / "cache").clips
    assert [(c.id, c.speaker, c.words) for c in clips] == [
        ("bob/y.flac", "bob", None), ("eve/x.wav", "eve", ["hello"]),
    ]  # fmt: skip


def test_sounds_without_speech_have_no_words(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "events.tar", files(ROWS))
    assert [c.words for c in import_corpus(path, tmp_path / "cache", speech=False).clips] == [[], []]


@pytest.mark.parametrize(
    ("rate_hz", "channels", "subtype"),
    [(48_000, 1, "PCM_16"), (8_000, 2, "PCM_U8"), (16_000, 2, "FLOAT")],
)
def test_any_rate_and_channels_become_16_khz_mono(rate_hz: int, channels: int, subtype: str) -> None:
    pcm = decode(wav(440.0, rate_hz=rate_hz, channels=channels, subtype=subtype), "x.wav")
    assert pcm.dtype == np.int16 and abs(len(pcm) - 4000) <= 2
    reference = decode(wav(440.0), "y.wav")
    middle = slice(500, 3500)
    assert float(np.abs(pcm[middle].astype(float) - reference[middle]).max()) < 0.02 * 32768


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_samples_that_are_no_numbers_are_refused_by_name(value: float) -> None:
    samples = np.zeros(1000, dtype=np.float32)
    samples[700] = value
    stream = io.BytesIO()
    soundfile.write(stream, samples, 16_000, format="WAV", subtype="FLOAT")
    with pytest.raises(CorpusError, match="bad.wav: sample 700 is NaN or infinite"):
        decode(stream.getvalue(), "bad.wav")


def test_audio_without_samples_and_no_audio_are_refused() -> None:
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(0, dtype=np.float32), 16_000, format="WAV")
    with pytest.raises(CorpusError, match="empty.wav: holds no samples"):
        decode(stream.getvalue(), "empty.wav")
    with pytest.raises(CorpusError, match="text.wav: "):
        decode(b"this is no sound", "text.wav")


def without(members: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {key: value for key, value in members.items() if key != name}


GOOD = files(ROWS)
BAD_TARS = {
    "no manifest": (without(GOOD, "manifest.jsonl"), "holds no manifest.jsonl"),
    "missing member": (without(GOOD, "audio/b.wav"), r"manifest.jsonl:2: audio/b.wav is not in the tar"),
    "no JSON": (
        {**GOOD, "manifest.jsonl": GOOD["manifest.jsonl"] + b"{oops\n"},
        r"manifest.jsonl:3: no JSON",
    ),
    "no object": ({**GOOD, "manifest.jsonl": b"[1, 2]\n"}, r"manifest.jsonl:1: expected an object"),
    "no file": ({**GOOD, "manifest.jsonl": b'{"id": "a"}\n'}, r"manifest.jsonl:1: a line needs 'file'"),
    "text of no text": (
        {**GOOD, "manifest.jsonl": b'{"file": "a", "text": 5}\n'},
        r"jsonl:1: 'text' must be",
    ),
    "no UTF-8": ({**GOOD, "manifest.jsonl": b"\xff\xfe"}, r"manifest.jsonl: is not UTF-8 \(byte 0\)"),
    "empty": ({**GOOD, "manifest.jsonl": b"\n"}, "holds no clip"),
    "two of an id": (files([ROWS[0], {**ROWS[1], "id": "a"}]), "two clips have the id 'a'"),
    "a file named twice": (
        files([ROWS[0], {**ROWS[1], "file": "audio/a.wav"}]),
        r"jsonl:2: audio/a.wav is named",
    ),
    "broken audio": ({**GOOD, "audio/b.wav": b"RIFF"}, r"bad.tar:audio/b.wav: "),
}


@pytest.mark.parametrize("fault", list(BAD_TARS))
def test_a_bad_tar_is_refused_by_name_and_leaves_nothing(fault: str, tmp_path: Path) -> None:
    members, message = BAD_TARS[fault]
    cache = tmp_path / "cache"
    with pytest.raises(CorpusError, match=message):
        import_corpus(write_tar(tmp_path / "bad.tar", members), cache)
    assert is_empty(cache)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.95])
def test_a_truncated_tar_is_refused(keep: float, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "cut.tar", GOOD)
    path.write_bytes(path.read_bytes()[: int(keep * (2 * 512 + 2 * 8192))])
    with pytest.raises(CorpusError, match=r"cut\.tar"):
        import_corpus(path, tmp_path / "cache")
    assert is_empty(tmp_path / "cache")


def test_what_is_no_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"")
    (tmp_path / "x.jsonl").write_text('{"file": "gone.wav"}\n')
    for name, message in (
        ("x.zip", "neither"),
        ("y.tar", "no such corpus"),
        ("x.jsonl", r"x.jsonl:1: no file"),
    ):
        with pytest.raises(CorpusError, match=message):
            import_corpus(tmp_path / name, tmp_path / "cache")


def test_a_corpus_is_decoded_once(tmp_path: Path) -> None:
    path, cache = write_tar(tmp_path / "said.tar", GOOD), tmp_path / "cache"
    first = import_corpus(path, cache)
    made = (cache / "said.pcm").stat().st_mtime_ns
    path.rename(tmp_path / "moved.tar")
    assert import_corpus(tmp_path / "moved.tar", cache, name="said").clips == first.clips  # only moved
    assert import_corpus(tmp_path / "gone" / "said.tar", cache).clips == first.clips
    assert (cache / "said.pcm").stat().st_mtime_ns == made


def test_another_source_of_the_same_name_is_refused(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    import_corpus(write_tar(tmp_path / "said.tar", GOOD), cache)
    (tmp_path / "other").mkdir()
    other = write_tar(tmp_path / "other" / "said.tar", files([ROWS[0]]))
    with pytest.raises(CorpusError, match=r"other/said.tar differs in sha256: delete said.\* there"):
        import_corpus(other, cache)
    assert len(import_corpus(other, cache, name="other").clips) == 1
    with pytest.raises(CorpusError, match="differs in speech"):
        import_corpus(tmp_path / "said.tar", cache, speech=False)
    write_tar(tmp_path / "said.tar", {**GOOD, "more.txt": b"x" * 20_000})
    with pytest.raises(CorpusError, match="differs in size_bytes"):
        import_corpus(tmp_path / "said.tar", cache)


def test_a_folder_that_changed_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "mine", {"x.wav": wav(200), "x.txt": b"hello"})
    import_corpus(root, tmp_path / "cache")
    import_corpus(root, tmp_path / "cache")
    (root / "y.wav").write_bytes(wav(300))
    with pytest.raises(CorpusError, match="differs in size_bytes, sha256"):
        import_corpus(root, tmp_path / "cache")


def test_a_copy_without_a_record_is_taken_as_it_is(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    import_corpus(write_tar(tmp_path / "said.tar", GOOD), cache)
    (cache / "said.source.json").unlink()
    (tmp_path / "said.tar").unlink()
    assert len(import_corpus(write_tar(tmp_path / "said.tar", files([ROWS[0]])), cache).clips) == 2


def test_a_damaged_copy_is_refused(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    path = write_tar(tmp_path / "said.tar", GOOD)
    import_corpus(path, cache)
    index, pcm = cache / "said.jsonl", cache / "said.pcm"
    whole = pcm.read_bytes()
    pcm.write_bytes(whole[:-2])
    with pytest.raises(CorpusError, match="7999 samples, the index says 8000"):
        Corpus(cache, "said")
    pcm.write_bytes(whole)
    for text in ("", "nonsense\n", '{"id": "a"}\n'):
        index.write_text(text)
        with pytest.raises(CorpusError, match=r"said.jsonl:1: describes no clip"):
            Corpus(cache, "said")
    with pytest.raises(CorpusError, match="no corpus 'unsaid'"):
        Corpus(cache, "unsaid")
    (cache / "said.source.json").write_text("{")
    with pytest.raises(CorpusError, match=r"said.source.json: is damaged"):
        import_corpus(path, cache)


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the disk is on fire"), CorpusWriter(tmp_path, "half") as writer:
        writer.add(np.ones(10, dtype=np.int16), id="a", split="train", speaker=None, words=None)
        raise RuntimeError("the disk is on fire")
    assert is_empty(tmp_path)

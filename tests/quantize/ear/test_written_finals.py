"""An ear whose finals a decoder writes: its bundle, what the core makes of it, and a new second pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import galago
from galago.models.moonshine_ear import MoonshineEar
from galago.models.piece_writer import PieceWriter
from galago.models.pieces import END, Pieces
from galago.quantize import command
from galago.quantize.ear.network import load_ear
from galago.quantize.ear.oracle import Heard, Oracle
from galago.runtime.errors import CorruptError
from galago.runtime.golden import verify_golden
from galago.runtime.manifest import read_manifest
from tests.quantize.ear.test_decoder_file import NAMES
from tests.quantize.ear.test_second_pass import RECIPE, SECOND_PASS, larger, write_run
from tests.quantize.ear.tiny import noise, tiny_model

SHAPE: dict[str, Any] = {"width": 32, "feed_forward_width": 32, "decoder_blocks": 1, "num_pieces": len(NAMES)}
CONTEXT_TOKENS = 16  # that an utterance alone hears before it
# Random weights hear a voice in anything.
VOICE = """
[voice_activity]
start_probability = 0.001
stop_probability = 0.0
"""


def writing(seed: int) -> MoonshineEar:
    """A network that says something and comes to an end."""
    model = larger(**SHAPE)
    model.name_pieces(Pieces(NAMES))
    assert model.decoder is not None
    torch.manual_seed(seed)
    for parameter in model.decoder.parameters():
        parameter.data.copy_(parameter + 0.3 * torch.randn_like(parameter))
    model.decoder.embedding.weight.data[END] *= 2.0
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_run(folder / "small", "conformer", tiny_model())
    write_run(folder / "silent", "moonshine", larger())
    write_run(folder / "writing", "moonshine", writing(31))
    (folder / "ear.pack.toml").write_text(RECIPE + SECOND_PASS + VOICE)
    return folder


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    arguments = [str(folder / "small"), "-o", str(folder / "bundle")]
    arguments += ["--recipe", str(folder / "ear.pack.toml"), "--no-timing"]
    assert command.main([*arguments, "--second-pass", str(folder / "writing")]) == 0
    return folder / "bundle"


def finals(bundle: Path, samples: Any, **options: Any) -> list[galago.Final]:
    with galago.Bundle(bundle) as opened, opened.session(**options) as session:
        return [event for event in session.run(samples) if isinstance(event, galago.Final)]


def test_the_manifest_names_the_decoder_and_its_rows(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.ear is not None and manifest.ear.second_pass is not None
    second = manifest.ear.second_pass
    assert second.decoder == "ear/second-decoder.bin" and manifest.ear.decoder is None
    assert (second.targets[0].chunk_rows, second.targets[0].row_width) == (10, 32)
    assert manifest.ear.targets[0].chunk_rows == 0
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "A decoder writes it" in card and "64 pieces of words; its matrices in four bits" in card


def test_graphs_and_torch_have_the_same_rows(folder: Path, bundle: Path) -> None:
    model = load_ear(folder / "writing/model.pt")
    assert isinstance(model, MoonshineEar)
    oracle = Oracle(
        bundle / "ear/second-int8-chunk6.xml", weights=bundle / "ear/second-int8.bin", model=model
    )
    samples = noise(122 * 640 - 60)  # a third of the last chunk, the rest filled up
    heard = oracle.hear(samples)
    frames = torch.from_numpy(np.pad(samples, (0, 60)).reshape(1, -1, 640))
    with torch.no_grad():
        whole = model(frames, torch.tensor([frames.shape[1]]), chunk_tokens=6)
    assert heard.rows is not None and whole.rows is not None
    assert heard.rows.shape == (-(-122 * 5 // 3), 32)
    apart = np.abs(heard.rows - whole.rows[0].numpy()[: len(heard.rows)])
    assert float(np.median(apart)) < 0.05  # of numbers of about 1, in int8


def test_finals_are_written(folder: Path, bundle: Path, native_library: Path) -> None:
    """By the core as by torch from the same rows; words with times in order, and partials not stable."""
    samples = noise(16_000 * 3)
    (final,) = finals(bundle, samples)
    assert final.text and final.text == " ".join(word.text for word in final.words)
    assert all(0.0 <= word.confidence <= 1.0 for word in final.words)
    edges = [edge for word in final.words for edge in (word.begin_s, word.end_s)]
    assert edges == sorted(edges)
    assert finals(bundle, samples, greedy=True)[0].text == final.text
    assert finals(bundle, samples, beam=True)[0].text != final.text


def test_the_core_writes_chunk_by_chunk_as_torch_does(
    folder: Path, bundle: Path, native_library: Path
) -> None:
    """Of random weights, whose texts hang on a row's last bit: often the same, never that of one chunk."""
    oracle = Oracle(
        bundle / "ear/second-int8-chunk6.xml",
        weights=bundle / "ear/second-int8.bin",
        model=load_ear(folder / "writing/model.pt"),
    )
    num_same = 0
    for seed in range(10):
        samples = noise(16_000 * 3, seed=seed)
        heard = oracle.hear(samples)
        assert heard.text != heard._replace(chunk_tokens=None).text
        texts = [
            [final.text for final in finals(bundle, samples, partials=partials)] for partials in (True, False)
        ]
        assert texts[0] == texts[1]
        num_same += texts[0] == [heard.text]
    assert num_same >= 3


def written_in_parts(model: MoonshineEar, heard: Heard, num_tokens: int) -> list[str]:
    """Of utterances of ``num_tokens`` without a pause between them, each of which goes on from the last."""
    assert model.decoder is not None and heard.rows is not None and heard.chunk_tokens is not None
    writer, texts = PieceWriter(model.decoder, model.pieces), []
    for begin in range(0, len(heard.token_log_probs), num_tokens):
        end = begin + num_tokens
        if begin:
            writer.go_on(begin * 5 // 3, CONTEXT_TOKENS * 5 // 3)
        first_chunk_end = (begin // heard.chunk_tokens + 1) * heard.chunk_tokens
        for now in [*range(first_chunk_end, end, heard.chunk_tokens), end]:
            rows = torch.from_numpy(heard.rows[: model._rows_of(now)])
            tokens = torch.from_numpy(heard.token_log_probs[begin:now])
            text = writer.write(rows, tokens, model._max_pieces(now - begin))
            if now < end:
                writer.agree()
        texts.append(text)
    return texts


def test_an_utterance_goes_on_from_the_last_as_in_torch(
    folder: Path, bundle: Path, native_library: Path
) -> None:
    """Utterances that are cut at their greatest length have no pause between them."""
    model = load_ear(folder / "writing/model.pt")
    assert isinstance(model, MoonshineEar)
    oracle = Oracle(
        bundle / "ear/second-int8-chunk6.xml", weights=bundle / "ear/second-int8.bin", model=model
    )
    num_same, num_alone = 0, 0
    for seed in range(10):
        samples = noise(16_000 * 3, seed=seed)
        found = finals(bundle, samples, max_utterance_ms=1000)
        expected = written_in_parts(model, oracle.hear(samples), 25)
        for i in range(1, 3):
            alone = finals(bundle, samples[16_000 * i : 16_000 * (i + 1)], max_utterance_ms=1000)
            num_same += found[i].text == expected[i]
            num_alone += found[i].text == alone[0].text
    assert num_same >= 6 and num_same > num_alone


def test_a_new_stream_goes_on_from_nothing(bundle: Path, native_library: Path) -> None:
    samples = noise(16_000 * 2)
    with galago.Bundle(bundle) as opened, opened.session(max_utterance_ms=1000) as session:
        texts = [
            [event.text for event in session.run(samples) if isinstance(event, galago.Final)]
            for _ in range(2)
        ]
    assert texts[0] == texts[1] and len(texts[0]) >= 2


def test_what_partials_call_stable_stays(bundle: Path, native_library: Path) -> None:
    """Of chunks of 240 ms each is written, and what two of them agree on no later one changes."""
    samples = noise(16_000 * 6)
    with galago.Bundle(bundle) as opened, opened.session() as session:
        events = list(session.run(samples))
    texts = [event for event in events if isinstance(event, galago.Partial | galago.Final)]
    assert isinstance(texts[-1], galago.Final) and len(texts) > 5
    stable = ""
    for event in texts:
        assert event.text.startswith(stable)
        if isinstance(event, galago.Partial):
            assert event.stable_text.startswith(stable) and event.text.startswith(event.stable_text)
            stable = event.stable_text
            edges = [edge for word in event.words for edge in (word.begin_s, word.end_s)]
            assert edges == sorted(edges)
    assert stable


def test_hotwords_are_heard_by_characters(bundle: Path, native_library: Path) -> None:
    samples = noise(16_000 * 3)
    with galago.Bundle(bundle) as opened, opened.session() as session:
        session.set_hotwords(["abc"])
        texts = [event.text for event in session.run(samples) if isinstance(event, galago.Final)]
    assert texts != [final.text for final in finals(bundle, samples)]


def test_the_golden_vectors_hold(bundle: Path, native_library: Path) -> None:
    assert all(result.passed for result in verify_golden(bundle))


def test_a_damaged_decoder_is_named(folder: Path, bundle: Path, native_library: Path) -> None:
    broken = folder / "broken"
    shutil.copytree(bundle, broken, dirs_exist_ok=True)
    path = broken / "ear/second-decoder.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptError, match="ear/second-decoder.bin"):
        galago.Bundle(broken)


def test_a_bundle_gets_another_second_pass_and_keeps_the_rest(
    folder: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From one without a decoder to one with, and the first network's files are the same bytes."""
    changed = folder / "changed"
    arguments = ["--recipe", str(folder / "ear.pack.toml"), "--no-timing"]
    first = [str(folder / "small"), "-o", str(changed), "--second-pass", str(folder / "silent")]
    assert command.main([*first, *arguments]) == 0
    before = {p: (changed / p).read_bytes() for p in ("ear/int8.bin", "ear/int8-chunk4.xml")}
    second = ["--second-pass", str(folder / "writing"), "--into", str(changed)]
    assert command.main([*second, *arguments]) == 0
    assert all((changed / p).read_bytes() == data for p, data in before.items())
    document, expected = (json.loads((b / "manifest.json").read_text()) for b in (changed, bundle))
    assert document == expected
    assert (changed / "MODEL_CARD.md").read_text() == (bundle / "MODEL_CARD.md").read_text()
    capsys.readouterr()
    for wrong, complaint in (
        (["--second-pass", str(folder / "writing"), "-o", str(changed)], "no run is named"),
        (["--into", str(changed)], "no run is named"),
        (["--second-pass", str(folder / "nothing"), "--into", str(changed)], "no checkpoint"),
    ):
        assert command.main([*wrong, *arguments]) == 1
        assert complaint in capsys.readouterr().err

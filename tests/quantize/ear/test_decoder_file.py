"""The decoder's file, and that the native core writes of it what torch does."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from galago.models.piece_decoder import PieceDecoder, PieceDecoderConfig
from galago.models.pieces import END, Pieces
from galago.quantize.ear.decoder_file import decoder_bytes, matrix_bytes, write_decoder
from galago.quantize.export import ExportError
from tests.runtime.native_tools import find_tool, run_tool

NAMES = [
    *("<0>", "<1>", "<2>", "'"),
    *string.ascii_lowercase,
    *(f" {letter}" for letter in string.ascii_lowercase),
    *(" the", "the", "he", "in", "er", "an", "re", "on"),
]
CONFIG = PieceDecoderConfig(
    width=64, num_blocks=2, num_heads=4, feed_forward_width=96, rotary_width=14, num_pieces=len(NAMES)
)


def decoder(seed: int = 0, config: PieceDecoderConfig = CONFIG) -> PieceDecoder:
    """Random weights that write words: pieces differ, and the end comes sometimes."""
    torch.manual_seed(seed)
    model = PieceDecoder(config).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    model.embedding.weight.data[END] *= 2.5
    return model


def rows(num_rows: int, seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal((num_rows, CONFIG.width)).astype("<f4")


def test_a_matrix_lies_as_registers_want_it() -> None:
    weight = torch.zeros(16, 64)
    weight[3] = torch.arange(64.0) % 7 - 3
    data = matrix_bytes(weight)
    group = 32 + 256
    assert len(data) == 2 * group
    scale = np.frombuffer(data[:32], "<u2")[3].astype(np.uint32) << 16
    assert scale.view(np.float32) == torch.tensor(3 / 7).bfloat16().float()
    line_two = data[32 + 2 * 64 + 4 * 3 : 32 + 2 * 64 + 4 * 3 + 4]  # inputs 16 to 23 of output 3
    step = 3 / 7
    expected = [round(float(weight[3, 16 + i]) / step) + 8 for i in range(8)]
    assert [b & 15 for b in line_two] + [b >> 4 for b in line_two] == expected


def test_the_core_writes_what_torch_does(tmp_path: Path, native_library: Path) -> None:
    """Operands of eight bits instead of floats: nearly always the same piece, and the same confidence."""
    tool, compared, same, lengths = find_tool(native_library, "tool_pieces"), 0, 0, set()
    for seed in range(40):
        model, pieces = decoder(seed), Pieces(NAMES)
        size = write_decoder(tmp_path / "decoder.bin", model, pieces)
        assert size == (tmp_path / "decoder.bin").stat().st_size
        heard = rows(60 + seed, seed)
        options = {"model": tmp_path / "decoder.bin", "most-pieces": 10, "rows-per-call": 1 + seed}
        found = json.loads(run_tool(tool, heard, options))
        valid = torch.ones(1, len(heard), dtype=torch.bool)
        (written,) = model.greedy(torch.from_numpy(heard)[None], valid, 10)
        text = " ".join(pieces.decode(written.pieces).split())
        if not text or goes_round(written.pieces):
            continue
        lengths.add(len(written.pieces))
        compared += 1
        if found["text"] != text:
            continue
        same += 1
        said = float(np.exp(sum(written.log_probs)))
        confidence = float(np.prod([word["confidence"] for word in found["words"]]))
        assert [word["word"] for word in found["words"]] == text.split()
        assert confidence == pytest.approx(said, rel=0.25, abs=0.02)
    assert compared >= 6 and same >= 0.8 * compared and len(lengths) > 2


def goes_round(pieces: list[int]) -> bool:
    """Whether one piece comes four times in a row: the core then leaves three of them out."""
    return any(len(set(pieces[i : i + 4])) == 1 for i in range(len(pieces) - 3))


def test_the_core_goes_on_from_an_utterance_as_torch_does(tmp_path: Path, native_library: Path) -> None:
    """Behind its text, of the rows of both; and alone, of those that are its own."""
    tool, compared, same = find_tool(native_library, "tool_pieces"), 0, 0
    for seed in range(80):
        model, pieces, heard = decoder(seed), Pieces(NAMES), rows(70, seed)
        write_decoder(tmp_path / "decoder.bin", model, pieces)
        options = {"model": tmp_path / "decoder.bin", "most-pieces": 3, "go-on-from": 30, "rows-before": 25}
        found = json.loads(run_tool(tool, heard, options))
        first = greedy(model, heard[:30], 3)
        joined = greedy(model, heard, len(first) + 3, first)
        alone = greedy(model, heard[25:], 3)
        if not first or goes_round(joined) or goes_round(first + alone):
            continue
        compared += 2
        same += found["text"] == " ".join(pieces.decode(joined[len(first) :]).split())
        same += found["alone"] == " ".join(pieces.decode(alone).split())
    assert compared >= 20 and same >= 0.8 * compared


def greedy(model: PieceDecoder, heard: Any, most: int, prefix: Sequence[int] = ()) -> list[int]:
    """What torch writes; behind a prefix another word begins."""
    begins_word = torch.tensor([i == END or name[0] == " " for i, name in enumerate(NAMES)])
    (written,) = model.greedy(
        torch.from_numpy(heard)[None],
        torch.ones(1, len(heard), dtype=torch.bool),
        most,
        prefix=prefix,
        after_prefix=begins_word if prefix else None,
    )
    return written.pieces


def test_the_core_leaves_a_circle(tmp_path: Path, native_library: Path) -> None:
    """A decoder whose pieces all follow themselves would write to the end."""
    tool, num_left = find_tool(native_library, "tool_pieces"), 0
    for seed in range(40):
        model, pieces = decoder(seed), Pieces(NAMES)
        write_decoder(tmp_path / "decoder.bin", model, pieces)
        heard = rows(60 + seed, seed)
        written = greedy(model, heard, 10)
        if len(set(written)) != 1 or len(written) < 4 or written[0] <= END:
            continue
        found = json.loads(run_tool(tool, heard, {"model": tmp_path / "decoder.bin", "most-pieces": 10}))
        num_left += found["text"] == pieces.decode(written[:1])
    assert num_left >= 1


@pytest.mark.parametrize(
    ("at", "value", "complaint"),
    [
        (0, 0, "its first number is 0"),
        (4, 2, "version is 2"),
        (8, 40, "width is 40, no multiple of 32"),
        (16, 5, "width is 64, no multiple of 5"),
        (24, 7, "rotary width is 7, no multiple of 2"),
        (28, 8, "number of pieces is 8"),
        (36, 100, "names, expected"),
    ],
)
def test_a_damaged_file_is_refused_by_name(
    at: int, value: int, complaint: str, tmp_path: Path, native_library: Path
) -> None:
    data = bytearray(decoder_bytes(decoder(), Pieces(NAMES)))
    data[at : at + 4] = value.to_bytes(4, "little")
    (tmp_path / "decoder.bin").write_bytes(data)
    with pytest.raises(RuntimeError, match=f"the attention decoder: .*{complaint}"):
        run_tool(find_tool(native_library, "tool_pieces"), rows(9, 1), {"model": tmp_path / "decoder.bin"})


def test_a_cut_or_longer_file_and_numbers_that_are_none_are_refused(
    tmp_path: Path, native_library: Path
) -> None:
    path, tool = tmp_path / "decoder.bin", find_tool(native_library, "tool_pieces")
    data = decoder_bytes(decoder(), Pieces(NAMES))
    for size in (3, 30, 200, 5000, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(RuntimeError, match="the attention decoder: "):
            run_tool(tool, rows(9, 1), {"model": path})
    path.write_bytes(data + b"\0")
    with pytest.raises(RuntimeError, match="1 bytes too many"):
        run_tool(tool, rows(9, 1), {"model": path})
    path.write_bytes(data[:-4] + np.float32(np.nan).tobytes())
    with pytest.raises(RuntimeError, match="a number is not finite"):
        run_tool(tool, rows(9, 1), {"model": path})


def test_what_does_not_fit_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="17 x 32 is not made of blocks"):
        matrix_bytes(torch.zeros(17, 32))
    with pytest.raises(ExportError, match="not finite"):
        matrix_bytes(torch.full((16, 32), float("nan")))
    with pytest.raises(ExportError, match="line feed"):
        decoder_bytes(decoder(), Pieces([*NAMES[:-1], "a\nb"]))

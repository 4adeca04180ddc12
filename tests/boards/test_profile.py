"""What a machine is: found out on x86 and on Arm, and never guessed."""

from __future__ import annotations

import json

import pytest

from galago.boards import this_machine
from galago.boards.profile import parse_cpuinfo

X86 = (
    "processor\t: 0\nmodel name\t: AMD EPYC 9R14\nflags\t\t: fpu avx2 avx512_vnni\n\n"
    "processor\t: 1\nmodel name\t: other\n"
)
ARM = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd0b\n"


@pytest.mark.parametrize(
    ("text", "model", "flags"),
    [
        (X86, "AMD EPYC 9R14", frozenset({"fpu", "avx2", "avx512_vnni"})),
        (ARM, None, frozenset({"fp", "asimd", "asimddp"})),
        ("", None, frozenset()),
    ],
)
def test_cpuinfo_of_either_family(text: str, model: str | None, flags: frozenset[str]) -> None:
    assert parse_cpuinfo(text) == (model, flags)


def test_this_machine_is_described_for_a_json_row() -> None:
    board = this_machine()
    assert board.num_cores >= 1
    assert board.architecture in board.name
    assert json.loads(json.dumps(board.as_dict()))["num_cores"] == board.num_cores

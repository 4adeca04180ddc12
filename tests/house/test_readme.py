"""What the documents tell a reader to type, runs: Python and C programs, shell commands, manifests, links."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from galago.runtime import abi
from galago.runtime.manifest import parse_manifest
from tests.house.documents import Block, blocks, documents, links, shell_commands
from tests.house.repository import ROOT
from tests.house.test_packaging import project
from tests.make_tiny_bundle import make_tiny_bundle, synthesise

SENTENCE = "turn on the light"
#: Commands of the system that a document may name; what they do is not ours to check.
SYSTEM_COMMANDS = {
    "apt-get",
    "cd",
    "export",
    "git",
    "journalctl",
    "sudo",
    "systemctl",
    "arecord",
    "ffmpeg",
    "sox",
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader may have it: a clip, and the bundle "default" in case none ships yet."""
    import soundfile

    folder = tmp_path_factory.mktemp("reader")
    make_tiny_bundle(folder / "default")
    samples = synthesise(SENTENCE.split())
    soundfile.write(folder / "clip.wav", samples, 16000, subtype="FLOAT")
    samples.astype("<f4").tofile(folder / "samples.f32")
    (folder / "examples").symlink_to(ROOT / "examples")
    shutil.copy(ROOT / "examples" / "demo" / "home.yaml", folder / "home.yaml")
    return folder


def environment() -> dict[str, str]:
    """As a reader has it: galago can be imported, linked and, from C, told where the engine is."""
    engine = [str(path) for path in (abi.default_engine_path() or Path("/")).glob("libopenvino_c.so*")]
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LD_LIBRARY_PATH": str(abi.find_library().parent),
        "GALAGO_OPENVINO_LIBRARY": engine[0] if engine else "",
    }


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_blocks_run(block: Block, workplace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text],
        cwd=workplace,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", blocks("c"), ids=str)
def test_c_blocks_hear(block: Block, workplace: Path, tmp_path: Path) -> None:
    """Compiled as strictly as the core itself, linked against the built library, run on a known sentence."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler on this machine")
    source, program = tmp_path / "hear.c", tmp_path / "hear"
    source.write_text(block.text)
    include = ROOT / "galago" / "runtime" / "native" / "include"
    compiled = subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", str(source), f"-I{include}"]
        + [f"-L{abi.find_library().parent}", "-lgalago", "-o", str(program)],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert compiled.returncode == 0, compiled.stderr
    with open(workplace / "samples.f32", "rb") as samples:
        done = subprocess.run(
            [str(program), "default"],
            cwd=workplace,
            env=environment(),
            stdin=samples,
            capture_output=True,
            text=True,
            timeout=280,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{SENTENCE}\n"


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_shell_blocks_name_what_exists(block: Block) -> None:
    commands = list(shell_commands(block.text))
    assert commands, "an empty block"
    for words in commands:
        while words and re.fullmatch(r"\w+=.*", words[0]):
            words = words[1:]
        check_command(words)


def check_command(words: list[str]) -> None:
    """Fail if a reader who types this would be told that there is no such thing."""
    name, arguments = Path(words[0]).name, words[1:]
    if name == "galago":
        check_galago(arguments)
    elif name == "make":
        for target in [word for word in arguments if "=" not in word]:
            assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    elif name in {"pip", "pip3"}:
        known = set(project()["project"]["optional-dependencies"])
        for extras in re.findall(r"galago\[([\w,-]+)\]|^\.\[([\w,-]+)\]", " ".join(arguments)):
            assert set(",".join(filter(None, extras)).split(",")) <= known, words
    elif name in {"python", "python3"}:
        check_python(arguments)
    else:
        assert name in SYSTEM_COMMANDS, f"what is {name}?"


def check_python(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1]) is not None, arguments[1]
    else:
        assert (ROOT / arguments[0]).is_file(), arguments[0]


def check_galago(arguments: list[str]) -> None:
    """Parse a command line with the real parser, down to the last option, and run nothing."""
    import typer.main

    from galago.streaming.cli.app import app

    parser: Any = typer.main.get_command(app)
    rest = list(arguments)
    while hasattr(parser, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in parser.commands, f"galago has no command {rest[0]}"
        parser = parser.commands[rest.pop(0)]
    if "--help" not in rest and "--version" not in rest:
        parser.make_context("galago", rest)


def test_the_command_check_sees_what_is_wrong() -> None:
    for words in (
        ["make", "coffee"],
        ["galago", "sing"],
        ["pip", "install", "galago[brass]"],
        ["frobnicate"],
    ):
        with pytest.raises(AssertionError):
            check_command(words)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_blocks_are_json(block: Block) -> None:
    document = json.loads(block.text)
    if "schema_version" in document:
        assert parse_manifest(document).ear is not None


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_blocks_are_grammars(block: Block) -> None:
    from galago.runtime.language.grammar import compile_grammar

    assert compile_grammar(block.text).startswith(b"GGRM")


def test_every_block_says_its_language() -> None:
    known = {"sh", "python", "c", "json", "yaml", "text", ""}
    for block in [block for language in known for block in blocks(language)]:
        assert block.language or not re.search(r"[;{}]$|^\$ ", block.text, re.MULTILINE), (
            f"{block}: say the language"
        )


@pytest.mark.parametrize("name", sorted(documents()))
def test_links_lead_somewhere(name: str) -> None:
    missing = [
        target
        for target in links(documents()[name])
        if not re.match(r"\w+:|#", target)
        and not (ROOT / name).parent.joinpath(target.partition("#")[0]).exists()
    ]
    assert missing == []


def test_the_readme_opens_with_the_picture() -> None:
    opening = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n# ")[0]
    assert 'src="docs/picture.svg"' in opening


def test_the_picture_is_what_its_program_draws(tmp_path: Path) -> None:
    specification = importlib.util.spec_from_file_location("draw_picture", ROOT / "docs" / "draw_picture.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert module.picture() == (ROOT / "docs" / "picture.svg").read_text(encoding="utf-8")

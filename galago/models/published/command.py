"""``galago import FOLDER -o model.pt``: a published checkpoint becomes a galago model file.

Exit codes: 0 done, 2 the folder cannot be imported or the file cannot be written (the message says why).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from galago.models.checkpoint import IMPORTERS, StoredNetwork, import_folder, save_network
from galago.models.flops import count_parameters
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.options import DONE, WRONG

__all__ = ["main", "summary"]


def summary(stored: StoredNetwork) -> str:
    """One line: what came from what, how large it is, and what it answers with."""
    answers = [f", {len(stored.details[key])} {key}" for key in ("tokens", "labels") if key in stored.details]
    millions = count_parameters(stored.network) / 1e6
    return f"{stored.kind} of {stored.source['architecture']}, {millions:.1f} M parameters{''.join(answers)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line (by default this process's) and import; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="galago import",
        description="Turn a published checkpoint into a galago model file, key by key.",
        epilog=f"Architectures: {', '.join(IMPORTERS)}.",
    )
    parser.add_argument(
        "folder", type=Path, help="holds config.json, model.safetensors and, for speech, vocab.json"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file, for instance model.pt")
    parser.add_argument("--check", action="store_true", help="read everything and write nothing")
    options = parser.parse_args(arguments)
    try:
        stored = import_folder(options.folder)
        if not options.check:
            save_network(options.output, stored)
    except CheckpointError as error:
        print(f"galago import: {error}", file=sys.stderr)
        return WRONG
    except (OSError, RuntimeError) as error:  # a full disk, a network that memory cannot hold
        print(f"galago import: {type(error).__name__}: {error}", file=sys.stderr)
        return WRONG
    print(f"{options.folder} -> {'nothing written' if options.check else options.output}: {summary(stored)}")
    return DONE


if __name__ == "__main__":
    sys.exit(main())

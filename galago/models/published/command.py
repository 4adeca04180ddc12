"""``galago import PATH -o model.pt``: a published checkpoint becomes a galago model file.

Exit codes: 0 done, 2 it cannot be imported or the file cannot be written (the message says why).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from galago.models.checkpoint import IMPORTERS, StoredNetwork, import_file, import_folder, save_network
from galago.models.efficientnet_lite import EFFICIENTNET_LITE_PRESETS
from galago.models.flops import count_parameters
from galago.models.published.efficientnet_lite import installed_weights
from galago.models.published.moonshine import INSTALLED, installed_moonshine
from galago.models.training.checkpoints import CheckpointError
from galago.models.training.options import DONE, WRONG

__all__ = ["main", "summary"]


def summary(stored: StoredNetwork) -> str:
    """One line: what came from what, how large it is, and what it answers with."""
    answers = [
        f", {len(stored.details[key])} {key}"
        for key in ("tokens", "pieces", "labels")
        if key in stored.details
    ]
    millions = count_parameters(stored.network) / 1e6
    return f"{stored.kind} of {stored.source['architecture']}, {millions:.1f} M parameters{''.join(answers)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line (by default this process's) and import; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="galago import",
        description="Turn a published checkpoint into a galago model file, key by key.",
        epilog=f"Architectures: {', '.join(IMPORTERS)}, EfficientNet-Lite, Moonshine.",
    )
    parser.add_argument(
        "path",
        type=Path,
        help="a folder with config.json, model.safetensors and, for speech, vocab.json; the .pth of an "
        "EfficientNet-Lite, the encoder_model.ort or decoder_model_merged.ort of Moonshine tiny, or their "
        "names (efficientnet-lite0, moonshine-tiny, moonshine-tiny-decoder) where the packages are",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file, for instance model.pt")
    parser.add_argument("--check", action="store_true", help="read everything and write nothing")
    options = parser.parse_args(arguments)
    try:
        path = options.path
        if str(path) in EFFICIENTNET_LITE_PRESETS and not path.exists():
            path = installed_weights(str(path))
        elif str(path) in INSTALLED and not path.exists():
            path = installed_moonshine(str(path))
        stored = import_file(path) if path.is_file() else import_folder(path)
        if not options.check:
            save_network(options.output, stored)
    except CheckpointError as error:
        print(f"galago import: {error}", file=sys.stderr)
        return WRONG
    except (OSError, RuntimeError) as error:  # a full disk, a network that memory cannot hold
        print(f"galago import: {type(error).__name__}: {error}", file=sys.stderr)
        return WRONG
    print(f"{path} -> {'nothing written' if options.check else options.output}: {summary(stored)}")
    return DONE


if __name__ == "__main__":
    sys.exit(main())

"""The steps that have no command of their own: ``python -m galago.quantize.make.work JOB``, a JSON object.

It runs in the output folder, and all paths in the job are relative to that, or absolute.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galago.models.training.errors import TrainingError
from galago.quantize.calibration import CalibrationError
from galago.quantize.export import ExportError
from galago.runtime.errors import GalagoError

__all__ = ["main"]

_EXPECTED = (TrainingError, CalibrationError, ExportError, GalagoError, OSError)


def _import(job: Mapping[str, Any]) -> None:
    from galago.models.training.ear.corpus import import_corpus

    import_corpus(Path(job["path"]), Path(job["cache"]), name=job["name"], speech=job["speech"])


def _take(job: Mapping[str, Any]) -> None:
    """Weights that were made elsewhere stand where those of a run would; they are read once to be sure."""
    from galago.models.training.checkpoints import load

    source, output = Path(job["path"]), Path(job["output"])
    load(source)
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_suffix(".part")
    part.write_bytes(source.read_bytes())
    part.replace(output)


def _measure(job: Mapping[str, Any]) -> None:
    from galago.quantize.make.measure import measure

    output = Path(job["output"])
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_suffix(".part")
    part.write_text(json.dumps(measure(job), indent=1) + "\n", encoding="utf-8")
    part.replace(output)


def _pack(job: Mapping[str, Any]) -> None:
    from galago.quantize.make.assemble import assemble

    assemble([Path(path) for path in job["bundles"]], Path(job["output"]), header=job["header"])


_JOBS = {"import": _import, "take": _take, "measure": _measure, "pack": _pack}


def main() -> int:
    """Do the job of the command line; returns the exit code."""
    job = json.loads(sys.argv[1])
    try:
        _JOBS[job["do"]](job)
    except _EXPECTED as error:
        print(f"galago make: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m galago.models.training RECIPE`` is ``galago train RECIPE``."""

from __future__ import annotations

import sys

from galago.models.training.command import run

if __name__ == "__main__":
    sys.exit(run())

"""``python -m galago.quantize.make.child PARENT MODULE ...``: a program that dies with its parent.

Each step of ``galago make`` has a process of its own, so that it begins alike whatever was done before it. If
``galago make`` is killed, nothing may go on writing into the folders that its successor takes up.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

__all__ = ["die_with", "main"]

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def die_with(parent: int) -> None:
    """Have the kernel kill this process when process ``parent``, which started it, is gone.

    Linux only. Elsewhere the lock of the output folder, which this process has inherited, keeps a second
    ``galago make`` out until this one has ended.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the kernel was asked
        sys.exit(1)


def main() -> None:
    """Run the module that the command line names."""
    _, parent, module, *arguments = sys.argv
    die_with(int(parent))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

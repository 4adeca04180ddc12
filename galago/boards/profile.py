"""What a machine is, as far as it decides how fast a model runs on it.

Pure data: it imports nothing of galago, so that every layer may speak of boards.
"""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# The instruction sets that change which kernels an engine takes, as /proc/cpuinfo spells them.
_DECIDING_FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
)
_CPUINFO = Path("/proc/cpuinfo")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True, slots=True)
class BoardProfile:
    """One machine.  What could not be found out is None, never a guess."""

    name: str  # "x86_64 AMD EPYC 9R14"
    architecture: str  # "x86_64", "aarch64"
    cpu_model: str | None
    num_cores: int  # that this process may use
    memory_bytes: int | None
    instruction_sets: tuple[str, ...]  # those that matter to int8 and bf16
    governor: str | None  # of the first core's frequency
    operating_system: str

    def as_dict(self) -> dict[str, Any]:
        """For a JSON row of a benchmark."""
        return asdict(self)


def this_machine() -> BoardProfile:
    """Describe the machine that runs this process."""
    architecture = platform.machine()
    cpu_model, flags = parse_cpuinfo(_read(_CPUINFO) or "")
    cpu_model = cpu_model or _read(Path("/proc/device-tree/model"))
    return BoardProfile(
        name=f"{architecture} {cpu_model or 'unknown processor'}",
        architecture=architecture,
        cpu_model=cpu_model,
        num_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        instruction_sets=tuple(flag for flag in _DECIDING_FLAGS if flag in flags),
        governor=_read(_GOVERNOR),
        operating_system=platform.platform(),
    )


def parse_cpuinfo(text: str) -> tuple[str | None, frozenset[str]]:
    """(model name, flags) of the first processor in a /proc/cpuinfo; x86 and Arm spell them differently."""
    model: str | None = None
    flags: frozenset[str] = frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        key, value = key.strip().lower(), value.strip()
        if key == "model name" and model is None:
            model = value
        elif key in ("flags", "features") and not flags:
            flags = frozenset(value.split())
    return model, flags


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):  # a system that does not tell
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip("\0 \n") or None
    except OSError:  # not on this system
        return None

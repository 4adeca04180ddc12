"""The networks in PyTorch, and how they are trained (``training``): the workstation's half.

Importing this package loads nothing; a name loads its module, and torch with it, when it is first asked for.
The native library is never needed.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from galago.models.attention import RelativeAttention, attend
    from galago.models.conformer import PRESETS, Conformer, ConformerConfig, EarOutput, States
    from galago.models.features import LogMel, LogMelConfig
    from galago.models.patches import patchify
    from galago.models.tokenizer import PHONES, TOKENS, encode_phones, encode_words, greedy_text

__all__ = [
    "PHONES",
    "PRESETS",
    "TOKENS",
    "Conformer",
    "ConformerConfig",
    "EarOutput",
    "LogMel",
    "LogMelConfig",
    "RelativeAttention",
    "States",
    "attend",
    "encode_phones",
    "encode_words",
    "greedy_text",
    "patchify",
]

_MODULES = {
    "attention": ("RelativeAttention", "attend"),
    "conformer": ("PRESETS", "Conformer", "ConformerConfig", "EarOutput", "States"),
    "features": ("LogMel", "LogMelConfig"),
    "patches": ("patchify",),
    "tokenizer": ("PHONES", "TOKENS", "encode_phones", "encode_words", "greedy_text"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""The networks in PyTorch, and how they are trained (``training``): the workstation's half.

Importing this package loads nothing; a name loads its module, and torch with it, when it is first asked for.
The native library is never needed.
"""

from __future__ import annotations

import typing

from galago.models.doors import lazy_names as _lazy_names

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

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "attention": ("RelativeAttention", "attend"),
        "conformer": ("PRESETS", "Conformer", "ConformerConfig", "EarOutput", "States"),
        "features": ("LogMel", "LogMelConfig"),
        "patches": ("patchify",),
        "tokenizer": ("PHONES", "TOKENS", "encode_phones", "encode_words", "greedy_text"),
    },
)

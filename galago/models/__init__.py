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
    from galago.models.flops import count_multiply_adds, count_parameters
    from galago.models.patches import patchify
    from galago.models.swin import SWIN_PRESETS, Swin, SwinConfig
    from galago.models.tokenizer import PHONES, TOKENS, encode_phones, encode_words, greedy_text
    from galago.models.vit import VIT_PRESETS, Vit, VitConfig

__all__ = [
    "PHONES",
    "PRESETS",
    "SWIN_PRESETS",
    "TOKENS",
    "VIT_PRESETS",
    "Conformer",
    "ConformerConfig",
    "EarOutput",
    "LogMel",
    "LogMelConfig",
    "RelativeAttention",
    "States",
    "Swin",
    "SwinConfig",
    "Vit",
    "VitConfig",
    "attend",
    "count_multiply_adds",
    "count_parameters",
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
        "flops": ("count_multiply_adds", "count_parameters"),
        "patches": ("patchify",),
        "swin": ("SWIN_PRESETS", "Swin", "SwinConfig"),
        "tokenizer": ("PHONES", "TOKENS", "encode_phones", "encode_words", "greedy_text"),
        "vit": ("VIT_PRESETS", "Vit", "VitConfig"),
    },
)

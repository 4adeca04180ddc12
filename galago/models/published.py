"""Weights that others published, under the names of our networks.

Each function takes the state of a class of Hugging Face's transformers, as its 5th version names things or
as the files from before do, and returns what our network's ``load_state_dict`` takes. Query, key and value,
which stand apart there, are stacked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["swin_state", "vit_state"]

#: (pattern, replacement), tried in this order: names from before the 5th version are brought to those of it.
_OLDER = (
    (r"\.encoder\.layer\.(\d+)\.", r".layers.\1."),
    (r"\.attention\.self\.relative_position_bias_table$", ".attention.position_bias"),
    (r"\.attention\.(?:self|attention)\.(query|key|value)\.", r".attention.\1."),
    (r"\.attention\.q_proj\.", ".attention.query."),
    (r"\.attention\.k_proj\.", ".attention.key."),
    (r"\.attention\.v_proj\.", ".attention.value."),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
)
_SWIN = (
    (r"^embeddings\.patch_embeddings\.projection\.", "embedding.cut."),
    (r"^embeddings\.norm\.", "embedding.norm."),
    (r"^encoder\.layers\.(\d+)\.blocks\.(\d+)\.", r"stages.\1.\2."),
    (r"^encoder\.layers\.(\d+)\.downsample\.", r"merging.\1."),
    (r"\.attention\.relative_position_bias\.relative_position_bias_table$", ".attention.position_bias"),
    (r"\.attention\.o_proj\.", ".attention.out."),
    (r"\.layernorm_before\.", ".attention_norm."),
    (r"\.layernorm_after\.", ".feed_forward_norm."),
    (r"\.mlp\.fc1\.", ".expand."),
    (r"\.mlp\.fc2\.", ".project."),
    (r"^layernorm\.", "norm."),
    (r"^classifier\.", "head."),
)
_VIT = (
    (r"^embeddings\.patch_embeddings\.projection\.", "embedding."),
    (r"^embeddings\.position_embeddings$", "positions"),
    (r"^layers\.(\d+)\.attention\.o_proj\.", r"blocks.\1.out."),
    (r"^layers\.(\d+)\.attention\.(query|key|value)\.", r"blocks.\1.\2."),
    (r"^layers\.(\d+)\.layernorm_before\.", r"blocks.\1.attention_norm."),
    (r"^layers\.(\d+)\.layernorm_after\.", r"blocks.\1.feed_forward_norm."),
    (r"^layers\.(\d+)\.mlp\.fc1\.", r"blocks.\1.expand."),
    (r"^layers\.(\d+)\.mlp\.fc2\.", r"blocks.\1.project."),
    (r"^layernorm\.", "norm."),
    (r"^(?:cls_)?classifier\.", "head."),
    (r"^distillation_classifier\.", "distillation_head."),
)
_TOKENS = ("embeddings.cls_token", "embeddings.distillation_token")
_UNUSED = (
    "relative_position_index",
    "pooler.dense.weight",
    "pooler.dense.bias",
)  # constants; a head of its own


def _renamed(
    published: Mapping[str, Tensor], prefixes: tuple[str, ...], rules: tuple[tuple[str, str], ...]
) -> dict[str, Tensor]:
    """The state under our names; query, key and value stacked as ``query_key_value``."""
    state: dict[str, Tensor] = {}
    for published_name, value in published.items():
        if published_name.endswith(_UNUSED):
            continue
        name = published_name
        for pattern, replacement in _OLDER:
            name = re.sub(pattern, replacement, name)
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        state[name] = value
    for name in [name for name in state if re.search(r"\.query\.(weight|bias)$", name)]:
        parts = [state.pop(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
        state[name.replace(".query.", ".query_key_value.")] = torch.cat(parts)
    return state


def swin_state(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of ``SwinForImageClassification`` for :class:`~galago.models.swin.Swin`.

    Raises:
        KeyError: a query without its key or value.
    """
    return _renamed(published, ("swin.",), _SWIN)


def vit_state(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of ``ViTForImageClassification`` or of ``DeiTForImageClassificationWithTeacher`` for
    :class:`~galago.models.vit.Vit`.

    Raises:
        KeyError: a query without its key or value, or no class token.
    """
    state = _renamed(published, ("vit.", "deit."), _VIT)
    tokens = [state.pop(_TOKENS[0])]
    if _TOKENS[1] in state:
        tokens.append(state.pop(_TOKENS[1]))
    state["tokens"] = torch.cat(tokens, dim=1)
    return state

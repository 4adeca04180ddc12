"""Public checkpoints in: a folder of Hugging Face's layout, or one file, to one galago model file.

    config.json, model.safetensors, vocab.json ──► import_folder ──► save_network ──► load_network

An import is key by key: a tensor that is missing, of another shape, or left over ends it with its name, and
nothing is written. ``galago import`` is its command line.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from galago.models.published.folder import read_folder
from galago.models.published.importer import Imported
from galago.models.training.checkpoints import CheckpointError, files_sha256, load, save_atomically

__all__ = [
    "IMPORTERS",
    "NETWORKS",
    "StoredNetwork",
    "import_file",
    "import_folder",
    "load_network",
    "save_network",
]

SCHEMA_VERSION = 1

#: Kind -> module, network and configuration; loaded when one is asked for.
NETWORKS: dict[str, tuple[str, str, str]] = {
    "ast": ("spectrogram_transformer", "AudioSpectrogramTransformer", "AstConfig"),
    "efficientnet-lite": ("efficientnet_lite", "EfficientNetLite", "EfficientNetLiteConfig"),
    "fast-conformer": ("fast_conformer", "FastConformer", "FastConformerConfig"),
    "fastspeech2-conformer": (
        "fastspeech2_conformer",
        "FastSpeech2Conformer",
        "FastSpeech2ConformerConfig",
    ),
    "fastspeech2-conformer-voice": (
        "fastspeech2_conformer",
        "FastSpeech2ConformerVoice",
        "FastSpeech2ConformerVoiceConfig",
    ),
    "hifi-gan": ("hifigan", "HifiGan", "HifiGanConfig"),
    "moonshine": ("moonshine", "MoonshineEncoder", "MoonshineConfig"),
    "piece-decoder": ("piece_decoder", "PieceDecoder", "PieceDecoderConfig"),
    "swin": ("swin", "Swin", "SwinConfig"),
    "vit": ("vit", "Vit", "VitConfig"),
    "wav2vec2": ("wav2vec2", "Wav2Vec2", "Wav2Vec2Config"),
    "wav2vec2-conformer": ("wav2vec2_conformer", "Wav2Vec2Conformer", "Wav2Vec2ConformerConfig"),
    "whisper-encoder": ("whisper", "WhisperEncoder", "WhisperConfig"),
}

#: The class that saved a folder -> module and function that import it.
IMPORTERS: dict[str, tuple[str, str]] = {
    "ASTForAudioClassification": ("sound", "import_ast"),
    "DeiTForImageClassificationWithTeacher": ("images", "import_vit"),
    "FastSpeech2ConformerHifiGan": ("voices", "import_hifigan"),
    "FastSpeech2ConformerModel": ("voices", "import_fastspeech2_conformer"),
    "FastSpeech2ConformerWithHifiGan": ("voices", "import_voice"),
    "HubertForCTC": ("wav2vec2", "import_wav2vec2"),
    "MoonshineForConditionalGeneration": ("moonshine", "import_moonshine"),
    "ParakeetForCTC": ("fast_conformer", "import_fast_conformer"),
    "SwinForImageClassification": ("images", "import_swin"),
    "ViTForImageClassification": ("images", "import_vit"),
    "Wav2Vec2ConformerForCTC": ("wav2vec2_conformer", "import_wav2vec2_conformer"),
    "Wav2Vec2ForCTC": ("wav2vec2", "import_wav2vec2"),
    "WhisperForConditionalGeneration": ("sound", "import_whisper"),
}


@dataclass(frozen=True)
class StoredNetwork:
    """A network as its file holds it.

    Attributes:
        kind: a key of :data:`NETWORKS`.
        network: in evaluation mode.
        details: tokens, labels and what else is needed to use it; see docs/importing.md.
        source: where it came from: ``architecture``, and ``sha256`` of the files by name.
    """

    kind: str
    network: nn.Module
    details: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)


def import_folder(folder: Path) -> StoredNetwork:
    """Read a published checkpoint.

    Args:
        folder: holds ``config.json``, ``model.safetensors`` or its parts, and what the architecture needs
            beside them (``vocab.json`` for a CTC head).

    Raises:
        CheckpointError: an architecture that galago does not know, a file that is missing or damaged, a
            setting that galago's network has not, or tensors that are missing, wrongly shaped or left over.
    """
    published = read_folder(folder)
    if published.architecture not in IMPORTERS:
        raise CheckpointError(
            f"{published.config.path}: architecture {published.architecture!r} cannot be imported; "
            f"known are {', '.join(IMPORTERS)}"
        )
    module, function = IMPORTERS[published.architecture]
    imported: Imported = getattr(importlib.import_module(f"galago.models.published.{module}"), function)(
        published
    )
    source = {"architecture": published.architecture, "sha256": dict(published.sha256)}
    return StoredNetwork(imported.kind, imported.network, imported.details, source)


def import_file(path: Path) -> StoredNetwork:
    """Read what packages hold as one file and no folder: an EfficientNet-Lite, a half of Moonshine (.ort).

    Raises:
        CheckpointError: as :func:`import_folder`.
    """
    if path.suffix == ".ort":
        from galago.models.published.moonshine import import_moonshine_graph

        architecture, imported = "Moonshine", import_moonshine_graph(path)
    else:
        from galago.models.published.efficientnet_lite import import_efficientnet_lite

        architecture, imported = "EfficientNet-Lite", import_efficientnet_lite(path)
    source = {"architecture": architecture, "sha256": {path.name: files_sha256([str(path)])[0]}}
    return StoredNetwork(imported.kind, imported.network, imported.details, source)


def save_network(path: Path, stored: StoredNetwork) -> None:
    """Write a galago model file, which :func:`load_network` reads, aside and renamed.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    config: Any = stored.network.config
    value = {
        "schema_version": SCHEMA_VERSION,
        "role": stored.kind,  # no packer packs it unheard: galago pack names what it packs
        "config": config.as_dict(),
        "details": json.dumps(dict(stored.details)),
        "source": json.dumps(dict(stored.source)),
        "model": stored.network.state_dict(),
    }
    save_atomically(value, path)


def load_network(path: Path) -> StoredNetwork:
    """Read a galago model file; nothing in it is run.

    Raises:
        CheckpointError: it is damaged, or holds no network that this version knows.
    """
    stored = load(path)
    kind = stored.get("role")
    if kind not in tuple(NETWORKS) or stored.get("schema_version") != SCHEMA_VERSION:
        raise CheckpointError(
            f"{path}: holds {kind!r} of schema {stored.get('schema_version')!r}; "
            f"known are {', '.join(NETWORKS)} of schema {SCHEMA_VERSION}"
        )
    module_name, network_name, config_name = NETWORKS[kind]
    module = importlib.import_module(f"galago.models.{module_name}")
    try:
        network: nn.Module = getattr(module, network_name)(getattr(module, config_name)(**stored["config"]))
        network.load_state_dict(stored["model"])
        details, source = json.loads(stored["details"]), json.loads(stored["source"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: holds no {kind} of this version: {error}") from error
    return StoredNetwork(kind, network.eval(), details, source)

"""The networks in PyTorch, and how they are trained (``training``): the workstation's half.

Importing this package loads nothing; a name loads its module, and torch with it, when it is first asked for.
The native library is never needed.
"""

from __future__ import annotations

import typing

from galago.models.doors import lazy_names as _lazy_names

if typing.TYPE_CHECKING:
    from galago.models.attention import RelativeAttention, attend
    from galago.models.checkpoint import StoredNetwork, import_file, import_folder, load_network, save_network
    from galago.models.conformer import PRESETS, Conformer, ConformerConfig
    from galago.models.ear import Ear, EarOutput, States
    from galago.models.efficientnet_lite import (
        EFFICIENTNET_LITE_PRESETS,
        EfficientNetLite,
        EfficientNetLiteConfig,
    )
    from galago.models.fastspeech import FASTSPEECH_PRESETS, FastSpeech, FastSpeechConfig
    from galago.models.features import LogMel, LogMelConfig
    from galago.models.flops import count_multiply_adds, count_parameters
    from galago.models.mfcc import Mfcc, MfccConfig
    from galago.models.moonshine import MOONSHINE_PRESETS, MoonshineConfig, MoonshineEncoder
    from galago.models.moonshine_ear import MOONSHINE_EAR_PRESETS, MoonshineEar, MoonshineEarConfig
    from galago.models.patches import patchify
    from galago.models.swin import SWIN_PRESETS, Swin, SwinConfig
    from galago.models.tokenizer import PHONES, TOKENS, encode_phones, encode_words, greedy_text
    from galago.models.transformer_tts import TRANSFORMER_TTS_PRESETS, TransformerTts, TransformerTtsConfig
    from galago.models.vit import VIT_PRESETS, Vit, VitConfig
    from galago.models.vocoder import VOCODER_PRESETS, Vocoder, VocoderConfig
    from galago.models.voice_graphs import FrameSpeaker, SentenceReader
    from galago.models.wav2vec2 import WAV2VEC2_PRESETS, Wav2Vec2, Wav2Vec2Config
    from galago.models.wav2vec2_ear import WAV2VEC2_EAR_PRESETS, Wav2Vec2Ear, Wav2Vec2EarConfig

__all__ = [
    "EFFICIENTNET_LITE_PRESETS",
    "FASTSPEECH_PRESETS",
    "MOONSHINE_EAR_PRESETS",
    "MOONSHINE_PRESETS",
    "PHONES",
    "PRESETS",
    "SWIN_PRESETS",
    "TOKENS",
    "TRANSFORMER_TTS_PRESETS",
    "VIT_PRESETS",
    "VOCODER_PRESETS",
    "WAV2VEC2_EAR_PRESETS",
    "WAV2VEC2_PRESETS",
    "Conformer",
    "ConformerConfig",
    "Ear",
    "EarOutput",
    "EfficientNetLite",
    "EfficientNetLiteConfig",
    "FastSpeech",
    "FastSpeechConfig",
    "FrameSpeaker",
    "LogMel",
    "LogMelConfig",
    "Mfcc",
    "MfccConfig",
    "MoonshineConfig",
    "MoonshineEar",
    "MoonshineEarConfig",
    "MoonshineEncoder",
    "RelativeAttention",
    "SentenceReader",
    "States",
    "StoredNetwork",
    "Swin",
    "SwinConfig",
    "TransformerTts",
    "TransformerTtsConfig",
    "Vit",
    "VitConfig",
    "Vocoder",
    "VocoderConfig",
    "Wav2Vec2",
    "Wav2Vec2Config",
    "Wav2Vec2Ear",
    "Wav2Vec2EarConfig",
    "attend",
    "count_multiply_adds",
    "count_parameters",
    "encode_phones",
    "encode_words",
    "greedy_text",
    "import_file",
    "import_folder",
    "load_network",
    "patchify",
    "save_network",
]

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "attention": ("RelativeAttention", "attend"),
        "checkpoint": ("StoredNetwork", "import_file", "import_folder", "load_network", "save_network"),
        "conformer": ("PRESETS", "Conformer", "ConformerConfig"),
        "ear": ("Ear", "EarOutput", "States"),
        "fastspeech": ("FASTSPEECH_PRESETS", "FastSpeech", "FastSpeechConfig"),
        "efficientnet_lite": ("EFFICIENTNET_LITE_PRESETS", "EfficientNetLite", "EfficientNetLiteConfig"),
        "features": ("LogMel", "LogMelConfig"),
        "flops": ("count_multiply_adds", "count_parameters"),
        "mfcc": ("Mfcc", "MfccConfig"),
        "moonshine": ("MOONSHINE_PRESETS", "MoonshineConfig", "MoonshineEncoder"),
        "moonshine_ear": ("MOONSHINE_EAR_PRESETS", "MoonshineEar", "MoonshineEarConfig"),
        "patches": ("patchify",),
        "swin": ("SWIN_PRESETS", "Swin", "SwinConfig"),
        "tokenizer": ("PHONES", "TOKENS", "encode_phones", "encode_words", "greedy_text"),
        "transformer_tts": ("TRANSFORMER_TTS_PRESETS", "TransformerTts", "TransformerTtsConfig"),
        "vit": ("VIT_PRESETS", "Vit", "VitConfig"),
        "vocoder": ("VOCODER_PRESETS", "Vocoder", "VocoderConfig"),
        "voice_graphs": ("FrameSpeaker", "SentenceReader"),
        "wav2vec2": ("WAV2VEC2_PRESETS", "Wav2Vec2", "Wav2Vec2Config"),
        "wav2vec2_ear": ("WAV2VEC2_EAR_PRESETS", "Wav2Vec2Ear", "Wav2Vec2EarConfig"),
    },
)

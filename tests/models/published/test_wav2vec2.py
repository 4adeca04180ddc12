"""wav2vec 2.0, HuBERT, wav2vec 2.0's Conformer: the numbers of transformers, from folders that it saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.checkpoint import import_folder, load_network, save_network
from galago.models.flops import count_parameters
from galago.models.full_conformer import FullConformerBlock, rotate
from galago.models.training.checkpoints import CheckpointError
from galago.models.wav2vec2 import Wav2Vec2
from galago.models.wav2vec2_conformer import WAV2VEC2_CONFORMER_PRESETS, Wav2Vec2Conformer
from tests.models.published.folders import TOKENS, change_json, make_published, write_json, write_vocabulary

TINY: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8, 6, 8),
    "conv_stride": (5, 2, 2),
    "conv_kernel": (10, 3, 2),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": len(TOKENS),
}
LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}


def published(folder: Path, kind: str, **changes: Any) -> Any:
    theirs = make_published(folder, kind, suffix="ForCTC", **{**TINY, **changes})
    write_vocabulary(folder)
    write_json(folder / "preprocessor_config.json", {"do_normalize": False, "sampling_rate": 16000})
    return theirs


def sounds() -> Tensor:
    return 0.3 * torch.randn(2, 1000, generator=torch.Generator().manual_seed(4))


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Wav2Vec2", {}),
        ("Wav2Vec2", {**LARGE, "num_conv_pos_embeddings": 7}),
        ("Hubert", {}),
        ("Hubert", {**LARGE, "conv_pos_batch_norm": True, "feat_proj_layer_norm": False}),
        ("Wav2Vec2Conformer", {**LARGE, "hidden_act": "swish"}),
        ("Wav2Vec2Conformer", {"position_embeddings_type": "rotary"}),
    ],
)
def test_the_same_numbers_as_transformers(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    theirs = published(tmp_path, kind, **changes)
    stored = import_folder(tmp_path)
    save_network(tmp_path / "model.pt", stored)
    again = load_network(tmp_path / "model.pt")
    expected = theirs(sounds()).logits
    for network in (stored.network, again.network):
        scores = network(sounds(), torch.tensor([1000, 1000]))
        assert scores.logits.shape == expected.shape
        assert float((scores.logits - expected).abs().max()) <= 1e-4
        assert scores.num_tokens.tolist() == [expected.shape[1]] * 2
    assert again.details == {"tokens": TOKENS, "blank": 0, "word_separator": "|"}
    assert again.source["architecture"] == f"{kind}ForCTC"
    assert set(again.source["sha256"]) == {"config.json", "model.safetensors"}


@torch.no_grad()
def test_hidden_states_and_features_are_theirs(tmp_path: Path) -> None:
    """What pre-training and distillation read: every block's output, and the rows that a quantizer sees."""
    theirs = published(tmp_path, "Wav2Vec2", **LARGE)
    network = import_folder(tmp_path).network
    assert isinstance(network, Wav2Vec2)
    mask = torch.zeros(2, 50, dtype=torch.bool)
    mask[:, 3:9] = True
    mask = mask[:, : theirs(sounds()).logits.shape[1]]
    expected = theirs.wav2vec2(sounds(), mask_time_indices=mask, output_hidden_states=True)
    encoded = network.encode(sounds(), torch.tensor([1000, 1000]), is_masked=mask)
    torch.testing.assert_close(encoded.features, expected.extract_features, atol=1e-4, rtol=0)
    torch.testing.assert_close(encoded.blocks[0], expected.hidden_states[1], atol=1e-4, rtol=0)
    torch.testing.assert_close(encoded.blocks[-1], expected.last_hidden_state, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["Wav2Vec2", "Wav2Vec2Conformer"])
def test_padding_is_heard_as_their_attention_mask_says(kind: str, tmp_path: Path) -> None:
    """Theirs lets padding into some convolutions; with layer norms and no padding behind it, both agree."""
    theirs = published(tmp_path, kind, **LARGE)
    network = import_folder(tmp_path).network
    samples = sounds()
    samples[1, 600:] = 0.0
    lengths = torch.tensor([1000, 600])
    scores = network(samples, lengths)
    alone = theirs(samples[1:, :600]).logits[0]
    assert int(scores.num_tokens[1]) == len(alone)
    torch.testing.assert_close(scores.logits[1, : len(alone)], alone, atol=1e-4, rtol=0)


def test_samples_are_normalised_unless_the_folder_says_no(tmp_path: Path) -> None:
    published(tmp_path, "Wav2Vec2")
    network = import_folder(tmp_path).network
    assert isinstance(network, Wav2Vec2) and not network.config.normalises_samples
    (tmp_path / "preprocessor_config.json").unlink()
    network = import_folder(tmp_path).network
    assert isinstance(network, Wav2Vec2) and network.config.normalises_samples


@torch.no_grad()
def test_names_of_the_weight_norm_from_before_torch_2_are_known(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    theirs = published(tmp_path, "Wav2Vec2")
    new, old = "pos_conv_embed.conv.parametrizations.weight.original", "pos_conv_embed.conv.weight_"
    tensors = load_file(tmp_path / "model.safetensors")
    renamed = {
        name.replace(f"{new}0", f"{old}g").replace(f"{new}1", f"{old}v"): t for name, t in tensors.items()
    }
    assert set(renamed) != set(tensors)
    save_file(renamed, tmp_path / "model.safetensors")
    found = import_folder(tmp_path).network(sounds(), torch.tensor([1000, 1000])).logits
    torch.testing.assert_close(found, theirs(sounds()).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "relu"}, 'hidden_act is "relu"; galago knows "gelu"'),
        ({"add_adapter": True}, "add_adapter is true; galago knows false"),
        ({"hidden_size": "16"}, "hidden_size must be int, got '16'"),
        ({"num_attention_heads": 3}, "width 16 must be a multiple of num_heads 3"),
        ({"conv_dim": [8, 6.5, 8]}, "conv_dim must be whole numbers"),
        ({"pad_token_id": 9}, "pad_token_id 9 is outside the 5 tokens"),
    ],
)
def test_settings_that_galago_has_not_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    published(tmp_path, "Wav2Vec2")
    change_json(tmp_path / "config.json", **changes)
    with pytest.raises(CheckpointError, match=message):
        import_folder(tmp_path)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ({"a": 0, "b": 1, "c": 2, "d": 3}, "no token is 4, and the head has 5"),
        ({"a": 0, "b": 1, "c": 2, "d": 3, "e": 5}, "'e' is 5, outside the 5 of the head"),
        ({"a": 0, "b": 1, "c": 2, "d": 3, "e": 3}, "'e' and 'd' are both 3"),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_refused(
    tokens: dict[str, int], message: str, tmp_path: Path
) -> None:
    published(tmp_path, "Wav2Vec2")
    write_json(tmp_path / "vocab.json", tokens)
    with pytest.raises(CheckpointError, match=message):
        import_folder(tmp_path)
    (tmp_path / "vocab.json").unlink()
    with pytest.raises(CheckpointError, match="vocab.json: no such file"):
        import_folder(tmp_path)


def test_another_sample_rate_is_refused(tmp_path: Path) -> None:
    published(tmp_path, "Wav2Vec2")
    change_json(tmp_path / "preprocessor_config.json", sampling_rate=8000)
    with pytest.raises(CheckpointError, match="sampling_rate is 8000; galago knows 16000"):
        import_folder(tmp_path)


def test_the_conformer_is_as_big_as_published() -> None:
    """The published 618 M and 593 M count a convolution of positions that the network never uses."""
    for preset, millions in (("large-relative", 609.7), ("large-rotary", 584.5)):
        with torch.device("meta"):
            model = Wav2Vec2Conformer(WAV2VEC2_CONFORMER_PRESETS[preset])
        assert count_parameters(model) / 1e6 == pytest.approx(millions, rel=2e-3)


def test_rotation_keeps_lengths_and_knows_distances_only() -> None:
    x = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(2)).expand(1, 12, 8)
    turned = rotate(x, 2)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    products = turned[0] @ turned[0].T
    torch.testing.assert_close(products[2, 5], products[6, 9])
    assert not torch.allclose(products[2, 5], products[2, 9], atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel_tokens": 4}, "kernels must be odd, got 4 and 1"),
        ({"positions": "learned"}, "positions must be relative or rotary"),
        ({"activation": "tanh"}, "activation must be one of gelu, relu, swish"),
    ],
)
def test_a_block_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FullConformerBlock(8, 2, 16, **{"kernel_tokens": 3, **changes})

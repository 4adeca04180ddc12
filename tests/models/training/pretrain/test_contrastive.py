"""wav2vec 2.0's pre-training: the losses of transformers, negatives from where they should be, learning."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.published.importer import TensorReader
from galago.models.published.wav2vec2 import read_network
from galago.models.training.pretrain.contrastive import (
    ContrastivePretraining,
    contrastive_loss,
    sample_negatives,
)
from galago.models.training.pretrain.quantizer import GumbelQuantizer
from galago.models.training.pretrain.spans import mask_spans
from galago.models.wav2vec2 import Wav2Vec2, Wav2Vec2Config

TINY = Wav2Vec2Config(
    width=16,
    num_blocks=2,
    num_heads=2,
    feed_forward_width=24,
    convolution_widths=(8, 8),
    convolution_kernels=(10, 3),
    convolution_strides=(5, 2),
    convolution_norm="layer",
    position_kernel_tokens=4,
    position_groups=4,
    position_lookahead_tokens=1,
    num_tokens=5,
)
QUANTIZER = {"num_codebooks": 2, "num_entries": 6, "code_width": 8, "projection_width": 10}


def ours(**changes: Any) -> ContrastivePretraining:
    torch.manual_seed(3)
    return ContrastivePretraining(Wav2Vec2(TINY), **{**QUANTIZER, **changes})


def samples(batch: int = 2) -> Tensor:
    return 0.3 * torch.randn(batch, 505, generator=torch.Generator().manual_seed(4))


def masked(num_tokens: int, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return mask_spans(
        torch.full((batch,), num_tokens), num_tokens, start_share=0.1, span_tokens=4, generator=generator
    )


def theirs() -> Any:
    transformers = pytest.importorskip("transformers")
    config = transformers.Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=(8, 8),
        conv_stride=(5, 2),
        conv_kernel=(10, 3),
        feat_extract_norm="layer",
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=4,
        num_codevector_groups=2,
        num_codevectors_per_group=6,
        codevector_dim=8,
        proj_codevector_dim=10,
        num_negatives=7,
        contrastive_logits_temperature=0.2,
        diversity_loss_weight=0.3,
        hidden_dropout=0.0,
        activation_dropout=0.0,
        attention_dropout=0.0,
        layerdrop=0.0,
    )
    torch.manual_seed(1)
    model = transformers.Wav2Vec2ForPreTraining(config)
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model


def filled(published: Any) -> ContrastivePretraining:
    """Ours with their weights, key by key."""
    model = ours(kappa=0.2, diversity=0.3)
    reader = TensorReader(published.state_dict(), "transformers")
    read_network(reader, "wav2vec2.", model.network)
    reader.module("quantizer.weight_proj", model.quantizer.scores)
    with torch.no_grad():
        model.quantizer.entries.copy_(reader.take("quantizer.codevectors", (1, 12, 4)).reshape(2, 6, 4))
    reader.modules("project_", {"hid": model.project_context, "q": model.project_codes})
    reader.finish()
    return model


@torch.no_grad()
def test_losses_are_those_of_transformers() -> None:
    published = theirs().eval()
    model = filled(published).eval()
    num_tokens = int(model.network.encoder.num_rows(torch.tensor(505)))
    mask = masked(num_tokens)
    negatives = sample_negatives(mask, 7, torch.Generator().manual_seed(6))
    flat = negatives + num_tokens * torch.arange(2)[:, None, None]  # theirs count through the batch
    expected = published(samples(), mask_time_indices=mask, sampled_negative_indices=flat)
    found = model(samples(), torch.tensor([505, 505]), mask, negatives)
    assert int(found.num_masked) == int(mask.sum()) > 20
    for ours_, wanted in (
        (found.total, expected.loss),
        (found.contrastive, expected.contrastive_loss),
        (found.diversity, expected.diversity_loss),
        (found.perplexity, expected.codevector_perplexity),
    ):
        assert float(ours_ / found.num_masked) == pytest.approx(float(wanted / mask.sum()), abs=1e-4)


def test_the_perplexity_of_training_is_that_of_transformers() -> None:
    """That of the mean softmax over masked tokens, which the diversity loss pushes up."""
    published = theirs().train()
    model = filled(published).train()
    features = torch.randn(2, 30, 8, generator=torch.Generator().manual_seed(2))
    mask = masked(30)
    expected = published.quantizer(features, mask_time_indices=mask)[1]
    found = model.quantizer(features, mask)
    torch.testing.assert_close(found.perplexity, expected, atol=1e-4, rtol=0)
    assert 1.0 < float(found.perplexity.detach()) <= 12.0


def test_a_drawn_code_is_one_entry_of_each_codebook_and_has_a_gradient() -> None:
    torch.manual_seed(1)
    quantizer = GumbelQuantizer(8, 2, 6, 8).train()
    features = torch.randn(1, 50, 8, requires_grad=True)
    drawn = quantizer(features, torch.ones(1, 50, dtype=torch.bool), temperature=1.0)
    picked = torch.cat([quantizer.entries[g][drawn.indices[..., g]] for g in range(2)], dim=-1)
    torch.testing.assert_close(drawn.codes, picked)
    drawn.codes.square().sum().backward()
    assert features.grad is not None and bool((features.grad.abs().sum(-1) > 0).all())
    again = quantizer(features, torch.ones(1, 50, dtype=torch.bool), temperature=1.0)
    assert not torch.equal(again.indices, drawn.indices)
    with pytest.raises(ValueError, match="code_width 9 is no multiple of 2 codebooks"):
        GumbelQuantizer(8, 2, 6, 9)


def test_negatives_are_other_masked_tokens_of_the_same_utterance() -> None:
    mask = masked(40)
    mask[1] = False
    mask[1, 7] = True
    found = sample_negatives(mask, 50, torch.Generator().manual_seed(1))
    times = mask[0].nonzero()[:, 0]
    for t in times.tolist():
        assert set(found[0, t].tolist()) <= set(times.tolist()) - {t}
    assert set(found[0, mask[0]].flatten().tolist()) == set(times.tolist())
    assert set(found[1, 7].tolist()) == {7}
    assert int(found[~mask].sum()) == 0


def test_a_negative_that_is_equal_to_the_true_code_is_left_out() -> None:
    codes = torch.ones(1, 3, 4)
    codes[0, 2] = torch.tensor([1.0, -1.0, 1.0, -1.0])
    mask = torch.tensor([[True, False, False]])
    alone = contrastive_loss(codes, codes, torch.tensor([[[2], [0], [0]]]), mask, kappa=0.5)
    beside = contrastive_loss(codes, codes, torch.tensor([[[2, 1], [0, 0], [0, 0]]]), mask, kappa=0.5)
    torch.testing.assert_close(alone[0], beside[0])
    # The cosines are 1 and 0.
    expected = torch.log(1.0 + torch.exp(torch.tensor((0.0 - 1.0) / 0.5)))
    torch.testing.assert_close(alone[0], expected)
    assert int(alone[1]) == 1


def test_a_batch_can_be_learned_by_heart() -> None:
    """With the best entries instead of drawn ones, so that nothing is left to chance."""
    model = ours().train()
    model.quantizer.eval()
    mask = masked(int(model.network.encoder.num_rows(torch.tensor(505))))
    negatives = sample_negatives(mask, 10, torch.Generator().manual_seed(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        found = model(samples(), torch.tensor([505, 505]), mask, negatives)
        loss = found.contrastive / found.num_masked
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]

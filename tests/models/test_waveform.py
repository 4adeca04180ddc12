"""``norm="all"``: tanh, then one mean and variance of all channels, over a whole or over what was heard."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.waveform import FeatureEncoder
from tests.models.test_wav2vec2 import speech

KERNELS, STRIDES = (9, 5, 2), (4, 3, 2)
STEP = 24


def encoder(horizon_tokens: int = 40) -> FeatureEncoder:
    torch.manual_seed(4)
    model = FeatureEncoder(
        (6, 8, 5), KERNELS, STRIDES, norm="all", has_bias=True, horizon_tokens=horizon_tokens
    )
    for parameter in model.parameters():  # some begin at zero or one: nothing may hide there
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def nothing(model: FeatureEncoder, batch: int = 1) -> dict[str, Tensor]:
    return {name: torch.zeros(batch, *shape) for name, shape in model.state_shapes().items()}


def by_hand(model: FeatureEncoder, samples: Tensor) -> Tensor:
    """The same network of torch's own parts, one utterance, no padding."""
    assert model.group_norm is not None
    weight, bias = model.group_norm.weight, model.group_norm.bias
    first, *others = model.convolutions
    x = F.group_norm(torch.tanh(first(samples[:, None])), 1, weight, bias)
    for convolution in others:
        x = F.gelu(convolution(x))
    return x.transpose(1, 2)


@torch.no_grad()
def test_a_whole_is_torchs_group_norm_behind_tanh() -> None:
    model, samples = encoder(), speech(500)
    first = model.convolutions[0]
    assert isinstance(first, nn.Conv1d) and first.bias is None  # it would be heard in silence
    found = model(samples, torch.tensor([500]))
    torch.testing.assert_close(found, by_hand(model, samples), atol=1e-5, rtol=0)
    assert int(model.num_rows(torch.tensor(500))) == found.shape[1]


@torch.no_grad()
def test_padding_is_in_no_statistic() -> None:
    model = encoder()
    short, long = speech(300), speech(500, seed=6)
    padded = torch.full((2, 500), 1e3)
    padded[0, :300], padded[1] = short[0], long[0]
    found = model(padded, torch.tensor([300, 500]))
    alone = by_hand(model, short)
    torch.testing.assert_close(found[:1, : alone.shape[1]], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1:], by_hand(model, long), atol=1e-5, rtol=0)


@torch.no_grad()
def test_num_tokens_says_what_the_norm_hears() -> None:
    """One chunk of everything: rows behind the end are in no statistic and change no row before it."""
    model = encoder()
    samples = torch.cat([speech(STEP * 6), torch.zeros(1, STEP * 4)], dim=1)
    alone, _ = model.forward_chunk(samples[:, : STEP * 6], nothing(model), num_tokens=torch.tensor([6]))
    padded, _ = model.forward_chunk(samples, nothing(model), num_tokens=torch.tensor([6]))
    torch.testing.assert_close(padded[:, :6], alone, atol=1e-6, rtol=0)
    all_ten, _ = model.forward_chunk(samples, nothing(model), num_tokens=torch.tensor([10]))
    assert not torch.allclose(all_ten[:, :6], alone, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("norm_tokens", [1, 2, 6])
def test_a_stream_knows_the_statistics_of_what_it_has_heard(norm_tokens: int) -> None:
    """Chunk by chunk as all at once; with an endless memory the last chunk's are those of everything."""
    model = encoder(horizon_tokens=10**9)
    samples = speech(STEP * 12, batch=2)
    together, after = model.forward_chunk(samples, nothing(model, 2), norm_tokens=norm_tokens)
    states, rows = nothing(model, 2), []
    for chunk in torch.split(samples, STEP * norm_tokens, dim=1):
        row, states = model.forward_chunk(chunk, states, norm_tokens=norm_tokens)
        rows.append(row)
    torch.testing.assert_close(torch.cat(rows, dim=1), together, atol=1e-5, rtol=0)
    for name, state in states.items():
        torch.testing.assert_close(state, after[name], atol=1e-5, rtol=0)
    whole, _ = model.forward_chunk(samples, nothing(model, 2), num_tokens=torch.tensor([12, 12]))
    # The last row of a chunk also hears values that were scaled by what the chunk before knew.
    own = slice(-(norm_tokens - 1), None) if norm_tokens > 1 else slice(0, 0)
    torch.testing.assert_close(together[:, own], whole[:, own], atol=1e-4, rtol=0)
    if norm_tokens > 1:
        assert not torch.allclose(together[:, :norm_tokens], whole[:, :norm_tokens], atol=1e-3)


@torch.no_grad()
def test_a_chunk_longer_than_the_memory_is_heard_by_itself() -> None:
    model = encoder(horizon_tokens=2)
    first, second = speech(STEP * 6), speech(STEP * 6, seed=9)
    _, states = model.forward_chunk(first, nothing(model), norm_tokens=6)
    found, _ = model.forward_chunk(second, states, norm_tokens=6)
    alone, _ = model.forward_chunk(
        second, {**states, "group": torch.zeros_like(states["group"])}, norm_tokens=6
    )
    torch.testing.assert_close(found, alone)

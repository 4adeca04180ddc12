"""Convolutions as products of rows; one mean and variance of all channels, over a whole or what was heard."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galago.models.moonshine_stem import MoonshineStem, RowConvolution
from tests.models.test_wav2vec2 import speech

KERNELS, STRIDES = (9, 5, 2), (4, 3, 2)
STEP = 24


def encoder(horizon_rows: int = 40) -> MoonshineStem:
    torch.manual_seed(4)
    model = MoonshineStem((6, 8, 5), KERNELS, STRIDES, horizon_rows=horizon_rows)
    for parameter in model.parameters():  # some begin at zero or one: nothing may hide there
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def nothing(model: MoonshineStem, batch: int = 1) -> dict[str, Tensor]:
    return {name: torch.zeros(batch, *shape) for name, shape in model.state_shapes().items()}


def by_hand(model: MoonshineStem, samples: Tensor) -> Tensor:
    """The same network of torch's own parts, one utterance, no padding."""
    norm, x = model.group_norm, samples[:, None]
    for i, layer in enumerate(model.convolutions):
        assert isinstance(layer, RowConvolution)
        x = F.conv1d(x, layer.weight, layer.bias, layer.stride)
        x = F.gelu(x) if i else F.group_norm(torch.tanh(x), 1, norm.weight, norm.bias)
    return x.transpose(1, 2)


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 2), (4, 2), (7, 3), (127, 64)])
@pytest.mark.parametrize("num_more", [0, 1, 2, 70])
def test_products_of_rows_are_a_convolution(kernel: int, stride: int, num_more: int) -> None:
    torch.manual_seed(kernel)
    convolution = RowConvolution(3, 5, kernel, stride)
    rows = torch.randn(2, kernel + num_more, 3)
    expected = F.conv1d(rows.transpose(1, 2), convolution.weight, convolution.bias, stride).transpose(1, 2)
    torch.testing.assert_close(convolution(rows), expected, atol=1e-5, rtol=0)


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
def test_num_rows_says_what_the_norm_hears() -> None:
    """One chunk of everything: rows behind the end are in no statistic and change no row before it."""
    model = encoder()
    samples = torch.cat([speech(STEP * 6), torch.zeros(1, STEP * 4)], dim=1)
    alone, _ = model.forward_chunk(samples[:, : STEP * 6], nothing(model), num_rows=torch.tensor([6]))
    padded, _ = model.forward_chunk(samples, nothing(model), num_rows=torch.tensor([6]))
    torch.testing.assert_close(padded[:, :6], alone, atol=1e-6, rtol=0)
    all_ten, _ = model.forward_chunk(samples, nothing(model), num_rows=torch.tensor([10]))
    assert not torch.allclose(all_ten[:, :6], alone, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("norm_rows", [1, 2, 6])
def test_a_stream_knows_the_statistics_of_what_it_has_heard(norm_rows: int) -> None:
    """Chunk by chunk as all at once; with an endless memory the last chunk's are those of everything."""
    model = encoder(horizon_rows=10**9)
    samples = speech(STEP * 12, batch=2)
    together, after = model.forward_chunk(samples, nothing(model, 2), norm_rows=norm_rows)
    states, rows = nothing(model, 2), []
    for chunk in torch.split(samples, STEP * norm_rows, dim=1):
        row, states = model.forward_chunk(chunk, states, norm_rows=norm_rows)
        rows.append(row)
    torch.testing.assert_close(torch.cat(rows, dim=1), together, atol=1e-5, rtol=0)
    for name, state in states.items():
        torch.testing.assert_close(state, after[name], atol=1e-5, rtol=0)
    whole, _ = model.forward_chunk(samples, nothing(model, 2), num_rows=torch.tensor([12, 12]))
    # The last row of a chunk also hears values that were scaled by what the chunk before knew.
    own = slice(-(norm_rows - 1), None) if norm_rows > 1 else slice(0, 0)
    torch.testing.assert_close(together[:, own], whole[:, own], atol=1e-4, rtol=0)
    if norm_rows > 1:
        assert not torch.allclose(together[:, :norm_rows], whole[:, :norm_rows], atol=1e-3)


@torch.no_grad()
def test_a_chunk_longer_than_the_memory_is_heard_by_itself() -> None:
    model = encoder(horizon_rows=2)
    first, second = speech(STEP * 6), speech(STEP * 6, seed=9)
    _, states = model.forward_chunk(first, nothing(model), norm_rows=6)
    found, _ = model.forward_chunk(second, states, norm_rows=6)
    alone, _ = model.forward_chunk(
        second, {**states, "group": torch.zeros_like(states["group"])}, norm_rows=6
    )
    torch.testing.assert_close(found, alone)

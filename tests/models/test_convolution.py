"""Causal convolutions: the future changes nothing, and chunks are the whole."""

from __future__ import annotations

import pytest
import torch

from galago.models.convolution import CausalConvolutionModule, ConvolutionSubsampling, LookaheadConvolution

WIDTH = 8


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1)


@torch.no_grad()
def test_a_token_is_heard_before_its_next_frame() -> None:
    """Whatever follows frame 4n - 1 changes none of the first n tokens, for every prefix."""
    module = ConvolutionSubsampling(16, (3, 4), WIDTH)
    x = torch.randn(1, 40, 16)
    whole = module(x)
    for num_tokens in range(1, 10):
        changed = x.clone()
        changed[:, 4 * num_tokens :] = torch.randn(1, 40 - 4 * num_tokens, 16)
        torch.testing.assert_close(module(changed)[:, :num_tokens], whole[:, :num_tokens], atol=1e-6, rtol=0)
        assert not torch.allclose(module(changed)[:, num_tokens:], whole[:, num_tokens:])


@torch.no_grad()
@pytest.mark.parametrize("chunk_tokens", [1, 2, 5])
def test_subsampling_by_chunks_is_subsampling(chunk_tokens: int) -> None:
    module = ConvolutionSubsampling(16, (3, 4), WIDTH)
    x = torch.randn(2, 40, 16)
    states = [torch.zeros(2, *shape) for shape in module.state_shapes()]
    parts = []
    for chunk in torch.split(x, 4 * chunk_tokens, dim=1):
        part, states = module.forward_chunk(chunk, states)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), module(x), atol=1e-6, rtol=0)


@torch.no_grad()
def test_the_convolution_module_is_causal_for_every_prefix() -> None:
    module = CausalConvolutionModule(WIDTH, 5).eval()
    x = torch.randn(1, 12, WIDTH)
    whole = module(x)
    for length in range(1, 12):
        torch.testing.assert_close(module(x[:, :length]), whole[:, :length], atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("chunk_tokens", [1, 3, 12])
def test_the_convolution_module_by_chunks_is_the_whole(chunk_tokens: int) -> None:
    module = CausalConvolutionModule(WIDTH, 5).eval()
    x = torch.randn(2, 12, WIDTH)
    cache, parts = torch.zeros(2, module.cache_tokens, WIDTH), []
    for chunk in torch.split(x, chunk_tokens, dim=1):
        part, cache = module.forward_chunk(chunk, cache)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), module(x), atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_lookahead_is_a_stated_delay() -> None:
    """Row j takes in tokens j - L ... j: it is token j - L with L tokens of its future, and nothing later."""
    lookahead_tokens = 3
    module = LookaheadConvolution(WIDTH, lookahead_tokens)
    x = torch.randn(1, 10, WIDTH)
    delayed, _ = module.forward_chunk(x, torch.zeros(1, lookahead_tokens, WIDTH))
    kernel, bias = module.conv.weight[:, 0], module.conv.bias  # (WIDTH, L + 1), (WIDTH,)
    assert bias is not None
    for row in range(lookahead_tokens, 10):
        window = x[0, row - lookahead_tokens : row + 1]  # (L + 1, WIDTH)
        expected = window[0] + (kernel * window.T).sum(dim=1) + bias
        torch.testing.assert_close(delayed[0, row], expected, atol=1e-5, rtol=0)

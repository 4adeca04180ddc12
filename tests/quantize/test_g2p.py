"""The packed letter-to-phone network: the native core computes what torch computes with its weights."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from galago.models.g2p import G2p, G2pConfig, encode_letters
from galago.quantize.g2p import pack_g2p, rounded_g2p
from tests.runtime.native_tools import find_tool

PHONES = ("B", "D", "AH0", "AH1", "K")


def network() -> G2p:
    torch.manual_seed(3)
    config = G2pConfig(
        len(PHONES),
        width=32,
        num_layers=3,
        num_heads=4,
        feed_forward=24,
        max_distance=3,
        condition_after=(1, 2),
    )
    model = G2p(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # no part may be zero, or its absence would not show
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def test_rounding_keeps_each_weight_within_half_a_step() -> None:
    model = network()
    weight, rounded = model.head.weight, rounded_g2p(model).head.weight
    steps = weight.abs().amax(dim=1, keepdim=True) / 127
    assert ((weight - rounded).abs() <= steps * 0.5001).all()
    assert torch.equal(rounded_g2p(rounded_g2p(model)).head.weight, rounded)


def test_the_number_of_phones_must_be_the_networks() -> None:
    with pytest.raises(ValueError, match="phones"):
        pack_g2p(network(), PHONES[1:])


@pytest.mark.parametrize("word", ["a", "galago", "don't", "zyzzyvaszyzzyvas"])
def test_the_native_core_computes_the_same(word: str, native_library: Path, tmp_path: Path) -> None:
    tool = find_tool(native_library, "tool_speech_text")
    model = network()
    path = tmp_path / "g2p.bin"
    path.write_bytes(pack_g2p(model, PHONES))
    done = subprocess.run([tool, "--g2p", path, "--logits", word], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        expected = rounded_g2p(model)(torch.tensor([encode_letters(word)])).logits.flatten().numpy()
    np.testing.assert_allclose(np.frombuffer(done.stdout, "<f4"), expected, atol=2e-4, rtol=1e-4)

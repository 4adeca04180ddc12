"""wav2vec 2.0: published sizes, causal, the same in chunks as in whole, indifferent to padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from galago.models.flops import count_parameters
from galago.models.wav2vec2 import WAV2VEC2_PRESETS, Wav2Vec2, Wav2Vec2Config
from galago.models.waveform import FeatureEncoder, band_passes, normalise_utterance, running_moments

#: 5 * 2 * 2 = 20 samples a token; everything else is as in the published networks.
SMALL = Wav2Vec2Config(
    width=16,
    num_blocks=2,
    num_heads=2,
    feed_forward_width=24,
    convolution_widths=(6, 8, 8),
    convolution_kernels=(10, 3, 2),
    convolution_strides=(5, 2, 2),
    convolution_norm="layer",
    has_convolution_bias=True,
    position_kernel_tokens=6,
    position_groups=4,
    position_lookahead_tokens=2,
    is_norm_first=True,
    num_tokens=5,
    left_context_tokens=12,
    norm_horizon_tokens=40,
)
STEP = 20
NUM_CHUNKS = 500
#: BASE: post-norm, a GroupNorm over time, samples that are normalised.
BASE = {
    "convolution_norm": "group",
    "has_convolution_bias": False,
    "is_norm_first": False,
    "normalises_samples": True,
}


def network(**changes: Any) -> Wav2Vec2:
    torch.manual_seed(3)
    model = Wav2Vec2(SMALL.with_(**changes)).eval()
    for parameter in model.parameters():  # biases begin at zero: nothing may hide there
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    if model.positions.norm is not None:
        assert model.positions.norm.running_mean is not None
        model.positions.norm.running_mean.uniform_(-1.0, 1.0)
    return model


def speech(num_samples: int, *, batch: int = 1, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    loudness = 0.1 + 0.05 * torch.sin(torch.arange(num_samples) / 700.0)
    return loudness * torch.randn(batch, num_samples, generator=generator) + 0.02


def whole(model: Wav2Vec2, x: Tensor, chunk_tokens: int | None) -> Tensor:
    scores = model(x, torch.full((len(x),), x.shape[1]), chunk_tokens=chunk_tokens)
    return torch.log_softmax(scores.logits, -1)


def stream(model: Wav2Vec2, x: Tensor, chunk_tokens: int, *, keep_first: float = 1.0) -> Tensor:
    states = model.initial_states(len(x))
    rows = []
    for number, chunk in enumerate(torch.split(x, STEP * chunk_tokens, dim=1)):
        keep = torch.tensor([keep_first if number == 0 else 1.0])
        row, states = model.forward_chunk(chunk, keep, states)
        rows.append(row)
    return torch.cat(rows, dim=1)


@torch.no_grad()
@pytest.mark.parametrize(
    "changes",
    [{}, {"position_lookahead_tokens": 0}, BASE, {**BASE, "has_position_norm": True}],
    ids=["large", "causal", "base", "base with a norm of positions"],
)
def test_a_stream_is_the_whole(changes: dict[str, Any]) -> None:
    """500 chunks: the difference is rounding, and does not grow. Rows of a stream lag by the lookahead."""
    model, chunk_tokens = network(**changes), 4
    lag = model.config.position_lookahead_tokens
    x = speech(STEP * chunk_tokens * NUM_CHUNKS)
    difference = (
        stream(model, x, chunk_tokens)[:, lag:] - whole(model, x, chunk_tokens)[:, : -lag or None]
    ).abs()
    assert difference.shape[1] == chunk_tokens * NUM_CHUNKS - lag
    assert float(difference.max()) <= 1e-4


@torch.no_grad()
@pytest.mark.parametrize("chunk_tokens", [1, 3, 8])
def test_other_chunks_are_the_whole_too(chunk_tokens: int) -> None:
    model = network(**BASE)
    x = speech(STEP * 24)
    found = stream(model, x, chunk_tokens)[:, 2:]
    torch.testing.assert_close(found, whole(model, x, chunk_tokens)[:, :-2], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, BASE], ids=["large", "base"])
def test_no_chunk_hears_a_later_one(changes: dict[str, Any]) -> None:
    chunk_tokens, num_tokens = 4, 24
    model = network(**changes)
    x = speech(STEP * num_tokens)
    before = whole(model, x, chunk_tokens)
    for end in range(chunk_tokens, num_tokens, chunk_tokens):
        changed = torch.cat([x[:, : STEP * end], speech(STEP * (num_tokens - end), seed=end)], dim=1)
        known = end - model.config.position_lookahead_tokens
        after = whole(model, changed, chunk_tokens)
        torch.testing.assert_close(after[:, :known], before[:, :known], atol=1e-5, rtol=0)
        assert not torch.allclose(after[:, known:], before[:, known:], atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, BASE], ids=["large", "base"])
def test_keep_0_forgets(changes: dict[str, Any]) -> None:
    """After any past, also one of huge values, a stream that is told to forget is a new stream."""
    model = network(**changes)
    x = speech(STEP * 16)
    first, second = x[:, : STEP * 8], x[:, STEP * 8 :]
    fresh, states = model.forward_chunk(first, torch.ones(1), model.initial_states())
    spoiled = {name: state * 50.0 + 10.0 for name, state in states.items()}
    forgot, after = model.forward_chunk(first, torch.zeros(1), spoiled)
    torch.testing.assert_close(forgot[:, 2:], fresh[:, 2:], atol=1e-5, rtol=0)
    following = model.forward_chunk(second, torch.ones(1), after)[0]
    torch.testing.assert_close(
        following, model.forward_chunk(second, torch.ones(1), states)[0], atol=1e-5, rtol=0
    )
    remembered = model.forward_chunk(first, torch.ones(1), spoiled)[0]
    assert not torch.allclose(remembered, fresh, atol=1e-2)


@torch.no_grad()
def test_streams_of_a_batch_do_not_meet() -> None:
    model = network(**BASE)
    x = torch.cat([speech(STEP * 16, seed=1), 3.0 * speech(STEP * 16, seed=2)])
    apart = torch.cat([stream(model, row[None], 4) for row in x])
    torch.testing.assert_close(stream(model, x, 4)[:, 2:], apart[:, 2:], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, BASE], ids=["large", "base"])
@pytest.mark.parametrize("chunk_tokens", [None, 4])
def test_padding_changes_no_result(chunk_tokens: int | None, changes: dict[str, Any]) -> None:
    """A short utterance in a batch is heard as alone, whatever the padding holds, in its last tokens too."""
    model = network(**changes)
    for num_samples in (62, 200, 333):
        alone = speech(num_samples)
        padded = torch.full((2, 400), 1e3)
        padded[0, :num_samples] = alone[0]
        padded[1] = speech(400, seed=8)[0]
        single = model(alone, torch.tensor([num_samples]), chunk_tokens=chunk_tokens)
        both = model(padded, torch.tensor([num_samples, 400]), chunk_tokens=chunk_tokens)
        num_tokens = int(single.num_tokens[0])
        assert num_tokens == single.logits.shape[1] == int(both.num_tokens[0])
        torch.testing.assert_close(both.logits[0, :num_tokens], single.logits[0], atol=1e-4, rtol=0)


def test_a_row_hears_400_samples_every_320() -> None:
    """The published receptive field and stride, seen in the gradient of one row."""
    config = WAV2VEC2_PRESETS["base"].with_(convolution_widths=(2,) * 7, convolution_norm="layer")
    encoder = FeatureEncoder(
        config.convolution_widths,
        config.convolution_kernels,
        config.convolution_strides,
        norm="layer",
        has_bias=True,
    )
    assert encoder.samples_per_row == 320
    samples = speech(2000).requires_grad_()
    rows = encoder(samples, torch.tensor([2000]))
    assert rows.shape[1] == int(encoder.num_rows(torch.tensor(2000))) == (2000 - 400) // 320 + 1
    rows[0, 3].square().sum().backward()
    assert samples.grad is not None
    heard = samples.grad[0].nonzero().flatten()
    assert 960 <= int(heard.min()) <= 965 and 1355 <= int(heard.max()) < 960 + 400
    assert int(encoder.num_rows(torch.tensor(399))) == 0
    with pytest.raises(ValueError, match="399 samples are less than one row hears"):
        encoder(samples[:, :399], torch.tensor([399]))


def test_running_moments_are_those_of_what_was_heard() -> None:
    """With an endless horizon: plain mean and variance, in one piece or in several."""
    values = 2.0 + speech(30 * 8).reshape(1, 2, 15, 8)
    mean, variance, state = running_moments(values, torch.zeros(1, 5), 10**9)
    for token in (0, 7, 14):
        heard = values[:, :, : token + 1].flatten(2)
        torch.testing.assert_close(mean[:, :, token], heard.mean(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(variance[:, :, token], heard.var(2, unbiased=False), atol=1e-5, rtol=0)
    _, _, half = running_moments(values[:, :, :6], torch.zeros(1, 5), 10**9)
    later = running_moments(values[:, :, 6:], half, 10**9)
    torch.testing.assert_close(later[0], mean[:, :, 6:])
    torch.testing.assert_close(later[2], state)


def test_running_moments_forget() -> None:
    """A loud past is gone after some horizons, and the weight stays bounded."""
    loud, quiet = 100.0 + torch.zeros(1, 1, 50, 4), torch.ones(1, 1, 500, 4)
    mean, _, state = running_moments(torch.cat([loud, quiet], dim=2), torch.zeros(1, 3), 20)
    assert float(mean[0, 0, -1]) == pytest.approx(1.0, abs=1e-4)
    assert float(state[0, -1]) == pytest.approx(20.0, rel=1e-4)


def test_utterances_are_normalised_as_published() -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    clips = [speech(300)[0], 5.0 + 3.0 * speech(200, seed=2)[0]]
    expected = theirs(
        [clip.numpy() for clip in clips], sampling_rate=16000, padding=True, return_tensors="pt"
    ).input_values
    padded = torch.full((2, 300), 7.0)
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip)] = clip
    found = normalise_utterance(padded, torch.tensor([300, 200]))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("preset", "millions"),
    # Without what only pre-training has (quantizer, projections), which the papers' 95 and 317 count.
    [
        ("base", 94.40),
        ("large", 315.47),
        ("large-stable", 315.47),
        ("hubert-base", 94.40),
        ("hubert-large", 315.47),
        ("hubert-xlarge", 962.5),
        ("3m", 2.919),
        ("9m", 8.546),
    ],
)
def test_as_big_as_published(preset: str, millions: float) -> None:
    with torch.device("meta"):
        model = Wav2Vec2(WAV2VEC2_PRESETS[preset])
    assert count_parameters(model) / 1e6 == pytest.approx(millions, rel=2e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 18}, "width 18 must be a multiple"),
        ({"position_lookahead_tokens": 6}, "outside the kernel of 6 tokens"),
        ({"num_blocks": 0}, "num_blocks must be at least 1"),
        ({"dropout": 1.0}, "dropout must be in"),
    ],
)
def test_a_network_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.with_(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"convolution_widths": (8, 8)}, "the same number of layers"),
        ({"convolution_kernels": (4, 3, 2)}, "leave out samples"),
        ({"convolution_norm": "batch"}, "norm must be group or layer"),
    ],
)
def test_an_encoder_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Wav2Vec2(SMALL.with_(**changes))


def test_a_long_first_layer_begins_as_bands_and_hears_how_loud_they_are() -> None:
    encoder = FeatureEncoder((64, 8), (320, 4), (80, 4), norm="layer", has_bias=True)
    filters = encoder.get_parameter("convolutions.0.weight")[:, 0].detach()
    torch.testing.assert_close(filters, band_passes(64, 320))
    torch.testing.assert_close(filters.norm(dim=1), torch.full((64,), 2.0**0.5))
    tone = torch.sin(2 * torch.pi * 1000.0 / 16_000 * torch.arange(3200))
    heard = torch.nn.functional.conv1d(tone[None, None], filters[:, None])[0]  # (64, T)
    loudest = int(heard.square().sum(1).reshape(16, 4).sum(1).argmax())
    peak_hz = int(torch.fft.rfft(filters[4 * loudest], 16_000).abs().argmax())
    assert abs(peak_hz - 1000) < 150
    magnitudes = torch.relu(heard[4 * loudest : 4 * loudest + 4]).sum(0)
    assert float(magnitudes.std() / magnitudes.mean()) < 0.15  # whatever the phase of the tone
    with torch.no_grad():
        quiet, clear = (encoder(scale * tone[None], torch.tensor([3200])) for scale in (1e-4, 0.1))
    assert not torch.allclose(quiet, clear, atol=0.05)

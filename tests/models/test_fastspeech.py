"""FastSpeech: an exact length regulator, padding that changes nothing, a decoder that streams."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import FastSpeech2ConformerConfig

from galago.models.fastspeech import (
    FASTSPEECH_PRESETS,
    FastSpeech,
    FastSpeechConfig,
    Prosody,
    VariancePredictor,
    frame_counts,
    regulate_length,
)
from galago.models.vocoder import Vocoder, VocoderConfig
from galago.models.voice_graphs import FrameSpeaker, SentenceReader
from galago.runtime.language.voice_phones import VOICE_PHONES

public: Any = importlib.import_module(
    "transformers.models.fastspeech2_conformer.modeling_fastspeech2_conformer"
)

SMALL = FastSpeechConfig(
    num_phones=11,
    num_mels=80,
    width=16,
    num_blocks=2,
    feed_forward_width=24,
    predictor_width=12,
    decoder_width=20,
    decoder_inner_width=24,
    decoder_kernel_frames=5,
    decoder_lookahead_frames=(2, 1, 0),
)


def voice(**changes: Any) -> FastSpeech:
    torch.manual_seed(3)
    model = FastSpeech(SMALL.with_(**changes)).eval()
    for parameter in model.parameters():  # nothing may hide behind an initial zero or one
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model


def sentence(num_phones: int, *, seed: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    phones = torch.randint(1, SMALL.num_phones, (1, num_phones), generator=generator)
    return phones, torch.randint(0, 7, (1, num_phones), generator=generator)


def test_the_alphabet_fits_the_default() -> None:
    assert FastSpeechConfig().num_phones == len(VOICE_PHONES)


def test_rows_are_repeated_exactly() -> None:
    rows = torch.arange(1.0, 9.0).reshape(2, 4, 1)
    regulated, num_frames = regulate_length(rows, torch.tensor([[2, 0, 3, 1], [0, 1, 0, 2]]))
    assert num_frames.tolist() == [6, 3]
    assert regulated[..., 0].tolist() == [[1, 1, 3, 3, 3, 4], [6, 8, 8, 0, 0, 0]]


def test_the_length_regulator_is_the_public_one() -> None:
    torch.manual_seed(1)
    rows, counts = torch.randn(3, 9, 5), torch.randint(0, 6, (3, 9))
    expected = public.length_regulator(rows, counts)
    torch.testing.assert_close(regulate_length(rows, counts)[0], expected, atol=0, rtol=0)


@torch.no_grad()
def test_predictors_are_the_public_ones() -> None:
    """FastSpeech2Conformer's variance predictor with the same random weights."""
    torch.manual_seed(1)
    config = FastSpeech2ConformerConfig(hidden_size=16)
    theirs = public.FastSpeech2ConformerVariancePredictor(
        config, num_layers=2, num_chans=12, kernel_size=3, dropout_rate=0.5
    ).eval()
    ours = VariancePredictor(16, 12, 3, 0.5).eval()
    for number, layer in enumerate(theirs.conv_layers, 1):
        getattr(ours, f"conv{number}").load_state_dict(layer.conv.state_dict())
        getattr(ours, f"norm{number}").load_state_dict(layer.layer_norm.state_dict())
    ours.out.load_state_dict(theirs.linear.state_dict())
    x = torch.randn(2, 7, 16)
    expected = theirs(x)[..., 0]
    torch.testing.assert_close(ours(x, torch.ones(2, 7, 1)), expected, atol=1e-5, rtol=0)


def test_counts_round_and_no_phone_is_skipped() -> None:
    """At any speed each phone keeps a frame, marks may vanish, and pauses are kept as asked for."""
    frames = torch.tensor([[0.0, 4.0, 3.4, 0.2, 10.0]])
    is_phone = torch.tensor([[False, True, True, True, False]])
    log_frames = torch.log1p(frames)
    assert frame_counts(log_frames, is_phone).tolist() == [[0, 4, 3, 1, 10]]
    assert frame_counts(log_frames, is_phone, rate=2.0).tolist() == [[0, 2, 2, 1, 5]]
    assert frame_counts(log_frames, is_phone, rate=100.0).tolist() == [[0, 1, 1, 1, 0]]
    rates = torch.tensor([[1.0, 0.5, 1.0, 1.0, 1.0]])
    assert frame_counts(log_frames, is_phone, rate=rates).tolist() == [[0, 8, 3, 1, 10]]
    pauses = torch.tensor([[30, 0, 30, 0, 0]])
    counts = frame_counts(log_frames, is_phone, rate=2.0, pause_frames=pauses)
    assert counts.tolist() == [[30, 2, 2, 1, 5]]
    for rate in (0.0, -1.0):
        with pytest.raises(ValueError, match="rate must be above 0"):
            frame_counts(log_frames, is_phone, rate=rate)


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    model = voice()
    phones, counts = sentence(13)
    alone = model(phones, counts)
    longer, more = sentence(20, seed=8)
    both = model(torch.cat([F.pad(phones, (0, 7)), longer]), torch.cat([F.pad(counts, (0, 7)), more]))
    T = int(alone.num_frames)
    assert int(both.num_frames[0]) == T
    for lonely, accompanied in zip(alone[:3], both[:3], strict=True):
        torch.testing.assert_close(accompanied[0, :T], lonely[0, :T], atol=1e-5, rtol=0)
    for lonely, accompanied in zip(alone.prosody, both.prosody, strict=True):
        torch.testing.assert_close(accompanied[0, :13], lonely[0], atol=1e-5, rtol=0)
        assert not accompanied[0, 13:].any()


@torch.no_grad()
@pytest.mark.parametrize("chunk_frames", [1, 4, 16])
def test_a_stream_of_the_decoder_is_the_whole(chunk_frames: int) -> None:
    model = voice().decoder
    torch.manual_seed(2)
    rows = torch.randn(2, 70, SMALL.width)
    padded = F.pad(rows, (0, 0, 0, model.delay_frames + 16))
    states, heard = model.initial_states(2), []
    for chunk in torch.split(padded, chunk_frames, dim=1):
        *outputs, states = model.forward_chunk(chunk, states)
        heard.append(outputs)
    for number, expected in enumerate(model(rows)):
        found = torch.cat([outputs[number] for outputs in heard], dim=1)
        found = found[:, model.delay_frames : model.delay_frames + 70]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_no_frame_sees_beyond_the_lookahead() -> None:
    model = voice().decoder
    torch.manual_seed(2)
    rows = torch.randn(1, 40, SMALL.width)
    changed = rows.clone()
    changed[:, 20:] += 1.0
    known = 20 - model.delay_frames
    before, after = model(rows)[0], model(changed)[0]
    torch.testing.assert_close(after[:, :known], before[:, :known], atol=1e-6, rtol=0)
    assert not torch.allclose(after[:, known], before[:, known], atol=1e-4)


@torch.no_grad()
def test_pitch_and_energy_are_heard() -> None:
    model = voice()
    phones, counts = sentence(9)
    flat = Prosody(*(torch.zeros(1, 9) for _ in range(3)))
    plain = model(phones, counts, prosody=flat).log_mel
    for changed in (flat._replace(pitch=torch.ones(1, 9)), flat._replace(energy=torch.ones(1, 9))):
        assert not torch.allclose(model(phones, counts, prosody=changed).log_mel, plain, atol=1e-3)
    rows, _ = model.encode(phones, prosody=flat, pitch_shift=torch.ones(1, 9))
    expected, _ = model.encode(phones, prosody=flat._replace(pitch=torch.ones(1, 9)))
    torch.testing.assert_close(rows, expected)


@torch.no_grad()
@pytest.mark.parametrize("chunk_frames", [4, 16])
def test_decoder_and_vocoder_in_one_step_are_the_whole(chunk_frames: int) -> None:
    """The graph that a device runs, sentence after sentence in the same states."""
    torch.manual_seed(4)
    narrow = VocoderConfig(width=16, inner_width=24, kernel_frames=5, lookahead_frames=(2, 0))
    model = voice()
    model.decoder.mean[:80], model.decoder.mean[80] = -4.0, 7.5
    speaker = FrameSpeaker(model, Vocoder(narrow)).eval()
    delay, hop, T = speaker.delay_frames, narrow.hop_samples, 50
    assert delay == 3 + 2 + 2
    rows = torch.randn(1, T, SMALL.width)
    behind = delay + -(T + delay) % chunk_frames
    noise = torch.rand(1, T + behind, narrow.num_bins)
    whole = speaker(rows, noise[:, : T + delay])
    assert whole.shape == (1, T * hop) and float(whole.abs().max()) > 0.01
    padded, valid = F.pad(rows, (0, 0, 0, behind)), F.pad(torch.ones(1, T), (0, behind))
    states = {name: state + 9.0 for name, state in speaker.initial_states().items()}  # to be forgotten
    heard = []
    for begin in range(0, T + behind, chunk_frames):
        part = slice(begin, begin + chunk_frames)
        keep = torch.tensor([0.0 if begin == 0 else 1.0])
        samples, states = speaker.forward_chunk(padded[:, part], valid[:, part], noise[:, part], keep, states)
        heard.append(samples)
    streamed = torch.cat(heard, dim=1)
    assert float((streamed[:, delay * hop : (delay + T) * hop] - whole).abs().max()) <= 1e-4
    assert float(streamed[:, : (delay - 3) * hop].abs().max()) < 1e-3  # nothing is heard before the sentence
    phones, _ = sentence(6)
    read, frames = SentenceReader(model)(phones, torch.zeros(1, 6), torch.zeros(1, 6))
    assert read.shape == (1, 6, SMALL.width) and bool((frames >= 0).all())


@pytest.mark.parametrize(
    ("preset", "num_parameters"), [("2m", 2_609_877), ("5m", 6_147_989), ("fastspeech2", 20_268_245)]
)
def test_presets_have_their_size(preset: str, num_parameters: int) -> None:
    with torch.device("meta"):
        model = FastSpeech(FASTSPEECH_PRESETS[preset])
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 18, "num_heads": 4}, "width 18"),
        ({"kernel_phones": 4}, "kernel_phones must be odd"),
        ({"decoder_lookahead_frames": (5,)}, "decoder_lookahead_frames"),
        ({"decoder_lookahead_frames": ()}, "decoder_lookahead_frames"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"num_blocks": 0}, "num_blocks must be at least 1"),
    ],
)
def test_a_network_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.with_(**changes)

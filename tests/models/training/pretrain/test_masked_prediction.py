"""HuBERT's pre-training: k-means finds clusters, the loss counts masked tokens only, and it learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from galago.models.mfcc import Mfcc, differences
from galago.models.training.pretrain.kmeans import KMeans, fit_kmeans
from galago.models.training.pretrain.masked_prediction import MaskedPrediction
from galago.models.wav2vec2 import Wav2Vec2
from tests.models.training.pretrain.test_contrastive import TINY


def blobs() -> tuple[Tensor, Tensor]:
    """300 rows around 3 centres, and to which each belongs."""
    generator = torch.Generator().manual_seed(1)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    belongs = torch.randint(3, (300,), generator=generator)
    return centres[belongs] + 0.3 * torch.randn(300, 2, generator=generator), belongs


def test_kmeans_finds_what_stands_apart() -> None:
    rows, belongs = blobs()
    model = fit_kmeans(rows, 3)
    clusters = model(rows)
    for number in range(3):
        assert len(torch.unique(clusters[belongs == number])) == 1
    assert len(torch.unique(clusters)) == 3
    again = fit_kmeans(rows, 3)
    assert torch.equal(again.centres, model.centres)
    centre = rows[clusters == 0].mean(0)
    torch.testing.assert_close(model.centres[0], centre, atol=1e-4, rtol=0)


def test_kmeans_is_no_worse_than_another_implementation() -> None:
    """scipy's, on rows without clusters, where starts matter."""
    vq = pytest.importorskip("scipy.cluster.vq")
    rows = torch.randn(500, 4, generator=torch.Generator().manual_seed(2))
    centres, _ = vq.kmeans2(rows.numpy(), 20, iter=30, minit="++", seed=3)
    theirs = KMeans(torch.from_numpy(centres)).nearest(rows)[1].mean()
    ours = fit_kmeans(rows, 20).nearest(rows)[1].mean()
    assert float(ours) <= 1.05 * float(theirs)


def test_the_nearest_centre_is_the_nearest() -> None:
    generator = torch.Generator().manual_seed(3)
    rows, centres = torch.randn(40, 6, generator=generator), torch.randn(9, 6, generator=generator)
    clusters, distances = KMeans(centres).nearest(rows)
    apart = torch.cdist(rows, centres).square()
    assert torch.equal(clusters, apart.argmin(1))
    torch.testing.assert_close(distances, apart.min(1).values, atol=1e-4, rtol=0)
    assert KMeans(centres)(rows.reshape(5, 8, 6)).shape == (5, 8)


def test_rows_that_cannot_be_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rows cannot be 3 clusters"):
        fit_kmeans(torch.zeros(2, 4), 3)
    with pytest.raises(ValueError, match="there are fewer than 3 different rows"):
        fit_kmeans(torch.zeros(9, 4), 3)
    with pytest.raises(ValueError, match="not finite"):
        fit_kmeans(torch.full((9, 4), float("nan")), 3)


def network() -> MaskedPrediction:
    torch.manual_seed(3)
    return MaskedPrediction(Wav2Vec2(TINY), 6, code_width=8)


def test_the_loss_is_equation_3_over_masked_tokens_only() -> None:
    model = network().eval()
    samples = 0.3 * torch.randn(2, 505, generator=torch.Generator().manual_seed(4))
    lengths = torch.tensor([505, 300])
    num_tokens = model.network.encoder.num_rows(lengths)
    mask = torch.zeros(2, int(num_tokens[0]), dtype=torch.bool)
    mask[:, 4:14] = True
    targets = torch.randint(6, mask.shape, generator=torch.Generator().manual_seed(5))
    found = model(samples, lengths, mask, targets)
    hidden = model.project(model.network.encode(samples, lengths, is_masked=mask).blocks[-1])
    cosines = F.cosine_similarity(hidden[:, :, None], model.clusters, dim=-1)
    expected = F.cross_entropy(cosines[mask] / 0.1, targets[mask])
    torch.testing.assert_close(found.masked, expected)
    torch.testing.assert_close(found.total, expected)
    other = torch.where(mask, targets, 0)
    torch.testing.assert_close(model(samples, lengths, mask, other).total, found.total)
    # Padding belongs to neither part.
    padding = targets.clone()
    padding[1, int(num_tokens[1]) :] = (padding[1, int(num_tokens[1]) :] + 1) % 6
    torch.testing.assert_close(model(samples, lengths, mask, padding).unmasked, found.unmasked)


def test_nothing_masked_is_no_loss_and_no_nan() -> None:
    model = network()
    samples = torch.randn(1, 305)
    mask = torch.zeros(1, 30, dtype=torch.bool)
    mask = mask[:, : int(model.network.encoder.num_rows(torch.tensor(305)))]
    found = model(samples, torch.tensor([305]), mask, torch.zeros_like(mask, dtype=torch.int64))
    assert float(found.total.detach()) == 0.0
    found.total.backward()


def test_it_learns_clusters_of_mfcc() -> None:
    """The whole of HuBERT's first round, on two tones that follow each other: far above chance at the end."""
    config = TINY.with_(
        convolution_widths=(8,) * 3, convolution_kernels=(10, 8, 4), convolution_strides=(5, 8, 4)
    )
    torch.manual_seed(1)
    model = MaskedPrediction(Wav2Vec2(config), 4, code_width=8)
    time = torch.arange(8000)
    tones = torch.where((time // 1600 % 2).bool(), torch.sin(0.1 * time), 0.3 * torch.sin(1.1 * time))[None]
    samples = tones + 0.01 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(2))
    features = differences(Mfcc()(samples))[0]
    clusters = fit_kmeans(features, 4)(features)  # one each 160 samples, as the network's rows
    lengths = torch.tensor([8000])
    num_tokens = int(model.network.encoder.num_rows(lengths)[0])
    targets = clusters[:num_tokens][None]
    num_tokens = targets.shape[1]
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(2)
    for _ in range(60):
        mask = torch.rand(1, int(model.network.encoder.num_rows(lengths)[0]), generator=generator) < 0.3
        mask[:, num_tokens:] = False
        padded = F.pad(targets, (0, mask.shape[1] - num_tokens))
        found = model(samples, lengths, mask, padded)
        optimizer.zero_grad()
        found.total.backward()
        optimizer.step()
    assert float(found.masked_accuracy) > 0.7

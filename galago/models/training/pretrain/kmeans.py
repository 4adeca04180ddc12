"""k-means: the hidden units that HuBERT predicts (Hsu et al. 2021, section III.A)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["KMeans", "fit_kmeans"]

_PIECE_ROWS = 8192  # distances are computed for so many rows at a time


class KMeans(nn.Module):
    """Cluster centres (K, C); rows are assigned to the nearest."""

    centres: Tensor

    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.register_buffer("centres", centres)

    def forward(self, features: Tensor) -> Tensor:
        """Features (..., C) -> numbers of clusters (...), int64; of equally near centres the first."""
        return self.nearest(features.reshape(-1, features.shape[-1]))[0].reshape(features.shape[:-1])

    def nearest(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (N, C) -> their clusters (N,) int64 and the squared distances to their centres (N,)."""
        clusters, distances = [], []
        squares = self.centres.square().sum(-1)
        for piece in torch.split(rows, _PIECE_ROWS):
            least, number = (squares - 2.0 * piece @ self.centres.T).min(-1)
            clusters.append(number)
            distances.append((least + piece.square().sum(-1)).clamp_min(0.0))
        return torch.cat(clusters), torch.cat(distances)


def _first_centres(rows: Tensor, num_clusters: int, generator: torch.Generator) -> Tensor:
    """k-means++ (Arthur and Vassilvitskii 2007): each next centre is drawn with its squared distance."""
    chosen = [int(torch.randint(len(rows), (1,), generator=generator))]
    distances = (rows - rows[chosen[0]]).square().sum(-1)
    while len(chosen) < num_clusters:
        total = distances.double().cumsum(0)
        place = torch.rand(1, generator=generator, dtype=torch.float64) * total[-1]
        index = int(torch.searchsorted(total, place, right=True).clamp_max(len(rows) - 1))
        chosen.append(index)
        distances = torch.minimum(distances, (rows - rows[index]).square().sum(-1))
    return rows[chosen].clone()


def fit_kmeans(
    rows: Tensor, num_clusters: int, *, num_steps: int = 30, seed: int = 1, tolerance: float = 1e-4
) -> KMeans:
    """Lloyd's algorithm from k-means++, the same for the same rows and seed.

    A cluster that loses all its rows begins again at the row that is farthest from its centre.

    Args:
        rows: (N, C) float32 on the CPU. num_clusters: K.
        tolerance: it stops when the mean squared distance shrinks by less than this share.

    Raises:
        ValueError: fewer different rows than clusters, or values that are not finite.
    """
    if not 1 <= num_clusters <= len(rows):
        raise ValueError(f"{len(rows)} rows cannot be {num_clusters} clusters")
    if not bool(rows.isfinite().all()):
        raise ValueError("rows hold values that are not finite")
    generator = torch.Generator().manual_seed(seed)
    model = KMeans(_first_centres(rows, num_clusters, generator))
    if len(torch.unique(model.centres, dim=0)) < num_clusters:
        raise ValueError(f"there are fewer than {num_clusters} different rows")
    last = float("inf")
    for _ in range(num_steps):
        clusters, distances = model.nearest(rows)
        mean = float(distances.mean())
        if mean >= (1.0 - tolerance) * last:
            break
        last = mean
        counts = torch.bincount(clusters, minlength=num_clusters)
        sums = torch.zeros_like(model.centres).index_add_(0, clusters, rows)
        centres = sums / counts.clamp_min(1)[:, None]
        empty = (counts == 0).nonzero()[:, 0]
        centres[empty] = rows[distances.topk(len(empty)).indices]
        model = KMeans(centres)
    return model

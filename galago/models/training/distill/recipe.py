"""Tables of a recipe that roles share when a student begins as a part of another network."""

from __future__ import annotations

from dataclasses import dataclass

from galago.models.training.toml_tables import Positive

__all__ = ["PruningRecipe"]


@dataclass(frozen=True)
class PruningRecipe:
    """Another network to begin with: some of its blocks, and of each block the heads that matter most.

    How many is said by ``[network]``: depth, ``num_heads`` and ``head_width``; all other widths must be those
    of the network that is cut.
    """

    weights: str  # another run's model.pt
    blocks: tuple[int, ...] = ()  # from 1; by default evenly spread
    importance_batches: Positive = 8  # by which heads are judged

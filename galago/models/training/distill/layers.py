"""Which layer learns from which, what stands inside a network while it runs, and widths made equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from galago.models.swin import Swin
from galago.models.training.toml_tables import RecipeError
from galago.models.wav2vec2_ear import Wav2Vec2Ear

__all__ = ["LayerMap", "Projections", "block_names", "layer_pairs", "spread", "tapped"]

#: Pairs (block of the student, block of the teacher), counted from 1.
LayerMap = tuple[tuple[int, int], ...]


def spread(num_chosen: int, num_layers: int) -> tuple[int, ...]:
    """Evenly chosen layers, counted from 1, the last one among them: every k-th where it divides.

    >>> spread(3, 12), spread(5, 8)
    ((4, 8, 12), (2, 4, 5, 7, 8))

    Raises:
        ValueError: more are asked for than there are, or none.
    """
    if not 1 <= num_chosen <= num_layers:
        raise ValueError(f"cannot choose {num_chosen} of {num_layers} layers")
    return tuple(-(-number * num_layers // num_chosen) for number in range(1, num_chosen + 1))


def block_names(network: nn.Module) -> list[str]:
    """Submodules of a network's blocks in their order, through all stages of a Swin.

    Raises:
        AttributeError: it has no ``blocks``.
    """
    if isinstance(network, Swin):
        return [f"stages.{s}.{i}" for s, depth in enumerate(network.config.depths) for i in range(depth)]
    place = "network.blocks" if isinstance(network, Wav2Vec2Ear) else "blocks"
    blocks = network.get_submodule(place)
    assert isinstance(blocks, nn.ModuleList | nn.Sequential)
    return [f"{place}.{i}" for i in range(len(blocks))]


def layer_pairs(
    layer_map: Sequence[Sequence[int]], num_student: int, num_teacher: int, where: str
) -> LayerMap:
    """The map of a recipe; an empty one gives each block of the student the teacher's at the same height.

    Args:
        where: how messages name the place.

    Raises:
        RecipeError: a block that is not there, or a block of the student that stands twice.
    """
    if not layer_map:
        numbers = range(1, num_student + 1)
        return tuple((n, -(-n * num_teacher // num_student)) for n in numbers)
    pairs: list[tuple[int, int]] = []
    for student, teacher in layer_map:
        for who, number, count in (("student", student, num_student), ("teacher", teacher, num_teacher)):
            if not 1 <= number <= count:
                raise RecipeError(f"{where}: the {who} has blocks 1 to {count}, and no block {number}")
        if student in (taken for taken, _ in pairs):
            raise RecipeError(f"{where}: block {student} of the student stands twice")
        pairs.append((student, teacher))
    return tuple(pairs)


@contextmanager
def tapped(network: nn.Module, names: Sequence[str]) -> Iterator[Mapping[str, Tensor]]:
    """Outputs of submodules, by name, as the network's last run inside the ``with`` made them.

    A module that gives several tensors is known by its first. Hooks are gone behind the ``with``, so that
    copies of the network carry none.

    Raises:
        AttributeError: no such submodule.
    """
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            found[name] = output if isinstance(output, Tensor) else output[0]

        return hook

    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


class Projections(nn.Module):
    """Linear maps from the student's widths to the teacher's, one a pair: FitNets' regressors.

    They are trained beside the student and are no part of it.
    """

    def __init__(self, widths: Sequence[tuple[int, int]], seed: int = 0) -> None:
        """``widths`` (student, teacher) of each pair.

        Drawn from ``seed`` alone: a student that is distilled and one that is not draw the same numbers.
        """
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.maps = nn.ModuleList(nn.Linear(ours, theirs) for ours, theirs in widths)

    def forward(self, hidden: Sequence[Tensor]) -> list[Tensor]:
        """(..., C_student) of each pair -> (..., C_teacher)."""
        return [one(x.float()) for one, x in zip(self.maps, hidden, strict=True)]

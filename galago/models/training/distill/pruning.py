"""A student that begins as a part of its teacher: chosen blocks, and in each the heads that matter most.

Blocks next to each other do much the same, so every k-th is a good beginning (Sanh et al. 2019); heads are
judged by how much the loss would notice (:func:`head_importance`). What is left is a smaller network of the
same kind, with the teacher's weights, and not a mask: it is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from galago.models.conformer import Conformer, ConformerConfig
from galago.models.swin import Swin, SwinConfig
from galago.models.training.distill.layers import block_names, spread
from galago.models.training.distill.recipe import PruningRecipe
from galago.models.training.toml_tables import RecipeError
from galago.models.vit import Vit, VitConfig

__all__ = ["Judged", "begin_as_part", "chosen_blocks", "head_importance", "pruned", "thinned_blocks"]

Prunable = Conformer | Swin | Vit
Shape = ConformerConfig | SwinConfig | VitConfig


class _Attention(NamedTuple):
    """One block's attention: the linear map behind its heads, how many there are and how wide."""

    out: str
    num_heads: int
    head_width: int


class Judged(NamedTuple):
    """A batch as :func:`head_importance` wants it: its loss, averaged over ``num_examples``."""

    loss: Tensor
    num_examples: int


def _attentions(network: Prunable) -> list[_Attention]:
    found = []
    for name in block_names(network):
        holder: Any = network.get_submodule(name if isinstance(network, Vit) else f"{name}.attention")
        out = f"{name}.out" if isinstance(network, Vit) else f"{name}.attention.out"
        found.append(_Attention(out, holder.num_heads, holder.head_width))
    return found


@contextmanager
def _gated(network: nn.Module, attentions: Sequence[_Attention]) -> Iterator[dict[str, Tensor]]:
    """A gate of 1 on each head of each row of the batch, as the last run inside the ``with`` had them."""
    gates: dict[str, Tensor] = {}

    def gate(attention: _Attention) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            x = inputs[0]  # (rows, ..., heads * D)
            ones = torch.ones(
                (x.shape[0], *[1] * (x.ndim - 2), attention.num_heads), device=x.device, requires_grad=True
            )
            gates[attention.out] = ones
            return (x * ones.to(x.dtype).repeat_interleave(attention.head_width, dim=-1),)

        return hook

    handles = [network.get_submodule(a.out).register_forward_pre_hook(gate(a)) for a in attentions]
    try:
        yield gates
    finally:
        for handle in handles:
            handle.remove()


def head_importance(
    network: Prunable, batches: Iterable[Any], judge: Callable[[Any], Judged]
) -> list[Tensor]:
    """How much each head matters (Michel et al. 2019, equation 2): I_h = E |dL / d gate_h|, gates being 1.

    The expectation is over examples; windows and tokens of one example are summed first.

    Args:
        network: in evaluation mode.
        batches: at least one. judge: a batch -> :class:`Judged`, through the network.

    Returns:
        (num_heads,) of each block.

    Raises:
        ValueError: no batch.
    """
    attentions = _attentions(network)
    sums = {a.out: torch.zeros(a.num_heads) for a in attentions}
    total = 0
    for batch in batches:
        with torch.enable_grad(), _gated(network, attentions) as gates:
            judged = judge(batch)
        slopes = torch.autograd.grad(judged.loss, [gates[a.out] for a in attentions])
        for attention, slope in zip(attentions, slopes, strict=True):
            each = slope.reshape(judged.num_examples, -1, attention.num_heads).sum(dim=1)
            sums[attention.out] += each.abs().sum(dim=0).cpu() * judged.num_examples  # the loss is a mean
        total += judged.num_examples
    if total == 0:
        raise ValueError("no batch to judge heads by")
    return [sums[a.out] / total for a in attentions]


def thinned_blocks(num_chosen: int, num_layers: int) -> list[int]:
    """Blocks of one stage of a Swin, from 0: evenly, plain windows for plain ones and shifted for shifted.

    >>> thinned_blocks(2, 6), thinned_blocks(3, 6)
    ([0, 5], [0, 3, 4])
    """
    found: list[int] = []
    for number in range(num_chosen):
        ideal = 0.0 if num_chosen == 1 else number * (num_layers - 1) / (num_chosen - 1)
        free = range(found[-1] + 1 if found else 0, num_layers - (num_chosen - 1 - number))
        alike = [i for i in free if i % 2 == number % 2] or list(free)
        found.append(min(alike, key=lambda i: abs(i - ideal)))
    return found


def _swin_blocks(depths: Sequence[int], wanted: Sequence[int], where: str) -> tuple[int, ...]:
    """Blocks for ``wanted`` depths of each stage out of ``depths``, counted from 1 through all stages.

    Raises:
        RecipeError: another number of stages, or more blocks than a stage has.
    """
    if len(depths) != len(wanted) or any(w > d for w, d in zip(wanted, depths, strict=True)):
        raise RecipeError(f"{where}: stages of {list(wanted)} blocks cannot be cut out of {list(depths)}")
    found: list[int] = []
    first = 1
    for depth, number in zip(depths, wanted, strict=True):
        found += [first + i for i in thinned_blocks(number, depth)]
        first += depth
    return tuple(found)


def chosen_blocks(network: Prunable, shape: Shape, asked: Sequence[int], where: str) -> tuple[int, ...]:
    """The blocks of ``network`` that a student of ``shape`` begins with, from 1 through all stages.

    Args:
        asked: of the recipe; empty: evenly spread.
        where: how messages name the place.

    Raises:
        RecipeError: a block that is not there, out of order, of another stage; or not as many as wanted.
    """
    if isinstance(network, Swin) and isinstance(shape, SwinConfig):
        even = _swin_blocks(network.config.depths, shape.depths, where)
    else:
        depth = shape.num_blocks if isinstance(shape, ConformerConfig) else getattr(shape, "depth", 0)
        try:
            even = spread(depth, len(block_names(network)))
        except ValueError as error:
            raise RecipeError(f"{where}: {error}") from error
    if not asked:
        return even
    names = block_names(network)
    if (
        len(asked) != len(even)
        or sorted(set(asked)) != list(asked)
        or not 1 <= asked[0] <= asked[-1] <= len(names)
    ):
        raise RecipeError(
            f"{where}: must be {len(even)} rising numbers from 1 to {len(names)}, got {list(asked)}"
        )
    stages = [[names[i - 1].rpartition(".")[0] for i in chosen] for chosen in (asked, even)]
    if stages[0] != stages[1]:
        raise RecipeError(f"{where}: {list(asked)} are not as many of each stage as the student has")
    return tuple(asked)


def _cut(name: str, value: Tensor, heads: Sequence[int], attention: _Attention) -> Tensor:
    """What is left of a block's parameter; ``name`` is its own within the block."""
    D, H = attention.head_width, attention.num_heads
    rows = torch.tensor([h * D + d for h in heads for d in range(D)])
    part = name.removeprefix("attention.")
    if part.startswith("query_key_value."):
        return value[torch.cat([rows + p * H * D for p in range(3)])] if value.ndim else value
    if part.startswith(("query.", "key.", "value.", "position.")):
        return value[rows]
    if part.startswith("out.") and value.ndim == 2:
        return value[:, rows]
    if part in ("content_bias", "position_bias"):  # the Conformer's (H, 1, D), or Swin's table (.., H)
        return value[list(heads)] if value.ndim == 3 else value[:, list(heads)]
    return value


def pruned(network: Prunable, blocks: Sequence[int], heads: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """The state of a network of the chosen blocks and heads.

    Args:
        blocks: from 1 through all stages, rising. heads: of each of them, from 0, rising.
    """
    names, attentions = block_names(network), _attentions(network)
    state = {
        name: value
        for name, value in network.state_dict().items()
        if not any(name.startswith(f"{block}.") for block in names)
    }
    counts: dict[str, int] = {}
    for block, kept in zip(blocks, heads, strict=True):
        old, attention = names[block - 1], attentions[block - 1]
        stage = old.rpartition(".")[0]
        new = f"{stage}.{counts.setdefault(stage, 0)}"
        counts[stage] += 1
        for name, value in network.get_submodule(old).state_dict().items():
            state[f"{new}.{name}"] = _cut(name, value, kept, attention)
    return state


def begin_as_part(
    student: Prunable,
    source: Prunable,
    recipe: PruningRecipe,
    where: str,
    batches: Iterable[Any],
    judge: Callable[[Any], Judged],
) -> dict[str, Tensor]:
    """The state that a student begins with; see the module's text.

    Args:
        source: the network that is cut. where: how messages name the table of the recipe.
        batches, judge: as :func:`head_importance` wants them; asked only where heads have to go.

    Raises:
        RecipeError: blocks that are not there, more heads than there are, or heads of another width.
    """
    blocks = chosen_blocks(source, student.config, recipe.blocks, f"{where}.blocks")
    theirs = _attentions(source)
    pairs = list(zip(_attentions(student), [theirs[block - 1] for block in blocks], strict=True))
    for mine, other in pairs:
        if mine.head_width != other.head_width:
            raise RecipeError(
                f"{where}: heads of {recipe.weights} are {other.head_width} wide and the student's "
                f"{mine.head_width}; say network.head_width = {other.head_width}"
            )
        if mine.num_heads > other.num_heads:
            raise RecipeError(f"{where}: {mine.num_heads} heads cannot be chosen out of {other.num_heads}")
    heads: list[list[int]] = [list(range(other.num_heads)) for _, other in pairs]
    if any(mine.num_heads < other.num_heads for mine, other in pairs):
        importance = head_importance(source, batches, judge)
        heads = [
            sorted(importance[block - 1].topk(mine.num_heads).indices.tolist())
            for block, (mine, _) in zip(blocks, pairs, strict=True)
        ]
    return pruned(source, blocks, heads)

"""What a student learns from a teacher, whatever they are networks of: answers, hidden states, relations.

Letters: B batch, T tokens, K classes, C width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from galago.models.vit import VitOutput

__all__ = [
    "deit_loss",
    "hard_label_loss",
    "hint_loss",
    "mean_answer",
    "relation_loss",
    "similarity_loss",
    "softened_kl",
]


def mean_answer(logits: Sequence[Tensor], temperature: float) -> Tensor:
    """What several teachers say together: the mean of softmax(logits / temperature).

    Args:
        logits: of each teacher, (..., K).

    Returns:
        probabilities (..., K) in float32.
    """
    return torch.stack([torch.softmax(one.float() / temperature, dim=-1) for one in logits]).mean(dim=0)


def softened_kl(logits: Tensor, taught: Tensor, temperature: float, valid: Tensor | None = None) -> Tensor:
    """temperature^2 * KL(taught || softmax(logits / temperature)) (Hinton et al. 2015, section 2), averaged.

    The square keeps gradients as large as those of true labels, whatever the temperature.

    Args:
        logits: (..., K) of the student.
        taught: (..., K), the teacher's probabilities at the same temperature (:func:`mean_answer`).
        valid: (...) bool, what counts; by default everything. Where nothing does, the loss is 0.
    """
    log_probs = torch.log_softmax(logits.float() / temperature, dim=-1)
    each = F.kl_div(log_probs, taught, reduction="none").sum(dim=-1) * temperature**2
    if valid is None:
        return each.mean()
    return (each * valid).sum() / valid.sum().clamp_min(1)


def hard_label_loss(logits: Tensor, taught: Tensor) -> Tensor:
    """Cross-entropy with the teacher's best class (Touvron et al. 2021, equation 3, second half).

    Args:
        logits: (B, K) of the student, or of its distillation head. taught: (B, K), probabilities or scores.
    """
    return F.cross_entropy(logits.float(), taught.argmax(dim=-1))


def deit_loss(output: VitOutput, targets: Tensor, taught: Tensor) -> Tensor:
    """Half the truth to the class token, half the teacher's label to the distillation token (ibid.).

    Args:
        output: scores of the two heads, (B, K) each (``Vit.forward_heads`` of a distilled network).
        targets: (B, K), rows sum to 1. taught: (B, K) of the teacher.
    """
    truth = F.cross_entropy(output.logits.float(), targets)
    return (truth + hard_label_loss(output.distillation_logits, taught)) / 2


def hint_loss(
    student: Tensor, teacher: Tensor, valid: Tensor | None = None, *, norm: Literal["row", "channel"] = "row"
) -> Tensor:
    """Mean squared distance of hidden states (FitNets: Romero et al. 2015, equation 3).

    The teacher's are normalised to mean 0 and variance 1: layers differ in scale by orders of magnitude, and
    the largest would be all that is learned.

    Args:
        student: (..., C), projected to the teacher's width. teacher: (..., C), no gradient goes there.
        valid: (...) bool, what counts; by default everything.
        norm: over the channels of each row, or, ``"channel"``, each channel over all rows that count: then
            a channel that outgrows all others says no more than they do, and 1 is the loss of a student
            that knows nothing.
    """
    theirs = teacher.detach().float()
    counts = torch.ones(theirs.shape[:-1], device=theirs.device) if valid is None else valid.float()
    num_rows = counts.sum().clamp_min(1)
    if norm == "row":
        target = F.layer_norm(theirs, theirs.shape[-1:])
    else:
        rows = tuple(range(theirs.ndim - 1))
        centred = theirs - (theirs * counts[..., None]).sum(rows) / num_rows
        variance = (centred.square() * counts[..., None]).sum(rows) / num_rows
        target = centred * torch.rsqrt(variance + 1e-5)
    each = (student.float() - target).square().mean(dim=-1)
    return (each * counts).sum() / num_rows


def _relations(x: Tensor, num_heads: int, valid: Tensor) -> Tensor:
    """log softmax of x x^T / sqrt(D) in each relation head, (B, num_heads, T, T)."""
    heads = x.float().reshape(*x.shape[:2], num_heads, -1).transpose(1, 2)  # (B, H, T, D)
    scores = heads @ heads.transpose(-2, -1) / math.sqrt(heads.shape[-1])
    return torch.log_softmax(scores.masked_fill(~valid[:, None, None], -1e4), dim=-1)


def relation_loss(student: Tensor, teacher: Tensor, valid: Tensor, num_heads: int) -> Tensor:
    """How differently tokens look at one another (MiniLMv2: Wang et al. 2021).

    Queries, keys or values of a layer are cut into as many relation heads on both sides, so that neither
    width nor number of heads must agree; the loss is KL(teacher || student) of softmax(x x^T / sqrt(D)),
    averaged over heads and queries.

    Args:
        student: (B, T, C). teacher: (B, T, C'). valid: (B, T) bool.
        num_heads: must divide C and C'.
    """
    ours = _relations(student, num_heads, valid)
    with torch.no_grad():
        theirs = _relations(teacher, num_heads, valid)
    each = (theirs.exp() * (theirs - ours)).sum(dim=-1).mean(dim=1)  # (B, T)
    return (each * valid).sum() / valid.sum().clamp_min(1)


def similarity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Which examples of a batch are alike (similarity-preserving: Tung and Mori 2019).

    ||G_s - G_t||^2 / B^2 with G the products of all pairs of examples, rows brought to length 1. Widths and
    resolutions need not agree.

    Args:
        student: (B, ...). teacher: (B, ...).
    """

    def alike(x: Tensor) -> Tensor:
        flat = x.float().flatten(1)
        return F.normalize(flat @ flat.T, dim=1)

    with torch.no_grad():
        theirs = alike(teacher)
    return (alike(student) - theirs).square().mean()

"""What an ear is trained by: phones frame by frame, CTC of phones and tokens, agreement of two views."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from galago.models.conformer import EarOutput
from galago.models.training.ear.batches import IGNORED, Batch
from galago.models.training.ear.recipe import LossRecipe

__all__ = ["Disagreement", "Losses", "disagreement", "losses"]


class Disagreement(NamedTuple):
    """How far two views of the same utterances are from each other, per label, as CTC is counted."""

    phones: Tensor
    tokens: Tensor


class Losses(NamedTuple):
    total: Tensor
    phone_frames: Tensor
    phone_ctc: Tensor
    token_ctc: Tensor
    phone_accuracy: Tensor  # of the aligned tokens, [0, 1]


def losses(output: EarOutput, batch: Batch, weights: LossRecipe) -> Losses:
    """Frame-wise cross-entropy and CTC of the phones, CTC of the tokens, and their weighted sum."""
    phone_logits, token_logits = output.phone_logits.float(), output.token_logits.float()
    targets = batch.phone_frames
    known = targets != IGNORED
    # A sum over a count that is never 0: in a batch where nothing is aligned, a mean would be NaN.
    each_frame = F.cross_entropy(
        phone_logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    phone_frames = each_frame / known.sum().clamp_min(1)
    accuracy = ((phone_logits.argmax(-1) == targets) & known).sum() / known.sum().clamp_min(1)

    def ctc(logits: Tensor, labels: Tensor, num_labels: Tensor, use: Tensor) -> Tensor:
        log_probs = torch.log_softmax(logits, dim=-1).transpose(0, 1)
        each = F.ctc_loss(
            log_probs, labels, output.num_tokens, num_labels, reduction="none", zero_infinity=True
        )
        # Per label, with a floor so that an utterance without labels (noise) still counts.
        return (each / num_labels.clamp_min(4) * use).sum() / use.sum().clamp_min(1)

    phone_ctc = ctc(phone_logits, batch.phones, batch.num_phones, batch.has_phones)
    token_ctc = ctc(token_logits, batch.tokens, batch.num_tokens, batch.has_tokens)
    total = (
        weights.phone_frames * phone_frames + weights.phone_ctc * phone_ctc + weights.token_ctc * token_ctc
    )
    return Losses(total, phone_frames, phone_ctc, token_ctc, accuracy)


def disagreement(one: EarOutput, other: EarOutput, batch: Batch) -> Disagreement:
    """Consistency regularisation (Yao et al. 2024, "CR-CTC"): at each token, the mean of both directions of
    KL(target || answer), where the target is the other view's distribution and gets no gradient.
    Summed over tokens and divided by the labels, as the CTC losses are.

    Where one view hears the whole utterance and the other goes chunk by chunk, this is also dual-mode
    training (Yu et al. 2020): the streaming ear learns what the one that knows the future would say.
    """
    positions = torch.arange(one.token_logits.shape[1], device=one.num_tokens.device)
    valid = positions[None, :] < one.num_tokens[:, None]
    # Where it is not known what is said, a label in two tokens is a fair guess.
    num_labels = torch.where(batch.has_tokens, batch.num_tokens, one.num_tokens // 2).clamp_min(4)

    def apart(a: Tensor, b: Tensor) -> Tensor:
        log_a, log_b = torch.log_softmax(a.float(), -1), torch.log_softmax(b.float(), -1)
        target_a, target_b = log_a.detach(), log_b.detach()
        each = (target_a.exp() * (target_a - log_b) + target_b.exp() * (target_b - log_a)).sum(-1) / 2
        return ((each * valid).sum(-1) / num_labels).mean()

    # The phones are compared in every utterance: no alignment is needed to agree.
    return Disagreement(
        apart(one.phone_logits, other.phone_logits), apart(one.token_logits, other.token_logits)
    )

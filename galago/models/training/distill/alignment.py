"""CTC posteriors of a teacher for a student with other frames and another delay.

Two obstacles stand between CTC networks. Their rows may come at different rates: 50 a second from wav2vec
2.0, 25 from the Conformer. And their *spikes* stand at different times: who hears the whole utterance names
a character early, who hears a stream waits until it is sure. Frame by frame a student would be taught to say
what it cannot know yet::

    teacher, full context    . t . . h e . . c a . t .
    student, streaming       . . . t . . h e . . c a . t      two tokens later

So the teacher's rows are brought to the student's tokens (:class:`RowClock`), and compared at the delay that
fits best (:func:`delayed_kl`); or only its spikes count (:func:`guided_loss`), or only what was said
(:func:`sampled_labels`, :func:`sequence_loss`). Letters: B utterances, T tokens of the student, R rows of the
teacher, V characters. Index 0 is the blank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "WAV2VEC2_CLOCK",
    "DelayedKl",
    "RowClock",
    "delayed_kl",
    "guided_loss",
    "means_on_tokens",
    "rows_exist",
    "sampled_labels",
    "sequence_loss",
    "spikes_on_tokens",
]


@dataclass(frozen=True)
class RowClock:
    """When a network's rows hear: row i is centred on sample ``first_samples + i * step_samples``."""

    first_samples: int
    step_samples: int

    def rows_of(self, num_tokens: int, other: RowClock) -> Tensor:
        """The rows of ``other`` that lie nearest to each token of this clock.

        Returns:
            (num_tokens, r) int64 row numbers, -1 where a token has fewer than r.

        Raises:
            ValueError: the other clock is slower, so that some tokens had no row.
        """
        if other.step_samples > self.step_samples:
            raise ValueError(f"rows every {other.step_samples} samples are too few for {self.step_samples}")
        begin = self.first_samples - self.step_samples // 2 + self.step_samples * torch.arange(num_tokens)
        first = -torch.div(other.first_samples - begin, other.step_samples, rounding_mode="floor")
        most = -(-self.step_samples // other.step_samples)
        rows = first[:, None] + torch.arange(most)
        centre = other.first_samples + rows * other.step_samples
        inside = (centre >= begin[:, None]) & (centre < begin[:, None] + self.step_samples) & (rows >= 0)
        return torch.where(inside, rows, -1)


#: Rows of seven convolutions: 400 samples, 320 apart.
WAV2VEC2_CLOCK = RowClock(200, 320)


def rows_exist(table: Tensor, num_rows: Tensor) -> Tensor:
    """Which tokens have a row by a table (T, r) of :meth:`RowClock.rows_of`, (B, T) bool."""
    return _exist(table, num_rows).any(dim=-1)


def _exist(table: Tensor, num_rows: Tensor) -> Tensor:
    table = table.to(num_rows.device)
    return (table >= 0)[None] & (table[None] < num_rows[:, None, None])


def _gathered(rows: Tensor, table: Tensor, num_rows: Tensor) -> tuple[Tensor, Tensor]:
    """(B, R, C) by a table (T, r) -> (B, T, r, C), and which of them exist, (B, T, r) bool."""
    table = table.to(rows.device)
    return rows[:, table.clamp(0, rows.shape[1] - 1)], _exist(table, num_rows)


def spikes_on_tokens(probs: Tensor, table: Tensor, num_rows: Tensor) -> Tensor:
    """Posteriors (B, R, V) on the student's tokens, (B, T, V): of a token's rows that with the least blank.

    A mean would halve each spike. What is lost is a second character within one token.
    """
    found, exists = _gathered(probs, table, num_rows)
    blank = found[..., 0].masked_fill(~exists, 2.0)
    best = blank.argmin(dim=-1)
    return found.gather(2, best[..., None, None].expand(-1, -1, 1, probs.shape[-1]))[:, :, 0]


def means_on_tokens(hidden: Tensor, table: Tensor, num_rows: Tensor) -> Tensor:
    """Hidden states (B, R, C) on the student's tokens, (B, T, C): the mean of a token's rows."""
    found, exists = _gathered(hidden, table, num_rows)
    weights = exists[..., None].to(hidden.dtype)
    return (found * weights).sum(dim=2) / weights.sum(dim=2).clamp_min(1.0)


class DelayedKl(NamedTuple):
    loss: Tensor  # (), mean over utterances
    delay_tokens: Tensor  # (), the mean of the delays that were chosen


def delayed_kl(
    logits: Tensor, taught: Tensor, valid: Tensor, *, temperature: float, max_delay_tokens: int
) -> DelayedKl:
    """KL(teacher || student) where the student may be late (after Kurata and Audhkhasi 2018, Li et al. 2025).

    For each delay d from 0 to ``max_delay_tokens`` the student's row t is compared with the teacher's t - d;
    of each utterance the delay with the least loss counts::

        L = mean over utterances of  min over d of  mean over t of  tau^2 KL(q[t - d] || p[t])

    The first d rows, before the teacher began, are not compared.

    Args:
        logits: (B, T, V) of the student. taught: (B, T, V), the teacher's probabilities at ``temperature``.
        valid: (B, T) bool, tokens that both have heard.
    """
    log_probs = torch.log_softmax(logits.float() / temperature, dim=-1)
    # The teacher's own part of the divergence moves with it.
    entropy = torch.xlogy(taught, taught).sum(dim=-1)
    T, losses = logits.shape[1], []
    for delay in range(min(max_delay_tokens, T - 1) + 1):
        late, told, ends = log_probs[:, delay:], taught[:, : T - delay], valid[:, delay:]
        inside = ends & valid[:, : T - delay]
        each = entropy[:, : T - delay] - (told * late).sum(dim=-1)
        mean = (each * inside).sum(dim=1) / inside.sum(dim=1).clamp_min(1)
        # An utterance that is shorter than the delay has no loss there, and must not be tempted by that.
        losses.append(mean.masked_fill(~inside.any(dim=1) & (delay > 0), torch.inf))
    least, delays = torch.stack(losses).min(dim=0)
    return DelayedKl(least.mean() * temperature**2, delays.float().mean())


def guided_loss(logits: Tensor, taught: Tensor, valid: Tensor, *, max_delay_tokens: int) -> Tensor:
    """Guided CTC (Kurata and Audhkhasi 2019): be sure where, or soon after, the teacher is.

    Each row in which the teacher's best symbol is no blank asks for that symbol within the next
    ``max_delay_tokens``; the loss is 1 - the student's best probability of it there, averaged over such rows.

    Args:
        logits, taught: (B, T, V). valid: (B, T) bool, tokens that both have heard.
    """
    probs = torch.softmax(logits.float(), dim=-1)
    T, best = logits.shape[1], taught.argmax(dim=-1)
    spikes = (best != 0) & valid
    heard = []
    for delay in range(min(max_delay_tokens, T - 1) + 1):
        said = probs[:, delay:].gather(2, best[:, : T - delay, None])[..., 0]
        heard.append(F.pad(said * valid[:, delay:], (0, delay)))
    missing = 1.0 - torch.stack(heard).amax(dim=0)
    return (missing * spikes).sum() / spikes.sum().clamp_min(1)


def sampled_labels(probs: Tensor, num_rows: Tensor) -> tuple[Tensor, Tensor]:
    """What the teacher may have heard: a label sequence of each utterance, drawn from its P(labels | sound).

    CTC's rows are independent of one another given the sound, so a path is drawn row by row; repeats and
    blanks taken out (Graves et al. 2006, equation 3), it is an exact draw from the sum over all paths.
    Random numbers come from torch's own generator of the device.

    Args:
        probs: (B, R, V) at temperature 1, at the teacher's own rate. num_rows: (B,) valid rows.

    Returns:
        (sum of lengths,) int64 labels and (B,) lengths, as ``ctc_loss`` takes them.
    """
    B, R, V = probs.shape
    path = torch.multinomial(probs.reshape(-1, V), 1).reshape(B, R)
    valid = torch.arange(R, device=probs.device)[None] < num_rows[:, None]
    begins = torch.ones_like(valid)
    begins[:, 1:] = path[:, 1:] != path[:, :-1]
    kept = begins & valid & (path != 0)
    return path[kept], kept.sum(dim=1)


def sequence_loss(logits: Tensor, num_tokens: Tensor, labels: Tensor, num_labels: Tensor) -> Tensor:
    """CTC with label sequences that a teacher drew, per label: with many draws -E_P_teacher[log P_student].

    Sequence-level distillation (Takashima et al. 2019) without its list of hypotheses. No row is aligned
    with any other, so neither rates nor delays matter.

    Args:
        logits: (B, T, V). num_tokens: (B,) valid rows. labels, num_labels: of :func:`sampled_labels`.
    """
    log_probs = torch.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    each = F.ctc_loss(log_probs, labels, num_tokens, num_labels, reduction="none", zero_infinity=True)
    return (each / num_labels.clamp_min(4)).mean()

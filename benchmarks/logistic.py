"""Logistic regression with a few features, by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_MAX_ITERATIONS = 100
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class LogisticModel:
    """P(true) = 1 / (1 + exp(-(bias + features @ weights))), in the units of the features."""

    bias: float
    weights: Array  # (num_features,)

    def probability(self, features: Array) -> Array:
        """(num_rows, num_features) -> (num_rows,) in [0, 1]."""
        logits: Array = self.bias + features @ self.weights
        probability: Array = 1.0 / (1.0 + np.exp(-np.clip(logits, -500.0, 500.0)))
        return probability


def fit_logistic(features: Array, labels: npt.NDArray[np.bool_], ridge: float = 1e-3) -> LogisticModel:
    """The likeliest model of ``labels`` (num_rows,) given ``features`` (num_rows, num_features).

    ``ridge``, a row, holds the weights of standardised features finite where the labels are separable.

    Raises:
        ValueError: the labels are all alike, so that there is nothing to tell apart.
    """
    if labels.all() or not labels.any():
        raise ValueError(f"all of {len(labels)} labels are {bool(labels[:1].any())}: nothing to fit")
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)
    inputs = np.column_stack([(features - mean) / scale, np.ones(len(features))])
    penalty = np.full(inputs.shape[1], ridge * len(features))
    penalty[-1] = 0.0  # of the bias
    solution = np.zeros(inputs.shape[1])
    for _ in range(_MAX_ITERATIONS):
        predicted = 1.0 / (1.0 + np.exp(-np.clip(inputs @ solution, -30.0, 30.0)))
        gradient = inputs.T @ (predicted - labels) + penalty * solution
        curvature = (inputs * (predicted * (1.0 - predicted))[:, None]).T @ inputs + np.diag(penalty)
        change = np.linalg.solve(curvature, gradient)
        solution -= change
        if np.abs(change).max() < _TOLERANCE:
            break
    weights = solution[:-1] / scale
    return LogisticModel(float(solution[-1] - weights @ mean), weights)

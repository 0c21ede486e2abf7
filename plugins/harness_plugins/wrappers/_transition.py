"""The noise transition matrix, from the labels of rows and neighbours.

Zhu, Song, Liu: Clusterability as an Alternative to Anchor Points When Learning with Noisy Labels (HOC), ICML 2021.
"""

from dataclasses import dataclass

import numpy as np

MAX_STEPS, TOLERANCE = 2_000, 1e-5  # of the fit; the largest change of T in its last step
START = 5.0  # logits of the first T: 4 on the diagonal, -1 beside it


@dataclass(frozen=True, eq=False)
class Transition:
    """P(given class | true class) as rows of `T`, and the true shares."""

    T: np.ndarray  # (K, K), rows sum to 1
    prior: np.ndarray  # (K,) shares of the true classes
    settled: bool  # the fit had converged

    @property
    def error_rates(self) -> np.ndarray:
        """The (K,) shares of wrong labels among those given as each class."""
        joint = self.prior[:, None] * self.T  # (K, K) P(true, given)
        given = joint.sum(axis=0)
        return 1 - np.divide(np.diag(joint), given, out=np.ones_like(given), where=given > 0)

    @property
    def noise_rate(self) -> float:
        """The share of wrong labels."""
        return 1 - float(self.prior @ np.diag(self.T))


def fit_transition(labels: np.ndarray, n_classes: int) -> Transition:
    """Fit a `Transition` to `labels` (n, 3) of rows and two neighbours.

    The model is that of HOC: the three share one true class, and each label is drawn by T alone. It is fitted to the
    counts of label triples (the consensus of order 3, whose margins are those of order 2 and 1) by maximum likelihood:
    expectation maximisation from a T near identity, since T is only determined up to an order of the true classes.
    """
    patterns, count = np.unique(np.sort(labels, axis=1), axis=0, return_counts=True)
    votes = (patterns[:, :, None] == np.arange(n_classes)).sum(axis=1).astype(np.float64)  # (P, K)
    T = np.exp(START * np.eye(n_classes) - 1)
    T /= T.sum(axis=1, keepdims=True)
    prior = np.bincount(labels[:, 0], minlength=n_classes) / len(labels)
    change = np.inf
    for _ in range(MAX_STEPS):
        log_joint = np.log(np.maximum(prior, 1e-300)) + votes @ np.log(np.maximum(T, 1e-300)).T  # (P, K)
        true = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
        true *= (count / true.sum(axis=1))[:, None]  # rows of each pattern by true class
        prior = true.sum(axis=0) / len(labels)
        total = 3 * true.sum(axis=0)[:, None]
        before, T = T, np.divide(true.T @ votes, total, out=np.eye(n_classes), where=total > 0)
        change = float(np.abs(T - before).max())
        if change < TOLERANCE:
            break
    return Transition(T, prior, change < TOLERANCE)

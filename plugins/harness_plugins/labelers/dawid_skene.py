"""Dawid and Skene's model: a confusion matrix for each rater, by EM.

Dawid, Skene: Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm, Applied Statistics, 1979.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from harness import Predictions, RaterLabels, Task, hookimpl
from harness_plugins._ranges import demand
from harness_plugins._raters import Patterns, find_patterns, gold_labels, labels_of_raters, raters_table

TINY = 1e-10  # the least probability of a label, so that one answer alone rules no class out for good
START_ROWS = 5  # a class, that the majority vote counts for in the first step where labels are known
TOLERANCE = 1e-5  # of the posteriors, at which EM stops


@dataclass(frozen=True)
class DawidSkene:
    """Posterior of the true class, given a confusion matrix for each rater.

    It needs raters on all rows. Confusion matrices and class shares are fitted by EM to the raters of all rows, from
    the majority vote on; rows without a rater get the class shares. With `band` a rater has, beside the classes that
    near the true one, one rate for all that are farther off.
    """

    name: ClassVar[str] = "dawid_skene"
    transductive: ClassVar[bool] = True

    gold: Literal["fixed", "evidence", "ignore"] = "fixed"  # labels of labelled rows: true, one more rater, or unused
    band: int | None = None  # of ordered classes: how far off the labels are that have rates of their own
    smoothing: float = 3.0  # labels in the raters' common proportions that are added to each row of a rater's matrix
    max_iter: int = 1_000  # EM steps

    def __post_init__(self) -> None:
        demand(
            self,
            ("band", self.band is None or self.band >= 0, "at least 0"),
            ("smoothing", np.isfinite(self.smoothing) and self.smoothing >= 0, "a number of at least 0"),
            ("max_iter", self.max_iter >= 1, "at least 1"),
        )

    @property
    def needs_order(self) -> bool:
        return self.band is not None

    def label(self, task: Task) -> Predictions:
        labels, gold = labels_of_raters(task), gold_labels(task, labels_of_raters(task).n_rows)
        unknown = np.full(len(gold), -1)
        if self.gold == "evidence":
            labels = with_rater(labels, gold)
        patterns = find_patterns(labels, gold if self.gold == "fixed" else unknown, task.n_classes)
        posterior, confusion, prior, settled = self.fit(patterns, task.n_classes)
        accuracy = np.einsum("rcc,c->r", confusion, prior)
        given = np.bincount(labels.raters, minlength=labels.n_raters)
        facts = {
            "settled": settled,
            "patterns": len(patterns.weight),
            "tables": {"Raters": raters_table(given, "Estimated accuracy", accuracy)},
        }
        return Predictions(posterior[patterns.of_row[task.to_label]], facts)

    def fit(self, patterns: Patterns, n_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Return posterior (u, C), confusion (R, C, C), prior (C,), settled.

        A confusion matrix has the rater's label first, then the true class.
        """
        answered = patterns.one_hot(n_classes)  # (u, R * C)
        empty = (patterns.answers.counts(n_classes).sum(axis=1) == 0) & (patterns.gold < 0)
        weight = np.where(empty, 0.0, patterns.weight)[:, None]  # what says nothing teaches nothing
        posterior = fix_gold(start_posterior(patterns, n_classes), patterns.gold)
        settled = False
        of_step = start_weight(patterns, weight, n_classes)
        for _ in range(self.max_iter):
            counts = (answered.T @ (of_step * posterior)).reshape(-1, n_classes, n_classes)
            confusion = self.estimate(counts)
            prior = (of_step * posterior).sum(axis=0) + TINY
            of_step = weight
            prior /= prior.sum()
            score = answered @ np.log(confusion).reshape(-1, n_classes) + np.log(prior)
            updated = fix_gold(softmax(score), patterns.gold)
            change = np.abs(updated - posterior).max()
            posterior = updated
            if change < TOLERANCE:
                settled = True
                break
        return posterior, confusion, prior, settled

    def estimate(self, counts: np.ndarray) -> np.ndarray:
        """Return confusion (R, C, C) from expected counts (R, C, C)."""
        n_classes = counts.shape[1]
        common = counts.sum(axis=0) + TINY
        smoothed = counts + self.smoothing * common / common.sum(axis=0)
        if self.band is not None:
            smoothed = pool_far_labels(smoothed, self.band)
        total = smoothed.sum(axis=1, keepdims=True)
        confusion = np.divide(smoothed, total, out=np.full_like(smoothed, 1 / n_classes), where=total > TINY)
        return np.maximum(confusion, TINY)


def pool_far_labels(counts: np.ndarray, band: int) -> np.ndarray:
    """Return (R, C, C) counts with labels beyond the band at one rate.

    The rate is a rater's share of such labels among all; it is the same for each true class that has labels so far off,
    and for each of these labels.
    """
    C = counts.shape[1]
    is_far = np.abs(np.arange(C)[:, None] - np.arange(C)) > band  # (label, truth)
    of_truth = counts.sum(axis=1, keepdims=True)  # (R, 1, C)
    could_be_far = (of_truth * is_far.sum(axis=0)).sum(axis=2, keepdims=True)  # (R, 1, 1)
    far = (counts * is_far).sum(axis=(1, 2), keepdims=True)
    rate = np.divide(far, could_be_far, out=np.zeros_like(far), where=could_be_far > 0)
    near = np.where(is_far, 0.0, counts)
    near_total = near.sum(axis=1, keepdims=True)
    share = np.divide(near, near_total, out=np.zeros_like(near), where=near_total > 0)
    kept = np.maximum(1 - rate * is_far.sum(axis=0), 0.0)  # (R, 1, C)
    return of_truth * np.where(is_far, rate, share * kept)


def start_posterior(patterns: Patterns, n_classes: int) -> np.ndarray:
    """Return (u, C) vote shares; those of all votes where there is none."""
    votes = patterns.answers.counts(n_classes).astype(np.float64)
    number = votes.sum(axis=1, keepdims=True)
    all_votes = (patterns.weight[:, None] * votes).sum(axis=0) + TINY
    return np.where(number > 0, votes / np.maximum(number, 1), all_votes / all_votes.sum())


def start_weight(patterns: Patterns, weight: np.ndarray, n_classes: int) -> np.ndarray:
    """Return (u, 1) weights of the patterns in the first step.

    Where there is gold, it decides: raters who are mostly wrong would else turn the classes round.
    """
    is_known = (patterns.gold >= 0)[:, None]
    voted = weight[~is_known].sum()
    share = min(1.0, START_ROWS * n_classes / voted) if is_known.any() and voted > 0 else 1.0
    return np.where(is_known, weight, share * weight)


def fix_gold(posterior: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Return the posterior (u, C), certain where there is gold (u,)."""
    is_known = gold >= 0
    posterior[is_known] = np.eye(posterior.shape[1])[gold[is_known]]
    return posterior


def with_rater(labels: RaterLabels, gold: np.ndarray) -> RaterLabels:
    """Return the labels with those of gold (N,) as one more rater."""
    rows = np.flatnonzero(gold >= 0)
    return RaterLabels(
        np.concatenate([labels.rows, rows]),
        np.concatenate([labels.raters, np.full(len(rows), labels.n_raters)]),
        np.concatenate([labels.labels, gold[rows]]),
        labels.n_rows,
        labels.n_raters + 1,
    )


def softmax(score: np.ndarray) -> np.ndarray:
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


@hookimpl
def harness_labelers():
    return [DawidSkene]

"""What data and splits alone say: class shares, the raters' agreement, supports and weights, by the names of a
reference file."""

from collections.abc import Callable
from math import isclose
from typing import Any

import numpy as np

from harness.data.raters import consensus, fuse_labels
from harness.run.blocks import open_block
from harness.run.plan import EvaluationSplit
from harness.run.runner import Run
from harness.search.label_agreement import Neighborhood, diagnose
from harness.suite.reference import PublishedNumber

FUSIONS = ("majority", "median")
DIAGNOSED_NEIGHBORS = 50  # as the record's kNN has by default; its diagnosis does not say


class NoOwnNumber(Exception):  # noqa: N818 - a reason, not an error
    """There is no number of ours; its text says why."""


class ReferenceData:
    """Counts the rows of one suite."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.cuts = list(dict.fromkeys(cell.evaluation for cell in run.cells))
        self.diagnosed: dict[str, Neighborhood] = {}  # by block

    def of(self, row: PublishedNumber) -> float | None:
        """Return our number; None where the row speaks of a labeler. Raises Missing."""
        dataset = self.run.dataset
        how = row.method.removesuffix("_fusion")
        if (row.method, row.metric) == ("class_prior", "share"):
            return float((dataset.y == self._class(row)).mean())
        if row.method == "annotator_agreement":
            return self._agreement(row.metric)
        if row.method == "embedding_diagnosis":
            return self._diagnosis(row)
        if how in FUSIONS and row.metric in ("share_before", "share_after"):
            marks = self._rater_labels()
            labels = marks[:, 0] if row.metric == "share_before" else fuse_labels(marks, how)
            return float((labels == self._class(row)).mean())
        if row.metric == "repetition":
            rows = dataset.items.rows[dataset.labelled[dataset.y == self._class(row)]]
            return len(rows) / len(np.unique(rows)) if len(rows) else None
        if (row.method, row.metric) == ("test_support", "n_test"):
            return self._mean_over_splits(row, lambda evaluation: self._counts(evaluation.split.test)[self._class(row)])
        if (row.method, row.metric) == ("class_weight", "weight"):
            return self._mean_over_splits(row, lambda evaluation: self._weights(evaluation)[self._class(row)])
        return None

    def _class(self, row: PublishedNumber) -> int:
        if row.label_class is None or row.label_class >= self.run.dataset.n_classes:
            raise NoOwnNumber(f"the suite has no class {'' if row.label_class is None else row.label_class}".rstrip())
        return row.label_class

    def _rater_labels(self) -> Any:
        """Return (n, R) labels of the raters, the first of whom the record calls GPT."""
        suite, marks = self.run.suite, self.run.dataset.raters
        if marks is None:
            raise NoOwnNumber("the suite names no raters")
        if not isinstance(suite.data.target, str) and suite.data.target.fuse == "consensus":
            raise NoOwnNumber("a consensus target leaves out the rows on which the raters differ")
        return marks

    def _agreement(self, metric: str) -> float:
        marks = self._rater_labels()
        names = [name.removesuffix("_scores") for name in self.run.suite.data.raters]
        columns = {name: marks[:, i] for i, name in enumerate(names)} | {
            how: fuse_labels(marks, how) for how in FUSIONS
        }
        pair = metric.split("==")
        if len(pair) == 2 and set(pair) <= set(columns):
            return float((columns[pair[0]] == columns[pair[1]]).mean())
        if metric == "at_least_two":
            return float(consensus(marks).mean())
        if metric == "all_three" and marks.shape[1] == 3:
            return float((marks == marks[:, :1]).all(axis=1).mean())
        raise NoOwnNumber(f"the raters of the suite ({', '.join(names)}) do not tell {metric}")

    def _diagnosis(self, row: PublishedNumber) -> float:
        dataset, recipes = self.run.dataset, self.run.recipes
        if row.metric == "random_label_match":
            return float((np.bincount(dataset.y) ** 2).sum() / len(dataset.y) ** 2)
        if row.metric not in ("mean_neighbour_cosine", "neighbour_label_match"):
            raise NoOwnNumber(f"{row.metric} is not measured")
        name = next((name for name in row.inputs if name in recipes), None)
        if name is None:
            raise NoOwnNumber(f"the suite has no block called {' or '.join(row.inputs)}")
        if not self.run.is_made(name):
            raise NoOwnNumber(f"the block {name} is not made yet: `harness diagnose` makes it")
        if name not in self.diagnosed:
            block = open_block(recipes[name], self.run.cache)
            copies = dataset.items.rows[dataset.labelled]
            groups = diagnose(block, dataset.labelled, dataset.y, copies, None, DIAGNOSED_NEIGHBORS, lambda done: None)
            self.diagnosed[name] = groups[0]
        found = self.diagnosed[name]
        return found.cosine if row.metric == "mean_neighbour_cosine" else found.match

    def _counts(self, rows: Any) -> Any:
        dataset = self.run.dataset
        return np.bincount(dataset.y[dataset.positions(rows)], minlength=dataset.n_classes)

    def _weights(self, evaluation: EvaluationSplit) -> Any:
        """Return (C,) class weights of a train set: inverse frequency, scaled to the sum C; 0 for an absent class."""
        counts = self._counts(evaluation.split.train).astype(float)
        inverse = np.divide(1, counts, out=np.zeros_like(counts), where=counts > 0)
        return inverse / inverse.sum() * len(counts)

    def _mean_over_splits(self, row: PublishedNumber, measure: Callable[[EvaluationSplit], float]) -> float:
        comparison = comparison_of([evaluation for evaluation in self.cuts if matches_ratio(evaluation, row)], row)
        return float(np.mean([measure(evaluation) for evaluation in self.cuts if evaluation.comparison == comparison]))


def matches_ratio(evaluation: EvaluationSplit, row: PublishedNumber) -> bool:
    """Say whether a split has the ratio that a row names; every split has where it names none."""
    return row.ratio is None or (evaluation.split.ratio is not None and isclose(evaluation.split.ratio, row.ratio))


def comparison_of(evaluations: list[EvaluationSplit], row: PublishedNumber) -> str:
    """Return the comparison that the row belongs to: the first with its ratio, the only one where it names none."""
    titles = list(dict.fromkeys(evaluation.comparison for evaluation in evaluations))
    if not titles:
        raise NoOwnNumber(f"no split of this suite has the ratio {row.ratio:g}")
    if row.ratio is None and len(titles) > 1:
        raise NoOwnNumber("the reference names no ratio, and the suite has several")
    return titles[0]

"""Numbers of a reference file that are counted on data and splits alone.

Six kinds of row need no labeler: class shares, agreement of raters, the diagnosis of an embedder, repeated rows,
supports of the test rows and class weights.
"""

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
DIAGNOSED_NEIGHBORS = 50  # as the record's kNN has by default; the record does not state its number


class NoOwnNumber(Exception):  # noqa: N818 - a reason, not an error
    """The reason why there is no number of ours."""


class ReferenceData:
    """Counts of the rows of one suite."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.evaluations = list(dict.fromkeys(cell.evaluation for cell in run.cells))
        self.neighborhoods: dict[str, Neighborhood] = {}  # by block

    def of(self, row: PublishedNumber) -> float | None:
        """Return our number, None for a row about a labeler.

        Raises NoOwnNumber where the suite lacks what is counted.
        """
        dataset = self.run.dataset
        if row.method == "class_prior":
            labels = dataset.y if row.metric == "share" else self._labels(row.metric)
            return float((labels == self._class(row)).mean())
        if row.method == "annotator_agreement":
            return self._agreement(row.metric)
        if row.method == "embedding_diagnosis":
            return self._diagnosis(row)
        if row.metric == "repetition":
            rows = dataset.items.rows[dataset.labelled[dataset.y == self._class(row)]]
            return len(rows) / len(np.unique(rows)) if len(rows) else None
        if (row.method, row.metric) == ("test_support", "n_test"):
            return self._mean_over_splits(
                row, lambda evaluation: self._counts(evaluation, evaluation.split.test)[self._class(row)]
            )
        if (row.method, row.metric) == ("class_weight", "weight"):
            return self._mean_over_splits(row, lambda evaluation: self._weights(evaluation)[self._class(row)])
        return None

    def _class(self, row: PublishedNumber) -> int:
        if row.label_class is None or row.label_class >= self.run.dataset.n_classes:
            raise NoOwnNumber(f"the suite has no class {'' if row.label_class is None else row.label_class}".rstrip())
        return row.label_class

    def _rater_labels(self) -> Any:
        """Return (n, R) labels of the raters."""
        suite, labels = self.run.suite, self.run.dataset.raters
        if labels is None:
            raise NoOwnNumber("the suite names no raters")
        if not isinstance(suite.data.target, str) and suite.data.target.fuse == "consensus":
            raise NoOwnNumber("a consensus target leaves out the rows on which the raters differ")
        return labels

    def _label_columns(self) -> dict[str, Any]:
        """Return name -> (n,) labels of each rater and of each fusion."""
        labels = self._rater_labels()
        raters = {name: labels[:, i] for i, name in enumerate(self.run.suite.data.listed_raters)}
        return raters | {how: fuse_labels(labels, how) for how in FUSIONS}

    def _labels(self, metric: str) -> Any:
        """Return the (n,) labels that `share[median]` or `share[COLUMN]` is of."""
        columns = self._label_columns()
        column = metric.removeprefix("share[").removesuffix("]")
        if column not in columns:
            raise NoOwnNumber(f"the suite has no rater {column}")
        return columns[column]

    def _agreement(self, metric: str) -> float:
        labels, columns = self._rater_labels(), self._label_columns()
        pair = metric.split("==")
        if len(pair) == 2 and set(pair) <= set(columns):
            return float((columns[pair[0]] == columns[pair[1]]).mean())
        if metric == "at_least_two":
            return float(consensus(labels).mean())
        if metric == "all_three" and labels.shape[1] == 3:
            return float((labels == labels[:, :1]).all(axis=1).mean())
        raise NoOwnNumber(
            f"the raters of the suite ({', '.join(self.run.suite.data.listed_raters)}) do not give {metric}"
        )

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
        if name not in self.neighborhoods:
            block = open_block(recipes[name], self.run.cache)
            rows = dataset.items.rows[dataset.labelled]
            groups = diagnose(block, dataset.labelled, dataset.y, rows, None, DIAGNOSED_NEIGHBORS, lambda done: None)
            self.neighborhoods[name] = groups[0]
        neighborhood = self.neighborhoods[name]
        return neighborhood.cosine if row.metric == "mean_neighbour_cosine" else neighborhood.match

    def _counts(self, evaluation: EvaluationSplit, rows: Any) -> Any:
        """Return the (C,) numbers of rows of each class."""
        dataset = self.run.dataset.cut_by(evaluation.split.train)
        return np.bincount(dataset.y[dataset.positions(rows)], minlength=dataset.n_classes)

    def _weights(self, evaluation: EvaluationSplit) -> Any:
        """Return (C,) class weights of a train set, scaled to the sum C.

        They are inverse frequencies; 0 for an absent class.
        """
        counts = self._counts(evaluation, evaluation.split.train).astype(float)
        inverse = np.divide(1, counts, out=np.zeros_like(counts), where=counts > 0)
        return inverse / inverse.sum() * len(counts)

    def _mean_over_splits(self, row: PublishedNumber, measure: Callable[[EvaluationSplit], float]) -> float:
        evaluations = [evaluation for evaluation in self.evaluations if matches_ratio(evaluation, row)]
        comparison = comparison_of(evaluations, row)
        return float(np.mean([measure(split) for split in evaluations if split.comparison == comparison]))


def matches_ratio(evaluation: EvaluationSplit, row: PublishedNumber) -> bool:
    """Return True if the split has the row's ratio, or the row has none."""
    return row.ratio is None or (evaluation.split.ratio is not None and isclose(evaluation.split.ratio, row.ratio))


def comparison_of(evaluations: list[EvaluationSplit], row: PublishedNumber) -> str:
    """Return the comparison of the row: the first of the splits of its ratio.

    Raises NoOwnNumber where the row names no ratio and the splits have several.
    """
    titles = list(dict.fromkeys(evaluation.comparison for evaluation in evaluations))
    if not titles:
        raise NoOwnNumber(f"no split of this suite has the ratio {row.ratio:g}")
    if row.ratio is None and len(titles) > 1:
        raise NoOwnNumber("the reference names no ratio, and the suite has several")
    return titles[0]

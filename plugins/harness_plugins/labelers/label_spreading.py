"""Label spreading with scikit-learn.

Zhou, Bousquet, Lal, Weston, Schölkopf: Learning with Local and Global Consistency, 2004.
"""

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from harness import NotApplicable, On, Predictions, Task, hookimpl, learning_from

MAX_ROWS = 50_000  # its search takes the square of the rows: minutes from here on


@dataclass(frozen=True)
class LabelSpreading:
    """scikit-learn's LabelSpreading with the kernel "knn" after PCA.

    The components are of labelled rows and pool together. scikit-learn gives the lowest labelled class, 0, to rows
    that no label reaches; the record scored them so (`unreached: zero`).
    """

    name: ClassVar[str] = "label_spreading"
    preload: ClassVar[tuple[str, ...]] = ("sklearn.decomposition", "sklearn.semi_supervised")
    transductive: ClassVar[bool] = True

    on: On
    pca: int = 256  # components, at most rows - 1 and d; 0 = the columns as they are
    neighbors: int = 7  # Euclidean; every row counts as the first of its own
    alpha: float = 0.2  # share that a row takes from its neighbours, the rest from its label
    unreached: Literal["prior", "zero"] = "prior"  # rows that no label reaches: the class shares, or class 0

    def __post_init__(self) -> None:
        if self.pca < 0:
            raise ValueError(f"pca must be 0 (none) or more, got {self.pca}")
        check_spreading(self.neighbors, self.alpha)

    def label(self, task: Task) -> Predictions:
        from sklearn.decomposition import PCA
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.semi_supervised import LabelSpreading as Spreading

        unique = deduplicate(task)
        rows = len(unique.labelled) + len(unique.to_label)
        if rows > MAX_ROWS:
            raise NotApplicable(f"{rows:,} rows are more than {MAX_ROWS:,}: use graph_propagation instead")
        X = np.concatenate(unique.matrix(self.on))  # (n' + m', d)
        components = min(self.pca, rows - 1, X.shape[1])
        if components > 0:
            X = PCA(components, random_state=task.seed % 2**32).fit_transform(X)
        y = np.concatenate([unique.y, np.full(len(unique.to_label), -1)])
        model = Spreading(kernel="knn", n_neighbors=min(self.neighbors, rows), alpha=self.alpha)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the facts say so
            model.fit(X, y)
        mass = np.zeros((rows, task.n_classes))
        mass[:, model.classes_] = model.label_distributions_
        proba, unreached = read_answers(task, unique, mass)
        if self.unreached == "zero":
            proba[unreached] = np.arange(task.n_classes) == unique.y.min()
        facts = {
            "components": components if components > 0 else None,
            "iterations": int(model.n_iter_),
            "settled": bool(model.n_iter_ < model.max_iter),
        }
        return spread_predictions(proba, unreached, facts)


def check_spreading(neighbors: int, alpha: float) -> None:
    """Raise a ValueError where nothing could spread."""
    if neighbors < 2:
        raise ValueError(f"neighbors must be at least 2, for the row itself is one of them, got {neighbors}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got {alpha}")


def deduplicate(task: Task) -> Task:
    """Return the task with each row number once: n' and m' rows.

    Copies of one row would be each other's nearest neighbours and shut the others out. Where they differ, the
    commonest label counts, of several the lowest. A row to label that has a (pseudo-)label is a labelled row only.
    """
    rows, place = np.unique(task.labelled, return_inverse=True)
    votes = np.zeros((len(rows), task.n_classes))  # (n', C)
    np.add.at(votes, (place.reshape(-1), task.y), 1)
    single = learning_from(task, rows, votes.argmax(axis=1))
    return replace(single, to_label=np.setdiff1d(task.to_label, rows), spare=np.setdiff1d(task.spare, rows))


def read_answers(task: Task, unique: Task, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (m, C) probabilities and the (m,) mask of unreached rows.

    `mass` (n' + m' or more, C) is what arrived at the rows of `unique`, the labelled ones first. A row cut off from
    every label takes the class shares of the labelled rows.
    """
    rows = np.concatenate([unique.labelled, unique.to_label])
    order = np.argsort(rows)
    arrived = mass[order[np.searchsorted(rows[order], task.to_label)]]  # (m, C)
    total = arrived.sum(axis=1, keepdims=True)  # (m, 1)
    prior = np.tile(np.bincount(task.y, minlength=task.n_classes) / len(task.y), (len(arrived), 1))
    return np.divide(arrived, total, out=prior, where=total > 0), total[:, 0] == 0


def spread_predictions(proba: np.ndarray, unreached: np.ndarray, facts: dict[str, Any]) -> Predictions:
    """Return the (m, C) probabilities with the `unreached` (m,) rows.

    The rows are a mask that the harness scores; their share is a fact, and a table on the page.
    """
    share = float(unreached.mean()) if len(unreached) else 0.0
    table = {"columns": ["Rows", "Count", "Share"], "rows": [["unreached", int(unreached.sum()), share]]}
    facts = {**facts, "unreached": share, "tables": {"Rows that no label reaches": table}}
    return Predictions(proba, facts, rows={"unreached": unreached})


@hookimpl
def harness_labelers():
    return [LabelSpreading]

"""Inner tasks: what a labeler needs to validate or to build on its own labels, with the held labels left behind.

Rows with equal numbers (oversampling repeats them) and rows of one group always fall on the same side.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.plugin.block import Rows
from harness.plugin.task import Predictions, Task

if TYPE_CHECKING:
    from harness.plugin.protocols import Labeler

Mask = NDArray[np.bool_]


def units(task: Task) -> NDArray[np.int64]:
    """Return (n,) numbers 0..U-1: labelled positions with the same number must stay together."""
    keys = task.labelled if task.groups is None else task.groups[task.labelled]
    return np.unique(keys, return_inverse=True)[1].astype(np.int64).reshape(-1)


def fold(task: Task, held: Mask) -> Task:
    """Return the task of labelling the `held` (n,) positions from the others.

    Its ``to_label`` is ``task.labelled[held]``, duplicates dropped, first come first. Whatever shares a row number or a
    group with a held position is not trained on. The other rows that the outer task asks about or spares are spare.
    Checkpoints are left out: a fold is looked at once.
    """
    unit = units(task)
    kept = ~np.isin(unit, unit[held])
    rows = task.labelled[held]
    asked = rows[np.sort(np.unique(rows, return_index=True)[1])]
    # Pseudo-labelled rows are labelled and still to label.
    spare = np.setdiff1d(np.concatenate([task.to_label, task.spare]), np.concatenate([asked, task.labelled[kept]]))
    return replace(_keep_positions(task, kept), to_label=asked, spare=spare, checkpoints=False)


def holdout(task: Task, share: float) -> Mask:
    """Choose about `share` of the labelled positions for validation: a (n,) mask, True where held.

    Drawn by ``task.seed``, whole units at a time. Pseudo-labelled positions are never held, nor is anything that
    shares a unit with one. All False where fewer than two units could be held apart.
    """
    unit = units(task)
    held = np.zeros(len(unit), np.bool_)
    real = np.ones(len(unit), np.bool_) if task.pseudo is None else ~np.isin(unit, unit[task.pseudo])
    candidates = np.unique(unit[real])
    if share <= 0 or len(np.unique(unit)) < 2 or len(candidates) == 0:
        return held
    order = np.random.default_rng(task.seed).permutation(candidates)
    if len(order) == len(np.unique(unit)):
        order = order[:-1]  # something must be left to train on
    sizes = np.bincount(unit)[order]
    enough = int(np.searchsorted(np.cumsum(sizes), share * len(unit))) + 1
    return np.isin(unit, order[:enough])


def learning_from(task: Task, rows: Rows, y: NDArray[np.int64]) -> Task:
    """Return the task with labelled `rows` (n',) and labels `y` (n',) in place of its own; it labels the same rows.

    Rows that `task` had no label for are marked ``pseudo``. The raters stay known for rows that had them, and are
    dropped as a whole as soon as one row has none.
    """
    rows = np.asarray(rows, np.int64)
    first, position = np.unique(task.labelled, return_index=True)
    place = np.minimum(np.searchsorted(first, rows), len(first) - 1)
    known = first[place] == rows
    source = position[place]
    pseudo = ~known if task.pseudo is None else ~known | task.pseudo[source]
    raters = task.raters[source] if task.raters is not None and known.all() else None
    return replace(task, labelled=rows, y=y, raters=raters, pseudo=pseudo if pseudo.any() else None)


def out_of_fold(labeler: "Labeler", task: Task, folds: int) -> NDArray[np.float64]:
    """Return (n, C) probabilities for the labelled positions, each from a labeler that never saw its unit.

    The units are dealt to `folds` folds (fewer where there are fewer units) in an order drawn by ``task.seed``.
    """
    unit = units(task)
    n_units = int(unit.max(initial=-1)) + 1
    if min(n_units, folds) < 2:
        raise ValueError("out_of_fold needs at least two folds, and two labelled rows (or groups) to deal to them")
    dealt = np.empty(n_units, np.int64)
    dealt[np.random.default_rng(task.seed).permutation(n_units)] = np.arange(n_units) % min(folds, n_units)
    proba = np.empty((len(unit), task.n_classes))
    for number in range(min(folds, n_units)):
        held = dealt[unit] == number
        inner = fold(task, held)
        answer = labeler.label(inner)
        answer = answer.proba if isinstance(answer, Predictions) else answer
        order = np.argsort(inner.to_label)
        proba[held] = answer[order[np.searchsorted(inner.to_label[order], task.labelled[held])]]
    return proba


def _keep_positions(task: Task, kept: Mask) -> Task:
    return replace(
        task,
        labelled=task.labelled[kept],
        y=task.y[kept],
        raters=None if task.raters is None else task.raters[kept],
        pseudo=None if task.pseudo is None else task.pseudo[kept],
    )

"""Inner tasks for validation and stacking, without the held-out labels.

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

CLASS_WEIGHT = 2**32  # a class of n_c rows weighs this over n_c; its product with all rows still fits 64 bits


def units(task: Task) -> NDArray[np.int64]:
    """Return the unit (n,), 0..U-1, of each labelled position.

    Positions of one unit must stay on the same side of a split.
    """
    keys = task.labelled if task.groups is None else task.groups[task.labelled]
    return np.unique(keys, return_inverse=True)[1].astype(np.int64).reshape(-1)


def fold(task: Task, held: Mask) -> Task:
    """Return the task of labelling the `held` (n,) positions from the others.

    Its ``to_label`` is ``task.labelled[held]`` without duplicates, in order of first appearance. Positions that share a
    row number or a group with a held one are not trained on. The other rows that the outer task labels or spares are
    spare. Checkpoints are left out: nobody scores them on a fold.
    """
    unit = units(task)
    train = ~np.isin(unit, unit[held])
    rows = task.labelled[held]
    to_label = rows[np.sort(np.unique(rows, return_index=True)[1])]
    # Pseudo-labelled rows are labelled and still to label.
    spare = np.setdiff1d(np.concatenate([task.to_label, task.spare]), np.concatenate([to_label, task.labelled[train]]))
    return replace(_select_positions(task, train), to_label=to_label, spare=spare, checkpoints=False)


def holdout(task: Task, share: float) -> Mask:
    """Draw about `share` of the labelled positions: a (n,) validation mask.

    True where held. Where the split has validation rows, these are held instead, if any `share` is. Drawn by
    ``task.seed``, whole units at a time. Pseudo-labelled positions are never held, nor is any that shares a unit with
    one. All False where there are fewer than two units.
    """
    unit = units(task)
    held = np.zeros(len(unit), np.bool_)
    if task.validation is not None and task.validation.any() and not task.validation.all():
        return held if share <= 0 else task.validation.copy()
    real = np.ones(len(unit), np.bool_) if task.pseudo is None else ~np.isin(unit, unit[task.pseudo])
    candidates = np.unique(unit[real])
    if share <= 0 or len(np.unique(unit)) < 2 or len(candidates) == 0:
        return held
    order = np.random.default_rng(task.seed).permutation(candidates)
    if len(order) == len(np.unique(unit)):
        order = order[:-1]  # something must be left to train on
    sizes = np.bincount(unit)[order]
    n_held = int(np.searchsorted(np.cumsum(sizes), share * len(unit))) + 1
    return np.isin(unit, order[:n_held])


def validation_folds(task: Task, folds: int) -> list[Mask]:
    """Return the masks (n,) of positions to validate on, one after another.

    Those of ``assign_folds`` in turn; or the split's validation rows alone, where it has such. Pseudo-labelled
    positions are never held, nor is any that shares a unit with one. Empty where nothing can be held apart.
    """
    if not holdout(task, 0.5).any():
        return []
    if task.validation is not None and task.validation.any() and not task.validation.all():
        return [task.validation.copy()]
    unit = units(task)
    real = np.ones(len(unit), np.bool_) if task.pseudo is None else ~np.isin(unit, unit[task.pseudo])
    fold_number = assign_folds(task, folds)
    masks = [real & (fold_number == number) for number in range(int(fold_number.max()) + 1)]
    return [held for held in masks if held.any()]


def learning_from(task: Task, rows: Rows, y: NDArray[np.int64]) -> Task:
    """Return the task with labelled `rows` (n',) and labels `y` (n',).

    The rows to label stay the same. Rows without a label in `task` are marked ``pseudo``. The raters' labels are kept
    if all `rows` have them; otherwise ``raters`` is None.
    """
    rows = np.asarray(rows, np.int64)
    first, position = np.unique(task.labelled, return_index=True)
    index = np.minimum(np.searchsorted(first, rows), len(first) - 1)
    had_label = first[index] == rows
    source = position[index]
    pseudo = ~had_label if task.pseudo is None else ~had_label | task.pseudo[source]
    raters = task.raters[source] if task.raters is not None and had_label.all() else None
    validation = None if task.validation is None else task.validation[source] & had_label
    pseudo_or_none = pseudo if pseudo.any() else None
    return replace(task, labelled=rows, y=y, raters=raters, pseudo=pseudo_or_none, validation=validation)


def assign_folds(task: Task, folds: int) -> NDArray[np.int64]:
    """Return the fold (n,), 0..K-1, of each labelled position.

    Whole units, stratified by class; K is `folds`, or the number of units where there are fewer. Where every unit is
    one position, the folds' numbers of rows differ by at most one, in each class as in all. Else a unit joins the fold
    where the rows of its classes are scarcest, which keeps the sum over folds and classes of d^2 / n_c below that over
    units and classes of v^2 / n_c: n_c rows of a class, v of them in a unit, a fold has d more than the n_c / K that
    are its share.
    """
    unit = units(task)
    n_units = int(unit.max(initial=-1)) + 1
    if min(n_units, folds) < 2:
        raise ValueError("at least two folds are needed, and two labelled rows (or groups) to deal to them")
    counts = np.zeros((n_units, task.n_classes), np.int64)  # rows of each class in each unit
    np.add.at(counts, (unit, task.y), 1)
    weight = CLASS_WEIGHT // np.maximum(counts.sum(axis=0), 1)  # (C,) whole numbers: the same folds on every processor
    sizes = counts.sum(axis=1)
    drawn = np.random.default_rng(task.seed).permutation(n_units)
    order = drawn[np.lexsort((counts.argmax(axis=1)[drawn], -sizes[drawn]))]  # large units first, then class by class
    held = np.zeros((min(n_units, folds), task.n_classes), np.int64)  # rows of each class in each fold
    fold_of_unit = np.empty(n_units, np.int64)
    for number in order:
        crowding = held @ (weight * counts[number])
        least = np.flatnonzero(crowding == crowding.min())
        chosen = least[held[least].sum(axis=1).argmin()]
        held[chosen] += counts[number]
        fold_of_unit[number] = chosen
    return fold_of_unit[unit]


def out_of_fold(labeler: "Labeler", task: Task, folds: int) -> NDArray[np.float64]:
    """Return cross-validated (n, C) probabilities of the labelled positions.

    Each comes from a labeler that was trained without the position's unit, on the other folds of ``assign_folds``.
    """
    fold_number = assign_folds(task, folds)  # (n,)
    proba = np.empty((len(fold_number), task.n_classes))
    for number in range(int(fold_number.max()) + 1):
        held = fold_number == number
        inner = fold(task, held)
        answer = labeler.label(inner)
        answer = answer.proba if isinstance(answer, Predictions) else answer
        order = np.argsort(inner.to_label)
        proba[held] = answer[order[np.searchsorted(inner.to_label[order], task.labelled[held])]]
    return proba


def _select_positions(task: Task, selected: Mask) -> Task:
    return replace(
        task,
        labelled=task.labelled[selected],
        y=task.y[selected],
        raters=None if task.raters is None else task.raters[selected],
        pseudo=None if task.pseudo is None else task.pseudo[selected],
        validation=None if task.validation is None else task.validation[selected],
    )

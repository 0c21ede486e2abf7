"""Checks of labelers on small tasks."""

import json
import pickle
import random
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import PluginError
from harness.plugin.facts import find_table_error
from harness.plugin.needs import needs
from harness.plugin.protocols import Labeler, block_names, iter_plugins
from harness.plugin.task import Predictions, Task, find_error
from harness.testing.examples import ONE_HOT, example, keep_positions, pair_groups, task_for
from harness.testing.finding import PromiseError, check_form, require


def check_facts(labeler: Labeler) -> None:
    """Check that facts are JSON without NaN, so that they can be stored.

    Tables among them have the form that a page can show.
    """
    facts = _label(labeler, task_for(labeler)).facts
    try:
        stored = json.loads(json.dumps(dict(facts), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise PromiseError(f"facts must be JSON, so plain strings and finite numbers: {error}") from error
    problem = find_table_error(stored)
    require(problem is None, problem or "")


def check_needs(labeler: Labeler) -> None:
    """Check that declared neighbours are of blocks that `on` fields name."""
    try:
        declared = needs(labeler)
    except PluginError as error:
        raise PromiseError(str(error)) from error
    unnamed = [name for need in declared for name in need.on if name not in block_names(labeler)]
    require(not unnamed, f"needs() speaks of block {', '.join(unnamed)}, which no field `on` names: it is not prepared")


def check_order_of_rows(labeler: Labeler) -> None:
    """Check that predictions come in the order of `task.to_label`.

    That order changes none of them.
    """
    task = task_for(labeler)
    order = np.random.default_rng(0).permutation(len(task.to_label))
    shuffled = _label(labeler, replace(task, to_label=task.to_label[order]))
    same = _are_close(shuffled.proba, _label(labeler, task).proba[order])
    require(same, "answers must follow the order of task.to_label: answer in that order, and let no row depend on it")


def check_same_seed(labeler: Labeler) -> None:
    """Check that the same task has the same answer, to the byte."""
    task = task_for(labeler)
    same = _bytes(labeler, task) == _bytes(labeler, task)
    require(same, "the same task must get the same answer twice: draw all chance from default_rng(task.seed)")


def check_no_memory(labeler: Labeler) -> None:
    """Check that tasks labelled before change no answer."""
    fresh, task, other = replace(labeler), task_for(labeler), task_for(labeler, seed=1)  # type: ignore[type-var]
    first, second = _bytes(labeler, task), _bytes(labeler, other)
    same = _bytes(labeler, task) == first and _bytes(fresh, other) == second
    require(same, "an answer must not depend on tasks labelled before: keep no state in instance, class or module")


def check_inputs_untouched(labeler: Labeler) -> None:
    """Check that the task and the global state stay as they were."""
    task = task_for(labeler)
    before = _state(task)
    labeler.label(task)
    changed = [name for name, value in _state(task).items() if value != before[name]]
    require(not changed, f"label must leave its surroundings alone, but changed {', '.join(changed)}: work on a copy")


def check_hidden_labels(labeler: Labeler) -> None:
    """Check that other labels on the rows to label change no answer."""
    task, truth = example(block_names(labeler), n=96, m=48, n_classes=6, seed=0)
    before = _bytes(labeler, task)
    # In place, so that a labeler which searches the memory of this process finds other labels too.
    truth[task.to_label] = np.random.default_rng(0).permutation(truth[task.to_label])
    same = _bytes(labeler, replace(task, y=truth[task.labelled])) == before
    require(same, "the answer changed with the hidden labels: use nothing but what the task holds")


def check_rows_apart(labeler: Labeler) -> None:
    """Check that an outlying row to label changes no other row's answer.

    Unless the labeler declares `transductive`.
    """
    task = task_for(labeler)
    blocks = dict(task.blocks)
    for name in blocks.keys() - ONE_HOT:
        array = blocks[name].array.copy()
        array[task.to_label[0]] = 1e6
        blocks[name] = replace(blocks[name], array=array)
    with_outlier, without = _label(labeler, replace(task, blocks=blocks)), _label(labeler, task)
    transductive = any(getattr(plugin, "transductive", False) for plugin in iter_plugins(labeler))
    independent = transductive or _are_close(with_outlier.proba[1:], without.proba[1:])
    require(independent, "a row to label moved the others: fit on labelled rows only, or declare transductive = True")


def _valid(name: str, case: str, change: Callable[[Task], Task]) -> Callable[[Labeler], None]:
    """Make the check that the answer to a changed task is valid."""

    def check(labeler: Labeler) -> None:
        task = change(task_for(labeler))
        problem = find_error(labeler.label(task), len(task.to_label), task.n_classes)
        hint = "; of logits return the softmax" if "negative" in (problem or "") else ""
        require(problem is None, f"{case}: {problem}{hint}")

    check.__name__, check.__doc__ = name, f"Check the answer {case}."
    return check


labeler_checks: tuple[Callable[[Labeler], None], ...] = (
    check_form,
    _valid("check_probabilities", "on an ordinary task", lambda task: task),
    check_facts,
    check_needs,
    check_order_of_rows,
    check_same_seed,
    check_no_memory,
    check_inputs_untouched,
    check_hidden_labels,
    check_rows_apart,
    _valid("check_absent_class", "with no class 2 in train", lambda task: keep_positions(task, task.y != 2)),
    _valid("check_one_class", "with only class 2 in train", lambda task: keep_positions(task, task.y == 2)),
    _valid("check_high_classes", "with only classes 4 and 5 in train", lambda task: keep_positions(task, task.y >= 4)),
    _valid(
        "check_one_per_class", "with one row per class", lambda task: keep_positions(task, np.unique(task.y, True)[1])
    ),
    _valid("check_one_row", "with one row to label", lambda task: replace(task, to_label=task.to_label[:1])),
    _valid(
        "check_repeated_rows", "with rows repeated", lambda task: keep_positions(task, np.arange(len(task.y)).repeat(3))
    ),
    _valid("check_groups", "with pairs as groups", pair_groups),
    _valid("check_no_raters", "without raters", lambda task: replace(task, raters=None, rater_labels=None)),
)


def _label(labeler: Labeler, task: Task) -> Predictions:
    result = labeler.label(task)
    return result if isinstance(result, Predictions) else Predictions(np.asarray(result))


def _bytes(labeler: Labeler, task: Task) -> list[bytes]:
    """Return the bytes of every array of the answer to a task."""
    answer = _label(labeler, task)
    arrays = (answer.proba, *answer.checkpoints.values(), *answer.rows.values())
    return [np.asarray(array).tobytes() for array in arrays]


def _are_close(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Return True if labels are equal and probabilities nearly so.

    Another order of summing changes probabilities a little.
    """
    same = one.shape == other.shape and bool((one.argmax(axis=1) == other.argmax(axis=1)).all())
    return same and np.allclose(one, other, rtol=0, atol=1e-4, equal_nan=True)


def _state(task: Task) -> dict[str, object]:
    """Return a task's arrays and the global state, by name."""
    arrays = {f"task.{part.name}": getattr(task, part.name) for part in fields(task) if part.name != "blocks"}
    arrays |= {f"task.blocks[{name!r}].array": block.array for name, block in task.blocks.items()}
    state: dict[str, object] = {name: np.asarray(array).tobytes() for name, array in arrays.items()}
    state["NumPy's random state"] = pickle.dumps(np.random.get_state())
    return state | {"Python's random state": random.getstate(), "NumPy's error state": np.geterr()}

"""What every labeler promises, as checks."""

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
    """Facts are JSON without NaN, so that they can be stored; tables among them have the form a page can show."""
    told = _ask(labeler, task_for(labeler)).facts
    try:
        stored = json.loads(json.dumps(dict(told), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise PromiseError(f"facts must be JSON, so plain strings and finite numbers: {error}") from error
    fault = find_table_error(stored)
    require(fault is None, fault or "")


def check_needs(labeler: Labeler) -> None:
    """The neighbours that it declares, where it does, are of blocks that its `on` fields name."""
    try:
        declared = needs(labeler)
    except PluginError as error:
        raise PromiseError(str(error)) from error
    unnamed = [name for need in declared for name in need.on if name not in block_names(labeler)]
    require(not unnamed, f"needs() speaks of block {', '.join(unnamed)}, which no field `on` names: it is not prepared")


def check_order_of_rows(labeler: Labeler) -> None:
    """Answers come in the order of `task.to_label`, and that order changes none of them."""
    task = task_for(labeler)
    order = np.random.default_rng(0).permutation(len(task.to_label))
    shuffled = _ask(labeler, replace(task, to_label=task.to_label[order]))
    same = _are_alike(shuffled.proba, _ask(labeler, task).proba[order])
    require(same, "answers must follow the order of task.to_label: answer in that order, and let no row depend on it")


def check_same_seed(labeler: Labeler) -> None:
    """The same task has the same answer, to the byte."""
    task = task_for(labeler)
    same = _bytes(labeler, task) == _bytes(labeler, task)
    require(same, "the same task must get the same answer twice: draw all chance from default_rng(task.seed)")


def check_no_memory(labeler: Labeler) -> None:
    """Tasks labelled before change nothing."""
    fresh, task, other = replace(labeler), task_for(labeler), task_for(labeler, seed=1)  # type: ignore[type-var]
    first, second = _bytes(labeler, task), _bytes(labeler, other)
    same = _bytes(labeler, task) == first and _bytes(fresh, other) == second
    require(same, "an answer must not depend on tasks labelled before: keep no state in instance, class or module")


def check_inputs_untouched(labeler: Labeler) -> None:
    """The task, and the global state of NumPy and Python, stay as they were."""
    task = task_for(labeler)
    before = _state(task)
    labeler.label(task)
    changed = [name for name, value in _state(task).items() if value != before[name]]
    require(not changed, f"label must leave its surroundings alone, but changed {', '.join(changed)}: work on a copy")


def check_hidden_labels(labeler: Labeler) -> None:
    """Other labels on the rows to label change nothing."""
    task, truth = example(block_names(labeler), n=96, m=48, n_classes=6, seed=0)
    before = _bytes(labeler, task)
    truth[task.to_label] = np.random.default_rng(0).permutation(truth[task.to_label])  # in sight of who looks around
    same = _bytes(labeler, replace(task, y=truth[task.labelled])) == before
    require(same, "the answer changed with the hidden labels: use nothing but what the task holds")


def check_rows_apart(labeler: Labeler) -> None:
    """A wild row changes no other row's answer, unless the labeler declares `transductive`."""
    task = task_for(labeler)
    blocks = dict(task.blocks)
    for name in blocks.keys() - ONE_HOT:
        array = blocks[name].array.copy()
        array[task.to_label[0]] = 1e6
        blocks[name] = replace(blocks[name], array=array)
    wild, tame = _ask(labeler, replace(task, blocks=blocks)), _ask(labeler, task)
    transductive = any(getattr(plugin, "transductive", False) for plugin in iter_plugins(labeler))
    apart = transductive or _are_alike(wild.proba[1:], tame.proba[1:])
    require(apart, "a row to label moved the others: fit on labelled rows only, or declare transductive = True")


def _valid(name: str, case: str, change: Callable[[Task], Task]) -> Callable[[Labeler], None]:
    """Make the check that the answer to a changed task is valid."""

    def check(labeler: Labeler) -> None:
        task = change(task_for(labeler))
        problem = find_error(labeler.label(task), len(task.to_label), task.n_classes)
        hint = "; of logits return the softmax" if "negative" in (problem or "") else ""
        require(problem is None, f"{case}: {problem}{hint}")

    check.__name__, check.__doc__ = name, f"A valid answer {case}."
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
    _valid("check_no_raters", "without raters", lambda task: replace(task, raters=None)),
)


def _ask(labeler: Labeler, task: Task) -> Predictions:
    result = labeler.label(task)
    return result if isinstance(result, Predictions) else Predictions(np.asarray(result))


def _bytes(labeler: Labeler, task: Task) -> list[bytes]:
    answer = _ask(labeler, task)
    return [np.asarray(part).tobytes() for part in (answer.proba, *answer.checkpoints.values(), *answer.rows.values())]


def _are_alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether the labels are equal and the probabilities too, but for another order of summing."""
    same = one.shape == other.shape and bool((one.argmax(axis=1) == other.argmax(axis=1)).all())
    return same and np.allclose(one, other, rtol=0, atol=1e-4, equal_nan=True)


def _state(task: Task) -> dict[str, object]:
    arrays = {f"task.{part.name}": getattr(task, part.name) for part in fields(task) if part.name != "blocks"}
    arrays |= {f"task.blocks[{name!r}].array": block.array for name, block in task.blocks.items()}
    state: dict[str, object] = {name: np.asarray(array).tobytes() for name, array in arrays.items()}
    state["NumPy's random state"] = pickle.dumps(np.random.get_state())
    return state | {"Python's random state": random.getstate(), "NumPy's error state": np.geterr()}

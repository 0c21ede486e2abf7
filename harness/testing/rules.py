"""Checks of labelers that learn rules."""

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np

from harness.errors import HarnessError, NotApplicable
from harness.plugin.block import Block
from harness.plugin.protocols import Labeler, iter_plugins
from harness.plugin.rule import Rule, learn
from harness.plugin.task import Predictions, Task
from harness.suite.rule_spec import find_learn_error, from_arrays, rule_classes, to_arrays
from harness.testing.examples import task_for
from harness.testing.finding import PromiseError, require
from harness.utils.hashing import canonical_json


def check_rule_labels(labeler: Labeler) -> None:
    """Check that `label` is what `learn` and the rule's `label` give.

    To the byte, and whatever rows were to be labelled while it learnt.
    """
    task, rule = _learn(labeler)
    result = labeler.label(task)
    own = result.proba if isinstance(result, Predictions) else result
    same = _bytes(rule, task.blocks, task.to_label) == own.tobytes()
    require(same, "learn(task).label(task.blocks, task.to_label) must be the probabilities of label(task), to the byte")
    other = learn(labeler, replace(task, to_label=task.to_label[:1], checkpoints=False))
    same = _bytes(other, task.blocks, task.to_label) == own.tobytes()
    require(same, "what learn(task) returns must not depend on task.to_label: tomorrow's rows are others")


def check_rule_stored(labeler: Labeler) -> None:
    """Check that a rule survives storing and loading, to the byte."""
    task, rule = _learn(labeler)
    classes = {plugin.name: type(plugin) for plugin in iter_plugins(labeler)}
    try:
        allowed = rule_classes(labeler)
        arrays, form = to_arrays(rule, allowed)
        canonical_json(form)
        loaded = from_arrays(_stored(arrays), form, allowed, lambda _kind, name: classes[name])
        arrays_again, form_again = to_arrays(loaded, allowed)
    except (HarnessError, ValueError) as error:
        raise PromiseError(f"a rule must be arrays and JSON: {error}") from error
    same = form_again == form and {name: array.tobytes() for name, array in arrays.items()} == {
        name: array.tobytes() for name, array in arrays_again.items()
    }
    require(same, "a rule that is stored and loaded must hold the same")
    same = _bytes(loaded, task.blocks, task.to_label) == _bytes(rule, task.blocks, task.to_label)
    require(same, "a rule that is stored and loaded must give the same probabilities: keep all state in its fields")


def check_rule_rows(labeler: Labeler) -> None:
    """Check that a rule's answer for a row depends on that row alone.

    Not on its number, which in another file is that of another row, nor on the rows beside it.
    """
    task, rule = _learn(labeler)
    moved = {name: replace(block, array=block.array[task.to_label]) for name, block in task.blocks.items()}
    m = len(task.to_label)
    same = _bytes(rule, moved, np.arange(m)) == _bytes(rule, task.blocks, task.to_label)
    require(same, "a row in another file must get the same probabilities: a row number means nothing to a rule")
    every = np.asarray(rule.label(moved, np.arange(m)))
    some = np.arange(m)[::-3]
    part = np.asarray(rule.label(moved, some))
    same = part.shape == every[some].shape and bool((part.argmax(axis=1) == every[some].argmax(axis=1)).all())
    same = same and np.allclose(part, every[some], rtol=0, atol=1e-4)  # another order of summing moves the last digits
    require(same, "some of the rows must get the probabilities that they get among all: fit on labelled rows only")


def _learn(labeler: Labeler) -> tuple[Task, Rule]:
    """Return an example task and the labeler's rule.

    Raises NotApplicable where it has none.
    """
    if (reason := find_learn_error(labeler)) is not None:
        raise NotApplicable(reason)
    task = task_for(labeler)
    return task, learn(labeler, task)


def _bytes(rule: Rule, blocks: Mapping[str, Block], rows: Any) -> bytes:
    return np.asarray(rule.label(blocks, rows)).tobytes()


def _stored(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays as they come out of an .npz file."""
    file = BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        return dict(archive)


rule_checks = (check_rule_labels, check_rule_stored, check_rule_rows)

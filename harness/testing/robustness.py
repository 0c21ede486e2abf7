"""More checks of labelers: what they leave behind, and unusual tasks.

A labeler that passes them fails at most its own cell. All are cheap: the first share one answer, the others have few
rows.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from harness.plugin.block import Block
from harness.plugin.protocols import Labeler
from harness.plugin.raters import RaterLabels
from harness.plugin.task import Predictions, Task, find_error, find_name_error
from harness.suite.spec import find_plugin_error
from harness.testing.examples import ONE_HOT, keep_positions
from harness.testing.finding import require
from harness.testing.surroundings import Observation, observe, small_task, stored_error

LabelerCheck = Callable[[Labeler], None]
MAX_PRINTED, MAX_REPR = 1_000_000, 2_000  # characters


def _named(name: str, sentence: str, check: LabelerCheck) -> LabelerCheck:
    check.__name__, check.__doc__ = f"check_{name}", f"Check {sentence}."
    return check


def _answer(name: str, sentence: str, holds: Callable[[Observation], bool]) -> LabelerCheck:
    """Make a check of the answer to the small task."""
    return _named(name, sentence, lambda labeler: require(holds(observe(labeler)), f"must hold: {sentence}"))


def _unchanged(subject: str) -> LabelerCheck:
    """Make the check that a labeler leaves its surroundings as they were."""

    def check(labeler: Labeler) -> None:
        require(subject not in observe(labeler).changed, f"label must leave alone, or put back: {subject}")

    return _named(f"{subject.replace(' ', '_')}_unchanged", f"that {subject} are as they were", check)


def _labels(name: str, case: str, make: Callable[[Labeler], Task]) -> LabelerCheck:
    """Make the check that the answer to an unusual task is valid."""

    def check(labeler: Labeler) -> None:
        task = make(labeler)
        with warnings.catch_warnings(action="ignore"):  # of a library, about numbers that are odd on purpose
            answer = labeler.label(task)
        problem = find_error(answer, len(task.to_label), task.n_classes)
        require(problem is None, f"{case}: {problem}")

    return _named(name, f"the answer {case}", check)


def _change_blocks(labeler: Labeler, change: Callable[[Any], Any]) -> Task:
    """Return the small task with other numbers in all but one-hot blocks."""
    task = small_task(labeler)
    blocks = {
        name: block if name in ONE_HOT else Block(change(block.array.copy()), block.kind)
        for name, block in task.blocks.items()
    }
    return replace(task, blocks=blocks)


def _keep_one_rater(task: Task) -> Task:
    labels = task.rater_labels
    assert labels is not None  # an example task has them
    first = labels.raters == 0
    kept = RaterLabels(labels.rows[first], labels.raters[first], labels.labels[first], labels.n_rows, 1)
    return replace(task, raters=task.y[:, None], rater_labels=kept)


def _proba(observation: Observation) -> Any:
    return np.asarray(observation.predictions.proba)


def _names_are_sound(observation: Observation, kind: str) -> bool:
    return not any(map(find_name_error, getattr(observation.predictions, kind)))


def _is_apart(observation: Observation) -> bool:
    task = observation.task
    arrays = [task.y, task.labelled, task.to_label, *(block.array for block in task.blocks.values())]
    return not any(np.shares_memory(_proba(observation), array) for array in arrays)


def _check_stored(labeler: Labeler) -> None:
    problem = stored_error(observe(labeler))
    require(problem is None, problem or "")


def _check_spec(labeler: Labeler) -> None:
    problem = find_plugin_error(labeler)
    require(problem is None, problem or "")


robustness_checks: tuple[LabelerCheck, ...] = (
    _answer("type", "an array or Predictions", lambda seen: isinstance(seen.result, np.ndarray | Predictions)),
    _answer("rows", "one row for each row to label", lambda seen: len(_proba(seen)) == len(seen.task.to_label)),
    _answer("columns", "one column for each class", lambda seen: _proba(seen).shape[1:] == (seen.task.n_classes,)),
    _answer("floats", "probabilities of a float type", lambda seen: _proba(seen).dtype.kind == "f"),
    _answer("finite", "no NaN and no infinity", lambda seen: bool(np.isfinite(_proba(seen)).all())),
    _answer("no_negative", "no negative probability", lambda seen: bool((_proba(seen) >= 0).all())),
    _answer("sums", "rows that sum to 1", lambda seen: np.allclose(_proba(seen).sum(axis=1), 1, atol=1e-3)),
    _answer("checkpoint_names", "names of checkpoints to print", lambda seen: _names_are_sound(seen, "checkpoints")),
    _answer("row_names", "names of arrays by row to print", lambda seen: _names_are_sound(seen, "rows")),
    _answer("fact_names", "names of facts to print", lambda seen: _names_are_sound(seen, "facts")),
    _answer("own_memory", "an array apart from those of the task", _is_apart),
    _answer("printing", f"at most {MAX_PRINTED:,} printed characters", lambda seen: seen.printed <= MAX_PRINTED),
    _named("stored", "that the answer can be stored and read again", _check_stored),
    _named("spec", "that the parameters can be written in a suite", _check_spec),
    _named(
        "copy",
        "that a copy is equal",
        lambda labeler: require(replace(labeler) == labeler, "a copy by dataclasses.replace must be equal"),  # type: ignore[type-var]
    ),
    _named(
        "repr",
        "that it prints shortly",
        lambda labeler: require(len(repr(labeler)) <= MAX_REPR, f"must print in at most {MAX_REPR:,} characters"),
    ),
    *map(
        _unchanged,
        ("working directory", "environment", "files", "children", "signal handlers", "standard streams"),
    ),
    *map(_unchanged, ("recursion limit", "threads", "print options", "umask", "spec", "torch")),
    _labels("two_classes", "with two classes", lambda labeler: small_task(labeler, n_classes=2)),
    _labels("twenty_classes", "with 20 classes", lambda labeler: small_task(labeler, 60, 20, 20)),
    _labels("few_rows", "with six labelled rows", lambda labeler: small_task(labeler, 6, 12, 3)),
    _labels(
        "one_labelled_row", "with one labelled row", lambda labeler: keep_positions(small_task(labeler), np.arange(1))
    ),
    _labels("many_to_label", "with more rows to label than labelled", lambda labeler: small_task(labeler, 12, 60)),
    _labels("largest_seed", "with the seed 2^63 - 1", lambda labeler: replace(small_task(labeler), seed=2**63 - 1)),
    _labels(
        "no_spare", "without spare rows", lambda labeler: replace(small_task(labeler), spare=np.empty(0, np.int64))
    ),
    _labels(
        "no_checkpoints",
        "where checkpoints are not scored",
        lambda labeler: replace(small_task(labeler), checkpoints=False),
    ),
    _labels(
        "sorted_labels",
        "with labels in order",
        lambda labeler: keep_positions(small_task(labeler), np.argsort(small_task(labeler).y, kind="stable")),
    ),
    _labels(
        "sorted_rows",
        "with rows to label in order",
        lambda labeler: replace(small_task(labeler), to_label=np.sort(small_task(labeler).to_label)),
    ),
    _labels(
        "one_rater",
        "with one rater",
        lambda labeler: _keep_one_rater(small_task(labeler)),
    ),
    _labels(
        "pseudo_labels",
        "with labels that are predictions",
        lambda labeler: replace(small_task(labeler), pseudo=np.arange(30) % 2 == 0),
    ),
    _labels(
        "blocks_reversed",
        "with blocks in another order",
        lambda labeler: replace(small_task(labeler), blocks=dict(list(small_task(labeler).blocks.items())[::-1])),
    ),
    _labels(
        "column_order", "with columns stored one by one", lambda labeler: _change_blocks(labeler, np.asfortranarray)
    ),
    _labels(
        "equal_rows", "with equal rows", lambda labeler: _change_blocks(labeler, lambda X: np.tile(X[:1], (len(X), 1)))
    ),
    _labels("large_numbers", "with numbers of a million", lambda labeler: _change_blocks(labeler, lambda X: 1e6 * X)),
    _labels(
        "small_numbers", "with numbers of a millionth", lambda labeler: _change_blocks(labeler, lambda X: 1e-6 * X)
    ),
)

"""What wrappers do with the answers of the labelers they hold: a helper, not a plugin."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness import Labeler, Predictions, Task


def answer(labeler: Labeler, task: Task) -> Predictions:
    """Return a labeler's answer as `Predictions`, also where it is an array alone."""
    result = labeler.label(task)
    return result if isinstance(result, Predictions) else Predictions(result)


def answer_without_checkpoints(labeler: Labeler, task: Task) -> Predictions:
    """Return a labeler's answer alone, for a wrapper that hands in checkpoints of its own: the base makes none."""
    return answer(labeler, replace(task, checkpoints=False))


def with_facts(base: Predictions, facts: Mapping[str, Any]) -> Predictions:
    """Return the base's answer, checkpoints and rows under the wrapper's `facts`, its own facts nested as "base"."""
    return replace(base, facts={**facts, "base": dict(base.facts)})

"""Read the answers of the labelers that a wrapper holds."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness import Labeler, Predictions, Task


def answer(labeler: Labeler, task: Task) -> Predictions:
    """Return a labeler's answer as `Predictions`.

    It may have been an array alone.
    """
    result = labeler.label(task)
    return result if isinstance(result, Predictions) else Predictions(result)


def answer_without_checkpoints(labeler: Labeler, task: Task) -> Predictions:
    """Return a labeler's answer without checkpoints.

    For a wrapper that has checkpoints of its own: the base makes none.
    """
    return answer(labeler, replace(task, checkpoints=False))


def with_facts(base: Predictions, facts: Mapping[str, Any]) -> Predictions:
    """Return the base's answer under the wrapper's `facts`.

    Checkpoints and rows stay; the base's own facts are nested as "base".
    """
    return replace(base, facts={**facts, "base": dict(base.facts)})

"""Refuse what needs an order of the classes where they have none."""

from typing import Any

from harness.data.classes import Classes
from harness.data.section import Fused
from harness.errors import SuiteError
from harness.plugin.protocols import iter_plugins
from harness.suite.suite import ORDER_METRICS, Suite
from harness.utils.yaml_file import Place

ADVICE = "set 'data.ordered: true' if their order means something"


def check_order(suite: Suite, classes: Classes) -> None:
    """Raise SuiteError with a line for all that needs an order.

    A metric of distances, a median of raters, a labeler that says so by `needs_order`: all are without a meaning for
    names such as "billing" and "login".
    """
    if classes.ordered:
        return
    problems: list[tuple[Place, str]] = []
    if suite.metrics.primary in ORDER_METRICS:
        problems.append((("metrics", "primary"), f"{suite.metrics.primary} needs classes in an order"))
    if isinstance(suite.data.target, Fused) and suite.data.target.fuse == "median":
        problems.append((("data", "target"), "a median needs classes in an order"))
    for i, candidate in enumerate(suite.labelers):
        if needs_order(candidate.labeler):
            problems.append((("labelers", i), f"{candidate.title} needs classes in an order"))
    if problems:
        have = f"; {classes} have none: {ADVICE}"
        raise SuiteError("\n".join(f"{suite.at(place)}: {problem}{have}" for place, problem in problems))


def needs_order(labeler: Any) -> bool:
    """Return True if a labeler or one inside it needs ordered classes."""
    return any(getattr(plugin, "needs_order", False) for plugin in iter_plugins(labeler))

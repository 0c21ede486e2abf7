"""The conformance kit: checks of the promises that every plugin keeps.

With pytest::

    from harness.testing import labeler_checks

    @pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
    def test_my_labeler(check):
        check(MyLabeler())

and likewise with `rule_checks` (of a labeler that has ``learn``), `embedder_checks`, `feature_checks` and
`splitter_checks`. A check raises AssertionError with one
sentence: what is wrong and what to do. Without pytest, ``harness check NAME`` runs them all through `check_plugin`.
A check raises NotApplicable where the plugin does, or where an embedder, feature set or splitter raises a DataError
because it cannot use the example.
"""

from typing import Any

from harness.plugin.protocols import Labeler
from harness.testing.blocks import embedder_checks, feature_checks
from harness.testing.examples import example_items, example_labelled, example_task
from harness.testing.finding import Check, Finding, run_check
from harness.testing.labelers import labeler_checks
from harness.testing.robustness import robustness_checks
from harness.testing.rules import rule_checks
from harness.testing.splitters import splitter_checks

__all__ = [
    "CHECKS",
    "Finding",
    "check_labeler",
    "check_plugin",
    "embedder_checks",
    "example_items",
    "example_labelled",
    "example_task",
    "feature_checks",
    "labeler_checks",
    "robustness_checks",
    "rule_checks",
    "splitter_checks",
]

CHECKS: dict[str, tuple[Check, ...]] = {
    "embedders": embedder_checks,
    "features": feature_checks,
    "splitters": splitter_checks,
    "labelers": (*labeler_checks, *robustness_checks),
}
"""The checks of each kind of plugin, as `harness.suite.catalog.KINDS` names them."""


def check_plugin(kind: str, plugin: Any) -> list[Finding]:
    """Run every check of a kind on `plugin`; return a finding for each.

    Those of rules are for labelers that have `learn`.
    """
    of_rules = rule_checks if kind == "labelers" and hasattr(plugin, "learn") else ()
    return [run_check(check, plugin) for check in (*CHECKS[kind], *of_rules)]


def check_labeler(labeler: Labeler) -> list[Finding]:
    """Run `labeler_checks` on `labeler`; return a finding for each."""
    return [run_check(check, labeler) for check in labeler_checks]

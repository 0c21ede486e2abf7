"""Benchmark labelers from Python and notebooks.

>>> import labelharness as lh

`run` runs a suite to a `Run` with its board, `suite` builds one, `apply` labels new rows by a saved rule, and
`LabelerClassifier` is any labeler as a classifier of scikit-learn. Plugins import `harness`.
"""

from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.errors import DataError, HarnessError, InUse, PluginError, SuiteError
from labelharness.rules import apply
from labelharness.runs import Labels, Run, run
from labelharness.suites import suite

if TYPE_CHECKING:
    from labelharness.classifier import LabelerClassifier

__all__ = [
    "DataError",
    "HarnessError",
    "InUse",
    "LabelerClassifier",
    "Labels",
    "PluginError",
    "Run",
    "SuiteError",
    "__version__",
    "apply",
    "run",
    "suite",
]


def __getattr__(name: str) -> Any:
    """Import the classifier when it is first used: scikit-learn is slow."""
    if name == "LabelerClassifier":
        from labelharness.classifier import LabelerClassifier

        return LabelerClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

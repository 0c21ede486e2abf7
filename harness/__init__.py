"""Names for plugin authors.

>>> from harness import Task, hookimpl
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.errors import DataError, NotApplicable
    from harness.plugin.block import Block
    from harness.plugin.folds import assign_folds, fold, holdout, learning_from, out_of_fold, validation_folds
    from harness.plugin.hookspecs import hookimpl
    from harness.plugin.items import Items
    from harness.plugin.protocols import Embedder, FeatureSet, Labeler, Labelled, Split, Splitter
    from harness.plugin.raters import RaterLabels
    from harness.plugin.rule import BlockScaler, Rule, learn
    from harness.plugin.task import On, Predictions, Task
    from harness.search.neighbors import NeighborIndex, graph, neighbors

__version__ = "0.2.0"

__all__ = [
    "Block",
    "BlockScaler",
    "DataError",
    "Embedder",
    "FeatureSet",
    "Items",
    "Labeler",
    "Labelled",
    "NeighborIndex",
    "NotApplicable",
    "On",
    "Predictions",
    "RaterLabels",
    "Rule",
    "Split",
    "Splitter",
    "Task",
    "assign_folds",
    "fold",
    "graph",
    "holdout",
    "hookimpl",
    "learn",
    "learning_from",
    "neighbors",
    "out_of_fold",
    "validation_folds",
]

_NAMES = {
    "errors": ("DataError", "NotApplicable"),
    "plugin.block": ("Block",),
    "plugin.folds": ("assign_folds", "fold", "holdout", "learning_from", "out_of_fold", "validation_folds"),
    "plugin.hookspecs": ("hookimpl",),
    "plugin.items": ("Items",),
    "plugin.protocols": ("Embedder", "FeatureSet", "Labeler", "Labelled", "Split", "Splitter"),
    "plugin.raters": ("RaterLabels",),
    "plugin.rule": ("BlockScaler", "Rule", "learn"),
    "plugin.task": ("On", "Predictions", "Task"),
    "search.neighbors": ("NeighborIndex", "graph", "neighbors"),
}  # by module


def __getattr__(name: str) -> Any:
    """Import a name when it is first used.

    The command can be interrupted from its first line on, and NumPy is not imported by then.
    """
    for module, names in _NAMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"harness.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Names for plugin authors.

>>> from harness import Task, hookimpl
"""

from harness.errors import DataError, NotApplicable
from harness.plugin.block import Block
from harness.plugin.folds import fold, holdout, learning_from, out_of_fold
from harness.plugin.hookspecs import hookimpl
from harness.plugin.items import Items
from harness.plugin.protocols import Embedder, FeatureSet, Labeler, Labelled, Split, Splitter
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
    "Rule",
    "Split",
    "Splitter",
    "Task",
    "fold",
    "graph",
    "holdout",
    "hookimpl",
    "learn",
    "learning_from",
    "neighbors",
    "out_of_fold",
]

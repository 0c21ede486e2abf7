"""Everything a plugin author imports.

>>> from harness import Task, hookimpl
"""

from harness.contracts import Embedder, FeatureSet, Labeler, Labelled, Split, Splitter
from harness.errors import DataError, NotApplicable
from harness.folds import fold, holdout, learning_from, out_of_fold
from harness.fuse import Block
from harness.hookspecs import hookimpl
from harness.items import Items
from harness.neighbors import graph, neighbors
from harness.task import On, Predictions, Task

__version__ = "0.1.0"

__all__ = [
    "Block",
    "DataError",
    "Embedder",
    "FeatureSet",
    "Items",
    "Labeler",
    "Labelled",
    "NotApplicable",
    "On",
    "Predictions",
    "Split",
    "Splitter",
    "Task",
    "fold",
    "graph",
    "holdout",
    "hookimpl",
    "learning_from",
    "neighbors",
    "out_of_fold",
]

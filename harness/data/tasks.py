"""Make a Task: the one place where the hidden labels are left out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Dataset
from harness.plugin.block import Block, Rows
from harness.plugin.protocols import Split
from harness.plugin.task import Task
from harness.utils.hashing import digest


def make_task(dataset: Dataset, split: Split, blocks: Mapping[str, Block]) -> Task:
    """Make the task of a split: labels of its train rows only.

    The labels of test and spare rows are in no field, and the arrays are copies: nothing leads back to the dataset.
    Nor are their raters, unless the suite shows these on all rows.
    """
    dataset = dataset.cut_by(split.train)
    train = dataset.positions(split.train)
    spare = np.ones(len(dataset), np.bool_)
    spare[split.train] = spare[split.test] = False
    return Task(
        blocks=dict(blocks),
        labelled=split.train,
        y=dataset.y[train],
        to_label=split.test,
        n_classes=dataset.n_classes,
        seed=int(digest("task", split.seed, split.fold)[:8], 16),
        spare=np.flatnonzero(spare),
        raters=_raters_of(dataset, split.train),
        groups=dataset.groups,
        validation=np.isin(split.train, split.validation) if len(split.validation) else None,
        rater_labels=dataset.rater_labels if dataset.raters_on_all else None,
    )


def _raters_of(dataset: Dataset, train: Rows) -> NDArray[np.int64] | None:
    """Return (n, R) labels of the train rows by rater, -1 for none."""
    if dataset.rater_labels is not None:
        return dataset.rater_labels.of(train).table()
    return None if dataset.raters is None else dataset.raters[dataset.positions(train)]

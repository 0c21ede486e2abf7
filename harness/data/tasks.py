"""Make a Task: the one place where the hidden labels are left out."""

from collections.abc import Mapping

import numpy as np

from harness.data.dataset import Dataset
from harness.plugin.block import Block
from harness.plugin.protocols import Split
from harness.plugin.task import Task
from harness.utils.hashing import digest


def make_task(dataset: Dataset, split: Split, blocks: Mapping[str, Block]) -> Task:
    """Make the task of a split: labels of its train rows only.

    The labels and raters of test and spare rows are in no field, and the arrays are copies: nothing leads back to
    the dataset.
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
        raters=None if dataset.raters is None else dataset.raters[train],
        groups=dataset.groups,
        validation=np.isin(split.train, split.validation) if len(split.validation) else None,
    )

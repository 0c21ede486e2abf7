"""Where the unlabelled rows are unlike the labelled ones: what is measured on these does not hold there.

A row is far when it is farther from its nearest labelled row than 99 % of labelled rows are from theirs (a conformal
p-value under 1 %: Bates, Candès, Lei, Romano and Sesia 2023). Distances are cosines of the labeler's blocks, to some of
the labelled rows; the others say how far is far.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from harness.data.dataset import Dataset
from harness.plugin.block import Block, Floats, Rows, fuse, parts
from harness.search.neighbors import normalize
from harness.statistics.intervals import Numbers

MAX_REFERENCE_ROWS = 2_000  # labelled rows that distances are taken to, and as many that say how far is far
FAR_SHARE = 0.01  # share of rows that would be far if they were like the labelled ones
MIN_SOURCE_ROWS = 10  # labelled rows of a source under which nothing is known of it
PRODUCT_ROWS = 4_096  # rows whose products are in memory at a time
COMPARED_ROWS = 128  # labelled rows that a row is compared with at a time, until one is near enough


@dataclass(frozen=True)
class SourceSupport:
    """The rows of one source."""

    labelled: int
    unlabelled: int
    outside: int


@dataclass(frozen=True, eq=False)
class Support:
    """Which of the m unlabelled rows lie outside of what the labelled ones cover."""

    far: Numbers  # (m,) bool
    strange: Numbers  # (m,) bool: of a source with fewer than ten labelled rows
    measured: bool  # False: too few labelled rows, or no blocks, to say what is far
    by_source: Mapping[str, SourceSupport]

    @property
    def outside(self) -> Numbers:
        return np.asarray(self.far | self.strange)


def find_unsupported(dataset: Dataset, unlabelled: Rows, blocks: Sequence[Block]) -> Support:
    """Find the unlabelled rows (m,) that the labelled ones do not cover, in the blocks that the labeler reads."""
    strange = np.zeros(len(unlabelled), np.bool_)
    if dataset.sources is not None:
        names, known = np.unique(dataset.sources[dataset.labelled], return_counts=True)
        strange = ~np.isin(dataset.sources[unlabelled], names[known >= MIN_SOURCE_ROWS])
    base, others = _split_labelled(dataset)
    measured = len(blocks) > 0 and len(others) >= 1 / FAR_SHARE - 1
    far = np.zeros(len(unlabelled), np.bool_)
    if measured:
        reach, tried = (normalize(X) for X in fuse(blocks, dataset.labelled, base, others))
        near = np.sort((tried @ reach.T).max(axis=1))
        # The r + 1 ranks of a row among r like it are equally likely.
        least = near[int(np.floor((len(near) + 1) * FAR_SHARE)) - 1]
        with threadpool_limits(1):  # products so small are over before a second thread has begun
            for place, X in parts(blocks, dataset.labelled, unlabelled, PRODUCT_ROWS):
                far[place] = _far(normalize(X), reach, least)
    return Support(far, strange, measured, _by_source(dataset, unlabelled, far | strange))


def _split_labelled(dataset: Dataset) -> tuple[Rows, Rows]:
    """Deal the labelled rows to two sides, whole groups, at most MAX_REFERENCE_ROWS rows each."""
    rng = np.random.default_rng(2)
    keys = dataset.labelled if dataset.groups is None else dataset.groups[dataset.labelled]
    names, place = np.unique(keys, return_inverse=True)
    side = rng.permutation(len(names))[place.reshape(-1)] % 2 == 0
    return tuple(rng.permutation(dataset.labelled[mask])[:MAX_REFERENCE_ROWS] for mask in (side, ~side))  # type: ignore[return-value]


def _far(X: Floats, references: Floats, least: float) -> Numbers:
    """Return (len(X),) True where no known row has a cosine of `least` or more.

    Most rows have many such among the first few, and are asked no further: a small part of all products is made.
    """
    left = np.arange(len(X))
    for start in range(0, len(references), COMPARED_ROWS):
        left = left[~((X[left] @ references[start : start + COMPARED_ROWS].T) >= least).any(axis=1)]
        if len(left) == 0:
            break
    return np.isin(np.arange(len(X)), left)


def _by_source(dataset: Dataset, unlabelled: Rows, outside: Numbers) -> dict[str, SourceSupport]:
    if dataset.sources is None:
        return {}
    known, asked = dataset.sources[dataset.labelled], dataset.sources[unlabelled]
    return {
        str(name): SourceSupport(
            int((known == name).sum()), int((asked == name).sum()), int(outside[asked == name].sum())
        )
        for name in np.unique(dataset.sources)
    }

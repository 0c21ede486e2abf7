"""Where the unlabelled rows are unlike the labelled ones: what is measured on these does not hold there.

A row is far when it is farther from its nearest labelled row than 99 % of labelled rows are from theirs (a conformal
p-value under 1 %: Bates, Candès, Lei, Romano and Sesia 2023). Distances are cosines of the labeler's blocks, to some of
the labelled rows; the others say how far is far.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.dataset import Dataset
from harness.fuse import Block, Rows, fuse
from harness.neighbors import unit
from harness.statistics.intervals import Numbers

MOST = 2_000  # labelled rows that distances are taken to, and as many that say how far is far
FAR = 0.01  # share of rows that would be far if they were like the labelled ones
FEW = 10  # labelled rows of a source under which nothing is known of it
CHUNK = 4_096  # rows whose products are in memory at a time


@dataclass(frozen=True)
class Source:
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
    by_source: Mapping[str, Source]

    @property
    def outside(self) -> Numbers:
        return np.asarray(self.far | self.strange)


def look(dataset: Dataset, unlabelled: Rows, blocks: Sequence[Block]) -> Support:
    """Find the unlabelled rows (m,) that the labelled ones do not cover, in the blocks that the labeler reads."""
    strange = np.zeros(len(unlabelled), np.bool_)
    if dataset.sources is not None:
        names, known = np.unique(dataset.sources[dataset.labelled], return_counts=True)
        strange = ~np.isin(dataset.sources[unlabelled], names[known >= FEW])
    base, others = _parted(dataset)
    measured = len(blocks) > 0 and len(others) >= 1 / FAR - 1
    far = np.zeros(len(unlabelled), np.bool_)
    if measured:
        near = np.sort(_nearest(blocks, dataset.labelled, base, others))
        # The r + 1 ranks of a row among r like it are equally likely.
        least = near[int(np.floor((len(near) + 1) * FAR)) - 1]
        far = _nearest(blocks, dataset.labelled, base, unlabelled) < least
    return Support(far, strange, measured, _by_source(dataset, unlabelled, far | strange))


def _parted(dataset: Dataset) -> tuple[Rows, Rows]:
    """Deal the labelled rows to two sides, whole groups, at most MOST rows each."""
    rng = np.random.default_rng(2)
    keys = dataset.labelled if dataset.groups is None else dataset.groups[dataset.labelled]
    names, place = np.unique(keys, return_inverse=True)
    side = rng.permutation(len(names))[place.reshape(-1)] % 2 == 0
    return tuple(np.sort(rng.permutation(dataset.labelled[mask])[:MOST]) for mask in (side, ~side))  # type: ignore[return-value]


def _nearest(blocks: Sequence[Block], fitted_on: Rows, base: Rows, rows: Rows) -> Numbers:
    """Return (len(rows),) cosines of each row to the nearest of the base."""
    (known,) = fuse(blocks, fitted_on, base)
    known = unit(known)
    near = np.empty(len(rows), np.float32)
    for low in range(0, len(rows), CHUNK):
        (X,) = fuse(blocks, fitted_on, rows[low : low + CHUNK])
        near[low : low + CHUNK] = (unit(X) @ known.T).max(axis=1)
    return near


def _by_source(dataset: Dataset, unlabelled: Rows, outside: Numbers) -> dict[str, Source]:
    if dataset.sources is None:
        return {}
    known, asked = dataset.sources[dataset.labelled], dataset.sources[unlabelled]
    return {
        str(name): Source(int((known == name).sum()), int((asked == name).sum()), int(outside[asked == name].sum()))
        for name in np.unique(dataset.sources)
    }

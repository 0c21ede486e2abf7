"""Find unlabelled rows unlike the labelled ones.

What is measured on labelled rows does not hold there. A row is far when it is farther from its nearest labelled row
than 99 % of labelled rows are from theirs (a conformal p-value under 1 %: Bates, Candès, Lei, Romano and Sesia 2023).
Distances are cosines of the labeler's blocks, to the labelled rows of one side; those of the other side calibrate them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from harness.data.dataset import Dataset
from harness.plugin.block import Block, Floats, Rows, Scaling, fit_scalings, scaled_matrix, scaled_parts
from harness.search.neighbors import normalize
from harness.statistics.intervals import Numbers

MAX_REFERENCE_ROWS = 2_000  # labelled rows of each side
FAR_SHARE = 0.01  # share of rows that would be far if they were like the labelled ones
MIN_SOURCE_ROWS = 10  # labelled rows; a source with fewer counts as unseen
PRODUCT_ROWS = 4_096  # rows whose products are in memory at a time
COMPARED_ROWS = 128  # labelled rows that a row is compared with at a time, until one is near enough


@dataclass(frozen=True)
class SourceSupport:
    """The numbers of rows of one source."""

    labelled: int
    unlabelled: int
    outside: int


@dataclass(frozen=True, eq=False)
class Support:
    """The unlabelled rows (m,) that the labelled ones do not cover."""

    far: Numbers  # (m,) bool
    strange: Numbers  # (m,) bool: of a source with fewer than ten labelled rows
    measured: bool  # False: too few labelled rows, or no blocks
    by_source: Mapping[str, SourceSupport]
    calibrated: int = 0  # labelled rows, or groups of them, that set how far is far

    @property
    def outside(self) -> Numbers:
        return np.asarray(self.far | self.strange)


@dataclass(frozen=True, eq=False)
class SupportReference:
    """The labelled rows that others are compared with."""

    scalings: tuple[Scaling | None, ...]  # of each block
    vectors: Floats | None  # (r, d) of length 1; None: too few labelled rows, or no blocks
    min_cosine: float  # to the nearest of them; a row with less is far
    calibrated: int  # labelled rows, or groups of them, that set it
    sources: Mapping[str, int] | None  # labelled rows of each source, where there are sources

    def find_far(self, blocks: Sequence[Block], rows: Rows) -> Numbers:
        """Return (len(rows),) True for rows of `blocks` that are far."""
        far = np.zeros(len(rows), np.bool_)
        if self.vectors is not None:
            with threadpool_limits(1):  # a second thread does not help products so small
                for part, X in scaled_parts(blocks, self.scalings, rows, PRODUCT_ROWS):
                    far[part] = _far(normalize(X), self.vectors, self.min_cosine)
        return far

    def find_strange(self, sources: NDArray[Any] | None, rows: int) -> Numbers:
        """Return (rows,) True for rows of a source that is hardly labelled."""
        if sources is None or self.sources is None:
            return np.zeros(rows, np.bool_)
        names, code = np.unique(sources, return_inverse=True)
        strange = np.array([self.sources.get(str(name), 0) < MIN_SOURCE_ROWS for name in names], np.bool_)
        return np.asarray(strange[code.reshape(-1)])


def fit_reference(dataset: Dataset, blocks: Sequence[Block]) -> SupportReference:
    """Return the labelled rows that others are compared with."""
    sources = None
    if dataset.sources is not None:
        names, count = np.unique(dataset.sources[dataset.labelled], return_counts=True)
        sources = {str(name): int(number) for name, number in zip(names, count, strict=True)}
    reference_rows, calibration_rows = _split_labelled(dataset)
    calibrated = count_units(dataset, calibration_rows)
    if len(blocks) == 0 or len(calibration_rows) < 1 / FAR_SHARE - 1:
        return SupportReference((), None, 0.0, calibrated, sources)
    scalings = tuple(fit_scalings(blocks, dataset.labelled))
    reference, calibration = (
        normalize(scaled_matrix(blocks, scalings, rows)) for rows in (reference_rows, calibration_rows)
    )
    nearest = np.sort((calibration @ reference.T).max(axis=1))
    # The r + 1 ranks of a row among r like it are equally likely.
    min_cosine = float(nearest[int(np.floor((len(nearest) + 1) * FAR_SHARE)) - 1])
    return SupportReference(scalings, reference, min_cosine, calibrated, sources)


def find_unsupported(
    dataset: Dataset, unlabelled: Rows, blocks: Sequence[Block], reference: SupportReference | None = None
) -> Support:
    """Find the unlabelled rows (m,) that the labelled ones do not cover."""
    reference = reference or fit_reference(dataset, blocks)
    sources = None if dataset.sources is None else dataset.sources[unlabelled]
    strange = reference.find_strange(sources, len(unlabelled))
    far = reference.find_far(blocks, unlabelled)
    by_source = _by_source(dataset, unlabelled, far | strange)
    return Support(far, strange, reference.vectors is not None, by_source, reference.calibrated)


def count_units(dataset: Dataset, rows: Rows) -> int:
    """Return the number of rows, or of their groups where they have such."""
    return len(rows) if dataset.groups is None else len(np.unique(dataset.groups[rows]))


def _split_labelled(dataset: Dataset) -> tuple[Rows, Rows]:
    """Split the labelled rows in two, at most MAX_REFERENCE_ROWS each.

    Groups stay whole.
    """
    rng = np.random.default_rng(2)
    keys = dataset.labelled if dataset.groups is None else dataset.groups[dataset.labelled]
    names, codes = np.unique(keys, return_inverse=True)
    side = rng.permutation(len(names))[codes.reshape(-1)] % 2 == 0
    return tuple(rng.permutation(dataset.labelled[mask])[:MAX_REFERENCE_ROWS] for mask in (side, ~side))  # type: ignore[return-value]


def _far(X: Floats, reference: Floats, min_cosine: float) -> Numbers:
    """Return (len(X),) True where no cosine to `reference` is high enough.

    Most rows have a near one among the first few and are compared with no others, so that a small part of all products
    is computed.
    """
    remaining = np.arange(len(X))
    for start in range(0, len(reference), COMPARED_ROWS):
        near = ((X[remaining] @ reference[start : start + COMPARED_ROWS].T) >= min_cosine).any(axis=1)
        remaining = remaining[~near]
        if len(remaining) == 0:
            break
    return np.isin(np.arange(len(X)), remaining)


def _by_source(dataset: Dataset, unlabelled: Rows, outside: Numbers) -> dict[str, SourceSupport]:
    if dataset.sources is None:
        return {}
    of_labelled, of_unlabelled = dataset.sources[dataset.labelled], dataset.sources[unlabelled]
    return {
        str(name): SourceSupport(
            int((of_labelled == name).sum()),
            int((of_unlabelled == name).sum()),
            int(outside[of_unlabelled == name].sum()),
        )
        for name in np.unique(dataset.sources)
    }

"""Select the rows of a file that take part, always in file order."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.limits import ROW_BYTES, check_memory
from harness.data.raters import Labels, Mask
from harness.errors import DataError, did_you_mean
from harness.plugin.block import Rows

MAX_PER_CLASS = 10_000_000  # rows of one class in an oversampled population


@dataclass(frozen=True)
class Population:
    """The `population` section of a suite."""

    take: Literal["all", "first", "random", "stratified", "balanced", "source", "oversampled"] = "all"  # which rows
    n: int | None = None  # rows of first, random and stratified
    per_class: int | None = None  # rows of each class of balanced and oversampled
    source: str | None = None  # the source of which all rows are taken
    seed: int = 0

    def __post_init__(self) -> None:
        needs = {"first": "n", "random": "n", "stratified": "n", "balanced": "per_class", "source": "source"}
        for name in ("n", "per_class", "source"):
            value, needed = getattr(self, name), needs.get(self.take) == name
            optional = self.take == "oversampled" and name == "per_class"
            if needed and value is None:
                raise ValueError(f"take: {self.take} needs {name!r}")
            if value is not None and not needed and not optional:
                raise ValueError(f"take: {self.take} has no use for {name!r}")
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.per_class is not None and self.per_class > MAX_PER_CLASS:
            raise ValueError(f"per_class must be at most {MAX_PER_CLASS:,}, got {self.per_class:,}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")
        if self.seed >= 2**63:
            raise ValueError(f"seed must be below 2^63, got {self.seed}")

    def __str__(self) -> str:
        size = {"first": self.n, "random": self.n, "stratified": self.n, "source": self.source}.get(self.take)
        parts = [self.take] + ([f"{size:,}" if isinstance(size, int) else size] if size is not None else [])
        if self.per_class is not None:
            parts.append(f"{self.per_class:,} per class")
        if self.take in ("random", "stratified", "balanced", "oversampled"):
            parts.append(f"seed {self.seed}")
        return ", ".join(parts)

    def scaled(self, share: float) -> "Population":
        """Return the population for a file with this share of the rows.

        >>> str(Population(take="first", n=30_000).scaled(0.01))
        'first, 300'
        """
        n, per_class = (None if size is None else max(1, round(size * share)) for size in (self.n, self.per_class))
        return replace(self, n=n, per_class=per_class)


def select(
    population: Population, target: Labels, is_labelled: Mask, sources: NDArray[Any] | None, classes: int, file: str
) -> Rows:
    """Return the row numbers of the population in file order.

    `stratified`, `balanced` and `oversampled` take labelled rows; `oversampled` repeats them.
    """
    all_rows = np.arange(len(target))
    rng = np.random.default_rng(population.seed)
    match population.take:
        case "all":
            return all_rows
        case "first":
            return all_rows[: _check_count(population.n, len(all_rows), "rows", file)]
        case "random":
            return np.sort(rng.permutation(all_rows)[: _check_count(population.n, len(all_rows), "rows", file)])
        case "source":
            return _rows_of_source(population.source, sources, file)
    by_class = [rng.permutation(np.flatnonzero(is_labelled & (target == c))) for c in range(classes)]
    sizes = np.array([len(rows) for rows in by_class])
    if population.take == "stratified":
        counts = _allocate(sizes, _check_count(population.n, int(sizes.sum()), "labelled rows", file))
        return np.sort(np.concatenate([rows[:n] for rows, n in zip(by_class, counts, strict=True)]))
    if population.take == "balanced":
        for c, rows in enumerate(by_class):
            _check_count(population.per_class, len(rows), f"rows of class {c}", file)
        return np.sort(np.concatenate([rows[: population.per_class] for rows in by_class]))
    counts = np.where(sizes > 0, population.per_class or sizes.max(), 0)  # oversampled
    check_memory(int(counts.sum()), ROW_BYTES, f"{file}: the population", ("population",))
    return np.sort(np.concatenate([np.resize(rows, n) for rows, n in zip(by_class, counts, strict=True)]))


def _check_count(requested: int | None, available: int, noun: str, file: str) -> int:
    assert requested is not None
    if requested > available:
        raise DataError(f"{file}: the population wants {requested:,} {noun}, there are {available:,}", ("population",))
    return requested


def _rows_of_source(source: str | None, sources: NDArray[Any] | None, file: str) -> Rows:
    if sources is None:
        advice = "'take: source' needs the column of the sources; name it under data, as 'source: ...'"
        raise DataError(f"{file}: {advice}", ("population",))
    rows = np.flatnonzero(sources.astype(np.dtypes.StringDType()) == source)
    if len(rows) == 0:
        raise DataError(
            f"{file}: no row of source {source!r}{did_you_mean(str(source), set(map(str, sources.tolist())))}",
            ("population", "source"),
        )
    return rows


def _allocate(sizes: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Divide n in proportion to `sizes`, remainders to the largest fractions."""
    exact = sizes * n / sizes.sum()
    counts: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    for c in np.argsort(counts - exact, kind="stable")[: n - counts.sum()]:
        counts[c] += 1
    return counts

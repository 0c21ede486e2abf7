"""Evidence for a comparison: predictions of finished cells, row by row."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.plugin.protocols import Split
from harness.run.result import Result
from harness.scoring.leaderboard import CellResult
from harness.scoring.scores import Truth
from harness.scoring.standings import Evidence
from harness.statistics.bootstrap import SplitOutcomes, bootstrap_covariances
from harness.statistics.discordance import few_differing, few_discordant
from harness.statistics.metrics import ROW_METRICS, f1_by_class, qwk, value_range
from harness.statistics.significance import MIN_UNITS, Measurements
from harness.utils.hashing import digest, hash_array

UNTESTED = "differences cannot be tested"
NO_ROWS_REASON = f"is neither a mean over rows nor made of counts, so that it has no known error: {UNTESTED}"
SIZE_TOLERANCE = 0.1  # of the rows of train sets that count as equally large
MAX_OVERLAPS = 45  # pairs of seeds whose train sets are compared
ORACLE_REASON = f"the numbers are oracle numbers, chosen on the test rows: {UNTESTED}"


@dataclass(frozen=True)
class AnswerSource:
    """Access to the predictions and the truth of a run."""

    read: Callable[[str], Result]  # by the cell's key
    truth: Callable[[Split], Truth]
    groups: NDArray[np.int64] | None  # (N,)
    n_classes: int


@dataclass(frozen=True, eq=False)
class Part:
    """One split of a test set that all labelers have predicted."""

    selected: NDArray[np.intp] | slice  # places of its rows that count among the split's
    keys: tuple[str, ...]  # (m,) of the labelers' cells, whose predictions are read when needed


@dataclass(frozen=True, eq=False)
class TestSet:
    """A split that all labelers have predicted, or the folds of a seed."""

    seed: int
    unit: NDArray[np.intp]  # (n,)
    y: NDArray[np.int64]  # (n,)
    parts: tuple[Part, ...]

    def answers(self, source: AnswerSource, labeler: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return a labeler's labels (n,) and probabilities (n, C)."""
        results = [(source.read(part.keys[labeler]), part.selected) for part in self.parts]
        if len(results) == 1:
            result, rows = results[0]
            return result.labels[rows], result.proba[rows]
        return (
            np.concatenate([result.labels[rows] for result, rows in results]),
            np.concatenate([result.proba[rows] for result, rows in results]),
        )


RowFilter = Callable[[Truth], NDArray[np.bool_]]
"""From the truth of a split to the (m,) mask of the rows that count."""


def collect_evidence(
    cell_results: Iterable[CellResult], primary: str, source: AnswerSource, row_filter: RowFilter | None = None
) -> Evidence:
    """Collect the predictions of labelers whose cells are all finished.

    The cells are those of one comparison, or of several that are taken as one: the mean over all their splits. With a
    `row_filter` only its rows count.
    """
    by_title: dict[str, dict[str, CellResult]] = {}
    names_by_id: dict[int, str] = {}
    for cell_result in cell_results:
        evaluation = cell_result.cell.evaluation
        if id(evaluation) not in names_by_id:
            names_by_id[id(evaluation)] = _hash_split(evaluation.split)
        by_title.setdefault(cell_result.cell.candidate.title, {})[names_by_id[id(evaluation)]] = cell_result
    titles = tuple(by_title)
    names = list(next(iter(by_title.values()), {}))
    if any(set(cells) != set(names) for cells in by_title.values()):
        return Evidence(titles, None, f"the labelers do not have the same splits: {UNTESTED}")
    if not names:
        return Evidence(titles, None, "no labeler has all its cells")
    keys = [tuple(by_title[title][name].cell.key for title in titles) for name in names]
    splits = [by_title[titles[0]][name].cell.evaluation.split for name in names]
    if (reason := _unlike_sizes(splits)) is not None:
        return Evidence(titles, None, reason)
    test_sets = _test_sets(splits, keys, source, row_filter)
    if not all(len(test_set.y) for test_set in test_sets):
        return Evidence(titles, None, f"a split has no such row: {UNTESTED}")
    unit, bounds = "rows" if source.groups is None else "groups", value_range(primary, source.n_classes)
    overlap = _train_overlap(splits)
    if primary in ROW_METRICS:
        return Evidence(titles, _by_rows(test_sets, primary, source), unit=unit, bounds=bounds, overlap=overlap)
    if primary in ("macro_f1", "qwk"):
        return replace(_by_tables(titles, test_sets, primary, source), unit=unit, bounds=bounds, overlap=overlap)
    return Evidence(titles, None, f"{primary} {NO_ROWS_REASON}")


def _unlike_sizes(splits: list[Split]) -> str | None:
    """Return why the seeds of one ratio are no repetitions of each other."""
    sizes: dict[tuple[float | None, bool], list[int]] = {}
    for split in splits:
        if split.fold is None:
            sizes.setdefault((split.ratio, True), []).append(len(split.train))
    for counts in sizes.values():
        if min(counts) < (1 - SIZE_TOLERANCE) * max(counts):
            return f"the train sets of the seeds have {min(counts):,} to {max(counts):,} rows: {UNTESTED}"
    return None


def _train_overlap(splits: list[Split]) -> float | None:
    """Return the share of train rows that two seeds share, on average."""
    by_seed: dict[int, Any] = {}
    for split in splits:
        by_seed.setdefault(split.seed, split.train)  # folds and ratios of a seed: its first
    pairs = list(combinations(by_seed.values(), 2))
    shares = [len(np.intersect1d(a, b, assume_unique=True)) / max(len(a), len(b), 1) for a, b in pairs[:MAX_OVERLAPS]]
    return float(np.mean(shares)) if shares else None


def _test_sets(
    splits: list[Split], keys: list[tuple[str, ...]], source: AnswerSource, row_filter: RowFilter | None
) -> list[TestSet]:
    """Return the test sets of the splits; the folds of a seed are one."""
    truths = [source.truth(split) for split in splits]
    selections: list[Any] = [
        slice(None) if row_filter is None else np.flatnonzero(row_filter(truth)) for truth in truths
    ]
    units = [split.test[selected] for split, selected in zip(splits, selections, strict=True)]
    if source.groups is not None:
        units = [source.groups[rows] for rows in units]
    _, numbers = np.unique(np.concatenate(units), return_inverse=True)
    unit_numbers = np.split(numbers, np.cumsum([len(rows) for rows in units])[:-1])
    together: dict[tuple[int, float | None], list[int]] = {}
    for i, split in enumerate(splits):
        together.setdefault((split.seed, split.ratio if split.fold is None else None), []).append(i)
    return [
        TestSet(
            seed,
            np.concatenate([unit_numbers[i] for i in places]),
            np.concatenate([truths[i].y[selections[i]] for i in places]),
            tuple(Part(selections[i], keys[i]) for i in places),
        )
        for (seed, _), places in together.items()
    ]


def _hash_split(split: Split) -> str:
    return digest(split.seed, split.ratio, split.fold, hash_array(split.train), hash_array(split.test))


def _by_rows(test_sets: list[TestSet], metric: str, source: AnswerSource) -> Measurements:
    """Measure a metric that is a mean over rows.

    What a unit adds to a seed's value, less its weight times the value, is its residual; covariances are sums of
    products of residuals.
    """
    n_units, m = 1 + max(int(test_set.unit.max()) for test_set in test_sets), len(test_sets[0].parts[0].keys)
    seeds = list(dict.fromkeys(test_set.seed for test_set in test_sets))
    values, mean_shares, mean_residuals = np.zeros((m, len(seeds))), np.zeros((m, n_units)), np.zeros((m, n_units))
    products = np.zeros((m, m))
    for j, seed in enumerate(seeds):
        own = [test_set for test_set in test_sets if test_set.seed == seed]
        shares, residuals = np.zeros((m, n_units)), np.zeros((m, n_units))
        for test_set in own:
            weights = np.bincount(test_set.unit, minlength=n_units) / len(test_set.unit)
            for a in range(m):
                loss = ROW_METRICS[metric](*test_set.answers(source, a), test_set.y)
                share = np.bincount(test_set.unit, loss, n_units) / len(loss)
                value = loss.mean()
                shares[a] += share / len(own)
                residuals[a] += (share - weights * value) / len(own)
                values[a, j] += value / len(own)
        products += residuals @ residuals.T
        mean_residuals += residuals / len(seeds)
        mean_shares += shares / len(seeds)
    factor = n_units / max(n_units - 1, 1)
    rows = mean_residuals @ mean_residuals.T
    own_rows = (products - len(seeds) * rows) / (len(seeds) - 1) * factor if len(seeds) > 1 else None
    return Measurements(values, rows * factor, n_units, own_rows, few_discordant(mean_shares))


def _by_seed(values: NDArray[np.float64], test_sets: list[TestSet]) -> NDArray[np.float64]:
    """Average (m, test sets) values into (m, J), one column a seed."""
    seeds = np.array([test_set.seed for test_set in test_sets])
    return np.stack([values[:, seeds == seed].mean(axis=1) for seed in dict.fromkeys(seeds.tolist())], axis=1)


def _by_tables(titles: tuple[str, ...], test_sets: list[TestSet], metric: str, source: AnswerSource) -> Evidence:
    """Measure a metric of the confusion matrix by the bootstrap.

    Macro-F1 is taken over the classes that have MIN_UNITS test rows in every test set.
    """
    classes = source.n_classes
    support = np.min([np.bincount(test_set.y, minlength=classes) for test_set in test_sets], axis=0)
    ranked_classes = np.flatnonzero(support >= MIN_UNITS)
    if metric == "macro_f1" and not len(ranked_classes):
        return Evidence(titles, None, f"no class has {MIN_UNITS} test rows: {UNTESTED}")

    def measure(tables: NDArray[Any]) -> NDArray[np.float64]:
        return f1_by_class(tables)[..., ranked_classes].mean(axis=-1) if metric == "macro_f1" else qwk(tables)

    labels = [
        np.stack([test_set.answers(source, a)[0].astype(np.int64) for a in range(len(titles))])
        for test_set in test_sets
    ]
    outcomes = [
        SplitOutcomes(test_set.unit, test_set.y * classes + answers, test_set.seed)
        for test_set, answers in zip(test_sets, labels, strict=True)
    ]
    values = np.stack([measure(_tables(outcome.cells, classes)) for outcome in outcomes], axis=1)
    if not np.isfinite(values).all():
        return Evidence(titles, None, f"{metric} has no value on some split: {UNTESTED}")
    n_units = 1 + max(int(test_set.unit.max()) for test_set in test_sets)
    seed = int(digest([hash_array(test_set.y) for test_set in test_sets])[:16], 16)
    rows, own_rows = bootstrap_covariances(outcomes, n_units, classes, measure, seed)
    largest_step = 2 / float(support[ranked_classes].min()) if len(ranked_classes) else 1.0  # of F1 by one row
    few = few_differing(np.concatenate(labels, axis=1), values.mean(axis=1), rows, largest_step)
    measured = Measurements(_by_seed(values, test_sets), rows, n_units, own_rows, few)
    ranked_on = tuple(ranked_classes.tolist()) if metric == "macro_f1" and len(ranked_classes) < classes else None
    return Evidence(titles, measured, classes=ranked_on)


def _tables(cells: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Return the (m, C, C) confusion matrices of (m, n) cells."""
    counts = [np.bincount(row, minlength=classes**2) for row in cells]
    return np.stack(counts).reshape(-1, classes, classes)

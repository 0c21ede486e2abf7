"""Labelers ranked over several data sets, from finished boards."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.errors import HarnessError, did_you_mean
from harness.report.finished_board import FinishedBoard, difference_variances, primary_metric
from harness.statistics.metrics import DISPLAY_NAMES, LOWER_IS_BETTER
from harness.statistics.ranking import Ranking, error_factor, rank_over_data_sets

SEEDS_FOR_ERRORS = 3  # with fewer a board's errors are those of its rows alone


@dataclass(frozen=True)
class RankedBoard:
    """One data set: a board, and the comparison that counts."""

    board: FinishedBoard
    comparison: str
    has_errors: bool  # whether differences between its labelers have a known error

    @property
    def values(self) -> dict[str, float]:
        """The primary metric of each ranked labeler."""
        rows = self.board.of(self.comparison)
        return {row["labeler"]: float(row["value"]) for row in rows if row["value"] and row["rank"]}

    @property
    def seeds(self) -> int:
        table = self.board.scores
        return len(table.filter(pc.equal(table["comparison"], self.comparison))["seed"].unique())


@dataclass(frozen=True, eq=False)
class DataSetRanking:
    """The labelers that every board ranks, and those that some lack."""

    boards: tuple[RankedBoard, ...]  # (D,)
    metric: str
    labelers: tuple[str, ...]  # (m,) by mean rank
    values: NDArray[np.float64]  # (D, m)
    ranking: Ranking
    incomplete: dict[str, list[str]]  # labeler -> the boards on which it has no rank

    @property
    def is_simulated(self) -> bool:
        return any(ranked.board.is_simulated for ranked in self.boards)

    @property
    def metric_name(self) -> str:
        return DISPLAY_NAMES.get(self.metric, self.metric)

    @property
    def related(self) -> list[str]:
        """The boards whose rows another of the boards has too."""
        files = Counter(_data(ranked.board) for ranked in self.boards)
        return [ranked.board.name for ranked in self.boards if files[_data(ranked.board)] > 1]


def rank_boards(
    boards: Sequence[FinishedBoard], ratio: float | None = None, labelers: Sequence[str] = ()
) -> DataSetRanking:
    """Rank the labelers that all boards rank, or those of `labelers` alone.

    Of each board the comparison with the most labels counts, or that of `ratio`. Raises HarnessError for boards of the
    same data, of different metrics, without values, or without two labelers in common.
    """
    _check_different(boards)
    comparisons = [_comparison(board, ratio) for board in boards]
    metric = _common_metric(boards, comparisons)
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    values = [RankedBoard(*pair, False).values for pair in zip(boards, comparisons, strict=True)]
    names = list(dict.fromkeys(name for of_board in values for name in of_board))
    for name in labelers:
        if name not in names:
            raise HarnessError(f"--labeler {name}: no board ranks it{did_you_mean(name, names)}")
    names = [name for name in names if not labelers or name in labelers]
    lacking = {
        name: [board.name for board, of_board in zip(boards, values, strict=True) if name not in of_board]
        for name in names
    }
    common = [name for name, missing in lacking.items() if not missing]
    if len(common) < 2:
        closest = sorted((len(missing), name) for name, missing in lacking.items() if missing)
        lacks = "; ".join(f"{name} lacks {', '.join(lacking[name])}" for _, name in closest[:2])
        raise HarnessError(
            f"a ranking takes two labelers that stand on all {len(boards)} boards, and of {len(names)} there "
            f"{'is' if len(common) == 1 else 'are'} {len(common)} ({lacks}); name what is the same method alike in the "
            "suites, by 'as'"
        )
    variances = [difference_variances(board, where, common) for board, where in zip(boards, comparisons, strict=True)]
    none = np.zeros((len(common), len(common)))
    matrix = np.array([[of_board[name] for name in common] for of_board in values])
    ranking = rank_over_data_sets(
        sign * matrix, [error_factor(none if variance is None else variance) for variance in variances]
    )
    ranked_boards = tuple(
        RankedBoard(board, where, variance is not None)
        for board, where, variance in zip(boards, comparisons, variances, strict=True)
    )
    incomplete = {name: missing for name, missing in lacking.items() if missing}
    return DataSetRanking(ranked_boards, metric, tuple(common), matrix, ranking, incomplete)


def _data(board: FinishedBoard) -> str:
    """Return the file of a board's rows and its hash."""
    return board.facts.get("Data", str(board.record.get("data", "")))


def _check_different(boards: Sequence[FinishedBoard]) -> None:
    if len(boards) < 2:
        raise HarnessError("a ranking over data sets takes two boards or more; one has its own: harness leaderboard")
    names: dict[tuple[object, ...], str] = {}
    for board in boards:
        key = (_data(board), board.record.get("population"), board.record.get("target"))
        if key in names:
            raise HarnessError(
                f"{names[key]} and {board.name} are boards of the same data, rows and target ({board.record['data']}): "
                "a data set counts once, give one of them"
            )
        names[key] = board.name


def _comparison(board: FinishedBoard, ratio: float | None) -> str:
    if ratio is None:
        return board.main_comparison
    table = board.scores
    ratios = dict(sorted(set(zip(table["comparison"].to_pylist(), table["ratio"].to_pylist(), strict=True))))
    matching = [name for name, value in ratios.items() if value is not None and abs(value - ratio) < 1e-9]
    if len(matching) != 1:
        of_board = sorted({value for value in ratios.values() if value is not None})
        listed = ", ".join(f"{value:g}" for value in of_board)
        count = "no comparison" if not matching else f"{len(matching)} comparisons"
        raise HarnessError(f"--ratio {ratio:g}: {board.name} has {count} of it; its ratios: {listed or 'none'}")
    return str(matching[0])


def _common_metric(boards: Sequence[FinishedBoard], comparisons: Sequence[str]) -> str:
    metrics: dict[str, str] = {}
    for board, comparison in zip(boards, comparisons, strict=True):
        metric = primary_metric(board, comparison)
        if metric is None:
            raise HarnessError(
                f"{board.name}: standings.csv has no values of {comparison!r} that its scores have, as under protocol: "
                "record; it cannot be ranked with others"
            )
        metrics[board.name] = metric
    if len(set(metrics.values())) > 1:
        by_board = ", ".join(f"{name} by {metric}" for name, metric in metrics.items())
        raise HarnessError(f"boards that rank by different metrics are not one ranking: {by_board}")
    return next(iter(metrics.values()))

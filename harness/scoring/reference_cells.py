"""Our number for a number of a reference file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult
from harness.scoring.reference_data import NoOwnNumber, ReferenceData, comparison_of, matches_ratio
from harness.scoring.scores import MetricKey, MetricValue, Scores
from harness.suite.reference import PublishedNumber

NOT_RUN_REASON = "not run by this suite"
OTHER_POPULATION_REASON = "another population"
METRIC_PART = re.compile(r"(\w+)\[(.+)\]")  # accuracy[round 3]: of a checkpoint; added[3]: an item of a fact
MEAN_OVER_RATIOS = re.compile(r"mean over (\d+) ratios")
CHECKPOINT_NUMBER = re.compile(r"(\w+) (-?\d+(?:\.\d+)?)")  # the name of a checkpoint: "alpha 0.8"


@dataclass(frozen=True)
class OwnNumber:
    """One number of ours, the mean over the seeds.

    Where the labeler returns checkpoints it is that of the best one on the test rows, chosen as the record chose its
    epochs; `honest` is then the labeler's own answer, and `chosen` names the checkpoints.
    """

    value: float
    honest: float | None = None
    chosen: str = ""


class ReferenceCells:
    """The numbers of one suite by the names of a reference file."""

    def __init__(self, run: Run, cell_results: list[CellResult]) -> None:
        self.run = run
        self.cell_results = cell_results
        self.data = ReferenceData(run)

    def of(self, row: PublishedNumber) -> OwnNumber:
        """Return our number for a row, or raise NoOwnNumber."""
        reference = self.run.suite.reference
        if reference is None or row.population != reference.dataset:
            raise NoOwnNumber(f"{OTHER_POPULATION_REASON}: {row.population}")
        value = self.data.of(row)
        return self._of_labeler(row) if value is None else OwnNumber(value)

    def _of_labeler(self, row: PublishedNumber) -> OwnNumber:
        cells = [result for result in self.cell_results if result.cell.candidate.title == row.title]
        if not cells:
            raise NoOwnNumber(NOT_RUN_REASON)
        name = METRIC_PART.fullmatch(row.metric)
        metric, part = (row.metric, "") if name is None else name.groups()
        mean = MEAN_OVER_RATIOS.fullmatch(part)
        if mean is not None:
            return _mean_over_ratios(cells, metric, int(mean[1]), row)
        cells = _scored_cells(cells, row)
        return (
            OwnNumber(_mean([_of_part(cell, metric, part, row) for cell in cells]))
            if part
            else (_mean_of_cells(cells, metric, row))
        )


def _scored_cells(cells: list[CellResult], row: PublishedNumber) -> list[CellResult]:
    """Return the cells of the row's ratio, all of which have scores."""
    cells = [result for result in cells if matches_ratio(result.cell.evaluation, row)]
    comparison = comparison_of([result.cell.evaluation for result in cells], row)
    cells = [result for result in cells if result.cell.evaluation.comparison == comparison]
    for result in cells:
        if result.scores is None:
            raise NoOwnNumber("not run yet" if result.status == "not run" else f"a cell {_describe_status(result)}")
    return cells


def _mean_over_ratios(cells: list[CellResult], metric: str, n_ratios: int, row: PublishedNumber) -> OwnNumber:
    """Return the mean over the suite's ratios, if it has as many as the row."""
    by_comparison: dict[str, list[CellResult]] = {}
    for result in cells:
        by_comparison.setdefault(result.cell.evaluation.comparison, []).append(result)
    if len(by_comparison) != n_ratios:
        raise NoOwnNumber(f"a mean over {n_ratios} ratios, and the suite has {len(by_comparison)}")
    means = [_mean_of_cells(_scored_cells(group, row), metric, row) for group in by_comparison.values()]
    value = _mean([ours.value for ours in means])
    if not any(ours.chosen for ours in means):
        return OwnNumber(value)
    return OwnNumber(
        value, _mean([ours.value if ours.honest is None else ours.honest for ours in means]), "one a ratio"
    )


def _mean_of_cells(cells: list[CellResult], metric: str, row: PublishedNumber) -> OwnNumber:
    """Return the mean of a labeler's cells, of best checkpoints if any."""
    names = [name for result in cells if (name := _best_checkpoint(result)) is not None]
    numbers = [number for name in names if (number := CHECKPOINT_NUMBER.fullmatch(name)) and number[1] == metric]
    if numbers:
        own = [_fact(_scores(result).facts, metric) for result in cells]
        honest = None if None in own else _mean([value for value in own if value is not None])
        return OwnNumber(_mean([float(number[2]) for number in numbers]), honest, _join_names(names))
    key: MetricKey = (metric, row.label_class, None)
    if key not in _scores(cells[0]).honest:
        return OwnNumber(_mean([_size_or_fact(result, metric) for result in cells]))
    honest = _mean([_value(_scores(result).honest, key) for result in cells])
    if not names or key not in _scores(cells[0]).oracle:
        return OwnNumber(honest)
    best = [
        _value(_scores(result).oracle if _best_checkpoint(result) else _scores(result).honest, key) for result in cells
    ]
    return OwnNumber(_mean(best), honest, _join_names(names))


def _size_or_fact(result: CellResult, metric: str) -> float:
    """Return a fact of the labeler, else a size of the split."""
    split = result.cell.evaluation.split
    fact = _fact(_scores(result).facts, metric)
    if fact is not None:
        return fact
    if metric in ("n_train", "n_test"):
        return len(split.train if metric == "n_train" else split.test)
    raise NoOwnNumber(f"{metric} is not measured")


def _of_part(result: CellResult, metric: str, part: str, row: PublishedNumber) -> float:
    """Return an item of a fact, or a score of a checkpoint or row mask."""
    scores = _scores(result)
    if part.isdecimal():
        item = _fact(scores.facts, metric, int(part))
        if item is None:
            raise NoOwnNumber(f"a cell has no {row.metric}")
        return item
    if part in scores.checkpoints:
        return _value(scores.checkpoints[part].scores, (metric, row.label_class, None))
    masks = dict(scores.rows)
    for checkpoint in scores.checkpoints.values():
        masks.update(checkpoint.rows)  # "adopted in round 3" is scored with the labels of that round
    if part not in masks:
        raise NoOwnNumber(f"a cell has no {part}")
    return _value({("accuracy", None, None): masks[part]}, (metric, row.label_class, None))


def _best_checkpoint(result: CellResult) -> str | None:
    """Return the checkpoint that is best on the test rows, if any.

    Rounds that adopt rows are no alternatives but steps of one method: its answer is the last of them, in the record
    as here.
    """
    scores = _scores(result)
    return None if any(checkpoint.rows for checkpoint in scores.checkpoints.values()) else scores.checkpoint


def _scores(result: CellResult) -> Scores:
    assert result.scores is not None
    return result.scores


def _value(values: Mapping[MetricKey, MetricValue], key: MetricKey) -> float:
    if key not in values:
        raise NoOwnNumber(f"{key[0]} is not measured")
    value = values[key].value
    if value is None:
        raise NoOwnNumber("no test row measures it")
    return float(value)


def _fact(facts: Any, name: str, place: int | None = None) -> float | None:
    """Return a number among a labeler's facts, else among those of its base.

    With a `place`, the fact is a list and the number its item there.
    """
    while isinstance(facts, Mapping):
        value = facts.get(name)
        if place is not None:
            value = value[place] if isinstance(value, list) and place < len(value) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        facts = facts.get("base")
    return None


def _describe_status(result: CellResult) -> str:
    reason = result.reason.partition("\n")[0]
    return f"{'failed' if result.status == 'failed' else 'was ' + result.status}: {reason}"


def _join_names(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _mean(values: list[float]) -> float:
    return float(np.mean(values))

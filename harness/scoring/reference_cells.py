"""Our number for a number of a reference file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.run.runner import Run
from harness.scoring.leaderboard import CellResult
from harness.scoring.reference_data import NoOwnNumber, ReferenceData, comparison_of, matches_ratio
from harness.scoring.scores import MetricKey, Scores
from harness.suite.reference import PublishedNumber

NOT_RUN_REASON = "not run by this suite"
OTHER_POPULATION_REASON = "another population"
ROUND = re.compile(r"(\w+) (round \d+)")  # "self_training round 3"
MEAN = re.compile(r"(.+), mean over (\d+) ratios")
CHOSEN = re.compile(r"\w+ (-?\d+(?:\.\d+)?)")  # the name of a checkpoint: "alpha 0.8"
OWN_METRIC_NAMES = {  # the reference's name -> ours
    "class_accuracy": "accuracy",
    "n_params_text": "parameters",
    "issues_low": "issues",
    "issues_high": "issues",
}


@dataclass(frozen=True)
class OwnNumber:
    """One number of ours, the mean over the seeds.

    Where the labeler handed in checkpoints it is that of the best one on the test rows, chosen as the record chose its
    epochs; `honest` is then the labeler's own answer, and `chosen` names the checkpoints.
    """

    value: float
    honest: float | None = None
    chosen: str = ""


class ReferenceCells:
    """Looks up the numbers of one suite under the names that a reference file uses."""

    def __init__(self, run: Run, cell_results: list[CellResult]) -> None:
        self.run = run
        self.ended = cell_results
        self.census = ReferenceData(run)

    def of(self, row: PublishedNumber) -> OwnNumber:
        """Return our number, or raise Missing."""
        reference = self.run.suite.reference
        if reference is None or row.population != reference.dataset:
            raise NoOwnNumber(f"{OTHER_POPULATION_REASON}: {row.population}")
        value = self.census.of(row)
        return self._of_cells(row) if value is None else OwnNumber(value)

    def _of_cells(self, row: PublishedNumber) -> OwnNumber:
        stage = ROUND.fullmatch(row.method)
        if stage:
            kind = next(iter(self._family(stage[1], row).values()), [])
            return OwnNumber(
                _mean([_of_checkpoint(cell_result, stage[2], row) for cell_result in self._finished(kind, row)])
            )
        mean = MEAN.fullmatch(row.method)
        if mean:
            return self._over_ratios(row, " ".join((mean[1], *row.inputs)), int(mean[2]))
        found = [cell_result for cell_result in self.ended if cell_result.cell.candidate.title == row.title]
        if found or row.metric in ("accuracy", "macro_f1", "mae", "class_accuracy"):
            return _mean_of_cells(self._finished(found, row), row)
        family = [_mean_of_cells(self._finished(each, row), row) for each in self._family(row.method, row).values()]
        if not family:
            raise NoOwnNumber(NOT_RUN_REASON)
        family.sort(key=lambda ours: ours.value)  # a number of the kind is a range, or it is the smaller: rows left
        return family[-1 if row.metric.endswith("_high") else 0]

    def _family(self, method: str, row: PublishedNumber) -> dict[str, list[CellResult]]:
        """Return title -> endings of the labelers of a kind with the row's inputs: ``cleanlab(...) skywork``."""
        inputs = "".join(f" {name}" for name in row.inputs)
        found: dict[str, list[CellResult]] = {}
        for cell_result in self.ended:
            title = cell_result.cell.candidate.title
            if title.startswith(f"{method}(") and title.endswith(f"){inputs}"):
                found.setdefault(title, []).append(cell_result)
        return found

    def _finished(self, cell_results: list[CellResult], row: PublishedNumber) -> list[CellResult]:
        """Return the cells of the row's ratio, all of which have scores."""
        if not cell_results:
            raise NoOwnNumber(NOT_RUN_REASON)
        there = [cell_result for cell_result in cell_results if matches_ratio(cell_result.cell.evaluation, row)]
        comparison = comparison_of([cell_result.cell.evaluation for cell_result in there], row)
        there = [cell_result for cell_result in there if cell_result.cell.evaluation.comparison == comparison]
        for cell_result in there:
            if cell_result.scores is None:
                raise NoOwnNumber(
                    "not run yet" if cell_result.status == "not run" else f"a cell {_describe_status(cell_result)}"
                )
        return there

    def _over_ratios(self, row: PublishedNumber, title: str, wanted: int) -> OwnNumber:
        found = [cell_result for cell_result in self.ended if cell_result.cell.candidate.title == title]
        groups: dict[str, list[CellResult]] = {}
        for cell_result in found:
            groups.setdefault(cell_result.cell.evaluation.comparison, []).append(cell_result)
        if found and len(groups) != wanted:
            raise NoOwnNumber(f"a mean over {wanted} ratios, and the suite has {len(groups)}")
        each = [_mean_of_cells(self._finished(group, row), row) for group in groups.values()]
        if not each:
            raise NoOwnNumber(NOT_RUN_REASON)
        honest = [ours.value if ours.honest is None else ours.honest for ours in each]
        chosen = any(ours.chosen for ours in each)
        value = _mean([ours.value for ours in each])
        return OwnNumber(value, _mean(honest), "one a ratio") if chosen else OwnNumber(value)


def _mean_of_cells(cell_results: list[CellResult], row: PublishedNumber) -> OwnNumber:
    """Return the mean of one labeler's cells, those of its best checkpoints where it has any."""
    names = [name for cell_result in cell_results if (name := _oracle_of(cell_result)) is not None]
    if row.metric.startswith("best_"):
        if not names:
            raise NoOwnNumber("the labeler hands in no checkpoints to choose from")
        own = [_fact(_scores(cell_result).facts, row.metric.removeprefix("best_")) for cell_result in cell_results]
        honest = _mean([value for value in own if value is not None]) if None not in own else None
        return OwnNumber(_mean([_in_name(name) for name in names]), honest, _join_names(names))
    key: MetricKey = (OWN_METRIC_NAMES.get(row.metric, row.metric), row.label_class, None)
    if key in _scores(cell_results[0]).honest:
        honest = _mean([_value(_scores(cell_result).honest, key) for cell_result in cell_results])
        if not names or key not in _scores(cell_results[0]).oracle:
            return OwnNumber(honest)
        best = [
            _value(_scores(cell_result).oracle if _oracle_of(cell_result) else _scores(cell_result).honest, key)
            for cell_result in cell_results
        ]
        return OwnNumber(_mean(best), honest, _join_names(names))
    return OwnNumber(_mean([_of_cell(cell_result, row) for cell_result in cell_results]))


def _of_cell(cell_result: CellResult, row: PublishedNumber) -> float:
    """Return a number that is no score: a size, or a fact."""
    split, scores = cell_result.cell.evaluation.split, _scores(cell_result)
    fact = _fact(scores.facts, OWN_METRIC_NAMES.get(row.metric, row.metric))
    if fact is not None:
        return fact
    if row.metric in ("n_train", "n_test"):
        return len(split.train if row.metric == "n_train" else split.test)
    raise NoOwnNumber(f"{row.metric} is not measured")


def _of_checkpoint(cell_result: CellResult, name: str, row: PublishedNumber) -> float:
    """Return a number of one round: its train rows, what it adopted, or the scores of its model."""
    checkpoints = _scores(cell_result).checkpoints
    if name not in checkpoints:
        raise NoOwnNumber(
            "a cell ended before that round" if checkpoints else "the labeler tells nothing of its rounds"
        )
    checkpoint, names = checkpoints[name], list(checkpoints)
    adopted = list(checkpoint.rows.values())
    if row.metric == "n_train":
        before = [value.n for each in names[: names.index(name)] for value in checkpoints[each].rows.values()]
        return len(cell_result.cell.evaluation.split.train) + sum(before)
    if row.metric == "pseudo_added":
        return sum(value.n for value in adopted)
    if row.metric == "pseudo_accuracy" and len(adopted) == 1 and adopted[0].value is not None:
        return adopted[0].value
    key: MetricKey = (OWN_METRIC_NAMES.get(row.metric, row.metric), row.label_class, None)
    if key not in checkpoint.scores:
        raise NoOwnNumber(f"{row.metric} is not measured")
    return _value(checkpoint.scores, key)


def _oracle_of(cell_result: CellResult) -> str | None:
    """Return the checkpoint that is best on the test rows, where checkpoints are alternatives.

    Rounds that adopt rows are steps of one method: its answer is the last of them, in the record as here.
    """
    scores = _scores(cell_result)
    return None if any(checkpoint.rows for checkpoint in scores.checkpoints.values()) else scores.checkpoint


def _scores(cell_result: CellResult) -> Scores:
    assert cell_result.scores is not None
    return cell_result.scores


def _value(found: Mapping[MetricKey, Any], key: MetricKey) -> float:
    value = found[key].value if key in found else None
    if value is None:
        raise NoOwnNumber("no test row tells it")
    return float(value)


def _fact(facts: Any, name: str) -> float | None:
    """Return the number of that name among the facts, else among those of the labeler that is held."""
    while isinstance(facts, Mapping):
        value = facts.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        facts = facts.get("base")
    return None


def _in_name(name: str) -> float:
    number = CHOSEN.fullmatch(name)
    if number is None:
        raise NoOwnNumber(f"the best checkpoint is called {name!r}, which is no number")
    return float(number[1])


def _describe_status(cell_result: CellResult) -> str:
    reason = cell_result.reason.partition("\n")[0]
    return f"{'failed' if cell_result.status == 'failed' else 'was ' + cell_result.status}: {reason}"


def _join_names(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _mean(values: list[float]) -> float:
    return float(np.mean(values))

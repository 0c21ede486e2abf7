"""Our number for a number of a reference file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.run.runner import Run
from harness.scoring.leaderboard import Ending
from harness.scoring.reference_data import Census, Missing, comparison_of, has_ratio
from harness.scoring.scores import Key, Scores
from harness.suite.reference import PublishedNumber

NOT_RUN = "not run by this suite"
OTHER_POPULATION = "another population"
ROUND = re.compile(r"(\w+) (round \d+)")  # "self_training round 3"
MEAN = re.compile(r"(.+), mean over (\d+) ratios")
CHOSEN = re.compile(r"\w+ (-?\d+(?:\.\d+)?)")  # the name of a checkpoint: "alpha 0.8"
NAMED_SO = {  # the reference's name -> ours
    "class_accuracy": "accuracy",
    "n_params_text": "parameters",
    "issues_low": "issues",
    "issues_high": "issues",
}


@dataclass(frozen=True)
class Ours:
    """One number of ours, the mean over the seeds.

    Where the labeler handed in checkpoints it is that of the best one on the test rows, chosen as the record chose its
    epochs; `honest` is then the labeler's own answer, and `chosen` names the checkpoints.
    """

    value: float
    honest: float | None = None
    chosen: str = ""


class Counterparts:
    """Looks up the numbers of one suite under the names that a reference file uses."""

    def __init__(self, run: Run, ended: list[Ending]) -> None:
        self.run = run
        self.ended = ended
        self.census = Census(run)

    def of(self, row: PublishedNumber) -> Ours:
        """Return our number, or raise Missing."""
        reference = self.run.suite.reference
        if reference is None or row.population != reference.dataset:
            raise Missing(f"{OTHER_POPULATION}: {row.population}")
        value = self.census.of(row)
        return self._of_cells(row) if value is None else Ours(value)

    def _of_cells(self, row: PublishedNumber) -> Ours:
        stage = ROUND.fullmatch(row.method)
        if stage:
            kind = next(iter(self._family(stage[1], row).values()), [])
            return Ours(_mean([_of_stage(ending, stage[2], row) for ending in self._finished(kind, row)]))
        mean = MEAN.fullmatch(row.method)
        if mean:
            return self._over_ratios(row, " ".join((mean[1], *row.inputs)), int(mean[2]))
        found = [ending for ending in self.ended if ending.cell.candidate.title == row.title]
        if found or row.metric in ("accuracy", "macro_f1", "mae", "class_accuracy"):
            return _of_line(self._finished(found, row), row)
        family = [_of_line(self._finished(each, row), row) for each in self._family(row.method, row).values()]
        if not family:
            raise Missing(NOT_RUN)
        family.sort(key=lambda ours: ours.value)  # a number of the kind is a range, or it is the smaller: rows left
        return family[-1 if row.metric.endswith("_high") else 0]

    def _family(self, method: str, row: PublishedNumber) -> dict[str, list[Ending]]:
        """Return title -> endings of the labelers of a kind with the row's inputs: ``cleanlab(...) skywork``."""
        inputs = "".join(f" {name}" for name in row.inputs)
        found: dict[str, list[Ending]] = {}
        for ending in self.ended:
            title = ending.cell.candidate.title
            if title.startswith(f"{method}(") and title.endswith(f"){inputs}"):
                found.setdefault(title, []).append(ending)
        return found

    def _finished(self, endings: list[Ending], row: PublishedNumber) -> list[Ending]:
        """Return the cells of the row's ratio, all of which have scores."""
        if not endings:
            raise Missing(NOT_RUN)
        there = [ending for ending in endings if has_ratio(ending.cell.evaluation, row)]
        comparison = comparison_of([ending.cell.evaluation for ending in there], row)
        there = [ending for ending in there if ending.cell.evaluation.comparison == comparison]
        for ending in there:
            if ending.scores is None:
                raise Missing("not run yet" if ending.status == "not run" else f"a cell {_became(ending)}")
        return there

    def _over_ratios(self, row: PublishedNumber, title: str, wanted: int) -> Ours:
        found = [ending for ending in self.ended if ending.cell.candidate.title == title]
        groups: dict[str, list[Ending]] = {}
        for ending in found:
            groups.setdefault(ending.cell.evaluation.comparison, []).append(ending)
        if found and len(groups) != wanted:
            raise Missing(f"a mean over {wanted} ratios, and the suite has {len(groups)}")
        each = [_of_line(self._finished(group, row), row) for group in groups.values()]
        if not each:
            raise Missing(NOT_RUN)
        honest = [ours.value if ours.honest is None else ours.honest for ours in each]
        chosen = any(ours.chosen for ours in each)
        value = _mean([ours.value for ours in each])
        return Ours(value, _mean(honest), "one a ratio") if chosen else Ours(value)


def _of_line(endings: list[Ending], row: PublishedNumber) -> Ours:
    """Return the mean of one labeler's cells, those of its best checkpoints where it has any."""
    names = [name for ending in endings if (name := _oracle_of(ending)) is not None]
    if row.metric.startswith("best_"):
        if not names:
            raise Missing("the labeler hands in no checkpoints to choose from")
        own = [_fact(_scores(ending).facts, row.metric.removeprefix("best_")) for ending in endings]
        honest = _mean([value for value in own if value is not None]) if None not in own else None
        return Ours(_mean([_in_name(name) for name in names]), honest, _joined(names))
    key: Key = (NAMED_SO.get(row.metric, row.metric), row.label_class, None)
    if key in _scores(endings[0]).honest:
        honest = _mean([_value(_scores(ending).honest, key) for ending in endings])
        if not names or key not in _scores(endings[0]).oracle:
            return Ours(honest)
        best = [
            _value(_scores(ending).oracle if _oracle_of(ending) else _scores(ending).honest, key) for ending in endings
        ]
        return Ours(_mean(best), honest, _joined(names))
    return Ours(_mean([_of_cell(ending, row) for ending in endings]))


def _of_cell(ending: Ending, row: PublishedNumber) -> float:
    """Return a number that is no score: a size, or a fact."""
    split, scores = ending.cell.evaluation.split, _scores(ending)
    fact = _fact(scores.facts, NAMED_SO.get(row.metric, row.metric))
    if fact is not None:
        return fact
    if row.metric in ("n_train", "n_test"):
        return len(split.train if row.metric == "n_train" else split.test)
    raise Missing(f"{row.metric} is not measured")


def _of_stage(ending: Ending, name: str, row: PublishedNumber) -> float:
    """Return a number of one round: its train rows, what it adopted, or the scores of its model."""
    stages = _scores(ending).stages
    if name not in stages:
        raise Missing("a cell ended before that round" if stages else "the labeler tells nothing of its rounds")
    stage, names = stages[name], list(stages)
    adopted = list(stage.rows.values())
    if row.metric == "n_train":
        before = [value.n for each in names[: names.index(name)] for value in stages[each].rows.values()]
        return len(ending.cell.evaluation.split.train) + sum(before)
    if row.metric == "pseudo_added":
        return sum(value.n for value in adopted)
    if row.metric == "pseudo_accuracy" and len(adopted) == 1 and adopted[0].value is not None:
        return adopted[0].value
    key: Key = (NAMED_SO.get(row.metric, row.metric), row.label_class, None)
    if key not in stage.scores:
        raise Missing(f"{row.metric} is not measured")
    return _value(stage.scores, key)


def _oracle_of(ending: Ending) -> str | None:
    """Return the checkpoint that is best on the test rows, where checkpoints are alternatives.

    Rounds that adopt rows are steps of one method: its answer is the last of them, in the record as here.
    """
    scores = _scores(ending)
    return None if any(stage.rows for stage in scores.stages.values()) else scores.checkpoint


def _scores(ending: Ending) -> Scores:
    assert ending.scores is not None
    return ending.scores


def _value(found: Mapping[Key, Any], key: Key) -> float:
    value = found[key].value if key in found else None
    if value is None:
        raise Missing("no test row tells it")
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
        raise Missing(f"the best checkpoint is called {name!r}, which is no number")
    return float(number[1])


def _became(ending: Ending) -> str:
    reason = ending.reason.partition("\n")[0]
    return f"{'failed' if ending.status == 'failed' else 'was ' + ending.status}: {reason}"


def _joined(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _mean(values: list[float]) -> float:
    return float(np.mean(values))

"""From scores to ranked tables, one for each comparison: the same data, target and kind of split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.run.plan import Cell
from harness.scoring.scores import Key, Scores, Value
from harness.scoring.standings import Evidence, Standing, Standings, stand
from harness.statistics.metrics import LOWER_IS_BETTER

DECIMALS = 4  # what a board prints; values that are equal to this precision are tied


@dataclass(frozen=True)
class Spread:
    """A mean over seeds (and folds), with their standard deviation where there are several."""

    mean: float
    sd: float | None
    n: int  # seeds times folds


@dataclass(frozen=True)
class Line:
    """One labeler of one comparison."""

    title: str
    rank: str  # "1", "2-4"; by the numbers alone "2=" for a tie; "" where it is not ranked
    values: Mapping[str, Spread]  # metric -> value
    difference: float | None  # from the baseline, primary metric
    by_class: Mapping[int, float | None]
    by_source: Mapping[str, float | None]  # accuracy
    oracle_gap: float | None
    ok: int
    total: int
    failures: tuple[str, ...] = ()  # first lines
    not_applicable: str | None = None
    standing: Standing | None = None  # None where ranks are by the numbers alone
    leak: str | None = None  # what an audit has found: it is not ranked


@dataclass(frozen=True)
class Comparison:
    """The labelers that may be ranked against each other."""

    title: str
    n_train: tuple[int, ...]  # one for each split
    n_test: tuple[int, ...]
    support: Mapping[int, tuple[int, ...]]  # class -> test rows in each split
    seeds: tuple[int, ...]
    lines: tuple[Line, ...]
    standings: Standings | None = None  # None where nobody asked for them

    @property
    def ahead(self) -> list[Line]:
        """Those whom nobody is significantly better than; where ranks claim nothing, the first by number."""
        leading = [line for line in self.lines if line.standing and line.standing.leading]
        return leading or [line for line in self.lines if line.rank in ("1", "1=")]


@dataclass
class Ending:
    """What became of a cell."""

    cell: Cell
    status: str  # "ok", "failed", "not applicable", "not run"; "leak" where an audit has found one
    reason: str = ""
    scores: Scores | None = None
    timing: Mapping[str, Any] = field(default_factory=dict)  # what it cost; never on a page that must not change

    def shown(self, as_record: bool) -> Mapping[Key, Value]:
        """The scores a board shows: the honest ones, or as in the record those of the best checkpoint, if any."""
        assert self.scores is not None
        return self.scores.oracle if as_record and self.scores.oracle else self.scores.honest


Gather = Callable[[list[Ending]], Evidence]
"""Returns what the rows say of these labelers, whose cells are all finished."""


def compare(
    endings: list[Ending], primary: str, baseline: str, as_record: bool, gather: Gather | None = None
) -> list[Comparison]:
    """Group the cells by comparison and rank the labelers of each by the `primary` metric.

    With `as_record` the numbers are those of each labeler's best checkpoint on the test rows, where it has checkpoints.
    Without `gather`, or where it has no evidence, ranks are by the numbers alone.
    """
    groups: dict[str, list[Ending]] = {}
    for ending in endings:
        groups.setdefault(ending.cell.evaluation.comparison, []).append(ending)
    return [_comparison(title, group, primary, baseline, as_record, gather) for title, group in groups.items()]


def _comparison(
    title: str, endings: list[Ending], primary: str, baseline: str, as_record: bool, gather: Gather | None
) -> Comparison:
    by_title: dict[str, list[Ending]] = {}
    for ending in endings:
        by_title.setdefault(ending.cell.candidate.title, []).append(ending)
    base_cells = by_title.get(baseline, [])
    base = None  # nothing is compared with a baseline that lacks a cell
    if all(ending.status == "ok" for ending in base_cells):
        base = _spread([ending.shown(as_record) for ending in base_cells], (primary, None, None))
    lines = [_line(name, cells, primary, base, as_record) for name, cells in by_title.items()]
    standings = None
    if gather is not None:
        whole = {line.title for line in lines if _is_whole(line, primary)}
        evidence = gather([ending for ending in endings if ending.cell.candidate.title in whole])
        standings = stand(evidence, primary in LOWER_IS_BETTER, baseline)
    evaluations = list(dict.fromkeys(ending.cell.evaluation for ending in endings))
    return Comparison(
        title,
        tuple(len(evaluation.split.train) for evaluation in evaluations),
        tuple(len(evaluation.split.test) for evaluation in evaluations),
        _support(endings),
        tuple(dict.fromkeys(evaluation.split.seed for evaluation in evaluations)),
        tuple(_ranked(lines, primary, standings)),
        standings,
    )


def _is_whole(line: Line, primary: str) -> bool:
    return line.ok == line.total and primary in line.values


def _line(title: str, cells: list[Ending], primary: str, base: Spread | None, as_record: bool) -> Line:
    found = [ending.shown(as_record) for ending in cells if ending.status == "ok"]
    keys = list(dict.fromkeys(key for scores in found for key in scores))
    metrics = [metric for metric, label_class, source in keys if label_class is None and source is None]
    values = {metric: spread for metric in metrics if (spread := _spread(found, (metric, None, None))) is not None}
    leaks = [ending.reason for ending in cells if ending.status == "leak"]
    refusals = [ending.reason for ending in cells if ending.status == "not applicable"]
    return Line(
        title,
        "",
        values,
        values[primary].mean - base.mean if base and primary in values and len(found) == len(cells) else None,
        {
            c: _mean(_pick(found, ("accuracy", c, None)))
            for metric, c, _ in keys
            if metric == "accuracy" and c is not None
        },
        {s: _mean(_pick(found, ("accuracy", None, s))) for _, _, s in keys if s is not None},
        _gap([ending.scores for ending in cells if ending.scores is not None], primary),
        len(found),
        len(cells),
        tuple(dict.fromkeys(ending.reason for ending in cells if ending.status == "failed")),
        refusals[0] if len(refusals) == len(cells) else None,
        leak=leaks[0] if leaks else None,
    )


def _ranked(lines: list[Line], primary: str, standings: Standings | None) -> list[Line]:
    """Sort by what ranks; only labelers without a missing cell have a rank. By the numbers alone, equal printed values
    share one."""
    found = standings.by_title if standings else {}
    sign = 1 if primary in LOWER_IS_BETTER else -1
    shown = {}
    for line in (line for line in lines if _is_whole(line, primary)):
        value = found[line.title].value if line.title in found else line.values[primary].mean
        shown[line.title] = round(sign * value, DECIMALS)
    everyone = list(shown.values())
    ranked = []
    for line in sorted(lines, key=lambda line: (shown.get(line.title, np.inf), line.title)):
        if line.title in found:
            standing = found[line.title]
            line = replace(line, rank=standing.rank, standing=standing)
        elif line.title in shown:
            tied = "=" if everyone.count(shown[line.title]) > 1 else ""
            line = replace(line, rank=f"{1 + sum(value < shown[line.title] for value in everyone)}{tied}")
        ranked.append(line)
    return ranked


def _spread(found: list[Mapping[Key, Value]], key: Key) -> Spread | None:
    values = _pick(found, key)
    if not values:
        return None
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None, len(values))


def _pick(found: list[Mapping[Key, Value]], key: Key) -> list[float]:
    return [scores[key].value for scores in found if key in scores and scores[key].value is not None]  # type: ignore[misc]


def _gap(scores: list[Scores], primary: str) -> float | None:
    """Mean over the cells with checkpoints of (best checkpoint on the test rows - honest answer), better upwards."""
    sign = -1 if primary in LOWER_IS_BETTER else 1
    key = (primary, None, None)
    with_oracle = [s for s in scores if s.oracle]
    best, honest = _pick([s.oracle for s in with_oracle], key), _pick([s.honest for s in with_oracle], key)
    return _mean([sign * (b - h) for b, h in zip(best, honest, strict=True)])


def _support(endings: list[Ending]) -> dict[int, tuple[int, ...]]:
    """Return the test rows of every class in every split, from the first finished cell of each."""
    first = {ending.cell.evaluation: ending.scores for ending in reversed(endings) if ending.scores is not None}
    found: dict[int, list[int]] = {}
    for scores in first.values():
        for (metric, label_class, _), value in scores.honest.items():
            if metric == "accuracy" and label_class is not None:
                found.setdefault(label_class, []).append(value.n)
    return {c: tuple(counts) for c, counts in sorted(found.items())}


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None

"""What the predictions of a run say beyond its scores: curves over train sizes, confidence, confusion, common errors.

One pass over the stored cells, one cell at a time; only the labelers that a page draws are held together, for what they
have in common.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.run.runner import Run
from harness.scoring.evidence import AnswerSource
from harness.scoring.leaderboard import CellResult, Leaderboard, MeanStd
from harness.scoring.score_run import answer_source
from harness.scoring.scores import MetricKey
from harness.statistics import error_overlap, learning_curve, selective
from harness.statistics.error_overlap import EnsembleGain, SharedErrors
from harness.statistics.learning_curve import LabelsNeeded, PowerLawFit, Refusal
from harness.statistics.metrics import CALIBRATION_BINS, LOWER_IS_BETTER, count_confusion
from harness.statistics.selective import CalibrationBin, Threshold

MAX_DRAWN_LABELERS = 8  # labelers that a plot shows: the best of a comparison
FITTED_METRICS = ("accuracy", "macro_f1", "mae")
TARGET_ACCURACY = 0.6  # accuracy


@dataclass(frozen=True)
class CurvePoint:
    """One train size of a learning curve."""

    labels: int
    value: MeanStd


@dataclass(frozen=True)
class LearningCurve:
    """One score of one labeler over the train sizes of one kind of split."""

    family: str  # what the splits have in common: "nested(test=0.2)"
    title: str
    metric: str
    label_class: int | None
    points: tuple[CurvePoint, ...]
    fit: PowerLawFit | Refusal | None = None  # of the error; None for single classes
    needed: LabelsNeeded | Refusal | None = None  # labels for the target; accuracy only


@dataclass(frozen=True, eq=False)
class LabelerProfile:
    """How one labeler answers in one comparison, over its finished cells."""

    comparison: str
    title: str
    cells: int
    confusion: NDArray[np.int64]  # (C, C), sums: row true, column predicted
    accuracies: NDArray[np.float64]  # (GRID,) of the surest rows, means
    aurc: float
    calibration_error: float
    bins: tuple[CalibrationBin, ...]  # sums
    accepted: tuple[Threshold, ...]  # of each cell
    train: float  # rows, mean
    rows: float  # to label, mean
    seconds: float | None  # mean; None where a cell does not know

    @property
    def coverage(self) -> float:
        """Share of the rows accepted at the target, mean over the cells."""
        return float(np.mean([each.coverage for each in self.accepted]))


@dataclass(frozen=True)
class ErrorOverlap:
    """What the drawn labelers of one comparison have in common, means over the splits that all of them finished."""

    comparison: str
    titles: tuple[str, ...]
    shared: dict[tuple[int, int], SharedErrors]  # by places in titles
    gains: tuple[EnsembleGain, ...]  # one for each title


@dataclass(frozen=True)
class RunProfile:
    """All of it."""

    target: float
    curves: tuple[LearningCurve, ...]
    profiles: tuple[LabelerProfile, ...]
    overlaps: tuple[ErrorOverlap, ...]

    def of(self, comparison: str) -> list[LabelerProfile]:
        """Return the profiles of one comparison, the best labeler first."""
        return [profile for profile in self.profiles if profile.comparison == comparison]


def profile_run(
    run: Run, cell_results: list[CellResult], leaderboards: list[Leaderboard], target: float = TARGET_ACCURACY
) -> RunProfile:
    """Read every finished cell of a run once, those of the drawn labelers twice."""
    cells: dict[tuple[str, str], list[CellResult]] = {}
    for cell_result in cell_results:
        if cell_result.scores is not None:
            cells.setdefault((cell_result.cell.evaluation.comparison, cell_result.cell.candidate.title), []).append(
                cell_result
            )
    source = answer_source([run])
    profiles, overlaps = [], []
    for leaderboard in leaderboards:
        there = [row.title for row in leaderboard.rows if (leaderboard.title, row.title) in cells]
        groups = [cells[leaderboard.title, title] for title in there]
        profiles += [_profile(source, group, target) for group in groups]
        found = _overlap(source, leaderboard.title, there[:MAX_DRAWN_LABELERS], groups[:MAX_DRAWN_LABELERS])
        overlaps += [found] if found is not None else []
    order = {title: place for leaderboard in reversed(leaderboards) for place, title in _places(leaderboard)}
    return RunProfile(target, tuple(_curves(run, cell_results, order, target)), tuple(profiles), tuple(overlaps))


def _places(leaderboard: Leaderboard) -> Iterator[tuple[int, str]]:
    return ((place, row.title) for place, row in enumerate(leaderboard.rows))


def _profile(source: AnswerSource, group: Sequence[CellResult], target: float) -> LabelerProfile:
    C = source.n_classes
    table = np.zeros((C, C), np.int64)
    bins = [CalibrationBin(0, 0.0, 0)] * CALIBRATION_BINS
    accuracies, areas, taken, seconds, sizes, errors = [], [], [], [], [], []
    for cell_result in group:
        split = cell_result.cell.evaluation.split
        result, y = source.read(cell_result.cell.key), source.truth(split).y
        sure, hit = selective.top_probability(result.proba), result.labels == y
        table += count_confusion(y, result.labels, C)
        accuracies.append(selective.accuracy_by_coverage(sure, hit))
        areas.append(selective.aurc(sure, hit))
        unit = None if source.groups is None else source.groups[split.test]
        taken.append(selective.find_threshold(sure, hit, target, unit))
        seconds.append(result.timing.get("seconds"))
        sizes.append((len(split.train), len(split.test)))
        errors.append(cell_result.scores.honest["calibration_error", None, None].value if cell_result.scores else None)
        more = selective.reliability_bins(sure, hit)
        pairs = zip(bins, more, strict=True)
        bins = [CalibrationBin(a.rows + b.rows, a.confidence + b.confidence, a.hits + b.hits) for a, b in pairs]
    known = [each for each in seconds if each is not None]
    return LabelerProfile(
        group[0].cell.evaluation.comparison,
        group[0].cell.candidate.title,
        len(group),
        table,
        np.mean(accuracies, axis=0),
        float(np.mean(areas)),
        float(np.mean([each for each in errors if each is not None])),
        tuple(bins),
        tuple(taken),
        float(np.mean([train for train, _ in sizes])),
        float(np.mean([test for _, test in sizes])),
        float(np.mean(known)) if len(known) == len(group) else None,
    )


def _overlap(
    source: AnswerSource, comparison: str, titles: list[str], groups: list[list[CellResult]]
) -> ErrorOverlap | None:
    """Compare the labelers on the splits that every one of them has finished."""
    by_cut = [{cell_result.cell.evaluation: cell_result for cell_result in group} for group in groups]
    evaluations = (
        [evaluation for evaluation in by_cut[0] if all(evaluation in other for other in by_cut)]
        if len(groups) > 1
        else []
    )
    pairs, gains = [], []
    for evaluation in evaluations:
        y = source.truth(evaluation.split).y
        results = [source.read(each[evaluation].cell.key) for each in by_cut]
        pairs.append(error_overlap.shared_errors(y, [result.labels for result in results]))
        gains.append(error_overlap.ensemble_gains(y, [result.proba for result in results]))
    if not evaluations:
        return None
    shared = {
        key: SharedErrors(
            *(float(np.mean([getattr(p[key], name) for p in pairs])) for name in ("both", "chance", "same"))
        )
        for key in pairs[0]
    }
    added = tuple(
        EnsembleGain(
            *(float(np.mean([getattr(g[i], name) for g in gains])) for name in ("alone", "without", "together"))
        )
        for i in range(len(titles))
    )
    return ErrorOverlap(comparison, tuple(titles), shared, added)


def _curves(run: Run, cell_results: list[CellResult], order: dict[str, int], target: float) -> Iterator[LearningCurve]:
    """Yield the curves of every labeler with cells of several train sizes, the best labelers first."""
    as_record = run.suite.protocol == "record"
    families: dict[tuple[str, str], list[CellResult]] = {}
    for cell_result in cell_results:
        if cell_result.scores is not None:
            families.setdefault((cell_result.cell.evaluation.family, cell_result.cell.candidate.title), []).append(
                cell_result
            )
    keys: list[MetricKey] = [
        (metric, None, None) for metric in dict.fromkeys((run.suite.metrics.primary, *FITTED_METRICS))
    ]
    keys += [("accuracy", c, None) for c in range(run.dataset.n_classes)]
    place = {family: i for i, family in enumerate(dict.fromkeys(family for family, _ in families))}
    for (family, title), cells in sorted(families.items(), key=lambda kv: (place[kv[0][0]], order[kv[0][1]])):
        if len({cell_result.cell.evaluation.split.ratio for cell_result in cells}) > 1:
            for key in keys:
                curve = _curve(family, title, key, cells, as_record, target)
                if curve is not None:
                    yield curve


def _curve(
    family: str, title: str, key: MetricKey, cells: list[CellResult], as_record: bool, target: float
) -> LearningCurve | None:
    by_ratio: dict[float | None, list[CellResult]] = {}
    for cell_result in cells:
        by_ratio.setdefault(cell_result.cell.evaluation.split.ratio, []).append(cell_result)
    points, n, values, replicates = [], [], [], []
    for group in by_ratio.values():
        size = round(float(np.mean([len(cell_result.cell.evaluation.split.train) for cell_result in group])))
        found = [(e.cell.evaluation.split, e.shown(as_record).get(key)) for e in group]
        known = [(split, value.value) for split, value in found if value is not None and value.value is not None]
        if known:
            points.append(CurvePoint(size, _mean_std([value for _, value in known])))
            n += [size] * len(known)
            values += [value for _, value in known]
            replicates += [(split.seed, split.fold or 0) for split, _ in known]
    points.sort(key=lambda point: point.labels)
    metric, label_class, _ = key
    if not points or label_class is not None or metric not in FITTED_METRICS:
        return LearningCurve(family, title, metric, label_class, tuple(points)) if points else None
    error = np.array(values) if metric in LOWER_IS_BETTER else 1 - np.array(values)
    _, replicate = np.unique(np.array(replicates), axis=0, return_inverse=True)
    fit = learning_curve.fit_power_law(np.array(n), error, replicate.ravel())
    needed = None
    if metric == "accuracy":
        needed = fit if isinstance(fit, Refusal) else learning_curve.labels_needed(fit, 1 - target)
    return LearningCurve(family, title, metric, label_class, tuple(points), fit, needed)


def _mean_std(values: list[float]) -> MeanStd:
    return MeanStd(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None, len(values))

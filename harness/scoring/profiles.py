"""Profiles of labelers: learning curves, confidence, confusion and errors.

One pass over the stored cells, one split at a time; only the labelers that a page draws are in memory together, for the
errors they share.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from harness.plugin.protocols import Split
from harness.run.runner import Run
from harness.scoring.confidence import CellConfidence, measure_confidence
from harness.scoring.evidence import AnswerSource
from harness.scoring.leaderboard import CellResult, Leaderboard, MeanStd
from harness.scoring.score_run import answer_source
from harness.scoring.scores import MetricKey, MetricValue
from harness.statistics import error_overlap, learning_curve, selective
from harness.statistics.error_overlap import EnsembleGain, SharedErrors
from harness.statistics.learning_curve import LabelsNeeded, PowerLawFit, Refusal
from harness.statistics.metrics import LOWER_IS_BETTER
from harness.statistics.selective import CalibrationBin, Threshold

MAX_DRAWN_LABELERS = 8  # the best of a comparison
FITTED_METRICS = ("accuracy", "macro_f1", "mae")
TARGET_ACCURACY = 0.6


TrainSize = tuple[int, list[tuple[Split, Mapping[MetricKey, MetricValue]]]]
"""Train rows, the mean over the cells of one ratio, and the scores of each cell."""


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
    """Predictions of one labeler in one comparison, over its finished cells."""

    comparison: str
    title: str
    cells: int
    confusion: NDArray[np.int64]  # (C, C), sums: row true, column predicted
    accuracies: NDArray[np.float64]  # (COVERAGE_STEPS,) of the most confident rows, means
    aurc: float
    calibration_error: float
    bins: tuple[CalibrationBin, ...]  # sums
    accepted: tuple[Threshold, ...]  # of each cell
    train: float  # rows, mean
    rows: float  # to label, mean
    seconds: float | None  # mean; None where a cell has no time

    @property
    def coverage(self) -> float:
        """Share of the rows accepted at the target, mean over the cells."""
        return float(np.mean([threshold.coverage for threshold in self.accepted]))


@dataclass(frozen=True)
class ErrorOverlap:
    """Errors that the drawn labelers of one comparison share.

    Numbers are means over the splits that all of them have finished.
    """

    comparison: str
    titles: tuple[str, ...]
    shared: dict[tuple[int, int], SharedErrors]  # by places in titles
    gains: tuple[EnsembleGain, ...]  # one for each title


@dataclass(frozen=True)
class RunProfile:
    """Profiles, learning curves and shared errors of a run."""

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
    """Profile a run by its finished cells.

    Every cell is read once, those of the drawn labelers twice.
    """
    cells: dict[tuple[str, str], list[CellResult]] = {}
    for cell_result in cell_results:
        if cell_result.scores is not None:
            cells.setdefault((cell_result.cell.evaluation.comparison, cell_result.cell.candidate.title), []).append(
                cell_result
            )
    source = answer_source([run])
    profiles, overlaps = [], []
    for leaderboard in leaderboards:
        titles = [row.title for row in leaderboard.rows if (leaderboard.title, row.title) in cells]
        groups = [cells[leaderboard.title, title] for title in titles]
        confidence = measure_confidence(source, chain.from_iterable(groups), target)
        profiles += [_profile(group, confidence) for group in groups]
        overlap = _overlap(source, leaderboard.title, titles[:MAX_DRAWN_LABELERS], groups[:MAX_DRAWN_LABELERS])
        overlaps += [overlap] if overlap is not None else []
    order = {row.title: place for board in reversed(leaderboards) for place, row in enumerate(board.rows)}
    return RunProfile(target, tuple(_curves(run, cell_results, order, target)), tuple(profiles), tuple(overlaps))


def _profile(group: Sequence[CellResult], confidence: Mapping[str, CellConfidence]) -> LabelerProfile:
    """Profile a labeler by its cells in one comparison, which are scored."""
    cells = [confidence[cell_result.cell.key] for cell_result in group]
    scores = [cell_result.scores for cell_result in group if cell_result.scores is not None]
    splits = [cell_result.cell.evaluation.split for cell_result in group]
    errors = [of_cell.honest["calibration_error", None, None].value for of_cell in scores]
    times = [time for cell_result in group if (time := cell_result.timing.get("seconds")) is not None]
    return LabelerProfile(
        group[0].cell.evaluation.comparison,
        group[0].cell.candidate.title,
        len(group),
        np.sum([cell_result.board_table(False) for cell_result in group], axis=0),
        np.mean([cell.accuracies for cell in cells], axis=0),
        float(np.mean([cell.aurc for cell in cells])),
        float(np.mean([error for error in errors if error is not None])),
        tuple(selective.to_bins(np.sum([cell.bins for cell in cells], axis=0))),
        tuple(cell.accepted for cell in cells),
        float(np.mean([len(split.train) for split in splits])),
        float(np.mean([len(split.test) for split in splits])),
        float(np.mean(times)) if len(times) == len(group) else None,
    )


def _overlap(
    source: AnswerSource, comparison: str, titles: list[str], groups: list[list[CellResult]]
) -> ErrorOverlap | None:
    """Return the errors that labelers share on their common splits."""
    by_evaluation = [{cell_result.cell.evaluation: cell_result for cell_result in group} for group in groups]
    evaluations = (
        [evaluation for evaluation in by_evaluation[0] if all(evaluation in other for other in by_evaluation)]
        if len(groups) > 1
        else []
    )
    pairs, gains = [], []
    for evaluation in evaluations:
        y = source.truth(evaluation.split).y
        results = [source.read(results_of[evaluation].cell.key) for results_of in by_evaluation]
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
    """Yield the curves of labelers with several train sizes, the best first."""
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
            sizes = _train_sizes(cells, as_record)
            for key in keys:
                curve = _curve(family, title, key, sizes, target)
                if curve is not None:
                    yield curve


def _train_sizes(cells: list[CellResult], as_record: bool) -> list[TrainSize]:
    """Group the scores of a labeler's cells by the ratio of their splits."""
    by_ratio: dict[float | None, list[CellResult]] = {}
    for cell_result in cells:
        by_ratio.setdefault(cell_result.cell.evaluation.split.ratio, []).append(cell_result)
    return [
        (
            round(float(np.mean([len(cell_result.cell.evaluation.split.train) for cell_result in group]))),
            [(result.cell.evaluation.split, result.board_scores(as_record)) for result in group],
        )
        for group in by_ratio.values()
    ]


def _curve(family: str, title: str, key: MetricKey, sizes: list[TrainSize], target: float) -> LearningCurve | None:
    points, n, values, replicates = [], [], [], []
    for size, group in sizes:
        scores = [(split, scores.get(key)) for split, scores in group]
        measured = [(split, score.value) for split, score in scores if score is not None and score.value is not None]
        if measured:
            points.append(CurvePoint(size, MeanStd.of([value for _, value in measured])))
            n += [size] * len(measured)
            values += [value for _, value in measured]
            replicates += [(split.seed, split.fold or 0) for split, _ in measured]
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

"""The runs that an experiment tracker gets: one a labeler and comparison."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import __version__
from harness.report.suite_run import ScoredRun
from harness.scoring.leaderboard import CellResult, Leaderboard, LeaderboardRow, test_set_scores
from harness.scoring.scores import MetricKey
from harness.suite import spec
from harness.utils.hashing import canonical_json, digest

KEY_TAG = "labelharness.key"
UNSAFE = re.compile(r"[^\w\-. :/]+")  # letters that no name of a metric may have


@dataclass(frozen=True)
class TrackedRun:
    """One labeler of one comparison, as trackers have it."""

    key: str  # of its cells and their numbers: the same key is the same run
    name: str
    comparison: str
    parameters: Mapping[str, str]  # the labeler's spec, and the comparison
    metrics: Mapping[str, Mapping[int, float]]  # name -> {seed: value}
    summary: Mapping[str, float]  # over all seeds: means, standard deviations, bounds of the rank
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Tracked:
    """What a tracker did with the runs of a suite."""

    added: int
    present: int  # were there already
    place: str


def tracked_runs(scored: ScoredRun) -> Iterator[TrackedRun]:
    """Yield the runs of all labelers that have a finished cell."""
    by_row: dict[tuple[str, str], list[CellResult]] = {}
    for result in scored.cell_results:
        by_row.setdefault((result.cell.evaluation.comparison, result.cell.candidate.title), []).append(result)
    for leaderboard in scored.leaderboards:
        for row in leaderboard.rows:
            results = by_row[leaderboard.title, row.title]
            if any(result.status == "ok" for result in results):
                yield _tracked_run(scored, leaderboard, row, results)


def common_tags(scored: ScoredRun) -> dict[str, str]:
    """Return the tags of every run of a suite: version, data, suite."""
    run = scored.run
    return {
        "labelharness.version": __version__,
        "labelharness.suite": run.suite.name,
        "labelharness.data": run.dataset.table.sha256,
        "labelharness.simulated": str(run.simulated).lower(),
    }


def _tracked_run(
    scored: ScoredRun, leaderboard: Leaderboard, row: LeaderboardRow, results: list[CellResult]
) -> TrackedRun:
    run, as_record = scored.run, scored.run.suite.protocol == "record"
    by_seed: dict[int, list[CellResult]] = {}
    for result in results:
        by_seed.setdefault(result.cell.evaluation.split.seed, []).append(result)
    values: dict[str, dict[int, float]] = {}
    for seed, of_seed in sorted(by_seed.items()):
        scores = test_set_scores(of_seed, as_record)
        for key in dict.fromkeys(key for one in scores for key in one):
            measured = [value for one in scores if key in one and (value := one[key].value) is not None]
            if measured:
                values.setdefault(_metric_name(key, run.dataset.classes.names), {})[seed] = float(np.mean(measured))
    cell_keys = sorted(result.cell.key for result in results if result.status == "ok")
    standing, tags = row.standing, {"labelharness.comparison": leaderboard.title, "labelharness.rank": row.rank}
    summary = {f"{UNSAFE.sub('_', name)}_mean": value.mean for name, value in row.values.items()}
    summary |= {f"{UNSAFE.sub('_', name)}_sd": value.sd for name, value in row.values.items() if value.sd is not None}
    if standing is not None and standing.low is not None and standing.high is not None:
        summary |= {"rank_low": float(standing.low), "rank_high": float(standing.high)}
    if row.leak is not None:
        tags["labelharness.leak"] = row.leak
    return TrackedRun(
        digest(run.suite.name, leaderboard.title, row.title, cell_keys, values),
        row.title,
        leaderboard.title,
        {"labeler": row.title, "comparison": leaderboard.title}
        | _flatten(spec.to_spec(results[0].cell.candidate.labeler)),
        values,
        summary,
        common_tags(scored) | tags | {"labelharness.cells": f"{row.ok}/{row.total}"},
    )


def _metric_name(key: MetricKey, classes: tuple[str, ...]) -> str:
    """Return the name of a number: accuracy, accuracy/class good."""
    metric, label_class, source = key
    name = metric if label_class is None else f"{metric}/class {classes[label_class]}"
    return UNSAFE.sub("_", name if source is None else f"{name}/source {source}")


def _flatten(value: Any, name: str = "") -> dict[str, str]:
    """Return {"knn.k": "20", ...} of a spec."""
    if isinstance(value, dict) and value:
        parts = [_flatten(part, f"{name}.{key}" if name else str(key)) for key, part in value.items()]
        return {key: text for part in parts for key, text in part.items()}
    return {UNSAFE.sub("_", name): value if isinstance(value, str) else canonical_json(value)}

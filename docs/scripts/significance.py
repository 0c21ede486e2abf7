"""Count how often boards separate equal labelers, and fill the table of docs/statistics.md.

    python docs/scripts/significance.py [WORLDS]

Worlds are simulated: labelers of equal quality whose values differ by the draw of the test rows, by the seed, and by
both together. Their answers, or where rows are many the sums over them, go through the code that ranks a board.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.plugin.protocols import Split
from harness.run.plan import Cell, EvaluationSplit
from harness.run.result import Result
from harness.scoring.evidence import AnswerSource, collect_evidence
from harness.scoring.leaderboard import CellResult
from harness.scoring.scores import Scores, Truth
from harness.statistics import significance
from harness.statistics.significance import ALPHA, Measurements
from harness.suite.candidates import Candidate

PAGE = Path(__file__).parents[1] / "statistics.md"
MARKS = ("<!-- worlds -->", "<!-- end of worlds -->")
CLASSES, LEAD = 6, 0.015
COMMON, OWN, ALONE = 0.10, 0.10, 0.06  # variance of a row's loss: of all labelers, of one, of one in one seed
SEED_EFFECT = 0.003  # what a seed does to all labelers
SCATTERS = {  # standard deviation by the seed, in points
    "8 alike": [0.3] * 8,
    "one erratic of 2": [0.05, 1.0],
    "one erratic of 3": [0.05, 0.05, 1.0],
    "one erratic of 8": [0.05] * 7 + [1.0],
    "one erratic of 12": [0.2] * 11 + [1.0],
    "3 calm, 3 erratic": [0.05] * 3 + [1.0] * 3,
}


def sums(scatter: list[float], seeds: int, n: int, rng: np.random.Generator) -> Measurements:
    """Return what is measured of labelers on n rows, by the central limit theorem."""
    m = len(scatter)
    values = 0.45 + np.sqrt(COMMON / n) * rng.normal() + np.sqrt(OWN / n) * rng.normal(size=(m, 1))
    values = values + np.array(scatter)[:, None] / 100 * rng.normal(size=(m, seeds))
    values = values + np.sqrt(ALONE / n) * rng.normal(size=(m, seeds)) + SEED_EFFECT * rng.normal(size=seeds)
    rows = COMMON / n + np.eye(m) * (OWN + ALONE / seeds) / n
    return Measurements(values, rows, n, np.eye(m) * ALONE / n)


def answers(kind: str, metric: str, m: int, seeds: int, n: int, rng: np.random.Generator) -> Measurements:
    """Return what is measured of labelers that answer n rows one by one."""
    y = rng.choice(CLASSES, n, p=[0.06, 0.14, 0.29, 0.3, 0.2, 0.01])
    groups = rng.integers(0, n // 15, n) if kind == "groups" else None
    unit = np.arange(n) if groups is None else groups
    common, own = rng.normal(size=n)[unit], rng.normal(size=(m, n))[:, unit]
    evaluations: list[EvaluationSplit] = []
    labels: dict[str, np.ndarray] = {}
    for seed in range(seeds):
        order = rng.permutation(n)
        tests = {"prefix": [order[n // 10 :]], "kfold": np.array_split(order, 5)}.get(kind, [np.arange(n)])
        shared = SEED_EFFECT * 3 * rng.normal()
        for fold, test in enumerate(map(np.sort, tests)):
            split = Split(np.setdiff1d(order, test), test, test[:0], seed, 0.5, fold if kind == "kfold" else None)
            evaluations.append(EvaluationSplit("worlds", split))
            for a in range(m):
                score = common[test] + 0.8 * own[a, test] + 0.6 * rng.normal(size=len(test))
                wrong = (y[test] + rng.choice([1, -1, 2], len(test))) % CLASSES
                hit = score + shared + 0.01 * rng.normal() > 0
                labels[f"{a} {len(evaluations)}"] = np.where(hit, y[test], wrong).astype(np.uint8)
    proba = np.zeros((n, CLASSES), np.float32)
    source = AnswerSource(
        lambda key: Result(labels[key], proba[: len(labels[key])], {}, {}, {}, {}),
        lambda split: Truth(y[split.test], None),
        groups,
        CLASSES,
    )
    cells = [
        CellResult(Cell(f"{a} {number}", Candidate(f"labeler {a}", None), evaluation, ()), "ok", "", Scores({}, {}))
        for a in range(m)
        for number, evaluation in enumerate(evaluations, 1)
    ]
    measured = collect_evidence(cells, metric, source).measured
    assert measured is not None
    return measured


def outcome(measured: Measurements) -> tuple[bool, float, float] | None:
    """Return falsely separated or not, share of intervals that hold 0, share of the field that a lead would beat."""
    if measured.untested:
        return None
    estimates = significance.estimate_differences(measured)
    low, high = estimates.interval
    m = len(measured.values)
    values = measured.values.copy()
    values[0] += LEAD
    ahead = significance.estimate_differences(
        Measurements(values, measured.rows, measured.units, measured.own_rows, measured.discordant)
    )
    found = (significance.holm(ahead.p) < ALPHA) & (ahead.value > 0)
    return (
        bool((significance.holm(estimates.p) < ALPHA).any()),
        float(((low <= 0) & (high >= 0)).mean()),
        float(found[: m - 1].mean()),
    )


def lines(worlds: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| world | metric | rows | seeds | falsely separated | intervals that hold | found |"
    yield "| --- | --- | --: | --: | --: | --: | --: |"
    for name, scatter in SCATTERS.items():
        for n in (6_000, 27_000, 150_000):
            for seeds in (2, 3, 5):
                rng = np.random.default_rng([n, seeds, len(scatter)])
                made = [outcome(sums(scatter, seeds, n, rng)) for _ in range(worlds if seeds > 2 else 1)]
                yield _line(name, "a mean", n, seeds, made)
    few = max(worlds // 8, 10)
    for kind in ("one test set", "groups", "prefix", "kfold"):
        for metric, count in (("accuracy", worlds // 2), ("mae", worlds // 2), ("macro_f1", few)):
            rng = np.random.default_rng(7)
            made = [outcome(answers(kind, metric, 4, 3, 3_000, rng)) for _ in range(count)]
            yield _line(f"4 alike, row by row, {kind}", metric, 3_000, 3, made)


def _line(name: str, metric: str, n: int, seeds: int, made: list[tuple[bool, float, float] | None]) -> str:
    tested = [each for each in made if each is not None]
    if not tested:
        return f"| {name} | {metric} | {n:,} | {seeds} | not tested | | |"
    falsely, held, found = np.mean(np.array(tested, float), axis=0)
    line = f"| {name} | {metric} | {n:,} | {seeds} | {falsely:.1%} of {len(tested):,} | {held:.1%} | {found:.0%} |"
    print(line, flush=True)
    return line


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    table = "\n".join(lines(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
    pattern = re.compile(re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1]), re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: f"{MARKS[0]}\n{table}\n{MARKS[1]}", text), encoding="utf-8")

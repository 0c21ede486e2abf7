"""Evidence from rows, groups, folds and seeds, against plain NumPy."""

import numpy as np
import pytest

from harness.plugin.protocols import Split
from harness.report.markdown import breakable
from harness.run.plan import Cell, EvaluationSplit
from harness.run.result import Result
from harness.scoring.evidence import AnswerSource, collect_evidence
from harness.scoring.leaderboard import CellResult, build_leaderboards
from harness.scoring.scores import Truth, score_result
from harness.statistics import metrics
from harness.statistics.significance import estimate_differences
from harness.suite.candidates import Candidate
from tests.command_line import harness, long_rows, ranks, table, write_labelers, write_suite

C = 4
N = 400
NONE = np.empty(0, np.int64)
RNG = np.random.default_rng(0)
Y = RNG.choice(C, N, p=[0.4, 0.3, 0.28, 0.02])
GROUPS = np.sort(RNG.integers(0, 50, N))


class Finished:
    """Finished cells of labelers with given skills, and their predictions."""

    def __init__(self, splits, skills, groups=None):
        rng = np.random.default_rng(1)
        self.evaluations = [EvaluationSplit("the comparison", split) for split in splits]
        self.results, self.cell_results = {}, []
        for title, skill in skills.items():
            for evaluation in self.evaluations:
                y = Y[evaluation.split.test]
                proba = rng.dirichlet(np.ones(C), len(y)).astype(np.float32)
                proba[rng.random(len(y)) < skill] *= 0.1
                proba += (proba.max(axis=1) < 0.2)[:, None] * np.eye(C, dtype=np.float32)[y]
                proba /= proba.sum(axis=1, keepdims=True)
                result = Result(proba.argmax(axis=1).astype(np.uint8), proba, {}, {}, {}, {})
                cell = Cell(f"{title} {evaluation}", Candidate(title, None), evaluation, ())
                self.results[cell.key] = result
                self.cell_results.append(
                    CellResult(cell, "ok", "", score_result(result, self.truth(evaluation.split), C, "accuracy"))
                )
        self.source = AnswerSource(self.results.__getitem__, self.truth, groups, C)

    def truth(self, split):
        return Truth(Y[split.test], None)

    def loss(self, title, evaluation, metric):
        result = self.results[f"{title} {evaluation}"]
        return metrics.ROW_METRICS[metric](result.labels, result.proba, Y[evaluation.split.test])


def locked(seeds):
    return [Split(np.arange(seed, 100), np.arange(200, N), NONE, seed) for seed in range(seeds)]


def folds(seeds):
    splits = []
    for seed in range(seeds):
        fold_of = np.random.default_rng(seed).permutation(N) % 4
        for fold in range(4):
            splits.append(
                Split(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold), NONE, seed, 0.75, fold)
            )
    return splits


def prefixes(seeds):
    orders = [np.random.default_rng(seed).permutation(N) for seed in range(seeds)]
    return [Split(np.sort(order[:150]), np.sort(order[150:]), NONE, seed, 0.3) for seed, order in enumerate(orders)]


@pytest.mark.parametrize("metric", sorted(metrics.ROW_METRICS))
@pytest.mark.parametrize(
    "splits", [locked(1), locked(3), folds(2), prefixes(3)], ids=["one", "locked", "folds", "prefix"]
)
@pytest.mark.parametrize("groups", [None, GROUPS], ids=["rows", "groups"])
def test_the_error_by_rows_is_that_of_what_each_row_or_group_adds(metric, splits, groups):
    done = Finished(splits, {"a": 0.5, "b": 0.4, "c": 0.3}, groups)
    evidence = collect_evidence(done.cell_results, metric, done.source)
    assert evidence.unit == ("rows" if groups is None else "groups")
    unit = np.arange(N) if groups is None else groups
    seeds = sorted({evaluation.split.seed for evaluation in done.evaluations})
    residuals, tested, values = np.zeros((len(seeds), N)), np.zeros(N, bool), []
    for j, seed in enumerate(seeds):
        own = [evaluation for evaluation in done.evaluations if evaluation.split.seed == seed]
        rows = np.concatenate([evaluation.split.test for evaluation in own])
        d = np.concatenate([done.loss("a", e, metric) - done.loss("b", e, metric) for e in own])
        values.append(d.mean())
        for row, difference in zip(rows, d, strict=True):
            residuals[j, unit[row]] += (difference - d.mean()) / len(d)
            tested[unit[row]] = True
    units = tested.sum()
    expected = units / (units - 1) * (residuals.mean(axis=0) ** 2).sum()
    cov, alone = evidence.measured.rows, evidence.measured.own_rows
    assert cov[0, 0] + cov[1, 1] - 2 * cov[0, 1] == pytest.approx(expected)
    assert evidence.measured.units == units
    assert estimate_differences(evidence.measured).value[0] == pytest.approx(np.mean(values))
    if len(seeds) > 1:
        apart = residuals - residuals.mean(axis=0)
        expected = units / (units - 1) * (apart**2).sum() / (len(seeds) - 1)
        assert alone[0, 0] + alone[1, 1] - 2 * alone[0, 1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("splits", "seeds", "overlap"), [(locked(3), 3, 0.98), (folds(2), 2, 0.75), (prefixes(3), 3, 0.375)]
)
def test_folds_of_a_seed_are_one_value(splits, seeds, overlap):
    done = Finished(splits, {"a": 0.5, "b": 0.4})
    evidence = collect_evidence(done.cell_results, "accuracy", done.source)
    assert evidence.measured.values.shape == (2, seeds)
    first = [done.loss("a", evaluation, "accuracy") for evaluation in done.evaluations if evaluation.split.seed == 0]
    assert evidence.measured.values[0, 0] == pytest.approx(np.concatenate(first).mean()), "weighted by rows"
    assert evidence.overlap == pytest.approx(overlap, abs=0.06)


def test_seeds_with_train_sets_of_unlike_size_are_no_repetitions():
    splits = [Split(np.arange(size), np.arange(200, N), NONE, seed) for seed, size in enumerate((50, 50, 150))]
    evidence = collect_evidence(Finished(splits, {"a": 0.5, "b": 0.4}).cell_results, "accuracy", None)
    assert evidence.measured is None
    assert evidence.why == "the train sets of the seeds have 50 to 150 rows: differences cannot be tested"


def test_macro_f1_is_ranked_over_the_classes_with_rows_enough():
    done = Finished(locked(2), {"a": 0.5, "b": 0.4})
    evidence = collect_evidence(done.cell_results, "macro_f1", done.source)
    assert evidence.classes == (0, 1, 2), "class 3 has a handful of test rows"
    evaluation = done.evaluations[0]
    labels = done.results[f"a {evaluation}"].labels
    f1 = metrics.f1_by_class(metrics.count_confusion(Y[evaluation.split.test], labels, C))
    assert evidence.measured.values[0, 0] == pytest.approx(f1[:3].mean())
    again = collect_evidence(done.cell_results, "macro_f1", done.source)
    assert np.array_equal(evidence.measured.rows, again.measured.rows), "the draws are fixed by the content"
    assert collect_evidence(done.cell_results, "qwk", done.source).classes is None


def ranked(done, primary="accuracy"):
    (leaderboard,) = build_leaderboards(
        done.cell_results, primary, "b", False, lambda cells: collect_evidence(cells, primary, done.source)
    )
    return leaderboard


def test_the_board_is_ranked_by_intervals_and_the_broken_are_left_out():
    done = Finished(locked(3), {"a": 0.0, "b": 0.8, "c": 0.8, "broken": 0.0})
    done.cell_results[-1].status, done.cell_results[-1].scores = "failed", None
    leaderboard = ranked(done)
    lines = {row.title: row for row in leaderboard.rows}
    assert lines["broken"].rank == ""
    assert len(leaderboard.standings.pairs) == 3
    better = max("abc", key=lambda title: lines[title].standing.value)
    assert leaderboard.rows[0].title == better
    assert all(row.standing.value == pytest.approx(row.values["accuracy"].mean) for row in leaderboard.rows[:3])
    assert lines["b"].standing.against is None
    assert lines["a"].standing.against.value == pytest.approx(lines["a"].difference)


@pytest.mark.parametrize("primary", ["spearman", "calibration_error"])
def test_a_metric_without_a_known_error_ranks_by_the_numbers_alone(primary):
    leaderboard = ranked(Finished(locked(2), {"a": 0.5, "b": 0.4}), primary)
    assert [row.rank for row in leaderboard.rows] == ["1", "2"]
    assert leaderboard.standings.evidence.why.startswith(primary)


@pytest.mark.slow
def test_a_page_says_what_its_ranks_claim(tmp_path):
    write_labelers(
        tmp_path / "plugin.py",
        good="return np.eye(6)[(task.to_label * 7 + self.k) % 6]",
    )
    labelers = ["majority", "prior", {"knn": {"on": "embedding"}}, {"good": {"k": 1}}]
    splits = [{"splitter": "nested", "ratios": [0.4], "test": 0.5, "seeds": [1, 2, 3]}]
    write_suite(tmp_path, labelers, table(600), splits=splits)
    done = harness("run", "suite.yaml", "--threads", 1, "--plugin", "plugin.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "leaderboards/small/README.md").read_text()
    assert "| 1 • | knn(on=embedding) |" in breakable(page)
    assert ranks(tmp_path)["majority"] == ranks(tmp_path)["prior"] == "2-4"
    assert "6 pairs on the same test rows" in page
    assert "Smallest detectable difference: 0." in page
    assert "of the test rows and of the 3 seeds: two seeds share" in page
    pairs = long_rows(tmp_path / "leaderboards/small/pairs.parquet", "pairs.parquet")
    assert len(pairs) == 6
    assert ",".join(pairs[0]) == "comparison,labeler_a,labeler_b,difference,se,low,high,p,p_holm,separated"
    assert len((tmp_path / "leaderboards/small/standings.csv").read_text().splitlines()) == 1 + 4

    write_suite(tmp_path, labelers, table(600), splits=splits, protocol="record")
    assert harness("leaderboard", "suite.yaml", "--plugin", "plugin.py", cwd=tmp_path).returncode == 0
    page = (tmp_path / "leaderboards/small/README.md").read_text()
    assert "Ranks are by the numbers alone: the numbers are oracle numbers" in page
    assert "•" not in page
    assert set(ranks(tmp_path).values()) <= {"1", "2", "3", "4", "2=", "3="}

"""Ranks, means and spreads, on cells with scores made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plugin.protocols import Split
from harness.run.plan import Cell, EvaluationSplit
from harness.run.result import Result
from harness.scoring.leaderboard import CellResult, build_leaderboards
from harness.scoring.scores import MetricValue, Scores, Truth, score_result
from harness.suite.candidates import Candidate

NONE = np.empty(0, np.int64)
EVALUATIONS = [
    EvaluationSplit("prefix", Split(np.arange(10 + seed), np.arange(50, 90), NONE, seed)) for seed in range(3)
]


def scores_of(**values):
    return {(metric, None, None): MetricValue(value, 40) for metric, value in values.items()}


def cells(title, *outcomes, evaluations=EVALUATIONS):
    """Yield one cell result a split.

    An outcome is an accuracy, Scores, or a text: the reason of the failure.
    """
    for evaluation, outcome in zip(evaluations, outcomes, strict=False):
        cell = Cell(f"{title} {evaluation}", Candidate(title, None), evaluation, ())
        if isinstance(outcome, str):
            status = "not applicable" if outcome.startswith("n/a") else "failed"
            yield CellResult(cell, status, outcome)
        else:
            honest = outcome if isinstance(outcome, Scores) else Scores(scores_of(accuracy=outcome), {})
            yield CellResult(cell, "ok", "", honest)


def lines(*groups, primary="accuracy", baseline="base", as_record=False):
    (leaderboard,) = build_leaderboards([result for group in groups for result in group], primary, baseline, as_record)
    return leaderboard.rows


def ranks(*groups, **options):
    return {row.title: row.rank for row in lines(*groups, **options)}


def test_ties_share_a_rank_and_the_next_is_skipped():
    groups = [cells(name, value) for name, value in {"d": 0.1, "b": 0.5, "a": 0.5, "c": 0.3, "e": 0.1}.items()]
    assert list(ranks(*groups).items()) == [("a", "1="), ("b", "1="), ("c", "3"), ("d", "4="), ("e", "4=")]


def test_what_prints_alike_is_tied():
    assert ranks(cells("a", 0.50001), cells("b", 0.50004), cells("c", 0.5002)) == {"c": "1", "a": "2=", "b": "2="}


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 5), min_size=1, max_size=8))
def test_a_rank_is_one_more_than_the_number_of_better_ones(values):
    shown = ranks(*(cells(name, value / 8) for name, value in values.items()))
    for name, value in values.items():
        better, equal = (sum(map(compared, values.values())) for compared in (value.__lt__, value.__eq__))
        assert shown[name] == f"{better + 1}" + ("=" if equal > 1 else "")


@pytest.mark.parametrize("primary", ["mae", "log_loss"])
def test_errors_rank_upwards(primary):
    def with_error(title, value):
        return cells(title, Scores({(primary, None, None): MetricValue(value, 40)}, {}))

    assert ranks(with_error("a", 0.9), with_error("b", 0.2), primary=primary) == {"b": "1", "a": "2"}


def test_a_labeler_with_a_missing_cell_is_last_and_has_no_rank():
    shown = lines(
        cells("whole", 0.1, 0.1, 0.1),
        cells("broken", 0.9, "boom", 0.9),
        cells("all broken", "boom", "bang", "boom"),
        cells("refuses", "n/a", "n/a", "n/a"),
        cells("refuses once", 0.9, 0.9, "n/a"),
    )
    assert [row.rank for row in shown] == ["1", "", "", "", ""]
    by_title = {row.title: row for row in shown}
    broken = by_title["broken"]
    assert (broken.ok, broken.total, broken.failures, broken.difference) == (2, 3, ("boom",), None)
    assert by_title["all broken"].failures == ("boom", "bang")
    assert by_title["refuses"].not_applicable == "n/a"
    assert by_title["refuses once"].not_applicable is None


def test_mean_spread_and_difference_from_the_baseline():
    shown = {row.title: row for row in lines(cells("base", 0.2, 0.3, 0.4), cells("a", 0.5, 0.7, 0.9))}
    spread = shown["a"].values["accuracy"]
    assert (spread.mean, spread.sd, spread.n) == (pytest.approx(0.7), pytest.approx(0.2), 3)  # ddof 1
    assert shown["a"].difference == pytest.approx(0.4)
    assert shown["base"].difference == 0
    (alone,) = lines(cells("a", 0.5))
    assert alone.values["accuracy"].sd is None
    assert alone.difference is None, "there is no baseline"


def test_nothing_is_compared_with_a_broken_baseline():
    shown = {row.title: row for row in lines(cells("base", 0.2, "boom"), cells("a", 0.5, 0.7))}
    assert shown["a"].difference is None


def test_comparisons_stay_apart():
    other = [EvaluationSplit("nested", Split(np.arange(5), np.arange(50, 60), NONE, 7))]
    cell_results = [*cells("a", 0.1, 0.2, 0.3), *cells("a", 0.9, evaluations=other), *cells("b", 0.2, 0.3, 0.4)]
    first, second = build_leaderboards(cell_results, "accuracy", "base", False)
    assert (first.title, first.seeds, first.n_train, first.n_test) == ("prefix", (0, 1, 2), (10, 11, 12), (40,) * 3)
    assert [row.title for row in first.rows] == ["b", "a"]
    assert (second.title, second.seeds, second.n_train, second.n_test) == ("nested", (7,), (5,), (10,))
    assert [row.rank for row in second.rows] == ["1"]


def test_classes_and_sources_are_means_over_the_cells_that_have_them():
    def cell(class_5, n, flan):
        honest = scores_of(accuracy=0.5) | {
            ("accuracy", 5, None): MetricValue(class_5, n),
            ("accuracy", None, "flan"): flan,
        }
        return Scores(honest, {})

    cell_results = list(
        cells(
            "a",
            cell(0.5, 4, MetricValue(0.25, 8)),
            cell(None, 0, MetricValue(0.75, 8)),
            cell(1.0, 2, MetricValue(0.5, 8)),
        )
    )
    (leaderboard,) = build_leaderboards(cell_results, "accuracy", "base", False)
    assert leaderboard.rows[0].by_class == {5: 0.75}
    assert leaderboard.rows[0].by_source == {"flan": 0.5}
    assert {c: sorted(counts) for c, counts in leaderboard.support.items()} == {5: [0, 2, 4]}


def test_the_supports_are_the_test_rows_of_each_class_whatever_else_is_scored():
    y = np.array([0, 0, 1, 2, 2, 2])
    proba = np.eye(3, dtype=np.float32)[y]
    every = score_result(Result(y.astype(np.uint8), proba, {}, {}, {}, {}), Truth(y, None), 3, "accuracy")
    (leaderboard,) = build_leaderboards(
        list(cells("only", every, evaluations=EVALUATIONS[:1])), "accuracy", "none", as_record=False
    )
    assert leaderboard.support == {0: (2,), 1: (1,), 2: (3,)}
    assert leaderboard.rows[0].by_class == {0: 1.0, 1: 1.0, 2: 1.0}


def with_oracle(honest, best):
    return Scores(scores_of(accuracy=honest, mae=1.0), {}, "epoch 1", scores_of(accuracy=best, mae=0.5))


def test_the_record_protocol_shows_the_oracle_where_there_is_one():
    groups = [[*cells("net", with_oracle(0.3, 0.6), with_oracle(0.4, 0.6))], [*cells("knn", 0.5, 0.5)]]
    honest, record = (lines(*groups, as_record=as_record) for as_record in (False, True))
    assert [(row.title, row.values["accuracy"].mean) for row in honest] == [
        ("knn", 0.5),
        ("net", pytest.approx(0.35)),
    ]
    assert [(row.title, row.values["accuracy"].mean) for row in record] == [
        ("net", pytest.approx(0.6)),
        ("knn", 0.5),
    ]
    for shown in (honest, record):
        gaps = {row.title: row.oracle_gap for row in shown}
        assert gaps == {"net": pytest.approx(0.25), "knn": None}


def test_the_oracle_gap_is_better_upwards_for_errors_too():
    (row,) = lines(cells("net", with_oracle(0.3, 0.6)), primary="mae")
    assert row.oracle_gap == pytest.approx(0.5)

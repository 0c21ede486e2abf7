"""Tables of a labeler: means over cells, stages, as many real labels.

Then those of a whole run.
"""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness.plugin.protocols import Split
from harness.report.labeler_tables import labeler_tables
from harness.report.tables import Table
from harness.run.plan import Cell, EvaluationSplit
from harness.scoring.leaderboard import CellResult
from harness.scoring.scores import CheckpointScores, MetricValue, Scores
from harness.suite.candidates import Candidate
from tests.command_line import board, cells, harness, scores, table, write_suite

pytestmark = pytest.mark.slow

NAMES = tuple("012345")  # of the classes
NONE = np.empty(0, np.int64)
FLAT = {(metric, None, None): MetricValue(0.5, 40) for metric in ("accuracy", "macro_f1", "mae")}


@dataclass(frozen=True)
class Base:
    """A labeler that is never asked."""

    name: ClassVar[str] = "base"
    k: int = 1


@dataclass(frozen=True)
class Holder:
    """One that holds others."""

    name: ClassVar[str] = "holder"
    base: Any
    k: int = 1


def cut(ratio=0.1, seed=0, splitter="nested", fold=None):
    n = 10 if ratio is None else round(1000 * ratio)
    title = splitter if ratio is None else f"{splitter}, {ratio * 100:.4g} % labelled"
    return EvaluationSplit(title, Split(np.arange(n), np.arange(2000, 2040), NONE, seed, ratio, fold))


def ending(content, where=None, labeler=None, title="it"):
    """Return a cell with its scores.

    A mapping is the facts of one, None is a cell that failed.
    """
    given = Scores(FLAT, {}, facts=content) if isinstance(content, dict) else content
    cell = Cell("key", Candidate(title, labeler), where or cut(), ())
    return CellResult(cell, "ok" if given else "failed", "" if given else "boom", given)


def shown(*endings, title="it", comparison="nested, 10 % labelled"):
    return labeler_tables(list(endings), NAMES).get((comparison, title), [])


def texts(labeler_table: Table):
    """Return the rows as a page shows them."""
    return tuple(map(tuple, labeler_table.texts()))


def with_rows(rows, columns=("Name", "A", "B"), **more):
    return {"tables": {"T": {"columns": list(columns), "rows": rows, **more}}}


def test_a_table_is_the_mean_over_the_cells():
    one = ending(with_rows([["x", 1, 0.25], ["y", 1500, None]]), cut(seed=1))
    two = ending(with_rows([["x", 2, 0.5], ["y", 1503, None]]), cut(seed=2))
    (labeler_table,) = shown(one, two)
    assert (labeler_table.title, labeler_table.names, labeler_table.notes) == ("T", ("Name", "A", "B"), ())
    assert texts(labeler_table) == (("x", "1.5", "0.3750"), ("y", "1,501.5", ""))
    (alone,) = shown(one)
    assert texts(alone) == (("x", "1", "0.2500"), ("y", "1,500", ""))


def test_a_mean_over_fewer_cells_says_so():
    complete = with_rows([["x", 1, 0.25], ["y", 3, 0.5]])
    short = with_rows([["x", 1, None]])
    (labeler_table,) = shown(ending(complete, cut(seed=1)), ending(short, cut(seed=2)), ending(None, cut(seed=3)))
    assert texts(labeler_table) == (("x", "1 (2/3)", "0.2500 (1/3)"), ("y", "3 (1/3)", "0.5000 (1/3)"))


def test_words_stay_and_different_ones_stand_side_by_side():
    facts = [with_rows([["x", "knn", 1]]), with_rows([["x", "mlp", 1]]), with_rows([["x", "knn", 1]])]
    (labeler_table,) = shown(*(ending(each, cut(seed=seed)) for seed, each in enumerate(facts)))
    assert texts(labeler_table) == (("x", "knn, mlp", "1"),)


def test_rows_and_columns_meet_by_name():
    one = with_rows([["x", 1], ["y", 2]], ["Name", "A"])
    two = with_rows([["y", 4, 5], ["z", 6, 7]], ["Name", "A", "B"])
    (labeler_table,) = shown(ending(one, cut(seed=1)), ending(two, cut(seed=2)))
    assert labeler_table.names == ("Name", "A", "B")
    assert texts(labeler_table) == (("x", "1 (1/2)", ""), ("y", "3", "5 (1/2)"), ("z", "6 (1/2)", "7 (1/2)"))


def test_two_rows_of_one_name_are_two_rows():
    (labeler_table,) = shown(ending(with_rows([["x", 1, 2], ["x", 3, 4]])))
    assert texts(labeler_table) == (("x", "1", "2"), ("x (2)", "3", "4"))


def test_the_top_rows_are_those_of_the_largest_means():
    one = with_rows([["a", 0.5, 0], ["b", 0.3, 0], ["c", 0.2, 0]], top=2)
    two = with_rows([["c", 0.9, 0], ["b", 0.4, 0], ["a", 0.0, 0]], top=2)
    (labeler_table,) = shown(ending(one, cut(seed=1)), ending(two, cut(seed=2)))
    assert [row[:2] for row in texts(labeler_table)] == [("c", "0.5500"), ("b", "0.3500")]
    assert labeler_table.notes == ("2 of 3 rows.",)


def test_a_long_table_is_cut_in_its_own_order():
    (labeler_table,) = shown(ending(with_rows([[f"row {i}", i, 0] for i in range(1234)])))
    assert [row[0] for row in labeler_table.rows] == [f"row {i}" for i in range(40)]
    assert labeler_table.notes == ("40 of 1,234 rows.",)


def test_a_labeler_that_says_nothing_has_no_details():
    assert labeler_tables([ending({"parameters": 7}), ending(None, title="failed")], NAMES) == {}
    assert labeler_tables([ending({"tables": {"T": "from an older version"}})], NAMES) == {}


def stage(accuracy, macro_f1=0.5, **rows):
    numbers = {"accuracy": accuracy, "macro_f1": macro_f1, "mae": 1.0, "qwk": 0.0}
    values = {(metric, None, None): MetricValue(value, 40) for metric, value in numbers.items()}
    values |= {("accuracy", 0, None): MetricValue(0.75, 30), ("accuracy", 1, None): MetricValue(None, 0)}
    return CheckpointScores(values, {name.replace("_", " "): value for name, value in rows.items()})


ROUNDS = {"round 0": stage(0.5, adopted_in_round_0=MetricValue(0.625, 8)), "round 1": stage(0.6)}
SCORED = ("Accuracy of adopted", "Accuracy", "Macro-F1", "MAE", "Class 0", "Class 1")


def test_a_scored_table_has_the_scores_of_its_stages_beside_its_rows():
    facts = with_rows([["round 0", 3], ["round 1", None], ["never", 1]], ["Round", "Adopted"], scored=True)
    (labeler_table,) = shown(ending(Scores(FLAT, {}, checkpoints=ROUNDS, facts=facts)))
    assert labeler_table.names == ("Round", "Adopted", *SCORED)
    assert texts(labeler_table) == (
        ("round 0", "3", "0.6250", "0.5000", "0.5000", "1.0000", "0.7500", ""),
        ("round 1", "", "", "0.6000", "0.5000", "1.0000", "0.7500", ""),
        ("never", "1", *[""] * 6),
    )


def test_stages_that_no_table_names_have_one_of_their_own():
    facts = with_rows([["round 0", 3]], ["Round", "Adopted"], scored=True)
    named, rest = shown(ending(Scores(FLAT, {}, checkpoints=ROUNDS, facts=facts)))
    assert [row[0] for row in named.rows] == ["round 0"]
    assert (rest.title, [row[:2] for row in texts(rest)]) == ("Stages", [("round 1", "0.6000")])
    assert rest.notes == ("Scored on the test rows, by which no labeler may choose among them.",)
    plain = with_rows([["round 0", 3]], ["Round", "Adopted"])
    unscored, rest = shown(ending(Scores(FLAT, {}, checkpoints=ROUNDS, facts=plain)))
    assert (unscored.names, len(rest.rows)) == (("Round", "Adopted"), 2)


def test_two_members_are_compared():
    shares = {"disagreement": 0.375, "either_correct": 0.5, "both_correct": 0.25}
    honest = FLAT | {(name, None, None): MetricValue(share, 40) for name, share in shares.items()}
    checkpoints = {"member 1": stage(0.5), "member 2": stage(0.25)}
    members, pair = shown(ending(Scores(honest, {}, checkpoints=checkpoints)))
    assert [row[0] for row in members.rows] == ["member 1", "member 2"]
    assert pair.names == ("Of", "Disagreement", "Either right", "Both right")
    assert texts(pair) == (("the first two", "0.3750", "0.5000", "0.2500"),)


# ---- as many real labels --------------------------------------------------------------------------------------------


def point(ratio, accuracy, seed=0, labeler=None, macro_f1=0.5, **where):
    numbers = {"accuracy": accuracy, "macro_f1": macro_f1, "mae": 1.0}
    points = Scores({(metric, None, None): MetricValue(value, 40) for metric, value in numbers.items()}, {})
    return ending(points, cut(ratio, seed, **where), labeler or Base(), "alone")


def trained_on(*sizes, seed=0, labeler=None, where=None):
    """A cell with a stage for each number of train rows; its base is `Base()`."""
    names = [f"round {number}" for number in range(len(sizes))]
    rows = [[name, size] for name, size in zip(names, sizes, strict=True)]
    facts = with_rows(rows, ["Round", "Train rows"], scored=True)
    scored = Scores(FLAT, {}, checkpoints={name: stage(0.5) for name in names}, facts=facts)
    return ending(scored, where or cut(seed=seed), labeler or Holder(Base()))


def real(*endings):
    """Return [(accuracy, macro-F1)] on real labels, of the first table."""
    labeler_table = shown(*endings)[0]
    if "Accuracy on real labels" not in labeler_table.names:
        return None, labeler_table.notes
    places = [labeler_table.names.index(f"{metric} on real labels") for metric in ("Accuracy", "Macro-F1")]
    return [tuple(row[place] for place in places) for row in texts(labeler_table)], labeler_table.notes


CURVE = [point(0.1, 0.4, macro_f1=0.2), point(0.2, 0.6, macro_f1=0.3), point(0.5, 0.9, macro_f1=0.9)]


def test_the_control_lies_between_the_ratios():
    control, notes = real(trained_on(100, 150, 200, 300, 500, 501), *CURVE)
    assert control == [
        ("0.4000", "0.2000"),
        ("0.5000", "0.2500"),
        ("0.6000", "0.3000"),
        ("0.7000", "0.5000"),
        ("0.9000", "0.9000"),
        ("", ""),
    ]
    assert notes == (
        "On real labels: alone with as many train rows, read between the ratios of this suite.",
        "Each ratio is scored on its own test rows; beyond the ratios there is no number.",
    )


def test_each_seed_has_its_own_curve():
    other = [point(0.1, 0.5, seed=1), point(0.2, 0.9, seed=1)]
    control, _ = real(trained_on(150), trained_on(125, seed=1), *CURVE, *other)
    assert [accuracy for accuracy, _ in control] == ["0.5500"]  # of 0.5 and 0.6


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"seed": 1},
        {"splitter": "prefix"},
        {"splitter": "nested(test=0.3)"},
        {"labeler": Base(2)},
        {"fold": 1},
    ],
)
def test_no_other_curve_will_do(elsewhere):
    points = [point(0.1, 0.4, **elsewhere), point(0.5, 0.9, **elsewhere)]
    control, notes = real(trained_on(150), *points)
    assert control is None
    assert notes == ("Nothing on real labels: base is not in this suite by itself.",)


def test_a_labeler_that_holds_none_or_several_is_compared_with_nothing():
    for labeler in (Base(), Holder((Base(), Base(2))), Holder((Base(), Base()))):
        assert real(trained_on(150, labeler=labeler), *CURVE) == (None, ())
    control, _ = real(trained_on(150, labeler=Holder(Holder(Base()))), *CURVE)
    assert control is None, "the labeler it holds is the inner holder, which is not there by itself"
    inner = [point(0.1, 0.1, labeler=Holder(Base())), point(0.2, 0.2, labeler=Holder(Base()))]
    control, _ = real(trained_on(150, labeler=Holder(Holder(Base()))), *CURVE, *inner)
    assert control == [("0.1500", "0.5000")]


def test_a_table_that_is_not_about_train_rows_has_no_control():
    facts = with_rows([["round 0", 150]], ["Round", "Rows"], scored=True)
    cell = ending(Scores(FLAT, {}, checkpoints=ROUNDS, facts=facts), labeler=Holder(Base()))
    assert real(cell, *CURVE) == (None, ())


# ---- a whole run ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    knn = {"knn": {"on": "embedding", "k": 5}}
    training = {"base": knn, "rounds": 2, "threshold": 0.6, "minority_threshold": 0.6}
    ensemble = {"members": [knn, {"knn": {"on": "embedding", "k": 1}}]}
    labelers = [knn, {"self_training": training, "as": "st"}, {"ensemble": ensemble, "as": "both"}]
    splits = [{"splitter": "nested", "test": 0.4, "ratios": [0.2, 0.6], "seeds": [1, 2]}]
    write_suite(folder, labelers, table(400), splits=splits)
    done = harness("run", "suite.yaml", "--threads", 1, "-j", 2, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def arrays(folder, labeler, seed, ratio):
    """Return a cell's record, its checkpoints and its row arrays."""
    cell = folder / "runs" / "small" / "cells" / cells(folder)[labeler, seed, ratio]["cell"]
    record = json.loads((cell / "cell.json").read_text())
    states = dict(zip(record["checkpoints"], np.load(cell / "checkpoints.npy"), strict=True))
    return record, states, dict(np.load(cell / "rows.npz"))


def truth(folder):
    """Return the labels of the locked test rows."""
    from harness.run.runner import Options, prepare_run
    from harness.suite.catalog import discover
    from harness.suite.suite import load_suite

    ready = prepare_run(load_suite(folder / "suite.yaml", discover()), discover(), Options(folder), print)
    (test,) = {tuple(cell.evaluation.split.test) for cell in ready.cells}
    return np.array(table(400)["score"].to_pylist())[list(test)]


def rows_of(page, comparison, labeler, title):
    """Return the rows of one table of the page as mappings."""
    part = page.split(f"Splits: {comparison}. ")[1].split("\n## ")[0]
    part = part.split(f"<summary>Inside {labeler}, means of 2 cells</summary>")[1].split("</details>")[0]
    header, _, *lines = part.split(f"\n{title}:\n\n")[1].split("\n\n")[0].splitlines()
    names = [name.strip() for name in header.strip("|").split("|")]
    return [dict(zip(names, (cell.strip() for cell in line.strip("|").split("|")), strict=True)) for line in lines]


def test_the_page_shows_the_rounds_as_an_independent_computation_has_them(run):
    page, y = board(run)["README.md"].decode(), truth(run)
    rows = rows_of(page, "nested(test=0.4), 20 % labelled", "st", "Rounds")
    assert [row["Round"] for row in rows] == ["round 0", "round 1", "round 2"]
    stored = [arrays(run, "st", seed, 0.2) for seed in (1, 2)]
    masks = [[rows[f"adopted in round {r}"] for _, _, rows in stored] for r in range(2)]
    for number, row in enumerate(rows):
        states = [states[f"round {number}"] for _, states, _ in stored]
        assert row["Accuracy"] == f"{np.mean([accuracy_score(y, labels) for labels in states]):.4f}"
        f1 = [f1_score(y, labels, labels=range(6), average="macro", zero_division=0) for labels in states]
        assert row["Macro-F1"] == f"{np.mean(f1):.4f}"
        assert row["Class 3"] == f"{np.mean([(labels[y == 3] == 3).mean() for labels in states]):.4f}"
        before = np.mean([80 + sum(int(masks[r][cell].sum()) for r in range(number)) for cell in range(2)])
        assert float(row["Train rows"]) == before
        if number < 2:
            new = list(zip(masks[number], states, strict=True))
            assert float(row["Adopted"].split()[0]) == np.mean([mask.sum() for mask, _ in new])
            assert row["Accuracy of adopted"] == f"{np.mean([(s[m] == y[m]).mean() for m, s in new]):.4f}"
        else:
            assert (row["Adopted"], row["Accuracy of adopted"]) == ("", "")
    # Round 0 is the base by itself; so many real labels are 80.
    alone = [float(r["value"]) for r in scores(run) if is_plain(r, "knn(on=embedding, k=5)", "0.2")]
    assert rows[0]["Accuracy on real labels"] == rows[0]["Accuracy"] == f"{np.mean(alone):.4f}"
    more = [float(r["value"]) for r in scores(run) if is_plain(r, "knn(on=embedding, k=5)", "0.6")]
    sizes = [stored[cell][0]["facts"]["train_rows"][1] for cell in range(2)]
    control = [np.interp(n, [80, 240], pair) for n, pair in zip(sizes, zip(alone, more, strict=True), strict=True)]
    assert rows[1]["Accuracy on real labels"] == f"{np.mean(control):.4f}"


def is_plain(row, labeler, ratio):
    is_accuracy = (row["metric"], row["labeler"], row["ratio"]) == ("accuracy", labeler, ratio)
    return is_accuracy and not any(row[column] for column in ("class", "source", "rows", "stage"))


def test_the_page_shows_the_members_and_every_alpha(run):
    page, y = board(run)["README.md"].decode(), truth(run)
    comparison = "nested(test=0.4), 60 % labelled"
    stored = [arrays(run, "both", seed, 0.6) for seed in (1, 2)]
    members = rows_of(page, comparison, "both", "Members")
    assert [(row["Member"], row["Labeler"], row["Weight"]) for row in members] == [
        ("member 1", "knn", "0.5000"),
        ("member 2", "knn", "0.5000"),
    ]
    for row in members:
        accuracy = np.mean([accuracy_score(y, rows[row["Member"]]) for _, _, rows in stored])
        assert row["Accuracy"] == f"{accuracy:.4f}"
    stages = rows_of(page, comparison, "both", "Stages")
    assert [row["Stage"] for row in stages] == [f"alpha {tenth / 10}" for tenth in range(11)]
    for row in stages:
        assert row["Accuracy"] == f"{np.mean([accuracy_score(y, states[row['Stage']]) for _, states, _ in stored]):.4f}"
    (pair,) = rows_of(page, comparison, "both", "Two members")
    hits = [[rows[f"member {k}"] == y for k in (1, 2)] for _, _, rows in stored]
    assert pair["Either right"] == f"{np.mean([(one | two).mean() for one, two in hits]):.4f}"
    assert pair["Both right"] == f"{np.mean([(one & two).mean() for one, two in hits]):.4f}"


def test_the_files_for_programs_have_the_stages_too(run):
    numbers = scores(run)
    adopted = [r for r in numbers if r["stage"] == "round 0" and r["rows"] == "adopted in round 0"]
    assert len(adopted) == 4
    y = truth(run)
    for row in adopted:
        _, states, rows = arrays(run, "st", int(row["seed"]), float(row["ratio"]))
        mask = rows["adopted in round 0"]
        assert int(row["n"]) == mask.sum()
        assert float(row["value"]) == (states["round 0"][mask] == y[mask]).mean()
    assert {r["stage"] for r in numbers if r["labeler"] == "both"} >= {"", "member 1", "member 2", "alpha 0.3"}
    both = [r["metric"] for r in numbers if r["labeler"] == "both" and not r["stage"]]
    assert {"disagreement", "either_correct", "both_correct"} <= set(both)

"""The learning curve: known laws, nested parts, `--labels-for`."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from harness.cli.label import label as command
from harness.cli.options import load_suites
from harness.errors import HarnessError
from harness.label import training
from harness.label.card_learning_curve import summary_line
from harness.label.learning_curve import TRAIN_SHARES, fit_growth, nested_parts
from harness.run.runner import Options, prepare_run
from tests.command_line import harness, start, table, until, write_labelers, write_suite

DATA = {"path": "data.parquet", "id": "row_id", "text": "messages", "target": "score", "classes": 6}
SIZES = np.array([400, 800, 1600, 3200])
N, UNLABELLED, FOLDS = 400, 150, 3


def law(n):
    return 2.0 * n**-0.5 + 0.3


def labels_by_law(n=20_000, folds=5, noise=0.0):
    """Return y, fold, sizes and labels whose error follows the law."""
    rng = np.random.default_rng(0)
    y, fold = rng.integers(0, 2, n), np.arange(n) % folds
    label = np.tile(y, (len(SIZES), 1))
    for s, size in enumerate(SIZES):
        for f in range(folds):
            rows = np.flatnonzero(fold == f)
            wrong = rows[: round((law(size) + noise * rng.standard_normal()) * len(rows))]
            label[s, wrong] = 1 - y[wrong]
    return y, fold, SIZES[:, None] + np.arange(folds), label


def test_a_known_law_is_followed_to_the_labels_that_it_takes():
    growth = fit_growth(1 - law(6000), *labels_by_law(), 2)
    assert growth.needed == pytest.approx(6000, rel=0.1)
    assert growth.law["c"] == pytest.approx(0.3, abs=0.01)
    assert [point.labels for point in growth.points] == [402, 802, 1602, 3202]
    assert [1 - point.accuracy.mean for point in growth.points] == pytest.approx(law(SIZES), abs=2e-4)
    assert (growth.labels, growth.why) == (20_000, "")


def test_noise_widens_the_interval():
    few, more = (fit_growth(1 - law(2000), *labels_by_law(noise=noise), 2) for noise in (0.0005, 0.001))
    assert few.low < 2000 < few.high
    assert more.needed is None or few.high - few.low < more.high - more.low


@pytest.mark.parametrize("target", [0.75, 1 - law(16_000)])
def test_a_target_out_of_reach_takes_at_least_what_the_curve_is_followed_to(target):
    growth = fit_growth(target, *labels_by_law(), 2)
    assert (growth.needed, growth.low, growth.high, growth.why) == (None, None, None, "")
    assert growth.at_least == 4 * 3202
    assert "at least 13,000 labels, how many the curve cannot tell" in summary_line(growth)


def test_a_target_under_the_smallest_part_has_a_reason_and_no_number():
    growth = fit_growth(0.5, *labels_by_law(), 2)
    assert (growth.needed, growth.low, growth.high, growth.at_least) == (None, None, None, None)
    assert "reached with fewer than 402 labels" in growth.why
    assert summary_line(growth).startswith("accuracy 0.5: the curve cannot tell (")


def test_an_interval_that_is_open_is_a_bound():
    """A spread that allows everything above says nothing but how many labels are too few."""
    for noise, seen in ((0.004, 6_000), (0.012, 6_000)):
        growth = fit_growth(1 - law(seen), *labels_by_law(noise=noise), 2)
        if growth.needed is None:
            assert growth.at_least is None or growth.at_least <= seen
        else:
            assert growth.low <= seen <= growth.high
    assert growth.needed is None


def test_labels_that_do_not_help_are_the_reason():
    y, fold, size, label = labels_by_law()
    assert fit_growth(0.8, y, fold, size, label[::-1].copy(), 2).why == "more labels do not lower its error"


@pytest.mark.slow
def test_classes_and_sources_against_what_others_compute():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 300)
    label = np.where(rng.random((4, 300)) < 0.6, y, rng.integers(0, 3, (4, 300)))
    labelled, unlabelled = rng.choice(["a", "b"], 300), np.array(["a"] * 10 + ["c"] * 7)
    size = np.repeat(np.array([[25], [50], [100], [200]]), 3, axis=1)
    growth = fit_growth(0.7, y, np.arange(300) % 3, size, label, 3, None, (labelled, unlabelled))
    wrong = label[-1] != y
    for size_index, name in ((2, "half"), (3, "full")):
        assert [getattr(growth.by_class[c], name) for c in range(3)] == pytest.approx(
            f1_score(y, label[size_index], average=None)
        )
    for c, of_class in growth.by_class.items():
        assert of_class.gain.value == pytest.approx(of_class.full - of_class.half)
        assert of_class.gain.low < of_class.gain.value < of_class.gain.high
        assert of_class.errors == pytest.approx((y[wrong] == c).mean())
    a, c = growth.by_source["a"], growth.by_source["c"]
    assert (a.labelled, a.unlabelled) == ((labelled == "a").sum(), 10)
    assert a.full == pytest.approx((~wrong)[labelled == "a"].mean())
    assert a.errors == pytest.approx(10 * wrong[labelled == "a"].mean())
    assert (c.labelled, c.unlabelled, c.full, c.gain, c.errors) == (0, 7, None, None, None)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**20), st.integers(8, 200), st.booleans())
def test_parts_lie_within_each_other_and_cut_no_unit(seed, n, grouped):
    rng = np.random.default_rng(seed)
    y = np.sort(rng.integers(0, 4, n))
    unit = rng.integers(0, max(2, n // 3), n) if grouped else None
    parts = nested_parts(y, unit, seed)
    for share, part, larger in zip(TRAIN_SHARES, parts, [*parts[1:], np.arange(n)], strict=True):
        assert (np.diff(part) > 0).all()
        assert set(part) <= set(larger)
        assert len(part) > 0
        if unit is None:
            assert len(part) == pytest.approx(share * n, abs=1)
            expected = np.bincount(y, minlength=4) * share
            assert (np.abs(np.bincount(y[part], minlength=4) - expected) <= 2).all()
        else:
            assert not set(unit[part]) & set(np.delete(unit, part))
            assert abs(len(part) - share * n) <= np.bincount(unit).max()


def suite(folder, rows=None, **sections):
    rows = table(N, UNLABELLED).take(np.random.default_rng(7).permutation(N)) if rows is None else rows
    rows = rows.append_column("prompt", pa.array(np.arange(len(rows)) // 2))
    data = DATA | {"group": "prompt", "source": "source"}
    return write_suite(
        folder, **{"labelers": ["majority", {"knn": {"on": "embedding"}}], "data": data} | sections, rows=rows
    )


def again(**options):
    """Give the command in this process: finished trainings are reused."""
    command(
        **{"suite": Path("suite.yaml"), "out": Path("labels.parquet"), "labeler": "knn(on=embedding)"}
        | {"threads": 1, "folds": FOLDS, "labels_for": 0.7}
        | options
    )


def finished(folder):
    return {path.name: path.stat().st_ino for path in (folder / "runs" / "small-labels" / "cells").iterdir()}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A folder with labels and their learning curve, and the command's result."""
    folder = tmp_path_factory.mktemp("growth")
    suite(folder)
    options = ("--with", "knn(on=embedding)", "--folds", FOLDS, "--labels-for", 0.7, "--threads", 1)
    done = harness("label", "suite.yaml", "--to", "labels.parquet", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture
def folder(labelled, tmp_path, monkeypatch):
    """A copy of that folder, which is where we are."""
    shutil.copytree(labelled[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def label_again(folder, *options):
    """Give the command again, with other options, to a process of its own."""
    same = ("--to", "labels.parquet", "--with", "knn(on=embedding)", "--folds", FOLDS, "--threads", 1)
    done = harness("label", "suite.yaml", *same, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_a_line_the_card_and_the_json_have_it(labelled):
    folder, done = labelled
    growth = json.loads((folder / "labels.json").read_text())["growth"]
    card = (
        (folder / "labels.md")
        .read_text()
        .replace("\u00a0", " ")
        .split("## How many more labels, and where")[1]
        .split("\n## ")[0]
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("accuracy 0.7: ")]
    assert (f"there are {N - UNLABELLED:,}" in line) == (not growth["why"])
    assert f"**A{line[1:]}.**" in card
    assert [len(growth["points"]), growth["labels"], growth["target"]] == [4, N - UNLABELLED, 0.7]
    assert growth["by_class"]["0"].keys() == {"labelled", "half", "whole", "gain", "errors"}
    for point in growth["points"]:
        assert f"| {point['labels']:,} | {point['accuracy']['mean']:.4f} ± " in card
    assert [f"\n| {c} | " in card for c in range(6)] == [True] * 6
    assert "The source with most to gain is " in card
    assert "interval from them is a rough one" in card


@pytest.mark.slow
def test_its_numbers_are_those_of_the_labels(labelled):
    labels = pd.read_parquet(labelled[0] / "labels.parquet")
    growth = json.loads((labelled[0] / "labels.json").read_text())["growth"]
    gold, rest = labels[labels.is_gold], labels[~labels.is_gold]
    wrong = gold.proxy_label != gold.score
    for name, source in growth["by_source"].items():
        assert (source["labelled"], source["unlabelled"]) == ((gold.source == name).sum(), (rest.source == name).sum())
        assert source["errors"] == pytest.approx(wrong[gold.source == name].mean() * source["unlabelled"])
    for c, of_class in growth["by_class"].items():
        assert of_class["labelled"] == (gold.score == int(c)).sum()
        assert of_class["errors"] == pytest.approx((gold.score[wrong] == int(c)).mean())
    assert sum(of_class["errors"] for of_class in growth["by_class"].values()) == pytest.approx(1)
    accuracy = [point["accuracy"]["mean"] for point in growth["points"]]
    assert accuracy[0] < accuracy[-1] == pytest.approx(1 - wrong.mean(), abs=0.01)


@pytest.mark.slow
def test_without_the_option_nothing_is_trained_for_it_and_the_labels_are_the_same(folder):
    before = (folder / "labels.parquet").read_bytes()
    printed = label_again(folder)
    assert f"{1 + FOLDS} cells, {1 + FOLDS} of them finished before" in printed.stderr
    assert "accuracy 0.7:" not in printed.stdout
    assert (folder / "labels.parquet").read_bytes() == before
    assert "How many more" not in (folder / "labels.md").read_text()
    assert "growth" not in json.loads((folder / "labels.json").read_text())


@pytest.mark.slow
def test_with_it_three_trainings_more_a_fold_are_reused_for_any_target(folder):
    before = finished(folder)
    printed = label_again(folder, "--labels-for", 0.99, "--json")
    first, *_, last = map(json.loads, printed.stdout.splitlines())
    assert (first["cells"], first["reused"]) == (1 + 4 * FOLDS, 1 + 4 * FOLDS)
    assert (last["event"], last["growth"]["target"], last["growth"]["needed"]) == ("labels", 0.99, None)
    assert last["growth"]["why"] or last["growth"]["at_least"]
    assert finished(folder) == before


@pytest.mark.slow
@pytest.mark.parametrize("grouped", [True, False])
def test_the_parts_of_a_fold_are_nested_and_apart_from_its_queries(tmp_path, monkeypatch, grouped):
    suite(tmp_path, **({} if grouped else {"data": DATA}))
    monkeypatch.chdir(tmp_path)
    collection, plugins = load_suites(Path("suite.yaml"), None)
    run = prepare_run(collection.suites[0], plugins, Options(threads=1), print)
    arguments = (run.suite, run.suite.labelers[1], run.dataset.table, plugins, run.options, FOLDS)
    plain, curve = training.plan_label_run(*arguments), training.plan_label_run(*arguments, with_curve=True)
    assert [cell.key for cell in curve.cells] == [cell.key for cell in plain.run.cells]
    assert (plain.curve_cells, len(curve.curve_cells)) == ([], 3 * FOLDS)
    groups = curve.dataset.groups
    for number, cell in enumerate(curve.cells[1:]):
        fold = cell.evaluation.split
        parts = [part.evaluation.split for part in curve.curve_cells[3 * number : 3 * number + 3]]
        for part, larger in zip(parts, [*parts[1:], fold], strict=True):
            assert set(part.train) < set(larger.train)
            np.testing.assert_array_equal(part.test, curve.dataset.labelled[curve.fold == number])
            if groups is not None:
                rest = np.setdiff1d(fold.train, part.train)
                assert not set(groups[part.train]) & (set(groups[rest]) | set(groups[part.test]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels_for": 1.5}, "--labels-for 1.5: must be between 0 and 1"),
        ({"labels_for": 0.0}, "--labels-for 0: must be between 0 and 1"),
        ({"labels_for": float("nan")}, "--labels-for nan: must be between 0 and 1"),
        ({"suggest": 10}, "--labels-for and --suggest: give one of them"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_read(options, words):
    assert words in refused(suite=Path("nowhere.yaml"), **options)


@pytest.mark.slow
def test_too_few_labels_are_refused(tmp_path, monkeypatch):
    suite(tmp_path, table(40, 32))
    monkeypatch.chdir(tmp_path)
    words = refused(folds=2, unseen_classes=True)
    assert "are too few for an eighth, a quarter and a half" in words
    assert "labelled rows in " in words


def refused(**options):
    with pytest.raises(HarnessError) as error:
        again(**options)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.slow
def test_a_mistake_has_exit_code_2(labelled):
    done = harness("label", "suite.yaml", "--to", "labels.parquet", "--labels-for", 60, cwd=labelled[0])
    assert done.returncode == 2
    assert done.stderr == "error: --labels-for 60: must be between 0 and 1, as 0.8 for 80 %\n"


@pytest.mark.slow
def test_killed_on_the_way_it_goes_on_and_a_failure_costs_the_curve_alone(tmp_path):
    """Label by a labeler that fails on fewer than forty labels."""
    body = 'time.sleep(0.3)\nif len(task.labelled) < 40:\n    raise ValueError("too few")\nreturn uniform(task)'
    write_labelers(tmp_path / "slow.py", slow=body)
    suite(tmp_path, labelers=["majority", "slow"])
    options = ("--with", "slow", "--plugin", "slow.py", "--folds", 2, "--labels-for", 0.6, "--threads", 1)
    command_line = ("label", "suite.yaml", "--to", "labels.parquet", *options)
    process = start(*command_line, cwd=tmp_path)
    folder = tmp_path / "runs" / "small-labels" / "cells"
    until(lambda: folder.exists() and len(list(folder.iterdir())) >= 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = finished(tmp_path)
    done = harness(*command_line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert finished(tmp_path).items() >= before.items()
    assert len(finished(tmp_path)) == 3 + 2
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("accuracy 0.6: ")]
    assert line.startswith("accuracy 0.6: the curve cannot tell (fewer labels, 0.125 of them, seed 0, fold 1 (")
    assert line.endswith(" failed: ValueError: too few)")
    assert "Nothing can be said." in (tmp_path / "labels.md").read_text()

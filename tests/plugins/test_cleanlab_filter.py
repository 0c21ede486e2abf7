"""cleanlab: its flags against a direct call, what becomes of them, and noise that was planted."""

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

import numpy as np
import pytest
import torch
from cleanlab.filter import find_label_issues

from harness import Block, NotApplicable, Predictions, Task, out_of_fold
from harness.testing import example_task, labeler_checks
from harness.testing.examples import example
from harness_plugins.labelers.knn import KNN
from harness_plugins.networks.plugins import Linear
from harness_plugins.wrappers.cleanlab_filter import Cleanlab, FilterBy, among, class_keepers, issues

BASES = [KNN(on="embedding", k=5), Linear(on="text", epochs=2, recipe="record")]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Told:
    """Answers each row as the table says, and keeps the tasks it was asked; the last is that of the wrapper."""

    name: ClassVar[str] = "told"
    table: Any  # (N, C)
    asked: list[Task]

    def label(self, task):
        self.asked.append(task)
        proba = np.array(self.table, float)[task.to_label]
        return Predictions(proba, {"n": len(task.y)}, {"epoch 1": proba.argmax(axis=1).astype(np.uint8)})


def noisy(share=0.15, seed=0):
    """An example task with wrong labels planted, where they are (300,), and the true labels (300,)."""
    task = replace(example_task(n=300, m=120, n_classes=4, seed=seed), raters=None)
    rng = np.random.default_rng(seed)
    wrong = rng.random(300) < share
    y = np.where(wrong, (task.y + rng.integers(1, 4, 300)) % 4, task.y)
    return replace(task, y=y), wrong, task.y


def told(table, y, n_classes, **parameters):
    """Ask a cleanlab over `Told` to label one more row than the labelled ones; return what it said and learned from."""
    n, asked = len(y), []
    table = np.vstack([table, np.eye(n_classes)[:1]])
    task = Task({"x": Block(np.zeros((n + 1, 1), np.float32))}, np.arange(n), y, [n], n_classes)
    return Cleanlab(Told(table, asked), **parameters).label(task), asked[-1]


def column(answer, name):
    """Return one column of the table of issues: a number for each class, then that of all."""
    table = answer.facts["tables"]["Label issues"]
    return [row[table["columns"].index(name)] for row in table["rows"]]


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_keeps_the_promises_of_a_labeler(base, check):
    for labeler in (Cleanlab(base), Cleanlab(base, folds=3, do="relabel", filter_by="predicted_neq_given")):
        if check.__name__ == "check_one_class":
            with pytest.raises(NotApplicable, match="labels of two classes"):
                check(labeler)
        else:
            check(labeler)


@pytest.mark.parametrize(
    "base", [KNN(on="text", k=9), Linear(on="text", epochs=30, lr=0.1, recipe="record")], ids=lambda base: base.name
)
@pytest.mark.parametrize("filter_by", get_args(FilterBy))
def test_flags_what_a_direct_call_flags(base, filter_by):
    task, _, _ = noisy()
    proba = out_of_fold(base, task, 4).astype(np.float64)
    flagged = find_label_issues(task.y, proba / proba.sum(axis=1, keepdims=True), filter_by=filter_by, n_jobs=1)
    assert 0 < flagged.sum() < 150
    assert set(task.y[~flagged]) == {0, 1, 2, 3}  # so no class needs saving
    cleaned = replace(task, labelled=task.labelled[~flagged], y=task.y[~flagged])
    answer = Cleanlab(base, folds=4, filter_by=filter_by).label(task)
    np.testing.assert_array_equal(answer.proba, base.label(cleaned).proba)
    assert answer.facts["noise_rate"] == flagged.mean()
    assert answer.facts["issues"] == flagged.sum()
    assert column(answer, "Flagged") == [*np.bincount(task.y[flagged], minlength=4), flagged.sum()]
    assert column(answer, "Labels") == [*np.bincount(task.y, minlength=4), 300]
    assert column(answer, "Learned from") == [*np.bincount(task.y[~flagged], minlength=4), (~flagged).sum()]
    assert (answer.facts["n_train"], answer.facts["n_train_clean"]) == (300, (~flagged).sum())
    mended = replace(task, y=np.where(flagged, proba.argmax(axis=1), task.y))
    answer = Cleanlab(base, folds=4, filter_by=filter_by, do="relabel").label(task)
    np.testing.assert_array_equal(answer.proba, base.label(mended).proba)
    assert answer.facts["n_train_clean"] == 300
    assert column(answer, "Learned from") == [*np.bincount(mended.y, minlength=4), 300]


def test_every_filter_of_cleanlab_is_offered_and_its_default_is_ours():
    with pytest.raises(AssertionError):
        find_label_issues(np.array([0, 1]), np.eye(2), filter_by="another")
    documented = find_label_issues.__doc__.partition("filter_by : {")[2].partition("}")[0]
    assert {name.strip(" '") for name in documented.split(",")} == set(get_args(FilterBy))
    assert find_label_issues.__kwdefaults__["filter_by"] == Cleanlab(BASES[0]).filter_by


@pytest.mark.parametrize("seed", range(3))
def test_planted_noise_is_found(seed):
    task, wrong, _ = noisy(seed=seed)
    flagged = issues(task.y, out_of_fold(KNN(on=("text", "embedding"), k=9), task, 5), "prune_by_noise_rate")
    assert flagged[wrong].mean() > 0.7
    assert flagged[~wrong].mean() < 0.1


@pytest.mark.parametrize("do", ["remove", "relabel"])
@pytest.mark.parametrize("seed", range(3))
def test_cleaning_helps_where_a_third_of_the_labels_is_wrong(seed, do):
    task, _, _ = noisy(share=0.35, seed=seed)
    truth = example((), 300, 120, 4, seed)[1][task.to_label]
    base = KNN(on="text", k=5)
    plain, cleaned = base.label(task).proba, Cleanlab(base, do=do).label(task).proba
    accuracy, before = ((proba.argmax(axis=1) == truth).mean() for proba in (cleaned, plain))
    assert accuracy > before + 0.02


TABLE = np.array([[0.9, 0.1, 0]] * 5 + [[0.1, 0.9, 0]] * 5)
GIVEN = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]  # row 4 looks like class 0


def test_flagged_rows_are_removed_or_relabelled():
    answer, learned = told(TABLE, GIVEN, 3)
    assert learned.labelled.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert learned.y.tolist() == [0] * 4 + [1] * 5
    numbers = {"noise_rate": 0.1, "issues": 1, "n_train": 10, "n_train_clean": 9, "base": {"n": 9}}
    columns = ["Class", "Labels", "Flagged", "Share flagged", "Learned from"]
    rows = [["0", 4, 0, 0.0, 4], ["1", 6, 1, 1 / 6, 5], ["2", 0, 0, None, 0], ["all", 10, 1, 0.1, 9]]
    assert answer.facts == numbers | {"tables": {"Label issues": {"columns": columns, "rows": rows}}}
    assert list(answer.checkpoints) == ["epoch 1"]
    answer, learned = told(TABLE, GIVEN, 3, do="relabel")
    assert learned.labelled.tolist() == list(range(10))
    assert learned.y.tolist() == [0] * 5 + [1] * 5
    assert (answer.facts["issues"], answer.facts["n_train_clean"], answer.facts["base"]) == (1, 10, {"n": 10})
    assert column(answer, "Learned from") == [5, 5, 0, 10]


def test_a_class_keeps_its_most_confident_row():
    # Rows 3 to 5 are of class 2, and every one looks like class 0.
    table = [[0.8, 0.2, 0], [0.8, 0.2, 0], [0.2, 0.8, 0], [0.9, 0, 0.1], [0.6, 0, 0.4], [0.6, 0, 0.4]]
    given = [0, 0, 1, 2, 2, 2]
    answer, learned = told(table, given, 3, filter_by="predicted_neq_given")
    assert learned.labelled.tolist() == [0, 1, 2, 4]
    assert (column(answer, "Flagged"), answer.facts["n_train_clean"]) == ([0, 0, 3, 3], 4)
    _, learned = told(table, given, 3, filter_by="predicted_neq_given", do="relabel")
    assert learned.y.tolist() == [0, 0, 1, 0, 0, 0]


def test_a_class_with_a_row_left_needs_no_saving():
    given, flagged = np.array([0, 0, 1, 1]), np.array([True, False, True, True])
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    assert class_keepers(given, proba, flagged).tolist() == [False, False, False, True]


def test_classes_without_a_label_are_left_out():
    # Of four classes 1 and 3 are labelled; row 4 is given as 3, and looks like 1 once 0 and 2 are left out.
    part = np.array([[0.9, 0.1]] * 5 + [[0.1, 0.9]] * 5)
    table = np.zeros((10, 4))
    table[:, [1, 3]], table[:, 2] = 0.4 * part, 0.6
    answer, learned = told(table, np.where(np.array(GIVEN) == 0, 1, 3), 4, do="relabel")
    assert learned.y.tolist() == [1] * 5 + [3] * 5
    assert column(answer, "Flagged") == [0, 0, 0, 1, 1]
    np.testing.assert_allclose(among(table, np.array([1, 3])), part)
    np.testing.assert_array_equal(among(np.eye(4)[[2]], np.array([1, 3])), [[0.5, 0.5]])


def test_a_class_of_one_row_is_spared_in_silence():
    table = np.vstack([TABLE, [[0.9, 0.1, 0]]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer, learned = told(table, [*GIVEN, 2], 3)
    assert column(answer, "Flagged") == [0, 1, 0, 1]
    assert learned.y.tolist() == [0] * 4 + [1] * 5 + [2]


@pytest.mark.parametrize(
    "little",
    [
        {"labelled": [0, 1, 2], "y": [1, 1, 1]},
        {"labelled": [0, 0, 0], "y": [1, 0, 1]},
        {"labelled": [0, 1, 2], "y": [1, 0, 1], "groups": [7, 7, 7, 8]},
    ],
    ids=["one class", "one row", "one group"],
)
def test_too_little_to_compare_does_not_apply(little):
    task = Task({"x": Block(np.eye(4, dtype=np.float32))}, to_label=[3], n_classes=2, **little)
    with pytest.raises(NotApplicable, match=r"two classes, on two rows \(or groups\) or more"):
        Cleanlab(KNN(on="x")).label(task)


def test_one_fold_is_refused():
    with pytest.raises(ValueError, match="folds must be at least 2, got 1"):
        Cleanlab(BASES[0], folds=1)

"""calibrated: the temperature against a grid and by hand, its honesty, and labels that never change."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness import Block, Predictions, Task, out_of_fold
from harness.testing import example_task, labeler_checks
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.majority import Prior
from harness_plugins.networks.plugins import Linear
from harness_plugins.wrappers.calibrated import Calibrated, apply_temperature, fit


@dataclass(frozen=True)
class Given:
    """Answers with the rows of a block, whatever the labels say."""

    name: ClassVar[str] = "given"
    on: str = "a"

    def label(self, task):
        m = len(task.to_label)
        proba = task.blocks[self.on].array[task.to_label]
        return Predictions(proba, {"on": self.on}, {"first": np.ones(m, np.uint8)}, {"number": np.arange(m)})


@dataclass(frozen=True)
class Memory:
    """Is sure of the rows it has learned, and as sure of a guess at any other."""

    name: ClassVar[str] = "memory"

    def label(self, task):
        learned = dict(zip(task.labelled.tolist(), task.y.tolist(), strict=True))
        guesses = np.random.default_rng(task.to_label).integers(0, task.n_classes, len(task.to_label))
        labels = [learned.get(row, guess) for row, guess in zip(task.to_label.tolist(), guesses, strict=True)]
        return 0.98 * np.eye(task.n_classes)[labels] + 0.02 / task.n_classes


def task_of(proba, y):
    """Return a task whose labelled rows have these probabilities; three more rows are to label."""
    n, C = proba.shape
    block = Block(np.concatenate([proba, proba[:3]]).astype(np.float32), "embedding")
    return Task({"a": block}, np.arange(n), np.asarray(y), np.arange(n, n + 3), C)


def too_sure(n=400, power=3.0):
    """Return probabilities that were right before they were sharpened: temperature `power` mends them."""
    rng = np.random.default_rng(0)
    true = 0.96 * rng.dirichlet(np.ones(4), n) + 0.01  # (n, C); cubed it stays above what is clipped
    y = (rng.random((n, 1)) > true.cumsum(axis=1)[:, :-1]).sum(axis=1)
    sharp = true**power
    return sharp / sharp.sum(axis=1, keepdims=True), y


def log_loss(proba, y):
    return np.mean([-np.log(row[label]) for row, label in zip(proba, y, strict=True)])


def test_two_classes_by_hand():
    # 9 to 1 is claimed and 3 of 4 are right, so odds of 3 are true: 9 ** (1 / T) = 3, T = 2.
    proba = np.tile([0.9, 0.1], (8, 1))
    before, temperature, after = fit(proba, np.array([0, 0, 0, 1] * 2))
    assert temperature == pytest.approx(2, abs=1e-3)
    assert before == pytest.approx(-(3 * np.log(0.9) + np.log(0.1)) / 4, abs=1e-6)
    assert after == pytest.approx(-(3 * np.log(0.75) + np.log(0.25)) / 4, abs=1e-6)
    np.testing.assert_allclose(apply_temperature(proba, temperature), np.tile([0.75, 0.25], (8, 1)), atol=1e-4)


POWERS = np.geomspace(0.2, 8, 400)


@pytest.mark.parametrize("power", [0.4, 1.0, 3.0])
def test_no_temperature_of_a_fine_grid_is_better(power):
    proba, y = too_sure(power=power)
    before, temperature, after = fit(proba, y)
    assert before == pytest.approx(log_loss(proba, y), abs=1e-6)
    assert after == pytest.approx(log_loss(apply_temperature(proba, temperature), y), abs=1e-6)
    grid = {T: log_loss(proba ** (1 / T) / (proba ** (1 / T)).sum(axis=1, keepdims=True), y) for T in POWERS}
    assert after <= min(grid.values()) + 1e-6
    assert temperature == pytest.approx(min(grid, key=grid.get), rel=0.02)
    assert temperature == pytest.approx(power, rel=0.15)


def test_facts_tell_of_the_rows_out_of_fold():
    proba, y = too_sure()
    task = task_of(proba, y)
    answer = Calibrated(Given(), folds=3).label(task)
    before, temperature, after = fit(out_of_fold(Given(), task, 3), y)
    assert answer.facts == {
        "temperature": temperature,
        "log_loss_before": before,
        "log_loss_after": after,
        "base": {"on": "a"},
    }
    assert after < before - 0.1
    np.testing.assert_array_equal(answer.proba, apply_temperature(proba[:3].astype(np.float32), temperature))


def test_a_base_that_knows_its_rows_by_heart_is_not_believed():
    """On the rows it has learned it is always right; the temperature must follow from those it has not."""
    rng = np.random.default_rng(1)
    block = Block(np.zeros((300, 1), np.float32), "embedding")
    task = Task({"a": block}, np.arange(240), rng.integers(0, 4, 240), np.arange(240, 300), 4)
    own = Memory().label(replace(task, to_label=task.labelled))
    assert (own.argmax(axis=1) == task.y).all()
    assert fit(own, task.y)[1] < 0.5  # judged by what it has learned, it should be surer still
    answer = Calibrated(Memory()).label(task)
    assert answer.facts["temperature"] > 10
    assert answer.proba.max() < 0.4  # guesses among four


def test_pseudo_labels_do_not_count():
    proba, y = too_sure()
    task = task_of(proba, y)
    pseudo = np.arange(400) >= 200
    wrong = np.where(pseudo, (y + 1) % 4, y)
    marked = Calibrated(Given()).label(replace(task, y=wrong, pseudo=pseudo)).facts
    assert marked["temperature"] == fit(proba[:200].astype(np.float32), y[:200])[1]
    assert marked["temperature"] < Calibrated(Given()).label(replace(task, y=wrong)).facts["temperature"]


SHARES = arrays(np.float64, (8, 5), elements=st.sampled_from([0.0, 1e-9, 0.1, 0.1 + 1e-9, 0.1 + 1e-7, 0.3, 2.0, 1e3]))
TEMPERATURES = st.sampled_from([0.05, 0.3, 1.0, 1.7, 20.0])


@given(SHARES.filter(lambda shares: shares.sum(axis=1).all()), TEMPERATURES, st.sampled_from([np.float32, np.float64]))
def test_labels_never_change(shares, temperature, dtype):
    """Ties and near-ties included, as the harness reads labels: in single precision, the lower class first."""
    proba = (shares / shares.sum(axis=1, keepdims=True)).astype(dtype)
    cooled = apply_temperature(proba, temperature)
    np.testing.assert_array_equal(cooled.argmax(axis=1), proba.astype(np.float32).argmax(axis=1))
    np.testing.assert_allclose(cooled.sum(axis=1), 1, atol=1e-5)


def test_a_hair_s_breadth_survives_the_highest_temperature():
    proba = np.array([[0.25, np.nextafter(np.float32(0.25), np.float32(1)), 0.25, 0.25]], np.float32)
    assert apply_temperature(proba, 20.0).argmax(axis=1).tolist() == [1]
    assert apply_temperature(np.full((1, 4), 0.25), 20.0).tolist() == [[0.25] * 4]  # a true tie stays one


def test_probabilities_of_nought_are_seven_digits():
    _, temperature, after = fit(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    assert temperature == pytest.approx(20, rel=1e-3)  # the limit: half is wrong, and claimed for certain
    odds = 1e-7 ** (1 / temperature)
    assert after == pytest.approx(-(np.log(1 / (1 + odds)) + np.log(odds / (1 + odds))) / 2, rel=1e-6)


def test_what_cannot_be_mended_is_left():
    assert fit(np.full((4, 2), 0.5), np.array([0, 1, 1, 0])) == (np.log(2), 1.0, np.log(2))


def test_all_the_base_says_is_passed_on():
    proba, y = too_sure(20)
    answer = Calibrated(Given()).label(task_of(proba, y))
    assert {name: labels.tolist() for name, labels in answer.checkpoints.items()} == {"first": [1, 1, 1]}
    assert {name: values.tolist() for name, values in answer.rows.items()} == {"number": [0, 1, 2]}


def test_without_rows_to_hold_out_the_base_is_left_as_it_is():
    task = replace(example_task(), groups=np.zeros(156, np.int64))
    answer = Calibrated(Prior()).label(task)
    assert answer.facts == {"temperature": 1.0, "log_loss_before": None, "log_loss_after": None, "base": {}}
    np.testing.assert_allclose(answer.proba, Prior().label(task), atol=1e-6)


@pytest.mark.parametrize("folds", [1, 0])
def test_fewer_than_two_folds_are_refused(folds):
    with pytest.raises(ValueError, match=f"folds must be at least 2, got {folds}"):
        Calibrated(Prior(), folds)


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "base", [KNN(on="embedding"), Linear(on="text", epochs=2, recipe="record")], ids=lambda base: base.name
)
def test_keeps_the_promises_of_a_labeler(base, check):
    check(Calibrated(base, folds=3))

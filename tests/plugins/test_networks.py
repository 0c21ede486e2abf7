"""The networks: sizes, forward passes and losses against NumPy, training, and how the epoch that answers is chosen."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, expit
from sklearn.linear_model import LogisticRegression

from harness import Block, Predictions, Task, assign_folds, holdout
from harness.plugin.task import find_error
from harness.testing import labeler_checks
from harness_plugins.networks import losses
from harness_plugins.networks.parameters import Recipe
from harness_plugins.networks.plugins import MLP, Linear, Ordinal, ResNet
from harness_plugins.networks.training import fit, label, settling

pytestmark = pytest.mark.slow


def task_of(X, y, n, n_classes, seed=3, **more):
    """The first n rows are labelled, the rest is to be labelled."""
    block = Block(np.asarray(X, np.float32), "embedding")
    return Task({"x": block}, np.arange(n), y[:n], np.arange(n, len(X)), n_classes, seed=seed, **more)


def blobs(rows, d, n_classes, noise, seed=0):
    """Gaussian rows whose class is the largest of C noisy linear scores."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, d))
    scores = X @ rng.standard_normal((d, n_classes)) + noise * rng.standard_normal((rows, n_classes))
    return X, scores.argmax(axis=1)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they give on matrices this small, the more so on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def overfitted():
    """Few noisy rows in many dimensions: a large network soon learns the noise."""
    X, y = blobs(rows=260, d=40, n_classes=3, noise=8.0)
    return task_of(X, y, n=200, n_classes=3)


# ---- sizes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labeler", "d", "parameters"),
    [
        (Linear("x"), 1024, 6_150),
        (MLP("x"), 1024, 329_734),
        (MLP("x", hidden=512), 1024, 790_534),
        (MLP("x"), 35, 76_550),
        (MLP("x"), 63, 83_718),
        (MLP("x"), 1059, 338_694),
        (MLP("x"), 1087, 345_862),
        (MLP("x"), 4159, 1_132_294),
        (MLP("x", hidden=512), 1087, 822_790),
        (MLP("x", hidden=1024), 1087, 2_169_862),
        (ResNet("x"), 1024, 792_838),
        (ResNet("x", hidden=512, blocks=6), 1024, 3_686_918),
        (ResNet("x"), 1059, 801_798),
        (ResNet("x", hidden=512, blocks=6), 1087, 3_719_174),
        (Ordinal("x"), 1024, 791_558),
    ],
)
def test_parameter_counts(labeler, d, parameters):
    assert sum(p.numel() for p in labeler.network(d, 6).parameters()) == parameters


def test_facts_count_the_parameters_of_several_blocks_together():
    rng = np.random.default_rng(0)
    blocks = {"e": Block(np.float32(rng.random((9, 4))), "embedding"), "f": Block(np.float32(rng.random((9, 3))))}
    task = Task(blocks, np.arange(6), np.array([0, 1, 2, 0, 1, 2]), np.arange(6, 9), 3)
    answer = MLP(("e", "f"), hidden=5, epochs=1).label(task)
    assert answer.facts["parameters"] == (7 * 5 + 5) + (5 * 5 + 5) + (5 * 3 + 3)


# ---- training -----------------------------------------------------------------------------------------------------


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def adamw(X, y, weight, lr, decay, epochs):
    """AdamW on the full batch with a cosine from lr to 0, written from its definition; yields the weights (d, C)."""
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    one_hot = np.eye(weight.shape[1])[y]
    for step in range(1, epochs + 1):
        rate = lr * (1 + np.cos(np.pi * (step - 1) / epochs)) / 2
        gradient = X.T @ (softmax(X @ weight) - one_hot) / len(X)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        direction = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        weight = weight * (1 - rate * decay) - rate * direction
        yield weight


@pytest.mark.parametrize("epochs", [1, 2, 7])
def test_full_batches_equal_adamw_with_a_cosine_in_numpy(epochs):
    X, y = blobs(rows=50, d=4, n_classes=3, noise=1.0)
    task = task_of(X, y, n=40, n_classes=3)
    labeler = Linear(
        "x", dropout=0, epochs=epochs, lr=0.05, weight_decay=0.3, validation=0, precision="float32", recipe="record"
    )
    answer = labeler.label(task)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        start = labeler.network(4, 3)[1]
    weight = np.vstack([start.weight.detach().numpy().T, start.bias.detach().numpy()]).astype(np.float64)
    X = np.hstack([np.float64(np.float32(X)), np.ones((50, 1))])
    course = list(adamw(X[:40], y[:40], weight, lr=0.05, decay=0.3, epochs=epochs))
    np.testing.assert_allclose(answer.proba, softmax(X[40:] @ course[-1]), atol=2e-6)
    for number, weight in enumerate(course, start=1):
        np.testing.assert_array_equal(answer.checkpoints[f"epoch {number}"], (X[40:] @ weight).argmax(axis=1))


def test_linear_agrees_with_logistic_regression():
    X, y = blobs(rows=3000, d=6, n_classes=4, noise=1.5)
    task = task_of(X, y, n=1000, n_classes=4)
    answer = Linear("x", dropout=0, epochs=60, batch=100, lr=0.02, weight_decay=0, validation=0, recipe="record").label(
        task
    )
    reference = LogisticRegression(C=1e6, max_iter=1000).fit(X[:1000], y[:1000]).predict_proba(X[1000:])
    np.testing.assert_allclose(answer.proba, reference, atol=0.03)
    accuracy = [(proba.argmax(axis=1) == y[1000:]).mean() for proba in (answer.proba, reference)]
    assert accuracy[0] == pytest.approx(accuracy[1], abs=0.01)
    assert accuracy[0] > 0.6


def test_hidden_layers_solve_what_a_linear_layer_cannot():
    X = np.random.default_rng(0).standard_normal((1000, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    task = task_of(X, y, n=600, n_classes=2)
    linear = Linear("x", epochs=30, batch=64, lr=0.01, recipe="record").label(task).proba
    mlp = MLP("x", hidden=32, epochs=30, batch=64, lr=0.01).label(task).proba
    assert (linear.argmax(axis=1) == y[600:]).mean() < 0.65
    assert (mlp.argmax(axis=1) == y[600:]).mean() > 0.93


def test_dropout_acts_in_training_and_not_in_the_answer():
    X, y = blobs(rows=60, d=5, n_classes=3, noise=1.0)
    X[50:] = X[50]  # one row to label, ten times over
    task = task_of(X, y, n=50, n_classes=3)
    with_dropout = MLP("x", hidden=16, epochs=20, lr=0.01, dropout=0.5).label(task).proba
    without = MLP("x", hidden=16, epochs=20, lr=0.01, dropout=0).label(task).proba
    assert np.ptp(with_dropout, axis=0).max() < 1e-6
    assert np.abs(with_dropout - without).max() > 0.01


def test_dropout_is_on_in_every_epoch_and_off_whenever_rows_are_answered(overfitted):
    seen = []

    class Recording(torch.nn.Linear):
        def forward(self, inputs):
            seen.append((self.training, len(inputs)))
            return super().forward(inputs)

    label(overfitted, Recipe("x", epochs=3, validation=0.2), Recording)
    held = int(holdout(overfitted, 0.2).sum())
    assert seen == [(True, 200 - held), (False, held), (False, 60)] * 3 + [(False, 60)]  # each epoch a checkpoint


# ---- which epoch answers ------------------------------------------------------------------------------------------

LARGE = MLP("x", hidden=64, epochs=40, batch=32, lr=3e-3, validation=0.25)


def without_held(task, to_label):
    """The same training rows with nothing left to hold out, so that every epoch can be looked at."""
    held = holdout(task, LARGE.validation)
    return replace(task, labelled=task.labelled[~held], y=task.y[~held], to_label=to_label)


def test_of_epochs_of_equal_accuracy_the_one_of_the_lowest_loss_answers():
    """A held row is right soon, and stays so: the first epoch that has it right is long before the end."""
    X, y = blobs(rows=120, d=4, n_classes=3, noise=0.2)
    task = task_of(X, y, n=12, n_classes=3, seed=3)
    labeler = MLP("x", hidden=32, epochs=200, validation=0.1)
    answer = labeler.label(task)
    assert answer.facts["validation_accuracy"] == 1
    assert answer.facts["best_epoch"] > 150  # the loss of the last ones differs by the rounding of the processor
    assert labeler.label(replace(task, seed=2)).facts["best_epoch"] < 20


def test_left_open_few_rows_get_as_many_epochs_as_make_500_steps():
    recipe = Recipe("x")
    assert [recipe.epochs_for(rows) for rows in (1, 150, 512, 513, 2_048, 2_561, 10**6)] == [500] * 3 + [
        250,
        125,
        100,
        100,
    ]
    assert replace(recipe, epochs=7).epochs_for(1) == 7


@pytest.mark.parametrize(
    ("losses", "settled"),
    [
        ([1.0] * 40, True),
        ([2.0 - e / 40 for e in range(40)], False),
        ([1.0 + e / 40 for e in range(40)], True),  # overfitting: an earlier epoch answers
        ([np.exp(-e / 2) for e in range(40)], True),  # next to nothing is left
        ([2.0, 1.9, 1.8], True),  # of 40: stopped early
    ],
    ids=["flat", "falling", "rising", "negligible", "stopped"],
)
def test_a_loss_that_falls_to_the_end_has_not_settled(losses, settled):
    assert settling(losses, 40, steps=500)["settled"] == settled


def test_a_schedule_that_ends_at_0_does_not_pass_for_a_settled_training():
    X, y = blobs(rows=300, d=8, n_classes=3, noise=1.0)
    task = task_of(X, y, n=150, n_classes=3)
    few, more = (MLP("x", hidden=16, epochs=epochs, validation=0.2).label(task).facts for epochs in (30, 300))
    assert not few["settled"]
    assert few["losses"][0] > few["losses"][1]
    assert not more["settled"]
    assert settling([1 - e / 10**4 for e in range(40)], 40, steps=499)["settled"] is False
    assert settling([1 - e / 10**4 for e in range(40)], 40, steps=500)["settled"] is True


def course(task):
    """Validation accuracy after each epoch (40,), recomputed from the checkpoints of an equal run."""
    held = holdout(task, LARGE.validation)
    run = replace(LARGE, validation=0).label(without_held(task, task.labelled[held]))
    return np.array([(run.checkpoints[f"epoch {e}"] == task.y[held]).mean() for e in range(1, 41)])


def test_the_epoch_of_the_best_validation_accuracy_answers(overfitted):
    accuracy = course(overfitted)
    assert accuracy[-1] < accuracy.max()

    answer = LARGE.label(overfitted)
    best = answer.facts["best_epoch"]
    assert answer.facts["epochs"] == 40
    assert best - 1 in np.flatnonzero(accuracy == accuracy.max())
    assert answer.facts["validation_accuracy"] == accuracy.max()
    every = replace(LARGE, validation=0).label(without_held(overfitted, overfitted.to_label))
    assert set(answer.checkpoints) == {f"epoch {e}" for e in (*range(4, 41, 4), best)}
    for name, labels in answer.checkpoints.items():
        np.testing.assert_array_equal(labels, every.checkpoints[name])
    np.testing.assert_array_equal(answer.proba.argmax(axis=1), every.checkpoints[f"epoch {best}"])
    assert (answer.proba.argmax(axis=1) != every.checkpoints["epoch 40"]).any()


@pytest.mark.parametrize("patience", [1, 5])
def test_patience_stops_early(overfitted, patience):
    accuracy = course(overfitted)
    answer = replace(LARGE, patience=patience).label(overfitted)
    facts = answer.facts
    assert set(answer.checkpoints) == {f"epoch {e}" for e in (*range(4, facts["epochs"] + 1, 4), facts["best_epoch"])}
    assert facts["epochs"] == facts["best_epoch"] + patience < 40
    assert facts["validation_accuracy"] == accuracy[: facts["epochs"]].max() == accuracy[facts["best_epoch"] - 1]
    assert facts["settled"]


def test_patience_that_never_runs_out_changes_nothing(overfitted):
    assert replace(LARGE, patience=40).label(overfitted).proba.tobytes() == LARGE.label(overfitted).proba.tobytes()


def test_without_validation_every_epoch_is_a_checkpoint_and_the_last_answers(overfitted):
    answer = replace(LARGE, epochs=6, validation=0).label(overfitted)
    assert list(answer.checkpoints) == [f"epoch {e}" for e in range(1, 7)]
    assert all(labels.dtype == np.uint8 for labels in answer.checkpoints.values())
    np.testing.assert_array_equal(answer.checkpoints["epoch 6"], answer.proba.argmax(axis=1))
    assert any((labels != answer.checkpoints["epoch 6"]).any() for labels in answer.checkpoints.values())
    assert answer.facts["best_epoch"] is None
    assert answer.facts["validation_accuracy"] is None


@pytest.mark.parametrize("validation", [0, 0.2])
@pytest.mark.parametrize("cls", [MLP, ResNet])
def test_checkpoints_that_nobody_looks_at_are_left_out_and_change_nothing(overfitted, cls, validation):
    recipe = cls(on="x", epochs=6, validation=validation, dropout=0.2)
    whole, alone = recipe.label(overfitted), recipe.label(replace(overfitted, checkpoints=False))
    assert len(whole.checkpoints) == 6
    assert not alone.checkpoints
    np.testing.assert_array_equal(whole.proba, alone.proba)


EXACT = replace(LARGE, precision="float32")  # a checkpoint is the answer of its epoch to the label
BY_FOLDS = replace(EXACT, choose="folds")


def folds_courses(task):
    """Hits and log loss after each epoch (40,), of the rows of all folds, each without which a network is trained.

    The hits are those of checkpoints.
    """
    number = assign_folds(task, 5)
    hits, loss_course = np.zeros(40, int), np.zeros(40)
    for held in (number == fold for fold in range(5)):
        rest = replace(task, labelled=task.labelled[~held], y=task.y[~held], to_label=task.labelled[held])
        run = replace(EXACT, validation=0).label(rest)
        hits += [(run.checkpoints[f"epoch {e}"] == task.y[held]).sum() for e in range(1, 41)]
        course = fit(replace(task, validation=held), EXACT, EXACT.network).course
        loss_course += np.array([loss for _, loss in course]) * held.sum()
    return hits, loss_course


def test_folds_choose_the_epoch_of_the_lowest_loss_and_all_rows_are_trained_up_to_it(overfitted):
    hits, loss_course = folds_courses(overfitted)
    best = int(loss_course.argmin()) + 1
    answer = BY_FOLDS.label(overfitted)
    assert answer.facts["best_epoch"] == best < 40
    assert answer.facts["validation_accuracy"] == hits[best - 1] / len(overfitted.y)
    every = replace(EXACT, validation=0).label(overfitted)
    assert set(answer.checkpoints) == {f"epoch {e}" for e in (*range(4, 41, 4), best)}
    for name, labels in answer.checkpoints.items():
        np.testing.assert_array_equal(labels, every.checkpoints[name])
    np.testing.assert_array_equal(answer.proba.argmax(axis=1), every.checkpoints[f"epoch {best}"])
    rule = BY_FOLDS.learn(overfitted)  # it makes no checkpoints
    np.testing.assert_array_equal(rule.label(overfitted.blocks, overfitted.to_label), answer.proba)


def test_the_splits_own_validation_rows_choose_in_place_of_folds(overfitted):
    held = holdout(overfitted, LARGE.validation)
    given = replace(overfitted, validation=held)
    loss_course = [loss for _, loss in fit(given, EXACT, EXACT.network).course]
    assert BY_FOLDS.label(given).facts["best_epoch"] == int(np.argmin(loss_course)) + 1


def test_where_no_fold_can_be_held_out_the_last_epoch_answers(overfitted):
    one = replace(overfitted, groups=np.zeros(len(overfitted.blocks["x"].array), np.int64))
    answer = replace(BY_FOLDS, epochs=4).label(one)
    assert answer.facts["best_epoch"] is None
    np.testing.assert_array_equal(answer.proba, replace(EXACT, epochs=4, validation=0).label(one).proba)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"patience": 3}, "patience must be 0 where choose is folds"),
        ({"validation": 0}, "choose must be left out where validation is 0"),
    ],
)
def test_parameters_of_a_share_are_refused_beside_folds(wrong, words):
    with pytest.raises(ValueError, match=words):
        MLP("x", choose="folds", **wrong)
    with pytest.raises(ValueError, match="choose must be left out, or recipe be record"):
        Linear("x", choose="folds")


def twins(**more):
    """200 pairs of equal rows, each pair with a label thrown by a coin: only a twin in train gives it away."""
    rng = np.random.default_rng(1)
    X, y = np.repeat(rng.standard_normal((200, 40)), 2, axis=0), np.repeat(rng.integers(0, 2, 200), 2)
    return task_of(np.vstack([X, X[:1]]), y, n=400, n_classes=2, **more)


def test_validation_keeps_groups_and_repeated_rows_together():
    labeler = MLP("x", hidden=64, epochs=25, batch=32, lr=3e-3, validation=0.2)
    pairs = np.append(np.arange(400) // 2, 200)
    repeated = replace(twins(), labelled=np.arange(400) // 2 * 2)
    assert labeler.label(twins()).facts["validation_accuracy"] > 0.8  # the pairs are not known: the validation leaks
    assert labeler.label(twins(groups=pairs)).facts["validation_accuracy"] < 0.7
    assert labeler.label(repeated).facts["validation_accuracy"] < 0.7


# ---- forward passes -----------------------------------------------------------------------------------------------


def normalised(x, scale, shift):
    return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5) * scale + shift


def residual(x, blocks, weights):
    """The residual network written from its definition; takes its weights one by one, in the order of the layers."""

    def linear(x):
        weight, bias = next(weights), next(weights)
        return x @ weight.T + bias

    x = linear(x)
    for _ in range(blocks):
        z = linear(normalised(x, next(weights), next(weights)))
        x = x + linear(z * (1 + erf(z / np.sqrt(2))) / 2)
    return linear(normalised(x, next(weights), next(weights)))


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize(("network", "outputs"), [(ResNet, 4), (Ordinal, 3)])
def test_residual_networks_equal_numpy(network, outputs, blocks):
    labeler = network("x", hidden=8, blocks=blocks, dropout=0.4)
    rng = np.random.default_rng(blocks)
    X = rng.standard_normal((5, 6))
    built = labeler.network(6, 4).double().eval()
    with torch.no_grad():
        for parameter in built.parameters():  # scales and shifts start at 1 and 0, which would hide them
            parameter.copy_(torch.from_numpy(rng.standard_normal(parameter.shape)))
        given = built(torch.from_numpy(X)).numpy()
    weights = iter([parameter.detach().numpy() for parameter in built.parameters()])
    expected = residual(X, blocks, weights)
    if network is Ordinal:
        expected = expected - next(weights)
    assert next(weights, None) is None
    assert given.shape == (5, outputs)
    np.testing.assert_allclose(given, expected, rtol=1e-9, atol=1e-9)
    rates = [layer.p for layer in built.modules() if isinstance(layer, torch.nn.Dropout)]
    assert rates == [0.4] * 2 * blocks


@pytest.mark.parametrize(("n_classes", "thresholds"), [(2, [-2]), (3, [-2, 2]), (6, [-2, -1, 0, 1, 2])])
def test_thresholds_start_evenly_spaced_and_are_learnt(n_classes, thresholds):
    network = Ordinal("x", hidden=4, blocks=1).network(3, n_classes)
    learnt = [
        p
        for p in network.parameters()
        if p.shape == (n_classes - 1,) and torch.equal(p, torch.tensor(thresholds).float())
    ]
    assert len(learnt) == 1
    assert learnt[0].requires_grad


# ---- losses -------------------------------------------------------------------------------------------------------

PROBA = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])
OUTPUTS, Y, WEIGHT = torch.tensor(PROBA).log(), torch.tensor([0, 2]), torch.tensor([1.0, 0.5, 1.5]).double()


@pytest.mark.parametrize(
    ("loss", "by_hand"),
    [
        (losses.cross_entropy(OUTPUTS, Y), 1.497866),  # -(ln .5 + ln .1) / 2
        (losses.cross_entropy(OUTPUTS, Y, WEIGHT), 1.658810),  # -(ln .5 + 1.5 ln .1) / 2.5
        (losses.cross_entropy(OUTPUTS, Y, smoothing=0.3), 1.465250),  # targets .8 .1 .1 and .1 .1 .8
        (losses.cross_entropy(OUTPUTS, torch.tensor([[0.75, 0, 0.25], [0.25, 0, 0.75]]).double()), 1.612402),
        (losses.focal(OUTPUTS, Y, 2.0), 1.019190),  # -(.5^2 ln .5 + .9^2 ln .1) / 2
        (losses.focal(OUTPUTS, Y, 2.0, WEIGHT), 1.188371),  # -(.5^2 ln .5 + 1.5 .9^2 ln .1) / 2.5
        (losses.soft_ordinal(OUTPUTS, Y, math.log(2)), 1.339228),  # targets 4/7 2/7 1/7 and 1/7 2/7 4/7
        (losses.soft_ordinal(OUTPUTS, Y, 50.0), 1.497866),  # next to hard targets: the cross-entropy
        (losses.earth_mover(OUTPUTS, Y), 0.555),  # (.5^2 + .2^2 + .1^2 + .9^2) / 2
        (losses.earth_mover(OUTPUTS, Y, WEIGHT), 0.608),  # (.29 + 1.5 * .82) / 2.5
        (losses.earth_mover(OUTPUTS, torch.tensor([[0.75, 0, 0.25], [0.25, 0, 0.75]]).double()), 0.255),
        (losses.ordinal(torch.tensor([[0.9, 0.2], [0.4, 0.6]]).logit(), torch.tensor([1, 2])), 0.438905),
    ],
    ids=[
        *("cross-entropy", "class weight", "label smoothing", "mixed", "focal", "focal, class weight"),
        *("sord", "sord, sure", "emd", "emd, class weight", "emd, mixed", "ordinal"),
    ],
)
def test_losses_by_hand(loss, by_hand):
    assert float(loss) == pytest.approx(by_hand, abs=2e-6)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 9), n_classes=st.integers(2, 6), gamma=st.floats(0, 5))
def test_losses_equal_numpy(seed, rows, n_classes, gamma):
    rng = np.random.default_rng(seed)
    outputs, weight = 3 * rng.standard_normal((rows, n_classes)), rng.random(n_classes) + 0.1
    y = rng.integers(0, n_classes, rows)
    p, one_hot = softmax(outputs), np.eye(n_classes)[y]
    o, t, w = map(torch.from_numpy, (outputs, y, weight))

    smooth = 0.9 * one_hot + 0.1 / n_classes
    weighed = -(smooth * weight * np.log(p)).sum() / weight[y].sum()
    assert float(losses.cross_entropy(o, t, w, 0.1)) == pytest.approx(weighed)
    assert float(losses.cross_entropy(o, torch.from_numpy(one_hot), w, 0.1)) == pytest.approx(weighed)
    p_t = p[np.arange(rows), y]
    focal = -(weight[y] * (1 - p_t) ** gamma * np.log(p_t)).sum() / weight[y].sum()
    assert float(losses.focal(o, t, gamma, w)) == pytest.approx(focal)
    assert float(losses.focal(o, t, 0.0, w)) == pytest.approx(float(losses.cross_entropy(o, t, w)))
    distance = np.abs(np.arange(n_classes) - y[:, None])
    soft = np.exp(-gamma * distance) / np.exp(-gamma * distance).sum(axis=1, keepdims=True)
    by_row = -(soft * np.log(p)).sum(axis=1)
    assert float(losses.soft_ordinal(o, t, gamma)) == pytest.approx(by_row.mean())
    assert float(losses.soft_ordinal(o, t, gamma, w)) == pytest.approx(np.average(by_row, weights=weight[y]))
    moved = [sum((p[i, : k + 1].sum() - (y[i] <= k)) ** 2 for k in range(n_classes - 1)) for i in range(rows)]
    assert float(losses.earth_mover(o, t)) == pytest.approx(np.mean(moved), abs=1e-12)
    assert float(losses.earth_mover(o, t, w)) == pytest.approx(np.average(moved, weights=weight[y]), abs=1e-12)
    q = expit(outputs[:, 1:])
    above = y[:, None] > np.arange(n_classes - 1)
    binary = -np.where(above, np.log(q), np.log(1 - q)).mean()
    # In float32 a loss near 0 is known to about one part in ten million of 1, not of itself.
    assert float(losses.ordinal(o[:, 1:].float(), t)) == pytest.approx(binary, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("rows", [1, 37, 512])
def test_the_default_objective_is_the_cross_entropy_of_torch_to_the_byte(rows):
    outputs, y = torch.randn(rows, 6, generator=torch.manual_seed(0)), torch.arange(rows) % 6
    mine, torchs = (outputs.clone().requires_grad_() for _ in range(2))
    loss = Recipe("x").objective(y, 6, 0)(torch.nn.Identity(), mine, y)
    expected = torch.nn.functional.cross_entropy(torchs, y)
    loss.backward()
    expected.backward()
    assert torch.equal(loss, expected)
    assert torch.equal(mine.grad, torchs.grad)


@pytest.mark.parametrize(
    "loss",
    [
        lambda o: losses.soft_ordinal(o, Y, 0.7),
        lambda o: losses.soft_ordinal(o, Y, 2.0, WEIGHT),
        lambda o: losses.earth_mover(o, Y),
        lambda o: losses.earth_mover(o, Y, WEIGHT),
    ],
    ids=["sord", "sord, class weight", "emd", "emd, class weight"],
)
def test_slopes_of_ordered_losses_equal_differences(loss):
    outputs = OUTPUTS.clone().requires_grad_()
    loss(outputs).backward()
    step = 1e-6 * torch.eye(6).double().view(6, 2, 3)
    differences = [float(loss(OUTPUTS + one) - loss(OUTPUTS - one)) / 2e-6 for one in step]
    np.testing.assert_allclose(outputs.grad.flatten(), differences, atol=1e-8)


def test_the_best_answer_to_sord_is_its_target_and_to_emd_the_share_of_each_class():
    y = torch.tensor([0, 0, 0, 2])
    outputs = torch.zeros(3, requires_grad=True)
    for loss, expected in (
        (
            lambda z: losses.soft_ordinal(z.expand(4, 3), y, 1.0),
            np.array([3, 1]) @ softmax(np.array([[0.0, -1, -2], [-2, -1, 0]])),
        ),
        (lambda z: losses.earth_mover(z.expand(4, 3), y), np.array([3, 0, 1])),
    ):
        optimizer = torch.optim.LBFGS([outputs], lr=0.5, max_iter=400, tolerance_change=0, tolerance_grad=1e-9)
        outputs.data.zero_()

        def closure(loss=loss, optimizer=optimizer):
            optimizer.zero_grad()
            value = loss(outputs)
            value.backward()
            return value

        optimizer.step(closure)
        np.testing.assert_allclose(outputs.detach().softmax(dim=0), expected / 4, atol=5e-3)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_has_a_finite_slope_where_the_network_is_sure(gamma):
    outputs = torch.tensor([[200.0, 0.0], [-200.0, 0.0], [0.0, 0.0]], requires_grad=True)
    losses.focal(outputs, torch.zeros(3, dtype=torch.int64), gamma).backward()
    assert torch.isfinite(outputs.grad).all()
    assert outputs.grad[1].tolist() == pytest.approx([-1 / 3, 1 / 3])  # all but surely wrong: as the cross-entropy


def test_class_weights_are_inverse_frequencies_scaled_to_sum_c():
    weight = losses.class_weights(torch.tensor([0, 0, 0, 0, 1, 1, 2]), 3)
    np.testing.assert_allclose(weight, 3 / 7 * np.array([1, 2, 4]), rtol=1e-6)  # 1/4 : 1/2 : 1
    absent = losses.class_weights(torch.tensor([0, 0, 0, 0, 3, 3]), 5)
    np.testing.assert_allclose(absent, [5 / 3, 0, 0, 10 / 3, 0], rtol=1e-6)


def test_class_weights_of_the_record(scores):
    """Class 5 weighs 5.751 on the first 30,000 rows at 10 %, whose test rows the record counts by class."""
    y = scores["gpt_scores"].to_numpy()[:30_000]
    train = np.bincount(y, minlength=6) - [1701, 4848, 10204, 8622, 1612, 13]
    assert train.sum() == 3000
    weight = losses.class_weights(torch.from_numpy(np.repeat(np.arange(6), train)), 6)
    assert float(weight[5]) == pytest.approx(5.751, abs=5e-4)


class Recording(Recipe):
    """Notes what it is asked for; the network's loss is that of the recipe."""

    def objective(self, y, n_classes, seed):
        SEEN.append((y.tolist(), n_classes, seed))
        return super().objective(y, n_classes, seed)


SEEN = []


def test_class_weights_count_the_rows_trained_on_and_no_held_ones(overfitted):
    SEEN.clear()
    label(overfitted, Recording("x", epochs=1, validation=0.3, class_weight=True), torch.nn.Linear)
    assert len(SEEN) == 1
    assert SEEN[0] == (overfitted.y[~holdout(overfitted, 0.3)].tolist(), 3, overfitted.seed)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"class_weight": True}, losses.cross_entropy(OUTPUTS, Y, torch.tensor([0.5, 1.0, 1.5]).double())),
        ({"label_smoothing": 0.3}, losses.cross_entropy(OUTPUTS, Y, smoothing=0.3)),
        ({"loss": "focal"}, losses.focal(OUTPUTS, Y, 2.0)),
        ({"loss": "focal", "gamma": 0.5}, losses.focal(OUTPUTS, Y, 0.5)),
        ({"loss": "sord"}, losses.soft_ordinal(OUTPUTS, Y, 1.0)),
        ({"loss": "sord", "alpha": 0.5}, losses.soft_ordinal(OUTPUTS, Y, 0.5)),
        ({"loss": "emd"}, losses.earth_mover(OUTPUTS, Y)),
        (
            {"loss": "emd", "class_weight": True},
            losses.earth_mover(OUTPUTS, Y, torch.tensor([0.5, 1.0, 1.5]).double()),
        ),
        (
            {"loss": "focal", "class_weight": True},
            losses.focal(OUTPUTS, Y, 2.0, torch.tensor([0.5, 1.0, 1.5]).double()),
        ),
    ],
    ids=str,
)
def test_parameters_choose_the_loss(parameters, expected):
    trained_on = torch.tensor([0] * 6 + [1] * 3 + [2] * 2)  # weights as 1 : 2 : 3
    objective = Recipe("x", **parameters).objective(trained_on, 3, 0)
    assert float(objective(torch.nn.Identity(), OUTPUTS.float(), Y)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("more", [{}, {"class_weight": True}, {"label_smoothing": 0.2}], ids=str)
def test_mixup_mixes_rows_and_targets_alike(more):
    """Two batches: each has one share of its own, and a partner for every row."""
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((8, 3)), np.array([0, 1, 2, 0, 0, 1, 2, 2])
    weight = losses.class_weights(torch.from_numpy(y), 3).numpy() if "class_weight" in more else np.ones(3)
    objective = Recipe("x", mixup=0.4, **more).objective(torch.from_numpy(y), 3, 7)
    draws, shares = np.random.default_rng(7), []
    for _ in range(2):
        seen = []
        loss = objective(
            lambda inputs, seen=seen: seen.append(inputs) or inputs, torch.from_numpy(X), torch.from_numpy(y)
        )
        partner, share = draws.permutation(8), draws.beta(0.4, 0.4)
        mixed = share * X + (1 - share) * X[partner]
        np.testing.assert_allclose(seen[0], mixed)
        targets = share * np.eye(3)[y] + (1 - share) * np.eye(3)[y[partner]]
        smoothing = more.get("label_smoothing", 0)
        smooth = (1 - smoothing) * targets + smoothing / 3
        by_hand = -(smooth * weight * np.log(softmax(mixed))).sum() / (targets @ weight).sum()
        assert float(loss) == pytest.approx(by_hand, rel=1e-5)
        shares.append(share)
    assert shares[0] != shares[1]


def test_mix_by_hand():
    inputs, shares = losses.mix(torch.tensor([[4.0], [8.0]]), torch.eye(2), torch.tensor([1, 0]), 0.75)
    assert inputs.tolist() == [[5.0], [7.0]]
    assert shares.tolist() == [[0.75, 0.25], [0.25, 0.75]]


def test_ordinal_probabilities_by_hand():
    above = torch.tensor([[0.9, 0.2], [0.4, 0.6]])  # the second crosses: .6, -.2 and .6 before clamping
    proba = losses.ordinal_probabilities(above.logit())
    np.testing.assert_allclose(proba, [[0.1, 0.7, 0.2], [0.5, 0.0, 0.5]], atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=6))
def test_ordinal_probabilities_equal_numpy_and_never_divide_by_zero(logits):
    q = expit(np.array(logits, np.float64))
    differences = np.concatenate([[1.0], q]) - np.concatenate([q, [0.0]])
    expected = np.maximum(differences, 0) / np.maximum(differences, 0).sum()
    given_ = losses.ordinal_probabilities(torch.tensor([logits], dtype=torch.float32))
    np.testing.assert_allclose(given_[0], expected, atol=1e-6)


def test_six_classes_cannot_all_be_the_likeliest_until_the_thresholds_have_spread():
    score, start = torch.linspace(-20, 20, 4001)[:, None], torch.linspace(-2, 2, 5)
    likeliest = [set(losses.ordinal_probabilities(score - t).argmax(dim=1).tolist()) for t in (start, 3 * start)]
    assert likeliest == [{0, 2, 3, 5}, set(range(6))]


def rare(rows=900):
    """Two overlapping Gaussians, the second one row in twenty."""
    rng = np.random.default_rng(0)
    y = (rng.random(rows) < 0.05).astype(int)
    return rng.standard_normal((rows, 2)) + 1.5 * y[:, None], y


def test_class_weight_finds_more_of_a_rare_class():
    X, y = rare()
    task = task_of(X, y, n=600, n_classes=2)
    plain = Linear("x", epochs=30, batch=100, lr=0.02, validation=0, recipe="record")
    found = [
        (labeler.label(task).proba.argmax(axis=1)[y[600:] == 1] == 1).mean()
        for labeler in (plain, replace(plain, class_weight=True))
    ]
    assert found[0] < 0.4
    assert found[1] > 0.7


@pytest.mark.parametrize("parameters", [{"loss": "focal"}, {"label_smoothing": 0.2}, {"mixup": 1.0}], ids=str)
def test_softer_losses_are_less_sure(overfitted, parameters):
    plain = replace(LARGE, validation=0)
    sure, less_sure = (
        labeler.label(overfitted).proba.max(axis=1).mean() for labeler in (plain, replace(plain, **parameters))
    )
    assert less_sure < sure - 0.03


@pytest.mark.parametrize("loss", ["sord", "emd"])
@pytest.mark.parametrize("cls", [MLP, ResNet])
def test_ordered_losses_learn_the_order(cls, loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((900, 4))
    y = np.digitize(X @ [1, -1, 0.5, 0] + 0.3 * rng.standard_normal(900), [-1.5, -0.5, 0.5, 1.5])
    task = task_of(X, y, n=600, n_classes=5)
    proba = cls("x", hidden=32, epochs=25, batch=64, lr=5e-3, loss=loss).label(task).proba
    error = np.abs(proba.argmax(axis=1) - y[600:])
    assert error.mean() < 0.35
    assert (error > 1).mean() < 0.02


def test_ordinal_learns_the_order():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((900, 4))
    y = np.digitize(X @ [1, -1, 0.5, 0] + 0.3 * rng.standard_normal(900), [-1.5, -0.5, 0.5, 1.5])
    task = task_of(X, y, n=600, n_classes=5)
    proba = Ordinal("x", hidden=32, blocks=2, epochs=30, batch=64, lr=5e-3).label(task).proba
    error = np.abs(proba.argmax(axis=1) - y[600:])
    assert error.mean() < 0.35
    assert (error > 1).mean() < 0.02


def test_resnet_solves_what_a_linear_layer_cannot():
    X = np.random.default_rng(0).standard_normal((1000, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    task = task_of(X, y, n=600, n_classes=2)
    proba = ResNet("x", hidden=32, blocks=2, epochs=20, batch=64, lr=3e-3).label(task).proba
    assert (proba.argmax(axis=1) == y[600:]).mean() > 0.93


VARIANTS = [
    ResNet("embedding", hidden=8, blocks=2, epochs=2),
    ResNet(("text", "embedding"), hidden=8, blocks=1, epochs=2, loss="focal", class_weight=True),
    Ordinal("embedding", hidden=8, blocks=2, epochs=3),
    Ordinal("text", hidden=8, blocks=1, epochs=2, validation=0.0),
    Linear("embedding", epochs=2, class_weight=True, recipe="record"),
    Linear("embedding", epochs=2, loss="focal", gamma=0.5, recipe="record"),
    MLP("text", hidden=8, epochs=2, label_smoothing=0.1),
    MLP("text", hidden=8, epochs=3, choose="folds"),
    MLP("text", hidden=8, epochs=2, loss="sord", alpha=2.0),
    ResNet("text", hidden=8, blocks=1, epochs=2, loss="emd", mixup=0.2, class_weight=True),
    MLP("text", hidden=8, epochs=2, mixup=0.2, class_weight=True, label_smoothing=0.1, validation=0.0),
    *(MLP("text", hidden=8, epochs=2, precision=precision) for precision in ("float32", "bfloat16")),
    *(ResNet("text", hidden=8, blocks=1, epochs=2, precision=precision) for precision in ("float32", "bfloat16")),
]


@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize("labeler", VARIANTS, ids=repr)
def test_every_loss_keeps_the_promises_of_a_labeler(labeler, check):
    check(labeler)


@pytest.mark.parametrize("labeler", VARIANTS, ids=repr)
def test_every_variant_follows_the_seed(labeler, overfitted):
    first, again, other = (
        replace(labeler, on="x").label(replace(overfitted, seed=seed)).proba.tobytes() for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


# ---- conduct ------------------------------------------------------------------------------------------------------


def test_the_same_task_gives_the_same_bytes_and_another_seed_others(overfitted):
    labeler = replace(LARGE, epochs=4)
    first = labeler.label(overfitted)
    torch.rand(7)  # the caller's random state is not the labeler's
    second = labeler.label(overfitted)
    assert first.proba.tobytes() == second.proba.tobytes()
    assert first.facts == second.facts
    assert labeler.label(replace(overfitted, seed=4)).proba.tobytes() != first.proba.tobytes()


def test_random_state_and_threads_of_the_caller_stay(overfitted):
    torch.manual_seed(11)
    torch.set_num_threads(2)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads(), torch.is_grad_enabled()
    replace(LARGE, epochs=2).label(overfitted)
    after = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads(), torch.is_grad_enabled()
    assert torch.equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_a_seed_wider_than_torch_takes(overfitted):
    answer = replace(LARGE, epochs=1).label(replace(overfitted, seed=2**64 + 1))
    assert find_error(answer, 60, 3) is None


def test_rows_answered_in_several_chunks():
    X, y = blobs(rows=9000, d=3, n_classes=3, noise=0.0)
    task = task_of(X, y, n=300, n_classes=3)
    labeler = Linear("x", epochs=20, batch=50, lr=0.05, dropout=0, validation=0, recipe="record")
    answer = labeler.label(task).proba
    last = labeler.label(replace(task, to_label=task.to_label[-5:])).proba
    np.testing.assert_allclose(answer[-5:], last, atol=1e-6)
    assert answer.shape == (8700, 3)
    assert (answer.argmax(axis=1) == y[300:]).mean() > 0.9


def zero(d, n_classes):
    layer = torch.nn.Linear(d, n_classes)
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
    return layer


def test_the_seed_shuffles_the_batches(overfitted):
    recipe = Recipe("x", epochs=1, batch=20, validation=0)  # from zero weights only the order of the rows can differ
    first, again, other = (label(replace(overfitted, seed=seed), recipe, zero).proba for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-5


def test_equal_probabilities_go_to_the_lower_class():
    task = task_of(np.random.default_rng(0).standard_normal((50, 4)), np.arange(40) % 5, n=40, n_classes=5)
    recipe = Recipe("x", epochs=2, lr=1e-30, validation=0)  # too small a step to break the ties
    answer = label(task, recipe, zero)
    assert np.ptp(answer.proba) == 0
    assert not answer.checkpoints["epoch 2"].any()
    held = label(task, replace(recipe, validation=0.3), zero)
    assert held.facts["validation_accuracy"] == (task.y[holdout(task, 0.3)] == 0).mean() > 0
    assert held.facts["best_epoch"] == 1


@pytest.mark.parametrize(
    "labeler", [Linear("x", recipe="record"), MLP("x", hidden=8, mixup=1.0, class_weight=True), Ordinal("x", hidden=8)]
)
def test_a_single_labelled_row_leaves_nothing_to_validate(labeler):
    task = task_of(np.eye(3), np.array([2]), n=1, n_classes=4)
    answer = replace(labeler, epochs=3, batch=1, patience=1).label(task)
    assert find_error(answer, 2, 4) is None
    assert (answer.facts["epochs"], answer.facts["best_epoch"]) == (3, None)
    assert list(answer.checkpoints) == ["epoch 1", "epoch 2", "epoch 3"]


@settings(max_examples=25, deadline=None)
@given(
    labelled=st.lists(st.integers(0, 5), min_size=1, max_size=9),
    m=st.integers(1, 4),
    n_classes=st.integers(2, 5),
    constant=st.booleans(),
    batch=st.integers(1, 4),
    validation=st.sampled_from([0, 0.1, 0.5]),
    data=st.data(),
)
def test_odd_tasks_get_sound_answers(labelled, m, n_classes, constant, batch, validation, data):
    y_of = data.draw(st.lists(st.integers(0, n_classes - 1), min_size=6, max_size=6))
    X = np.ones((10, 3)) if constant else np.random.default_rng(len(labelled)).standard_normal((10, 3))
    blocks = {"x": Block(np.float32(X), "feature")}
    task = Task(blocks, np.array(labelled), np.array(y_of)[labelled], np.arange(6, 6 + m), n_classes, seed=1)
    small = {"hidden": 4, "blocks": 1}
    for labeler in (
        Linear("x", mixup=0.2, recipe="record"),
        MLP("x", hidden=4),
        ResNet("x", class_weight=True, **small),
        Ordinal("x", **small),
    ):
        answer = replace(labeler, epochs=2, batch=batch, validation=validation).label(task)
        assert isinstance(answer, Predictions)
        assert find_error(answer, m, n_classes) is None
        assert answer.proba.dtype == np.float32
        np.testing.assert_allclose(answer.proba.sum(axis=1), 1, atol=1e-6)
        validated = validation > 0 and len(set(labelled)) > 1
        assert (answer.facts["best_epoch"] is not None) == validated
        assert len(answer.checkpoints) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("epochs", -1),
        ("batch", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("weight_decay", -1e-4),
        ("weight_decay", float("inf")),
        ("validation", 0.51),
        ("validation", -0.1),
        ("patience", -1),
        ("hidden", 0),
        ("gamma", 3.0),
        ("alpha", 0.5),
        ("label_smoothing", 1.0),
        ("label_smoothing", -0.1),
        ("mixup", -0.2),
        ("mixup", float("inf")),
    ],
)
def test_a_value_out_of_range_is_named(field, value):
    with pytest.raises(ValueError, match=rf"^{field} must be .*, got {value}$"):
        MLP("x", **{field: value})


@pytest.mark.parametrize("network", [ResNet, Ordinal])
@pytest.mark.parametrize("field", ["hidden", "blocks"])
def test_a_residual_network_has_a_width_and_a_block(network, field):
    with pytest.raises(ValueError, match=rf"^{field} must be at least 1, got 0$"):
        network("x", **{field: 0})


@pytest.mark.parametrize(("field", "value"), [("gamma", -1.0), ("label_smoothing", 0.1), ("mixup", 0.2)])
def test_what_focal_cannot_mean_is_refused(field, value):
    with pytest.raises(ValueError, match=rf"^{field} must be .*, got {value}$"):
        MLP("x", loss="focal", **{field: value})


@pytest.mark.parametrize("loss", ["sord", "emd"])
def test_a_loss_of_distances_needs_an_order_and_takes_no_smoothing(loss):
    assert MLP("x", loss=loss).needs_order
    with pytest.raises(ValueError, match=rf"^label_smoothing must be 0 where loss is {loss}, got 0.1$"):
        MLP("x", loss=loss, label_smoothing=0.1)


def test_a_hard_loss_needs_no_order_and_alpha_is_that_of_sord():
    assert not any(ResNet("x", loss=loss).needs_order for loss in ("cross_entropy", "focal"))
    for alpha in (0.0, -1.0, float("inf")):
        with pytest.raises(ValueError, match=r"^alpha must be positive, got"):
            MLP("x", loss="sord", alpha=alpha)
    with pytest.raises(ValueError, match=r"^loss must be left out, or recipe be record"):
        Linear("x", loss="sord")


def test_ordinal_has_no_choice_of_losses():
    with pytest.raises(TypeError, match="label_smoothing"):
        Ordinal("x", label_smoothing=0.1)


def test_patience_needs_validation():
    with pytest.raises(ValueError, match=r"^patience must be 0 where validation is 0, got 5$"):
        Linear("x", validation=0, patience=5, recipe="record")


def test_the_edges_of_the_ranges_are_allowed():
    MLP("x", dropout=0, epochs=1, batch=1, weight_decay=0, validation=0.5, patience=1, hidden=1)
    ResNet("x", hidden=1, blocks=1, loss="focal", gamma=0, label_smoothing=0, mixup=0, class_weight=True)


def test_start_up_does_not_import_torch():
    code = "import sys, harness_plugins.networks.plugins; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

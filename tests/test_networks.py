"""The networks: their sizes, one trained by hand in NumPy, and how the epoch that answers is chosen."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from harness import Block, Predictions, Task, holdout
from harness.task import flaw
from harness_plugins.labelers.networks import MLP, Linear
from harness_plugins.labelers.training import Recipe, learn


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
    labeler = Linear("x", dropout=0, epochs=epochs, lr=0.05, weight_decay=0.3, validation=0)
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
    answer = Linear("x", dropout=0, epochs=60, batch=100, lr=0.02, weight_decay=0, validation=0).label(task)
    reference = LogisticRegression(C=1e6, max_iter=1000).fit(X[:1000], y[:1000]).predict_proba(X[1000:])
    np.testing.assert_allclose(answer.proba, reference, atol=0.03)
    accuracy = [(proba.argmax(axis=1) == y[1000:]).mean() for proba in (answer.proba, reference)]
    assert accuracy[0] == pytest.approx(accuracy[1], abs=0.01)
    assert accuracy[0] > 0.6


def test_hidden_layers_solve_what_a_linear_layer_cannot():
    X = np.random.default_rng(0).standard_normal((1000, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    task = task_of(X, y, n=600, n_classes=2)
    linear = Linear("x", epochs=30, batch=64, lr=0.01).label(task).proba
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

    learn(overfitted, Recipe("x", epochs=3, validation=0.2), Recording)
    held = int(holdout(overfitted, 0.2).sum())
    assert seen == [(True, 200 - held), (False, held)] * 3 + [(False, 60)]


# ---- which epoch answers ------------------------------------------------------------------------------------------

LARGE = MLP("x", hidden=64, epochs=40, batch=32, lr=3e-3, validation=0.25)


def without_held(task, to_label):
    """The same training rows with nothing left to hold out, so that every epoch can be looked at."""
    held = holdout(task, LARGE.validation)
    return replace(task, labelled=task.labelled[~held], y=task.y[~held], to_label=to_label)


def course(task):
    """Validation accuracy after each epoch (40,), recomputed from the checkpoints of an equal run."""
    held = holdout(task, LARGE.validation)
    run = replace(LARGE, validation=0).label(without_held(task, task.labelled[held]))
    return np.array([(run.checkpoints[f"epoch {e}"] == task.y[held]).mean() for e in range(1, 41)])


def test_the_first_epoch_of_the_best_validation_accuracy_answers(overfitted):
    accuracy = course(overfitted)
    best = int(accuracy.argmax()) + 1
    assert best < 40
    assert accuracy[-1] < accuracy.max()

    answer = LARGE.label(overfitted)
    assert answer.facts["epochs"] == 40
    assert answer.facts["best_epoch"] == best
    assert answer.facts["validation_accuracy"] == accuracy.max()
    assert answer.checkpoints == {}
    every = replace(LARGE, validation=0).label(without_held(overfitted, overfitted.to_label))
    np.testing.assert_array_equal(answer.proba.argmax(axis=1), every.checkpoints[f"epoch {best}"])
    assert (answer.proba.argmax(axis=1) != every.checkpoints["epoch 40"]).any()


@pytest.mark.parametrize("patience", [1, 5])
def test_patience_stops_early(overfitted, patience):
    accuracy = course(overfitted)
    best, last = 0, 0
    for last in range(40):
        if accuracy[last] > accuracy[best]:
            best = last
        if last - best == patience:
            break
    assert last < 39
    answer = replace(LARGE, patience=patience).label(overfitted)
    assert (answer.facts["epochs"], answer.facts["best_epoch"]) == (last + 1, best + 1)
    assert answer.facts["validation_accuracy"] == accuracy[best]


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
    assert flaw(answer, 60, 3) is None


def test_rows_answered_in_several_chunks():
    X, y = blobs(rows=9000, d=3, n_classes=3, noise=0.0)
    task = task_of(X, y, n=300, n_classes=3)
    labeler = Linear("x", epochs=20, batch=50, lr=0.05)
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
    first, again, other = (learn(replace(overfitted, seed=seed), recipe, zero).proba for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-5


def test_equal_probabilities_go_to_the_lower_class():
    task = task_of(np.random.default_rng(0).standard_normal((50, 4)), np.arange(40) % 5, n=40, n_classes=5)
    recipe = Recipe("x", epochs=2, lr=1e-30, validation=0)  # too small a step to break the ties
    answer = learn(task, recipe, zero)
    assert np.ptp(answer.proba) == 0
    assert not answer.checkpoints["epoch 2"].any()
    held = learn(task, replace(recipe, validation=0.3), zero)
    assert held.facts["validation_accuracy"] == (task.y[holdout(task, 0.3)] == 0).mean() > 0
    assert held.facts["best_epoch"] == 1


@pytest.mark.parametrize("labeler", [Linear("x"), MLP("x", hidden=8)])
def test_a_single_labelled_row_leaves_nothing_to_validate(labeler):
    task = task_of(np.eye(3), np.array([2]), n=1, n_classes=4)
    answer = replace(labeler, epochs=3, batch=1, patience=1).label(task)
    assert flaw(answer, 2, 4) is None
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
    for labeler in (Linear("x"), MLP("x", hidden=4)):
        answer = replace(labeler, epochs=2, batch=batch, validation=validation).label(task)
        assert isinstance(answer, Predictions)
        assert flaw(answer, m, n_classes) is None
        assert answer.proba.dtype == np.float32
        np.testing.assert_allclose(answer.proba.sum(axis=1), 1, atol=1e-6)
        validated = validation > 0 and len(set(labelled)) > 1
        assert (answer.facts["best_epoch"] is not None) == validated
        assert len(answer.checkpoints) == (0 if validated else 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("epochs", 0),
        ("batch", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("weight_decay", -1e-4),
        ("weight_decay", float("inf")),
        ("validation", 0.51),
        ("validation", -0.1),
        ("patience", -1),
        ("hidden", 0),
    ],
)
def test_a_value_out_of_range_is_named(field, value):
    with pytest.raises(ValueError, match=rf"^{field} must be .*, got {value}$"):
        MLP("x", **{field: value})


def test_patience_needs_validation():
    with pytest.raises(ValueError, match=r"^patience must be 0 where validation is 0, got 5$"):
        Linear("x", validation=0, patience=5)


def test_the_edges_of_the_ranges_are_allowed():
    MLP("x", dropout=0, epochs=1, batch=1, weight_decay=0, validation=0.5, patience=1, hidden=1)


def test_start_up_does_not_import_torch():
    code = "import sys, harness_plugins.labelers.networks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

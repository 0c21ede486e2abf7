"""TabM: its layers against NumPy, and against the authors' package where that is installed."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from torch.nn import functional

from harness import Block, Task
from harness_plugins.networks.batch_ensemble import PREDICTED_ROWS, TabMNetwork
from harness_plugins.networks.tabm import TabM

pytestmark = pytest.mark.slow

D, C, HIDDEN, K = 7, 3, 6, 4
ABSENT = "not installed: pip install --no-deps tabm rtdl_num_embeddings"
SIZE = {"hidden": 32, "k": 4, "epochs": 120}  # of the networks that are compared
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network(d=D, hidden=HIDDEN, k=K, dropout=0.0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TabMNetwork(d, C, hidden, blocks=2, k=k, dropout=dropout)


def stirred():
    """A network whose every parameter is a number of its own."""
    made = network()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return made


def inputs(rows=5):
    return torch.from_numpy(RNG.standard_normal((rows, D)).astype(np.float32))


def test_each_output_is_that_of_its_own_perceptron():
    made, X = stirred(), inputs()
    weights = {name: value.detach().double().numpy() for name, value in made.named_parameters()}
    outputs = made(X).detach().numpy()
    assert outputs.shape == (5, K, C)
    for i in range(K):
        x = X.double().numpy()
        for layer in ("members.0", "members.3"):
            W, r, s, b = (weights[f"{layer}.{name}"] for name in ("weight", "r", "s", "bias"))
            x = np.maximum(x @ (W * np.outer(s[i], r[i])).T + b[i], 0)
        expected = x @ weights["members.6.weight"][i] + weights["members.6.bias"][i]
        np.testing.assert_allclose(outputs[:, i], expected, rtol=1e-4, atol=1e-4)


def test_the_perceptrons_start_apart_by_the_signs_of_their_inputs_and_by_their_heads():
    first, second = (network().members[place] for place in (0, 3))
    assert set(first.r.detach().numpy().ravel()) == {-1, 1}
    for ones in (first.s, second.r, second.s):
        assert bool((ones == 1).all())
    for layer in (first, second):
        assert bool((layer.bias == layer.bias[0]).all())
    heads = network().members[6].weight
    assert not bool((heads[0] == heads[1]).any())


def test_many_rows_are_answered_in_parts_as_all_at_once():
    made, X = stirred().eval(), inputs(2 * PREDICTED_ROWS + 3)
    with torch.no_grad():
        np.testing.assert_allclose(made(X), made.members(X[:, None]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "emd"])
def test_what_is_minimised_is_the_mean_of_the_k_losses(loss):
    made, X, y = stirred(), inputs(), torch.tensor([0, 2, 1, 1, 2])
    labeler = TabM("x", k=K, loss=loss, class_weight=True)
    objective = labeler.objective(y, C, seed=0)
    one = super(TabM, labeler).objective(y, C, seed=0)
    losses = [one(lambda X, i=i: made(X)[:, i], X, y) for i in range(K)]
    torch.testing.assert_close(objective(made, X, y), torch.stack(losses).mean())


def test_the_mean_of_the_probabilities_answers():
    outputs = torch.randn(5, K, C, generator=torch.Generator().manual_seed(0))
    expected = np.mean([functional.softmax(outputs[:, i], dim=1).numpy() for i in range(K)], axis=0)
    np.testing.assert_allclose(TabM("x").probabilities(outputs), expected, atol=1e-6)


def test_values_without_a_meaning_are_refused():
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        TabM("x", k=0)
    with pytest.raises(ValueError, match="mixup must be 0"):
        TabM("x", mixup=0.2)


# ---- the authors' package -----------------------------------------------------------------------------------------


def published(d, hidden, k, blocks=2, dropout=0.0):
    package = pytest.importorskip("tabm", reason=ABSENT)
    return package.TabM.make(n_num_features=d, d_out=C, n_blocks=blocks, d_block=hidden, k=k, dropout=dropout)


def test_outputs_and_gradients_are_those_of_the_published_network():
    theirs, made, X = published(D, HIDDEN, K), stirred(), inputs()
    for own, other in zip(made.parameters(), theirs.parameters(), strict=True):
        assert own.shape == other.shape
        other.data.copy_(own.data)
    for net in (made, theirs):
        net(X).square().sum().backward()
    torch.testing.assert_close(made(X), theirs(X))
    for own, other in zip(made.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)


def published_accuracy(X, y, n, seed):
    """Train the published network by its published recipe: AdamW at a constant rate, clipped gradients."""
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    torch.manual_seed(seed)
    net = published(X.shape[1], SIZE["hidden"], SIZE["k"], blocks=3, dropout=0.1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=3e-4)
    for _ in range(SIZE["epochs"]):
        for batch in torch.randperm(n).split(256):
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(X[batch]).flatten(0, 1), y[batch].repeat_interleave(SIZE["k"]))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
    net.eval()
    with torch.no_grad():
        labels = net(X[n:]).softmax(dim=2).mean(dim=1).argmax(dim=1)
    return float((labels == y[n:]).float().mean())


def test_accuracy_is_that_of_the_published_network_and_recipe():
    """After as many epochs, means over two seeds are within noise, and far above the commonest class (a third)."""
    pytest.importorskip("tabm", reason=ABSENT)
    n, seeds = 400, (0, 1)
    X, y = make_classification(n + 2000, 12, n_informative=8, n_classes=C, n_clusters_per_class=1, random_state=0)
    X = np.float32((X - X[:n].mean(axis=0)) / X[:n].std(axis=0))
    own, theirs = [], []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            task = Task({"x": Block(X)}, np.arange(n), y[:n], np.arange(n, len(X)), C, seed=seed, checkpoints=False)
            labels = TabM("x", validation=0, patience=0, **SIZE).label(task).proba.argmax(axis=1)
            own.append(float((labels == y[n:]).mean()))
            theirs.append(published_accuracy(X, y, n, seed))
    assert min(own + theirs) > 0.8, (own, theirs)
    assert abs(np.mean(own) - np.mean(theirs)) < 0.015, (own, theirs)  # a training varies by half a point

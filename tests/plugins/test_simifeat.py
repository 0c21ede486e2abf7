"""simifeat: its transition matrix against HOC as published, its flags against a plain loop, chance and cleanlab."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from harness import Block, NotApplicable, Predictions, Task, out_of_fold
from harness.testing import labeler_checks, rule_checks
from harness.testing.examples import example
from harness_plugins.labelers.knn import KNN
from harness_plugins.networks.plugins import Linear
from harness_plugins.wrappers._transition import fit_transition
from harness_plugins.wrappers.cleanlab_filter import issues
from harness_plugins.wrappers.simifeat import SimiFeat, rank, votes

T = np.array([[0.8, 0.2, 0.0, 0.0], [0.1, 0.7, 0.2, 0.0], [0.0, 0.1, 0.75, 0.15], [0.05, 0.0, 0.25, 0.7]])
PRIOR = np.array([0.4, 0.3, 0.2, 0.1])


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Keeps:
    """Answers the first class, and keeps the tasks it was given."""

    name: ClassVar[str] = "keeps"
    tasks: list[Task]

    def label(self, task):
        self.tasks.append(task)
        return Predictions(np.eye(task.n_classes)[np.zeros(len(task.to_label), int)], {"n": len(task.y)})


def drawn(true, rng):
    """Draw a label for each true class by T."""
    return (rng.random(true.shape)[..., None] > T[true].cumsum(axis=-1)).sum(axis=-1).clip(0, 3)


def noisy(n=1_500, seed=0):
    """A task of clustered rows with labels drawn by T, the mask of wrong ones (n,) and the truth (N,)."""
    task, truth = example((), n, 300, 4, seed)
    y = drawn(truth[task.labelled], np.random.default_rng(seed))
    return replace(task, y=y, raters=None), y != truth[task.labelled], truth


def curated(task, **parameters):
    """Return the answer of a simifeat on the embedding, and what its base learned from."""
    tasks: list[Task] = []
    answer = SimiFeat(Keeps(tasks), **{"on": "embedding"} | parameters).label(task)
    return answer, tasks[-1]


def column(answer, name):
    table = answer.facts["tables"]["Label issues"]
    return [row[table["columns"].index(name)] for row in table["rows"]]


@pytest.mark.parametrize("check", [*labeler_checks, *rule_checks], ids=lambda check: check.__name__)
def test_keeps_the_promises_of_a_labeler(check):
    mends = SimiFeat(KNN("text"), "text", "relabel", cap=0.9, min_confidence=0.0)
    for labeler in (SimiFeat(KNN(on="embedding", k=5), "embedding"), mends):
        if check.__name__ in ("check_one_class", "check_one_labelled_row"):
            with pytest.raises(NotApplicable, match="two classes, on 3 rows"):
                check(labeler)
        else:
            check(labeler)


def hoc(labels, n_classes):
    """Fit T and the prior as published: Adam on the summed distances of the consensus of order 1 to 3."""
    c3 = torch.zeros((n_classes,) * 3, dtype=torch.float64)
    for i, j, k in labels.tolist():
        c3[i, j, k] += 1 / len(labels)
    c1, c2 = c3.sum((1, 2)), c3.sum(2)
    logits = (5 * torch.eye(n_classes, dtype=torch.float64) - 1).requires_grad_()
    prior_logits = torch.zeros(n_classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits, prior_logits], lr=0.1)
    for step in range(600):
        if step == 450:
            optimizer.param_groups[0]["lr"] = 0.005
        M, p = logits.softmax(1), prior_logits.softmax(0)
        m2 = torch.einsum("y,yi,yj->ij", p, M, M)
        m3 = torch.einsum("y,yi,yj,yk->ijk", p, M, M, M)
        loss = (p @ M - c1).norm() + (m2 - c2).norm() + (m3 - c3).norm()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits.softmax(1).detach().numpy(), prior_logits.softmax(0).detach().numpy()


def log_likelihood(labels, M, p):
    shares = np.einsum("y,yi,yj,yk->ijk", p, M, M, M)
    return np.log(shares[tuple(labels.T)]).sum()


def test_the_transition_matrix_is_the_planted_one_and_that_of_hoc():
    rng = np.random.default_rng(0)
    true = rng.choice(4, 6_000, p=PRIOR)
    labels = drawn(np.stack([true] * 3, axis=1), rng)
    fitted = fit_transition(labels, 4)
    assert fitted.settled
    np.testing.assert_allclose(fitted.T, T, atol=0.05)
    np.testing.assert_allclose(fitted.prior, PRIOR, atol=0.03)
    M, p = hoc(labels, 4)
    np.testing.assert_allclose(fitted.T, M, atol=0.05)
    np.testing.assert_allclose(fitted.prior, p, atol=0.03)
    assert log_likelihood(labels, fitted.T, fitted.prior) > log_likelihood(labels, M, p)
    np.testing.assert_allclose(fitted.T.sum(axis=1), 1)
    wrong = (labels[:, 0] != true).mean()
    assert fitted.noise_rate == pytest.approx(wrong, abs=0.02)
    by_class = [(true[labels[:, 0] == c] != c).mean() for c in range(4)]
    np.testing.assert_allclose(fitted.error_rates, by_class, atol=0.06)


def test_neighbours_count_in_any_order():
    rng = np.random.default_rng(1)
    labels = drawn(np.stack([rng.choice(4, 500, p=PRIOR)] * 3, axis=1), rng)
    one, other = fit_transition(labels, 4), fit_transition(labels[:, [0, 2, 1]], 4)
    np.testing.assert_array_equal(one.T, other.T)
    turned = fit_transition(3 - labels, 4)  # the names of the classes do not matter
    np.testing.assert_allclose(turned.T, one.T[::-1, ::-1], atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_matrix_is_found_among_rows_that_lie_in_clusters(seed):
    task, wrong, _ = noisy(4_000, seed)
    table = curated(task)[0].facts["tables"]["Noise transition"]
    assert [row[0] for row in table["rows"]] == ["true 0", "true 1", "true 2", "true 3"]
    numbers = np.array([row[1:] for row in table["rows"]])
    np.testing.assert_allclose(numbers[:, :4], T, atol=0.1)
    assert np.abs(numbers[:, :4] - T).mean() < 0.025
    assert curated(task)[0].facts["noise_rate"] == pytest.approx(wrong.mean(), abs=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_planted_noise_is_found_as_well_as_by_cleanlab(seed):
    task, wrong, _ = noisy(seed=seed)
    _, learned = curated(task)
    flagged = ~np.isin(task.labelled, learned.labelled)
    proba = out_of_fold(KNN(on="embedding", k=10), task, 5)
    by_cleanlab = issues(task.y, proba, "prune_by_noise_rate")
    precision, recall = wrong[flagged].mean(), flagged[wrong].mean()
    assert precision > wrong.mean() + 0.4  # chance is the share of wrong labels
    assert recall > flagged.mean() + 0.4  # chance is the share of flags
    assert precision > wrong[by_cleanlab].mean() - 0.05
    assert recall > by_cleanlab[wrong].mean() - 0.05


@pytest.mark.parametrize("do", ["remove", "relabel"])
def test_curation_helps_where_a_quarter_of_the_labels_is_wrong(do):
    task, _, truth = noisy(600)
    base = KNN(on="text", k=3)
    plain, clean = base.label(task).proba, SimiFeat(base, "embedding", do).label(task).proba
    accuracy, before = ((proba.argmax(axis=1) == truth[task.to_label]).mean() for proba in (clean, plain))
    assert accuracy > before + 0.02


def flags_by_a_loop(X, y, k, cap, n_classes):
    """Flag as described, a row at a time; T is that of `fit_transition`."""
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    triples, agreement, opposed, sure = [], [], [], []
    for i in range(len(y)):
        similarity = unit @ unit[i]
        nearest = [j for j in np.lexsort((np.arange(len(y)), -similarity)) if j != i][:k]
        triples.append([y[i], y[nearest[0]], y[nearest[1]]])
        count = [sum(max(similarity[j], 0) for j in nearest if y[j] == c) for c in range(n_classes)]
        opposed.append(max(count) > count[y[i]])
        sure.append((int(np.argmax(count)), max(count) / sum(count)))
        count[y[i]] += 2 * max(similarity[nearest[0]], 0) - max(similarity[nearest[1]], 0)
        agreement.append(count[y[i]] / np.sqrt(sum(v * v for v in count)))
    fitted = fit_transition(np.array(triples), n_classes)
    joint = fitted.prior[:, None] * fitted.T
    flags = set()
    for c in range(n_classes):
        members = sorted((agreement[i], i) for i in range(len(y)) if y[i] == c)
        share = min(1 - joint[c, c] / joint[:, c].sum(), cap)
        flags |= {i for _, i in members[: int(share * len(members))] if opposed[i]}
    return np.isin(np.arange(len(y)), list(flags)), sure


@pytest.mark.parametrize(("k", "cap"), [(10, 0.5), (3, 0.9), (25, 0.1)])
def test_flags_are_those_of_a_plain_loop(k, cap):
    task, _, _ = noisy(250)
    order = np.argsort(task.labelled)  # ties go to the lower row number
    X, y = task.matrix("embedding")[0][order], task.y[order]
    expected, sure = flags_by_a_loop(X, y, k, cap, 4)
    assert 5 < expected.sum() < 125
    answer, learned = curated(task, k=k, cap=cap)
    np.testing.assert_array_equal(~np.isin(task.labelled[order], learned.labelled), expected)
    assert column(answer, "Flagged") == [*np.bincount(y[expected], minlength=4), expected.sum()]
    assert (answer.facts["issues"], answer.facts["n_train_clean"]) == (expected.sum(), 250 - expected.sum())
    assert answer.facts["base"] == {"n": 250 - expected.sum()}
    _, learned = curated(task, k=k, cap=cap, do="relabel", min_confidence=0.6)
    mended = [s[0] if flag and s[1] >= 0.6 else c for c, flag, s in zip(y, expected, sure, strict=True)]
    np.testing.assert_array_equal(learned.y[order], mended)
    assert (np.array(mended) != y).sum() < expected.sum()  # the threshold holds some of them back


def test_flagging_alone_changes_nothing():
    task, _, _ = noisy(300)
    base = KNN(on="embedding")
    answer, learned = curated(task, do="flag")
    np.testing.assert_array_equal(learned.y, task.y)
    np.testing.assert_array_equal(learned.labelled, task.labelled)
    assert answer.facts["issues"] > 20
    assert answer.facts["relabelled"] == 0
    flagged = SimiFeat(base, "embedding", "flag")
    np.testing.assert_array_equal(flagged.label(task).proba, base.label(task).proba)
    assert flagged.needs() == base.needs() == [("embedding", 50)]
    assert SimiFeat(base, "embedding").needs() == []  # it learns from other rows than the task's


def test_a_class_keeps_what_the_cap_leaves_and_what_its_neighbours_support():
    given = np.array([0, 0, 0, 0, 1, 1])
    others = np.array([[0.0, 3], [1, 2], [2, 1], [3, 0], [3, 0], [2.9, 0]])
    own = np.ones(6)
    assert np.flatnonzero(rank(given, own, others, np.array([0.99, 0.99]))).tolist() == [0, 1, 4]
    assert np.flatnonzero(rank(given, own, others, np.array([0.49, 0.0]))).tolist() == [0]
    assert not rank(given, own, np.zeros((6, 2)), np.array([0.99, 0.99])).any()  # nobody votes


def test_opposite_rows_have_no_vote():
    weight, others = votes(np.array([0, 1]), np.array([[0.8, 0.5, -0.3]] * 2), np.array([[1, 1, 0]] * 2), 2)
    np.testing.assert_allclose(weight, 1.1)
    np.testing.assert_allclose(others, [[0, 1.3]] * 2)


def test_repeated_rows_vote_once():
    task, _, _ = noisy(300)
    again = np.concatenate([np.arange(300), [5] * 40])
    repeated = replace(task, labelled=task.labelled[again], y=task.y[again])
    once, twice = curated(task)[1], curated(repeated)[1]
    assert set(once.labelled) == set(twice.labelled)
    assert (twice.labelled == task.labelled[5]).sum() in (0, 41)


def test_absent_classes_are_left_out():
    task, _, _ = noisy(400)
    answer, _ = curated(replace(task, y=np.array([0, 2, 3, 5])[task.y], n_classes=7))
    plain, _ = curated(task)
    table = answer.facts["tables"]["Noise transition"]
    assert table["columns"] == ["True class", "Given 0", "Given 2", "Given 3", "Given 5", "Share"]
    assert [row[1:] for row in table["rows"]] == [row[1:] for row in plain.facts["tables"]["Noise transition"]["rows"]]
    assert column(answer, "Labels")[1] == 0


@pytest.mark.parametrize("y", [[1, 1, 1, 1], [0, 1]], ids=["one class", "two rows"])
def test_too_little_to_compare_does_not_apply(y):
    task = Task({"x": Block(np.eye(5, dtype=np.float32))}, np.arange(len(y)), y, [4], 2)
    with pytest.raises(NotApplicable, match="two classes, on 3 rows"):
        SimiFeat(Linear(on="x"), "x").label(task)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k": 1}, "k must be at least 2, got 1"),
        ({"cap": 1.0}, r"cap must be in \(0, 1\), got 1.0"),
        ({"min_confidence": 1.5}, r"min_confidence must be in \[0, 1\], got 1.5"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any], message):
    with pytest.raises(ValueError, match=message):
        SimiFeat(KNN(on="x"), "x", **parameters)

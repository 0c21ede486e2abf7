"""Verdicts: bundled labelers are clean, planted leaks are found.

Each leak is found for the right reason.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from harness.audit import probe
from harness.audit.probe import AGAIN, BASE, HALF, QUESTIONS, ROW, SHUFFLES, ProbeAnswer, make_bench, subsample
from harness.audit.verdict import beats_chance, beats_majority, changed_rows, judge_labeler
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.errors import NotApplicable
from harness.plugin.block import Block
from harness.plugin.protocols import Split, block_names
from harness.plugin.raters import RaterLabels
from harness.plugin.task import Predictions
from harness.testing.examples import example
from harness_plugins.labelers.majority_vote import MajorityVote
from tests.testing.test_labelers import LABELERS, Honest, centroids

NEED_RATERS = ("majority_vote", "dawid_skene", "glad", "crowdlab")
TRUTH: list[Any] = []  # what a module could have read from a file: the label of every row


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    """A function that makes the bench and the hidden labels for a labeler.

    It has 240 rows to learn from and 240 to label.
    """

    def make(labeler):
        folder = tmp_path_factory.mktemp("bench")
        task, truth = example(block_names(labeler), 240, 240, 6, 0)
        rng = np.random.default_rng(0)
        truth = np.where(rng.random(len(truth)) < 0.4, rng.permutation(truth), truth)  # so that blocks explain less
        columns = {"a": truth, "b": np.clip(truth + rng.integers(-1, 2, len(truth)), 0, 5)}
        data = Data("data.parquet", "a", 6, raters=("a", "b"))
        dataset = load_dataset(data, Population(), _table(columns, folder))
        if labeler.name in NEED_RATERS:
            dataset = with_raters(dataset)
        split = Split(np.sort(task.labelled), np.sort(task.to_label), np.empty(0, np.int64), 0)
        split = subsample(split, np.sort(task.spare), None, None)
        TRUTH[:] = [truth]
        return make_bench(dataset, split, task.blocks, folder), truth[split.test]

    return make


def with_raters(dataset):
    """Return the dataset with four raters on all rows, each mostly right."""
    rng, N = np.random.default_rng(0), len(dataset)
    rows, raters = np.nonzero(rng.random((N, 4)) < 0.8)
    of_row = np.zeros(N, np.int64)
    of_row[dataset.labelled] = dataset.y
    labels = np.where(rng.random(len(rows)) < 0.8, of_row[rows], rng.integers(0, 6, len(rows)))
    return replace(dataset, rater_labels=RaterLabels(rows, raters, labels, N, 4), raters_on_all=True)


def _table(columns, folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from harness.data.table import open_table

    pq.write_table(pa.table(columns), folder / "data.parquet")
    return open_table("data.parquet", (folder,), folder / "cache", "error", None)


def judge(labeler, benches):
    """Put every question to a labeler as the audit does, without its workers."""
    bench, truth = benches(labeler)
    names = block_names(labeler) or tuple(bench.blocks[BASE])
    answers = {question: answer(labeler, bench.task(question, names)) for question in QUESTIONS}
    if answers[BASE].digest != answers["permuted"].digest:
        answers[AGAIN] = answer(labeler, bench.task(AGAIN, names))
    if beats_majority(answers["shuffled 1"], truth):
        more = [f"shuffled {number}" for number in range(2, SHUFFLES + 1)]
        answers |= {question: answer(labeler, bench.task(question, names)) for question in more}
    return judge_labeler(labeler, answers, truth)


def answer(labeler, task):
    try:
        predictions = labeler.label(task)
    except NotApplicable as reason:
        return ProbeAnswer("not applicable", str(reason))
    predictions = predictions if isinstance(predictions, Predictions) else Predictions(predictions)
    parts = [predictions.proba, *predictions.checkpoints.values(), *predictions.rows.values()]
    digest = "".join(part.tobytes().hex() for part in parts)
    return ProbeAnswer("ok", "", predictions.proba.astype(np.float32), digest)


@pytest.mark.slow
@pytest.mark.parametrize("labeler", LABELERS, ids=repr)
def test_no_bundled_labeler_is_flagged(labeler, benches):
    finding = judge(labeler, benches)
    others = ("label_spreading", "graph_propagation", "self_training")
    transductive = labeler.name in {*others, *NEED_RATERS} - {"majority_vote"}
    assert finding.judgement == ("transductive" if transductive else "clean"), finding.reasons
    assert finding.by_threads == 0


def leak(name):
    """Make a leaking labeler from a function of (task, X, X_pool).

    It returns (X, X_pool) or probabilities.
    """

    def decorate(spoil: Callable[..., Any]) -> Any:
        @dataclass(frozen=True)
        class Planted(Honest):
            def label(self, task):
                spoilt = spoil(task, *task.matrix(self.on))
                return spoilt if isinstance(spoilt, np.ndarray) else centroids(*spoilt, task.y, task.n_classes)

        Planted.name = name
        Planted.__name__ = name
        return Planted

    return decorate


@leak("scaler_on_all_rows")
def scaler(task, X, X_pool):
    both = np.concatenate([X, X_pool])
    mean, sd = both.mean(axis=0), both.std(axis=0) + 1e-9
    return (X - mean) / sd, (X_pool - mean) / sd


@leak("pca_on_all_rows")
def pca(task, X, X_pool):
    all_rows = np.asarray(task.blocks["text"].array, np.float64)
    centre = all_rows.mean(axis=0)
    axes = np.linalg.svd(all_rows - centre, full_matrices=False)[2][:3].T
    return tuple((all_rows[rows] - centre) @ axes for rows in (task.labelled, task.to_label))


@leak("median_of_the_test_rows")
def median(task, X, X_pool):
    middle = np.median(np.abs(X_pool), axis=0) + 1e-6  # one wild row hardly changes it
    return X / middle, X_pool / middle


@leak("prior_of_its_own_answers")
def prior(task, X, X_pool):
    proba = centroids(X, X_pool, task.y, task.n_classes)
    proba = proba / (proba.mean(axis=0) + 1e-9)
    return proba / proba.sum(axis=1, keepdims=True)


@leak("reads_the_labels")
def reader(task, X, X_pool):
    return np.eye(task.n_classes)[TRUTH[0][task.to_label]]


@leak("reads_a_third_of_the_labels")
def peeker(task, X, X_pool):
    proba = centroids(X, X_pool, task.y, task.n_classes)
    third = task.to_label % 3 == 0
    proba[third] = np.eye(task.n_classes)[TRUTH[0][task.to_label[third]]]
    return proba


@leak("learns_from_hidden_labels")
def learner(task, X, X_pool):
    return centroids(X_pool, X_pool, TRUTH[0][task.to_label], task.n_classes)


@pytest.mark.parametrize("planted", [scaler, pca, median, prior], ids=lambda planted: planted.name)
def test_what_is_fitted_on_test_rows_is_a_leak_unless_it_is_declared(planted, benches):
    finding = judge(planted(), benches)
    assert finding.judgement == "leak"
    assert finding.reasons[0].startswith("fitted on rows it must only label")
    assert max(finding.by_row, finding.by_half) > 0.2

    declared = type("Declared", (planted,), {"transductive": True})
    finding = judge(declared(), benches)
    assert finding.judgement == "transductive"
    assert finding.reasons[0].startswith("declares that the rows to label influence each other: ")


@pytest.mark.parametrize("planted", [reader, peeker, learner], ids=lambda planted: planted.name)
def test_what_knows_hidden_labels_beats_the_commonest_class_on_shuffled_ones(planted, benches):
    finding = judge(planted(), benches)
    assert finding.judgement == "leak"
    assert "knows hidden labels" in finding.reasons[0]
    assert finding.shuffled > finding.chance


def test_the_honest_one_that_all_of_them_disfigure_is_clean(benches):
    finding = judge(Honest(), benches)
    assert (finding.judgement, finding.reasons) == ("clean", ())
    assert finding.accuracy > finding.chance > finding.shuffled
    assert finding.by_row == finding.by_half == finding.by_seed == 0


def test_chance_that_is_not_drawn_from_the_seed_is_a_warning(benches):
    drawn = iter(range(100))

    @leak("unsteady")
    def unsteady(task, X, X_pool):
        return np.random.default_rng(next(drawn)).dirichlet(np.ones(6), len(X_pool))

    declared = type("Declared", (unsteady,), {"transductive": True})
    finding = judge(declared(), benches)
    assert finding.judgement == "warning"
    assert finding.reasons[0].startswith("the same task got another answer the second time (100.0% of the rows)")


@dataclass(frozen=True)
class Seeded:
    name: ClassVar[str] = "seeded"

    def label(self, task):
        return np.random.default_rng(task.seed).dirichlet(np.ones(task.n_classes), len(task.to_label))


def test_what_a_seed_changes_is_counted_and_chance_by_place_is_a_warning(benches):
    finding = judge(Seeded(), benches)
    assert finding.judgement == "warning"
    assert finding.reasons[0].endswith("changed places: its chance is drawn by place, not by content")
    assert 0.7 < finding.by_seed < 0.95  # 5 in 6


def test_the_questions_change_what_they_name_and_nothing_else(benches):
    bench, _ = benches(Honest())
    names = ("text", "embedding")
    base, row, half = (bench.task(question, names) for question in (BASE, ROW, HALF))
    for name in names:
        X, changed = base.blocks[name].array, row.blocks[name].array
        assert (changed[base.to_label[0]] == 1e6).all()
        others = np.setdiff1d(np.concatenate([base.labelled, base.to_label[1:], base.spare]), base.to_label[:1])
        np.testing.assert_array_equal(changed[others], X[others])
        moved_rows = np.concatenate([base.to_label[120:], base.spare])
        np.testing.assert_allclose(half.blocks[name].array[moved_rows], 3 * X[moved_rows][:, ::-1] + 5, rtol=1e-6)
        unchanged = np.concatenate([base.labelled, base.to_label[:120]])
        np.testing.assert_array_equal(half.blocks[name].array[unchanged], X[unchanged])
    shuffled, permuted = bench.task("shuffled 2", names), bench.task("permuted", names)
    assert (shuffled.y != base.y).any()
    np.testing.assert_array_equal(np.sort(shuffled.y), np.sort(base.y))
    np.testing.assert_array_equal(shuffled.raters[:, 0], shuffled.y)
    np.testing.assert_array_equal(permuted.y, base.y)
    np.testing.assert_array_equal(permuted.raters, base.raters)
    assert permuted.seed == base.seed != bench.task("seed", names).seed


def test_raters_on_all_rows_move_with_their_rows_and_are_no_leak(benches):
    bench, truth = benches(MajorityVote())
    base, moved, shuffled, permuted = (bench.task(q, ()) for q in (BASE, "places", "shuffled 1", "permuted"))
    table = base.rater_labels.table()
    places, contents = bench.exchanged_rows
    np.testing.assert_array_equal(moved.rater_labels.table()[places], table[contents])
    np.testing.assert_array_equal(permuted.rater_labels.table(), table)
    right = [np.mean(MajorityVote().label(task).argmax(axis=1) == truth) for task in (base, shuffled)]
    assert right[0] > 0.7
    assert right[1] < 0.35


def test_zeros_and_ones_stay_zeros_and_ones(benches):
    from harness_plugins.labelers.table_prior import TablePrior

    bench, _ = benches(TablePrior(on=("source",)))
    base, row, half = (bench.task(question, ("source",)) for question in (BASE, ROW, HALF))
    used = np.concatenate([base.labelled, base.to_label, base.spare])
    for changed in (row, half):
        values = changed.blocks["source"].array[used]
        np.testing.assert_array_equal(values.sum(axis=1), 1)
    assert (row.blocks["source"].array[base.to_label[0]] != base.blocks["source"].array[base.to_label[0]]).any()


@pytest.mark.parametrize("categories", [False, True])
@pytest.mark.parametrize("kind", [ROW, HALF])
def test_a_changed_block_is_the_same_written_in_parts(tmp_path, monkeypatch, kind, categories):
    rng = np.random.default_rng(0)
    array = rng.normal(size=(50, 4)).astype(np.float32)
    if categories:
        array = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 50)]
        array[:20] = array[0]  # the first row that differs lies in a later part
    block = Block(array, "features", ("a", "b", "c", "d"))
    split = Split(np.arange(0, 30), np.arange(30, 45), np.arange(45, 48), seed=1)
    written = []
    for batch_size in (4_096, 4):
        folder = tmp_path / str(batch_size)
        folder.mkdir()
        monkeypatch.setattr(probe, "ROWS_PER_BATCH", batch_size)
        written.append(np.array(probe.make_bench(None, split, {"b": block}, folder).blocks[kind]["b"].array))
    np.testing.assert_array_equal(*written)
    changed = np.r_[30] if kind == ROW else np.r_[37:45, 45:48]
    unchanged = np.setdiff1d(np.arange(48), changed)
    np.testing.assert_array_equal(written[0][unchanged], array[unchanged])
    assert (written[0][48:] == 0).all(), "rows of no question are not written"
    if categories and kind == HALF:
        np.testing.assert_array_equal(written[0][changed], array[changed[::-1]])
    elif not categories:
        expected = np.full((1, 4), 1e6) if kind == ROW else 3 * array[changed][:, ::-1] + 5
        np.testing.assert_array_equal(written[0][changed], expected)


def test_subsampling_draws_rows_of_each_side_and_keeps_their_order():
    split = Split(np.arange(0, 5000, 2), np.arange(1, 5000, 2), np.empty(0, np.int64), 7)
    small = subsample(split, np.arange(5000, 6000))
    assert (len(small.train), len(small.test), len(small.spare), small.seed) == (600, 1000, 200, 7)
    for sample, rows in ((small.train, split.train), (small.test, split.test)):
        assert np.isin(sample, rows).all()
        assert (np.diff(sample) > 0).all()
        assert sample[-1] > 4500, "from everywhere, not from the beginning"


def test_beating_chance_is_the_tail_of_the_binomial():
    # Of 10 rows with chance 1/2: P(10 right) = 1/1024, P(9 or more) = 11/1024.
    assert beats_chance(10, 10, 0.5)
    assert not beats_chance(9, 10, 0.5)


def test_a_row_has_moved_when_its_label_or_a_probability_is_another():
    base = ProbeAnswer("ok", "", np.array([[0.5, 0.5], [0.2, 0.8], [0.6, 0.4]], np.float32))
    other = ProbeAnswer("ok", "", np.array([[0.49999, 0.50001], [0.20001, 0.79999], [0.61, 0.39]], np.float32))
    assert changed_rows(base, other).tolist() == [True, False, True]
    assert changed_rows(base, None).tolist() == []

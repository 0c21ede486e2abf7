"""The checks of labelers, on the bundled ones and on mutants.

Each mutant breaks one promise.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from harness import NotApplicable, On, Predictions, Task
from harness.plugin.protocols import block_names
from harness.suite.catalog import discover
from harness.testing import check_labeler, example_task, labeler_checks
from harness_plugins.labelers.dawid_skene import DawidSkene
from harness_plugins.labelers.gbm import GBM
from harness_plugins.labelers.glad import GLAD
from harness_plugins.labelers.graph_propagation import GraphPropagation
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.label_spreading import LabelSpreading
from harness_plugins.labelers.majority import Majority, Prior
from harness_plugins.labelers.majority_vote import MajorityVote
from harness_plugins.labelers.sklearn_model import SklearnModel
from harness_plugins.labelers.table_prior import SourcePrior, TablePrior
from harness_plugins.labelers.trees import ExtraTrees, Forest, HistGBM
from harness_plugins.networks.plugins import MLP, Linear, Ordinal, ResNet
from harness_plugins.networks.tabm import TabM
from harness_plugins.wrappers.balanced import Balanced
from harness_plugins.wrappers.calibrated import Calibrated
from harness_plugins.wrappers.cleanlab_filter import Cleanlab
from harness_plugins.wrappers.crowdlab import Crowdlab
from harness_plugins.wrappers.decide import Decide
from harness_plugins.wrappers.ensemble import Ensemble
from harness_plugins.wrappers.greedy_ensemble import GreedyEnsemble
from harness_plugins.wrappers.label_fusion import LabelFusion
from harness_plugins.wrappers.oversample import Oversample
from harness_plugins.wrappers.rescaled import Rescaled
from harness_plugins.wrappers.seeds import Seeds
from harness_plugins.wrappers.self_training import SelfTraining
from harness_plugins.wrappers.simifeat import SimiFeat

LABELERS = [
    Majority(),
    Prior(),
    SourcePrior(),
    TablePrior(on=("source", "raters")),
    KNN(on="embedding"),
    KNN(on=("text", "bge"), k=5, weights="power", prior_calibration=True),
    KNN(on="text", mode="regression", sim_threshold=0.5),
    Linear(on="embedding", epochs=3, recipe="record"),
    MLP(on=("text", "embedding"), hidden=16, epochs=3, patience=1),
    MLP(on="text", hidden=16, epochs=2, validation=0.0),
    Rescaled(base=KNN(on=("embedding", "text"), k=5), on="embedding", how="whiten", dims=4),
    Rescaled(base=Linear(on="text", epochs=2, recipe="record"), on="text", how="center", factor=0.5),
    ResNet(on="embedding", hidden=16, blocks=2, epochs=2),
    MLP(on="text", hidden=16, epochs=2, mixup=0.2, class_weight=True, label_smoothing=0.1),
    Linear(on="embedding", epochs=2, loss="focal", recipe="record"),
    Ordinal(on=("text", "embedding"), hidden=16, blocks=2, epochs=2),
    TabM(on=("text", "embedding"), hidden=8, k=3, blocks=2, epochs=2),
    GBM(on="embedding", rounds=20),
    GBM(on=("text", "embedding"), rounds=12, min_child=2, validation=0.0),
    Forest(on="embedding", n_estimators=5),
    ExtraTrees(on=("text", "embedding"), n_estimators=5, class_weight=True),
    HistGBM(on="text", max_iter=4),
    SklearnModel(on="embedding", model="sklearn.linear_model.LogisticRegression", parameters={"max_iter": 500}),
    SklearnModel(on=("text", "bge"), model="sklearn.tree.DecisionTreeClassifier", parameters={"max_depth": 3}),
    Oversample(KNN(on="embedding")),
    Balanced(KNN(on="embedding"), per_class=8),
    LabelFusion(KNN(on="embedding"), "consensus"),
    Ensemble((Oversample(Linear(on="text", epochs=2, recipe="record")), KNN(on="embedding")), choose="validation"),
    Ensemble((KNN(on="embedding"), KNN(on="text"), Prior()), (2.0, 1.0, 1.0)),
    GreedyEnsemble((KNN(on="embedding"), KNN(on="text"), Prior()), "macro_f1", rounds=5, folds=2),
    Calibrated(KNN(on="embedding"), folds=3),
    Decide(KNN(on="embedding"), rule="median"),
    Decide(KNN(on="text"), prior="macro_f1", folds=2),
    Seeds(MLP(on="text", hidden=4, epochs=1), n=2),
    MajorityVote(),
    DawidSkene(),
    DawidSkene(gold="evidence", band=1),
    DawidSkene(gold="ignore", smoothing=0.0),
    GLAD(),
    Crowdlab(KNN(on="embedding", k=5)),
    LabelSpreading(on="embedding"),
    LabelSpreading(on=("text", "source"), pca=0),
    GraphPropagation(on="embedding"),
    SelfTraining(KNN(on="embedding", k=5)),
    SelfTraining(Linear(on="text", epochs=2, recipe="record"), threshold=0.3, minority_threshold=0.2, rounds=2),
    SelfTraining(Oversample(MLP(on="text", hidden=8, epochs=2)), rounds=1),
    Cleanlab(KNN(on="embedding", k=5)),
    Cleanlab(Linear(on="text", epochs=2, recipe="record"), do="relabel", filter_by="predicted_neq_given"),
    SimiFeat(KNN(on="embedding", k=5), on="embedding", do="flag"),
    SimiFeat(Linear(on="text", epochs=2, recipe="record"), on="text", do="relabel", cap=0.9, k=3),
]


def test_no_bundled_labeler_is_left_out():
    bundled = {e.name for e in discover().entries if (e.kind, e.distribution) == ("labelers", "labelharness")}
    assert {labeler.name for labeler in LABELERS} == bundled


@pytest.mark.slow
@pytest.mark.parametrize("check", labeler_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize("labeler", LABELERS, ids=repr)
def test_bundled_labelers_keep_their_promises(labeler, check):
    try:
        check(labeler)
    except NotApplicable as reason:
        assert check.__name__ not in ("check_form", "check_probabilities"), "must apply to the ordinary task"
        pytest.skip(f"not made for this task: {reason}")


def shares(y, n_classes):
    return np.bincount(y, minlength=n_classes) / len(y)


def centroids(X, X_pool, y, n_classes):
    """Return the softmax of the distance to each class's mean.

    A plain, honest labeler that the mutants below disfigure.
    """
    distance = np.full((len(X_pool), n_classes), np.inf)
    for c in np.unique(y):
        distance[:, c] = ((X_pool - X[y == c].mean(axis=0)) ** 2).sum(axis=1, dtype=np.float64)
    weight = np.exp(distance.min(axis=1, keepdims=True) - distance)
    return weight / weight.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Honest:
    name: ClassVar[str] = "honest"
    on: On = "text"

    def label(self, task):
        return centroids(*task.matrix(self.on), task.y, task.n_classes)


class OfCentroids(Honest):
    """An honest answer, spoilt by the method `spoil` of a subclass."""

    def label(self, task):
        return self.spoil(task, Honest.label(self, task))


class Sorts(OfCentroids):
    def spoil(self, task, proba):
        return proba[np.argsort(task.to_label)]


class DropsAbsentClasses(OfCentroids):
    def spoil(self, task, proba):
        return proba[:, np.unique(task.y)]


class StartsAtTheLowestClass(OfCentroids):
    def spoil(self, task, proba):
        return np.tile(np.bincount(task.y - task.y.min()) / len(task.y), (len(proba), 1))


class DrawsFromTheClock(OfCentroids):
    def spoil(self, task, proba):
        return np.random.default_rng().permuted(proba, axis=1)


class DrawsFromTheGlobalGenerator(OfCentroids):
    def spoil(self, task, proba):
        return proba[:, np.random.permutation(task.n_classes)]


class SeedsTheGlobalGenerator(OfCentroids):
    def spoil(self, task, proba):
        np.random.seed(task.seed)
        return proba


class SilencesNumPy(OfCentroids):
    def spoil(self, task, proba):
        np.seterr(divide="ignore" if np.geterr()["divide"] != "ignore" else "warn")
        return proba


LAST: list[Any] = []


class RemembersTheLastTask(OfCentroids):
    """In the module: every task of a run would share it."""

    def spoil(self, task, proba):
        LAST.append(shares(task.y, task.n_classes))
        return 0.5 * proba + 0.5 * LAST[-2 if len(LAST) > 1 else -1]


class RemembersTheFirstTask(OfCentroids):
    """In the instance, behind the frozen dataclass's back."""

    def spoil(self, task, proba):
        if not hasattr(self, "prior"):
            object.__setattr__(self, "prior", shares(task.y, task.n_classes))
        return 0.5 * proba + 0.5 * self.prior


class WritesIntoTheTask(OfCentroids):
    """An honest answer, and its own labels left in place of the given ones."""

    def spoil(self, task, proba):
        task.y.setflags(write=True)
        task.y[:] = np.sort(task.y)
        return proba


class WritesIntoABlock(OfCentroids):
    def spoil(self, task, proba):
        task.blocks["text"].array[task.to_label] = 0
        return proba


@dataclass(frozen=True)
class ScalesByAllRows(Honest):
    def label(self, task):
        X, X_pool = task.matrix(self.on)
        sd = np.vstack([X, X_pool]).std(axis=0) + 1e-9
        return centroids(X / sd, X_pool / sd, task.y, task.n_classes)


class ScalesByAllRowsAndSaysSo(ScalesByAllRows):
    transductive: ClassVar[bool] = True


class DoesNotNormalise(OfCentroids):
    def spoil(self, task, proba):
        return proba * 2


class ReturnsLogits(OfCentroids):
    def spoil(self, task, proba):
        return 4 * proba - 2


class LeavesNaN(OfCentroids):
    def spoil(self, task, proba):
        proba[0] = np.nan
        return proba


class ReturnsLabels(OfCentroids):
    def spoil(self, task, proba):
        return proba.argmax(axis=1)


class BadCheckpoint(OfCentroids):
    def spoil(self, task, proba):
        return Predictions(proba, checkpoints={"epoch 1": proba.argmax(axis=1)})  # int64, not uint8


class FactsWithNaN(OfCentroids):
    def spoil(self, task, proba):
        return Predictions(proba, facts={"loss": float("nan")})


class FactsOfNumPy(OfCentroids):
    def spoil(self, task, proba):
        return Predictions(proba, facts={"loss": np.float32(1)})


class UnsteadyExtras(OfCentroids):
    def spoil(self, task, proba):
        return Predictions(proba, rows={"chance": np.random.default_rng().random(len(proba))})


class SqueezesOneRow(OfCentroids):
    def spoil(self, task, proba):
        surest = np.squeeze(proba).max(axis=1)
        return Predictions(proba, rows={"confidence": surest})


class WantsTwoClasses(OfCentroids):
    def spoil(self, task, proba):
        if len(np.unique(task.y)) < 2:
            raise ValueError("this solver needs samples of at least 2 classes")
        return proba


class WantsTwoRowsPerClass(OfCentroids):
    def spoil(self, task, proba):
        assert np.bincount(task.y).max() > 1, "n_splits=5 cannot be greater than the number of members in each class"
        return proba


class WantsDistinctRows(OfCentroids):
    def spoil(self, task, proba):
        label_of_row = dict(zip(task.labelled.tolist(), task.y, strict=True))
        return centroids(*task.matrix(self.on), np.array(list(label_of_row.values())), task.n_classes)


class TakesRowsForGroups(OfCentroids):
    def spoil(self, task, proba):
        return proba if task.groups is None else proba[task.groups[task.to_label]]


class WantsRaters(OfCentroids):
    def spoil(self, task, proba):
        return 0.9 * proba + 0.1 * shares(task.raters[:, 1], task.n_classes)


class NeedsRaters(OfCentroids):
    def spoil(self, task, proba):
        if task.raters is None:
            raise NotApplicable("there are no raters")
        return proba


class LooksAround(OfCentroids):
    """A labeler that searches the stack for the labels of the population.

    It takes any array of integers of that length.
    """

    def spoil(self, task, proba):
        frame, n_rows = sys._getframe(), len(task.blocks["text"].array)
        while frame is not None:
            for value in frame.f_locals.values():
                if isinstance(value, np.ndarray) and value.shape == (n_rows,) and value.dtype.kind == "i":
                    return np.eye(task.n_classes)[value[task.to_label]]
            frame = frame.f_back
        return proba


@dataclass
class NotFrozen:
    name: ClassVar[str] = "not-frozen"

    def label(self, task):
        return Prior().label(task)


class NoDataclass:
    name = "no-dataclass"

    def label(self, task):
        return Prior().label(task)


@dataclass(frozen=True)
class NameAsParameter:
    name: str = "name-as-parameter"

    def label(self, task):
        return Prior().label(task)


@dataclass(frozen=True, eq=False)
class EqualOnlyToItself:
    name: ClassVar[str] = "equal-only-to-itself"

    def label(self, task):
        return Prior().label(task)


@dataclass(frozen=True)
class HoldsAFunction(Honest):
    scale: Callable[[Any], Any] = field(default=lambda X: X)


@dataclass(frozen=True)
class HoldsAnArray(Honest):
    weight: np.ndarray | None = None
    table: np.ndarray = None


@dataclass(frozen=True)
class DefaultOfAnotherType(Honest):
    k: int = 0.5


@dataclass(frozen=True)
class TypeThatIsNowhere(Honest):
    k: "NoSuchType" = 1  # noqa: F821


class ParameterWithoutAType(Honest):
    k = 5


class SpeaksOfAnUnnamedBlock(Honest):
    def needs(self):
        return [("embedding", 5)]


class DeclaresNoK(Honest):
    def needs(self):
        return [(self.on,)]


class DeclaresAnotherGraph(Honest):
    def needs(self):
        return [(self.on, 5, "every")]


class DeclaresAFunction(Honest):
    def needs(self):
        return self.label


def checks(names):
    return {f"check_{name}" for name in names.split()}


ANSWERS = {check.__name__ for check in labeler_checks} - checks("form needs")
VALID = checks("probabilities absent_class one_class high_classes one_per_class one_row repeated_rows groups no_raters")
REPEATS = checks("same_seed no_memory hidden_labels")
APART = checks("order_of_rows rows_apart")

# mutant, the check made for it, what it says, and all the checks that fail
MUTANTS: list[tuple[type, str, str, set[str]]] = [
    (Sorts, "order_of_rows", "must follow the order of task.to_label", APART),
    (
        DropsAbsentClasses,
        "absent_class",
        "is a class missing from train",
        checks("absent_class one_class high_classes"),
    ),
    (StartsAtTheLowestClass, "high_classes", "only classes 4 and 5 in train", checks("one_class high_classes")),
    (DrawsFromTheClock, "same_seed", "default_rng(task.seed)", REPEATS | APART),
    (DrawsFromTheGlobalGenerator, "inputs_untouched", "NumPy's random", REPEATS | APART | checks("inputs_untouched")),
    (SeedsTheGlobalGenerator, "inputs_untouched", "changed NumPy's random state:", checks("inputs_untouched")),
    (SilencesNumPy, "inputs_untouched", "changed NumPy's error state:", checks("inputs_untouched")),
    (RemembersTheLastTask, "no_memory", "keep no state", checks("no_memory")),
    (RemembersTheFirstTask, "no_memory", "keep no state", checks("no_memory")),
    (WritesIntoTheTask, "inputs_untouched", "changed task.y:", checks("inputs_untouched same_seed no_memory")),
    (WritesIntoABlock, "inputs_untouched", "ValueError: assignment destination is read-only", ANSWERS),
    (ScalesByAllRows, "rows_apart", "declare transductive", checks("rows_apart")),
    (DoesNotNormalise, "probabilities", "rows must sum to 1", VALID),
    (
        ReturnsLogits,
        "probabilities",
        "must not be negative, the smallest is -2; of logits return the softmax",
        VALID,
    ),
    (LeavesNaN, "probabilities", "must be finite", VALID | checks("order_of_rows")),
    (ReturnsLabels, "probabilities", "shape (48, 6), got (48,)", VALID | APART),
    (BadCheckpoint, "probabilities", "checkpoint 'epoch 1' must be a (48,) uint8", VALID),
    (FactsWithNaN, "facts", "facts must be JSON", checks("facts")),
    (FactsOfNumPy, "facts", "float32 is not JSON serializable", checks("facts")),
    (UnsteadyExtras, "same_seed", "same answer twice", REPEATS),
    (SqueezesOneRow, "one_row", "AxisError", checks("one_row")),
    (WantsTwoClasses, "one_class", "ValueError: this solver needs samples of at least 2", checks("one_class")),
    (WantsTwoRowsPerClass, "one_per_class", "AssertionError: n_splits=5 cannot be greater", checks("one_per_class")),
    (WantsDistinctRows, "repeated_rows", "IndexError", checks("repeated_rows")),
    (TakesRowsForGroups, "groups", "IndexError", checks("groups")),
    (WantsRaters, "no_raters", "TypeError: 'NoneType'", checks("no_raters")),
    (LooksAround, "hidden_labels", "changed with the hidden labels", checks("hidden_labels")),
    (NotFrozen, "form", "NotFrozen must be a @dataclass(frozen=True)", checks("form")),
    (NoDataclass, "form", "NoDataclass must be a @dataclass(frozen=True)", checks("form no_memory")),
    (NameAsParameter, "form", "name: ClassVar[str]", checks("form")),
    (EqualOnlyToItself, "form", "a pickled copy must be equal", checks("form")),
    (HoldsAFunction, "form", "must pickle", checks("form")),
    (HoldsAnArray, "form", "has the type <class 'numpy.ndarray'>, which a suite cannot give", checks("form")),
    (DefaultOfAnotherType, "form", "k: must be a whole number, got 0.5", checks("form")),
    (TypeThatIsNowhere, "form", "has a type that cannot be read: name 'NoSuchType' is not defined", checks("form")),
    (ParameterWithoutAType, "form", "k has no type, so no suite can set it", checks("form")),
    (SpeaksOfAnUnnamedBlock, "needs", "speaks of block embedding, which no field `on` names", checks("needs")),
    (DeclaresNoK, "needs", "needs() must return [(on, k), ...]", checks("needs")),
    (DeclaresAnotherGraph, "needs", "the third must be left out, or 'all', is 'every'", checks("needs")),
    (DeclaresAFunction, "needs", "'method' object is not iterable", checks("needs")),
]


@pytest.fixture
def surroundings():
    """Some mutants disturb what the whole process shares."""
    state = np.random.get_state()
    np.random.seed(0)  # of mutants that draw from it: two equal draws would pass a check
    with np.errstate():
        LAST.clear()
        yield
    np.random.set_state(state)


@pytest.mark.parametrize(
    ("mutant", "check", "says", "failing"), MUTANTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_mutant_is_caught_by_the_check_made_for_it(mutant, check, says, failing, surroundings):
    messages = {finding.check: finding.message for finding in check_labeler(mutant()) if finding.outcome == "failed"}
    assert says in messages[f"check_{check}"]
    assert set(messages) == failing
    assert not any("\n" in message for message in messages.values())


def test_every_check_is_the_one_made_for_some_mutant():
    assert {f"check_{row[1]}" for row in MUTANTS} == {check.__name__ for check in labeler_checks}


@pytest.mark.parametrize(
    "labeler", [Honest(), Honest("embedding"), Honest(("bge", "text")), ScalesByAllRowsAndSaysSo()]
)
def test_an_honest_labeler_passes_every_check(labeler):
    report = check_labeler(labeler)
    assert [finding.check for finding in report] == [check.__name__ for check in labeler_checks]
    assert {(finding.outcome, finding.message) for finding in report} == {("passed", None)}


def test_not_applicable_is_told_apart_from_failure():
    odd = [finding for finding in check_labeler(NeedsRaters()) if finding.outcome != "passed"]
    assert [(finding.check, finding.outcome, finding.message) for finding in odd] == [
        ("check_no_raters", "not applicable", "there are no raters")
    ]


def test_a_labeler_of_one_hot_blocks_does_not_apply_to_numeric_ones():
    outcomes = {finding.check: finding.outcome for finding in check_labeler(TablePrior(on="bge"))}
    assert outcomes == dict.fromkeys(checks("form needs"), "passed") | dict.fromkeys(ANSWERS, "not applicable")


def test_a_class_defined_in_a_function_cannot_travel():
    @dataclass(frozen=True)
    class Inner(Honest):
        pass

    with pytest.raises(AssertionError, match="must pickle to reach a worker; define the class in a module"):
        labeler_checks[0](Inner())


def test_every_check_has_its_name_and_a_sentence_about_it():
    assert len({check.__name__ for check in labeler_checks}) == len(labeler_checks)
    assert all(check.__name__.startswith("check_") and check.__doc__.rstrip().endswith(".") for check in labeler_checks)


@dataclass(frozen=True)
class Wrapper:
    name: ClassVar[str] = "wrapper"
    base: Any
    members: tuple[Any, ...] = ()
    on: On | None = None


@pytest.mark.parametrize(
    ("labeler", "expected"),
    [
        (Majority(), []),
        (Honest(("bge", "text")), ["bge", "text"]),
        (Wrapper(Honest("a")), ["a"]),
        (Wrapper(Wrapper(Majority(), (Honest("a"), Honest(("b", "c")))), (Prior(), Honest("d")), "e"), list("abcde")),
    ],
)
def test_blocks_are_found_in_labelers_held_by_labelers(labeler, expected):
    assert sorted(block_names(labeler)) == expected


def test_the_example_has_all_it_promises():
    task = example_task(("bge", "source"))
    assert list(task.blocks) == ["text", "embedding", "bge", "source"]
    assert (len(task.labelled), len(task.to_label), len(task.spare), task.raters.shape) == (96, 48, 12, (96, 3))
    everything = np.concatenate([task.labelled, task.to_label, task.spare])
    assert np.sort(everything).tolist() == list(range(156))
    assert (np.diff(task.to_label) < 0).any()  # a labeler that sorts them must fail
    counts = np.bincount(task.y, minlength=6)
    assert counts.min() >= 1
    assert counts[0] > 2 * counts[5]
    assert task.groups is None
    np.testing.assert_array_equal(task.raters[:, 0], task.y)
    for name in ("embedding", "bge"):
        assert task.blocks[name].kind == "embedding"
        np.testing.assert_allclose(np.linalg.norm(task.blocks[name].array, axis=1), 1, atol=1e-6)
    text, source = task.blocks["text"], task.blocks["source"]
    assert (text.kind, source.kind) == ("feature", "feature")
    assert (len(text.names), len(source.names)) == (text.array.shape[1], source.array.shape[1])
    assert (text.array.std(axis=0) < 1e-6).sum() == 1
    assert set(np.unique(source.array)) == {0, 1}
    assert (source.array.sum(axis=1) == 1).all()


def test_the_example_is_the_same_every_time_and_a_block_whatever_stands_beside_it():
    one, other = example_task(("bge",)), example_task(("who", "bge"))
    np.testing.assert_array_equal(one.y, other.y)
    np.testing.assert_array_equal(one.blocks["bge"].array, other.blocks["bge"].array)
    assert (one.blocks["bge"].array != other.blocks["who"].array).any()
    assert example_task(seed=1).y.tolist() != one.y.tolist()


def test_the_example_follows_its_sizes():
    task = example_task(n=30, m=10, n_classes=3, seed=5)
    assert (len(task.y), len(task.to_label), task.n_classes, task.seed) == (30, 10, 3, 5)
    assert set(task.y.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("block", ["text", "embedding"])
def test_the_example_can_be_learned(block):
    """Half of the labelled rows label the other half well."""
    task = example_task((), n=200)
    y, rows = task.y, task.labelled
    inner = Task(task.blocks, rows[:100], y[:100], rows[100:], 6)
    accuracy = (KNN(on=block, k=10).label(inner).proba.argmax(axis=1) == y[100:]).mean()
    assert accuracy > 0.75 > 2 * (y[100:] == np.bincount(y).argmax()).mean()


def test_the_kit_needs_no_test_runner_and_no_heavy_library():
    code = (
        "import sys, harness.testing; print([m for m in ('pytest', 'torch', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

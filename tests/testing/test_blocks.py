"""The checks of embedders, feature sets and splitters, on mutants too.

Each mutant breaks one promise.
"""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness import DataError, Embedder, FeatureSet, Labelled, NotApplicable, Split, Splitter
from harness.suite.catalog import KINDS
from harness.testing import CHECKS, check_plugin, example_items, example_labelled
from harness.testing.examples import ODD_TALKS, TALKS
from harness_plugins.embedders.column import Column
from harness_plugins.embedders.hashing_svd import HashingSVD
from harness_plugins.embedders.npy import Npy
from harness_plugins.embedders.reward_model import RewardModel
from harness_plugins.features.one_hot import OneHot
from harness_plugins.features.raters import Raters
from harness_plugins.features.text_v1 import TextV1
from harness_plugins.features.text_v2 import TextV2
from harness_plugins.splitters.kfold import KFold
from harness_plugins.splitters.leave_future_out import LeaveFutureOut
from harness_plugins.splitters.leave_source_out import LeaveSourceOut
from harness_plugins.splitters.nested import Nested
from harness_plugins.splitters.prefix import Prefix
from tests.command_line import harness
from tests.tiny_llama import write_llama

BUNDLED = [
    ("embedders", Column("embeddings")),
    ("embedders", HashingSVD(dim=6)),
    ("features", TextV1()),
    ("features", TextV2()),
    ("features", OneHot(("source",))),
    ("features", Raters()),
    ("splitters", Prefix((0.1, 0.5))),
    ("splitters", Nested((0.1, 0.5))),
    ("splitters", KFold()),
    ("splitters", LeaveFutureOut((0.2, 0.5))),
    ("splitters", LeaveSourceOut(0.5)),
]


def outcomes(kind, plugin):
    """Return {check: (outcome, message)} without what passed."""
    return {f.check: (f.outcome, f.message) for f in check_plugin(kind, plugin) if f.outcome != "passed"}


@pytest.mark.parametrize(("kind", "plugin"), BUNDLED, ids=lambda value: getattr(value, "name", ""))
def test_bundled_plugins_keep_their_promises(kind, plugin):
    odd = {check: message for check, (outcome, message) in outcomes(kind, plugin).items() if outcome == "failed"}
    assert odd == {}


@pytest.mark.slow
def test_those_of_files_keep_theirs(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, 3)))
    np.save(tmp_path / "ids.npy", np.arange(60) + 990)
    assert outcomes("embedders", Npy(tmp_path / "x.npy", ids=tmp_path / "ids.npy")) == {}
    assert outcomes("embedders", RewardModel(write_llama(tmp_path / "model"), batch=3)) == {}


def test_what_cannot_use_the_example_says_so():
    said = outcomes("embedders", HashingSVD(dim=100))
    assert {outcome for outcome, _ in said.values()} == {"not applicable"}
    assert "24 texts with 130 distinct n-grams cannot give 100 dimensions; set 'dim: 24'" in said["check_array"][1]
    assert list(outcomes("splitters", LeaveSourceOut())) == ["check_no_sources"]


# ---- makers of blocks that break one promise ----------------------------------------------------------------------


def lengths(items):
    return np.array([[len(text), 1.0, text.count("e")] for text in items.texts()]).reshape(-1, 3)


def divides_by_turns(items, array):
    with np.errstate(all="ignore"):
        return array / np.array([[len(talk)] for talk in items.conversations()])


def peeks(items, array):
    score = pq.read_table(items.path, columns=["score"])["score"].to_numpy()
    return array + score[items.rows][:, None]


def reads_the_source(items, array):
    items.values("source")
    return array


def misspells_its_column(items, array):
    items.values("sorce")
    return array


SPOIL = {
    "honest": lambda items, array: array,
    "one_dimension": lambda items, array: array[:, 0],
    "divides_by_turns": divides_by_turns,
    "wants_two_rows": lambda items, array: array + array[1],
    "draws": lambda items, array: array + np.random.default_rng().random(array.shape),
    "peeks": peeks,
    "reads_the_source": reads_the_source,
    "misspells_its_column": misspells_its_column,
    "scales_by_all_rows": lambda items, array: array / array.max(axis=0),
    "sorts_by_length": lambda items, array: array[np.argsort(-array[:, 0], kind="stable")],
}


@dataclass(frozen=True)
class Vectors:
    """An honest embedder, spoilt as it is told."""

    name: ClassVar[str] = "vectors"

    how: str = "honest"

    def embed(self, items, start):
        yield SPOIL[self.how](items, lengths(items))[start:]


@dataclass(frozen=True)
class Numbers:
    """An honest feature set, spoilt as it is told."""

    name: ClassVar[str] = "numbers"
    names: ClassVar[tuple[str, ...]] = ("length", "one", "e")
    rowwise: ClassVar[bool] = True

    how: str = "honest"

    def features(self, items):
        return SPOIL[self.how](items, lengths(items))


class TextVectors(Vectors):
    text_only: ClassVar[bool] = True


class TextNumbers(Numbers):
    text_only: ClassVar[bool] = True


class TooFewNames(Numbers):
    names: ClassVar[tuple[str, ...]] = ("length", "one")


class IgnoresItsStart(Vectors):
    def embed(self, items, start):
        yield lengths(items)


class AllAtOnce(IgnoresItsStart):
    resumable: ClassVar[bool] = False


class BatchesFromItsStart(Vectors):
    def embed(self, items, start):
        array = lengths(items)[start:]
        for low in range(0, len(array), 5):
            chunk = array[low : low + 5]
            yield chunk + 0.01 * chunk.mean(axis=0)


class ReadsTheFileItself(Vectors):
    def embed(self, items, start):
        talks = pq.read_table(items.path)["messages"].to_pylist()[: len(items)]
        array = np.array([[sum(len(turn["content"]) for turn in talk), 1.0] for talk in talks])
        yield array[start:]


class ForgetsToYield(Vectors):
    def embed(self, items, start):
        pass


MUTANTS = [
    # kind, mutant, the check made for it, what it says
    (
        "features",
        TooFewNames(),
        "array",
        "must name its columns: an attribute names, or (array, names); has 2 names for 3",
    ),
    ("features", Numbers("one_dimension"), "array", "must give (rows, d) arrays, gave shape (24,)"),
    ("embedders", Vectors("one_dimension"), "array", "gave shape (24,); yield chunks of rows, not single ones"),
    ("embedders", ForgetsToYield(), "array", "embed must yield (rows, d) arrays, returned NoneType"),
    ("features", Numbers("divides_by_turns"), "odd_texts", "NaN or infinite values in 1 row (id 1003)"),
    ("embedders", Vectors("divides_by_turns"), "odd_texts", "NaN or infinite values in 1 row (id 1003)"),
    ("features", Numbers("wants_two_rows"), "one_row", "IndexError: index 1 is out of bounds"),
    ("embedders", Vectors("wants_two_rows"), "one_row", "IndexError: index 1 is out of bounds"),
    ("features", Numbers("draws"), "same_bytes", "must get the same numbers twice"),
    ("embedders", Vectors("draws"), "same_bytes", "must get the same numbers twice"),
    ("features", Numbers("peeks"), "hidden_labels", "changed with the labels: read no column that the target is made"),
    ("embedders", Vectors("peeks"), "hidden_labels", "changed with the labels: read no column that the target is made"),
    ("features", TextNumbers("reads_the_source"), "text_only", "declares text_only, but reads more than the texts: "),
    ("embedders", TextVectors("reads_the_source"), "text_only", "column 'source' cannot be read here; known: messages"),
    ("features", Numbers("scales_by_all_rows"), "parts", "asked for 1 rows at a time it gave other numbers"),
    ("features", Numbers("sorts_by_length"), "parts", "asked for 1 rows at a time it gave other numbers"),
    ("embedders", IgnoresItsStart(), "start", "embed(items, 1) gave 24 rows for 23: yield from row number `start` on"),
    ("embedders", BatchesFromItsStart(), "start", "compute in chunks that begin at fixed row numbers"),
    ("embedders", Vectors("sorts_by_length"), "rows", "has the vector of another: yield in the order of the rows"),
    ("embedders", ReadsTheFileItself(), "rows", "read the data through `items`"),
]


@pytest.mark.parametrize(
    ("kind", "mutant", "check", "says"), MUTANTS, ids=lambda value: repr(value) if hasattr(value, "name") else ""
)
def test_a_mutant_is_caught_by_the_check_made_for_it(kind, mutant, check, says):
    outcome, message = outcomes(kind, mutant)[f"check_{check}"]
    assert outcome == "failed"
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize("kind", ["embedders", "features"])
def test_every_check_of_blocks_is_the_one_made_for_some_mutant(kind):
    made = {f"check_{check}" for of, _, check, _ in MUTANTS if of == kind}
    assert made == {check.__name__ for check in CHECKS[kind]} - {"check_form"}


def test_honest_makers_pass():
    assert isinstance(Vectors(), Embedder)
    assert isinstance(Numbers(), FeatureSet)
    assert outcomes("embedders", Vectors()) == outcomes("embedders", TextVectors()) == {}
    assert outcomes("features", Numbers()) == outcomes("features", TextNumbers()) == {}


def test_a_column_that_is_not_there_is_no_broken_promise():
    for kind, maker in (("embedders", Vectors), ("features", Numbers)):
        said = outcomes(kind, maker("misspells_its_column"))
        assert {outcome for outcome, _ in said.values()} == {"not applicable"}
        assert "did you mean 'source'?" in said["check_array"][1]


def test_what_must_see_all_rows_need_not_start_anywhere_nor_keep_its_vectors():
    assert outcomes("embedders", AllAtOnce()) == {}


def test_the_example_file_is_what_it_says():
    for talks in (TALKS, ODD_TALKS):
        with example_items(talks) as items:
            assert list(items.conversations()) == [[tuple(turn) for turn in talk] for talk in talks]
            file = pq.read_table(items.path)
            assert file.num_rows > len(items)
            assert not set(items.hidden) & set(items.columns)
            assert set(items.hidden) | set(items.columns) == set(file.column_names)
            with pytest.raises(DataError, match="may not be used as an input"):
                items.values("score")
        with pytest.raises(FileNotFoundError):
            items.values("source")
    order = [len(talk[1][1]) for talk in TALKS]
    assert order not in (sorted(order), sorted(order, reverse=True))


# ---- splitters ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Half:
    """Half of the groups, drawn by the seed, for training."""

    name: ClassVar[str] = "half"

    def splits(self, dataset, seed):
        return [self.half(dataset, dataset.ids if dataset.groups is None else dataset.groups, seed)]

    def half(self, dataset, names, seed, **more):
        order = sorted(set(names.tolist()), key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
        train = np.isin(names, np.array(order[: len(order) // 2], names.dtype))
        return Split(dataset.rows[train], dataset.rows[~train], np.empty(0, np.int64), seed, **more)


class Positions(Half):
    def splits(self, dataset, seed):
        return [Split(np.arange(30), np.arange(30, 60), np.empty(0, np.int64), seed)]


class TakesIdsForNumbers(Half):
    def splits(self, dataset, seed):
        return [self.half(dataset, dataset.ids % 7, seed)]


class TearsGroups(Half):
    def splits(self, dataset, seed):
        return [self.half(dataset, dataset.ids, seed)]


class TakesGroupsForNumbers(Half):
    def splits(self, dataset, seed):
        return super().splits(dataset, seed) if dataset.groups is None or dataset.groups.max() + 1 else []


class WantsSources(Half):
    def splits(self, dataset, seed):
        assert len(dataset.sources) == len(dataset.rows)
        return super().splits(dataset, seed)


class DrawsFromTheClock(Half):
    def splits(self, dataset, seed):
        order = np.random.default_rng().permutation(dataset.rows)
        return [Split(order[:30], order[30:], np.empty(0, np.int64), seed)]


class ForgetsTheSeed(Half):
    def splits(self, dataset, seed):
        return super().splits(dataset, 0)


class ForgetsToNumberItsFolds(Half):
    def splits(self, dataset, seed):
        yield from super().splits(dataset, seed)
        yield from super().splits(dataset, seed)


class Shuffles(Half):
    def splits(self, dataset, seed):
        np.random.default_rng(seed).shuffle(dataset.rows)
        return super().splits(dataset, seed)


@pytest.mark.parametrize(
    ("mutant", "check", "says"),
    [
        (Positions, "splits", "its train rows are not all labelled rows; of positions take dataset.rows[positions]"),
        (Shuffles, "splits", "read-only"),
        (TakesIdsForNumbers, "ids", "UFuncTypeError"),
        (TearsGroups, "groups", "groups stand in train and test"),
        (TakesGroupsForNumbers, "group_names", "TypeError: can only concatenate str"),
        (WantsSources, "no_sources", "TypeError: object of type 'NoneType' has no len()"),
        (DrawsFromTheClock, "same_splits", "must get the same splits twice: draw all chance from the seed"),
        (ForgetsTheSeed, "seed", "asked with seed 1, its splits say [0]: hand the seed on to every Split"),
        (ForgetsToNumberItsFolds, "folds", "two splits of one seed have the same ratio and fold: number them"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_splitter_is_caught_by_the_check_made_for_it(mutant, check, says):
    outcome, message = outcomes("splitters", mutant())[f"check_{check}"]
    assert (outcome, says in message) == ("failed", True), message


def test_an_honest_splitter_passes():
    assert isinstance(Half(), Splitter)
    assert outcomes("splitters", Half()) == {}
    assert isinstance(example_labelled(), Labelled)
    assert (np.diff(example_labelled().rows) > 1).all()


# ---- all kinds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_checks_with_a_name_and_a_sentence_each(kind):
    names = [check.__name__ for check in CHECKS[kind]]
    assert len(set(names)) == len(names) > 7
    assert names[0] == "check_form"
    assert all(name.startswith("check_") for name in names)
    assert all(check.__doc__.rstrip().endswith(".") for check in CHECKS[kind])


def test_a_check_that_does_not_apply_raises_it():
    with pytest.raises(NotApplicable, match="cannot give 100 dimensions"):
        CHECKS["embedders"][1](HashingSVD(dim=100))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("text_v1", "checking feature set text_v1"),
        ("hashing_svd: {dim: 6}", "checking embedder hashing_svd(dim=6)"),
        ("kfold: {folds: 3}", "checking splitter kfold(folds=3)"),
        ("majority", "checking labeler majority"),
        ("knn: {k: 5}", "checking labeler knn(on=embedding, k=5)"),
    ],
)
def test_the_command_checks_a_plugin_of_any_kind(tmp_path, spec, shown):
    result = harness("check", spec, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    first, *lines = result.stdout.splitlines()
    assert first == shown
    assert len(lines) > 7
    assert not [line for line in lines if not line.startswith(("passed ", "not applicable "))]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("kfolds", "error: no plugin is called 'kfolds'; did you mean 'kfold'?"),
        ("prefix", "give it what has no default: harness check 'prefix: {ratios: ...}'"),
        ("oversample: {}", "give it what has no default: harness check 'oversample: {base: ...}'"),
        ("kfold: {folds: 1}", "error: check:1: kfold: folds must be at least 2, got 1"),
        ("[kfold]", "error: must be a name, or one name with its parameters, as 'knn: {k: 5}', got ['kfold']"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_line(tmp_path, spec, said):
    result = harness("check", spec, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == said


MISTAKEN = """
from dataclasses import dataclass
from typing import ClassVar

from harness import hookimpl


@dataclass(frozen=True)
class Same:
    \"\"\"Two plugins of one name.\"\"\"

    name: ClassVar[str] = "same"

    def label(self, task):
        return None

    def splits(self, dataset, seed):
        return None


@hookimpl
def harness_labelers():
    return [Same]


@hookimpl
def harness_splitters():
    return [Same]
"""


def test_a_name_of_two_kinds_is_checked_as_both_and_a_reason_is_told_once(tmp_path):
    (tmp_path / "same.py").write_text(MISTAKEN)
    result = harness("check", "same", "--plugin", "same.py", cwd=tmp_path)
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert [line for line in lines if line.startswith("checking")] == [
        "checking splitter same",
        "checking labeler same",
    ]
    assert lines.count("failed         check_splits: must give an iterable of Split, gave NoneType") == 1
    assert lines.count("failed         check_seed: as check_splits") == 1

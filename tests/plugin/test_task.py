"""Task, Predictions and blocks: read-only, without leak, z-scored."""

import pickle
from dataclasses import fields, is_dataclass, replace
from types import MappingProxyType

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from harness import Block, Predictions, Task
from harness.plugin.task import find_error, readonly_copy
from harness.testing import example_task

RNG = np.random.default_rng(0)
F = (RNG.standard_normal((60, 5)) * [1e-3, 1, 30, 1e4, 1] + [7, 0, -4, 1e6, 0]).astype(np.float32)
F[:, 4] = 0.1
E = RNG.standard_normal((60, 8)).astype(np.float32)
ROWS = RNG.permutation(60)
ARRAYS = ("labelled", "y", "to_label", "spare", "raters", "groups", "pseudo")


def full_task():
    n = 25
    return Task(
        {"f": Block(F, names=tuple("abcde")), "e": Block(E, "embedding")},
        labelled=ROWS[:n],
        y=np.arange(n) % 6,
        to_label=ROWS[n:50],
        n_classes=6,
        seed=9,
        spare=ROWS[50:],
        raters=np.ones((n, 3)),
        groups=np.arange(60) // 2,
        pseudo=np.zeros(n),
    )


def arrays_within(thing, visited=None):
    """Return the arrays that can be reached from `thing`.

    By fields, mappings, sequences and the parents of arrays.
    """
    visited = {} if visited is None else visited
    if id(thing) in visited or thing is None or isinstance(thing, str | int | float | type):
        return []
    visited[id(thing)] = thing
    if isinstance(thing, np.ndarray):
        return [thing, *arrays_within(thing.base, visited)]
    if isinstance(thing, dict | MappingProxyType):
        inside = list(thing.values())
    elif isinstance(thing, list | tuple | set):
        inside = list(thing)
    else:
        inside = [getattr(thing, part.name) for part in fields(thing)] if is_dataclass(thing) else []
        inside += list(getattr(thing, "__dict__", {}).values())
    return [array for part in inside for array in arrays_within(part, visited)]


def test_nothing_reachable_from_a_task_holds_the_labels_of_the_rest():
    """Labels and row numbers come as slices of longer arrays: none is kept."""
    truth = RNG.integers(0, 6, 60)
    in_order = truth[ROWS]
    raters = np.column_stack([in_order] * 3)
    task = replace(full_task(), labelled=ROWS[:25], y=in_order[:25], raters=raters[:25], to_label=ROWS[25:50])
    reached = arrays_within(task)
    assert {id(array) for array in reached} >= {id(getattr(task, name)) for name in ARRAYS}
    for array in reached:
        assert array is not in_order
        assert array is not raters
        assert array is not ROWS
        whole_numbers = array.dtype.kind in "iu" and array is not task.groups
        assert not whole_numbers or len(array) <= 25


def test_the_walk_would_find_a_parent_array():
    parent = np.arange(60)
    assert any(array is parent for array in arrays_within(Predictions(parent[:3])))
    assert any(array is parent for array in arrays_within({"deep": [(parent[1:],)]}))


def test_a_task_keeps_no_tie_to_the_arrays_it_was_made_from():
    truth = np.zeros(60, np.int64)
    task = replace(full_task(), y=truth[:25])
    truth[:] = 5
    assert task.y.tolist() == [0] * 25


@pytest.mark.parametrize("travelled", [False, True])
@pytest.mark.parametrize("name", ARRAYS)
def test_the_arrays_of_a_task_are_read_only_owned_and_of_their_type_here_and_in_a_worker(name, travelled):
    task = pickle.loads(pickle.dumps(full_task())) if travelled else full_task()
    array = getattr(task, name)
    assert array.base is None
    assert array.dtype == (np.bool_ if name == "pseudo" else np.int64)
    np.testing.assert_array_equal(array, getattr(full_task(), name))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_what_is_unknown_stays_none_and_spare_is_empty():
    task = Task({}, [1, 2], [0, 1], [3], 2)
    assert (task.raters, task.groups, task.pseudo) == (None, None, None)
    assert task.spare.shape == (0,)
    copied = pickle.loads(pickle.dumps(task))
    assert (copied.raters, copied.n_classes, copied.seed, copied.to_label.tolist()) == (None, 2, 0, [3])


def test_readonly_copy_copies_and_casts():
    parent = np.arange(12.0).reshape(3, 4).T
    copy = readonly_copy(parent, np.int64)
    assert copy.flags.c_contiguous
    assert copy.base is None
    assert not copy.flags.writeable
    assert copy.tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
    assert parent.flags.writeable


def test_a_block_is_read_only_and_leaves_the_array_it_was_made_from_writable():
    array = np.zeros((3, 2), np.float32)
    for block in (Block(array), pickle.loads(pickle.dumps(Block(array)))):
        with pytest.raises(ValueError, match="read-only"):
            block.array[0, 0] = 1
    array[0, 0] = 1


def test_a_mapped_block_travels_as_its_path(tmp_path):
    path = str(tmp_path / "block.npy")
    np.save(path, RNG.standard_normal((5000, 100)).astype(np.float32))
    block = Block.open(path, "embedding", ("a",))
    pickled = pickle.dumps(block)
    assert len(pickled) < 1000  # the data are 2 MB
    copied = pickle.loads(pickled)
    assert isinstance(copied.array, np.memmap)
    assert (copied.kind, copied.names, copied.path) == ("embedding", ("a",), path)
    np.testing.assert_array_equal(copied.array, block.array)
    with pytest.raises(ValueError, match="read-only"):
        copied.array[0, 0] = 1


def test_a_task_over_mapped_blocks_pickles_small(tmp_path):
    path = str(tmp_path / "block.npy")
    np.save(path, np.zeros((60, 10_000), np.float32))
    task = replace(full_task(), blocks={"e": Block.open(path, "embedding")})
    assert len(pickle.dumps(task)) < 5000
    assert pickle.loads(pickle.dumps(task)).matrix("e")[0].shape == (25, 10_000)


def test_a_block_in_memory_travels_whole():
    copied = pickle.loads(pickle.dumps(Block(F, names=tuple("abcde"))))
    np.testing.assert_array_equal(copied.array, F)
    assert (copied.kind, copied.names, copied.path) == ("feature", tuple("abcde"), None)


def test_features_are_z_scored_as_by_a_scaler_fitted_on_the_labelled_rows():
    task = full_task()
    X, X_pool = task.matrix("f")
    scaler = StandardScaler().fit(F[task.labelled].astype(np.float64))
    np.testing.assert_allclose(X, scaler.transform(F[task.labelled].astype(np.float64)), atol=1e-5)
    np.testing.assert_allclose(X_pool, scaler.transform(F[task.to_label].astype(np.float64)), rtol=1e-5, atol=1e-5)
    assert X.dtype == X_pool.dtype == np.float32


def test_rows_that_are_not_labelled_do_not_move_the_scale():
    task = full_task()
    wild = F.copy()
    wild[np.setdiff1d(np.arange(60), task.labelled)] *= 1e3
    np.testing.assert_array_equal(task.matrix("f")[0], replace(task, blocks={"f": Block(wild)}).matrix("f")[0])


def test_a_column_constant_among_the_labelled_rows_is_centred_and_left_unscaled():
    values = np.array([[0.1], [0.1], [0.1], [0.6]], np.float32)
    X, X_pool = Task({"f": Block(values)}, [0, 1, 2], [0, 0, 0], [3], 2).matrix("f")
    assert X.tolist() == [[0], [0], [0]]
    assert X_pool[0, 0] == pytest.approx(0.5)


def test_embeddings_come_as_they_are_and_blocks_in_the_order_named():
    task = full_task()
    X, X_pool = task.matrix(("f", "e"))
    assert (X.shape, X_pool.shape) == ((25, 13), (25, 13))
    np.testing.assert_array_equal(X[:, 5:], E[task.labelled])
    np.testing.assert_array_equal(X_pool[:, 5:], E[task.to_label])
    np.testing.assert_array_equal(X[:, :5], task.matrix("f")[0])
    np.testing.assert_array_equal(task.matrix(("e", "f"))[1], np.roll(X_pool, 8, axis=1))


def test_a_repeated_labelled_row_weighs_as_often_as_it_stands():
    values = np.array([[0], [6], [9]], np.float32)
    X, X_pool = Task({"f": Block(values)}, [0, 1, 1], [0, 1, 1], [2], 2).matrix("f")
    sd = np.sqrt(8)  # of 0, 6, 6 around 4
    np.testing.assert_allclose(X[:, 0], [-4 / sd, 2 / sd, 2 / sd], rtol=1e-6)
    np.testing.assert_allclose(X_pool[:, 0], [5 / sd], rtol=1e-6)


def test_gathering_in_portions_changes_nothing(monkeypatch):
    at_once = full_task().matrix(("f", "e"))
    monkeypatch.setattr("harness.plugin.block.GATHER_ROWS", 7)
    for matrix, other in zip(at_once, full_task().matrix(("f", "e")), strict=True):
        np.testing.assert_array_equal(matrix, other)


@pytest.mark.parametrize("size", [1, 7, 25, 100])
@pytest.mark.parametrize("on", ["e", ("f", "e")])
def test_parts_are_the_matrix_cut_in_pieces(on, size):
    task = full_task()
    for rows, matrix in zip((task.labelled, task.to_label), task.matrix(on), strict=True):
        places, pieces = zip(*task.parts(on, rows, size), strict=True)
        assert [len(piece) for piece in pieces] == [size] * (25 // size) + [25 % size] * (25 % size > 0)
        assert np.concatenate(pieces).tobytes() == matrix.tobytes()
        assert np.concatenate([rows[place] for place in places]).tolist() == rows.tolist()
    assert list(task.parts(on, task.spare[:0], size)) == []


def test_any_rows_can_be_asked_for_and_are_scaled_by_the_labelled_ones():
    task = full_task()
    some, none = task.matrix(("f", "e"), np.array([ROWS[30], ROWS[2], ROWS[2]]), np.array([], np.int64))
    X, X_pool = task.matrix(("f", "e"))
    np.testing.assert_array_equal(some, [X_pool[5], X[2], X[2]])
    assert none.shape == (0, 13)


@pytest.mark.parametrize("on", ["embeding", ("text", "embeding")])
def test_an_unknown_block_is_named_with_the_nearest_known_one(on):
    with pytest.raises(KeyError, match="no block 'embeding' in this task; did you mean 'embedding'"):
        example_task().matrix(on)
    with pytest.raises(KeyError, match="no block 'embeding' in this task"):
        example_task().parts(on, np.arange(3), 2)


GOOD = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5]])


def changed(row, values):
    proba = GOOD.copy()
    proba[row] = values
    return proba


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (GOOD.tolist(), "must return an array of probabilities or Predictions, returned list"),
        (None, "must return an array of probabilities or Predictions, returned NoneType"),
        (GOOD[:, :1], "probabilities must have shape (3, 2), got (3, 1); is a class missing from train?"),
        (GOOD[:2], "probabilities must have shape (3, 2), got (2, 2)"),
        (GOOD[:, 0], "probabilities must have shape (3, 2), got (3,)"),
        (np.array([[0, 1]] * 3), "probabilities must be floats, got int64"),
        (GOOD.astype(complex), "probabilities must be floats, got complex128"),
        (changed(1, np.nan), "probabilities must be finite; 1 rows are not, the first at position 1"),
        (changed([0, 2], np.inf), "probabilities must be finite; 2 rows are not, the first at position 0"),
        (changed(2, [-0.5, 1.5]), "probabilities must not be negative, the smallest is -0.5"),
        (changed(2, [0.7, 0.5]), "rows must sum to 1; 1 do not, position 2 sums to 1.2"),
        (Predictions(GOOD[:2]), "probabilities must have shape (3, 2), got (2, 2)"),
        (
            Predictions(GOOD, checkpoints={"epoch 1": np.zeros(3)}),
            "checkpoint 'epoch 1' must be a (3,) uint8 array of labels",
        ),
        (
            Predictions(GOOD, checkpoints={"last": np.array([0, 2, 1], np.uint8)}),
            "checkpoint 'last' holds label 2, but there are 2 classes",
        ),
        (Predictions(GOOD, rows={"sure": np.ones(2)}), "rows 'sure' must be a (3,) array of numbers or a mask"),
        (
            Predictions(GOOD, rows={"sure": np.array(list("abc"))}),
            "rows 'sure' must be a (3,) array of numbers or a mask",
        ),
        (
            Predictions(GOOD, checkpoints={7: np.zeros(3, np.uint8)}),
            "checkpoints must have names that are strings, got 7",
        ),
        (Predictions(GOOD, rows={" ": np.zeros(3)}), "rows must have names that can be printed, got ' '"),
        (
            Predictions(GOOD, {"base": [{"a\nb": 1}]}),
            "facts must have names that can be printed, got 'a\\nb'",
        ),
        (Predictions(GOOD, {3: "three"}), "facts must have names that are strings, got 3"),
        (Predictions(GOOD, {"seed": 2**63}), "facts must hold whole numbers of less than 64 bits"),
        (Predictions(GOOD, ["a"]), "facts must be a mapping from names, got list"),
    ],
)
def test_an_invalid_result_is_refused_with_its_first_error(result, problem):
    assert find_error(result, 3, 2) == problem


@pytest.mark.parametrize(
    "result",
    [
        GOOD,
        GOOD.astype(np.float32),
        changed(0, [0.3, 0.7004]),  # rounding of float16 or of a clamp is forgiven
        Predictions(
            GOOD,
            checkpoints={"a": np.array([0, 1, 1], np.uint8)},
            rows={"mask": np.array([True, False, True]), "round": np.arange(3)},
        ),
    ],
)
def test_a_valid_result_has_no_error(result):
    assert find_error(result, 3, 2) is None


def test_no_rows_to_label_is_no_error():
    assert find_error(np.empty((0, 2)), 0, 2) is None


def test_facts_that_hold_themselves_are_refused():
    facts = {}
    facts["base"] = facts
    assert find_error(Predictions(GOOD, facts), 3, 2) == "facts must be nested at most 20 deep"

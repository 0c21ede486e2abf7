"""Writing a block refuses what is no matrix of finite numbers."""

from dataclasses import dataclass

import numpy as np
import pytest

from harness import DataError, Items
from harness.run.block_writer import fill as fill_file


@dataclass(frozen=True)
class Yields:
    """An embedder that yields chunks of the given shapes."""

    shapes: tuple[tuple[int, int], ...]
    name = "yields"

    def embed(self, items, start):
        for shape in self.shapes:
            yield np.ones(shape, np.float32)


def fill(tmp_path, *shapes):
    items = Items("none", np.arange(6), np.arange(6), ())
    fill_file(Yields(shapes), "embedding", items, tmp_path / "array.npy")
    return np.load(tmp_path / "array.npy")


def test_chunks_of_any_size_become_one_array(tmp_path):
    assert fill(tmp_path, (0, 3), (4, 3), (2, 3)).shape == (6, 3)


def test_a_change_of_width_is_refused(tmp_path):
    with pytest.raises(DataError, match="gave 2 columns from row number 4 on, 3 before"):
        fill(tmp_path, (4, 3), (2, 2))


def test_a_change_of_width_after_a_kill_is_refused(tmp_path):
    with pytest.raises(DataError, match="gave 4 rows for 6"):
        fill(tmp_path, (4, 3))
    with pytest.raises(DataError, match="gave 2 columns from row number 4 on, 3 before"):
        fill(tmp_path, (2, 2))
    assert fill(tmp_path, (2, 3)).shape == (6, 3)


@pytest.mark.parametrize("rows", [5, 7])
def test_too_few_or_too_many_rows_are_refused(tmp_path, rows):
    with pytest.raises(DataError, match=f"gave {rows} rows for 6"):
        fill(tmp_path, (rows, 3))


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (None, "gave NoneType"),
        (np.ones(6), r"gave shape \(6,\)"),
        (np.ones((6, 0)), r"gave shape \(6, 0\)"),
        (np.full((6, 2), "1"), "must give numbers, gave <U1"),
        (np.ones((6, 2), complex), "must give numbers, gave complex128"),
        (np.ones((6, 2), object), "must give numbers, gave object"),
        (np.full((6, 2), 1e300), r"NaN or infinite values in 6 rows \(id 0, 1, 2, \.\.\.\)"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["embedding", "feature"])
def test_what_is_no_matrix_of_numbers_is_refused(tmp_path, kind, chunk, words):
    items = Items("none", np.arange(6), np.arange(6), ())
    with pytest.raises(DataError, match=words):
        fill_file(Gives(chunk, ("a", "b")), kind, items, tmp_path / "array.npy")


@dataclass(frozen=True)
class Gives:
    """A maker of either kind that returns one array and column names."""

    array: object
    names: object
    name = "gives"

    def embed(self, items, start):
        yield self.array

    def features(self, items):
        return self.array


@pytest.mark.parametrize("array", [np.ones((6, 2), np.int8), np.eye(6, 2, dtype=bool), [[1, 2.5]] * 6], ids=str)
def test_numbers_of_any_kind_become_float32(tmp_path, array):
    items = Items("none", np.arange(6), np.arange(6), ())
    assert fill_file(Gives(array, ["a", "b"]), "feature", items, tmp_path / "array.npy") == ("a", "b")
    np.testing.assert_array_equal(np.load(tmp_path / "array.npy"), np.array(array, np.float32))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "has 0 names for 2 columns"),
        (("a",), "has 1 names for 2 columns"),
        (("a", "b", "c"), "has 3 names for 2 columns"),
        (("a", "a"), "has 1 different names for 2 columns"),
        (("a", 2), r"in a tuple of strings, has \('a', 2\)"),
        ("ab", "in a tuple of strings, has 'ab'"),
    ],
    ids=str,
)
def test_every_column_of_a_feature_set_has_a_name_of_its_own(tmp_path, names, words):
    items = Items("none", np.arange(6), np.arange(6), ())
    with pytest.raises(DataError, match=f"must name its columns.*{words}"):
        fill_file(Gives(np.ones((6, 2)), names), "feature", items, tmp_path / "array.npy")

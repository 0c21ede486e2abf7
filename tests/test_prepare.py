"""What a maker may get wrong while its block is being written."""

from dataclasses import dataclass

import numpy as np
import pytest

from harness import DataError, Items
from harness.rowfile import fill as fill_file


@dataclass(frozen=True)
class Yields:
    """An embedder that yields chunks of the given shapes, from row number `start` on."""

    shapes: tuple[tuple[int, int], ...]
    name = "yields"

    def embed(self, items, start):
        for shape in self.shapes:
            yield np.ones(shape, np.float32)


def fill(tmp_path, *shapes):
    items = Items("none", np.arange(6), np.arange(6), ())
    fill_file(Yields(shapes), "embedding", "block", items, tmp_path / "array.npy")
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

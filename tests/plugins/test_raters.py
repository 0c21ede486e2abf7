"""raters: numbers of raters by class and their labels one-hot, where they are on all rows."""

from dataclasses import replace

import numpy as np
import pytest

from harness import DataError, Items, RaterLabels
from harness_plugins.features.raters import Raters

LABELS = RaterLabels([0, 0, 2, 4], [0, 1, 1, 0], [2, 2, 0, 1], 5, 2)
ITEMS = Items("data.parquet", np.array([0, 2, 3]), np.arange(3), (), file_raters=LABELS)


def test_columns_count_the_raters_and_say_who_said_what():
    array, names = Raters().features(ITEMS)
    column = dict(zip(names, array.T.tolist(), strict=True))
    assert column == {
        **{"raters for 0": [0, 1, 0], "raters for 1": [0, 0, 0], "raters for 2": [2, 0, 0]},
        **{"rater 1=0": [0, 0, 0], "rater 1=1": [0, 0, 0], "rater 1=2": [1, 0, 0]},
        **{"rater 2=0": [0, 1, 0], "rater 2=1": [0, 0, 0], "rater 2=2": [1, 0, 0]},
    }
    counts, names = Raters(one_hot=False).features(ITEMS)
    np.testing.assert_array_equal(counts, array[:, :3])
    assert names == ("raters for 0", "raters for 1", "raters for 2")


def test_raters_that_are_not_on_all_rows_are_refused():
    with pytest.raises(DataError, match=r"no raters are seen on all rows; name them under data"):
        Raters().features(replace(ITEMS, file_raters=None))


def test_too_many_raters_are_refused_with_what_to_do():
    many = RaterLabels([0, 1], [0, 499], [0, 2], 5, 500)
    with pytest.raises(DataError, match=r"500 raters of 3 classes are 1,503 columns, .*'one_hot: false'"):
        Raters().features(replace(ITEMS, file_raters=many))

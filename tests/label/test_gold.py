"""Labels of chosen rows: which class a text names, and which fold holds a chosen row out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.classes import Classes
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.label import folds
from harness.label.gold import number_class

NAMED = Classes(("bad", "fair", "good"), stored="numbers")


@pytest.mark.parametrize(
    ("classes", "text", "number"),
    [
        (Classes.numbered(6), "3", 3),
        (Classes.numbered(6), "3.0", 3),
        (Classes.numbered(6), "3.5", None),
        (Classes.numbered(6), "6", None),
        (Classes.numbered(6), "nan", None),
        (Classes.numbered(6), "", None),
        (Classes((1, 2, 3)), "1", 0),
        (Classes((0.5, 1.0)), "0.50", 0),
        (Classes((False, True)), "True", 1),
        (Classes(("bad", "good")), "good", 1),
        (Classes(("bad", "good")), "1", None),
        (NAMED, "fair", 1),
        (NAMED, "2", 2),
        (Classes.cut((2.0, 4.0)), "2 to 4", 1),
        (Classes.cut((2.0, 4.0)), "4.5", 2),
    ],
)
def test_a_text_names_a_class(classes, text, number):
    assert number_class(classes, text) == number


@pytest.mark.parametrize("grouped", [False, True])
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_chosen_rows_are_held_out_once_with_their_groups_and_move_no_other(tmp_path_factory, grouped, seed):
    rng = np.random.default_rng(seed)
    dataset = data_of(tmp_path_factory, rng, grouped)
    fold = folds.assign_folds(dataset, 4)
    unlabelled = np.setdiff1d(np.arange(len(dataset)), dataset.labelled)
    chosen = np.sort(rng.permutation(unlabelled)[:20])
    y = rng.integers(0, 3, 20)
    of_chosen = folds.assign_chosen(dataset, fold, chosen, y)
    assert set(of_chosen) <= set(range(4))
    if not grouped:
        counts = np.array([np.bincount(of_chosen[y == c], minlength=4) for c in range(3)])
        assert (np.ptp(counts, axis=1) <= 1).all(), "every class is dealt evenly"
        return
    fold_of_group = dict(zip(dataset.groups[dataset.labelled].tolist(), fold.tolist(), strict=True))
    for group, number in zip(dataset.groups[chosen].tolist(), of_chosen.tolist(), strict=True):
        assert fold_of_group.setdefault(group, number) == number


def data_of(tmp_path_factory, rng, grouped):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from harness.data.table import open_table

    folder = tmp_path_factory.mktemp("gold")
    labels = pa.array(rng.integers(0, 3, 80), mask=np.arange(80) % 2 == 1)
    pq.write_table(pa.table({"y": labels, "g": rng.integers(0, 25, 80)}), folder / "data.parquet")
    table = open_table("data.parquet", (folder,), folder / "cache", "error", None)
    return load_dataset(Data("data.parquet", "y", 3, group="g" if grouped else None), Population(), table)

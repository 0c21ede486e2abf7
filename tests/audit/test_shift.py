"""Population shifts, against SciPy's test and on the record's 30,000 rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from harness.audit.shift import compare_samples, find_shifts
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.plugin.protocols import Split
from harness.run.plan import EvaluationSplit


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_the_p_value_is_that_of_a_contingency_table(first, second):
    shift = compare_samples("", "", np.array(first), np.array(second))
    names = sorted({*first, *second})
    if len(names) == 1:
        assert shift is None
        return
    counts = [[sample.count(name) for name in names] for sample in (first, second)]
    assert shift.p == pytest.approx(chi2_contingency(counts, correction=False).pvalue)


def test_the_effect_is_cohens_w_by_hand():
    # Shares .75 / .25 against .5 / .5 of all: w = sqrt(.0625 / .5 + .0625 / .5) = .5
    shift = compare_samples("samples", "class", np.array([0, 0, 0, 1]), np.array([1, 1, 1, 0]))
    assert (shift.w, shift.rows, shift.others) == (0.5, 4, 4)
    assert not shift.shifted, "so few rows show nothing"


def test_names_of_any_kind_are_compared():
    names = np.array(["a", "b"] * 500, np.dtypes.StringDType())
    assert not compare_samples("", "source", names, names[::-1]).shifted
    assert compare_samples("", "source", names, np.array(["a"] * 1000, np.dtypes.StringDType())).shifted


@pytest.fixture
def pool(scores, table_of):
    """A function from a population of the record to its shifts."""
    ends = [0, 100_000, 133_919, 233_919, 248_930, 300_932]
    names = np.repeat(["flan_v2", "oasst1", "wizardlm", "dolly", "stanford_alpaca"], np.diff(ends))
    table = table_of({"gpt": scores["gpt_scores"], "source": names.tolist()})
    data = Data("data.parquet", "gpt", 6, source="source")

    def shifts(population):
        dataset = load_dataset(data, population, table)
        order = np.random.default_rng(3).permutation(len(dataset))
        split = Split(np.sort(order[:3000]), np.sort(order[3000:]), np.empty(0, np.int64), 3)
        full = load_dataset(data, Population(), table)
        evaluations = [EvaluationSplit("prefix", split)]
        return {(s.samples.partition(",")[0], s.by): s for s in find_shifts(dataset, full, evaluations)}

    return shifts


def test_the_records_first_30000_rows_are_no_sample_of_the_pool(pool):
    shifts = pool(Population("first", n=30_000))
    assert {key for key, shift in shifts.items() if shift.shifted} == {
        ("population against the file", "class"),
        ("population against the file", "source"),
    }
    by_class = shifts["population against the file", "class"]
    # From the class shares of the two, published to four digits: .0619 .1475 .2862 .2923 .1993 .0127 of the pool.
    assert by_class.w == pytest.approx(0.386, abs=0.01)
    assert by_class.p < 1e-300
    assert (by_class.rows, by_class.others) == (30_000, 270_932)


def test_a_random_sample_of_the_same_size_is_one(pool):
    assert not any(shift.shifted for shift in pool(Population("random", n=30_000)).values())
    assert ("population against the file", "class") not in pool(Population())


def test_a_balanced_sample_is_shifted_by_class(pool):
    shifts = pool(Population("balanced", per_class=3000))
    assert shifts["population against the file", "class"].shifted
    assert not shifts["train against test", "class"].shifted


def test_rows_that_are_labelled_in_some_sources_alone_are_a_shift(table_of):
    source = ["a", "b"] * 300
    y = [1 if name == "a" or row % 4 == 1 else None for row, name in enumerate(source)]
    dataset = load_dataset(
        Data("data.parquet", "y", 2, source="source"), Population(), table_of({"y": y, "source": source})
    )
    (shift,) = find_shifts(dataset, dataset, [])
    assert (shift.samples, shift.by, shift.shifted) == ("labelled rows against the others", "source", True)

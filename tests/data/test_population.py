"""Each population against its definition, always in file order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.population import Population, select
from harness.errors import DataError

RNG = np.random.default_rng(5)
N, CLASSES = 500, 4
TARGET = RNG.choice(CLASSES, N, p=[0.6, 0.25, 0.1, 0.05])
IS_LABELLED = RNG.random(N) < 0.8
SOURCES = np.array([("flan", "dolly", "oasst")[i // 200] for i in range(N)], np.dtypes.StringDType())


def take(population, target=TARGET, is_labelled=IS_LABELLED, sources=SOURCES):
    return select(population, target, is_labelled, sources, CLASSES, "d.parquet")


def per_class(rows):
    return np.bincount(TARGET[rows], minlength=CLASSES).tolist()


def test_all_and_first():
    assert take(Population()).tolist() == list(range(N))
    assert take(Population("first", n=7)).tolist() == list(range(7))
    assert take(Population("first", n=N)).tolist() == list(range(N))


def test_random_is_a_sorted_prefix_of_one_permutation():
    rows = take(Population("random", n=40, seed=3))
    assert rows.tolist() == sorted(np.random.default_rng(3).permutation(N)[:40].tolist())
    assert set(rows) <= set(take(Population("random", n=90, seed=3)))
    assert (~IS_LABELLED[rows]).any()  # labels play no part


def test_source_takes_the_rows_of_one_source():
    assert take(Population("source", source="dolly")).tolist() == list(range(200, 400))
    numbers = np.arange(N) // 100
    assert take(Population("source", source="2"), sources=numbers).tolist() == list(range(200, 300))


def test_balanced_takes_as_many_of_each_class():
    rows = take(Population("balanced", per_class=9, seed=1))
    assert per_class(rows) == [9] * CLASSES
    assert len(set(rows)) == len(rows)
    assert IS_LABELLED[rows].all()


def test_oversampled_repeats_rows_up_to_the_largest_class():
    largest = int(np.bincount(TARGET[IS_LABELLED]).max())
    rows = take(Population("oversampled"))
    assert per_class(rows) == [largest] * CLASSES
    assert set(rows) == set(np.flatnonzero(IS_LABELLED))  # no row is lost
    for c in range(CLASSES):
        times = np.unique(rows[TARGET[rows] == c], return_counts=True)[1]
        assert times.max() - times.min() <= 1  # none is repeated more than another
    assert per_class(take(Population("oversampled", per_class=50))) == [50] * CLASSES


def test_oversampled_makes_nothing_of_an_absent_class():
    is_labelled = IS_LABELLED & (TARGET != 2)
    assert per_class(take(Population("oversampled", per_class=5), is_labelled=is_labelled)) == [5, 5, 0, 5]


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, int(IS_LABELLED.sum())), seed=st.integers(0, 10))
def test_stratified_keeps_the_shares_to_less_than_a_row(n, seed):
    rows = take(Population("stratified", n=n, seed=seed))
    assert len(rows) == len(set(rows)) == n
    assert IS_LABELLED[rows].all()
    exact = np.bincount(TARGET[IS_LABELLED], minlength=CLASSES) * n / IS_LABELLED.sum()
    assert (np.abs(per_class(rows) - exact) < 1).all()


def test_stratified_gives_the_odd_row_to_the_largest_remainder():
    target = np.array([0] * 5 + [1] * 3 + [2] * 2)
    rows = take(Population("stratified", n=4), target=target, is_labelled=np.ones(10, bool))
    assert np.bincount(target[rows], minlength=3).tolist() == [2, 1, 1]  # exact shares 2, 1.2, 0.8


SEEDED = [
    {"take": "random", "n": 60},
    {"take": "stratified", "n": 60},
    {"take": "balanced", "per_class": 8},
    {"take": "oversampled"},
]
FIXED = [{"take": "all"}, {"take": "first", "n": 60}, {"take": "source", "source": "flan"}]


@pytest.mark.parametrize("parameters", SEEDED + FIXED, ids=lambda parameters: parameters["take"])
def test_file_order_is_kept_and_the_seed_decides(parameters):
    rows, again, other = (take(Population(**parameters, seed=seed)) for seed in (0, 0, 1))
    assert (np.diff(rows) >= 0).all()
    assert rows.tolist() == again.tolist()
    assert (rows.tolist() != other.tolist()) == (parameters in SEEDED)
    assert len(rows) == len(other)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"take": "first", "n": 501}, "the population wants 501 rows, there are 500"),
        ({"take": "random", "n": 5_000}, "the population wants 5,000 rows, there are 500"),
        ({"take": "stratified", "n": 500}, f"the population wants 500 labelled rows, there are {IS_LABELLED.sum()}"),
        ({"take": "balanced", "per_class": 400}, "the population wants 400 rows of class 0, there are "),
        ({"take": "balanced", "per_class": 30}, "the population wants 30 rows of class 3, there are "),
        ({"take": "source", "source": "doly"}, "no row of source 'doly'; did you mean 'dolly'"),
    ],
)
def test_what_is_not_there_cannot_be_taken(parameters, words):
    with pytest.raises(DataError, match=f"^d.parquet: {words}"):
        take(Population(**parameters))


def test_a_source_needs_a_column_of_sources():
    with pytest.raises(DataError, match="needs the column of the sources; name it under data, as 'source: "):
        take(Population("source", source="flan"), sources=None)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"take": "first"}, "take: first needs 'n'"),
        ({"take": "random"}, "take: random needs 'n'"),
        ({"take": "stratified", "per_class": 3}, "take: stratified needs 'n'"),
        ({"take": "balanced", "n": 3}, "take: balanced has no use for 'n'"),
        ({"take": "balanced"}, "take: balanced needs 'per_class'"),
        ({"take": "source"}, "take: source needs 'source'"),
        ({"take": "all", "n": 3}, "take: all has no use for 'n'"),
        ({"take": "oversampled", "n": 3}, "take: oversampled has no use for 'n'"),
        ({"take": "first", "n": 0}, "n must be at least 1, got 0"),
        ({"take": "balanced", "per_class": -1}, "per_class must be at least 1, got -1"),
        ({"take": "oversampled", "per_class": 0}, "per_class must be at least 1, got 0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(parameters, words):
    with pytest.raises(ValueError, match=words):
        Population(**parameters)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed must be 0 or more, got -1"):
        Population("random", n=3, seed=-1)


def test_a_population_shows_its_size_and_seed():
    assert str(Population()) == "all"
    assert str(Population("first", n=30_000)) == "first, 30,000"
    assert str(Population("random", n=5, seed=2)) == "random, 5, seed 2"
    assert str(Population("balanced", per_class=3_000)) == "balanced, 3,000 per class, seed 0"
    assert str(Population("source", source="dolly")) == "source, dolly"


def test_balanced_on_the_real_scores(scores):
    target = scores["gpt_scores"].to_numpy().astype(np.int64)
    rows = select(Population("balanced", per_class=3_000), target, np.ones(len(target), bool), None, 6, "scores")
    assert np.bincount(target[rows]).tolist() == [3_000] * 6
    assert len(np.unique(rows)) == 18_000

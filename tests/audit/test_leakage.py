"""Single columns that give the label away: the scores against plain loops, silence on honest data."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.audit.leakage import (
    FOLDS,
    LabelledSample,
    code_ranges,
    describe_leaks,
    find_leaking_columns,
    sample_labelled,
)
from harness.audit.text_columns import code_values, name_columns, text_columns
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.plugin.block import Block

CLASSES = 4


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 4)), min_size=12, max_size=60))
def test_the_accuracy_is_that_of_a_plain_loop(triples):
    codes, y, fold = np.array(triples).T
    sample = LabelledSample(np.arange(len(y)), np.arange(len(y)), y, fold, CLASSES)
    hits = 0
    for held in range(FOLDS):
        others = [(c, label) for c, label, f in triples if f != held]
        prior = Counter(label for _, label in others)
        for c, label, f in triples:
            if f == held:
                votes = Counter(v for code, v in others if code == c)
                hits += label == max(range(CLASSES), key=lambda v: (votes[v], prior[v], -v))
    assert sample.accuracy(codes) == pytest.approx(hits / len(y))


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=300))
def test_few_values_are_ranges_of_their_own(values):
    codes, distinct = code_ranges(np.array(values, np.float32))
    assert distinct == len(set(values))
    assert len(set(zip(values, codes.tolist(), strict=True))) == len(set(codes.tolist())) == distinct


def test_many_values_fall_into_ranges_of_equal_size_that_keep_the_order():
    values = np.random.default_rng(0).normal(size=6_400).astype(np.float32)
    codes, distinct = code_ranges(values)
    assert distinct > 6_000
    assert set(np.bincount(codes)) == {100}
    assert (np.diff(codes[np.argsort(values)]) >= 0).all()


def test_rare_values_share_a_code():
    codes = code_values(["a", "b", "a", "c", "b", "d"])
    assert (codes[0] == codes[2], codes[1] == codes[4], codes[3] == codes[5]) == (True, True, True)
    assert len(set(codes.tolist())) == 3


def test_parts_of_names_are_runs_of_letters_or_digits():
    columns = dict(name_columns(["a3-17", "a3-18", "b3-17"]))
    first, second, last = (columns[f"the {place} part of"] for place in ("first", "second", "last"))
    assert (first[0] == first[1], first[0] == first[2]) == (True, False)
    assert len(set(second.tolist())) == 1
    assert (last[0] == last[2], last[0] == last[1]) == (True, False)


def test_a_number_behind_a_word_is_a_column_where_most_texts_have_it():
    talks = [[("user", "Why?"), ("assistant", f"So. Score: {i % 3}." + " age 7" * (i == 0))] for i in range(10)]
    columns = {name: values.tolist() for name, values, _ in text_columns(talks)}
    codes = columns["the number after 'score' in the last turn"]
    assert all((codes[i] == codes[j]) == (i % 3 == j % 3) for i in range(9) for j in range(9))
    assert not any("'age'" in name for name in columns)


def honest(table_of, n=1_500, **columns):
    """Return the data set, blocks and labels of rows that are hard to label, in no order."""
    rng = np.random.default_rng(0)
    y = rng.choice(CLASSES, n, p=[0.4, 0.3, 0.2, 0.1])
    words = np.array(["salt", "rain", "bread", "iron", "music", "glass"])
    talks = [
        [
            {"role": "user", "content": f"What is {words[rng.integers(6)]}, {rng.integers(1_000)}?"},
            {"role": "assistant", "content": " ".join(words[rng.integers(0, 6, 5 + label + rng.poisson(6))])},
        ]
        for label in y
    ]
    source = np.where(rng.random(n) < 0.3, y % 3, rng.integers(0, 3, n))
    table = {"y": y, "talk": talks, "source": [f"s{s}" for s in source], "group": rng.integers(0, n // 3, n)}
    table |= {"other": np.where(rng.random(n) < 0.6, y, rng.integers(0, CLASSES, n)), **columns}
    data = Data("data.parquet", "y", CLASSES, text="talk", source="source", group="group", raters=("y", "other"))
    X = rng.normal(size=(CLASSES, 8))[y] + 2 * rng.normal(size=(n, 8))
    blocks = {"e": Block(X.astype(np.float32), "embedding"), "one": Block(np.eye(3, dtype=np.float32)[source])}
    return load_dataset(data, Population(), table_of(table)), blocks, y


def leaks(dataset, blocks, best=None):
    sample = sample_labelled(dataset)
    return list(describe_leaks(find_leaking_columns(dataset, sample, blocks, ("", "other"), best), sample))


def test_nothing_is_said_of_honest_data(table_of):
    dataset, blocks, _ = honest(table_of)
    assert leaks(dataset, blocks, 0.5) == []


def test_a_column_far_above_its_block_is_a_leak_where_no_labeler_does_much_better(table_of):
    dataset, blocks, y = honest(table_of)
    rng = np.random.default_rng(1)
    noisy = np.where(rng.random(len(y)) < 0.12, rng.integers(0, CLASSES, len(y)), y)
    X = np.column_stack([blocks["e"].array, noisy + rng.normal(0, 0.05, len(y))]).astype(np.float32)
    planted = {"e": Block(X, "embedding")}
    (sentence,) = leaks(dataset, planted, 0.91)
    assert sentence.startswith("column 8 of block e predicts the label by itself (the usual column of its block ")
    assert leaks(dataset, planted, 0.99) == []
    assert len(leaks(dataset, planted, None)) == 1


def test_the_lowest_bits_of_a_vector_are_read(table_of):
    dataset, blocks, y = honest(table_of)
    X = blocks["e"].array.copy()
    bits = X[:, 5].copy().view(np.uint32)
    bits[:] = (bits & ~np.uint32(7)) | y.astype(np.uint32)
    X[:, 5] = bits.view(np.float32)
    (sentence,) = leaks(dataset, {"e": Block(X, "embedding")})
    assert sentence.startswith(
        "the lowest bits of column 5 of block e predicts the label better than the number itself"
    )


def test_numbers_that_were_written_with_few_digits_hide_nothing_in_their_bits(table_of):
    dataset, _, y = honest(table_of)
    size = np.random.default_rng(2).normal(80 + 16 * y, 6)
    X = np.where(size < 100, size.round(2), size.round(1)).astype(np.float32)[:, None]  # as in a measured table
    assert leaks(dataset, {"e": Block(X)}) == []

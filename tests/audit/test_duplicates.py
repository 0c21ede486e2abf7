"""Duplicates of train rows among the test rows, against plain loops."""

from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.audit import duplicates
from harness.audit.duplicates import NEAR_DUPLICATE_COSINE, find_duplicates, find_near, hash_texts
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.plugin.block import Block
from harness.plugin.protocols import Split
from harness.run.plan import EvaluationSplit

CONVERSATIONS = [
    [("user", "Why?"), ("assistant", "So.")],
    [("user", "Why?"), ("assistant", "Because.")],
    [("user", "Why?"), ("assistant", "So.")],
    [("user", "Who?"), ("assistant", "So.")],
    [("assistant", "So.")],
    [("assistant", "So.")],
    [],
    [],
    [("user", ""), ("assistant", "")],
    [("user", "Why?"), ("user", "?")],
    [("user", "Why??")],
]


def evaluation_of(train, test):
    return EvaluationSplit("a split", Split(np.array(train), np.array(test), np.empty(0, np.int64), 0))


def dataset_of(table_of, conversations, population=None):
    turns = [[{"role": role, "content": content} for role, content in turns] for turns in conversations]
    table = table_of({"y": [0, 1] * (len(turns) // 2) + [0] * (len(turns) % 2), "messages": turns})
    return load_dataset(Data("data.parquet", "y", 2, text="messages"), population or Population(), table)


def test_equal_numbers_are_equal_texts_and_empty_ones_are_no_duplicates(table_of):
    hashes = hash_texts(dataset_of(table_of, CONVERSATIONS).items)
    pairs = [(i, j) for i in range(len(CONVERSATIONS)) for j in range(i)]
    assert [(i, j) for i, j in pairs if hashes.text[i] == hashes.text[j]] == [(2, 0), (5, 4)]
    assert [(i, j) for i, j in pairs if hashes.prompt[i] == hashes.prompt[j]] == [(1, 0), (2, 0), (2, 1)]


def test_each_kind_of_duplicate_has_its_own_mask(table_of):
    dataset = dataset_of(table_of, CONVERSATIONS)
    evaluation = evaluation_of([0, 4, 6], [1, 2, 3, 5, 7])
    duplicates = find_duplicates(dataset, evaluation, hash_texts(dataset.items), {})
    assert {name: mask.tolist() for name, mask in duplicates.masks.items()} == {
        "same row": [False] * 5,
        "same text": [False, True, False, True, False],
        "same prompt": [True, True, False, False, False],
    }
    assert duplicates.share("same text") == 0.4


def test_a_repeated_row_is_the_same_row_whatever_its_number(table_of):
    dataset = dataset_of(table_of, CONVERSATIONS, Population("oversampled", per_class=12))
    rows = dataset.items.rows
    assert len(rows) == 24
    train, test = np.arange(0, 24, 2), np.arange(1, 24, 2)
    expected = [rows[t] in set(rows[train].tolist()) for t in test]
    assert find_duplicates(dataset, evaluation_of(train, test), None, {}).masks["same row"].tolist() == expected
    assert any(expected)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 7, 30_000]))
def test_near_rows_are_those_of_a_plain_loop(seed, n, m, batch_size):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n + m, 3)).astype(np.float32)
    X[rng.integers(0, n + m)] = 0  # a zero vector is near to nothing
    train, test = np.arange(n), np.arange(n, n + m)
    unit = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-30)
    cosine = (unit[test] @ unit[train].T).max(axis=1)
    progress = []
    with patch.object(duplicates, "TEST_ROWS_PER_BATCH", batch_size):
        near = find_near(Block(X, "embedding"), train, test, progress.append)
    assert progress == sorted(progress)
    assert progress[-1] == m
    clear = np.abs(cosine - NEAR_DUPLICATE_COSINE) > 1e-5
    assert (near == (cosine > NEAR_DUPLICATE_COSINE))[clear].all()


def test_only_so_many_rows_are_searched_and_counted(table_of):
    dataset = dataset_of(table_of, CONVERSATIONS)
    block = Block(np.ones((len(dataset), 2), np.float32), "embedding")
    evaluation = evaluation_of([0], np.arange(1, 11))
    progress = []
    few = find_duplicates(dataset, evaluation, None, {"e": block}, 5, lambda *step: progress.append(step))
    assert few.masks["near in e"].tolist() == [True, False, True, False, True, False, True, False, False, True]
    assert few.searched["near in e"].tolist() == few.masks["near in e"].tolist()
    assert (few.examined("near in e"), few.share("near in e"), progress[-1]) == (5, 1.0, ("e", 5, 5))
    assert find_duplicates(dataset, evaluation, None, {"e": block}, None).masks["near in e"].all()

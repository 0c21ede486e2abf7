"""Blocks from which nothing can be learned are named; sound ones are not."""

import numpy as np
import pytest

from harness.plugin.block import Block
from harness.run.block_checks import find_faults, token_faults

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 400)
NOISE = RNG.standard_normal((400, 6))
INFORMED = np.eye(3)[Y] + 0.3 * RNG.standard_normal((400, 3))


def faults(X, y=Y, kind="feature"):
    return list(find_faults(Block(np.float32(X), kind), np.arange(len(y)), y))


@pytest.mark.parametrize(
    ("X", "fault"),
    [
        (np.full((400, 3), 7.0), "none of its 3 columns varies"),
        (np.where(np.arange(400)[:, None] < 250, 1.0, NOISE), "62% of 400 train rows hold one and the same vector"),
        (NOISE, "the nearest train row has the same label no more often than chance"),
    ],
    ids=["constant", "one vector", "noise"],
)
def test_a_block_that_holds_nothing_is_named_once(X, fault):
    (line,) = faults(X)
    assert line.startswith(fault)


@pytest.mark.parametrize("kind", ["feature", "embedding"])
def test_a_block_that_holds_something_is_not_named(kind):
    assert faults(INFORMED, kind=kind) == []
    assert faults(np.column_stack([INFORMED, np.full(400, 3.0)]), kind=kind) == []


def test_features_are_scaled_before_neighbours_are_looked_for():
    X = np.column_stack([INFORMED, 1e4 * NOISE[:, 0]])
    assert faults(X) == []
    assert len(faults(X, kind="embedding")) == 1


def test_neighbours_of_few_rows_or_of_one_class_show_nothing():
    assert faults(NOISE[:40], Y[:40]) == []
    assert faults(NOISE, np.zeros(400, int)) == []
    assert faults(NOISE[:1], Y[:1]) == []


def test_noise_is_named_and_chance_is_counted_right():
    """Of 60 blocks of noise at most a tenth pass the test at 5 %, and their agreement is about the sum of p^2."""
    y = RNG.choice(3, 300, p=[0.6, 0.3, 0.1])
    lines = [line for seed in range(60) for line in faults(np.random.default_rng(seed).standard_normal((300, 4)), y)]
    assert 50 <= len(lines) <= 60
    chance = ((np.bincount(y) / 300) ** 2).sum()
    assert all(f"chance {chance:.1%}" in line for line in lines)


def test_texts_that_share_no_word():
    assert list(token_faults([{"a"}, {"b"}, {"c", "d"}, {"a", "x"}])) == []  # half of them
    assert list(token_faults([{"a"}, {"b"}, {"c", "d"}])) == ["100% of 3 texts share no word with any other"]
    assert list(token_faults([])) == list(token_faults([{"a"}])) == []

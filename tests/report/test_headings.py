"""Headings of comparisons follow from the rows of the splits."""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.plugin.protocols import Split
from harness.report.headings import headings
from harness.run.plan import EvaluationSplit


def splits_of(family, *splits):
    """Return splits given as (train, test, spare, seed, ratio, fold)."""
    for train, test, spare, seed, ratio, fold in splits:
        rows = [np.arange(part.start, part.stop) for part in (train, test, spare)]
        comparison = family if ratio is None else f"{family}, {ratio * 100:.4g} % labelled"
        yield EvaluationSplit(comparison, Split(*rows, seed, ratio, fold))


def run_of(*evaluations):
    """Return a run of two labelers on every split."""
    return SimpleNamespace(cells=[SimpleNamespace(evaluation=e) for e in evaluations for _ in range(2)])


NOTHING = slice(0, 0)
NESTED = [(slice(0, 1200), slice(6000, 12000), slice(1200, 6000), seed, 0.1, None) for seed in (1, 2)]
PREFIX = [(slice(0, n), slice(n, 100), NOTHING, 3, n / 100, None) for n in (10, 20)]
FOLDS = [(slice(0, 80 + fold), slice(80 + fold, 100), NOTHING, 1, None, fold) for fold in range(5)]
ALONE = [(slice(0, 10), slice(50, 100), slice(10, 50), 1, 0.1, None)]
REDRAWN = [(slice(0, 10), slice(40 + seed, 90 + seed), slice(90, 100), seed, 0.1, None) for seed in (1, 2)]


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (NESTED, {"s, 10 % labelled": "10 % labelled (1,200 rows), fixed test set"}),
        (ALONE, {"s, 10 % labelled": "10 % labelled (10 rows), fixed test set"}),
        (
            PREFIX,
            {
                "s, 10 % labelled": "10 % labelled (10 rows), test: all other rows",
                "s, 20 % labelled": "20 % labelled (20 rows), test: all other rows",
            },
        ),
        (FOLDS, {"s": "80-84 labelled rows, 5 folds"}),
        (REDRAWN, {"s, 10 % labelled": "10 % labelled (10 rows), test rows of each seed"}),
    ],
    ids=["nested", "one split", "prefix", "folds", "other test rows for each seed"],
)
def test_a_heading_names_the_labels_and_the_test_rows(splits, expected):
    assert headings(run_of(*splits_of("s", *splits))) == expected


def test_two_comparisons_never_share_a_heading():
    other = [(train, slice(6000, 9000), spare, seed, ratio, fold) for train, _, spare, seed, ratio, fold in NESTED]
    texts = headings(
        run_of(*splits_of("nested(test=0.5)", *NESTED), *splits_of("nested", *other), *splits_of("p", *PREFIX))
    )
    assert texts["nested, 10 % labelled"] == "10 % labelled (1,200 rows), fixed test set, nested"
    assert texts["nested(test=0.5), 10 % labelled"] == "10 % labelled (1,200 rows), fixed test set, nested(test=0.5)"
    assert texts["p, 10 % labelled"] == "10 % labelled (10 rows), test: all other rows"

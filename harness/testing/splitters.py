"""Checks of splitters on small sets of labelled rows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.splits import check_splits
from harness.errors import DataError, NotApplicable
from harness.plugin.protocols import Labelled, Split, Splitter
from harness.testing.examples import example_labelled
from harness.testing.finding import Check, PromiseError, check_form, require


def check_same_splits(splitter: Splitter) -> None:
    """Check that the same rows and seed have the same splits."""
    first, second = (_splits(splitter, example_labelled(), seed=1) for _ in range(2))
    same = len(first) == len(second) and all(map(_are_equal, first, second))
    require(same, "the same rows and seed must get the same splits twice: draw all chance from the seed")


def check_seed(splitter: Splitter) -> None:
    """Check that each split has the seed that its splitter was given."""
    for seed in (0, 1, 2**31 + 7):
        seeds = {split.seed for split in _splits(splitter, example_labelled(), seed)}
        require(
            seeds == {seed}, f"asked with seed {seed}, its splits say {sorted(seeds)}: hand the seed on to every Split"
        )


def check_folds(splitter: Splitter) -> None:
    """Check that splits of one seed differ in ratio or fold.

    A cell is identified by these.
    """
    splits = _splits(splitter, example_labelled(), seed=1)
    ratios_and_folds = {(split.ratio, split.fold) for split in splits}
    require(
        len(ratios_and_folds) == len(splits),
        "two splits of one seed have the same ratio and fold: number them, as fold=0, 1, ...",
    )


def _valid(name: str, case: str, change: Callable[[Labelled], Labelled]) -> Check:
    """Make the check that the splits of changed rows are valid."""

    def check(splitter: Splitter) -> None:
        _splits(splitter, change(example_labelled()), seed=1)

    check.__name__, check.__doc__ = name, f"Check the splits {case}".strip() + "."
    return check


splitter_checks: tuple[Check, ...] = (
    check_form,
    _valid("check_splits", "", lambda rows: rows),
    _valid("check_ids", "with text as ids", lambda rows: replace(rows, ids=_as_text(rows.ids))),
    _valid("check_groups", "with groups of unequal size", lambda rows: replace(rows, groups=_make_groups(rows))),
    _valid("check_group_names", "with text as groups", lambda rows: replace(rows, groups=_as_text(_make_groups(rows)))),
    _valid("check_no_sources", "without sources", lambda rows: replace(rows, sources=None)),
    check_same_splits,
    check_seed,
    check_folds,
)


def _splits(splitter: Splitter, labelled: Labelled, seed: int) -> list[Split]:
    """Return the splits as the harness takes them.

    Raises NotApplicable for a DataError of the splitter's own.
    """
    try:
        return check_splits(splitter.splits(labelled, seed), labelled)
    except DataError as error:
        raise NotApplicable(str(error)) from error
    except ValueError as error:
        raise PromiseError(str(error)) from error


def _are_equal(one: Split, other: Split) -> bool:
    sides = ((one.train, other.train), (one.test, other.test), (one.spare, other.spare))
    same = (one.ratio, one.fold) == (other.ratio, other.fold)
    return same and all(np.array_equal(np.sort(first), np.sort(second)) for first, second in sides)


def _as_text(array: NDArray[Any]) -> NDArray[Any]:
    """Return ids as text, in the type that the harness reads text in."""
    return np.array([f"no. {number}" for number in array.tolist()], np.dtypes.StringDType())


def _make_groups(labelled: Labelled) -> NDArray[np.int64]:
    """Return groups (n,) of one to four rows, shuffled."""
    sizes = np.arange(len(labelled.rows)) % 4 + 1
    group = np.repeat(np.arange(len(sizes)), sizes)[: len(labelled.rows)]
    return np.random.default_rng(0).permutation(group)

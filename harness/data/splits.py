"""Make and check the splits of a splitter."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, describe_error, first_line
from harness.plugin.block import Rows
from harness.plugin.protocols import Labelled, Split, Splitter

MAX_SPLITS = 10_000  # of one seed
SIDES = ("train", "test", "spare")


def make_splits(splitter: Splitter, labelled: Labelled, seed: int) -> list[Split]:
    """Return the splits of one seed, at least one, their rows int64.

    Raises DataError with the splitter's name and the seed where it fails or returns anything but splits.
    """
    try:
        return check_splits(splitter.splits(labelled, seed), labelled)
    except DataError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = first_line(str(error)) if isinstance(error, ValueError) and str(error) else describe_error(error)
        raise DataError(f"splitter {splitter.name!r}, seed {seed}: {reason}") from error


def check_splits(answer: object, labelled: Labelled) -> list[Split]:
    """Return a splitter's answer as splits of the labelled rows.

    Raises ValueError where it is none.
    """
    if not isinstance(answer, Iterable):
        raise ValueError(f"must give an iterable of Split, gave {type(answer).__name__}")
    groups = None if labelled.groups is None else np.unique(labelled.groups, return_inverse=True)[1].reshape(-1)
    splits = [_check_split(split, labelled, groups) for split in islice(answer, MAX_SPLITS + 1)]
    if len(splits) > MAX_SPLITS:
        raise ValueError(f"gave more than {MAX_SPLITS:,} splits")
    if not splits:
        raise ValueError("gave no split")
    return splits


def _check_split(split: object, labelled: Labelled, groups: NDArray[np.int64] | None) -> Split:
    """Return a checked split of the labelled rows, with `groups` (n,) numbers.

    Raises ValueError where it is none.
    """
    if not isinstance(split, Split):
        raise ValueError(f"must give an iterable of Split, and among what it gave is {type(split).__name__}")
    sides = {side: _row_numbers(side, getattr(split, side), labelled) for side in SIDES}
    for side in ("train", "test"):
        if len(sides[side]) == 0:
            raise ValueError(f"no row is left to {side}")
    all_rows = np.concatenate(list(sides.values()))
    if len(np.unique(all_rows)) < len(all_rows):
        raise ValueError("a row stands on two sides, or twice on one")
    if groups is not None:
        train, test = (groups[np.searchsorted(labelled.rows, sides[side])] for side in ("train", "test"))
        straddling = np.intersect1d(train, test)
        if len(straddling):
            raise ValueError(f"{len(straddling)} groups stand in train and test")
    validation = _row_numbers("validation", split.validation, labelled)
    if not np.isin(validation, sides["train"]).all():
        raise ValueError("its validation rows must be train rows")
    if 0 < len(validation) == len(sides["train"]):
        raise ValueError("all train rows are validation rows: none is left to learn from")
    return replace(split, train=sides["train"], test=sides["test"], spare=sides["spare"], validation=validation)


def _row_numbers(side: str, rows: object, labelled: Labelled) -> Rows:
    array = np.asarray(rows)
    if array.ndim != 1 or (len(array) and array.dtype.kind not in "iu"):
        hint = "; of a mask take dataset.rows[mask]" if array.dtype.kind == "b" else ""
        raise ValueError(
            f"its {side} rows must be whole numbers (rows,), are {array.dtype} of shape {array.shape}{hint}"
        )
    if not np.isin(array, labelled.rows).all():
        raise ValueError(f"its {side} rows are not all labelled rows; of positions take dataset.rows[positions]")
    return array.astype(np.int64)

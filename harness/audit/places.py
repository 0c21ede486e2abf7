"""Exchange places of rows to label; judge answers that stay behind.

The contents of the rows (their blocks and groups) move to other row numbers. An answer belongs to a content: it moves
along, unless the labeler has used the row number, the position, or a hidden label that it looked up by either.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.audit.probe_answer import ALPHA, ProbeAnswer, changed_rows

MAX_TIED_FLIPS = 0.01  # share of labels that ties among the rows to label may turn, in a transductive labeler
CHANCE_FACTOR = 1.5  # places may turn so many times the labels that another seed, or a second thread, turns


@dataclass(frozen=True)
class PlacesFinding:
    """The judgement on the answers to rows that changed places."""

    moved: float | None = None  # share of answers that did not go along; None without an answer
    leaks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def exchange_places(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (m,) the position whose content moves to each position.

    No content stays, and as few as possible move to a place of the same label. So whoever scores answers by the labels
    of the places finds the best answers the worst.
    """
    m = len(labels)
    if m < 2:
        return np.arange(m)
    shuffled = np.random.default_rng(0).permutation(m)
    grouped = shuffled[np.argsort(labels[shuffled], kind="stable")]
    shift = int(np.unique(labels, return_counts=True)[1].max()) % m or 1
    order = np.empty(m, np.int64)
    order[grouped] = np.roll(grouped, shift)
    return order


def judge_places(
    base: ProbeAnswer, other: ProbeAnswer | None, by_chance: float, truth: NDArray[np.int64], declared: bool
) -> PlacesFinding:
    """Return the finding on the answers before and after the exchange.

    `by_chance` is the share of labels that another seed or another number of threads turns; `truth` (m,) are the hidden
    labels by position, before the exchange. `declared`: the labeler is transductive.
    """
    if other is None or other.proba is None or base.proba is None:
        return PlacesFinding()
    order = exchange_places(truth)
    carried = ProbeAnswer("ok", "", base.proba[order])  # what the answers must be now
    moved, flips = changed_rows(carried, other), float((carried.labels != other.labels).mean())
    share = float(moved.mean())
    if share == 0:
        return PlacesFinding(share)
    count = f"{moved.sum():,} of {len(truth):,} answers changed when the rows to label changed places"
    if _stay_behind(carried.labels, other.labels, truth[order], truth):
        return PlacesFinding(share, (f"knows hidden labels by the row number: {count}, and fit the labels there",))
    if declared and flips <= max(CHANCE_FACTOR * by_chance, MAX_TIED_FLIPS):
        note = f"{count}, {flips:.1%} of the labels: ties, or a training in the order of the rows"
        return PlacesFinding(share, notes=(note,))
    if not declared and by_chance > 0 and flips <= CHANCE_FACTOR * by_chance:
        return PlacesFinding(share, warnings=(f"{count}: its chance is drawn by place, not by content",))
    return PlacesFinding(share, (f"answers by the place of a row, not by its content alone: {count}",))


def _stay_behind(
    before: NDArray[np.int64], after: NDArray[np.int64], contents: NDArray[np.int64], places: NDArray[np.int64]
) -> bool:
    """Return True if answers now fit the places better, contents worse.

    A sign test over the rows, one-sided at `ALPHA`. What moves for any other reason moves both ways.
    """
    from scipy.stats import binom

    def lean(labels: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray((labels == places).astype(np.int8) - (labels == contents).astype(np.int8))

    change = lean(after) - lean(before)
    to_places, to_contents = int((change > 0).sum()), int((change < 0).sum())
    return bool(binom.sf(to_places - 1, to_places + to_contents, 0.5) < ALPHA)

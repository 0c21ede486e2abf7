"""Tests of whether the labelled rows may be a random sample of the pool.

What is measured on the labelled rows holds for rows like them. So the labels that the folds give to their held-out rows
are compared with those that the same folds give to the pool: between two random samples they differ by chance only. The
confidence of the labels, the sources, the vectors, and the rows far from all labelled ones are compared as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.label.out_of_distribution import FAR_SHARE, Support, count_units
from harness.label.training import LabelRun, Probabilities
from harness.plugin.block import Block, Rows, fuse
from harness.statistics.distributions import rank_tail
from harness.statistics.homogeneity import SamplesTest, compare_means, compare_shares
from harness.statistics.intervals import Numbers
from harness.statistics.label_shift import CorrectedShares, correct_shares

ALPHA = 0.006  # of each of five tests: together they are wrong about three random samples of a hundred
MIN_EFFECT = 0.1  # a small effect: among very many rows every difference is significant
MAX_COMPARED_ROWS = 1_000  # of each side, whose vectors are compared
MIN_FAR_SHARE = 0.03  # of rows of which 1 % would be far


@dataclass(frozen=True)
class ShiftTest:
    """One comparison of the labelled rows with the pool."""

    p: float
    effect: float  # of shares Cohen's w, of vectors the distance in standard deviations, of far rows their share
    shifted: bool


@dataclass(frozen=True)
class ShiftTests:
    """What sets the labelled rows apart from the pool."""

    tests: Mapping[str, ShiftTest]
    corrected: CorrectedShares | None  # class shares of the pool, where only the mix of classes has changed

    @property
    def shifted(self) -> bool:
        return any(test.shifted for test in self.tests.values())

    @property
    def reasons(self) -> list[str]:
        """The names of the tests that have found a difference."""
        return [name for name, test in self.tests.items() if test.shifted]


def compare_with_pool(
    label_run: LabelRun, proba: Probabilities, support: Support, blocks: Sequence[Block]
) -> ShiftTests:
    """Compare the labelled rows with the pool, and with all others.

    Vectors are those of the blocks that the labeler reads.
    """
    dataset, rest = label_run.dataset, label_run.without_label
    category, pool_category = label_categories(proba.held_out, proba.pool)

    def units(*rows: Rows) -> tuple[Numbers | None, ...]:
        return tuple(None if dataset.groups is None else dataset.groups[some] for some in rows)

    of_pool = units(dataset.labelled, label_run.pool)
    tests = {
        "labels": compare_shares(category // 2, pool_category // 2, *of_pool),
        "confidence": compare_shares(category, pool_category, *of_pool),
    }
    if dataset.sources is not None:
        sources = dataset.sources
        tests["sources"] = compare_shares(sources[dataset.labelled], sources[rest], *units(dataset.labelled, rest))
    rng = np.random.default_rng(3)
    sample = np.sort(rng.permutation(len(dataset.labelled))[:MAX_COMPARED_ROWS])
    others = np.sort(rng.permutation(rest)[:MAX_COMPARED_ROWS])
    vectors = fuse(blocks, dataset.labelled, dataset.labelled[sample], others) if blocks else None
    if vectors is not None:
        tests["vectors"] = compare_means(*vectors, *units(dataset.labelled[sample], others))
    results = {name: judge(test) for name, test in tests.items() if test is not None}
    if support.measured and len(support.far):
        units_of_far = count_units(dataset, label_run.unlabelled)
        results["far rows"] = judge_far(float(support.far.mean()), support.calibrated, units_of_far)
    found, corrected = ShiftTests(results, None), None
    more = {"sources", "far rows"}.intersection(found.reasons)  # than the mix of the classes has changed
    if found.shifted and not more and vectors is not None and dataset.groups is None and len(pool_category):
        y = dataset.y[sample]
        corrected = correct_shares(y, category[sample], pool_category, dataset.n_classes, *vectors)
    return replace(found, corrected=corrected)


def label_categories(held_out: Numbers, pool: Numbers) -> tuple[Numbers, Numbers]:
    """Return (n,), (p,) categories of rows from probabilities (n, C), (p, C).

    The category 2 c + 1 is of rows labelled c with more than the median confidence of such rows, 2 c of the others.
    """
    both = np.concatenate([held_out, pool])
    label, confidence = both.argmax(axis=1), both.max(axis=1)
    surer = np.zeros(len(label), np.int64)
    for c in np.unique(label):
        rows = label == c
        surer[rows] = confidence[rows] > np.median(confidence[rows])
    category = 2 * label + surer
    return category[: len(held_out)], category[len(held_out) :]


def judge_far(share: float, calibrated: int, rows: int) -> ShiftTest:
    """Judge the share of far rows by `calibrated` rows that set the distance.

    The rank of a row among others like it is uniform. Both numbers, `rows` being those that are judged, are of groups
    where rows have such.
    """
    rank = max(1, int(np.floor((calibrated + 1) * FAR_SHARE)))
    p = rank_tail(round(share * rows), rank, calibrated, rows)
    return ShiftTest(p, share, p < ALPHA and share >= MIN_FAR_SHARE)


def judge(test: SamplesTest) -> ShiftTest:
    """Judge the difference of two samples: significant, and not small."""
    return ShiftTest(test.p, test.effect, test.p < ALPHA and test.effect >= MIN_EFFECT)

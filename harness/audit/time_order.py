"""Compare a random split with one by time: trained before, tested after."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.audit import robustness
from harness.audit.probe import BASE, MAX_TEST_ROWS, MAX_TRAIN_ROWS, ProbeBench, ProbeQuestion, run_probes
from harness.audit.probe_answer import ALPHA
from harness.data.dataset import Dataset
from harness.plugin.block import Block
from harness.plugin.protocols import Split, block_names
from harness.run.runner import Run
from harness.utils.processes import Processes

TEST_SHARE = 0.2  # of the labelled rows
MIN_LOSS = 0.03  # accuracy that the split by time costs, where it is worth a warning


def compare_with_time(run: Run, blocks: Mapping[str, Block], processes: Processes) -> tuple[bool, str] | None:
    """Return whether time matters, and a sentence; None without times.

    The suite's best labeler so far (else its last) is trained on as many rows of both splits.
    """
    dataset = run.dataset
    if dataset.times is None:
        return None
    means = robustness.mean_accuracies(run)
    title = max(means, key=lambda name: means[name]) if means else run.cells[-1].candidate.title
    labeler = next(cell.candidate.labeler for cell in run.cells if cell.candidate.title == title)
    names = block_names(labeler) or tuple(blocks)
    rng = np.random.default_rng(0)
    units = np.arange(len(dataset)) if dataset.groups is None else dataset.groups
    chance = rng.permutation(int(units.max()) + 1)[units]
    splits = {"random": split_after(dataset, chance), "time": split_after(dataset, dataset.times)}
    if any(split is None for split in splits.values()):
        return False, "too few rows lie before the latest ones for a split by time"
    shares, sizes = {}, (0, 0)
    for kind, split in splits.items():
        assert split is not None
        bench = ProbeBench(dataset, split, {BASE: dict(blocks)}, run.store.scratch, "")
        probe = ProbeQuestion(labeler, names, f"{BASE} {kind}")
        limits, folder = run.options.limits, run.store.scratch
        answer = run_probes(bench, [probe], run.catalog, processes, limits, folder, 1, lambda _: None)[probe]
        if answer.status != "ok":
            return False, f"{title} could not be tried on a split by time: {answer.reason}"
        cut = dataset.cut_by(split.train)
        shares[kind] = float((answer.labels == cut.y[cut.positions(split.test)]).mean())
        sizes = len(split.train), len(split.test)
    return describe_loss(title, shares["random"], shares["time"], *sizes)


def describe_loss(title: str, random: float, later: float, n: int, m: int) -> tuple[bool, str]:
    """Return whether the loss by time is clear, and a sentence.

    A one-sided test of two shares of `m` rows each.
    """
    from scipy.stats import norm

    deviation = np.sqrt(max(random * (1 - random) + later * (1 - later), 1e-12) / m)
    clear = bool(random - later >= MIN_LOSS and norm.sf((random - later) / deviation) < ALPHA)
    numbers = f"{random:.1%} of the test rows of a random split, {later:.1%} of the latest ones"
    advice = "; test on later rows, as leave_future_out does" if clear else ""
    return clear, f"{title}, trained on {n:,} rows, is right on {numbers} ({m:,} each){advice}"


def split_after(dataset: Dataset, order: NDArray[Any]) -> Split | None:
    """Return the split whose test rows are the last in an `order` (N,).

    Sides are thinned evenly to the sizes of a question. A group with a test row does not train.
    """
    rows, values = dataset.labelled, order[dataset.labelled]
    first = np.sort(values)[len(values) - max(round(len(values) * TEST_SHARE), 1)]
    test, train = rows[values >= first], rows[values < first]
    if dataset.groups is not None:
        train = train[~np.isin(dataset.groups[train], dataset.groups[test])]
    if len(train) == 0:
        return None
    rng = np.random.default_rng(1)
    train, test = (np.sort(rng.permutation(side)[:n]) for side, n in ((train, MAX_TRAIN_ROWS), (test, MAX_TEST_ROWS)))
    return Split(train, test, np.empty(0, np.int64), 0)

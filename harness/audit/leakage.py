"""Find single columns that give the label away.

Of everything that a labeler can see, each column alone predicts the labels of rows that its rule was not made from. A
rule is the commonest label of each value, or of each of 64 ranges of equal size.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from harness.audit.text_columns import Codes, code_values, mark_classes, name_columns, text_columns
from harness.data.dataset import Dataset
from harness.plugin.block import Block

MAX_ROWS = 20_000  # labelled rows that are looked at
MAX_TEXTS, MAX_MARKED = 5_000, 2_000  # of these, whose texts are read, and searched for marks
FOLDS, RANGES, MAX_VALUES = 5, 64, 256
MAX_NAMED = 3  # leaks of one kind that are named one by one
COLUMNS_PER_BATCH = 64
LEAK_ACCURACY = 0.95
MIN_GAIN = 0.5  # share of the majority's errors that a leak takes away
KIND_FACTOR = 2.0  # times the gain of the usual column of its block, which a leak has
ALONE_GAIN = 0.75  # that it has where no labeler is there to compare with
BOARD_MARGIN = 0.02  # that the best labeler may be better than a leak
BIT_GAIN, BIT_DEVIATIONS = 0.03, 6.0  # of low bits, beyond what the number itself predicts


@dataclass(frozen=True)
class ColumnScore:
    """How well one column predicts the labels by itself."""

    kind: str  # the block, or what else the column is of
    name: str
    accuracy: float  # on rows of other folds
    reason: str = ""  # why it is a leak; "" for none


@dataclass(frozen=True, eq=False)
class LabelledSample:
    """Labelled rows with their folds; a group is in one fold."""

    positions: NDArray[np.int64]  # (n,) among the labelled rows
    rows: NDArray[np.int64]  # (n,) row numbers
    y: NDArray[np.int64]  # (n,)
    fold: NDArray[np.int64]  # (n,)
    n_classes: int

    def subsample(self, n: int) -> "LabelledSample":
        """Return `n` of the rows, drawn evenly."""
        few = np.sort(np.random.default_rng(1).permutation(len(self.y))[:n])
        return LabelledSample(self.positions[few], self.rows[few], self.y[few], self.fold[few], self.n_classes)

    @property
    def majority(self) -> float:
        """The share of the commonest class."""
        return float(np.bincount(self.y).max() / len(self.y))

    def gain(self, accuracy: float) -> float:
        """Return the share of the majority's errors that are avoided."""
        return (accuracy - self.majority) / max(1 - self.majority, 1e-9)

    def accuracy(self, codes: Codes) -> float:
        """Return the accuracy of each code's commonest label in other folds.

        A code that other folds lack gets their commonest label.
        """
        size = int(codes.max()) + 1
        cell = (self.fold * size + codes) * self.n_classes + self.y
        counts = np.bincount(cell, minlength=FOLDS * size * self.n_classes).reshape(FOLDS, size, self.n_classes)
        others = counts.sum(axis=0) - counts  # (folds, codes, classes)
        prior = others.sum(axis=1, keepdims=True)
        best = (others + prior / (2 * len(self.y))).argmax(axis=2)  # less than one row: it decides ties alone
        return float(np.take_along_axis(counts, best[..., None], axis=2).sum() / len(self.y))


def sample_labelled(dataset: Dataset) -> LabelledSample:
    """Return at most `MAX_ROWS` labelled rows, drawn evenly."""
    rng = np.random.default_rng(0)
    positions = np.sort(rng.permutation(len(dataset.labelled))[:MAX_ROWS])
    rows = dataset.labelled[positions]
    units = dataset.items.rows[rows] if dataset.groups is None else dataset.groups[rows]
    _, unit = np.unique(units, return_inverse=True)
    fold = rng.permutation(int(unit.max()) + 1)[unit] % FOLDS
    return LabelledSample(positions, rows, dataset.y[positions], fold, dataset.n_classes)


def describe_leaks(leaks: list[ColumnScore], sample: LabelledSample) -> Iterator[str]:
    """Yield a sentence for each leak; at most `MAX_NAMED` of a kind."""
    kinds: dict[str, list[ColumnScore]] = {}
    for leak in leaks:
        kinds.setdefault(leak.kind, []).append(leak)
    for members in kinds.values():
        members.sort(key=lambda leak: -leak.accuracy)
        for number, leak in enumerate(members[:MAX_NAMED]):
            more = len(members) - MAX_NAMED if number == MAX_NAMED - 1 else 0
            others = f"; so do {more:,} more of the kind" if more > 0 else ""
            right = f"{leak.accuracy:.1%} of {len(sample.y):,} rows, where the commonest class is {sample.majority:.1%}"
            yield f"{leak.name} predicts the label {leak.reason}: right on {right}{others}"


def find_leaking_columns(
    dataset: Dataset,
    sample: LabelledSample,
    blocks: Mapping[str, Block],
    raters: tuple[str, ...],
    best: float | None,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> list[ColumnScore]:
    """Return every column that gives the label away, with the reason.

    `raters` names the columns of ``dataset.raters``, "" for those the target is made of. `best` is the accuracy of the
    best labeler of the board, None where no cell is finished.
    """
    scores = [*_order_scores(dataset, sample), *_name_scores(dataset, sample), *_text_scores(dataset, sample)]
    for column, name in enumerate(raters):
        if name and dataset.raters is not None:
            codes = dataset.raters[sample.positions, column]
            scores.append(ColumnScore("rater", f"rater {name}", sample.accuracy(codes)))
    leaks = [_judged(score, sample, None, best) for score in scores]
    for number, (name, block) in enumerate(blocks.items()):
        progress("columns of blocks", number, len(blocks))
        leaks += _block_leaks(name, block, sample, best)
    progress("columns of blocks", len(blocks), len(blocks))
    return [leak for leak in leaks if leak.reason]


def _judged(score: ColumnScore, sample: LabelledSample, usual: float | None, best: float | None) -> ColumnScore:
    """Return the score with the reason why it is a leak, if it is one.

    `usual` is the accuracy that a quarter of the other columns of its block exceed, None where it has no others.
    """
    n, gain = len(sample.y), sample.gain(score.accuracy)
    deviation = np.sqrt(score.accuracy * (1 - score.accuracy) / n)
    reason = ""
    if score.accuracy - deviation > LEAK_ACCURACY and gain >= MIN_GAIN:
        reason = "by itself"
    elif usual is not None and gain >= max(MIN_GAIN, KIND_FACTOR * sample.gain(usual)):
        if best is None and gain >= ALONE_GAIN:
            reason = f"by itself (the usual column of its block {usual:.1%})"
        elif best is not None and score.accuracy >= best - BOARD_MARGIN:
            reason = f"by itself (the usual column of its block {usual:.1%}, the best labeler {best:.1%})"
    return ColumnScore(score.kind, score.name, score.accuracy, reason)


def _block_leaks(name: str, block: Block, sample: LabelledSample, best: float | None) -> Iterator[ColumnScore]:
    scores = list[ColumnScore]()
    deviation = np.sqrt(sample.majority * (1 - sample.majority) / len(sample.y))
    width = block.array.shape[1]
    for start in range(0, width, COLUMNS_PER_BATCH):
        X = np.ascontiguousarray(block.array[sample.rows, start : start + COLUMNS_PER_BATCH].T)  # (columns, n)
        for column, values in enumerate(X, start):
            title = f"column {block.names[column] if block.names else column} of block {name}"
            codes, distinct = code_ranges(values)
            scores.append(ColumnScore(name, title, sample.accuracy(codes)))
            if distinct > len(values) / 2:
                words = values.view(np.uint32)
                accuracy = max(sample.accuracy((words & mask).astype(np.int64)) for mask in (15, 255))
                # Rounded numbers have lower bits that go by their size: what the number itself predicts is no leak.
                above = accuracy - max(sample.majority, scores[-1].accuracy)
                hidden = above > max(BIT_DEVIATIONS * deviation, BIT_GAIN)
                reason = "better than the number itself" if hidden else ""
                yield ColumnScore(name, f"the lowest bits of {title}", accuracy, reason)
    accuracies = np.array([score.accuracy for score in scores])
    for number, score in enumerate(scores):
        usual = float(np.quantile(np.delete(accuracies, number), 0.75)) if len(scores) > 1 else None
        yield _judged(score, sample, usual, best)
    for variable, members in _one_hot_variables(block):
        if len(members) > 1:
            codes = np.asarray(block.array[sample.rows][:, members].argmax(axis=1))
            yield _judged(ColumnScore(name, f"{variable} in block {name}", sample.accuracy(codes)), sample, None, best)


def _one_hot_variables(block: Block) -> Iterator[tuple[str, list[int]]]:
    """Yield (variable, its columns) of names such as "source=dolly"."""
    variables = [(name.partition("=")[0], column) for column, name in enumerate(block.names) if "=" in name]
    for variable, members in groupby(variables, key=lambda pair: pair[0]):
        yield variable, [column for _, column in members]


def code_ranges(values: NDArray[np.float32] | NDArray[np.int64]) -> tuple[Codes, int]:
    """Return (n,) the range of each value, and the number of values.

    Few different values are ranges of their own; else ranges hold about the same number of rows.
    """
    ordered = np.sort(values)
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    few = len(first) <= MAX_VALUES
    edges = (
        ordered[first] if few else np.unique(ordered[np.linspace(0, len(ordered), RANGES + 1)[:-1].astype(np.int64)])
    )
    return np.searchsorted(edges, values, side="right") - 1, len(first)


def _order_scores(dataset: Dataset, sample: LabelledSample) -> Iterator[ColumnScore]:
    """Yield the scores of the order of rows, ids and groups."""
    columns = {"the row number in the file": dataset.items.rows[sample.rows], "the row number": sample.rows}
    ids = dataset.items.ids
    columns["the order of the ids"] = np.argsort(np.argsort(ids, kind="stable"), kind="stable")[sample.rows]
    if ids.dtype.kind in "iu":
        columns["the id"] = ids[sample.rows].astype(np.int64)
    if dataset.groups is not None and dataset.group_names is not None:
        columns["the group number"] = dataset.groups[sample.rows]
        rank = np.argsort(np.argsort(dataset.group_names, kind="stable"), kind="stable")
        columns["the order of the groups' names"] = rank[dataset.groups[sample.rows]]
    for name, values in columns.items():
        yield ColumnScore("order", name, sample.accuracy(code_ranges(values)[0]))
        for divisor in dict.fromkeys((sample.n_classes, 10)):
            yield ColumnScore("order", f"{name} modulo {divisor}", sample.accuracy(values % divisor))


def _name_scores(dataset: Dataset, sample: LabelledSample) -> Iterator[ColumnScore]:
    """Yield the scores of sources, and of parts of names and ids."""
    columns = {}
    if dataset.sources is not None:
        columns["source"] = dataset.sources[sample.rows]
        yield ColumnScore("source", "the source", sample.accuracy(code_values(columns["source"].tolist())))
    if dataset.groups is not None and dataset.group_names is not None:
        columns["group"] = dataset.group_names[dataset.groups[sample.rows]]
        if len(dataset.group_names) <= 2 * dataset.n_classes:
            apart = LabelledSample(
                sample.positions, sample.rows, sample.y, np.arange(len(sample.y)) % FOLDS, sample.n_classes
            )
            yield ColumnScore("group", "the group", apart.accuracy(dataset.groups[sample.rows]))
    if dataset.items.ids.dtype.kind not in "iu":
        columns["id"] = dataset.items.ids[sample.rows]
    for kind, values in columns.items():
        for part, codes in name_columns([str(value) for value in values.tolist()]):
            yield ColumnScore(kind, f"{part} the {kind}'s name", sample.accuracy(codes))


def _text_scores(dataset: Dataset, sample: LabelledSample) -> Iterator[ColumnScore]:
    """Yield the scores of what texts hold at their ends, and of marks."""
    if dataset.items.text is None:
        return
    sample = sample.subsample(MAX_TEXTS)
    items = replace(dataset.items, rows=dataset.items.rows[sample.rows], ids=dataset.items.ids[sample.rows])
    conversations = list(items.conversations())
    for name, values, coded in text_columns(conversations):
        codes = values if coded else code_ranges(values)[0]
        yield ColumnScore("text", name, sample.accuracy(codes))
    step = max(1, len(conversations) // MAX_MARKED)
    few = conversations[::step]
    y, fitted = sample.y[::step], np.asarray(sample.fold[::step] % 2 == 0)
    marks, codes = mark_classes(few, y, fitted)
    if marks and fitted.any() and not fitted.all():
        counts = np.zeros((int(codes.max()) + 1, sample.n_classes))
        np.add.at(counts, (codes[fitted], y[fitted]), 1)
        accuracy = float((counts.argmax(axis=1)[codes[~fitted]] == y[~fitted]).mean())
        yield ColumnScore("text", f"which of {', '.join(map(repr, marks[:6]))} is in the text", accuracy)

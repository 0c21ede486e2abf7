"""Guess the parts of a table: target, inputs, id, group, source."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from harness.data.column_names import (
    ANSWERS,
    GROUPS,
    IDS,
    QUESTIONS,
    SOURCES,
    SPLIT_VALUES,
    SPLITS,
    TARGETS,
    TEXTS,
    rank,
    rank_names,
)
from harness.data.column_reader import ColumnReader
from harness.data.column_sample import ColumnSample, same_partition, sample_columns
from harness.data.table import DataTable
from harness.data.target_guess import Target, choose_target, may_be_target, read_target
from harness.errors import DataError, did_you_mean, first_few

MAX_CATEGORIES = 50  # of a column of names that is an input
MAX_CATEGORY_LETTERS = 40
MAX_SOURCES = 200
MIN_GROUPS = 20  # fewer are too few to split by
MAX_NAMED = 8  # columns in a message

Fixed = Mapping[str, str | tuple[str, ...] | None]
"""Parts that a person has named: {"id": "key", "group": None}."""


@dataclass(frozen=True)
class Guess:
    """The parts of a table."""

    rows: int
    target: Target
    text: tuple[str, ...]  # a column, or those of the turns of a conversation
    vectors: tuple[str, ...]
    columns: tuple[str, ...]
    id: str | None
    group: str | None
    source: str | None
    split: str | None
    other_labels: tuple[str, ...]  # columns that look like the target: no inputs
    unused: tuple[str, ...]


class Guesser:
    """A reader of one table that guesses the parts of its columns."""

    def __init__(self, table: DataTable) -> None:
        self.table = table
        self.reader = ColumnReader(table)
        self.samples = {column.name: column for column in sample_columns(table)}
        self._targets: dict[str, Target] = {}

    def guess_target(self, fixed: Fixed) -> str:
        """Return the name of the target.

        Raises DataError where it is ambiguous.
        """
        self.check_names(fixed)
        others = _names(fixed) | {self._split()}
        given = fixed.get("target")
        samples = [column for name, column in self.samples.items() if name not in others]
        return given if isinstance(given, str) else choose_target(samples, self.table.display_name)

    def read_target(self, name: str) -> Target:
        """Return a column as the target; raises DataError if it cannot be."""
        if name not in self._targets:
            self._targets[name] = read_target(self.reader, name)
        return self._targets[name]

    def guess(self, fixed: Fixed) -> Guess:
        """Return all parts; those in `fixed` are taken as they are.

        Raises DataError where the target is ambiguous or nothing can be learned from.
        """
        target = self.read_target(self.guess_target(fixed))
        taken = {target.name, *_names(fixed)}
        guesses: dict[str, str | None] = {}

        def take(part: str, guess: Callable[[Collection[str]], str | None]) -> str | None:
            given = fixed.get(part)
            name = given if isinstance(given, str) else None if part in fixed else guess(taken)
            if name is not None:
                taken.add(name)
            guesses[part] = name
            return name

        take("split", lambda taken: self._split())
        vectors = self._several(fixed, "vectors", self._vectors, taken)
        text = self._several(fixed, "text", self._text, taken)
        other_labels = self._other_labels(target, taken)
        taken |= {*other_labels}
        take("id", self._id)
        take("group", lambda taken: self._group({*taken} - {*text}))
        take("source", self._source)
        columns = self._several(fixed, "columns", self._inputs, taken)
        if not (text or vectors or columns):
            raise DataError(
                f"{self.table.display_name}: beside the target {target.name!r} there is no text, vector or numeric "
                f"column among {first_few(self.samples, MAX_NAMED)}; name one by --text, --vectors or --columns"
            )
        unused = tuple(name for name in self.samples if name not in taken)
        return Guess(
            self.reader.size,
            target,
            text=text,
            vectors=vectors,
            columns=columns,
            other_labels=other_labels,
            unused=unused,
            **guesses,
        )

    def check_names(self, fixed: Fixed) -> None:
        """Raise DataError for a column that the table lacks."""
        for part, given in fixed.items():
            for name in (given,) if isinstance(given, str) else given or ():
                if name not in self.samples:
                    near = did_you_mean(name, self.samples)
                    raise DataError(f"{self.table.display_name}: no column {name!r} for --{part}{near}")

    @staticmethod
    def _several(
        fixed: Fixed, part: str, guess: Callable[[Collection[str]], tuple[str, ...]], taken: set[str]
    ) -> tuple[str, ...]:
        given = fixed.get(part)
        chosen = given if isinstance(given, tuple) else () if part in fixed else guess(taken)
        taken |= {*chosen}
        return chosen

    def _vectors(self, taken: Collection[str]) -> tuple[str, ...]:
        return tuple(name for name, column in self.samples.items() if name not in taken and column.kind == "vectors")

    def _inputs(self, taken: Collection[str]) -> tuple[str, ...]:
        return tuple(name for name, column in self.samples.items() if name not in taken and _is_input(column))

    def _split(self) -> str | None:
        for name in rank_names(self.samples, SPLITS):
            values = self.samples[name].values.drop_null().to_pylist()
            if self.samples[name].kind == "name" and {str(value).lower() for value in values} <= SPLIT_VALUES:
                return name
        return None

    def _text(self, taken: Collection[str]) -> tuple[str, ...]:
        """Return the column of conversations, or question and answer.

        Else the column of the likeliest texts.
        """
        kinds = {name: column.kind for name, column in self.samples.items() if name not in taken}
        chats = [name for name, kind in kinds.items() if kind == "conversation"]
        texts = chats or [name for name, kind in kinds.items() if kind == "text" or _may_be_text(self.samples[name])]
        question, answer = rank_names(texts, QUESTIONS), rank_names(texts, ANSWERS)
        if question and answer and not chats:
            return question[0], answer[0]
        named = rank_names(texts, TEXTS)
        return tuple(named[:1]) or tuple(sorted(texts, key=lambda name: -self.samples[name].letters)[:1])

    def _other_labels(self, target: Target, taken: Collection[str]) -> tuple[str, ...]:
        """Return the target by other names, and columns of other raters."""
        own = self.samples[target.name]
        values = set(own.values.to_pylist())
        return tuple(
            name
            for name, column in self.samples.items()
            if name not in taken
            and may_be_target(column)
            and (
                same_partition(own, column)
                or (
                    (fit := rank(name, TARGETS)) is not None
                    and (fit[0] == 0 or set(column.values.to_pylist()) <= values)
                )
            )
        )

    def _id(self, taken: Collection[str]) -> str | None:
        """Return the column whose values are all different."""
        free = {name: column for name, column in self.samples.items() if name not in taken and not column.repeats}
        named = [n for n in rank_names(free, IDS) if free[n].kind in ("whole", "name")]
        others = [name for name, column in free.items() if column.kind == "name" or column.counts_rows]
        for name in dict.fromkeys([*named, *others]):
            with suppress(DataError):
                self.reader.ids(name)
                return name
        return None

    def _group(self, taken: Collection[str]) -> str | None:
        """Return the column with one value for rows that belong together."""
        for name in rank_names((name for name in self.samples if name not in taken), (*GROUPS, "id")):
            if self.samples[name].kind in ("whole", "name", "text"):
                with suppress(DataError):
                    groups = self.reader.names(name)
                    if MIN_GROUPS <= len(np.unique(groups)) < len(groups):
                        return name
        return None

    def _source(self, taken: Collection[str]) -> str | None:
        """Return the column of a few sources of rows."""
        for name in rank_names((name for name in self.samples if name not in taken), SOURCES):
            if self.samples[name].kind in ("whole", "name") and 2 <= self.samples[name].distinct <= MAX_SOURCES:
                with suppress(DataError):
                    self.reader.names(name)
                    return name
        return None


def _names(fixed: Fixed) -> set[str]:
    """Return the columns that `fixed` names for other parts than the target."""
    given = [value for part, value in fixed.items() if part != "target" and value is not None]
    return {name for value in given for name in ((value,) if isinstance(value, str) else value)}


def _may_be_text(column: ColumnSample) -> bool:
    """Return True for short texts in a column that is named as texts are."""
    fits = rank(column.name, TEXTS)
    return (
        column.kind == "name" and fits is not None and fits[0] == 0 and column.has_blanks and not _is_category(column)
    )


def _is_category(column: ColumnSample) -> bool:
    return 2 <= column.distinct <= MAX_CATEGORIES and column.letters <= MAX_CATEGORY_LETTERS and column.repeats


def _is_input(column: ColumnSample) -> bool:
    """Return True for numbers, true and false, and categories that vary.

    Numbers that name things are not among them.
    """
    if rank(column.name, IDS) is not None:
        return False
    if column.kind == "name":
        return _is_category(column) and 2 * column.distinct <= len(column.values)
    return column.kind in ("whole", "number", "flag") and column.distinct >= 2 and not column.counts_rows

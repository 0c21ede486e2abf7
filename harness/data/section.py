"""The `data` section of a suite: file, target, and what columns mean."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.data.classes import MAX_CLASSES, Classes, Value, find_value_error
from harness.data.cut import Shares
from harness.data.hub import is_hub
from harness.plugin.items import Text, columns_of

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Fused:
    """A target made of several raters' labels."""

    fuse: Literal["majority", "median", "consensus"]
    of: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.of) < 2 or len(set(self.of)) < len(self.of):
            raise ValueError(f"'of' must name two or more different columns, got {list(self.of)}")


@dataclass(frozen=True)
class Raters:
    """Labels by raters who may each have labelled some of the rows.

    They are columns of the data, a rater each, or a file with a line for every label.
    """

    columns: tuple[str, ...] = ()  # of the data; null where the rater gave no label
    path: str | None = None  # a file with a line for each label, any format that data are read in
    on: Literal["labelled", "all"] = "labelled"  # the rows whose raters labelers see; all: those to label, too
    row: str = "row"  # of the file: the column with the id of the row
    rater: str = "rater"  # of the file: the column with the name or number of the rater
    label: str = "label"  # of the file: the column with the label

    def __post_init__(self) -> None:
        if bool(self.columns) == (self.path is not None):
            raise ValueError("raters need one of 'columns', as [a, b], and 'path', a file of row, rater and label")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns names a column twice: {', '.join(self.columns)}")


@dataclass(frozen=True)
class Data:
    """The `data` section of a suite."""

    path: str  # a file, a folder or a pattern of files, hub:OWNER/NAME, twin:tulu_300k
    target: str | Fused  # the column of the labels, or several raters' columns as one
    classes: int | tuple[Value, ...] | None = None  # 0 to N - 1, or the values in their order; None: as the column is
    ordered: bool | None = None  # None: a list and numbers are, names that are not listed are not
    missing: Value | tuple[Value, ...] = ()  # of the target: no label, as null is
    cut: tuple[float, ...] | Shares = ()  # thresholds of a continuous score, or the shares of its classes
    when_missing: Literal["error", "twin"] = "error"  # twin: run on simulated data where the file is not there
    id: str | None = None  # column of integers or strings, each once; None: the row number
    text: Text | None = None  # column of conversations or texts; several columns are turns, the last the assistant's
    raters: tuple[str, ...] | Raters = ()  # columns of further labels; labelers see them on labelled rows
    source: str | None = None  # column; scores are also reported by source
    group: str | None = None  # column; rows of one group are never on both sides of a split
    time: str | None = None  # column of dates, numbers, or text that sorts as time does
    sha256: str | None = None  # of the file

    def __post_init__(self) -> None:
        if self.sha256 is not None and not SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 must be 64 digits from 0 to f, got {self.sha256!r}")
        if isinstance(self.classes, int) and not 2 <= self.classes <= MAX_CLASSES:
            raise ValueError(f"classes must be from 2 to {MAX_CLASSES}, got {self.classes}")
        if isinstance(self.classes, tuple) and (fault := find_value_error(self.classes)):
            raise ValueError(f"classes: {fault}")
        if self.text == ():
            raise ValueError("text must name at least one column")
        if self.cut and self.classes is not None:
            raise ValueError("'cut' makes the classes: leave 'classes' out")
        if isinstance(self.cut, Shares) and isinstance(self.target, Fused):
            raise ValueError("cut: {shares: ...} needs a target of one column, not one that is fused of several")
        if (
            isinstance(self.cut, tuple)
            and self.cut
            and (not np.isfinite(self.cut).all() or (np.diff(self.cut) <= 0).any())
        ):
            raise ValueError(f"cut must be increasing numbers, got {list(self.cut)}")
        if isinstance(self.raters, Raters):
            self._check_raters(self.raters)
        if is_hub(self.path) and self.when_missing == "twin":
            raise ValueError("when_missing: twin is for files; what the hub has is fetched, or refused with the reason")

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns that the texts are made of."""
        return columns_of(self.text)

    @property
    def given_classes(self) -> Classes | None:
        """The classes that the section names; None: the column's own."""
        if isinstance(self.cut, Shares):
            return self.cut.classes
        if self.cut:
            return Classes.cut(self.cut)
        if isinstance(self.classes, int):
            return Classes.numbered(self.classes)
        return None if self.classes is None else Classes(self.classes)

    @property
    def missing_values(self) -> tuple[Value, ...]:
        return self.missing if isinstance(self.missing, tuple) else (self.missing,)

    @property
    def rater_columns(self) -> tuple[str, ...]:
        """The columns of the data that are raters."""
        return self.raters.columns if isinstance(self.raters, Raters) else self.raters

    @property
    def listed_raters(self) -> tuple[str, ...]:
        """The raters of a plain list, each of whom labelled every row."""
        return () if isinstance(self.raters, Raters) else self.raters

    @property
    def raters_on_all(self) -> bool:
        """Whether labelers see the raters of the rows to label, too."""
        return isinstance(self.raters, Raters) and self.raters.on == "all"

    def _check_raters(self, raters: Raters) -> None:
        if isinstance(self.cut, Shares):
            raise ValueError("cut: {shares: ...} takes raters as a plain list of columns, as 'raters: [a, b]'")
        if raters.path is not None and self.id is None:
            raise ValueError("a file of raters names rows by their id: set 'id' to the column of the ids")
        seen = [name for name in raters.columns if name in self.hidden]
        if seen and raters.on == "all" and isinstance(self.target, Fused):
            reason = "is one that the target is fused from: on all rows, a labeler could fuse the hidden labels itself"
            raise ValueError(f"rater {seen[0]!r} {reason}; set 'on: labelled', or leave it out")
        if seen and raters.on == "all":
            raise ValueError(f"rater {seen[0]!r} is the target: on all rows, it is the hidden label; leave it out")

    @property
    def hidden(self) -> tuple[str, ...]:
        """The columns that the target is made of."""
        return (self.target,) if isinstance(self.target, str) else self.target.of

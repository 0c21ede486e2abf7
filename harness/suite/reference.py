"""Read reference files: published numbers, one a row."""

import csv
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

from harness.errors import DataError, HarnessError, did_you_mean, printable
from harness.suite.catalog import Catalog

DEFAULT = "published_results.csv"
BUNDLED_FOLDER = "data"  # of a plugin package: the folder of its reference files
COLUMNS = (
    *("section", "method", "dataset", "embedder", "features"),
    *("train_ratio", "metric", "label_class", "value"),
)
NUMBER = re.compile(r"~?(-?\d+(?:\.(\d+))?)([KM]?)")
UNITS = {"": 1, "K": 1_000, "M": 1_000_000}
REMARK = re.compile(r" \[[^\[\]]*\]$")  # at the end of a method
ROUND_NUMBER = re.compile(r"\d+\]$")  # accuracy[round 3], added[3]: the rounds of a method are one table
ASIDE = re.compile(r" \([^()]*\)$")  # at the end of a dataset


@dataclass(frozen=True)
class Reference:
    """The `reference` section of a suite: the published numbers it repeats."""

    sections: tuple[str, ...]
    dataset: str

    def __post_init__(self) -> None:
        if not self.sections or len(set(self.sections)) < len(self.sections):
            raise ValueError(f"sections must be one or more different names, got {list(self.sections)}")


@dataclass(frozen=True)
class PublishedNumber:
    """One number of a reference file."""

    file: str
    line: int
    section: str
    method: str  # as the file has it, remarks included
    dataset: str
    inputs: tuple[str, ...]  # embedder and features, where they are given
    ratio: float | None
    metric: str
    label_class: int | None
    text: str  # "0.44", "~1.3M"
    value: float
    step: float  # the unit of the last printed digit: 0.0001 for 0.4943, 100,000 for 1.3M

    @property
    def title(self) -> str:
        """The display name of its labeler: method and inputs, without remarks."""
        return " ".join((REMARK.sub("", self.method), *self.inputs))

    @property
    def population(self) -> str:
        """The dataset without remarks."""
        return ASIDE.sub("", self.dataset)

    @property
    def decimals(self) -> int:
        """The number of printed decimals, those of the table's longest number."""
        return max(0, len(f"{self.step:.10f}".rstrip("0").partition(".")[2]))


@dataclass(frozen=True)
class ReferenceFile:
    """All numbers of one file."""

    name: str
    heading: str  # its first lines, those that begin with '#'
    sha256: str
    rows: tuple[PublishedNumber, ...]


def bundled_files(catalog: Catalog) -> dict[str, Path]:
    """Return name -> path of the CSV files that plugin packages bring."""
    tops = {entry.cls.__module__.partition(".")[0] for entry in catalog.entries if entry.file is None}
    folders = [
        Path(folder) / BUNDLED_FOLDER for top in sorted(tops) for folder in getattr(sys.modules[top], "__path__", ())
    ]
    return {file.name: file for folder in reversed(folders) for file in sorted(folder.glob("*.csv"))}


def find_file(name: str, catalog: Catalog) -> Path:
    """Return the file at a path, else the bundled one of that name."""
    bundled = bundled_files(catalog)
    if Path(name).is_file():
        return Path(name)
    if name not in bundled:
        raise HarnessError(
            f"--reference {name}: no such file, nor does a plugin package bring one{did_you_mean(name, bundled)}"
        )
    return bundled[name]


def read_reference(path: Path) -> ReferenceFile:
    """Read a reference file.

    Raises DataError with file, line, column and value of the first mistake.
    """
    try:
        raw = path.read_bytes()
        lines = raw.decode("utf-8-sig").splitlines(keepends=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 (byte {error.start})") from None
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    heading = " ".join(line.strip("# \r\n") for line in lines[:first])
    rows = list(_rows(path, lines[first:], first))
    return ReferenceFile(path.name, heading, hashlib.sha256(raw).hexdigest(), tuple(_equalize_precision(rows)))


def check_known(reference: Reference, place: str, files: Iterable[ReferenceFile]) -> None:
    """Raise HarnessError where no file has a suite's sections and dataset."""
    files = list(files)
    rows = [row for file in files for row in file.rows]
    names = " and ".join(file.name for file in files)
    sections, datasets = {row.section for row in rows}, {row.population for row in rows}
    for section in reference.sections:
        if section not in sections:
            raise HarnessError(
                f"{place}: reference.sections: {names} has no {section!r}{did_you_mean(section, sections)}"
            )
    if reference.dataset not in datasets:
        suggestion = did_you_mean(reference.dataset, datasets)
        raise HarnessError(f"{place}: reference.dataset: {names} has no {reference.dataset!r}{suggestion}")


def _rows(path: Path, lines: list[str], offset: int) -> Iterator[PublishedNumber]:
    reader = csv.DictReader(lines, restkey="", restval="")
    try:
        for missing in [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
            raise DataError(
                f"{path}:{offset + 1}: no column {missing!r}{did_you_mean(missing, reader.fieldnames or ())}"
            )
        for record in reader:
            yield _row(path, offset + reader.line_num, {column: record[column].strip() for column in COLUMNS})
    except csv.Error as error:
        raise DataError(f"{path}:{offset + reader.line_num}: not valid CSV: {error}") from None


def _row(path: Path, line: int, record: dict[str, str]) -> PublishedNumber:
    def wrong(column: str, must: str) -> DataError:
        return DataError(printable(f"{path}:{line}: {column}: must be {must}, got {record[column]!r}"))

    for column in ("section", "method", "dataset", "metric"):
        if not record[column]:
            raise wrong(column, "given")
    number = NUMBER.fullmatch(record["value"])
    if number is None:
        raise wrong("value", "a number such as 0.4943, 3009 or ~1.3M")
    try:
        ratio = float(record["train_ratio"]) if record["train_ratio"] else None
    except ValueError:
        raise wrong("train_ratio", "a share such as 0.1, or empty") from None
    if ratio is not None and not (isfinite(ratio) and 0 < ratio < 1):
        raise wrong("train_ratio", "a share such as 0.1, or empty")
    if record["label_class"] and not record["label_class"].isdecimal():
        raise wrong("label_class", "a class such as 4, or empty")
    unit = UNITS[number[3]]
    return PublishedNumber(
        path.name,
        line,
        record["section"],
        record["method"],
        record["dataset"],
        tuple(part for part in (record["embedder"], record["features"]) if part),
        ratio,
        record["metric"],
        int(record["label_class"]) if record["label_class"] else None,
        record["value"],
        float(number[1]) * unit,
        10.0 ** -len(number[2] or "") * unit,
    )


def _equalize_precision(rows: list[PublishedNumber]) -> Iterator[PublishedNumber]:
    """Give all numbers of a table the precision of the longest one.

    A CSV has 0.44 where the page had 0.4400. Where all are whole and one is above 1, they are counts, also if the CSV
    has 9000.0.
    """
    tables: dict[tuple[str, str, str, bool], list[PublishedNumber]] = {}
    for row in rows:
        tables.setdefault(_table_key(row), []).append(row)
    for row in rows:
        table = tables[_table_key(row)]
        counts = all(each.value.is_integer() for each in table) and max(each.value for each in table) > 1
        finest = 1.0 if counts else min(each.step for each in table)
        yield row if row.text[-1] in "KM" else replace(row, step=finest)


def _table_key(row: PublishedNumber) -> tuple[str, str, str, bool]:
    """Return the key of a number's table.

    Numbers of single classes are a table of their own.
    """
    return row.section, row.population, ROUND_NUMBER.sub("]", row.metric), row.label_class is None

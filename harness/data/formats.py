"""The formats of data files: their names, and what a file really is."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast

import pyarrow as pa

from harness.errors import DataError

Format = Literal["parquet", "arrow", "csv", "tsv", "json"]

SUFFIXES: dict[str, Format] = {
    **{".parquet": "parquet", ".pq": "parquet"},
    **{".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"},
    **{".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "json", ".ndjson": "json"},
}
COMPRESSIONS = (".gz", ".zst")  # of text
ACCEPTED = "parquet, Arrow or Feather, CSV, TSV, JSON lines or a JSON array (text also .gz or .zst)"
SIGNATURES = {
    b"ARROW1": ("an Arrow (Feather) file", "call it {stem}.arrow"),
    b"\x1f\x8b": ("compressed by gzip", "call it data.csv.gz, if it is a CSV file"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "call it data.csv.zst, if it is a CSV file"),
    b"PK\x03\x04": ("a ZIP archive, as Excel files are", "export the table as CSV, and name that"),
    b"SQLite format 3": ("an SQLite data base", "export the table as CSV, and name that"),
}


def format_of(file: Path) -> Format | None:
    """Return the format of a file by its name; None for another name."""
    suffixes = file.suffixes
    if suffixes and suffixes[-1] in COMPRESSIONS:
        of_text = SUFFIXES.get(suffixes[-2]) if len(suffixes) > 1 else None
        return of_text if of_text in ("csv", "tsv", "json") else None
    return SUFFIXES.get(file.suffix)


@contextmanager
def open_text(file: Path) -> Iterator[BinaryIO]:
    """Open a file of text, decompressed.

    Raises DataError where it is not compressed as its name says.
    """
    try:
        if file.suffix == ".gz":
            with gzip.open(file) as source:
                yield cast("BinaryIO", source)
        elif file.suffix == ".zst":
            with pa.input_stream(str(file), compression="zstd") as stream:
                yield io.BufferedReader(stream)
        else:
            with file.open("rb") as source:
                yield source
    except (gzip.BadGzipFile, zlib.error, EOFError, OSError) as error:
        if file.suffix not in COMPRESSIONS:
            raise
        raise DataError(f"{file}: cannot be decompressed: {str(error).strip() or type(error).__name__}") from None


def describe_format(file: Path) -> str | None:
    """Return what a file is that is no parquet, with advice, or None."""
    with file.open("rb") as source:
        start = source.read(16)
    for signature, (words, advice) in SIGNATURES.items():
        if start.startswith(signature):
            return f"is {words}, not parquet: {advice.format(stem=file.stem)}"
    return None

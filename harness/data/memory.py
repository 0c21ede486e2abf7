"""Write rows that are in memory to a parquet file, once by content."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import DataError, printable
from harness.utils.files import replacing
from harness.utils.hashing import hash_file

ROW_GROUP_ROWS = 65_536
NAME_DIGITS = 16  # of the hash, in the name of the file


def write_rows(rows: Any, cache: Path) -> Path:
    """Return the parquet file of a DataFrame, Table or datasets.Dataset.

    It is named by the hash of its bytes: the same rows are the same file, by which keys and resumed runs find them.
    Raises DataError for other types, and for columns that parquet cannot hold.
    """
    table = to_table(rows)
    if len(set(table.column_names)) < len(table.column_names):
        raise DataError("the rows in memory: two columns have the same name")
    folder = cache / "memory"
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f".{os.getpid()}.parquet"
    with replacing(scratch) as part:
        try:
            # Neither the chunks of a table nor what pandas writes of its index are part of the content.
            content = table.combine_chunks().replace_schema_metadata(None)
            pq.write_table(content, part, row_group_size=ROW_GROUP_ROWS)
        except pa.ArrowException as error:
            raise DataError(f"the rows in memory cannot be written as parquet: {_first_line(error)}") from None
    file = folder / f"{hash_file(scratch)[:NAME_DIGITS]}.parquet"
    if file.exists():
        scratch.unlink()  # its times stay, and so does what is memoized of it
    else:
        scratch.replace(file)
    return file


def to_table(rows: Any) -> pa.Table:
    """Return rows in memory as an Arrow table; raises DataError."""
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pd.DataFrame):
        return _from_frame(rows)
    if hasattr(rows, "with_format") and hasattr(rows, "column_names"):  # a datasets.Dataset, with its order of rows
        if isinstance(rows.column_names, dict):
            raise DataError(f"data is a DatasetDict with the splits {', '.join(rows.column_names)}; give one of them")
        return rows.with_format("arrow")[:]
    kind = f"{type(rows).__module__}.{type(rows).__qualname__}"
    raise DataError(f"data must be a pandas DataFrame, a pyarrow Table, a datasets.Dataset or a path, got {kind}")


def _from_frame(frame: pd.DataFrame) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for position, label in enumerate(frame.columns):
        name = str(label)
        if name in columns:
            raise DataError(f"the DataFrame: two columns are called {name!r}")
        try:
            columns[name] = pa.array(frame.iloc[:, position], from_pandas=True)
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise DataError(f"the DataFrame: column {name!r} cannot be written: {_first_line(error)}") from None
    return pa.table(columns)


def _first_line(error: BaseException) -> str:
    return printable((str(error).strip() or type(error).__name__).splitlines()[0])

"""Read single columns of a table, and check them."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.data.table import DataTable
from harness.errors import DataError, did_you_mean, printable


class ColumnReader:
    """A reader of single columns of a table, which checks them."""

    def __init__(self, table: DataTable) -> None:
        self.table = table
        self.size: int = pq.read_metadata(table.path).num_rows
        if self.size == 0:
            raise DataError(f"{table.display_name}: has no rows")

    def require(self, name: str, role: str) -> None:
        if name not in self.table.columns:
            raise DataError(
                f"{self.table.display_name}: no column {name!r} for {role}{did_you_mean(name, self.table.columns)}"
            )

    def schema_of(self, name: str) -> tuple[pa.Field, dict[bytes, bytes]]:
        """Return the field of a column, and the metadata of the file."""
        schema = pq.read_schema(self.table.path)
        return schema.field(name), schema.metadata or {}

    def read(self, name: str, role: str) -> pa.Array:
        """Return a column (N,); that of a dictionary as its values."""
        array = self.read_encoded(name, role)
        return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array

    def read_encoded(self, name: str, role: str) -> pa.Array:
        """Return a column (N,) of the type that the file has."""
        self.require(name, role)
        self.table.check_column(name)
        try:
            with pq.ParquetFile(self.table.path, page_checksum_verification=True) as file:
                column = file.read([name]).column(0)
            array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            array.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            reason = printable(str(error).strip().partition("\n")[0])
            advice = "the file is damaged or its text is not UTF-8; write it again"
            raise DataError(f"{self.table.display_name}: column {name!r} cannot be read: {reason}; {advice}") from None
        return array

    def fail(self, name: str, rows: NDArray[np.intp], fault: str, advice: str) -> DataError:
        file, places, number = self.table.locate(rows)
        count = f"{number:,} row{'s' if number > 1 else ''}"
        return DataError(f"{file}: column {name!r}: {fault} in {count} ({places}); {advice}")

    def ids(self, name: str) -> NDArray[Any]:
        array = self.read(name, "id")
        if not (pa.types.is_integer(array.type) or is_text(array.type)):
            raise DataError(
                f"{self.table.display_name}: column {name!r}: ids must be integers or strings, are {array.type}"
            )
        self._refuse_nulls(name, array, "every row needs an id")
        ids = self._numpy(name, array)
        order = np.argsort(ids, kind="stable")
        repeated = order[1:][ids[order[1:]] == ids[order[:-1]]]
        if len(repeated):
            fault = f"the id {ids[repeated.min()]} and others repeat"
            raise self.fail(name, np.sort(repeated), fault, "ids must be unique")
        return ids

    def names(self, name: str) -> NDArray[Any]:
        array = self.read(name, "source or group")
        if not (pa.types.is_integer(array.type) or is_text(array.type)):
            raise DataError(f"{self.table.display_name}: column {name!r}: must be strings or integers, is {array.type}")
        self._refuse_nulls(name, array, "give every row a value")
        return self._numpy(name, array)

    def texts(self, name: str) -> NDArray[Any]:
        """Return (N,) values as text, "" for null."""
        array = self.read(name, "splits")
        if pa.types.is_boolean(array.type):
            array = array.cast(pa.string())
        if not (pa.types.is_integer(array.type) or is_text(array.type)):
            raise DataError(f"{self.table.display_name}: column {name!r}: must be strings or integers, is {array.type}")
        texts = ["" if value is None else str(value) for value in array.to_pylist()]
        return np.array(texts, dtype=np.dtypes.StringDType())

    def times(self, name: str) -> NDArray[Any]:
        """Return (N,) values in the order of time.

        Dates and timestamps are counted from 1970 on; text must sort as time does, as ISO 8601 does.
        """
        array = self.read(name, "time")
        if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type):
            wide = pa.int32() if array.type.bit_width == 32 else pa.int64()
            array = array.cast(wide)
        if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or is_text(array.type)):
            raise DataError(
                f"{self.table.display_name}: column {name!r}: times must be dates, numbers or text, are {array.type}"
            )
        self._refuse_nulls(name, array, "give every row a time")
        if not pa.types.is_floating(array.type):
            return self._numpy(name, array)
        values = numbers_of(array).astype(np.float64)
        missing = np.flatnonzero(np.isnan(values))
        if len(missing):
            raise self.fail(name, missing, "NaN", "give every row a time")
        return values

    def _numpy(self, name: str, array: pa.Array) -> NDArray[Any]:
        if is_text(array.type):
            return np.array(array.to_pylist(), dtype=np.dtypes.StringDType())
        if pa.types.is_uint64(array.type):
            large = np.flatnonzero(numbers_of(array) > np.iinfo(np.int64).max)
            if len(large):
                raise self.fail(name, large, "an integer of 2^63 or more", "write such numbers as text")
        return numbers_of(array).astype(np.int64)

    def _refuse_nulls(self, name: str, array: pa.Array, advice: str) -> None:
        missing = np.flatnonzero(~is_valid(array))
        if len(missing):
            raise self.fail(name, missing, "null", advice)


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def numbers_of(array: pa.Array) -> NDArray[Any]:
    """Return the numbers of an array, with any value in place of nulls.

    Arrow's own conversions to NumPy import pandas first.
    """
    values = pa.Array.from_buffers(array.type, len(array), [None, array.buffers()[1]], offset=array.offset)
    return np.from_dlpack(values)


def is_valid(array: pa.Array) -> NDArray[np.bool_]:
    return numbers_of(array.is_valid().cast(pa.uint8())).view(np.bool_)

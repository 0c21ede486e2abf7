"""Check a suite against its data before anything is made of them.

What a run would refuse after minutes is refused here, with the line of the suite.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.dataset import Dataset
from harness.data.limits import COLUMN_BYTES, ROW_BYTES, TEXT_BYTES, check_density, check_memory
from harness.data.section import Data, Raters
from harness.data.table import DataTable
from harness.errors import DataError, SuiteError, did_you_mean, printable
from harness.plugin.items import Items
from harness.run.locations import in_user_words
from harness.suite.catalog import Catalog
from harness.suite.suite import Suite
from harness.utils.files import describe_special
from harness.utils.yaml_file import Place

TRIED_ROWS = 64  # that a bundled feature set is tried on
BUNDLED = "labelharness"  # the distribution of the makers that are tried
RESUMABLE = ("column", "npy")  # bundled embedders that check their files before they read a row


def check_table(suite: Suite, table: DataTable) -> None:
    """Raise SuiteError with a line for every column that is not there.

    A file that is not the one of `data.sha256`, or whose rows do not fit into memory, is refused too, by DataError.
    """
    if suite.data.sha256 is not None and not table.simulated and suite.data.sha256 != table.sha256:
        was = f"is {table.sha256}, the suite was written for {suite.data.sha256}"
        raise DataError(f"{table.display_name}: has changed: its SHA-256 {was}", ("data", "sha256"))
    present = table.columns
    named = list(_named_columns(suite.data))
    problems = [
        f"{suite.at(place)}: {table.display_name}: no column {name!r} for {role}{did_you_mean(name, present)}"
        for place, name, role in named
        if name not in present
    ]
    if problems:
        raise SuiteError("\n".join(map(printable, problems)))
    for name in suite.block_parameters:
        table.check_column(name)
    kinds = pq.read_schema(table.path)
    read = {name for _, name, role in named if role != "text"}
    widths = sum(TEXT_BYTES if "string" in str(kinds.field(name).type) else COLUMN_BYTES for name in read)
    rows = pq.read_metadata(table.path).num_rows
    check_density(rows, table.path.stat().st_size, table.display_name, ("data", "path"))
    check_memory(rows, ROW_BYTES + widths, table.display_name, ("data", "path"))


def _named_columns(data: Data) -> Iterator[tuple[Place, str, str]]:
    """Yield (place, column, role) of every column that the data section names."""
    target: Place = ("data", "target")
    for i, name in enumerate(data.hidden):
        yield target if isinstance(data.target, str) else (*target, "of", i), name, "target or raters"
    raters: Place = ("data", "raters", "columns") if isinstance(data.raters, Raters) else ("data", "raters")
    yield from (((*raters, i), name, "target or raters") for i, name in enumerate(data.rater_columns))
    if data.id is not None:
        yield ("data", "id"), data.id, "id"
    for i, name in enumerate(data.text_columns):
        yield ("data", "text", i) if isinstance(data.text, tuple) else ("data", "text"), name, "text"
    roles = {"source": "source or group", "group": "source or group", "time": "time"}
    for key, role in roles.items():
        if (name := getattr(data, key)) is not None:
            yield ("data", key), name, role


def check_blocks(blocks: Mapping[str, Any], dataset: Dataset, catalog: Catalog) -> None:
    """Raise DataError for a block that cannot be made of these data.

    Files that makers name are looked at, and bundled makers are tried on a few rows. No block is made.
    """
    for name, maker in blocks.items():
        try:
            _check_files(maker)
            if catalog.of(maker).distribution == BUNDLED:
                _try_maker(maker, dataset.items)
        except DataError as error:
            message = in_user_words(str(error), dataset.table, dataset.items)
            raise DataError(f"block {name!r}: {message}", ("blocks", name)) from None
        except (pa.ArrowException, OSError) as error:
            reason = printable((str(error).strip() or type(error).__name__).splitlines()[0])
            fault = f"block {name!r}: {dataset.table.display_name} cannot be read: {reason}"
            raise DataError(f"{fault}; the file is damaged, write it again", ("blocks", name)) from None


def _check_files(maker: Any) -> None:
    for path in (getattr(maker, field.name) for field in fields(maker)):
        if isinstance(path, Path):
            try:
                fault = describe_special(path)
            except OSError as error:
                raise DataError(f"{path}: {error.strerror}") from None
            if fault is not None and not path.is_dir():
                raise DataError(f"{path}: {fault}")


def _try_maker(maker: Any, items: Items) -> None:
    if getattr(maker, "text_only", False):
        next(items.conversations(), None)
    elif hasattr(maker, "features"):
        maker.features(replace(items, rows=items.rows[:TRIED_ROWS], ids=items.ids[:TRIED_ROWS]))
    elif maker.name in RESUMABLE:
        for _ in maker.embed(items, len(items)):  # behind the last row: no vector is read
            pass

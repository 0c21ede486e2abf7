"""The file of rows to label next: rows of the data, with new columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.row_copy import RowCopy
from harness.label import label_file
from harness.label.task_file import LabelTask
from harness.statistics.intervals import Numbers

COLUMN_NAMES = ("wanted", "proxy_label", "confidence", "proxy_probs", "proxy_labeler")


@dataclass(frozen=True, eq=False)
class Suggestion:
    """k rows of the source to label next, the most useful first."""

    rows: Numbers  # (k,) row numbers in the source
    columns: pa.Table  # (k) the new columns of these rows
    need: Numbers  # (C,) 1 - F1 of each class, out of fold
    by_class: Mapping[str, int]  # label by the labeler -> rows
    by_source: Mapping[str, int]  # source -> rows
    tasks: Sequence[LabelTask] = ()  # (k) for an annotation tool, where they were asked for


def write_rows(source: RowCopy, target: Path, suggestion: Suggestion, metadata: Mapping[str, Any]) -> None:
    """Write the suggested rows of `source` with their columns, at once."""
    increasing = np.sort(suggestion.rows)
    parts, first = [], 0
    for batch in source.batches():
        low, high = np.searchsorted(increasing, (first, first + len(batch)))
        parts.append(batch.take(pa.array(increasing[low:high] - first)))
        first += len(batch)
    order = np.argsort(np.argsort(suggestion.rows, kind="stable"), kind="stable")
    rows = pa.Table.from_batches(parts, source.schema).take(order)
    for name in COLUMN_NAMES:
        rows = rows.append_column(name, suggestion.columns[name])
    label_file.write_table(rows, target, metadata)

"""The file of rows to label next: as the data have them, the most wanted first, with what the labeler says of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.table import batches
from harness.label import label_file, postprocess
from harness.label.active_learning import choose_diverse, class_need, uncertainty
from harness.label.columns import LabelJob, open_blocks, transferred
from harness.label.training import LabelRun, read_answers
from harness.statistics.intervals import Numbers

COLUMN_NAMES = ("wanted", "proxy_label", "confidence", "proxy_probs", "proxy_labeler")


@dataclass(frozen=True, eq=False)
class Suggestion:
    """k rows of the source, the most wanted first, and why they are."""

    rows: Numbers  # (k,) row numbers in the source
    columns: pa.Table
    need: Numbers  # (C,) 1 - F1 of each class, out of fold
    by_class: Mapping[int, int]  # rows that the labeler would give each label
    by_source: Mapping[str, int]


def suggest_rows(label_run: LabelRun, job: LabelJob, k: int) -> Suggestion:
    """Choose k unlabelled rows from the finished cells."""
    dataset, found = label_run.dataset, read_answers(label_run)
    unit = None if label_run.unit is None else label_run.unit[dataset.labelled]
    postprocessor, gold = postprocess.fit_postprocessor(found.held, dataset.y, label_run.fold, unit, job.options)
    answers = transferred(label_run, found, postprocessor).apply(found.proba)
    needed = class_need(dataset.y, gold.label, dataset.n_classes)
    want = uncertainty(answers.proba, needed)
    chosen = choose_diverse(want, label_run.unlabelled, dataset.labelled, open_blocks(label_run), k)
    here = label_run.unlabelled[chosen]
    label = answers.label[chosen]
    columns = pa.table(
        {
            "wanted": want[chosen].astype(np.float32),
            "proxy_label": label.astype(np.int16),
            "confidence": answers.confidence[chosen].astype(np.float32),
            "proxy_probs": pa.FixedSizeListArray.from_arrays(
                pa.array(answers.proba[chosen].astype(np.float32).reshape(-1)), dataset.n_classes
            ),
            "proxy_labeler": [label_run.run.cells[0].candidate.title] * len(chosen),
        }
    )
    sources = {} if dataset.sources is None else _counts(dataset.sources[here])
    classes = {c: int((label == c).sum()) for c in range(dataset.n_classes)}
    return Suggestion(dataset.items.rows[here] - job.before, columns, needed, classes, sources)


def write_suggestion(source: Path, target: Path, found: Suggestion, about: Mapping[str, Any]) -> None:
    """Write the chosen rows of `source` with the new columns, in one rename."""
    inside = np.sort(found.rows)
    parts, first = [], 0
    for batch in batches(source):
        low, high = np.searchsorted(inside, (first, first + len(batch)))
        parts.append(batch.take(pa.array(inside[low:high] - first)))
        first += len(batch)
    rows = pa.Table.from_batches(parts, pq.read_schema(source)).take(
        np.argsort(np.argsort(found.rows, kind="stable"), kind="stable")
    )
    for name in COLUMN_NAMES:
        rows = rows.append_column(name, found.columns[name])
    label_file.write_table(rows, target, about)


def _counts(names: Numbers) -> dict[str, int]:
    found, often = np.unique(names, return_counts=True)
    return {str(name): int(count) for name, count in zip(found, often, strict=True)}

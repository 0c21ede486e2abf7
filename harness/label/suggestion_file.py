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
from harness.label.active_learning import need, suggest, wanted
from harness.label.columns import Order, blocks_of, carried
from harness.label.training import Labelling, answered
from harness.statistics.intervals import Numbers

NAMES = ("wanted", "proxy_label", "confidence", "proxy_probs", "proxy_labeler")


@dataclass(frozen=True, eq=False)
class Shortlist:
    """k rows of the source, the most wanted first, and why they are."""

    rows: Numbers  # (k,) row numbers in the source
    columns: pa.Table
    need: Numbers  # (C,) 1 - F1 of each class, out of fold
    by_class: Mapping[int, int]  # rows that the labeler would give each label
    by_source: Mapping[str, int]


def shortlist(labelling: Labelling, order: Order, k: int) -> Shortlist:
    """Choose k unlabelled rows from the finished cells."""
    dataset, found = labelling.dataset, answered(labelling)
    unit = None if labelling.unit is None else labelling.unit[dataset.labelled]
    learnt, gold = postprocess.learn(found.held, dataset.y, labelling.fold, unit, order.wish)
    answers = carried(labelling, found, learnt).apply(found.proba)
    needed = need(dataset.y, gold.label, dataset.n_classes)
    want = wanted(answers.proba, needed)
    chosen = suggest(want, labelling.unlabelled, dataset.labelled, blocks_of(labelling), k)
    here = labelling.unlabelled[chosen]
    label = answers.label[chosen]
    columns = pa.table(
        {
            "wanted": want[chosen].astype(np.float32),
            "proxy_label": label.astype(np.int16),
            "confidence": answers.confidence[chosen].astype(np.float32),
            "proxy_probs": pa.FixedSizeListArray.from_arrays(
                pa.array(answers.proba[chosen].astype(np.float32).reshape(-1)), dataset.n_classes
            ),
            "proxy_labeler": [labelling.run.cells[0].candidate.title] * len(chosen),
        }
    )
    sources = {} if dataset.sources is None else _counts(dataset.sources[here])
    classes = {c: int((label == c).sum()) for c in range(dataset.n_classes)}
    return Shortlist(dataset.items.rows[here] - order.before, columns, needed, classes, sources)


def write(source: Path, target: Path, found: Shortlist, about: Mapping[str, Any]) -> None:
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
    for name in NAMES:
        rows = rows.append_column(name, found.columns[name])
    label_file.write_table(rows, target, about)


def _counts(names: Numbers) -> dict[str, int]:
    found, often = np.unique(names, return_counts=True)
    return {str(name): int(count) for name, count in zip(found, often, strict=True)}

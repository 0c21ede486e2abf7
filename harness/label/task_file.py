"""Write rows to label next as tasks of an annotation tool."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from harness.data.dataset import Dataset
from harness.errors import DataError
from harness.label.label_file import write_text
from harness.plugin.items import Conversation, Items
from harness.statistics.intervals import Numbers

ID, TEXT, LABEL = "id", "text", "label"
"""The names in every form: of the row's id, of what is shown, and of the answer."""

SUFFIXES = {"csv": ".csv", "label-studio": ".json", "argilla": ".jsonl"}  # form -> suffix of its file
MAX_AGENT = 200  # letters of an agent's name in Argilla


@dataclass(frozen=True)
class LabelTask:
    """A row that people are to label, and what the labeler makes of it."""

    id: str
    text: str
    source: str | None
    wanted: float  # how much the label would teach, from 0 to 1
    proxy_label: str
    confidence: float


def make_tasks(
    dataset: Dataset, rows: Numbers, ids: Sequence[object], wanted: Numbers, label: Numbers, confidence: Numbers
) -> list[LabelTask]:
    """Return the tasks of `rows` (k,) of a dataset, in this order."""
    order = np.argsort(rows)
    items = replace(dataset.items, rows=dataset.items.rows[rows[order]], ids=dataset.items.ids[rows[order]])
    text_of = dict(zip(order.tolist(), _shown_texts(items), strict=True))
    return [
        LabelTask(
            str(ids[i]),
            text_of[i],
            None if dataset.sources is None else str(dataset.sources[rows[i]]),
            round(float(wanted[i]), 4),
            dataset.classes.names[label[i]],
            round(float(confidence[i]), 4),
        )
        for i in range(len(rows))
    ]


def _shown_texts(items: Items) -> Iterator[str]:
    """Yield what people read of each row.

    It is the text; without one, the columns that are numbers, words or truth values, a line each.
    """
    if items.text is not None:
        yield from map(_write_conversation, items.conversations())
        return
    values = {}
    for name in items.columns:
        column = items.values(name)
        if column.type.num_fields == 0:  # no vectors and no objects
            values[name] = column.to_pylist()
    for row in zip(*values.values(), strict=True):
        yield "\n".join(f"{name}: {'' if value is None else value}" for name, value in zip(values, row, strict=True))


def _write_conversation(turns: Conversation) -> str:
    if len(turns) == 1:
        return turns[0][1]
    return "\n\n".join(f"{role}: {content}" for role, content in turns)


def check_target(form: str, target: Path) -> None:
    """Raise DataError unless tasks can be written to `target`, a new file.

    What is there may have answers in it already, so it is never replaced.
    """
    if target.suffix != SUFFIXES[form]:
        raise DataError(f"--to {target}: must end in {SUFFIXES[form]} for --as {form}")
    if not target.parent.is_dir():
        raise DataError(f"--to {target}: no such folder: {target.parent}")
    for file in (target, target.with_suffix(".xml")) if form == "label-studio" else (target,):
        if file.exists():
            raise DataError(f"--to {target}: {file} is there already, perhaps with answers; name another file")


def write_tasks(form: str, tasks: Sequence[LabelTask], classes: Sequence[str], labeler: str, target: Path) -> None:
    """Write tasks in a form of SUFFIXES.

    Beside those of Label Studio its labelling interface is written, as .xml.
    """
    if form == "csv":
        write_text(_to_csv(tasks), target)
        return
    if form == "argilla":
        lines = (json.dumps(_argilla_record(task, labeler), ensure_ascii=False) for task in tasks)
        write_text("".join(f"{line}\n" for line in lines), target)
        return
    objects = (json.dumps(_label_studio_task(task, labeler), ensure_ascii=False) for task in tasks)
    write_text("[\n" + ",\n".join(objects) + "\n]\n", target)
    write_text(label_studio_interface(classes), target.with_suffix(".xml"))


def _to_csv(tasks: Sequence[LabelTask]) -> str:
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow((ID, TEXT, "source", "wanted", "proxy_label", "confidence", LABEL))
    for task in tasks:
        out.writerow((task.id, task.text, task.source or "", task.wanted, task.proxy_label, task.confidence, ""))
    return text.getvalue()


def _label_studio_task(task: LabelTask, labeler: str) -> dict[str, Any]:
    result = {"from_name": LABEL, "to_name": TEXT, "type": "choices", "value": {"choices": [task.proxy_label]}}
    return {
        "data": {ID: task.id, TEXT: task.text, **_extras(task)},
        "predictions": [{"model_version": labeler, "score": task.confidence, "result": [result]}],
    }


def label_studio_interface(classes: Sequence[str]) -> str:
    """Return the labelling interface of a Label Studio project."""
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in classes)
    return (
        f'<View>\n  <Text name="{TEXT}" value="${TEXT}"/>\n'
        f'  <Choices name="{LABEL}" toName="{TEXT}" choice="single" required="true">\n{choices}  </Choices>\n</View>\n'
    )


def _argilla_record(task: LabelTask, labeler: str) -> dict[str, Any]:
    agent = re.sub(r"[^a-zA-Z0-9_:./-]+", "_", labeler).strip("_")[:MAX_AGENT]  # its server takes no other letters
    return {
        "id": task.id,
        "fields": {TEXT: task.text},
        "metadata": _extras(task),
        "suggestions": {LABEL: {"value": task.proxy_label, "score": task.confidence, "agent": agent or None}},
    }


def _extras(task: LabelTask) -> dict[str, Any]:
    return ({} if task.source is None else {"source": task.source}) | {"wanted": task.wanted}

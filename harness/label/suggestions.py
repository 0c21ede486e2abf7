"""Suggest rows to label next, from a finished labelling."""

import numpy as np
import pyarrow as pa

from harness.data.classes import Classes
from harness.label.active_learning import choose_diverse, class_need, uncertainty
from harness.label.columns import fit_postprocessors, open_blocks
from harness.label.job import LabelJob
from harness.label.suggestion_file import Suggestion
from harness.label.task_file import LabelTask, make_tasks
from harness.label.training import read_probabilities


def _decode(classes: Classes, label: np.ndarray) -> pa.Array:
    values = classes.decode(label)
    return values.cast(pa.int16()) if classes.are_numbered else values


def suggest_rows(job: LabelJob, k: int) -> Suggestion:
    """Choose k unlabelled rows, the most useful first."""
    label_run, dataset = job.label_run, job.label_run.dataset
    proba = read_probabilities(label_run)
    fitted = fit_postprocessors(job, proba)
    answers = fitted.refit.apply(proba.refit)
    need = class_need(dataset.y, fitted.gold.label, dataset.n_classes)
    weight = uncertainty(answers.proba, need)
    chosen = choose_diverse(weight, label_run.unlabelled, dataset.labelled, open_blocks(label_run), k)
    rows, label = label_run.unlabelled[chosen], answers.label[chosen]
    columns = pa.table(
        {
            "wanted": weight[chosen].astype(np.float32),
            "proxy_label": _decode(dataset.classes, label),
            "confidence": answers.confidence[chosen].astype(np.float32),
            "proxy_probs": pa.FixedSizeListArray.from_arrays(
                pa.array(answers.proba[chosen].astype(np.float32).reshape(-1)), dataset.n_classes
            ),
            "proxy_labeler": [label_run.labeler] * len(chosen),
        }
    )
    by_class = {name: int((label == c).sum()) for c, name in enumerate(dataset.classes.names)}
    by_source: dict[str, int] = {}
    if dataset.sources is not None:
        names, counts = np.unique(dataset.sources[rows], return_counts=True)
        by_source = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    source_rows = dataset.items.rows[rows] - job.source_start
    tasks: list[LabelTask] = []
    if job.options.form is not None:
        ids = source_rows if label_run.run.suite.data.id is None else dataset.items.ids[rows]
        tasks = make_tasks(dataset, rows, ids.tolist(), weight[chosen], label, answers.confidence[chosen])
    return Suggestion(source_rows, columns, need, by_class, by_source, tasks)

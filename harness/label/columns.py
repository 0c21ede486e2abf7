"""From finished cells to what is written: the new columns, and the account of how good they are."""

from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness import __version__
from harness.data.table import DataTable
from harness.label import label_file, out_of_distribution, postprocess, quality, refit
from harness.label.card import Account, CardShift, Provenance
from harness.label.out_of_distribution import FAR_SHARE, Support
from harness.label.postprocess import LabelledRows, LabelOptions, Postprocessor
from harness.label.quality import Pool
from harness.label.training import (
    LabelRun,
    OutOfFold,
    count_in_labelled_groups,
    measure_growth,
    read_answers,
    unseen_classes,
)
from harness.plugin.block import Block
from harness.run import blocks
from harness.statistics.intervals import Numbers
from harness.statistics.prediction_powered import Sample
from harness.suite import spec
from harness.utils.hashing import digest


@dataclass(frozen=True)
class LabelJob:
    """What is to be written: which rows, where, and what the card says of them."""

    source: DataTable
    before: int  # rows of the labelling's data that stand before those of the source
    file: str
    chosen: str
    licence: str
    options: LabelOptions
    labels_for: float | None = None  # the accuracy that more labels are to bring


def build_columns(label_run: LabelRun, job: LabelJob) -> tuple[Account, pa.Table]:
    """Judge the finished cells; returns the account and the new columns of the source, row for row."""
    dataset, options = label_run.dataset, job.options
    found = read_answers(label_run)
    unit = None if label_run.unit is None else label_run.unit[dataset.labelled]
    postprocessor, gold = postprocess.fit_postprocessor(found.held, dataset.y, label_run.fold, unit, options)
    last = transferred(label_run, found, postprocessor)
    answers = last.apply(found.proba)
    transfers = refit.estimate_transfers(
        found.proba[np.searchsorted(label_run.unlabelled, label_run.shared_pool)],
        found.shared_pool,
        postprocessor,
        last,
        quality.figures_by_fold(gold, dataset.y, dataset.n_classes, label_run.fold, options),
        len(dataset.labelled) / len(label_run.unlabelled),
    )
    there = out_of_distribution.find_unsupported(dataset, label_run.unlabelled, open_blocks(label_run))
    run_id = digest([cell.key for cell in label_run.cells], asdict(options))[:16]
    account = Account(
        _provenance(label_run, job, run_id),
        len(dataset),
        len(dataset.labelled),
        len(label_run.unlabelled),
        int(answers.accepted.sum()),
        last,
        quality.measure_quality(found.held, gold, dataset.y, unit, last, transfers, answers),
        _pool(label_run, found, answers),
        _shift(label_run, there),
        None if job.labels_for is None else measure_growth(label_run, found, job.labels_for),
    )
    return account, _columns(label_run, job, answers, _accept_by_truth(gold, dataset.y, options), there, run_id)


def transferred(label_run: LabelRun, found: OutOfFold, postprocessor: Postprocessor) -> Postprocessor:
    """Return the rules for the refit labeler, from the rows that it and the labelers of the folds answered for."""
    return postprocessor.transferred(found.proba[np.searchsorted(label_run.unlabelled, label_run.pool)], found.pool)


def _columns(
    label_run: LabelRun, job: LabelJob, answers: LabelledRows, gold: LabelledRows, there: Support, run_id: str
) -> pa.Table:
    dataset = label_run.dataset
    rows = dataset.items.rows - job.before  # of the source
    here = rows[dataset.labelled] >= 0
    return label_file.make_columns(
        pq.read_metadata(job.source.path).num_rows,
        [(rows[label_run.unlabelled], answers), (rows[dataset.labelled][here], gold.of(here))],
        rows[dataset.labelled][here],
        rows[label_run.unlabelled][there.outside],
        label_run.run.cells[0].candidate.title,
        run_id,
    )


def _accept_by_truth(gold: LabelledRows, y: Numbers, options: LabelOptions) -> LabelledRows:
    """Accept the labelled rows by their label: all, or those that a selection is after."""
    selects = options.top is not None or options.at_least is not None
    return replace(gold, accepted=y >= options.good if selects else np.ones(len(y), np.bool_))


def open_blocks(label_run: LabelRun) -> list[Block]:
    """Return the blocks that the labeler reads."""
    run = label_run.run
    return [blocks.open_block(run.recipes[name], run.cache) for name in run.cells[0].blocks]


def _pool(label_run: LabelRun, found: OutOfFold, answers: LabelledRows) -> Pool:
    dataset, unit = label_run.dataset, label_run.unit
    known = Sample(label_run.fold, None if unit is None else unit[dataset.labelled])
    asked = Sample(label_run.pool_fold, None if unit is None else unit[label_run.pool])
    return quality.estimate_pool(dataset.y, found.held, found.pool, known, asked, answers.label)


def _provenance(label_run: LabelRun, job: LabelJob, run_id: str) -> Provenance:
    run = label_run.run
    candidate = run.cells[0].candidate
    return Provenance(
        job.file,
        str(run.suite.file),
        candidate.title,
        spec.to_spec(candidate.labeler),
        job.chosen,
        label_run.dataset.table.display_name,
        job.source.sha256,
        " + ".join(run.suite.data.hidden),
        run_id,
        int(label_run.fold.max()) + 1,
        job.licence,
        __version__,
        run.simulated,
    )


def _shift(label_run: LabelRun, there: Support) -> CardShift:
    dataset = label_run.dataset
    return CardShift(
        there.measured,
        int(there.far.sum()),
        FAR_SHARE,
        int(there.strange.sum()),
        {name: asdict(each) for name, each in there.by_source.items()},
        count_in_labelled_groups(dataset, label_run.unlabelled),
        tuple(unseen_classes(dataset)),
    )

"""From finished cells to the new columns and the account of their quality."""

from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness import __version__
from harness.label import label_file, out_of_distribution, postprocess, quality, refit, shift
from harness.label.account import Account, ChosenLabels, Provenance
from harness.label.card_shift import CardShift
from harness.label.folds import NO_ROWS
from harness.label.job import LabelJob
from harness.label.out_of_distribution import FAR_SHARE, Support
from harness.label.postprocess import LabelledRows, Postprocessor
from harness.label.quality import Pool
from harness.label.shift import ShiftTests
from harness.label.training import (
    LabelRun,
    Probabilities,
    count_in_labelled_groups,
    measure_growth,
    unseen_classes,
)
from harness.plugin.block import Block, Rows
from harness.run import blocks
from harness.statistics.intervals import Numbers
from harness.statistics.prediction_powered import Sample
from harness.suite import spec
from harness.utils.hashing import digest


@dataclass(frozen=True, eq=False)
class Postprocessors:
    """The postprocessors of a labelling, and the labels of the gold rows."""

    folds: Postprocessor  # fitted on the out-of-fold probabilities
    refit: Postprocessor  # the same for the refit labeler
    gold: LabelledRows  # (n,) out of fold
    chosen: LabelledRows  # (g,) out of fold


def fit_postprocessors(job: LabelJob, proba: Probabilities) -> Postprocessors:
    """Fit the postprocessor out of fold and transfer it to the refit labeler.

    It is transferred by the rows of the pool, which the folds have answered for, too.
    """
    label_run = job.label_run
    folds, gold = postprocess.fit_postprocessor(
        proba.held_out, label_run.dataset.y, label_run.fold, label_run.labelled_groups, job.postprocessing
    )
    in_both = np.isin(label_run.pool, label_run.unlabelled)  # the refit labeler has learnt from the chosen rows
    pool = proba.refit[np.searchsorted(label_run.unlabelled, label_run.pool[in_both])]
    transferred = folds.transferred(pool, proba.pool[in_both])
    chosen = folds.apply(proba.chosen) if len(proba.chosen) else gold.of(NO_ROWS)
    return Postprocessors(folds, transferred, gold, chosen)


def build_columns(job: LabelJob, proba: Probabilities, fitted: Postprocessors) -> tuple[Account, pa.Table]:
    """Return the account of the labels and the new columns of the source."""
    label_run, options, dataset = job.label_run, job.postprocessing, job.label_run.dataset
    answers = fitted.refit.apply(proba.refit)
    transfers = refit.estimate_transfers(
        proba.refit[np.searchsorted(label_run.unlabelled, label_run.shared_pool)],
        proba.shared_pool,
        fitted.folds,
        fitted.refit,
        quality.measure_by_fold(fitted.gold, dataset.y, dataset.n_classes, label_run.fold, options),
        len(dataset.labelled) / len(label_run.unlabelled),
    ).without_luck(job.choice.luck)
    opened = open_blocks(label_run)
    support = out_of_distribution.find_unsupported(dataset, label_run.unlabelled, opened)
    run_id = digest([cell.key for cell in label_run.cells], asdict(options))[:16]
    labels_for = job.options.labels_for
    account = Account(
        _provenance(job, run_id),
        dataset.classes,
        len(dataset),
        len(dataset.labelled),
        len(label_run.unlabelled),
        int(answers.accepted.sum()),
        fitted.refit,
        quality.measure_quality(
            proba.held_out, fitted.gold, dataset.y, label_run.labelled_groups, fitted.refit, transfers, answers
        ),
        _estimate_pool(label_run, proba, np.concatenate([answers.label, fitted.chosen.label])),
        _shift(label_run, support, shift.compare_with_pool(label_run, proba, support, opened)),
        None if labels_for is None else measure_growth(label_run, proba, labels_for),
        None if job.truth is None else job.truth.score(_source_rows(job), answers.label, dataset.classes),
        _chosen_labels(label_run, fitted),
    )
    return account, _columns(job, answers, fitted, support, run_id)


def open_blocks(label_run: LabelRun) -> list[Block]:
    """Return the blocks that the labeler reads."""
    run = label_run.run
    return [blocks.open_block(run.recipes[name], run.cache) for name in run.cells[0].blocks]


def _source_rows(job: LabelJob) -> Rows:
    """Return (m,) the row of the source that each unlabelled row is."""
    return np.asarray(job.label_run.dataset.items.rows[job.label_run.unlabelled] - job.source_start)


def _chosen_labels(label_run: LabelRun, fitted: Postprocessors) -> ChosenLabels | None:
    chosen = label_run.chosen
    if not len(chosen.rows):
        return None
    return ChosenLabels(chosen.files, len(chosen.rows), float((fitted.chosen.label == chosen.y).mean()))


def _columns(job: LabelJob, answers: LabelledRows, fitted: Postprocessors, support: Support, run_id: str) -> pa.Table:
    label_run, dataset, chosen = job.label_run, job.label_run.dataset, job.label_run.chosen
    y = np.concatenate([dataset.y, chosen.y])
    # A gold row is accepted by its own label: where rows are selected, if it is good.
    options = job.postprocessing
    accepted = y >= options.good if options.selects else np.ones(len(y), np.bool_)
    gold = replace(LabelledRows.concatenate([fitted.gold, fitted.chosen]), accepted=accepted)
    rows = dataset.items.rows[np.concatenate([dataset.labelled, chosen.rows])] - job.source_start
    in_source = rows >= 0
    gold_rows, unlabelled_rows = rows[in_source], _source_rows(job)
    count = pq.read_metadata(job.source.path).num_rows
    columns = label_file.make_columns(
        count,
        dataset.classes,
        [(unlabelled_rows, answers), (gold_rows, gold.of(in_source))],
        gold_rows,
        unlabelled_rows[support.outside],
        label_run.labeler,
        run_id,
    )
    if not job.options.gold:
        return columns
    chosen_rows = dataset.items.rows[chosen.rows] - job.source_start
    return label_file.add_gold_columns(columns, dataset.classes, gold_rows, y[in_source], chosen_rows)


def _estimate_pool(label_run: LabelRun, proba: Probabilities, label: Numbers) -> Pool:
    dataset = label_run.dataset
    pool_groups = None if dataset.groups is None else dataset.groups[label_run.pool]
    labelled = Sample(label_run.fold, label_run.labelled_groups)
    unlabelled = Sample(label_run.pool_fold, pool_groups)
    return quality.estimate_pool(dataset.y, proba.held_out, proba.pool, labelled, unlabelled, label)


def _provenance(job: LabelJob, run_id: str) -> Provenance:
    run = job.run
    candidate = run.cells[0].candidate
    return Provenance(
        job.options.out.name,
        str(run.suite.file),
        candidate.title,
        spec.to_spec(candidate.labeler),
        job.choice.reason,
        run.dataset.table.display_name,
        job.source.sha256,
        " + ".join(run.suite.data.hidden),
        run_id,
        int(job.label_run.fold.max()) + 1,
        job.options.licence,
        __version__,
        run.simulated,
    )


def _shift(label_run: LabelRun, support: Support, found: ShiftTests) -> CardShift:
    training_set = label_run.run.dataset
    return CardShift(
        support.measured,
        int(support.far.sum()),
        FAR_SHARE,
        int(support.strange.sum()),
        {name: asdict(rows) for name, rows in support.by_source.items()},
        count_in_labelled_groups(training_set, label_run.unlabelled),
        tuple(unseen_classes(training_set)),
        found.tests,
        found.shifted,
        found.corrected,
    )

"""From finished cells to what is written: the new columns, and the account of how good they are."""

from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness import __version__
from harness.data.table import DataTable
from harness.label import label_file, out_of_distribution, postprocess, quality, refit
from harness.label.card import Account, Provenance, Shift
from harness.label.out_of_distribution import FAR, Support
from harness.label.postprocess import Answers, Rules, Wish
from harness.label.quality import Pool
from harness.label.training import Answered, Labelling, answered, grown, in_labelled_groups, unseen_classes
from harness.plugin.block import Block
from harness.run import blocks
from harness.statistics.intervals import Numbers
from harness.statistics.prediction_powered import Sample
from harness.suite import spec
from harness.utils.hashing import digest


@dataclass(frozen=True)
class Order:
    """What is to be written: which rows, where, and what the card says of them."""

    source: DataTable
    before: int  # rows of the labelling's data that stand before those of the source
    file: str
    chosen: str
    licence: str
    wish: Wish
    labels_for: float | None = None  # the accuracy that more labels are to bring


def proxies(labelling: Labelling, order: Order) -> tuple[Account, pa.Table]:
    """Judge the finished cells; returns the account and the new columns of the source, row for row."""
    dataset, wish = labelling.dataset, order.wish
    found = answered(labelling)
    unit = None if labelling.unit is None else labelling.unit[dataset.labelled]
    learnt, gold = postprocess.learn(found.held, dataset.y, labelling.fold, unit, wish)
    last = carried(labelling, found, learnt)
    answers = last.apply(found.proba)
    transfers = refit.compare(
        found.proba[np.searchsorted(labelling.unlabelled, labelling.panel)],
        found.panel,
        learnt,
        last,
        quality.by_fold(gold, dataset.y, dataset.n_classes, labelling.fold, wish),
        len(dataset.labelled) / len(labelling.unlabelled),
    )
    there = out_of_distribution.look(dataset, labelling.unlabelled, blocks_of(labelling))
    run_id = digest([cell.key for cell in labelling.cells], asdict(wish))[:16]
    account = Account(
        _provenance(labelling, order, run_id),
        len(dataset),
        len(dataset.labelled),
        len(labelling.unlabelled),
        int(answers.accepted.sum()),
        last,
        quality.measure(found.held, gold, dataset.y, unit, last, transfers, answers),
        _pool(labelling, found, answers),
        _shift(labelling, there),
        None if order.labels_for is None else grown(labelling, found, order.labels_for),
    )
    return account, _columns(labelling, order, answers, _by_truth(gold, dataset.y, wish), there, run_id)


def carried(labelling: Labelling, found: Answered, learnt: Rules) -> Rules:
    """Return the rules for the last labeler, from the rows that it and the labelers of the folds answered for."""
    return learnt.carried(found.proba[np.searchsorted(labelling.unlabelled, labelling.pool)], found.pool)


def _columns(
    labelling: Labelling, order: Order, answers: Answers, gold: Answers, there: Support, run_id: str
) -> pa.Table:
    dataset = labelling.dataset
    rows = dataset.items.rows - order.before  # of the source
    here = rows[dataset.labelled] >= 0
    return label_file.columns(
        pq.read_metadata(order.source.path).num_rows,
        [(rows[labelling.unlabelled], answers), (rows[dataset.labelled][here], gold.of(here))],
        rows[dataset.labelled][here],
        rows[labelling.unlabelled][there.outside],
        labelling.run.cells[0].candidate.title,
        run_id,
    )


def _by_truth(gold: Answers, y: Numbers, wish: Wish) -> Answers:
    """Accept the labelled rows by their label: all, or those that a selection is after."""
    selects = wish.top is not None or wish.at_least is not None
    return replace(gold, accepted=y >= wish.good if selects else np.ones(len(y), np.bool_))


def blocks_of(labelling: Labelling) -> list[Block]:
    """Return the blocks that the labeler reads."""
    run = labelling.run
    return [blocks.open_block(run.recipes[name], run.cache) for name in run.cells[0].blocks]


def _pool(labelling: Labelling, found: Answered, answers: Answers) -> Pool:
    dataset, unit = labelling.dataset, labelling.unit
    known = Sample(labelling.fold, None if unit is None else unit[dataset.labelled])
    asked = Sample(labelling.pool_fold, None if unit is None else unit[labelling.pool])
    return quality.of_pool(dataset.y, found.held, found.pool, known, asked, answers.label)


def _provenance(labelling: Labelling, order: Order, run_id: str) -> Provenance:
    run = labelling.run
    candidate = run.cells[0].candidate
    return Provenance(
        order.file,
        str(run.suite.file),
        candidate.title,
        spec.to_spec(candidate.labeler),
        order.chosen,
        labelling.dataset.table.display_name,
        order.source.sha256,
        " + ".join(run.suite.data.hidden),
        run_id,
        int(labelling.fold.max()) + 1,
        order.licence,
        __version__,
        run.simulated,
    )


def _shift(labelling: Labelling, there: Support) -> Shift:
    dataset = labelling.dataset
    return Shift(
        there.measured,
        int(there.far.sum()),
        FAR,
        int(there.strange.sum()),
        {name: asdict(each) for name, each in there.by_source.items()},
        in_labelled_groups(dataset, labelling.unlabelled),
        tuple(unseen_classes(dataset)),
    )

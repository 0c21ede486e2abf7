"""Checks of a run: its data, every labeler, and its finished cells."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from harness.audit import robustness
from harness.audit.duplicates import (
    MAX_SEARCHED_ROWS,
    NEAR_DUPLICATE_COSINE,
    PROMPT,
    ROW,
    TEXT,
    DuplicateRows,
    find_duplicates,
    hash_texts,
)
from harness.audit.leakage import describe_leaks, find_leaking_columns, sample_labelled
from harness.audit.makers import check_makers
from harness.audit.questions import LabelerAnswers, question_labelers
from harness.audit.robustness import RobustnessTable
from harness.audit.shift import PopulationShift, find_shifts
from harness.audit.time_order import compare_with_time
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.plugin.block import Block
from harness.run import block_builder
from harness.run import blocks as block_files
from harness.run.plan import EvaluationSplit
from harness.run.runner import Run
from harness.scoring import audit_verdicts
from harness.scoring.audit_verdicts import AuditVerdict
from harness.utils.processes import Processes

MAX_DUPLICATE_SHARE = 0.01  # of the test rows; more with a duplicate among the train rows are a warning, or a leak

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done, and its total."""


@dataclass(frozen=True)
class Remark:
    """A sentence about the data.

    A leak spoils every number of the board, a warning calls for care.
    """

    kind: Literal["leak", "warning", "note"]
    text: str


@dataclass(frozen=True, eq=False)
class Audit:
    """The results of all checks of a run."""

    run: Run
    remarks: tuple[Remark, ...]
    shifts: tuple[PopulationShift, ...]
    duplicates: tuple[DuplicateRows, ...]  # of one split of each comparison
    labelers: dict[str, LabelerAnswers]  # by title, without those that are not made for the task
    verdicts: tuple[AuditVerdict, ...]
    tables: tuple[RobustnessTable, ...]

    @property
    def leaks(self) -> bool:
        """Whether the data or a labeler leak."""
        return "leak" in [
            *(remark.kind for remark in self.remarks),
            *(verdict.judgement for verdict in self.verdicts),
        ]


def audit_run(run: Run, processes: Processes, jobs: int, full: bool, progress: Progress) -> Audit:
    """Check a run and write the verdicts beside its cells.

    The caller holds the run's lock: questions are answered in the folder where cells are. With `full` the questions to
    labelers take whole splits, and all test rows are searched for near duplicates. Blocks that are not on disk are
    built.
    """
    blocks = _open_blocks(run, processes, progress)
    evaluations: dict[str, EvaluationSplit] = {}  # one of each comparison
    for cell in run.cells:
        evaluations.setdefault(cell.evaluation.comparison, cell.evaluation)
    if run.dataset.items.text is not None:
        progress("rows of texts", len(run.dataset), len(run.dataset))
    run.store.open()
    hashes = hash_texts(run.dataset.items)
    embeddings = {name: block for name, block in blocks.items() if block.kind == "embedding"}
    max_rows = None if full else MAX_SEARCHED_ROWS
    duplicates = {
        comparison: find_duplicates(run.dataset, evaluation, hashes, embeddings, max_rows, progress)
        for comparison, evaluation in evaluations.items()
    }
    full_dataset = load_dataset(run.suite.data, Population(), run.dataset.table)
    shifts = tuple(find_shifts(run.dataset, full_dataset, list(evaluations.values())))
    makers = [Remark(each.kind, each.text) for each in check_makers(run, list(blocks), processes, progress)]
    over_time = compare_with_time(run, blocks, processes)
    labelers = question_labelers(run, blocks, processes, jobs, full, progress)
    verdicts = tuple(
        AuditVerdict(
            title,
            answers.finding.judgement,
            answers.finding.reasons,
            tuple(cell.key for cell in run.cells if cell.candidate.title == title),
        )
        for title, answers in labelers.items()
    )
    audit_verdicts.write_verdicts(run.store.folder, verdicts)
    tables = tuple(robustness.robustness_tables(run, duplicates))
    leaks = [Remark("leak", text) for text in _leaking_columns(run, blocks, progress)]
    remarks = (*_remarks(run, duplicates.values(), shifts), *leaks, *makers)
    if over_time is not None:
        remarks = (*remarks, Remark("warning" if over_time[0] else "note", over_time[1]))
    return Audit(run, remarks, shifts, tuple(duplicates.values()), labelers, verdicts, tables)


def _open_blocks(run: Run, processes: Processes, progress: Progress) -> dict[str, Block]:
    """Open every block that a labeler reads; build those not on disk."""
    names = dict.fromkeys(name for cell in run.cells for name in cell.blocks)
    for name in names:
        if not run.is_made(name):
            total = len(run.dataset)
            cores = run.options.jobs * run.options.hardware.threads
            slots = block_builder.default_slots(run.recipes[name], total, cores)
            block_builder.build_block(
                run.recipes[name],
                run.dataset.items,
                run.cache,
                processes,
                run.options.limits,
                lambda done, name=name, total=total: progress(f"block {name}", done, total),  # type: ignore[misc]
                slots,
            )
    return {name: block_files.open_block(run.recipes[name], run.cache) for name in names}


def _leaking_columns(run: Run, blocks: dict[str, Block], progress: Progress) -> Iterator[str]:
    """Yield a sentence for every single column that gives the label away."""
    hidden = run.suite.data.hidden
    raters = tuple("" if name in hidden else name for name in run.suite.data.listed_raters)
    sample, best = sample_labelled(run.dataset), max(robustness.mean_accuracies(run).values(), default=None)
    leaks = find_leaking_columns(run.dataset, sample, blocks, raters, best, progress)
    return describe_leaks(leaks, sample)


def _remarks(run: Run, duplicates: Iterable[DuplicateRows], shifts: Iterable[PopulationShift]) -> Iterator[Remark]:
    """Yield a sentence for everything that is wrong with the data."""
    if run.dataset.oversampled:
        yield Remark("leak", "the population is oversampled: its rows are repeated before the split")
    for rows in duplicates:
        for kind, mask in rows.masks.items():
            if mask.any():
                share = rows.share(kind)
                count = f"{mask.sum():,} of {rows.examined(kind):,} test rows ({share:.2%})"
                severity: Literal["leak", "warning", "note"] = "note" if share < MAX_DUPLICATE_SHARE else "warning"
                if kind == ROW or (kind == TEXT and share > MAX_DUPLICATE_SHARE):
                    severity = "leak"
                yield Remark(severity, f"{rows.evaluation}: {count} {_describe_duplicate(kind)}")
    for shift in shifts:
        if shift.shifted:
            sizes = f"w = {shift.w:.2f}, p {shift.chance}"
            yield Remark("warning", f"{shift.samples}: the mix by {shift.by} is another ({sizes})")
    for name in dict.fromkeys(name for cell in run.cells for name in cell.blocks):
        maker = run.recipes[name].maker
        if not getattr(maker, "resumable", True):
            yield Remark("note", f"block {name} ({maker.name}) is fitted on the texts of all rows, test rows included")


def _describe_duplicate(kind: str) -> str:
    descriptions = {
        ROW: "are rows of the file that stand among the train rows too",
        TEXT: "have the text of a train row",
        PROMPT: "have the prompt of a train row, with its answer or another",
    }
    near = f"have a train row with a cosine above {NEAR_DUPLICATE_COSINE:g} {kind.removeprefix('near ')}"
    return descriptions.get(kind, near)

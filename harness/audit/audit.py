"""Whether a leaderboard can be trusted: checks of the data, of every labeler, and of the finished cells."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness.audit import robustness
from harness.audit.duplicates import (
    NEAR_DUPLICATE_COSINE,
    PROMPT,
    ROW,
    TEXT,
    DuplicateRows,
    find_duplicates,
    hash_texts,
)
from harness.audit.probe import (
    AGAIN,
    BASE,
    PERMUTED,
    QUESTIONS,
    SHUFFLES,
    ProbeAnswer,
    ProbeBench,
    ProbeQuestion,
    make_bench,
    run_probes,
    subsample,
)
from harness.audit.robustness import RobustnessTable
from harness.audit.shift import PopulationShift, find_shifts
from harness.audit.verdict import LeakFinding, beats_majority, judge_labeler
from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.plugin.block import Block
from harness.run import block_builder
from harness.run import blocks as block_files
from harness.run.plan import Cell, EvaluationSplit
from harness.run.runner import Run
from harness.scoring import audit_verdicts
from harness.scoring.audit_verdicts import AuditVerdict
from harness.utils.processes import Processes

MAX_DUPLICATE_SHARE = 0.01  # share of test rows with a twin among the train rows that is worth no warning

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Remark:
    """One sentence about the data: a leak spoils every number of the board, a warning asks for care."""

    kind: Literal["leak", "warning", "note"]
    text: str


@dataclass(frozen=True, eq=False)
class Audit:
    """Everything that was found."""

    run: Run
    remarks: tuple[Remark, ...]
    shifts: tuple[PopulationShift, ...]
    duplicates: tuple[DuplicateRows, ...]  # of one split of each comparison
    rows: tuple[int, int]  # train and test rows of the questions
    findings: dict[str, LeakFinding]  # by labeler; none of one that is not made for the task
    verdicts: tuple[AuditVerdict, ...]
    tables: tuple[RobustnessTable, ...]

    @property
    def leaks(self) -> bool:
        """Whether anything is wrong that no reader may overlook."""
        bad = [each.kind for each in self.remarks] + [each.judgement for each in self.verdicts]
        return "leak" in bad


def audit_run(run: Run, processes: Processes, jobs: int, full: bool, progress: Progress) -> Audit:
    """Make every check and keep the verdicts beside the cells. With `full` the labelers are asked about whole splits,
    and all test rows are searched for near ones. Blocks that are not on disk are made.
    """
    blocks = _blocks(run, processes, progress)
    first: dict[str, EvaluationSplit] = {}
    for cell in run.cells:
        first.setdefault(cell.evaluation.comparison, cell.evaluation)
    if run.dataset.items.text is not None:
        progress("rows of texts", len(run.dataset), len(run.dataset))
    known = hash_texts(run.dataset.items)
    embeddings = {name: block for name, block in blocks.items() if block.kind == "embedding"}
    most = {"most": None} if full else {}
    seen = [
        find_duplicates(run.dataset, evaluation, known, embeddings, progress=progress, **most)
        for evaluation in first.values()
    ]
    whole = load_dataset(run.suite.data, Population(), run.dataset.table)
    moved = list(find_shifts(run.dataset, whole, list(first.values())))
    folder = run.store.folder / "audit"
    shutil.rmtree(folder, ignore_errors=True)  # of an audit that was killed
    folder.mkdir(parents=True)
    try:
        rows, findings = _findings(run, blocks, processes, folder, jobs, full, progress)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    verdicts = tuple(_verdicts(run.cells, findings))
    audit_verdicts.write_verdicts(run.store.folder, verdicts)
    tables = tuple(robustness.robustness_tables(run, {each.evaluation.comparison: each for each in seen}))
    remarks = tuple(_remarks(run, seen, moved))
    return Audit(run, remarks, tuple(moved), tuple(seen), rows, findings, verdicts, tables)


def _blocks(run: Run, processes: Processes, told: Progress) -> dict[str, Block]:
    """Open every block that a labeler is given; what is not on disk is made."""
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
                lambda done, name=name, total=total: told(f"block {name}", done, total),  # type: ignore[misc]
                slots,
            )
    return {name: block_files.open_block(run.recipes[name], run.cache) for name in names}


def _findings(
    run: Run, blocks: dict[str, Block], processes: Processes, folder: Path, jobs: int, full: bool, told: Progress
) -> tuple[tuple[int, int], dict[str, LeakFinding]]:
    """Ask every labeler every question; returns the rows of the questions and the findings by labeler."""
    split = run.cells[0].evaluation.split
    spare = np.setdiff1d(np.arange(len(run.dataset)), np.concatenate([split.train, split.test]))
    split = subsample(split, spare, None, None) if full else subsample(split, spare)
    table = make_bench(run.dataset, split, blocks, folder)
    truth = run.dataset.y[run.dataset.positions(split.test)]
    kinds = {cell.candidate.title: (cell.candidate.labeler, cell.blocks) for cell in run.cells}
    answers = _ask_labelers(
        run,
        table,
        [ProbeQuestion(*kind, q) for kind in kinds.values() for q in QUESTIONS],
        processes,
        jobs,
        told,
        folder,
    )
    again = []
    for labeler, names in kinds.values():
        base, permuted = (answers[ProbeQuestion(labeler, names, question)] for question in (BASE, PERMUTED))
        if base.status == "ok" and permuted.digest != base.digest:
            again.append(ProbeQuestion(labeler, names, AGAIN))
        if beats_majority(answers[ProbeQuestion(labeler, names, "shuffled 1")], truth):
            again += [ProbeQuestion(labeler, names, f"shuffled {number}") for number in range(2, SHUFFLES + 1)]
    answers |= _ask_labelers(run, table, again, processes, jobs, told, folder)
    findings = {}
    for title, (labeler, names) in kinds.items():
        mine = {
            asked.question: answer
            for asked, answer in answers.items()
            if asked == ProbeQuestion(labeler, names, asked.question)
        }
        finding = judge_labeler(labeler, mine, truth)
        if finding is not None:
            findings[title] = finding
    return (len(split.train), len(split.test)), findings


def _ask_labelers(
    run: Run,
    table: ProbeBench,
    asked: list[ProbeQuestion],
    processes: Processes,
    jobs: int,
    told: Progress,
    folder: Path,
) -> dict[ProbeQuestion, ProbeAnswer]:
    done = 0

    def count(_: ProbeQuestion) -> None:
        nonlocal done
        done += 1
        told("questions to labelers", done, len(asked))

    asked = list(dict.fromkeys(asked))
    return run_probes(table, asked, run.catalog, processes, run.options.limits, folder / "workers", jobs, count)


def _verdicts(cells: list[Cell], findings: dict[str, LeakFinding]) -> Iterable[AuditVerdict]:
    for title, finding in findings.items():
        keys = tuple(cell.key for cell in cells if cell.candidate.title == title)
        yield AuditVerdict(title, finding.judgement, finding.reasons, keys)


def _remarks(run: Run, seen: list[DuplicateRows], moved: list[PopulationShift]) -> Iterable[Remark]:
    """Say in sentences what is wrong with the data."""
    if run.dataset.oversampled:
        yield Remark("leak", "the population is oversampled: its rows are repeated before the split")
    for each in seen:
        for what, mask in each.masks.items():
            if mask.any():
                share = (
                    f"{each.evaluation}: {mask.sum():,} of {each.examined(what):,} test rows ({each.share(what):.2%})"
                )
                kind: Literal["leak", "warning", "note"] = (
                    "leak" if what == ROW else "note" if each.share(what) < MAX_DUPLICATE_SHARE else "warning"
                )
                yield Remark(kind, f"{share} {_describe_duplicate(what)}")
    for shift in moved:
        if shift.shifted:
            sizes = f"w = {shift.w:.2f}, p {shift.chance}"
            yield Remark("warning", f"{shift.what}: the mix by {shift.by} is another ({sizes})")
    for name in dict.fromkeys(name for cell in run.cells for name in cell.blocks):
        maker = run.recipes[name].maker
        if not getattr(maker, "resumable", True):
            yield Remark("note", f"block {name} ({maker.name}) is fitted on the texts of all rows, test rows included")


def _describe_duplicate(what: str) -> str:
    known = {
        ROW: "are rows of the file that stand among the train rows too",
        TEXT: "have the text of a train row",
        PROMPT: "have the prompt of a train row, with its answer or another",
    }
    return (
        known.get(what)
        or f"have a train row with a cosine above {NEAR_DUPLICATE_COSINE:g} {what.removeprefix('near ')}"
    )

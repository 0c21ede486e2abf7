"""Put every question to every labeler of a run, at the sizes of its cells.

A labeler that is cheap, by what its finished cells have cost, is asked about a split of the suite as it is: a question
of another size could be told from a cell. A dear one, or one that has not run, is asked about fewer rows.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.audit.probe import (
    AGAIN,
    BASE,
    MAX_TEST_ROWS,
    MAX_TRAIN_ROWS,
    PERMUTED,
    QUESTIONS,
    SHUFFLES,
    Blocks,
    ProbeBench,
    ProbeQuestion,
    make_bench,
    run_probes,
    subsample,
)
from harness.audit.probe_answer import ProbeAnswer
from harness.audit.verdict import LeakFinding, beats_majority, judge_labeler
from harness.plugin.block import Block
from harness.run.runner import Run
from harness.run.timing import read_timing
from harness.utils.processes import Processes

MAX_CELL_SECONDS = 2.0  # that a cell may have cost, for its labeler to be asked about its whole split
MAX_TOTAL_SECONDS = 30.0  # that those cells may have cost together; each is asked about eight times
MAX_BLOCK_BYTES = 2**29  # of the changed copies of the blocks that a labeler reads
COPIES = 3  # changed copies of a block

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LabelerAnswers:
    """What a labeler was asked and how it is judged."""

    finding: LeakFinding
    rows: tuple[int, int]  # train and test rows of the questions
    reduced: str  # why these are fewer than those of its cells; "" where they are not


def question_labelers(
    run: Run, blocks: dict[str, Block], processes: Processes, jobs: int, full: bool, progress: Progress
) -> dict[str, LabelerAnswers]:
    """Put every question to every labeler; return the findings by title.

    Labelers that are not made for the task are left out. With `full` all are asked about whole splits.
    """
    labelers = {cell.candidate.title: (cell.candidate.labeler, cell.blocks) for cell in run.cells}
    split = run.cells[0].evaluation.split
    dataset = run.dataset.cut_by(split.train)
    spare = np.setdiff1d(np.arange(len(dataset)), np.concatenate([split.train, split.test]))
    small = len(split.train) <= MAX_TRAIN_ROWS and len(split.test) <= MAX_TEST_ROWS
    reasons = dict.fromkeys(labelers, "") if full or small else _reduction_reasons(run, blocks)
    answers = dict[str, LabelerAnswers]()
    folders = [run.store.scratch, run.cache / "blocks"]
    salt = str(run.store.folder.absolute())
    for whole_split in (True, False):
        chosen = {title: labelers[title] for title, reason in reasons.items() if whole_split == (not reason)}
        if not chosen:
            continue
        rows = subsample(split, spare, None, None, None) if whole_split else subsample(split, spare)
        names = dict.fromkeys(name for _, names in chosen.values() for name in names)
        bench = make_bench(dataset, rows, {name: blocks[name] for name in names}, folders[1], salt)
        try:
            findings = _judge(run, bench, chosen, processes, folders[0], jobs, progress)
        finally:
            bench.remove()
        sizes = len(rows.train), len(rows.test)
        answers |= {title: LabelerAnswers(finding, sizes, reasons[title]) for title, finding in findings.items()}
    return {title: answers[title] for title in labelers if title in answers}


def _reduction_reasons(run: Run, blocks: Blocks) -> dict[str, str]:
    """Return title -> why its questions are smaller than its cells, or ""."""
    cells = {cell.candidate.title: cell for cell in reversed(run.cells)}  # those of the first split
    reasons, seconds = dict[str, str](), dict[str, float]()
    for title, cell in cells.items():
        timing = read_timing(run.store.cells / cell.key)
        size = sum(blocks[name].array.nbytes for name in cell.blocks) * COPIES
        if not timing:
            reasons[title] = "has no finished cell"
        elif timing["seconds"] > MAX_CELL_SECONDS:
            reasons[title] = f"a cell takes more than {MAX_CELL_SECONDS:g} s"
        elif size > MAX_BLOCK_BYTES:
            reasons[title] = "its blocks are large"
        else:
            seconds[title] = timing["seconds"]
    total = 0.0
    for title in sorted(seconds, key=lambda title: (seconds[title], title)):
        total += seconds[title]
        reasons[title] = "" if total <= MAX_TOTAL_SECONDS else "the cells of all labelers take long"
    return reasons


def _judge(
    run: Run,
    bench: ProbeBench,
    labelers: Mapping[str, tuple[Any, tuple[str, ...]]],
    processes: Processes,
    folder: Path,
    jobs: int,
    progress: Progress,
) -> dict[str, LeakFinding]:
    """Return the finding on each of `labelers`, from its answers."""
    truth = bench.dataset.y[bench.dataset.positions(bench.split.test)]
    total = 0

    def ask(questions: Iterable[ProbeQuestion]) -> dict[ProbeQuestion, ProbeAnswer]:
        nonlocal total
        unique, done = list(dict.fromkeys(questions)), total
        total += len(unique)

        def count(_: ProbeQuestion) -> None:
            nonlocal done
            done += 1
            progress(f"questions about {len(truth):,} rows", done, total)

        return run_probes(bench, unique, run.catalog, processes, run.options.limits, folder, jobs, count)

    answers = ask(ProbeQuestion(*labeler, question) for labeler in labelers.values() for question in QUESTIONS)
    more: list[ProbeQuestion] = []
    for labeler, names in labelers.values():
        base, permuted = (answers[ProbeQuestion(labeler, names, question)] for question in (BASE, PERMUTED))
        if base.status == "ok" and (permuted.digest != base.digest or base.leftovers):
            more.append(ProbeQuestion(labeler, names, AGAIN))
        if beats_majority(answers[ProbeQuestion(labeler, names, "shuffled 1")], truth):
            more += [ProbeQuestion(labeler, names, f"shuffled {number}") for number in range(2, SHUFFLES + 1)]
    answers |= ask(more)
    findings = {}
    for title, (labeler, names) in labelers.items():
        by_question = {
            probe.question: answer
            for probe, answer in answers.items()
            if probe == ProbeQuestion(labeler, names, probe.question)
        }
        finding = judge_labeler(labeler, by_question, truth)
        if finding is not None:
            findings[title] = finding
    for path in folder.iterdir():
        shutil.rmtree(path, ignore_errors=True)  # what was kept for the questions that were asked again
    return findings

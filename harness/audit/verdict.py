"""Judge a labeler by its answers to changed questions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.audit.places import judge_places
from harness.audit.probe import AGAIN, BASE, HALF, PERMUTED, PLACES, ROW, SEED, SHUFFLES, THREADS
from harness.audit.probe_answer import ALPHA, ProbeAnswer, changed_rows
from harness.plugin.protocols import iter_plugins
from harness.run.access import opens_sockets
from harness.scoring.audit_verdicts import Judgement

MAX_THREAD_FLIPS = 0.01  # share of labels that may change with the number of threads


@dataclass(frozen=True)
class LeakFinding:
    """The judgement on one labeler, with the numbers it rests on.

    Shares are of the rows to label; None without an answer.
    """

    judgement: Judgement
    reasons: tuple[str, ...]
    accuracy: float | None = None
    shuffled: float | None = None  # accuracy after training on shuffled labels: the lowest of all shuffles
    chance: float | None = None  # share of the commonest class
    by_row: float | None = None  # share of other answers that one row, set to a million, changes
    by_half: float | None = None  # of answers that the other half of the rows and the spare rows change
    by_place: float | None = None  # of answers that did not go along when the rows to label changed places
    by_seed: float | None = None  # of labels that another seed changes, on the same train rows
    by_threads: float | None = None  # of labels that two threads instead of one change


def judge_labeler(labeler: Any, answers: Mapping[str, ProbeAnswer], truth: NDArray[np.int64]) -> LeakFinding | None:
    """Return the finding on a labeler from its answers by question.

    `truth` (m,) are the hidden labels of the rows of the questions. None where the labeler is not made for the task.
    """
    base = answers[BASE]
    if base.status == "not applicable":
        return None
    if base.status != "ok":
        return LeakFinding("warning", (f"could not be tried: {base.reason}",))
    declared = any(getattr(plugin, "transductive", False) for plugin in iter_plugins(labeler))
    by_row, by_half = changed_rows(base, answers.get(ROW))[1:], changed_rows(base, answers.get(HALF))[: len(truth) // 2]
    shuffled = [
        _accuracy(answer, truth)
        for question, answer in answers.items()
        if question.startswith("shuffled") and answer.status == "ok"
    ]
    chance = float(np.bincount(truth).max() / len(truth))
    by_threads = _flip_rate(base, answers.get(THREADS))
    by_seed = _flip_rate(base, answers.get(SEED))
    places = judge_places(base, answers.get(PLACES), max(by_seed or 0.0, by_threads or 0.0), truth, declared)
    leaks = [*_hidden_label_leaks(answers), *_shuffle_leaks(shuffled, chance, len(truth)), *places.leaks]
    leaks += [] if declared else _test_row_leaks(by_row, by_half)
    leaks += _leftover_leaks(answers)
    warnings = [*places.warnings, *_repetition_warnings(answers)]
    if by_threads is not None and by_threads > MAX_THREAD_FLIPS:
        warnings.append(f"{by_threads:.1%} of its labels change from one thread to two")
    warnings += [
        f"failed on the question {question!r}: {answer.reason}"
        for question, answer in answers.items()
        if answer.status == "failed" and question != BASE
    ]
    notes = [*places.notes]
    if declared:
        share = max(_mean(by_row) or 0.0, _mean(by_half) or 0.0)
        notes.append(
            f"declares that the rows to label influence each other: {share:.1%} of the answers moved with other rows"
        )
    notes += _declared_access(labeler)
    judgement: Judgement = "leak" if leaks else "warning" if warnings else "transductive" if declared else "clean"
    return LeakFinding(
        judgement,
        (*leaks, *warnings, *notes),
        _accuracy(base, truth),
        min(shuffled, default=None),
        chance,
        _mean(by_row),
        _mean(by_half),
        places.moved,
        by_seed,
        by_threads,
    )


def _declared_access(labeler: Any) -> list[str]:
    """Return what a labeler declares beyond its task, which is not checked."""
    plugins = list(iter_plugins(labeler))
    access = [
        f"{attribute} {path}"
        for attribute in ("reads", "writes")
        for plugin in plugins
        for path in getattr(plugin, attribute, ())
    ]
    access += ["opens sockets"] if opens_sockets(plugins) else []
    return [f"declares that it {', '.join(access)}: what it finds there is not checked"] if access else []


def beats_chance(hits: int, m: int, chance: float) -> bool:
    """Return True if guessing hardly gets this many of m rows right.

    A guess is right with probability `chance`: a one-sided binomial test at `ALPHA`.
    """
    from scipy.stats import binom

    return bool(binom.sf(hits - 1, m, chance) < ALPHA)


def beats_majority(answer: ProbeAnswer, truth: NDArray[np.int64]) -> bool:
    """Return True if an answer is significantly better than the majority."""
    if answer.status != "ok":
        return False
    return beats_chance(int((answer.labels == truth).sum()), len(truth), float(np.bincount(truth).max() / len(truth)))


def _shuffle_leaks(shuffled: list[float], chance: float, m: int) -> list[str]:
    """Return a reason if training on shuffled labels beats chance each time.

    One lucky shuffle is no proof: a labeler that uses the hidden labels beats chance on all of them.
    """
    if len(shuffled) < SHUFFLES or not beats_chance(round(min(shuffled) * m), m, chance):
        return []
    return [
        f"knows hidden labels: trained on shuffled labels it is right on {min(shuffled):.1%} of the test rows or more, "
        f"{SHUFFLES} times out of {SHUFFLES}; the commonest class is {chance:.1%} of them"
    ]


def _hidden_label_leaks(answers: Mapping[str, ProbeAnswer]) -> list[str]:
    same = answers[PERMUTED].digest == answers[BASE].digest or answers[PERMUTED].status != "ok"
    repeats = AGAIN in answers and answers[AGAIN].digest == answers[BASE].digest
    return [] if same or not repeats else ["its answer changed with the hidden labels"]


def _leftover_leaks(answers: Mapping[str, ProbeAnswer]) -> list[str]:
    """Return a reason if answers change once a labeler finds its own files."""
    names, again = answers[BASE].leftovers, answers.get(AGAIN)
    if not names or again is None or again.status != "ok" or again.digest == answers[BASE].digest:
        return []
    return [f"leaves files behind ({', '.join(names[:3])}), and answers differently once they are there"]


def _repetition_warnings(answers: Mapping[str, ProbeAnswer]) -> list[str]:
    if AGAIN not in answers or answers[AGAIN].status != "ok" or answers[AGAIN].digest == answers[BASE].digest:
        return []
    share = changed_rows(answers[BASE], answers[AGAIN]).mean()
    return [
        f"the same task got another answer the second time ({share:.1%} of the rows): chance not drawn from the seed"
    ]


def _test_row_leaks(by_row: NDArray[np.bool_], by_half: NDArray[np.bool_]) -> list[str]:
    changes = []
    if by_row.any():
        changes.append(
            f"{by_row.sum():,} of {len(by_row):,} other answers moved when one test row was set to a million"
        )
    if by_half.any():
        changes.append(f"{by_half.sum():,} of {len(by_half):,} answers moved when only other test rows were changed")
    fitted = "fitted on rows it must only label, without declaring itself transductive: "
    return [fitted + "; ".join(changes)] if changes else []


def _flip_rate(base: ProbeAnswer, other: ProbeAnswer | None) -> float | None:
    if other is None or other.proba is None:
        return None
    return float((base.labels != other.labels).mean())


def _accuracy(answer: ProbeAnswer, truth: NDArray[np.int64]) -> float:
    return float((answer.labels == truth).mean())


def _mean(mask: NDArray[np.bool_]) -> float | None:
    return float(mask.mean()) if len(mask) else None

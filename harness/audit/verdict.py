"""From what a labeler answered to changed questions to a verdict, with the numbers it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.audit.probe import AGAIN, BASE, HALF, PERMUTED, ROW, SEED, SHUFFLES, THREADS, ProbeAnswer
from harness.plugin.protocols import iter_plugins
from harness.scoring.audit_verdicts import Judgement

TOLERANCE = 1e-4  # of a probability: sums in another order differ by less
ALPHA = 1e-3  # a labeler that guesses gets so many right with at most this probability
MAX_THREAD_FLIPS = 0.01  # share of labels that may change with the number of threads


@dataclass(frozen=True)
class LeakFinding:
    """What the questions have shown of one labeler. Shares are of the rows to label; None where nothing came back."""

    judgement: Judgement
    reasons: tuple[str, ...]
    accuracy: float | None = None
    shuffled: float | None = None  # accuracy after training on shuffled labels: the least of all shuffles
    chance: float | None = None  # share of the commonest class
    by_row: float | None = None  # other answers that moved when one row was set to a million
    by_half: float | None = None  # answers that moved when the other half of the rows, and the spare rows, did
    by_seed: float | None = None  # labels that another seed changes, on the same train rows
    by_threads: float | None = None  # labels that two threads instead of one change


def judge_labeler(labeler: Any, answers: Mapping[str, ProbeAnswer], truth: NDArray[np.int64]) -> LeakFinding | None:
    """Return the finding on a labeler from its answers by question, or None where it is not made for such a task.

    `truth` are the hidden labels (m,) of the rows asked about.
    """
    base = answers[BASE]
    if base.status == "not applicable":
        return None
    if base.status != "ok":
        return LeakFinding("warning", (f"could not be tried: {base.reason}",))
    declared = any(getattr(plugin, "transductive", False) for plugin in iter_plugins(labeler))
    by_row, by_half = changed_rows(base, answers.get(ROW))[1:], changed_rows(base, answers.get(HALF))[: len(truth) // 2]
    shuffled = _shuffled(answers, truth)
    chance = float(np.bincount(truth).max() / len(truth))
    leaks = [*_of_hidden_labels(answers), *_of_shuffles(shuffled, chance, len(truth))]
    leaks += [] if declared else [*_of_test_rows(by_row, by_half)]
    by_threads = _flips(base, answers.get(THREADS))
    warnings = [*_of_repetition(answers), *_of_threads(by_threads), *_of_failures(answers)]
    judgement: Judgement = "leak" if leaks else "warning" if warnings else "transductive" if declared else "clean"
    reasons = [*leaks, *warnings, *(_of_declared(by_row, by_half) if declared else ())]
    return LeakFinding(
        judgement,
        tuple(reasons),
        _accuracy(base, truth),
        min(shuffled, default=None),
        chance,
        _mean(by_row),
        _mean(by_half),
        _flips(base, answers.get(SEED)),
        by_threads,
    )


def beats_chance(hits: int, m: int, chance: float) -> bool:
    """Say whether a guesser that is right with probability `chance` would hardly get this many of m rows right."""
    from scipy.stats import binom

    return bool(binom.sf(hits - 1, m, chance) < ALPHA)


def beats_majority(answer: ProbeAnswer, truth: NDArray[np.int64]) -> bool:
    """Say whether an answer learned from shuffled labels is right more often than the commonest class is."""
    if answer.status != "ok":
        return False
    return beats_chance(int((answer.labels == truth).sum()), len(truth), float(np.bincount(truth).max() / len(truth)))


def changed_rows(base: ProbeAnswer, other: ProbeAnswer | None) -> NDArray[np.bool_]:
    """Return (m,) True where the label or a probability of a row is another; nothing where there is no answer."""
    if other is None or base.proba is None or other.proba is None:
        return np.empty(0, np.bool_)
    far = np.abs(base.proba - other.proba).max(axis=1) > TOLERANCE
    return np.asarray(far | (base.labels != other.labels))


def _shuffled(answers: Mapping[str, ProbeAnswer], truth: NDArray[np.int64]) -> list[float]:
    return [
        _accuracy(answer, truth)
        for question, answer in answers.items()
        if question.startswith("shuffled") and answer.status == "ok"
    ]


def _of_shuffles(shuffled: list[float], chance: float, m: int) -> list[str]:
    """One lucky shuffle is no proof: what knows the labels beats chance on all of them."""
    if len(shuffled) < SHUFFLES or not beats_chance(round(min(shuffled) * m), m, chance):
        return []
    return [
        f"knows hidden labels: trained on shuffled labels it is right on {min(shuffled):.1%} of the test rows or more, "
        f"{SHUFFLES} times out of {SHUFFLES}; the commonest class is {chance:.1%} of them"
    ]


def _of_hidden_labels(answers: Mapping[str, ProbeAnswer]) -> list[str]:
    same = answers[PERMUTED].digest == answers[BASE].digest or answers[PERMUTED].status != "ok"
    repeats = AGAIN in answers and answers[AGAIN].digest == answers[BASE].digest
    return [] if same or not repeats else ["its answer changed with the hidden labels"]


def _of_repetition(answers: Mapping[str, ProbeAnswer]) -> list[str]:
    if AGAIN not in answers or answers[AGAIN].status != "ok" or answers[AGAIN].digest == answers[BASE].digest:
        return []
    share = changed_rows(answers[BASE], answers[AGAIN]).mean()
    return [
        f"the same task got another answer the second time ({share:.1%} of the rows): chance not drawn from the seed"
    ]


def _of_test_rows(by_row: NDArray[np.bool_], by_half: NDArray[np.bool_]) -> list[str]:
    found = []
    if by_row.any():
        found.append(f"{by_row.sum():,} of {len(by_row):,} other answers moved when one test row was set to a million")
    if by_half.any():
        found.append(f"{by_half.sum():,} of {len(by_half):,} answers moved when only other test rows were changed")
    fitted = "fitted on rows it must only label, without declaring itself transductive: "
    return [fitted + "; ".join(found)] if found else []


def _of_declared(by_row: NDArray[np.bool_], by_half: NDArray[np.bool_]) -> list[str]:
    share = max(_mean(by_row) or 0.0, _mean(by_half) or 0.0)
    return [f"declares that the rows to label influence each other: {share:.1%} of the answers moved with other rows"]


def _of_threads(by_threads: float | None) -> list[str]:
    if by_threads is None or by_threads <= MAX_THREAD_FLIPS:
        return []
    return [f"{by_threads:.1%} of its labels change from one thread to two"]


def _of_failures(answers: Mapping[str, ProbeAnswer]) -> list[str]:
    return [
        f"failed on the question {question!r}: {answer.reason}"
        for question, answer in answers.items()
        if answer.status == "failed" and question != BASE
    ]


def _flips(base: ProbeAnswer, other: ProbeAnswer | None) -> float | None:
    if other is None or other.proba is None:
        return None
    return float((base.labels != other.labels).mean())


def _accuracy(answer: ProbeAnswer, truth: NDArray[np.int64]) -> float:
    return float((answer.labels == truth).mean())


def _mean(mask: NDArray[np.bool_]) -> float | None:
    return float(mask.mean()) if len(mask) else None

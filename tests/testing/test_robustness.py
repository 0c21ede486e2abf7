"""The checks of what a labeler leaves behind and of unusual tasks, on the bundled labelers and on mutants."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import Predictions
from harness.testing import check_plugin, labeler_checks, robustness_checks
from harness.testing.finding import run_check
from tests.testing.test_labelers import LABELERS, Honest, OfCentroids


class NumbersItsCheckpoints(OfCentroids):
    def spoil(self, task, proba):
        return Predictions(proba, checkpoints={3: proba.argmax(axis=1).astype(np.uint8)})


class ColoursItsFacts(OfCentroids):
    def spoil(self, task, proba):
        return Predictions(proba, {"\x1b[31m": 1})


class NamesRowsLikeAnArgument(OfCentroids):
    def spoil(self, task, proba):
        return Predictions(proba, rows={"file": np.zeros(len(proba), bool)})


class MovesAway(OfCentroids):
    def spoil(self, task, proba):
        os.chdir("/")
        return proba


class SetsAVariable(OfCentroids):
    def spoil(self, task, proba):
        os.environ["CHECKED"] = str(len(os.environ))
        return proba


class LeavesAFile(OfCentroids):
    def spoil(self, task, proba):
        Path("notes.txt").touch()
        return proba


CHILDREN = []


class LeavesAChild(OfCentroids):
    def spoil(self, task, proba):
        CHILDREN.append(subprocess.Popen(["sleep", "20"]))
        return proba


class DeepensTheStack(OfCentroids):
    def spoil(self, task, proba):
        sys.setrecursionlimit(sys.getrecursionlimit() + 1)
        return proba


class PrintsALot(OfCentroids):
    def spoil(self, task, proba):
        sys.stdout.write("x" * 1_000_001)
        return proba


class CannotSeedSoHigh(OfCentroids):
    def spoil(self, task, proba):
        np.random.RandomState(task.seed)
        return proba


class WantsMoreRows(OfCentroids):
    def spoil(self, task, proba):
        return proba / (len(task.y) > 1)


MUTANTS = [
    (NumbersItsCheckpoints, "checkpoint_names"),
    (ColoursItsFacts, "fact_names"),
    (NamesRowsLikeAnArgument, "stored"),
    (MovesAway, "working_directory_unchanged"),
    (SetsAVariable, "environment_unchanged"),
    (LeavesAFile, "files_unchanged"),
    (LeavesAChild, "children_unchanged"),
    (DeepensTheStack, "recursion_limit_unchanged"),
    (PrintsALot, "printing"),
    (CannotSeedSoHigh, "largest_seed"),
    (WantsMoreRows, "one_labelled_row"),
]


def failed(labeler):
    return {
        finding.check: finding.message
        for finding in (run_check(check, labeler) for check in robustness_checks)
        if finding.outcome == "failed"
    }


def test_there_are_sixty_checks_a_labeler_and_an_honest_one_passes_all():
    findings = check_plugin("labelers", Honest())
    assert len(findings) >= 60
    assert len({finding.check for finding in findings}) == len(labeler_checks) + len(robustness_checks)
    assert {(finding.outcome, finding.message) for finding in findings} == {("passed", None)}


@pytest.mark.slow
@pytest.mark.parametrize("labeler", LABELERS, ids=repr)
def test_bundled_labelers_pass(labeler):
    assert failed(labeler) == {}


@pytest.mark.parametrize(("mutant", "check"), MUTANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_mutant_fails_the_check_made_for_it(mutant, check, monkeypatch):
    monkeypatch.setenv("CHECKED", "0")
    limit = sys.getrecursionlimit()
    try:
        assert f"check_{check}" in failed(mutant())
    finally:
        sys.setrecursionlimit(limit)
        while CHILDREN:
            child = CHILDREN.pop()
            child.kill()
            child.wait()

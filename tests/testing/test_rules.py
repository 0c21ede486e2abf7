"""The checks of rules: the bundled labelers that learn, and mutants, each of which breaks one promise."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from harness import BlockScaler, On, Rule, Task, learn
from harness.suite.rule_spec import find_learn_error
from harness.testing import rule_checks
from harness.testing.finding import run_check
from harness_plugins.labelers.sklearn_model import SklearnModel
from tests.testing.test_labelers import LABELERS

LEARN = [labeler for labeler in LABELERS if find_learn_error(labeler) is None]


def outcomes(labeler):
    findings = [run_check(check, labeler) for check in rule_checks]
    return {finding.check.removeprefix("check_rule_"): (finding.outcome, finding.message) for finding in findings}


def test_the_labelers_that_learn():
    names = {labeler.name for labeler in LEARN}
    plain = "majority prior source_prior table_prior knn linear mlp resnet ordinal tabm gbm"
    wrappers = "calibrated ensemble greedy_ensemble oversample balanced label_fusion cleanlab simifeat"
    assert {*plain.split(), *wrappers.split()} <= names
    assert names.isdisjoint({"label_spreading", "graph_propagation", "self_training"})


@pytest.mark.parametrize("labeler", LEARN, ids=repr)
def test_rules_of_bundled_labelers_keep_their_promises(labeler):
    if "DecisionTree" in repr(labeler):
        outcome, reason = outcomes(labeler)["stored"]
        assert outcome == "not applicable"
        assert "sklearn's DecisionTreeClassifier holds more than numbers and arrays (tree_)" in reason
        return
    assert outcomes(labeler) == dict.fromkeys(("labels", "stored", "rows"), ("passed", None))


PIPELINES = [
    ["StandardScaler", {"PCA": {"n_components": 3}}, "LogisticRegression"],
    ["GaussianNB"],
    ["MinMaxScaler", "LinearDiscriminantAnalysis"],
]


@pytest.mark.parametrize("steps", PIPELINES, ids=str)
def test_rules_of_pipelines_keep_their_promises(steps):
    labeler = SklearnModel(on=("text", "embedding"), pipeline=tuple(steps))
    assert outcomes(labeler) == dict.fromkeys(("labels", "stored", "rows"), ("passed", None))


@dataclass(frozen=True, eq=False)
class Centres:
    scaler: BlockScaler
    centres: np.ndarray  # (C, d)
    extra: Any = None

    def label(self, blocks, rows):
        distance = ((self.scaler.matrix(blocks, rows)[:, None] - self.centres) ** 2).sum(axis=2)
        weight = np.exp(distance.min(axis=1, keepdims=True) - distance)
        return weight / weight.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Centroid:
    name: ClassVar[str] = "centroid"
    on: On = "text"

    def learn(self, task: Task) -> Centres:
        scaler = BlockScaler.fit(task, self.on)
        X = scaler.matrix(task.blocks, task.labelled)
        return Centres(scaler, np.stack([X[task.y == c].mean(axis=0) for c in range(task.n_classes)]))

    def label(self, task):
        return self.learn(task).label(task.blocks, task.to_label)


class LabelsOtherwise(Centroid):
    def label(self, task):
        proba = super().label(task).astype(np.float32)
        return proba[:, ::-1].copy()


class LearnsFromRowsToLabel(Centroid):
    def learn(self, task: Task) -> Centres:
        rule = super().learn(task)
        return Centres(rule.scaler, rule.centres + 1e-3 * len(task.to_label))


class HoldsAFunction(Centroid):
    def learn(self, task: Task) -> Centres:
        rule = super().learn(task)
        return Centres(rule.scaler, rule.centres, extra=np.tanh)


class HoldsTexts(Centroid):
    def learn(self, task: Task) -> Centres:
        rule = super().learn(task)
        return Centres(rule.scaler, rule.centres, extra=np.array(["a"]))


@dataclass(frozen=True, eq=False)
class OfNumber(Centres):
    def label(self, blocks, rows):
        proba = super().label(blocks, rows)
        return np.where((rows % 7 == 0)[:, None], proba[:, ::-1], proba)


class LooksAtRowNumbers(Centroid):
    def learn(self, task: Task) -> OfNumber:
        return OfNumber(*vars(super().learn(task)).values())


@dataclass(frozen=True, eq=False)
class OfMean(Centres):
    def label(self, blocks, rows):
        proba = super().label(blocks, rows)
        return (proba + proba.mean(axis=0)) / 2


class AveragesItsRows(Centroid):
    def learn(self, task: Task) -> OfMean:
        return OfMean(*vars(super().learn(task)).values())


class NamesNoClass(Centroid):
    def learn(self, task):
        return super().learn(task)


KEPT: dict[str, Any] = {}


@dataclass(frozen=True, eq=False)
class Elsewhere:
    on: str

    def label(self, blocks, rows):
        return KEPT.pop("rule").label(blocks, rows) if "rule" in KEPT else np.full((len(rows), 6), 1 / 6)


class KeepsStateElsewhere(Centroid):
    def learn(self, task: Task) -> Elsewhere:
        KEPT["rule"] = super().learn(task)
        return Elsewhere("text")


MUTANTS = [
    (LabelsOtherwise, "labels", "must be the probabilities of label(task), to the byte"),
    (LearnsFromRowsToLabel, "labels", "must not depend on task.to_label"),
    (HoldsAFunction, "stored", "rule.extra is a ufunc, which a rule cannot hold"),
    (HoldsTexts, "stored", "rule.extra is an array of <U1"),
    (NamesNoClass, "stored", "which no return type of learn()"),
    (KeepsStateElsewhere, "stored", "keep all state in its fields"),
    (LooksAtRowNumbers, "rows", "a row number means nothing"),
    (AveragesItsRows, "rows", "fit on labelled rows only"),
]


@pytest.mark.parametrize(("mutant", "check", "words"), MUTANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_mutant_is_caught(mutant, check, words):
    outcome, message = outcomes(mutant())[check]
    assert outcome == "failed"
    assert words in message


def test_an_honest_rule_of_a_third_party_passes():
    assert {outcome for outcome, _ in outcomes(Centroid(("bge", "text"))).values()} == {"passed"}


def test_it_does_not_apply_without_a_rule():
    @dataclass(frozen=True)
    class Plain:
        name: ClassVar[str] = "plain"

        def label(self, task):
            return np.full((len(task.to_label), task.n_classes), 1 / task.n_classes)

    assert outcomes(Plain())["stored"] == ("not applicable", "labeler 'plain' has no learn()")
    with pytest.raises(Exception, match="labeler 'plain' has no learn"):
        learn(Plain(), None)
    assert Rule is not None

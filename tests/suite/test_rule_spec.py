"""Rules as arrays and JSON: values of all kinds go there and back, and a file names no class of its own choice."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import On, Task
from harness.errors import DataError, PluginError
from harness.suite.rule_spec import dataclass_names, find_learn_error, from_arrays, rule_classes, to_arrays
from harness_plugins.labelers.knn import KNN, KNNRule
from harness_plugins.labelers.majority import Majority
from harness_plugins.wrappers.calibrated import Calibrated, CalibratedRule
from harness_plugins.wrappers.self_training import SelfTraining


@dataclass(frozen=True, eq=False)
class Inner:
    value: Any


@dataclass(frozen=True, eq=False)
class Holder:
    value: Any
    inner: Inner | None = None


@dataclass(frozen=True, eq=False)
class Stranger:
    value: Any


ALLOWED = dataclass_names(Holder)
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def again(value):
    arrays, form = to_arrays(value, ALLOWED)
    return from_arrays(arrays, json.loads(json.dumps(form, allow_nan=False)), ALLOWED, lambda kind, name: KNN)


@given(VALUES)
def test_values_come_back_as_they_were(value):
    holder = again(Holder(value, Inner(value)))
    for part in (holder.value, holder.inner.value):
        assert part == value
        assert repr(part) == repr(value)  # 1 is not True, and 1.0 is not 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_arrays_come_back_with_type_shape_and_bytes(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    holder = again(Holder({"a.b": (array, array[:0])}, Inner(array.T)))
    for part, own in (
        (holder.value["a.b"][0], array),
        (holder.value["a.b"][1], array[:0]),
        (holder.inner.value, array.T),
    ):
        assert (part.dtype, part.shape, part.tobytes()) == (own.dtype, own.shape, own.tobytes())


def test_a_labeler_is_its_spec():
    assert again(Holder(KNN(on=("a", "b"), k=7))).value == KNN(on=("a", "b"), k=7)


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([None]), {1, 2}, [1], {1: 2}, print, Stranger(1), b"x"])
def test_what_is_neither_array_nor_json_is_refused_with_its_place(value):
    with pytest.raises(PluginError, match=r"^rule\.value\.1 is a"):
        to_arrays(Holder((0, value)), ALLOWED)


@pytest.mark.parametrize(
    "form",
    [
        {"class": "os.system", "fields": {}},
        {"class": f"{__name__}.Stranger", "fields": {"value": 1}},
        {"class": f"{__name__}.Holder", "fields": {"other": 1}},
        {"class": f"{__name__}.Holder", "fields": {"value": {"array": "rule.absent"}}},
        {"class": f"{__name__}.Holder", "fields": {"value": [1]}},
        {"float": "many"},
    ],
)
def test_a_file_names_no_class_and_no_part_of_its_own_choice(form):
    with pytest.raises(DataError, match="another version"):
        from_arrays({}, form, ALLOWED, lambda kind, name: KNN)


def test_classes_are_those_of_all_nested_labelers():
    assert {KNNRule, CalibratedRule} <= set(rule_classes(Calibrated(KNN(on="a"))).values())
    assert KNNRule not in rule_classes(Calibrated(Majority())).values()


@dataclass(frozen=True)
class NamesNothingKnown:
    name: ClassVar[str] = "odd"
    on: On = "text"

    def learn(self, task: Task) -> "Nowhere":  # noqa: F821
        raise NotImplementedError


def test_a_return_type_that_cannot_be_read_is_one_line():
    with pytest.raises(PluginError, match=r"labeler 'odd': learn\(\) must name the class that it returns"):
        rule_classes(NamesNothingKnown())


def test_why_nothing_can_be_learnt():
    assert find_learn_error(KNN(on="a")) is None
    assert "transductive" in find_learn_error(Calibrated(SelfTraining(KNN(on="a"))))

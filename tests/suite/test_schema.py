"""The JSON schema accepts the suites that `harness validate` accepts, and refuses unknown keys and wrong types, too."""

import copy
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from jsonschema import Draft202012Validator

from harness.plugin.protocols import Labeler
from harness.suite import catalog, spec, suite
from harness.suite.schema import hint_schema, suite_schema
from harness.utils.yaml_file import Document, load

ROOT = Path(__file__).parents[2]
SUITES = sorted((ROOT / "suites").rglob("*.yaml"))
BASE = {
    "version": 1,
    "name": "base",
    "data": {"path": "x.parquet", "target": {"fuse": "majority", "of": ["a", "b"]}, "classes": 3, "raters": ["a"]},
    "population": {"take": "first", "n": 100},
    "blocks": {
        "e": {"embedder": "column", "column": "embeddings"},
        "t": {"features": "text_v1"},
        "s": {"features": "one_hot", "columns": ["source", "kind"]},
    },
    "splits": [
        {"splitter": "nested", "test": 0.2, "ratios": [0.1, 0.5], "seeds": [1, 2], "labelers": ["k", "prior"]},
        {"splitter": "kfold", "folds": 3},
    ],
    "labelers": [
        "majority",
        {"prior": None},
        {"knn": {"on": ["e", "t"], "k": 5, "sim_threshold": None, "mode": "vote"}, "as": "k"},
        {"gbm": {"on": "e", "grid": {"rounds": [10, 20], "l1": [0, 0.5]}}},
        {"mlp": {"grid": {"on": ["e", ["e", "t"]]}}},
        {"ensemble": {"members": ["prior", {"linear": {"on": "t"}}], "weights": [1, 2.5]}},
        {"self_training": {"base": {"knn": {"on": "e"}}}},
        {"sklearn": {"on": "e", "model": "sklearn.dummy.DummyClassifier", "parameters": {"strategy": "prior"}}},
        {"sklearn": {"on": "e", "pipeline": ["StandardScaler", {"PCA": {"n_components": 2}}, "GaussianNB"]}},
    ],
    "metrics": {"primary": "macro_f1", "baseline": "prior"},
    "protocol": "honest",
    "reference": {"sections": ["4.7"], "dataset": "tulu_30k"},
}
ODD_VALUES = ("oddly", 1.5, True, None, [], ["oddly"], [1.5], {}, {"oddly": 1})
TYPES = "a whole number|a number|a string|true or false|a list|a mapping|a labeler|one name with its"
SHAPE = re.compile(rf"unknown key|is missing: |must be ({TYPES})")


@pytest.fixture(scope="module")
def plugins() -> catalog.Catalog:
    return catalog.discover()


@pytest.fixture(scope="module")
def validator(plugins: catalog.Catalog) -> Draft202012Validator:
    schema = suite_schema(plugins)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_it_accepts_every_suite_of_the_project(validator: Draft202012Validator) -> None:
    assert len(SUITES) > 25
    for file in SUITES:
        assert not [error.message for error in validator.iter_errors(load(file).value)], file


def places(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the places of all values inside a suite."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [inner for key, item in inside for inner in ((*place, key), *places(item, (*place, key)))]


def changed(place: tuple[str | int, ...], change: object) -> dict[str, object]:
    """Return BASE with the value at a place replaced; a str key may be renamed or removed instead."""
    value = copy.deepcopy(BASE)
    around: object = value
    for key in place[:-1]:
        around = around[key]  # type: ignore[index]
    if change == "rename":
        around[f"{place[-1]}x"] = around.pop(place[-1])  # type: ignore
    elif change == "remove":
        around.pop(place[-1])  # type: ignore
    else:
        around[place[-1]] = change  # type: ignore
    return value


def mistakes(value: object, plugins: catalog.Catalog) -> str:
    """Return the mistakes that `harness validate` shows for the values of a file, or ""."""
    reader = spec.Reader(Document("suite.yaml", value, {}), plugins.find)
    suite._read(value, reader, Path("suite.yaml"))
    return "\n".join(reader.problems)


def test_it_refuses_what_validate_refuses_for_its_shape(
    validator: Draft202012Validator, plugins: catalog.Catalog
) -> None:
    assert validator.is_valid(BASE)
    assert not mistakes(BASE, plugins)
    changes = itertools.product(places(BASE), ("rename", "remove", *ODD_VALUES))
    refused = 0
    for place, change in itertools.islice(changes, None, None, 4):
        if change == "rename" and not isinstance(place[-1], str):
            continue
        value = changed(place, change)
        problems = mistakes(value, plugins)
        if not problems:
            assert validator.is_valid(value), (place, change, next(validator.iter_errors(value)).message)
        elif SHAPE.search(problems):
            refused += 1
            assert not validator.is_valid(value), (place, change, problems)
    assert refused > 100


@dataclass(frozen=True)
class Outside:
    """Label from outside."""

    name: ClassVar[str] = "outside"

    base: Labeler
    step: float = 0.5  # of a stair
    how: tuple[str, ...] | None = None


def test_a_plugin_of_another_package_has_its_fields_with_comments_and_defaults() -> None:
    installed = catalog.Catalog([catalog.Entry("labelers", "outside", Outside, "elsewhere", "3")])
    schema = suite_schema(installed)
    (title,) = schema["$defs"]["labelers"]
    parameters = schema["$defs"]["labelers"][title]
    assert (title, parameters["description"], parameters["required"]) == ("outside", "Label from outside.", ["base"])
    assert parameters["properties"] == {
        "base": {"$ref": "#/$defs/labeler"},
        "step": {"type": "number", "default": 0.5, "description": "of a stair"},
        "how": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "default": None},
    }


def test_every_key_of_the_data_is_described(plugins: catalog.Catalog) -> None:
    data = suite_schema(plugins)["$defs"]["data"]["properties"]
    assert [key for key, value in data.items() if not value.get("description")] == []


def test_a_cut_is_thresholds_or_shares(validator: Draft202012Validator) -> None:
    data = {"path": "x.parquet", "target": "score"}
    for cut, is_valid in (([1, 2.5], True), ({"shares": [0.2, 0.8]}, True), ({"share": [0.2, 0.8]}, False), (1, False)):
        assert validator.is_valid(BASE | {"data": data | {"cut": cut}}) == is_valid, cut


def test_types_that_a_suite_cannot_give_take_no_value() -> None:
    assert Draft202012Validator(hint_schema(int | None)).is_valid(None)
    assert not Draft202012Validator(hint_schema(int | None)).is_valid("one")
    for value in (None, 1, "x", [], {}):
        assert not Draft202012Validator(hint_schema(bytes)).is_valid(value)

"""Short names: as wide as asked for, different where the names are, and untouched where they fit."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from harness.report.names import ELLIPSIS, shorten

LETTERS = st.characters(categories=["L", "N", "P", "S", "Mn"], include_characters=" ,()[]=")
PARAMETERS = st.lists(
    st.tuples(st.sampled_from(["k", "tau", "patience", "on", "class_weight"]), st.integers(0, 10**12)), max_size=6
)
SPECS = st.builds(
    lambda method, parameters: f"{method}({', '.join(f'{name}={value}' for name, value in parameters)})",
    st.sampled_from(["knn", "self_training(labeler=mlp", "a_method_of_a_very_long_name_that_fills_a_column_alone"]),
    PARAMETERS,
)


@given(st.lists(SPECS | st.text(LETTERS, max_size=90), max_size=12), st.integers(8, 60))
@example(["x" * 50 + "a" + "y" * 50, "x" * 50 + "b" + "y" * 50, f"{'x' * 9}{ELLIPSIS}"], 10)
@example(["名" * 30 + "甲", "名" * 30 + "乙", "名" * 5], 11)
@settings(deadline=None)
def test_short_names_keep_the_width_and_stay_distinct(names, width):
    short = shorten(names, width)
    assert list(short) == list(dict.fromkeys(names))
    assert all(cell_len(form) <= width for form in short.values())
    assert len(set(short.values())) == len(short)
    for name, form in short.items():
        assert form == name if cell_len(name) <= width else ELLIPSIS in form


@given(st.lists(st.integers(0, 999), min_size=2, max_size=9, unique=True), st.integers(0, 5), st.integers(26, 40))
@settings(deadline=None)
def test_what_differs_is_what_is_kept(values, place, width):
    """One parameter differs, wherever it stands among others that all names share: every short name has it."""
    shared = [f"parameter_{i}=0.{i}" for i in range(5)]
    names = {}
    for value in values:
        parameters = [*shared]
        parameters.insert(place, f"rounds={value}")
        names[f"adopt(base=mlp(h=256), {', '.join(parameters)})"] = value
    for name, form in shorten(names, width).items():
        assert form.startswith("adopt(")
        assert re.search(rf"\brounds={names[name]}(?!\d)", form), form


@given(
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), min_size=2, max_size=9, unique=True),
    st.integers(16, 60),
)
@settings(deadline=None)
def test_of_a_grid_all_values_are_kept(points, width):
    """Two parameters differ: where there is no room for their names, their values are there."""
    names = {f"power(on=embedding, k={k}, alpha={alpha}, mode=regression)": (k, alpha) for k, alpha in points}
    one_k, one_alpha = (len({point[i] for point in points}) == 1 for i in (0, 1))
    for name, form in shorten(names, width).items():
        k, alpha = names[name]
        assert one_k or re.search(rf"(?<!\d){k}(?!\d)", form), form
        assert one_alpha or re.search(rf"(?<!\d){alpha}(?!\d)", form), form


def test_a_wide_parameter_that_differs_is_not_dropped_for_a_narrow_one():
    names = ["mlp(on=svd+text_v2+source, epochs=40)", "mlp(on=svd+text_v2, epochs=40)", "mlp(epochs=40, h=512)"]
    assert list(shorten(names, 24).values()) == ["mlp(…svd+text_v2+source", "mlp(on=svd+text_v2…", names[2]]


@given(st.text("ab", min_size=3, max_size=5), st.integers(12, 30))
@settings(deadline=None)
def test_names_without_parameters_differ_where_they_differ(tail, width):
    first, second = (f"{'m' * 20}{letter}{'n' * 25}{tail}" for letter in "pq")
    short = shorten([first, second], width)
    assert "p" in short[first]
    assert "q" in short[second]


@pytest.mark.parametrize("width", [8, 12, 40])
def test_many_names_of_one_beginning_and_end_stay_distinct(width):
    names = [f"labeler({'x' * 40}, {'y' * i}, {'z' * 40})" for i in range(200)]
    assert len(set(shorten(names, width).values())) == 200

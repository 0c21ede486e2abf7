"""Cards of simulated pools hold, or warn of the shift that is there."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "scripts" / "cards.py"


@pytest.fixture(scope="module")
def rows():
    """What the cards state of one pool of three kinds each, by kind."""
    simulate = runpy.run_path(str(SCRIPT))["simulate"]
    return {row["world"]: row for row in simulate(["few", "class shift", "moved source"], [1])}


def test_thirty_labels_are_held_and_none_is_suspected(rows):
    few = rows["few"]
    assert (few["labels"], few["warned"], few["accuracy"], few["macro_f1"]) == (30, 0, 1, 1)


def test_another_mix_is_warned_of_and_its_shares_are_found(rows):
    assert rows["class shift"]["warned"] == 1
    assert float(rows["class shift"]["shares"]) >= 0.75


def test_a_source_that_has_moved_is_warned_of_and_no_shares_are_given(rows):
    assert (rows["moved source"]["warned"], rows["moved source"]["shares"]) == (1, "")

"""text_v1 and text_v2 against a plain implementation of their definitions: any text, and real conversations."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import Items
from harness_plugins.features import text_v1, text_v2
from tests import plain_text
from tests.conftest import REAL_DATA

CONVERSATIONS = "judged_responses.parquet"
FRAGMENTS = (
    *("a", "e", "I", "I'm ", "İ", "ß", "Σ", "é", "文", "😀", "1", "12) ", "٣", "²", "\ud800", "\x00"),
    *(" ", "  ", "\t", "\n", "\n\n", "\n \n", "\r\n", "\x1c", "\x85", "\u2028", "\xa0", "\u3000"),
    *(".", "!", "?", "...", "-", "- ", "* ", "• ", "# ", "###### ", "|", "| ", "||", "`", "```", "*", "**", "***"),
    *("(", ")", "<", "×", "−", "~", "_", "“", "’", "'", "…", "http://", "https://x"),
    *("I can’t ", "of course ", "of ", "Course! ", "e.g. ", "(e.g., ", "for example ", "sure sure ", "HERE'S "),
    *("may ", "however, ", "only ", "Write ", "the ", "make ", "queue ", "rhythm ", "idée ", "tree "),
)
TEXT = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join),
    st.text(st.characters(exclude_categories=())),  # surrogates and all
)
TURNS = st.lists(st.tuples(st.sampled_from(["user", "assistant", "system", ""]), TEXT), max_size=4)


def agree(conversations):
    """Compare to twelve digits: the sums of the grades are not in the same order, the counts are whole numbers."""
    ours = np.array([text_v2.measure(each) for each in conversations], np.float64)
    plain = np.array([[*plain_text.features(each).values()] for each in conversations])
    wrong = ~np.isclose(ours, plain, rtol=1e-12, atol=1e-12)
    assert not wrong.any(), [(text_v2.TextV2.names[j], conversations[i]) for i, j in np.argwhere(wrong)[:3]]
    assert (ours[:, :35] == [text_v1.measure(each) for each in conversations]).all()


@settings(max_examples=200, deadline=None)
@given(TURNS)
def test_any_text_has_the_numbers_of_the_definitions(turns):
    agree([turns])


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=repr)
@pytest.mark.parametrize("end", ["", "a", " ", "\n"])
def test_one_thing_over_and_over_has_the_numbers_of_the_definitions(fragment, end):
    text = (fragment + end) * 50
    agree([[("user", text), ("assistant", text)]])


def test_real_conversations_have_the_numbers_of_the_definitions():
    """One of 37 of the 18,514, so that it takes a second or two. All of them agree."""
    file = next((folder / CONVERSATIONS for folder in REAL_DATA if (folder / CONVERSATIONS).exists()), None)
    if file is None:
        pytest.skip(f"needs {CONVERSATIONS} in raw_data/: real conversations, which are not in the repository")
    rows = np.arange(0, pq.read_metadata(file).num_rows, 37)
    agree(list(Items(str(file), rows, rows, ("messages",), text="messages").conversations()))

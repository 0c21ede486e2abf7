"""Texts in several columns: turns of user and assistant, or a template."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.data.dataset import load_dataset
from harness.data.population import Population
from harness.data.section import Data
from harness.errors import DataError
from harness.plugin.items import Template
from harness_plugins.features.text_v1 import TextV1

COLUMNS = {
    "y": [0, 1, 2],
    "instruction": ["Sum up.", "Count.", None],
    "input": ["A text.", "", "1 2"],
    "output": ["Short.", "Three.", ""],
    "grade": [1, 2, None],
    "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
}


@pytest.fixture
def conversations(table_of):
    """A function that returns the conversations of the suite's text."""

    def read(text, columns=COLUMNS):
        dataset = load_dataset(Data("data.parquet", "y", 3, text=text), Population(), table_of(columns))
        return list(dataset.items.conversations())

    return read


def test_columns_are_turns_and_the_last_is_the_assistants(conversations):
    assert conversations(("instruction", "input", "output")) == [
        [("user", "Sum up."), ("user", "A text."), ("assistant", "Short.")],
        [("user", "Count."), ("assistant", "Three.")],
        [("user", "1 2")],
    ]
    assert conversations(("output",)) == [[("assistant", "Short.")], [("assistant", "Three.")], []]


def test_a_template_is_one_text(conversations):
    template = Template("{kind}{{}}: {instruction} ({grade})\n{output}")
    assert conversations(template) == [
        [("assistant", "a{}: Sum up. (1)\nShort.")],
        [("assistant", "b{}: Count. (2)\nThree.")],
        [("assistant", "a{}:  ()\n")],
    ]
    assert template.columns == ("kind", "instruction", "grade", "output")


@given(st.text(alphabet="ab{} :!", max_size=12))
@example("{a!a}")
@example("{a:>4}")
@example("{a:}!")
def test_a_template_is_filled_as_python_fills_it_or_refused(text):
    try:
        template = Template(text)
    except ValueError:
        return
    values = {name: f"<{name}>" for name in template.columns}
    assert template.fill(values) == text.format_map(values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{title", "expected '}' before end of string; braces that are text are written twice"),
        ("no names", "must have the names of columns in braces"),
        ("{}", "must have the names of columns in braces"),
        ("{title!r}", "field of column 'title' takes no ':' and no '!': values are put in as they are"),
        ("{title}: {price:.2f}", "field of column 'price' takes no ':' and no '!'"),
    ],
)
def test_templates_that_are_refused(text, words):
    with pytest.raises(ValueError, match=words):
        Template(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (("instruction", "ouput"), "no column 'ouput' for text; did you mean 'output'"),
        (Template("{inptu}"), "no column 'inptu' for text; did you mean 'input'"),
        (("instruction", "y"), "column 'y' may not be used as an input: the target is made of it"),
        (("vector", "output"), "column 'vector' holds list<.*, which is no text to be put together"),
    ],
)
def test_columns_that_are_no_text(conversations, text, words):
    with pytest.raises(DataError, match=words):
        conversations(text, COLUMNS | {"vector": [[1.0], [2.0], [3.0]]})


def test_features_of_turns_are_those_of_the_same_conversations(table_of):
    turns = [
        [{"role": "user", "content": f"What is {i}?"}, {"role": "assistant", "content": f"It is {i} x {i}."}]
        for i in range(5)
    ]
    columns = {
        "y": [0, 1, 2, 0, 1],
        "talk": turns,
        "q": [talk[0]["content"] for talk in turns],
        "a": [talk[1]["content"] for talk in turns],
    }
    table = table_of(columns)
    one, two = (
        load_dataset(Data("data.parquet", "y", 3, text=text), Population(), table) for text in ("talk", ("q", "a"))
    )
    np.testing.assert_array_equal(TextV1().features(one.items), TextV1().features(two.items))
    assert one.identity() != two.identity()

"""Long tables as a page of the site has them."""

import json
import re

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.report.long_table import as_data, long_columns
from harness.report.site_page import table_page
from tests.report.test_html_report import Page

TEXTS = st.none() | st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.none() | st.floats(-1e6, 1e6)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(TEXTS, NUMBERS, st.none() | st.integers(0, 9), st.none() | st.booleans()), max_size=20))
def test_columns_hold_the_cells_and_words_are_in_their_order(rows):
    kinds = {"who": pa.string(), "value": pa.float64(), "seed": pa.int64(), "oracle": pa.bool_()}
    table = pa.table({name: pa.array([row[i] for row in rows], kind) for i, (name, kind) in enumerate(kinds.items())})
    columns = {column.name: column for column in long_columns(table)}
    assert columns.keys() == {name for i, name in enumerate(kinds) if any(row[i] is not None for row in rows)}
    for i, (_, value, seed, oracle) in enumerate(rows):
        if "value" in columns:
            text = columns["value"].text(i)
            assert text == "" if value is None else abs(float(text) - value) <= 0.5e-4 + 1e-6
        if "seed" in columns:
            assert columns["seed"].text(i) == ("" if seed is None else str(seed))
        if "oracle" in columns:
            assert columns["oracle"].text(i) == {None: "", True: "yes", False: "no"}[oracle]
    if "who" in columns:
        words = columns["who"].words
        assert len(set(words)) == len(words)
        assert [value < 0 for value in columns["who"].values] == [row[0] is None for row in rows]
    assert json.loads(json.dumps(as_data(list(columns.values()), len(rows))))["total"] == len(rows)


def test_numbers_in_words_are_numbers_to_the_order():
    (column,) = long_columns(pa.table({"labeler": ["knn(k=20)", "knn(k=5)", None, "Knn(k=5)", "10 % labelled", "9 %"]}))
    assert column.words[:2] == ("9 %", "10 % labelled")
    assert [word.lower() for word in column.words[2:]] == ["knn(k=5)", "knn(k=5)", "knn(k=20)"]


def test_a_page_has_the_first_rows_and_the_data_of_all():
    names = [f"</script><script>alert({i})</script>" for i in range(300)]
    page = table_page("b", "every number", "", pa.table({"labeler": names}), "scores.parquet", simulated=True)
    parsed = Page(page)
    assert [attributes.get("type") for attributes, _ in parsed.of("script")] == ["application/json", None]
    data = json.loads(parsed.of("script", id="table")[0][1])
    (column,) = data["columns"]
    assert [column["words"][value] for value in column["values"]] == names
    assert len(re.findall(r"<tr><td", page)) == data["size"] < data["total"] == 300
    assert parsed.of("title")[0][1].startswith("SIMULATED DATA: ")

"""A suite file is YAML 1.2 with plain values; others are refused."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import SuiteError
from harness.utils.yaml_file import MAX_BYTES, MAX_DEPTH, MAX_EVENTS, from_mapping, load, parse


def value(text):
    return parse(text, "s.yaml").value


def refused(text):
    """Return the message; assert that it is quick and one printable line."""
    start = time.process_time()
    with pytest.raises(SuiteError) as caught:
        parse(text, "s.yaml")
    assert time.process_time() - start < 2
    message = str(caught.value)
    assert message.isprintable()
    return message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1E5", 100_000.0),
        ("-.5", -0.5),
        ("1_000", 1000),
        ("010", 10),  # octal in YAML 1.1 only
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", 3),
        ("+1", 1),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("10:30", "10:30"),
        ("True", True),
        ("false", False),
        ("~", None),
        ("", None),
        ("'7'", "7"),
        ('"\\u00e9"', "é"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, expected):
    scalar = value(f"a: {text}")["a"]
    assert scalar == expected
    assert type(scalar) is type(expected)


def test_keys_are_always_text():
    assert value("1: a\non: b\n2: {~: c}") == {"1": "a", "on": "b", "2": {"~": "c"}}


def test_a_merge_key_is_an_ordinary_key():
    assert value("a: {<<: {b: 1}}") == {"a": {"<<": {"b": 1}}}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_byte_order_mark_and_line_ends_change_nothing(tmp_path, end, mark):
    file = tmp_path / "s.yaml"
    file.write_bytes(mark + end.join(["a: 1", "b:", "  - x", "  - y", ""]).encode())
    document = load(file)
    assert document.value == {"a": 1, "b": ["x", "y"]}
    assert document.at(("b", 1)) == f"{file}:4: b[1]"


def test_every_value_has_its_line():
    document = parse("a: 1\nlist:\n  - knn:\n      k: 5\n  - {x: 1,\n     y: 2}\n", "s.yaml")
    assert document.at(("a",)) == "s.yaml:1: a"
    assert document.at(("list", 0, "knn", "k")) == "s.yaml:4: list[0].knn.k"
    assert document.at(("list", 1, "y")) == "s.yaml:6: list[1].y"
    assert document.at(()) == "s.yaml:1: file"


def test_a_place_without_a_line_takes_that_of_what_is_around_it():
    document = parse("a: 1\nb:\n  c: 2\n", "s.yaml")
    assert document.at(("b", "missing", "deeper")) == "s.yaml:2: b.missing.deeper"
    assert document.at(("nowhere",)) == "s.yaml:1: nowhere"


NOT_FINITE = (".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "-.inf", "-.Inf", "-.INF", "+.Inf")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3", 3, "'a' is given twice, first in line 1"),
        ("x:\n  - b: 1\n    c: 2\n    b: 3", 4, "'b' is given twice, first in line 2"),
        ("a: 1\n'a': 2", 2, "given twice"),
        *[(f"a: 1\nb: {word}", 2, f"{word} is not a finite number") for word in NOT_FINITE],
        ("a: -.inf", 1, "not a finite number"),
        ("a: 1e999", 1, "not a finite number"),
        ("a: " + "9" * 5_000, 1, "too long"),
        ("a: 1\n[b]: 2", 2, "a key must be a plain name"),
        ("? {a: 1}\n: 2", 1, "a key must be a plain name"),
        ("a:\n\tb: 1", 2, "cannot start any token"),
        ("a: [1, 2", 1, "not valid YAML"),
        ("a: 'b", 1, "not valid YAML"),
        ("a: 1\nb: c: d", 2, "not valid YAML"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("a: 1\nb: x\0y", 2, "#x0000"),
        ("a: 1\nb: \ud800", 2, "#xd800"),
        ("a: " + "[" * 900 + "]" * 900, 1, f"more than {MAX_DEPTH} deep"),
        ("a: 1\nb: 0x_", 2, "0x_ is not a whole number"),
        ("a: 1\nb: &x 1\nc: *x", 2, "aliases are not supported"),
        ("a: *x", 1, "aliases are not supported"),
        ("a: &x 1\nb: &x 2", 1, "anchors and aliases are not supported"),
        ("a: &x [*x]", 1, "aliases are not supported"),
        ("a: !!python/object/apply:os.system [ls]", 1, "python/object/apply:os.system' are not supported"),
        ("!!python/object/apply:os.system [ls]", 1, "tags such as"),
        ("a: !!python/object:os.stat_result {b: 1}", 1, "tags such as"),
        ("a: 1\nb: !!int abc", 2, "tags such as"),
        ("a: !!bool maybe", 1, "tags such as"),
        ("a: !!set {b, c}", 1, "tags such as"),
        ("a: !mine b", 1, "tags such as '!mine'"),
        ("? !mine a\n: 1", 1, "tags such as '!mine'"),
        ("%YAML 1.1\n---\na: no", 2, "only YAML 1.2"),
        ("%YAML 9.9\n---\na: 1", 1, "not valid YAML"),
        ("a: [" + "1," * MAX_EVENTS + "]", 1, "too many values"),
    ],
)
def test_a_fault_of_form_is_one_line_with_its_place(text, line, words):
    message = refused(text)
    assert message.startswith(f"s.yaml:{line}: ")
    assert words in message


def test_tags_run_nothing(tmp_path):
    refused(f"a: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']")
    assert not (tmp_path / "made").exists()


def test_an_alias_bomb_is_not_expanded():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert refused("\n".join(lines)).startswith("s.yaml:1: anchors and aliases")


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments\n"])
def test_an_empty_file_is_refused(text):
    assert refused(text) == "s.yaml: is empty"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("a: é\n".encode("utf-16"), "1: is not UTF-8"),
        ("a: e\n".encode("utf-16-le"), "1: not valid YAML"),
        (b"a: 1\nb: caf\xe9\n", "2: is not UTF-8 (byte 11 is 0xe9)"),
        (b"a: " + b"x" * (MAX_BYTES - 2), " 1,000,001 bytes; a suite file has at most 1,000,000"),
    ],
    ids=["UTF-16", "UTF-16 without mark", "Latin-1", "1 MB and 1"],
)
def test_bytes_that_are_no_suite(tmp_path, raw, words):
    file = tmp_path / "s.yaml"
    file.write_bytes(raw)
    with pytest.raises(SuiteError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}:{words}")


def test_the_largest_file_allowed_is_read(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_bytes(b"#" * (MAX_BYTES - 5) + b"\na: 1")
    assert load(file).value == {"a": 1}


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(SuiteError, match=r"absent\.yaml: no such file$"):
        load(tmp_path / "absent.yaml")
    with pytest.raises(SuiteError, match=r"no_folder/absent\.yaml: no such file$"):
        load(tmp_path / "no_folder" / "absent.yaml")
    (tmp_path / "my_rows.yaml").write_text("a: 1")
    with pytest.raises(SuiteError, match=rf"my_rows\.yml: no such file; did you mean '{tmp_path}/my_rows\.yaml'\?$"):
        load(tmp_path / "my_rows.yml")
    with pytest.raises(SuiteError, match=r"my_rows\.parquet: is a file of data; what is asked for is a suite"):
        load(tmp_path / "my_rows.parquet")
    with pytest.raises(SuiteError, match="cannot be read"):
        load(tmp_path)


SIGNS = list(":-,[]{}#&*!|>'\"%@`?~<=\n\t\\ aé1_\r\x85\ufeff\x00\ud83d")
WORDS = ["  ", ": ", "- ", "\n", "\n", "\n", "---", "...", "1e", "0x", "0b", ".nan", "<<: "]
TAGS = ["!!int ", "!!python/name:os.system", "%YAML 1.1\n", "%TAG ! x\n"]
PIECES = st.sampled_from([*SIGNS, *WORDS, *TAGS])


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=40))
def test_any_text_is_read_or_refused_as_a_suite(text):
    try:
        lines = parse(text, "s.yaml").lines.values()
    except SuiteError as error:
        lines, message = [1], str(error)
    else:
        message = "s.yaml: read"
    assert message.startswith("s.yaml:")
    assert min(lines) >= 1


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=5), PLAIN, max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_mapping_in_memory_is_what_its_yaml_is(mapping):
    document, text = from_mapping(mapping, "suite")
    assert document.value == mapping
    assert value(text) == mapping
    assert document.at(("data", 0, "path")) == "suite: data[0].path"
    assert document.at(()) == "suite"


def test_values_of_python_are_taken_for_those_of_yaml():
    given = {"a": (1, np.int64(2)), "b": Path("x/y.npy"), "c": np.array([0.5, 1.5]), "d": np.bool_(True)}
    assert from_mapping(given, "s")[0].value == {"a": [1, 2], "b": "x/y.npy", "c": [0.5, 1.5], "d": True}
    endless: list = []
    endless.append(endless)
    for wrong, words in (
        ({"a": {"b": [1, {2}]}}, "s: a.b[1]: has the type set"),
        ({"a": float("nan")}, "s: a: nan is not a finite number"),
        ({"a": {None: 1}}, "s: a: a key must be a plain name, got None"),
        ({"a": endless}, f"s: nested more than {MAX_DEPTH} deep"),
    ):
        with pytest.raises(SuiteError) as caught:
            from_mapping(wrong, "s")
        assert str(caught.value).startswith(words)

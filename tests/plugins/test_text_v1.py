"""text_v1: values counted by hand, a plain second implementation, finite and linear on any text, rows independent."""

import math
import re
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import FeatureSet, Items
from harness_plugins.features.text_v1 import FEATURES, TextV1, measure

USER = "Explain this? Is it good?"
ANSWER = """\
# My title
I say: write code! Explain, I'm sure.

- one two
2) see https://a.b and http://c
```
x = 1
```

Good good good good?"""
# Characters by line: 10 + 37 + 0 + 9 + 31 + 3 + 5 + 3 + 0 + 20 = 118, and 9 newlines.
# Words by line: 3, 7, none, 3, 5, 1, 3, 1, none and 4, together 27.
BY_HAND = {
    "user_char_len": 25,
    "asst_char_len": 127,
    "total_char_len": 152,
    "len_ratio": 127 / 25,
    "user_word_count": 5,
    "asst_word_count": 27,
    "log_asst_len": math.log(128),
    "log_user_len": math.log(26),
    "num_turns": 2,
    "num_user_turns": 1,
    "num_asst_turns": 1,
    "asst_sentences": 4,  # end at "code!", "sure.", "a." and "good?"
    "user_sentences": 2,
    "asst_paragraphs": 3,
    "avg_word_len_asst": 99 / 27,  # 127 less 9 newlines and 19 blanks
    "avg_word_len_user": 21 / 5,
    "avg_sent_len_asst": 27 / 4,
    "vocab_diversity_asst": 24 / 27,  # "good" comes three times, the fence twice
    "vocab_diversity_user": 1,
    "has_code": 1,
    "code_block_pairs": 1,
    "has_list": 1,
    "list_items": 2,
    "header_count": 1,
    "url_count": 2,
    "special_density": 23 / 127,  # by line 1, 5, 0, 1, 8, 3, 1, 3, 0, 1
    "newline_density": 9 / 127,
    "newline_count": 9,
    "question_marks": 2,  # the answer has another
    "has_question": 1,
    "instruction_keywords": 1,  # explain; write is in the answer
    "starts_capital": 0,
    "ends_punct": 1,
    "bigram_repeat_ratio": 1 / 26,  # "good good" comes twice, "good good?" is another pair
    "i_density": 2 / 27,  # I, I'm
}
ZEROS = dict.fromkeys(TextV1.names, 0.0)


def of(*turns):
    return dict(zip(TextV1.names, measure(list(turns)), strict=True))


def items_of(tmp_path, conversations):
    path = tmp_path / "data.parquet"
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    rows = [[{"role": role, "content": content} for role, content in each] for each in conversations]
    pq.write_table(pa.table({"messages": pa.array(rows, pa.list_(turn))}), path)
    numbers = np.arange(len(rows))
    return Items(path=str(path), rows=numbers, ids=numbers, columns=("messages",), text="messages")


@pytest.mark.parametrize("name", TextV1.names)
def test_every_feature_has_the_value_counted_by_hand(name):
    assert of(("user", USER), ("assistant", ANSWER))[name] == pytest.approx(BY_HAND[name])


def test_names_are_those_of_the_record_in_its_order():
    record = """
        user_char_len asst_char_len total_char_len len_ratio user_word_count asst_word_count log_asst_len log_user_len
        num_turns num_user_turns num_asst_turns asst_sentences user_sentences asst_paragraphs avg_word_len_asst
        avg_word_len_user avg_sent_len_asst vocab_diversity_asst vocab_diversity_user has_code code_block_pairs has_list
        list_items header_count url_count special_density newline_density newline_count question_marks has_question
        instruction_keywords starts_capital ends_punct bigram_repeat_ratio i_density"""
    assert TextV1.names == tuple(record.split())
    assert all(definition for _, definition in FEATURES)


def test_turns_of_a_role_are_joined_by_a_blank_and_other_roles_only_count_as_turns():
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Ab."), ("user", "you?"), ("assistant", "C d")]
    found = of(*turns)
    assert (found["user_char_len"], found["asst_char_len"], found["total_char_len"]) == (7, 7, 14)
    assert (found["num_turns"], found["num_user_turns"], found["num_asst_turns"]) == (5, 2, 2)
    assert (found["asst_word_count"], found["asst_sentences"]) == (3, 2)
    assert (found["starts_capital"], found["ends_punct"]) == (1, 0)


@pytest.mark.parametrize("turns", [[], [("system", "Write a list!")]])
def test_without_user_and_assistant_all_is_zero_but_the_turns(turns):
    assert of(*turns) == ZEROS | {"num_turns": len(turns)}


@pytest.mark.parametrize("content", ["", " \n\n \t"])
def test_a_blank_answer_has_no_words_sentences_or_paragraphs(content):
    n, newlines = len(content), content.count("\n")
    lengths = {"asst_char_len": n, "total_char_len": n, "len_ratio": n, "log_asst_len": math.log1p(n)}
    lines = {"newline_count": newlines, "newline_density": newlines / max(n, 1)}
    assert of(("assistant", content)) == ZEROS | {"num_turns": 1, "num_asst_turns": 1} | lengths | lines


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("* a\n+ b\n  • c\n12. d\n\t1) e", "list_items", 5),
        ("-a\n--- b\n**c** d\n1.5 e\n2024. f\na - b\n-", "list_items", 0),
        ("# a\n###### b\n####### c\n#d\n e # f", "header_count", 2),
        ("a\r\n\r\nb\n \t\nc\nd\n\n\n\ne\n\n", "asst_paragraphs", 4),
        ("``` a ``` b ```", "code_block_pairs", 1),
        ("I, I'm, I’ve (I) it In AI i WI-FI", "i_density", 4 / 9),
        ("a_b“é文\x00", "special_density", 3 / 7),  # _ “ and NUL
        ("a... b?! c", "asst_sentences", 3),
        ("  Éa", "starts_capital", 1),
        ('"Ab"', "starts_capital", 0),
        ("ok! \n", "ends_punct", 1),
        ("ok:", "ends_punct", 1),
        ("(ok)", "ends_punct", 1),
        ("好。", "ends_punct", 1),
        ("ok 5 €", "ends_punct", 0),
        ("ok", "ends_punct", 0),
        ("A b a B a b", "bigram_repeat_ratio", 3 / 5),
        ("A b a B", "vocab_diversity_asst", 1 / 2),
    ],
)
def test_where_a_definition_ends(text, name, value):
    assert of(("assistant", text))[name] == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("WRITE, *rewrite*: “list” lists writer", 2),  # each entry once, however often it occurs
        ("Somehow translate\nit: what? Whatever", 3),  # inside of a longer word, too
        ("who sums up", 0),
    ],
)
def test_instruction_words_are_looked_for_in_the_users_text_once_each(text, number):
    assert of(("user", text), ("assistant", "Explain"))["instruction_keywords"] == number


def test_question_marks_are_those_of_the_user():
    found = of(("assistant", "a? b?"), ("user", "c"))
    assert (found["question_marks"], found["has_question"]) == (0, 0)
    assert of(("user", "c?"), ("assistant", "a? b?"), ("user", "d??"))["question_marks"] == 3


def plainly(user, text):
    """The features that can go wrong, read off their definitions one character, line or word at a time."""
    words = [word.lower() for word in text.split()]
    seen, repeats = set(), 0
    for pair in pairwise(words):
        repeats += pair in seen
        seen.add(pair)
    paragraphs, open_one = 0, False
    for line in text.split("\n"):
        paragraphs += bool(line.strip()) and not open_one
        open_one = bool(line.strip())
    return {
        "asst_char_len": len(text),
        "asst_word_count": len(words),
        "user_word_count": len(user.split()),
        "question_marks": sum(char == "?" for char in user),
        "has_question": any(char == "?" for char in user),
        "asst_sentences": sum(1 for piece in re.split(r"[.!?]+", text) if piece.strip()),
        "user_sentences": sum(1 for piece in re.split(r"[.!?]+", user) if piece.strip()),
        "asst_paragraphs": paragraphs,
        "avg_word_len_asst": sum(not c.isspace() for c in text) / max(len(words), 1),
        "vocab_diversity_asst": len(set(words)) / max(len(words), 1),
        "list_items": sum(
            1 for line in text.split("\n") if re.match(r"[-*+•][ \t]|\d{1,3}[.)][ \t]", line.lstrip(" \t"))
        ),
        "header_count": sum(1 for line in text.split("\n") if re.match(r"#{1,6}[ \t]", line)),
        "special_density": sum(not c.isalnum() and not c.isspace() for c in text) / max(len(text), 1),
        "bigram_repeat_ratio": repeats / max(len(words) - 1, 1),
    }


FRAGMENTS = st.sampled_from(["a", "I", "İ", "1", "12)", "-", "#", "\n", "\n\n", " ", "\t", "\r", ".", "?", "!", "_"])
TRICKY = st.lists(st.one_of(FRAGMENTS, st.sampled_from(["é", "文", "“", "\x00", "\u2028", "\xa0", "•"]))).map("".join)


@given(TRICKY, TRICKY)
def test_agrees_with_a_plain_implementation(user, text):
    found = of(("user", user), ("assistant", text))
    expected = plainly(user, text)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


ANY_TEXT = st.text(st.characters(exclude_categories=()))  # surrogates and all
ROLES = st.sampled_from(["user", "assistant", "system", ""])


@given(st.lists(st.tuples(ROLES, ANY_TEXT), max_size=5))
def test_is_finite_and_not_negative_on_any_text(turns):
    row = np.array(measure(turns), np.float32)
    assert np.isfinite(row).all()
    assert (row >= 0).all()


SHORT = [".", "I", "[", "#", "`", "\n", "\n\t", "\n- ", "\x00", "\ud800", "文", "1", "a. ", " "]


@pytest.mark.parametrize("piece", ["a", "[[]]", *SHORT], ids=repr)
def test_a_very_long_text_has_finite_numbers(piece):
    """In no time, or the suite would not end: benchmarks/test_features.py looks at how the time grows."""
    text = piece * (1_000_000 // len(piece))
    row = measure([("user", text), ("assistant", text)])
    assert np.isfinite(np.array(row, np.float32)).all()


def test_is_a_rowwise_feature_set_of_float32(tmp_path):
    features = TextV1()
    assert isinstance(features, FeatureSet)
    assert features.rowwise
    items = items_of(tmp_path, [[("user", USER), ("assistant", ANSWER)], []])
    array = features.features(items)
    assert (array.shape, array.dtype) == ((2, 35), np.float32)
    np.testing.assert_allclose(array[0], [BY_HAND[name] for name in TextV1.names], rtol=1e-6)
    assert not array[1].any()


def test_no_rows_give_an_empty_matrix(tmp_path):
    assert TextV1().features(items_of(tmp_path, [])).shape == (0, 35)


@settings(max_examples=20)
@given(st.lists(st.lists(st.tuples(ROLES, TRICKY), max_size=3), min_size=2, max_size=6))
def test_a_row_does_not_depend_on_its_neighbours(tmp_path_factory, conversations):
    items = items_of(tmp_path_factory.mktemp("rows"), conversations)
    whole = TextV1().features(items)
    one_by_one = np.concatenate([TextV1().features(part) for part in items.parts(1)])
    assert whole.tobytes() == one_by_one.tobytes()

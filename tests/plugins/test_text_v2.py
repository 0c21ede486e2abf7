"""text_v2: values counted by hand, a plain second implementation, finite and linear on any text, rows independent."""

import math
import statistics
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import FeatureSet, Items
from harness_plugins.features import text_v1, text_v2
from harness_plugins.features._conversation import PUNCTUATION
from harness_plugins.features.text_v2 import FEATURES, TextV2, measure, syllables

USER = "Write only two lines, please, without jargon. Why is the sky blue? ```"
ANSWER = """\
Sure! The **sky** is blue, for example.
However, it may be *grey* (or `dark`) at 5 + 5.

| a | b |
I cannot say: the sky is blue."""
# Words by line: 7, 11, none, 5 and 7, together 30. Words by sentence: 1, 6, 11 and 12.
# Characters by line: 39 + 47 + 0 + 9 + 30, and 4 newlines: 129. Letters: 26 + 26 + 2 + 22 = 76.
# Syllables by line: 8 (example has 2), 13 (however has 3), 5 and 8 (cannot has 2), together 34.
BY_HAND = {
    "max_sent_len_asst": 12,
    "min_sent_len_asst": 1,
    "std_sent_len_asst": math.sqrt(77 / 4),  # around the mean of 7.5: 42.25 + 2.25 + 12.25 + 20.25
    "avg_para_len_asst": 30 / 2,
    "max_word_len_asst": 8,  # "However,"
    "hapax_ratio": 23 / 30,  # "the" and "is" come twice, "|" three times
    "avg_syllables_per_word": 34 / 30,
    "fk_grade": 0.39 * 30 / 4 + 11.8 * 34 / 30 - 15.59,
    "coleman_liau": 0.0588 * (7600 / 30) - 0.296 * (400 / 30) - 15.8,
    "inline_code": 1,
    "has_table": 0,
    "table_rows": 1,
    "bold_count": 1,
    "italic_count": 1,
    "math_density": 1 / 129,
    "paren_count": 1,
    "punct_diversity": 10,  # ! * , . ( ` ) + | :
    "digit_density": 2 / 129,
    "log_user_word_count": math.log(14),
    "user_has_code": 1,
    "constraint_words": 2,  # only, without
    "word_overlap_ratio": 2 / 9,  # sky, blue of write only two lines please without jargon sky blue
    "trigram_repeat_ratio": 0,
    "compliance_phrases": 1,
    "refusal_phrases": 1,
    "hedge_density": 1 / 30,
    "transition_density": 1 / 30,
    "example_phrases": 1,
}


def of(*turns):
    return dict(zip(TextV2.names, measure(list(turns)), strict=True))


def items_of(tmp_path, conversations):
    path = tmp_path / "data.parquet"
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    rows = [[{"role": role, "content": content} for role, content in each] for each in conversations]
    pq.write_table(pa.table({"messages": pa.array(rows, pa.list_(turn))}), path)
    numbers = np.arange(len(rows))
    return Items(path=str(path), rows=numbers, ids=numbers, columns=("messages",), text="messages")


@pytest.mark.parametrize("name", BY_HAND)
def test_every_new_feature_has_the_value_counted_by_hand(name):
    assert of(("user", USER), ("assistant", ANSWER))[name] == pytest.approx(BY_HAND[name])


def test_names_are_those_of_text_v1_and_then_of_the_record_in_its_order():
    record = """
        max_sent_len_asst min_sent_len_asst std_sent_len_asst avg_para_len_asst max_word_len_asst hapax_ratio
        avg_syllables_per_word fk_grade coleman_liau inline_code has_table table_rows bold_count italic_count
        math_density paren_count punct_diversity digit_density log_user_word_count user_has_code constraint_words
        word_overlap_ratio trigram_repeat_ratio compliance_phrases refusal_phrases hedge_density transition_density
        example_phrases"""
    assert TextV2.names == text_v1.TextV1.names + tuple(record.split())
    assert len(set(TextV2.names)) == 63
    assert all(definition for _, definition in FEATURES)


def test_the_lists_are_as_long_as_those_of_the_record_and_hold_nothing_twice():
    assert (len(text_v2.TRANSITIONS), len(text_v2.HEDGES)) == (13, 9)
    words = (text_v1.INSTRUCTION_WORDS, text_v2.CONSTRAINT_WORDS)
    phrases = (*words, text_v2.COMPLIANCE_PHRASES, text_v2.REFUSAL_PHRASES, text_v2.EXAMPLE_PHRASES)
    assert [len(set(each)) for each in phrases] == [16, 16, 10, 10, 9]
    assert all(phrase == phrase.lower() for each in phrases for phrase in each)


@pytest.mark.parametrize("name", ["COMPLIANCE", "REFUSAL", "EXAMPLE"])
def test_every_phrase_of_a_list_is_found(name):
    for phrase in getattr(text_v2, f"{name}_PHRASES"):
        for text in (f"Then, {phrase.upper()}! x", phrase.strip(), f"{phrase}\n{phrase}"):
            assert of(("assistant", text))[f"{name.lower()}_phrases"] == 1, text


@pytest.mark.parametrize("word", text_v2.CONSTRAINT_WORDS)
def test_every_constraint_word_is_found_in_the_users_text(word):
    assert of(("user", f"x{word.upper()}, {word}"), ("assistant", ""))["constraint_words"] == 1
    assert of(("user", ""), ("assistant", word))["constraint_words"] == 0


def test_what_is_of_the_user_is_not_of_the_assistant_and_turns_are_joined_by_a_blank():
    turns = [("system", "always | (x)"), ("user", "Only"), ("assistant", "of"), ("user", "b"), ("assistant", "course")]
    found = of(*turns)
    assert (found["constraint_words"], found["log_user_word_count"], found["user_has_code"]) == (1, math.log1p(2), 0)
    assert (found["compliance_phrases"], found["paren_count"], found["avg_para_len_asst"]) == (1, 0, 2)
    assert of(("assistant", "only ```"))["constraint_words"] == of(("assistant", "```"))["user_has_code"] == 0
    assert of(("user", "a ` b"))["user_has_code"] == 1


@pytest.mark.parametrize("turns", [[], [("system", "Write (x)!")], [("assistant", "")], [("assistant", " \n\n ")]])
def test_without_words_all_is_zero_but_the_grades(turns):
    new = dict(zip(TextV2.names[35:], measure(turns)[35:], strict=True))
    assert new == dict.fromkeys(BY_HAND, 0) | {"fk_grade": -15.59, "coleman_liau": -15.8}


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("`a` ``b`` ```c``` `d\ne` `f`", "inline_code", 2),
        ("|a|b|\n  | - | - | \r\n||\n| a\na | b |", "table_rows", 2),
        ("a | b || c", "has_table", 0),
        ("|a|\n|-|", "has_table", 0),
        ("|a|\n|-|\n|b|", "has_table", 1),
        ("**a** ** **b\nc** ***d***", "bold_count", 3),  # "** **" too has something between
        ("*a* **b** * c * *d\ne* 2*3*4 *f*", "italic_count", 3),
        ("* one\n* two", "italic_count", 0),
        ("a=b×c−d*e", "math_density", 3 / 9),  # = × and the minus sign
        ("(a (b) (c\nd) ) () (", "paren_count", 2),
        ("a! b! — “c” +文。", "punct_diversity", 6),  # ! — “ ” + 。
        ("1٣² a", "digit_density", 2 / 5),  # a superscript is no decimal digit
        ("a b c a b c a", "trigram_repeat_ratio", 2 / 5),
        ("a b", "trigram_repeat_ratio", 0),
        ("A a b.", "hapax_ratio", 1 / 3),
        ("İİ x", "max_word_len_asst", 2),
        ("Sure, **of\ncourse** – of course! Measure, offcourse", "compliance_phrases", 2),
        ("Here’s one; HERE'S two", "compliance_phrases", 1),
        ("There are some; unsure, where is it", "compliance_phrases", 0),
        ("I can’t; i'm sorry, (I cannot)", "refusal_phrases", 3),
        ("For example, for example: e.g. this (e.g., that) for examples", "example_phrases", 2),
        ("It *may*, perhaps; maybes", "hedge_density", 2 / 4),
        ("However: thus, “instead” x", "transition_density", 3 / 4),
    ],
)
def test_where_a_definition_ends(text, name, value):
    assert of(("assistant", text))[name] == pytest.approx(value)


def test_overlap_leaves_out_stop_words_and_counts_a_word_once():
    assert (
        of(("user", "The cat, the CAT – and a dog’s"), ("assistant", "the 'Cat' and dogs"))["word_overlap_ratio"] == 0.5
    )
    assert of(("user", "The – and"), ("assistant", "the – and"))["word_overlap_ratio"] == 0


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("make", 1),
        ("tree", 1),
        ("the", 1),
        ("tie", 1),
        ("reading", 2),
        ("syllable", 2),
        ("rhythm", 1),
        ("", 1),
        ("x", 1),
        ("idea", 2),
        ("queue", 1),
        ("well-made", 2),
        ("e" * 90, 1),
        ("ba" * 90, 90),
    ],
)
def test_syllables(word, number):
    assert syllables(word) == number
    for _ in range(2):  # the second time from memory, where it is kept
        assert of(("assistant", f"{word.upper()}, 1"))["avg_syllables_per_word"] == (number + 1) / 2


def plainly(user, text):
    """The features that can go wrong, read off their definitions one character, line or word at a time."""
    words = text.split()
    low = [word.lower() for word in words]
    pieces, piece = [], ""
    for char in [*text, "."]:
        if char in ".!?":
            pieces.append(len(piece.split()))
            piece = ""
        else:
            piece += char
    lengths = [n for n in pieces if n]
    triples = [tuple(text.lower().split()[i : i + 3]) for i in range(len(low) - 2)]
    bare = [word.strip(PUNCTUATION) for word in text.lower().split()]
    vowels = [[c in "aeiouy" for c in word] for word in bare]
    groups = [sum(here and not before for here, before in zip(v, [False, *v], strict=False)) for v in vowels]
    silent = [w.endswith("e") and w[-2:-1] not in [*"aeiouy"] for w in bare]
    number = sum(max(g - s, 1) for g, s in zip(groups, silent, strict=True))
    n, k = max(len(low), 1), max(len(lengths), 1)
    letters = sum(unicodedata.category(c)[0] == "L" for c in text)
    table = [line.strip() for line in text.split("\n")]
    return {
        "max_sent_len_asst": max(lengths, default=0),
        "min_sent_len_asst": min(lengths, default=0),
        "std_sent_len_asst": statistics.pstdev(lengths) if lengths else 0,
        "max_word_len_asst": max((len(word) for word in words), default=0),
        "hapax_ratio": sum(low.count(word) == 1 for word in low) / n,
        "avg_syllables_per_word": number / n,
        "fk_grade": 0.39 * len(low) / k + 11.8 * number / n - 15.59,
        "coleman_liau": 0.0588 * 100 * letters / n - 0.296 * 100 * len(lengths) / n - 15.8,
        "table_rows": sum(1 for line in table if line.startswith("|") and line.endswith("|") and line[1:-1]),
        "digit_density": sum(unicodedata.category(c) == "Nd" for c in text) / max(len(text), 1),
        "trigram_repeat_ratio": sum(t in triples[:i] for i, t in enumerate(triples)) / max(len(triples), 1),
        "refusal_phrases": int("i cannot" in " ".join(low)),
        "has_table": sum(1 for line in table if line.startswith("|") and line.endswith("|") and line[1:-1]) >= 3,
        "user_has_code": any(char == "`" for char in user),
        "hedge_density": bare.count("may") / n,
        "constraint_words": int("only" in user.lower()),
        "log_user_word_count": math.log(1 + len(user.split())),
    }


FRAGMENTS = ["a", "e", "`", "I", "I cannot ", "may ", "only ", "1", "|", "| ", "-", "\n", " ", "\t", ".", "?", "!", "_"]
TRICKY = st.lists(st.sampled_from([*FRAGMENTS, "é", "文", "“", "\x00", "\u2028", "\xa0", "٣", "²"])).map("".join)


@given(TRICKY, TRICKY)
def test_agrees_with_a_plain_implementation(user, text):
    found = of(("user", user), ("assistant", text))
    expected = plainly(user, text)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


ANY_TEXT = st.text(st.characters(exclude_categories=()))  # surrogates and all
ROLES = st.sampled_from(["user", "assistant", "system", ""])


@given(st.lists(st.tuples(ROLES, st.one_of(ANY_TEXT, TRICKY)), max_size=5))
def test_is_finite_on_any_text_and_begins_with_text_v1(turns):
    row = np.array(measure(turns), np.float32)
    assert np.isfinite(row).all()
    assert row[:35].tobytes() == np.array(text_v1.measure(turns), np.float32).tobytes()
    new = dict(zip(TextV2.names[35:], row[35:], strict=True))
    assert min(value for name, value in new.items() if name not in ("fk_grade", "coleman_liau")) >= 0
    shares = [name for name in new if name.endswith(("_ratio", "_density")) or name.startswith(("has_", "user_has"))]
    assert max(new[name] for name in shares) <= 1


LONG = [
    "a",
    "`a",
    "a. ",
    "`",
    "**",
    "*",
    "*a",
    "(",
    "(a",
    "| ",
    "|a|\n",
    "\n",
    "\ud800",
    "文",
    "’",
    "e",
    "for example ",
    " ",
]


@pytest.mark.parametrize("piece", LONG, ids=repr)
def test_a_very_long_text_has_finite_numbers(piece):
    """In no time, or the suite would not end: benchmarks/test_features.py looks at how the time grows."""
    text = piece * (1_000_000 // len(piece))
    row = measure([("user", text), ("assistant", text)])
    assert np.isfinite(np.array(row, np.float32)).all()


def test_a_long_word_or_too_many_words_are_not_remembered(monkeypatch):
    remembered = text_v2._SyllableCache()
    assert (remembered["ba" * 40], len(remembered)) == (40, 0)
    monkeypatch.setattr(text_v2, "_CACHED_WORDS", 2)
    assert [remembered[word] for word in ("idea", "x", "reading", "idea")] == [2, 1, 2, 2]
    assert list(remembered) == ["idea", "x"]


def test_is_a_rowwise_feature_set_of_float32(tmp_path):
    features = TextV2()
    assert isinstance(features, FeatureSet)
    assert features.rowwise
    items = items_of(tmp_path, [[("user", USER), ("assistant", ANSWER)], []])
    array = features.features(items)
    assert (array.shape, array.dtype) == ((2, 63), np.float32)
    np.testing.assert_allclose(array[0, 35:], list(BY_HAND.values()), rtol=1e-5)
    np.testing.assert_array_equal(array[:, :35], text_v1.TextV1().features(items))


def test_no_rows_give_an_empty_matrix(tmp_path):
    assert TextV2().features(items_of(tmp_path, [])).shape == (0, 63)


@settings(max_examples=20)
@given(st.lists(st.lists(st.tuples(ROLES, TRICKY), max_size=3), min_size=2, max_size=6))
def test_a_row_does_not_depend_on_its_neighbours(tmp_path_factory, conversations):
    items = items_of(tmp_path_factory.mktemp("rows"), conversations)
    whole = TextV2().features(items)
    one_by_one = np.concatenate([TextV2().features(part) for part in reversed(list(items.parts(1)))])
    assert whole.tobytes() == one_by_one[::-1].tobytes()

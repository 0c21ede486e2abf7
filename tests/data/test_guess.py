"""The parts of a table are found by types, names and contents; what is ambiguous is refused."""

import string

import numpy as np
import pandas as pd
import pytest

from harness.data import column_sample
from harness.data.guess import Guesser
from harness.data.table import open_table
from harness.errors import DataError

N = 120
RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 3, N)
WORDS = np.array([f"{a}{b}" for a in string.ascii_lowercase for b in "aeiou"])
TEXTS = [" ".join(RNG.choice(WORDS, 12)) for _ in range(N)]


@pytest.fixture
def guesser(tmp_path):
    """A function that writes columns to a file, N rows each, and returns the guesser of it."""

    def make(**columns):
        pd.DataFrame(columns).to_parquet(tmp_path / "d.parquet")
        return Guesser(open_table("d.parquet", (tmp_path,), tmp_path / "cache", "error", None))

    return make


@pytest.mark.parametrize(
    ("name", "values", "classes", "ordered", "missing"),
    [
        ("label", LABEL, (0, 1, 2), True, ()),
        ("label", LABEL - 1, (0, 1), True, (-1,)),
        ("balance_label", LABEL * 2 - 2, (-2, 0, 2), True, ()),
        ("grade", LABEL / 2, (0.0, 0.5, 1.0), True, ()),
        ("is_spam", LABEL == 1, (False, True), True, ()),
        ("userRating", np.array(["high", "low", "n/a"])[LABEL], ("low", "high"), True, ("n/a",)),
        ("topic", np.array(["sport", "art", "war"])[LABEL], ("art", "sport", "war"), False, ()),
        ("Quality", np.array(["Good", "bad", "fair"])[LABEL], ("bad", "fair", "Good"), True, ()),
        ("stars", np.array(["10", "2", "1"])[LABEL], ("1", "2", "10"), True, ()),
        ("scores", np.where(LABEL == 0, np.nan, LABEL), (1, 2), True, ()),
    ],
)
def test_a_target_has_its_values_their_order_and_those_that_are_no_label(
    guesser, name, values, classes, ordered, missing
):
    target = guesser(**{name: values, "size": RNG.normal(size=N)}).guess({}).target
    assert (target.name, target.classes.values, target.classes.ordered, target.missing) == (
        *(name, classes, ordered),
        missing,
    )
    gone = sum(value in missing or value != value for value in values.tolist())
    assert target.labelled == N - gone


def test_a_continuous_score_is_cut_in_thirds(guesser):
    score = np.linspace(-1, 1, N) ** 3 * 1000
    target = guesser(size=RNG.normal(size=N), quality_score=RNG.permutation(score)).guess({}).target
    assert (target.name, target.labelled) == ("quality_score", N)
    thirds = np.digitize(score, target.classes.cuts)
    assert np.bincount(thirds).tolist() == [N / 3] * 3
    with pytest.raises(DataError, match="different texts"):
        guesser(size=RNG.normal(size=N), label=TEXTS).guess({"target": "label"})


def test_many_whole_numbers_are_classes_unless_they_are_called_scores(guesser):
    many = RNG.permutation(np.arange(N) % 40)
    many[:30] = np.arange(30)
    classes = guesser(size=RNG.normal(size=N), intent=many).guess({}).target.classes
    assert (len(classes), classes.are_numbered, classes.ordered) == (40, True, False)
    assert len(guesser(size=RNG.normal(size=N), score=many).guess({}).target.classes) == 3


def test_a_better_name_wins_and_two_equal_ones_are_ambiguous(guesser):
    rows = {"size": RNG.normal(size=N), "score": LABEL, "kind": LABEL % 2, "label": LABEL[::-1]}
    assert guesser(**rows).guess({}).target.name == "label"
    with pytest.raises(DataError, match=r"which column is the target: my_label, her_label\? Name it by --target"):
        guesser(size=rows["size"], my_label=LABEL, her_label=LABEL[::-1]).guess({})
    assert guesser(size=rows["size"], verdict_of_it=LABEL).guess({}).target.name == "verdict_of_it"


def test_neither_the_target_nor_the_same_by_another_name_is_an_input(guesser):
    other = np.array([7, 3, 5])[LABEL]
    second = np.where(RNG.random(N) < 0.9, LABEL, 0)
    rows = {"label": LABEL, "code": other, "second_label": second, "size": RNG.normal(size=N), "parts": LABEL + second}
    guess = guesser(**rows).guess({})
    assert guess.columns == ("size", "parts")
    assert guess.other_labels == ("code", "second_label")
    assert guesser(**rows).guess({"columns": ("code",)}).columns == ("code",)


def test_ids_are_unique_in_all_rows_and_what_repeats_is_a_group(guesser, monkeypatch):
    monkeypatch.setattr(column_sample, "HEAD_ROWS", 20)
    monkeypatch.setattr(column_sample, "SAMPLED_ROWS", 20)
    late = np.arange(N) + 1000
    late[1] = late[0] = 5  # between two parts of the sample
    key = [f"k{i:03d}" for i in range(N)]
    rows = {"label": LABEL, "size": RNG.normal(size=N), "row_id": late, "key": key, "user_id": np.arange(N) // 4}
    guess = guesser(**rows).guess({})
    assert (guess.id, guess.group) == ("key", "user_id")
    assert guesser(**rows | {"user_id": key}).guess({}).group == "row_id"
    numbers = {"row_id": np.arange(N), "house_id": np.arange(N) % 7, "uid": np.arange(N) * 3}
    assert guesser(label=LABEL, size=rows["size"], **numbers).guess({}).columns == ("size",)


def test_a_group_or_source_with_nulls_or_of_too_few_is_none(guesser):
    user = pd.array(np.arange(N) // 4, "Int64")
    user[3] = pd.NA
    source = pd.array(np.array(["a", "b"])[LABEL % 2].tolist(), "string")
    rows = {"label": RNG.permutation(LABEL), "size": RNG.normal(size=N), "user_id": user, "source": source}
    guess = guesser(**rows).guess({})
    assert (guess.group, guess.source) == (None, "source")
    source[0] = pd.NA
    assert guesser(**rows | {"source": source}).guess({}).source is None
    assert guesser(**rows | {"user_id": np.arange(N) % 3}).guess({}).group is None


def test_numbers_that_cannot_be_ids_are_none(guesser):
    huge = np.arange(N, dtype=np.uint64) + 2**63
    assert guesser(label=LABEL, size=RNG.normal(size=N), id=huge).guess({}).id is None


def test_rows_that_are_numbered_are_no_input(guesser):
    guess = guesser(label=LABEL, size=RNG.normal(size=N), place=np.arange(N) + 7).guess({"id": None})
    assert guess.columns == ("size",)
    assert guess.unused == ("place",)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("anything", TEXTS),
        ("title", [f"{a} {b}" for a, b in zip(RNG.choice(WORDS, N), RNG.choice(WORDS, N), strict=True)]),
        ("anything", ["".join(RNG.choice(list("天地玄黄宇宙洪荒日月盈昃"), 12)) for _ in range(N)]),
        ("anything", [[{"role": "user", "content": text}] for text in TEXTS]),
    ],
)
def test_texts_are_told_from_names_and_codes(guesser, name, values):
    codes = [f"{i:016x}-{i * 7919 % 65536:016x}" for i in range(N)]
    names = [f"{word}son" for word in RNG.choice(WORDS, N)]
    guess = guesser(label=LABEL, codes=codes, names=names, **{name: values}).guess({})
    assert (guess.text, guess.id) == ((name,), "codes")


def test_of_several_texts_the_likeliest_name_or_the_longest_is_taken(guesser):
    short = [text[:25] for text in TEXTS]
    assert guesser(label=LABEL, a=TEXTS, response=short).guess({}).text == ("response",)
    assert guesser(label=LABEL, a=short, b=TEXTS).guess({}).text == ("b",)


def test_question_and_answer_are_two_turns_and_the_question_is_a_group(guesser):
    asked = [TEXTS[i // 3] for i in range(N)]
    guess = guesser(label=LABEL, response=TEXTS[::-1], title=TEXTS, prompt=asked).guess({})
    assert (guess.text, guess.group) == (("prompt", "response"), "prompt")


def test_vectors_are_lists_of_one_length(guesser):
    vectors = list(RNG.normal(size=(N, 3)))
    ragged = [[0.5] * (1 + i % 3) for i in range(N)]
    guess = guesser(label=LABEL, v=vectors, r=ragged, w=vectors[::-1]).guess({})
    assert guess.vectors == ("v", "w")
    assert guess.unused == ("r",)


def test_a_split_of_its_own_is_no_input(guesser):
    split = np.array(["train", "train", "dev"])[RNG.permutation(LABEL)]
    guess = guesser(label=LABEL, size=RNG.normal(size=N), split=split).guess({})
    assert guess.split == "split"
    assert guess.columns == ("size",)
    assert guesser(label=LABEL, size=RNG.normal(size=N), split=np.where(LABEL, "a", "b")).guess({}).split is None


def test_the_rows_of_a_sample_are_spread_over_a_sorted_file(tmp_path, monkeypatch):
    monkeypatch.setattr(column_sample, "HEAD_ROWS", 50)
    monkeypatch.setattr(column_sample, "SAMPLED_ROWS", 100)
    n = 5_000
    pd.DataFrame({"y": np.repeat(np.arange(10), n // 10), "t": ["word " * 60] * n}).to_parquet(tmp_path / "d.parquet")
    table = open_table("d.parquet", (tmp_path,), tmp_path / "cache", "error", None)
    y, t = column_sample.sample_columns(table)
    assert (len(y.values), y.distinct, len(t.values)) == (100, 10, 50)
    steps = np.diff(y.values.to_pylist())
    assert (steps >= 0).all()

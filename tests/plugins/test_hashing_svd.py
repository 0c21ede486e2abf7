"""`hashing_svd` on texts of scripts that write no blanks between words."""

import unicodedata

import numpy as np
import pytest

from harness import Items
from harness_plugins.embedders.hashing_svd import HashingSVD


def test_characters_of_scripts_without_blanks_are_words():
    embedder = HashingSVD(dim=2)
    assert embedder.tokens("很好 ok, ไทย カナ Größe_1") == {"很", "好", "ok", "ไ", "ท", "ย", "カ", "ナ", "größe_1"}
    assert embedder.tokens("한국어 без 42") == {"한국어", "без", "42"}  # they write blanks


def test_chinese_texts_are_near_by_their_phrases():
    """One of three phrases among topics decides the class: the nearest text has the same."""
    rng = np.random.default_rng(2)
    phrases, topics = (
        ["很好的回答内容清楚", "一般的回答还可以", "错误的回答没有用"],
        ["电脑", "天气", "历史", "音乐", "数学"],
    )
    y = rng.integers(0, 3, 120)
    texts = [f"{a}{phrases[c]}{b}" for c, a, b in zip(y, rng.choice(topics, 120), rng.choice(topics, 120), strict=True)]
    talks = tuple([("assistant", text)] for text in texts)
    items = Items("data", np.arange(120), np.arange(120), ("text",), text="text", loaded=talks)
    vectors = np.vstack(list(HashingSVD(dim=16).embed(items, 0)))
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    assert (y[similarity.argmax(axis=1)] == y).mean() > 0.95


def words_of(text):
    """Return the words of a text without emoji: letters, digits and the marks behind them, by Unicode's categories."""
    words, word = set(), ""
    for character in f"{text.lower()} ":
        kind = unicodedata.category(character)
        is_joined = bool(word) and (kind in ("Mn", "Mc", "Me") or character in "\u200c\u200d")
        if is_joined or kind[0] in "LN" or character == "_":
            word += character
        elif word:
            words.add(word)
            word = ""
    return words


@pytest.mark.parametrize(
    "text",
    [
        "मौसम अच्छा है। क्योंकि, यहाँ!",
        "শিক্ষা ও গান; தமிழ் மொழி, తెలుగు భాష",
        "שָׁלוֹם עוֹלָם. السَّلَامُ عَلَيْكُمْ؟",
        "re\u0301sume\u0301 na\u00efve \u1e9e_1 it's 3.5 x\u0302",
        "Привет, мир! 오늘 날씨가 맑음.",
    ],
)
def test_marks_belong_to_their_word(text):
    assert HashingSVD().tokens(text) == words_of(text)


def test_an_emoji_is_a_word():
    assert HashingSVD().tokens("☔rain 👍🏽 ok❤️!") == {"☔", "rain", "👍", "🏽", "ok", "❤"}

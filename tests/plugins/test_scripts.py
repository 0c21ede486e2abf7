"""Texts of many scripts: features that vary, and two topics that `knn` on `hashing_svd` keeps apart.

The texts are SIMULATED DATA: words of one topic and words of none, in a random order.
"""

import numpy as np
import pytest

from harness import Block, Items, Task
from harness_plugins.embedders.hashing_svd import HashingSVD
from harness_plugins.features.text_v1 import TextV1
from harness_plugins.features.text_v2 import TextV2
from harness_plugins.labelers.knn import KNN

N, TRAIN = 120, 60
# The words of two topics, words of none, what stands between words, and what ends a sentence.
SCRIPTS = {
    "Chinese": (["天气", "下雨", "晴朗"], ["音乐", "唱歌", "钢琴"], ["今天", "我们", "因为", "可以", "这个"], "", "。"),
    "Japanese": (
        ["天気", "雨だ", "晴れ"],
        ["音楽", "ピアノ", "歌う"],
        ["今日", "私は", "それ", "でも", "ここ"],
        "",
        "。",
    ),
    "Thai": (["อากาศ", "ฝนตก", "แดด"], ["ดนตรี", "เพลง", "เปียโน"], ["วันนี้", "เรา", "เพราะ", "ที่นี่", "และ"], "", " "),
    "Korean": (
        ["날씨", "비가", "맑음"],
        ["음악", "노래", "피아노"],
        ["오늘", "우리", "그래서", "여기", "그것"],
        " ",
        ".",
    ),
    "Arabic": (
        ["الطقس", "المطر", "مشمس"],
        ["موسيقى", "أغنية", "بيانو"],
        ["اليوم", "نحن", "لأن", "هنا", "هذا"],
        " ",
        "؟",
    ),
    "Hebrew": (["מזג", "גשם", "שמש"], ["מוזיקה", "שיר", "פסנתר"], ["היום", "אנחנו", "כי", "כאן", "זה"], " ", "."),
    "Hindi": (["मौसम", "बारिश", "धूप"], ["संगीत", "गाना", "पियानो"], ["आज", "हम", "क्योंकि", "यहाँ", "यह"], " ", "।"),
    "emoji": (
        ["☔", "🌧️", "🌤️"],
        ["🎵", "🎹", "🎤"],
        ["🙂", "👍🏽", "👩‍👩‍👧", "🇯🇵", "❤️"],
        " ",
        "!",
    ),
}


def talks(script):
    """Return y (N,) and N conversations, whose answers have three words of a topic among 6 to 18."""
    *topics, common, blank, end = SCRIPTS[script]
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    conversations = []
    for topic in y:
        words = [*rng.choice(topics[topic], 3), *rng.choice(common, rng.integers(3, 16))]
        question = blank.join(rng.choice(common, rng.integers(1, 5)))
        conversations.append([("user", question), ("assistant", blank.join(rng.permutation(words)) + end)])
    return y, tuple(conversations)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_text_of_any_script_has_features_and_a_topic(script):
    y, conversations = talks(script)
    items = Items("data", np.arange(N), np.arange(N), ("text",), text="text", loaded=conversations)
    for feature_set in (TextV1(), TextV2()):
        X = feature_set.features(items)
        assert np.isfinite(X).all()
        assert (X.std(axis=0) > 0).sum() >= 5, "lengths at least"
    vectors = np.vstack(list(HashingSVD(dim=16).embed(items, 0))).astype(np.float32)
    rows = np.arange(N)
    task = Task({"x": Block(vectors, "embedding")}, rows[:TRAIN], y[:TRAIN], rows[TRAIN:], 2)
    hits = KNN(on="x", k=9).label(task).proba.argmax(axis=1) == y[TRAIN:]
    assert hits.mean() > 0.9

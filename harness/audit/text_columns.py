"""Single columns made of texts and names: lengths, words, numbers.

Each is an array of codes (n,): rows of the same value have the same code. Nothing is learned from labels.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.plugin.items import Conversation

Codes = NDArray[np.int64]

MAX_TOKEN = 24  # characters of a token that are compared
ENDS = 2_000  # characters at the beginning and the end of a text that are searched for written labels
MIN_SHARE = 0.5  # of the texts that have a number after the same word
MIN_MARKED = 10  # texts with a token that may mark a class
NAMED_NUMBER = re.compile(r"([^\W\d]{2,24})\W{1,4}(\d{1,4})(?!\d)")
TOKEN = re.compile(r"\w+|[^\w\s]+")
NAME_PART = re.compile(r"[^\W\d_]+|\d+")


def code_values(values: Sequence[object]) -> Codes:
    """Return (n,) a number for each different value; rare ones share one."""
    counts = Counter(values)
    codes = {value: number for number, value in enumerate((v for v, n in counts.items() if n > 1), 1)}
    return np.array([codes.get(value, 0) for value in values], np.int64)


def text_columns(conversations: Sequence[Conversation]) -> Iterator[tuple[str, NDArray[Any], bool]]:
    """Yield (name, values (n,), whether they are codes) of each text column.

    What are no codes are counts, in which order means something.
    """
    sides = {
        "the first turn": [talk[0][1] if talk else "" for talk in conversations],
        "the last turn": [talk[-1][1] if talk else "" for talk in conversations],
    }
    yield "the number of turns", np.array([len(talk) for talk in conversations]), False
    yield "the roles of the turns", code_values([tuple(role for role, _ in talk) for talk in conversations]), True
    if all(len(talk) < 2 for talk in conversations):
        del sides["the last turn"]
    for side, texts in sides.items():
        yield f"the characters of {side}", np.array([len(text) for text in texts]), False
        yield f"the words of {side}", np.array([text.count(" ") + text.count("\n") for text in texts]), False
        yield f"the blanks that end {side}", np.array([len(text) - len(text.rstrip()) for text in texts]), False
        yield f"the characters of {side} that are not ASCII", np.array([_count_foreign(text) for text in texts]), False
        yield f"the last character of {side}", code_values([text[-1:] for text in texts]), True
        words = {
            "first": [(text[:ENDS].split() or [""])[0][:MAX_TOKEN] for text in texts],
            "last": [(text[-ENDS:].split() or [""])[-1][:MAX_TOKEN] for text in texts],
        }
        for place, tokens in words.items():
            yield f"the {place} word of {side}", code_values(tokens), True
        for name, codes in _named_numbers(texts):
            yield f"the number after {name!r} in {side}", codes, True


def name_columns(names: Sequence[str]) -> Iterator[tuple[str, Codes]]:
    """Yield (name, codes (n,)) of the first, second and last part of names.

    A part is a run of letters or of digits: "a3-17" has a, 3 and 17.
    """
    parts = [NAME_PART.findall(name) for name in names]
    for place, position in (("first", 0), ("second", 1), ("third", 2), ("last", -1)):
        yield f"the {place} part of", code_values([_part(words, position) for words in parts])


def mark_classes(
    conversations: Sequence[Conversation], y: NDArray[np.int64], fitted: NDArray[np.bool_]
) -> tuple[tuple[str, ...], Codes]:
    """Return the token that marks each class best, and (n,) which a text has.

    Tokens are single or two in a row; they are chosen on the `fitted` (n,) rows. A code is the set of marks in a text.
    """
    tokens = [_tokens(talk) for talk in conversations]
    support = np.bincount(y[fitted])
    by_token: dict[str, Counter[int]] = {}
    for row in np.flatnonzero(fitted):
        for token in tokens[row]:
            by_token.setdefault(token, Counter())[int(y[row])] += 1
    marks = []
    for label in np.flatnonzero(support >= MIN_MARKED):

        def f1(token: str, label: int = int(label)) -> float:
            return float(2 * by_token[token][label] / (by_token[token].total() + support[label]))

        best = max((t for t, counts in by_token.items() if counts[int(label)] >= MIN_MARKED), key=f1, default=None)
        if best is not None:
            marks.append(best)
    names = tuple(dict.fromkeys(marks))
    return names, code_values([tuple(mark in row for mark in names) for row in tokens])


def _named_numbers(texts: Sequence[str]) -> Iterator[tuple[str, Codes]]:
    """Yield (word, codes (n,)) of numbers that follow a word in most texts.

    Such as "score: 3".
    """
    ends = (f"{text[:ENDS]}\n{text[-ENDS:]}" for text in texts)
    numbers = [{word.lower(): number for word, number in NAMED_NUMBER.findall(text)} for text in ends]
    counts = Counter(word for row in numbers for word in row)
    for word, count in counts.most_common(50):
        if count >= MIN_SHARE * len(texts):
            yield word, code_values([row.get(word, "") for row in numbers])


def _tokens(talk: Conversation) -> set[str]:
    text = "\n".join(content if len(content) <= 2 * ENDS else content[:ENDS] + content[-ENDS:] for _, content in talk)
    words = TOKEN.findall(text)
    return {*words, *(f"{a} {b}" for a, b in pairwise(words))}


def _count_foreign(text: str) -> int:
    return 0 if text.isascii() else sum(character > "\x7f" for character in text)


def _part(words: list[str], position: int) -> str:
    try:
        return words[position]
    except IndexError:
        return ""

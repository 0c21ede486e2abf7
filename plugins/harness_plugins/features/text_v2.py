"""Sixty-three surface features of a conversation.

Those of text_v1, and readability, layout, alignment and phrases.

`FEATURES` holds every name with its definition; all that text_v1 says of words, sentences and ratios holds here.
Hedges and transitions are counted word by word, case and the punctuation around words ignored. The lists are in
`_phrases`.

The grades are those of Kincaid et al. (1975) and of Coleman and Liau (1975), with this project's counts in them.
Every step is linear in the length of the text, whatever it holds.
"""

import re
from dataclasses import dataclass
from math import log1p, sqrt
from operator import mul
from typing import ClassVar
from unicodedata import category

import numpy as np

from harness import Items, hookimpl
from harness_plugins.features import text_v1
from harness_plugins.features._conversation import (
    Reading,
    count,
    count_distinct,
    count_found,
    count_listed,
    is_mark,
    kind,
    read,
    strip_punctuation,
)
from harness_plugins.features._phrases import (
    COMPLIANCE_PHRASES,
    CONSTRAINT_WORDS,
    EXAMPLE_PHRASES,
    HEDGES,
    REFUSAL_PHRASES,
    STOP_WORDS,
    TRANSITIONS,
)

FEATURES = (
    *text_v1.FEATURES,
    ("max_sent_len_asst", "words of the longest sentence, 0 without any"),
    ("min_sent_len_asst", "words of the shortest sentence, 0 without any"),
    ("std_sent_len_asst", "standard deviation (population) of the words per sentence, 0 without any"),
    ("avg_para_len_asst", "words / max(paragraphs, 1)"),
    ("max_word_len_asst", "characters of the longest word, 0 without any"),
    ("hapax_ratio", "words that occur once / max(words, 1), case ignored"),
    (
        "avg_syllables_per_word",
        "syllables / max(words, 1); a word has as many as groups of the letters a e i o u y, case and surrounding "
        "punctuation ignored, a group that is a final e left out, and at least one",
    ),
    ("fk_grade", "0.39 words / max(sentences, 1) + 11.8 avg_syllables_per_word - 15.59"),
    ("coleman_liau", "0.0588 L - 0.296 S - 15.8, L letters of any script and S sentences per 100 words"),
    ("inline_code", "spans of one line between single backticks"),
    ("has_table", "1 if there are more than two table rows (heading, rule and one more), else 0"),
    ("table_rows", "lines that begin and end with |, blanks around ignored, with something between; the rule counts"),
    ("bold_count", "spans of one line between ** and ** without * inside"),
    ("italic_count", "spans of one line between single * and * without * inside or whitespace at either end"),
    ("math_density", "+ < = > ^ and, beyond ASCII, Unicode's mathematical symbols (Sm) / max(characters, 1)"),
    ("paren_count", "spans between ( and ) without parentheses inside"),
    ("punct_diversity", "distinct punctuation marks: of ASCII's 32 and, beyond it, of Unicode's punctuation (P)"),
    ("digit_density", "decimal digits of any script / max(characters, 1)"),
    ("log_user_word_count", "ln(1 + user_word_count)"),
    ("user_has_code", "1 if there is a backtick in the user's text, else 0"),
    ("constraint_words", "how many CONSTRAINT_WORDS occur in the user's text"),
    (
        "word_overlap_ratio",
        "share of the distinct words of the user's text, less STOP_WORDS and words without a letter or digit, that "
        "recur in the assistant's, case and surrounding punctuation ignored; 0 without any",
    ),
    ("trigram_repeat_ratio", "triples of neighbouring words that occurred before / max(triples, 1), case ignored"),
    ("compliance_phrases", "how many COMPLIANCE_PHRASES occur"),
    ("refusal_phrases", "how many REFUSAL_PHRASES occur"),
    ("hedge_density", "words in HEDGES, case and surrounding punctuation ignored / max(words, 1)"),
    ("transition_density", "words in TRANSITIONS, case and surrounding punctuation ignored / max(words, 1)"),
    ("example_phrases", "how many EXAMPLE_PHRASES occur"),
)
"""(name, definition) in column order."""

# Each begins with a literal, which lets the matcher jump from one candidate to the next, and none goes back over text.
_INLINE_CODE = re.compile(r"`(?<!``)[^`\n]++`(?!`)")
_BOLD = re.compile(r"\*\*[^*\n]++\*\*")
_ITALIC = re.compile(r"\*(?<!\*\*)(?!\s)[^*\n]++(?<!\s)\*(?!\*)")
_PARENTHESES = re.compile(r"\([^()]++\)")
_SYLLABLE = re.compile(r"(?!e\Z)[aeiouy]+")
_LETTER = kind(str.isalpha)
_DIGIT = kind(str.isdecimal)
_MATHS = kind(lambda char: char in "+<=>^" if char.isascii() else category(char) == "Sm")
_MARK = kind(is_mark)
_CACHED_WORDS, _LONGEST_CACHED_WORD = (
    65_536,
    64,
)  # words, and characters of a word, whose syllables are remembered: some 10 MB


@dataclass(frozen=True)
class TextV2:
    """The 63 features of `FEATURES`.

    Those of text_v1, readability, layout, alignment, phrases.
    """

    name: ClassVar[str] = "text_v2"
    names: ClassVar[tuple[str, ...]] = tuple(name for name, _ in FEATURES)
    rowwise: ClassVar[bool] = True
    text_only: ClassVar[bool] = True

    def features(self, items: Items) -> np.ndarray:
        row = np.dtype((np.float32, len(FEATURES)))
        return np.fromiter(map(measure, items.conversations()), row, len(items))  # (rows, 63)


def measure(conversation: list[tuple[str, str]]) -> tuple[float, ...]:
    """Return the 63 numbers of a list of (role, content).

    They are in the order of `FEATURES`.
    """
    reading = read(conversation)
    return text_v1.numbers(reading) + numbers(reading)


def numbers(reading: Reading) -> tuple[float, ...]:
    """Return the 28 numbers of a Reading that text_v1 lacks."""
    text, words = reading.text, reading.words
    n_words, n_sentences = len(words), len(reading.sentences)
    chars, some_words, some_sentences = max(len(text), 1), max(n_words, 1), max(n_sentences, 1)
    lengths = [len(sentence.split()) for sentence in reading.sentences]
    # whole numbers under the root: neither rounding nor a square below zero
    spread = sqrt(n_sentences * sum(map(mul, lengths, lengths)) - sum(lengths) ** 2)
    in_words = sum(map(mul, map(_SYLLABLES.__getitem__, reading.bare_counts), reading.bare_counts.values()))
    per_word = in_words / some_words
    rows = _table_rows(text)
    user_words = [strip_punctuation(word) for word in reading.user_words]
    content = {word for word in set(user_words) - STOP_WORDS if any(map(str.isalnum, word))}
    n_triples = max(n_words - 2, 0)
    triples = set(zip(words, words[1:], words[2:], strict=False))

    return (
        max(lengths, default=0),
        min(lengths, default=0),
        spread / some_sentences,
        n_words / max(reading.n_paragraphs, 1),
        max(map(len, reading.tokens), default=0),
        list(reading.vocabulary.values()).count(1) / some_words,
        per_word,
        0.39 * n_words / some_sentences + 11.8 * per_word - 15.59,
        (5.88 * count(reading, _LETTER) - 29.6 * n_sentences) / some_words - 15.8,
        len(_INLINE_CODE.findall(text)),
        rows > 2,
        rows,
        len(_BOLD.findall(text)),
        len(_ITALIC.findall(text)),
        count(reading, _MATHS) / chars,
        len(_PARENTHESES.findall(text)),
        count_distinct(reading, _MARK),
        count(reading, _DIGIT) / chars,
        log1p(len(reading.user_words)),
        "`" in reading.user,
        count_found(reading.user_line, CONSTRAINT_WORDS),
        len(content & reading.bare_counts.keys()) / max(len(content), 1),
        (n_triples - len(triples)) / max(n_triples, 1),
        count_found(reading.line, COMPLIANCE_PHRASES),
        count_found(reading.line, REFUSAL_PHRASES),
        count_listed(reading, HEDGES) / some_words,
        count_listed(reading, TRANSITIONS) / some_words,
        count_found(reading.line, EXAMPLE_PHRASES),
    )


def syllables(word: str) -> int:
    """Count the syllables of a stripped word in lower case."""
    return len(_SYLLABLE.findall(word)) or 1


class _SyllableCache(dict[str, int]):
    """Word -> syllables, of the words met first, which are frequent."""

    def __missing__(self, word: str) -> int:
        number = syllables(word)
        if len(self) < _CACHED_WORDS and len(word) <= _LONGEST_CACHED_WORD:
            self[word] = number
        return number


_SYLLABLES = _SyllableCache()


def _table_rows(text: str) -> int:
    if "|" not in text:
        return 0
    rows = map(str.strip, text.split("\n"))
    return sum(1 for row in rows if len(row) > 2 and row[0] == row[-1] == "|")


@hookimpl
def harness_features():
    return [TextV2]

"""Thirty-five surface features of a conversation.

`FEATURES` holds every name with its definition. Throughout:

- the assistant's turns are joined by a blank, and so are the user's; other roles count as turns only;
- all features are of the assistant's text, save those with "user" in the name, the counts of turns and the three of
  the prompt, which are of the user's text: question_marks, has_question and instruction_keywords;
- a word is what stands between whitespace (a Chinese or Japanese text is one long word);
  a sentence is a piece between runs of ``.!?`` that is not blank; a paragraph is a piece between blank lines;
- a word or phrase of a list counts once, however often it occurs in the text, inside of longer words too; case is
  ignored, any whitespace is one blank, the text begins with a blank, and a curly apostrophe is a straight one;
- a ratio or a density divides by max(count, 1), so that all are finite on any text.

The names are those of an experiment record that does not define all of them; the definitions are this project's.
Every step is linear in the length of the text, whatever it holds.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from math import log1p
from typing import ClassVar

import numpy as np

from harness import Items, hookimpl
from harness_plugins.features._conversation import Reading, count, count_found, is_mark, kind, read

FEATURES = (
    ("user_char_len", "characters (Unicode code points) of the user's text"),
    ("asst_char_len", "characters"),
    ("total_char_len", "user_char_len + asst_char_len"),
    ("len_ratio", "asst_char_len / max(user_char_len, 1)"),
    ("user_word_count", "words of the user's text"),
    ("asst_word_count", "words"),
    ("log_asst_len", "ln(1 + asst_char_len)"),
    ("log_user_len", "ln(1 + user_char_len)"),
    ("num_turns", "turns of any role"),
    ("num_user_turns", "turns of role user"),
    ("num_asst_turns", "turns of role assistant"),
    ("asst_sentences", "sentences"),
    ("user_sentences", "sentences of the user's text"),
    ("asst_paragraphs", "paragraphs"),
    ("avg_word_len_asst", "characters that are not whitespace / max(words, 1)"),
    ("avg_word_len_user", "the same of the user's text"),
    ("avg_sent_len_asst", "words / max(sentences, 1)"),
    ("vocab_diversity_asst", "distinct words / max(words, 1), case ignored"),
    ("vocab_diversity_user", "the same of the user's text"),
    ("has_code", "1 if there is a code fence (three backticks), else 0"),
    ("code_block_pairs", "code fences // 2"),
    ("has_list", "1 if there are list items, else 0"),
    ("list_items", "lines that begin, after blanks, with -, *, +, • or up to three digits and . or ), then a blank"),
    ("header_count", "lines that begin with one to six # and a blank"),
    ("url_count", "occurrences of http:// and https://"),
    ("special_density", "characters neither alphanumeric nor whitespace / max(characters, 1)"),
    ("newline_density", "newlines / max(characters, 1)"),
    ("newline_count", "newlines"),
    ("question_marks", "question marks of the user's text"),
    ("has_question", "1 if there is a question mark in the user's text, else 0"),
    ("instruction_keywords", "how many INSTRUCTION_WORDS occur in the user's text"),
    ("starts_capital", "1 if the first character that is not whitespace is an upper-case letter, else 0"),
    ("ends_punct", "1 if the last character that is not whitespace is punctuation: ASCII's or Unicode's (P), else 0"),
    ("bigram_repeat_ratio", "pairs of neighbouring words that occurred before / max(pairs, 1), case ignored"),
    ("i_density", "I on its own or before an apostrophe, as in I'm / max(words, 1)"),
)
"""(name, definition) in column order."""

INSTRUCTION_WORDS = tuple(
    "write explain describe list create generate summarize translate compare analyze "  # noqa: SIM905 - reads as words
    "provide give suggest how what why".split()
)

# These begin with a literal, which lets the matcher jump from one candidate to the next.
_LIST_ITEM = re.compile(r"\n[ \t]*(?:[-*+•]|[0-9]{1,3}[.)])[ \t]")
_HEADER = re.compile(r"\n#{1,6}[ \t]")
_PRONOUN_I = re.compile(r"I(?<!\wI)(?!\w)")
_SPECIAL = kind(lambda char: not (char.isalnum() or char.isspace()))


@dataclass(frozen=True)
class TextV1:
    """The 35 features of `FEATURES`.

    Lengths, structure, vocabulary, content, style.
    """

    name: ClassVar[str] = "text_v1"
    names: ClassVar[tuple[str, ...]] = tuple(name for name, _ in FEATURES)
    rowwise: ClassVar[bool] = True
    text_only: ClassVar[bool] = True

    def features(self, items: Items) -> np.ndarray:
        row = np.dtype((np.float32, len(FEATURES)))
        return np.fromiter(map(measure, items.conversations()), row, len(items))  # (rows, 35)


def measure(conversation: list[tuple[str, str]]) -> tuple[float, ...]:
    """Return the 35 numbers of a list of (role, content).

    They are in the order of `FEATURES`.
    """
    return numbers(read(conversation))


def numbers(reading: Reading) -> tuple[float, ...]:
    """Return the 35 numbers of a conversation that has been read."""
    user, text = reading.user, reading.text
    n_user, n, n_user_words, n_words = len(user), len(text), len(reading.user_words), len(reading.words)
    chars, some_user_words, some_words = max(n, 1), max(n_user_words, 1), max(n_words, 1)
    sentences = len(reading.sentences)
    lines = "\n" + text  # so that every line begins after a newline
    fences = text.count("```")
    items = len(_LIST_ITEM.findall(lines))
    newlines = text.count("\n")
    questions = user.count("?")
    pairs = max(n_words - 1, 0)

    return (
        n_user,
        n,
        n_user + n,
        n / max(n_user, 1),
        n_user_words,
        n_words,
        log1p(n),
        log1p(n_user),
        reading.n_turns,
        reading.n_user_turns,
        reading.n_asst_turns,
        sentences,
        len(reading.user_sentences),
        reading.n_paragraphs,
        len("".join(reading.tokens)) / some_words,
        len("".join(user.split())) / some_user_words,
        n_words / max(sentences, 1),
        len(reading.vocabulary) / some_words,
        len(set(reading.user_words)) / some_user_words,
        fences > 0,
        fences // 2,
        items > 0,
        items,
        len(_HEADER.findall(lines)),
        text.count("http://") + text.count("https://"),
        count(reading, _SPECIAL) / chars,
        newlines / chars,
        newlines,
        questions,
        questions > 0,
        count_found(reading.user_line, INSTRUCTION_WORDS),
        reading.stripped[:1].isupper(),
        any(map(is_mark, reading.stripped[-1:])),
        (pairs - len(set(pairwise(reading.words)))) / max(pairs, 1),
        len(_PRONOUN_I.findall(text)) / some_words,
    )


@hookimpl
def harness_features():
    return [TextV1]

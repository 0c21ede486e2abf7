"""Texts, words, sentences and characters of one conversation.

- the assistant's turns are joined by a blank, and so are the user's; other roles count as turns only;
- a word is what stands between whitespace (a Chinese or Japanese text is one long word);
  a sentence is a piece between runs of ``.!?`` that is not blank; a paragraph is a piece between blank lines.

Every step is linear in the length of the text, whatever it holds.
"""

import re
from collections import Counter
from collections.abc import Callable
from string import punctuation
from typing import NamedTuple
from unicodedata import category

PUNCTUATION = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~“”‘’…"""
"""What is taken off both ends of a word before it is looked up in a list of words."""

_BLANK_LINES = re.compile(r"\n\s*\n")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


class Reading(NamedTuple):
    """One conversation, split; all turns but the user's are one text.

    Fields that do not have "user" in their name are of the assistant's text.
    """

    n_turns: int
    n_user_turns: int
    n_asst_turns: int
    user: str
    text: str
    stripped: str  # the text without whitespace around it
    user_words: list[str]  # in lower case
    user_line: str  # these words, a blank before each, apostrophes straight
    tokens: list[str]  # words as they are written
    words: list[str]  # in lower case
    vocabulary: Counter[str]  # of the words
    bare: list[str]  # the words without PUNCTUATION around them, as `strip_punctuation` has it
    bare_counts: Counter[str]
    line: str  # the words, a blank before each, apostrophes straight
    user_sentences: list[str]
    sentences: list[str]
    n_paragraphs: int
    encoded: bytes  # the text, so that ASCII characters can be counted as bytes
    beyond: Counter[str]  # its characters beyond ASCII


class Kind(NamedTuple):
    """A kind of character."""

    belongs: Callable[[str], bool]
    others: bytes  # bytes that are no ASCII character of the kind


def read(conversation: list[tuple[str, str]]) -> Reading:
    """Read a list of (role, content), of any length and with any text."""
    user_turns = [content for role, content in conversation if role == "user"]
    assistant_turns = [content for role, content in conversation if role == "assistant"]
    user, text = " ".join(user_turns), " ".join(assistant_turns)
    words, user_words = text.lower().split(), user.lower().split()
    vocabulary = Counter(words)
    bared_words = {word: strip_punctuation(word) for word in vocabulary}
    bare = list(map(bared_words.__getitem__, words))
    stripped = text.strip()
    return Reading(
        n_turns=len(conversation),
        n_user_turns=len(user_turns),
        n_asst_turns=len(assistant_turns),
        user=user,
        text=text,
        stripped=stripped,
        user_words=user_words,
        user_line=_line(user_words),
        tokens=text.split(),
        words=words,
        vocabulary=vocabulary,
        bare=bare,
        bare_counts=Counter(bare),
        line=_line(words),
        user_sentences=_sentences(user),
        sentences=_sentences(text),
        # between the first and the last character that is not whitespace, blank lines only separate
        n_paragraphs=len(_BLANK_LINES.findall(stripped)) + 1 if stripped else 0,
        encoded=text.encode("utf-8", "surrogatepass"),
        beyond=Counter() if text.isascii() else Counter("".join(_BEYOND_ASCII.findall(text))),
    )


def kind(belongs: Callable[[str], bool]) -> Kind:
    """Return the kind of the characters for which `belongs` holds."""
    return Kind(belongs, bytes(c for c in range(256) if c > 127 or not belongs(chr(c))))


def count(reading: Reading, kind: Kind) -> int:
    """Count characters of a kind in the text.

    ASCII is counted as bytes, the rest one distinct character at a time.
    """
    ascii_ones = len(reading.encoded.translate(None, kind.others))
    return ascii_ones + sum(n for char, n in reading.beyond.items() if kind.belongs(char))


def count_distinct(reading: Reading, kind: Kind) -> int:
    """Count the distinct characters of a kind in the text."""
    return len(set(reading.encoded.translate(None, kind.others))) + sum(map(kind.belongs, reading.beyond))


def strip_punctuation(word: str) -> str:
    """Strip PUNCTUATION from both ends of a word.

    Apostrophes become straight; a hyphen alone leaves nothing.
    """
    return word if word.isalnum() else word.strip(PUNCTUATION).replace("’", "'")


def is_mark(char: str) -> bool:
    """Return True for ASCII's punctuation and Unicode's (P) beyond it."""
    return char in punctuation if char.isascii() else category(char)[0] == "P"


def count_listed(reading: Reading, words: frozenset[str]) -> int:
    """Count the words of the text that are in `words`.

    Case and surrounding punctuation are ignored.
    """
    return sum(reading.bare_counts[word] for word in words if word in reading.bare_counts)


def count_found(line: str, phrases: tuple[str, ...]) -> int:
    """Count the phrases that occur in a line, each once."""
    return sum([phrase in line for phrase in phrases])


def _line(words: list[str]) -> str:
    return " ".join(["", *words]).replace("’", "'")


def _sentences(text: str) -> list[str]:
    pieces = text.replace("!", ".").replace("?", ".").split(".")
    return [piece for piece in pieces if piece and not piece.isspace()]

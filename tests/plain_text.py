"""The 63 features of text_v2 as one would write them from their definitions, one after the other and each by itself.

A second opinion for tests, and what benchmarks/ compares with. It shares with the plugins the lists of words alone.
"""

import math
import re
import string
import unicodedata
from collections import Counter
from statistics import pstdev

from harness_plugins.features import text_v1, text_v2
from harness_plugins.features._conversation import PUNCTUATION


def features(conversation):
    """Return name -> number, in the order of the columns, for a list of (role, content)."""
    user = " ".join(content for role, content in conversation if role == "user")
    text = " ".join(content for role, content in conversation if role == "assistant")
    roles = [role for role, _ in conversation]
    turns = {
        "num_turns": len(roles),
        "num_user_turns": roles.count("user"),
        "num_asst_turns": roles.count("assistant"),
    }
    found = turns | _lengths(user, text) | _layout(text) | _style(user, text) | _readability(text)
    found |= _marks(text) | _alignment(user, text) | _phrases(text)
    return {name: float(found[name]) for name in text_v2.TextV2.names}


def _words(text):
    return [word.lower() for word in text.split()]


def _bare(text):
    return [word.lower().strip(PUNCTUATION).replace("’", "'") for word in text.split()]


def _sentences(text):
    return [piece for piece in re.split(r"[.!?]+", text) if piece.strip()]


def _paragraphs(text):
    return [piece for piece in re.split(r"\n\s*\n", text) if piece.strip()]


def _repeats(words, n):
    runs = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return (len(runs) - len(set(runs))) / max(len(runs), 1)


def _lengths(user, text):
    asked, answered = _words(user), _words(text)
    return {
        "user_char_len": len(user),
        "asst_char_len": len(text),
        "total_char_len": len(user) + len(text),
        "len_ratio": len(text) / max(len(user), 1),
        "user_word_count": len(asked),
        "asst_word_count": len(answered),
        "log_asst_len": math.log1p(len(text)),
        "log_user_len": math.log1p(len(user)),
        "asst_sentences": len(_sentences(text)),
        "user_sentences": len(_sentences(user)),
        "asst_paragraphs": len(_paragraphs(text)),
        "avg_word_len_asst": sum(not char.isspace() for char in text) / max(len(answered), 1),
        "avg_word_len_user": sum(not char.isspace() for char in user) / max(len(asked), 1),
        "avg_sent_len_asst": len(answered) / max(len(_sentences(text)), 1),
        "vocab_diversity_asst": len(set(answered)) / max(len(answered), 1),
        "vocab_diversity_user": len(set(asked)) / max(len(asked), 1),
        "log_user_word_count": math.log1p(len(asked)),
    }


def _layout(text):
    items = re.findall(r"^[ \t]*(?:[-*+•]|[0-9]{1,3}[.)])[ \t]", text, re.MULTILINE)
    lines = [line.strip() for line in text.split("\n")]
    rows = [line for line in lines if line.startswith("|") and line.endswith("|") and len(line) > 2]
    return {
        "has_code": "```" in text,
        "code_block_pairs": text.count("```") // 2,
        "has_list": bool(items),
        "list_items": len(items),
        "header_count": len(re.findall(r"^#{1,6}[ \t]", text, re.MULTILINE)),
        "url_count": len(re.findall(r"https?://", text)),
        "newline_density": text.count("\n") / max(len(text), 1),
        "newline_count": text.count("\n"),
        "has_table": len(rows) >= 3,
        "table_rows": len(rows),
        "inline_code": len(re.findall(r"(?<!`)`[^`\n]+`(?!`)", text)),
        "bold_count": len(re.findall(r"\*\*[^*\n]+\*\*", text)),
        "italic_count": len(re.findall(r"(?<!\*)\*(?!\s)[^*\n]+(?<!\s)\*(?!\*)", text)),
        "paren_count": len(re.findall(r"\([^()]+\)", text)),
    }


def _style(user, text):
    words, whole = _words(text), text.strip()
    return {
        "special_density": sum(not char.isalnum() and not char.isspace() for char in text) / max(len(text), 1),
        "question_marks": user.count("?"),
        "has_question": "?" in user,
        "instruction_keywords": _occurring(text_v1.INSTRUCTION_WORDS, user),
        "starts_capital": whole[:1].isupper(),
        "ends_punct": bool(_punctuation(whole[-1:])),
        "i_density": len(re.findall(r"\bI\b", text)) / max(len(words), 1),
        "bigram_repeat_ratio": _repeats(words, 2),
        "trigram_repeat_ratio": _repeats(words, 3),
        "hapax_ratio": sum(count == 1 for count in Counter(words).values()) / max(len(words), 1),
    }


def _readability(text):
    words, sentences = text.split(), _sentences(text)
    lengths = [len(sentence.split()) for sentence in sentences]
    n, k = max(len(words), 1), max(len(sentences), 1)
    per_word = sum(map(_syllables, _bare(text))) / n
    return {
        "max_sent_len_asst": max(lengths, default=0),
        "min_sent_len_asst": min(lengths, default=0),
        "std_sent_len_asst": pstdev(lengths) if lengths else 0,
        "avg_para_len_asst": len(words) / max(len(_paragraphs(text)), 1),
        "max_word_len_asst": max(map(len, words), default=0),
        "avg_syllables_per_word": per_word,
        "fk_grade": 0.39 * len(words) / k + 11.8 * per_word - 15.59,
        "coleman_liau": 0.0588 * (100 * sum(char.isalpha() for char in text) / n)
        - 0.296 * (100 * len(sentences) / n)
        - 15.8,
    }


def _syllables(word):
    groups = len(re.findall(r"[aeiouy]+", word))
    silent = word.endswith("e") and word[-2:-1] not in [*"aeiouy"]
    return max(groups - silent, 1)


def _marks(text):
    beyond = [(char, unicodedata.category(char)) for char in text if ord(char) > 127]
    maths = sum(char in "+<=>^" for char in text) + sum(kind == "Sm" for _, kind in beyond)
    return {
        "math_density": maths / max(len(text), 1),
        "punct_diversity": len(_punctuation(text)),
        "digit_density": sum(unicodedata.category(char) == "Nd" for char in text) / max(len(text), 1),
    }


def _punctuation(text):
    beyond = {char for char in text if ord(char) > 127 and unicodedata.category(char).startswith("P")}
    return {char for char in text if char in string.punctuation} | beyond


def _occurring(phrases, text):
    whole = " " + " ".join(text.lower().split()).replace("’", "'")
    return len([phrase for phrase in phrases if phrase in whole])


def _alignment(user, text):
    asked = _bare(user)
    content = {word for word in asked if word not in text_v2.STOP_WORDS and any(char.isalnum() for char in word)}
    return {
        "user_has_code": "`" in user,
        "constraint_words": _occurring(text_v2.CONSTRAINT_WORDS, user),
        "word_overlap_ratio": len(content & set(_bare(text))) / max(len(content), 1),
    }


def _phrases(text):
    words = _bare(text)
    return {
        "compliance_phrases": _occurring(text_v2.COMPLIANCE_PHRASES, text),
        "refusal_phrases": _occurring(text_v2.REFUSAL_PHRASES, text),
        "example_phrases": _occurring(text_v2.EXAMPLE_PHRASES, text),
        "hedge_density": sum(word in text_v2.HEDGES for word in words) / max(len(words), 1),
        "transition_density": sum(word in text_v2.TRANSITIONS for word in words) / max(len(words), 1),
    }

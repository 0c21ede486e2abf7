"""Names by which people call the parts of a table, likeliest first."""

import re
from collections.abc import Iterable, Sequence

TARGETS = (
    *("target", "label", "labels", "class", "stars", "rating", "gpt_scores", "score", "scores", "quality", "grade"),
    *("y", "category", "sentiment", "intent", "topic", "toxicity", "is_spam", "spam", "toxic", "verdict", "outcome"),
)
SCORES = ("stars", "rating", "gpt_scores", "score", "scores", "quality", "grade", "toxicity", "percent", "points")
"""Of targets, those that measure: many different ones are no classes."""
TEXTS = (
    *("messages", "conversations", "conversation", "chat", "text", "content", "body", "review", "comment", "response"),
    *("answer", "completion", "output", "sentence", "document", "post", "message", "abstract", "description", "title"),
    *("question", "prompt", "instruction"),
)
QUESTIONS = ("prompt", "question", "instruction", "query", "input", "user", "request")
ANSWERS = ("response", "answer", "completion", "output", "reply", "assistant", "chosen")
"""Two columns of texts that are a conversation of two turns."""
IDS = ("id", "row_id", "uid", "uuid", "guid", "key", "idx", "index", "_id", "sample_id", "example_id", "review_id")
GROUPS = (
    *("prompt_id", "question_id", "group_id", "group", "query_id", "qid", "conversation_id", "session_id", "thread_id"),
    *("user_id", "author_id", "author", "user", "patient_id", "patient", "document_id", "doc_id", "product_id"),
    *("question", "prompt", "instruction", "query"),
)
SOURCES = (
    "source",
    "dataset",
    "dataset_name",
    "model",
    "generator",
    "model_name",
    "origin",
    "domain",
    "site",
    "corpus",
)
SPLITS = ("split", "set", "partition", "subset", "fold")
SPLIT_VALUES = {"train", "training", "test", "testing", "dev", "val", "valid", "validation", "eval", "holdout"}
NO_LABEL = {"na", "n/a", "nan", "null", "none", "unlabeled", "unlabelled", "unknown", "?", "-"}
SCALES = (  # names of classes in their order
    ("very bad", "bad", "poor", "fair", "ok", "okay", "average", "medium", "good", "very good", "great", "excellent"),
    ("very low", "low", "medium", "moderate", "high", "very high"),
    ("very negative", "negative", "neutral", "positive", "very positive"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("none", "mild", "moderate", "severe"),
    ("small", "medium", "large"),
)


def rank(name: str, names: Sequence[str]) -> tuple[int, int] | None:
    """Return how well a column's name fits: less is better, None not at all.

    A name is one of `names`, or ends with one: "user_rating", "userRating".

    >>> rank("Rating", ("label", "rating")), rank("user_rating", ("rating",)), rank("price", ("rating",))
    ((0, 1), (1, 0), None)
    """
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace(" ", "_").replace("-", "_")
    if plain in names:
        return 0, names.index(plain)
    ending = [place for place, word in enumerate(names) if plain.endswith(f"_{word}")]
    return (1, ending[0]) if ending else None


def rank_names(columns: Iterable[str], names: Sequence[str]) -> list[str]:
    """Return the columns that fit, the best first."""
    ranks = {column: fit for column in columns if (fit := rank(column, names)) is not None}
    return sorted(ranks, key=ranks.__getitem__)

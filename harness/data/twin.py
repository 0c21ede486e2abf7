"""Simulate the pool `tulu_300k`: the twin, to try a suite without it.

Rows per source and the joint scores of the three raters are the pool's, in flan_v2 stretch by stretch; texts and
embeddings are invented. docs/twin.md describes what they were fitted to and what they cannot show.
"""

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.data.twin_space import TOPICS, Geometry, Ints, Reals, Space, geometry, vectors
from harness.errors import HarnessError

VERSION = 1  # raised whenever the data change
POOL = 300_932
# The pool's stretches, source and rows: flan_v2 drifts, and the record has numbers of its first 30,000 and 50,000 rows.
STRETCHES = (
    ("flan_v2", 30_000),
    ("flan_v2", 20_000),
    ("flan_v2", 50_000),
    ("oasst1", 33_919),
    ("wizardlm", 100_000),
    ("dolly", 15_011),
    ("stanford_alpaca", 52_002),
)
BLOCKS = {name: sum(rows for other, rows in STRETCHES if other == name) for name, _ in STRETCHES}
SHARES = Path(__file__).with_name("twin_shares.csv")  # rows of the pool per stretch and triple of scores
RATERS = ("gpt_scores", "llama_scores", "mistral_scores")
ROW_GROUP_ROWS = 8_192  # rows drawn at a time, and written as one row group

# The quality of a row, as its text and embeddings show it: a mean of the raters plus noise, partly common to all.
RATER_WEIGHTS = np.array([0.8, 0.1, 0.1])  # GPT, Llama, Mistral
MIDDLE = 2.45  # about the mean over the pool, which is quality 0
COMMON_NOISE = np.array([0.5, 0.65, 0.65, 0.65, 0.65])  # per source, in the order of BLOCKS
TEXT_NOISE = 0.46
TOPIC_QUALITY = 0.6  # weight of a row's quality in the rank of its topic within its source

SKYWORK = "embeddings_skywork"
SPACES = {
    "embeddings": Space(dimensions=1024, noise=0.9, quality=0.1, own=0.9),
    SKYWORK: Space(dimensions=4096, noise=0.37, quality=0.11, own=0.985),
}

GROWTH, SCATTER = 0.7, 0.25  # of an answer's length, in log sentences: per point of quality, and sd of the rest
LONGEST = 60  # sentences in a turn
# Per source, in the order of BLOCKS: sentences in a typical prompt and answer, the chance of one more exchange, and the
# log-odds that an answer of middling quality uses lists; headers and code are rarer.
PROMPT = np.array([6.0, 1.8, 3.0, 3.2, 1.0])
ANSWER = np.array([2.2, 6.0, 10.0, 3.2, 2.8])
EXCHANGE = np.array([0.0, 0.35, 0.03, 0.0, 0.0])
DEVICES = np.array([-4.2, -1.8, -0.9, -3.0, -2.4])
PHRASES = 32  # of each kind and topic
# kind: text before, typical number of words, share of rare words, openings, text after
KINDS: dict[str, tuple[str, int, float, tuple[str, ...], str]] = {
    "bare": (" ", 6, 0.02, ("", "", "i think ", "maybe "), ""),
    "plain": (" ", 8, 0.05, ("", "", "It is ", "I guess "), "."),
    "sound": (" ", 12, 0.14, ("", "", "However, ", "Also, ", "For example, "), "."),
    "rich": (" ", 17, 0.26, ("", "Therefore, ", "In addition, ", "For instance, ", "As a result, "), "."),
    "paragraph": ("\n\n", 13, 0.15, ("", "Finally, ", "Moreover, ", "Overall, "), "."),
    "item": ("\n- ", 7, 0.15, ("", "**Note**: ", "First, "), "."),
    "header": ("\n\n## ", 3, 0.3, ("", "Step: "), "\n"),
    "code": ("\n```python\n", 6, 0.1, ("def f(x): return ", "for i in range(10): print ", "x = "), "()\n```\n"),
    "refusal": (" ", 6, 0.02, ("I'm sorry, but I cannot help with ", "As an AI, I am unable to discuss "), "."),
    "question": (" ", 7, 0.1, ("What is ", "How do you explain ", "Can you describe "), "?"),
    "task": (" ", 8, 0.1, ("Write ", "Explain ", "List ", "Summarize ", "Create "), "."),
    "limit": (" ", 6, 0.1, ("Use at least 3 of ", "Do not exceed 100 words on ", "Only include "), "."),
}
FUNCTION_WORDS = ("the", "of", "and", "to", "a", "in", "is", "it", "for", "as", "with", "on", "be", "by", "this", "are")
KIND_NUMBER = {kind: number for number, kind in enumerate(KINDS)}  # the first four are ordered by quality
NUMBER = pa.field("item", pa.float32(), nullable=False)
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
COLUMNS = {"id": pa.int64(), "source": pa.string(), "messages": MESSAGES, **dict.fromkeys(RATERS, pa.int8())}


class World(NamedTuple):
    """What all rows of a twin share: phrases, topics and spaces."""

    phrases: pa.Array  # (kinds * TOPICS * PHRASES,) strings
    reach: Reals  # (sources * TOPICS,) source number + cumulated share of its topics, from the worst to the best
    topics: Ints  # (sources, TOPICS) topics in that order
    spaces: dict[str, Geometry]  # by column


def write(path: Path, rows: int = POOL, seed: int = 0, skywork: bool = False) -> None:
    """Write the simulated pool as one parquet file.

    The same arguments give the same values. Columns: id, source, messages, gpt_scores, llama_scores, mistral_scores,
    embeddings (1024 float32 of length 1); with `skywork` also embeddings_skywork (4096), and the others are the same
    with and without. Raises HarnessError for `rows` outside 1 to POOL.
    """
    if not 1 <= rows <= POOL:
        raise HarnessError(f"the twin of tulu_300k has 1 to {POOL} rows, asked for {rows}")
    source, scores = _scores(rows, np.random.default_rng([seed, 0]))  # (N,), (N, 3)
    names = [name for name in SPACES if skywork or name != SKYWORK]
    world = _world(seed, names)
    vectors = {name: pa.list_(NUMBER, SPACES[name].dimensions) for name in names}
    schema = pa.schema({**COLUMNS, **vectors}, metadata={"simulated": "twin:tulu_300k"})

    def chunk(start: int) -> pa.Table:
        part = slice(start, start + ROW_GROUP_ROWS)
        return pa.table(_chunk(start, source[part], scores[part], world, seed), schema=schema)

    columns = {"use_dictionary": ["source", *RATERS], "write_statistics": ["id"], "compression": "none"}
    with pq.ParquetWriter(path, schema, **columns) as file, ThreadPoolExecutor(1) as executor:
        next_chunk = executor.submit(chunk, 0)
        for start in range(ROW_GROUP_ROWS, rows + ROW_GROUP_ROWS, ROW_GROUP_ROWS):
            table = next_chunk.result()
            if start < rows:
                next_chunk = executor.submit(chunk, start)
            file.write_table(table)


def block_sizes(rows: int) -> list[int]:
    """Divide `rows` among the sources in proportion to the pool's.

    Remainders go to the largest fractions; from 5 rows on, each source has one.

    >>> block_sizes(10)
    [3, 1, 3, 1, 2]
    """
    sizes = _divide(rows, list(BLOCKS.values()))
    while rows >= len(sizes) and sizes.min() == 0:
        sizes[sizes.argmax()] -= 1
        sizes[sizes.argmin()] += 1
    return [int(size) for size in sizes]


def _divide(rows: int, parts: list[int]) -> Ints:
    """Divide `rows` in proportion to `parts`, by largest remainder."""
    exact = np.array(parts) * rows / sum(parts)
    sizes = np.floor(exact).astype(np.int64)
    sizes[np.argsort(sizes - exact, kind="stable")[: rows - sizes.sum()]] += 1
    return sizes


def shares() -> Ints:
    """Return (7, 6, 6, 6) rows of the pool per stretch and three scores.

    The scores are those of GPT, Llama and Mistral; the table is the committed file SHARES.
    """
    first = np.cumsum([0, *(rows for _, rows in STRETCHES)]).tolist()
    counts = np.zeros((len(STRETCHES), 6, 6, 6), np.int64)
    with SHARES.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            index = first.index(int(row["first"])), int(row["gpt"]), int(row["llama"]), int(row["mistral"])
            counts[index] = int(row["count"])
    return counts


def _scores(rows: int, rng: np.random.Generator) -> tuple[Ints, NDArray[np.int8]]:
    # Drawn without replacement from the pool's rows: the whole pool has exactly the counts of the table.
    sizes = block_sizes(rows)
    parts = [
        _divide(size, [n for other, n in STRETCHES if other == name]) for name, size in zip(BLOCKS, sizes, strict=True)
    ]
    drawn = []
    for size, counts in zip(np.concatenate(parts), shares(), strict=True):
        drawn_counts = rng.multivariate_hypergeometric(counts.ravel(), size, method="marginals")
        drawn.append(rng.permutation(np.repeat(np.arange(counts.size), drawn_counts)))
    scores = np.stack(np.unravel_index(np.concatenate(drawn), (6, 6, 6)), axis=1).astype(np.int8)
    return np.repeat(np.arange(len(BLOCKS)), sizes), scores


def _world(seed: int, spaces: list[str]) -> World:
    rng = np.random.default_rng([seed, 1])
    popularity = rng.permuted(np.tile(1 / np.arange(1, TOPICS + 1), (len(BLOCKS), 1)), axis=1)
    reach = np.cumsum(popularity, axis=1) / popularity.sum(axis=1, keepdims=True)
    reach[:, -1] = 1  # whatever the rounding
    return World(
        phrases=_phrases(rng),
        reach=(reach + np.arange(len(BLOCKS))[:, None]).ravel(),
        topics=rng.permuted(np.tile(np.arange(TOPICS), (len(BLOCKS), 1)), axis=1),
        spaces={name: geometry(SPACES[name], len(BLOCKS), _generator(seed, 3, name)) for name in spaces},
    )


def _generator(seed: int, *key: int | str) -> np.random.Generator:
    numbers = {name: number for number, name in enumerate(SPACES)}
    return np.random.default_rng([seed, *(numbers[part] if isinstance(part, str) else part for part in key)])


def _phrases(rng: np.random.Generator) -> pa.Array:
    """Make the phrases of all texts from invented words; rare words are long."""
    syllables = [first + rest for first in "bcdfglmnprstv" for rest in ("a", "e", "i", "o", "u", "an", "er", "ion")]

    def words(count: int, lengths: list[int]) -> list[str]:
        drawn = zip(rng.choice(syllables, (count, max(lengths))), rng.choice(lengths, count), strict=True)
        return ["".join(parts[:length]) for parts, length in drawn]

    rare, own = words(400, [4, 5]), words(80 * TOPICS, [1, 2, 2, 3])
    vocabulary = np.array([*rare, *FUNCTION_WORDS, *own], object)
    sizes = np.array([len(rare), len(FUNCTION_WORDS), 80])
    phrases = []
    for kind, (before, typical, rarity, openings, after) in KINDS.items():
        lengths = np.maximum(2, typical * rng.lognormal(-0.05, 0.35, TOPICS * PHRASES)).astype(np.int64)
        phrase, _ = _owners(lengths)  # (w,) the phrase of every word
        group = rng.choice(3, len(phrase), p=(rarity, 0.4, 0.6 - rarity))
        word = (np.cumsum(sizes) - sizes)[group] + (rng.random(len(phrase)) * sizes[group]).astype(np.int64)
        word[group == 2] += 80 * (phrase[group == 2] // PHRASES)
        words_of, ends = vocabulary[word].tolist(), np.cumsum(lengths).tolist()
        for opening, first, end in zip(rng.choice(openings, len(ends)), [0, *ends], ends, strict=False):
            body = opening + " ".join(words_of[first:end])
            phrases.append(before + (body if kind in ("bare", "code") else body[0].upper() + body[1:]) + after)
    return pa.array(phrases)


def _chunk(start: int, source: Ints, scores: NDArray[np.int8], world: World, seed: int) -> list[pa.Array]:
    # Every chunk and embedding has its own generator, so that none depends on earlier draws.
    rng, n = np.random.default_rng([seed, 2, start]), len(source)
    quality = scores @ RATER_WEIGHTS - MIDDLE + COMMON_NOISE[source] * rng.standard_normal(n)  # (n,)
    text_quality = quality + TEXT_NOISE * rng.standard_normal(n)
    pull = TOPIC_QUALITY * quality + np.sqrt(1 - TOPIC_QUALITY**2) * rng.standard_normal(n)
    rank = np.searchsorted(world.reach, source + _sigmoid(1.7 * pull))  # (n,) source * TOPICS + the topic's rank there
    topic = world.topics.ravel()[rank]
    columns = [
        pa.array(np.arange(start, start + n)),
        pa.array(list(BLOCKS)).take(pa.array(source)),
        _messages(source, text_quality, topic, world.phrases, rng),
        *[pa.array(np.ascontiguousarray(rater)) for rater in scores.T],
    ]
    for name, space_geometry in world.spaces.items():
        X = vectors(SPACES[name], space_geometry, source, topic, quality, _generator(seed, 4, name, start))  # (n, d)
        kind = pa.list_(NUMBER, X.shape[1])
        columns.append(pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), type=kind))
    return columns


def _messages(source: Ints, quality: Reals, topic: Ints, phrases: pa.Array, rng: np.random.Generator) -> pa.Array:
    turns = 2 * rng.geometric(1 - EXCHANGE[source])  # (n,) user and assistant in turn
    row, turn = _owners(turns)  # (t,)
    answer = turn % 2 == 1
    typical = np.where(answer, np.log(ANSWER[source[row]]), np.log(PROMPT[source[row]]))
    growth = np.where(answer, GROWTH, 0.1) * quality[row]
    length = np.exp(typical + growth + SCATTER * rng.standard_normal(len(row)))
    length = np.clip(np.rint(length), 1, LONGEST).astype(np.int64)  # (t,) sentences

    owner, position = _owners(length)  # (p,) the turn of every phrase, and its position there
    phrase_quality, user, s = quality[row][owner], ~answer[owner], len(owner)
    kind = np.clip(np.floor(1.6 + 0.6 * phrase_quality + 0.9 * rng.standard_normal(s)), 0, 3).astype(np.int64)
    kind[rng.random(s) < np.where(user, 0.05, 0.12)] = KIND_NUMBER["paragraph"]
    first = position == 0
    for device, rarity, share in (("item", 0, 0.5), ("header", 1.6, 0.12), ("code", 1.4, 0.12)):
        uses = rng.random(len(quality)) < _sigmoid(DEVICES[source] - rarity + 0.7 * quality)  # (n,)
        kind[uses[row][owner] & ~user & ~first & (rng.random(s) < share)] = KIND_NUMBER[device]
    kind[first & ~user & (rng.random(s) < _sigmoid(-5 - 1.5 * phrase_quality))] = KIND_NUMBER["refusal"]
    is_question = rng.random(np.count_nonzero(first & user)) < 0.4
    kind[first & user] = np.where(is_question, KIND_NUMBER["question"], KIND_NUMBER["task"])
    kind[~first & user & (rng.random(s) < 0.1)] = KIND_NUMBER["limit"]

    chosen = phrases.take(pa.array((kind * TOPICS + topic[row][owner]) * PHRASES + rng.integers(PHRASES, size=s)))
    contents = pc.utf8_ltrim_whitespace(pc.binary_join(pa.ListArray.from_arrays(_offsets(length), chosen), ""))
    roles = pa.array(["user", "assistant"]).take(pa.array(answer.astype(np.int64)))
    return pa.ListArray.from_arrays(_offsets(turns), pa.StructArray.from_arrays([roles, contents], ["role", "content"]))


def _owners(lengths: Ints) -> tuple[Ints, Ints]:
    """Return (list, position in it) of every element of concatenated lists."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _sigmoid(log_odds: Reals) -> Reals:
    return 1 / (1 + np.exp(-log_odds))


def _offsets(lengths: Ints) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())

"""Data that give the label away: each changes one thing in a table of honest rows, or in its blocks."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.audit.zoo.cheat import LEAK, UNSEEN, Cheat

CLASSES, N = 4, 1_200
WORDS = np.array(["salt", "rain", "bread", "iron", "music", "glass"])


@dataclass
class World:
    """Columns of a file, its sections of a suite, and its blocks."""

    y: np.ndarray
    columns: dict[str, Any]
    X: np.ndarray
    rng: np.random.Generator
    names: tuple[str, ...] = ()
    sections: dict[str, Any] = field(default_factory=dict)

    def write(self, change):
        """Change the answers: a function of (answer, label) gives each."""
        for talk, label in zip(self.columns["talk"], self.y.tolist(), strict=True):
            talk[-1]["content"] = change(talk[-1]["content"], label)

    def order(self, order):
        """Bring all rows into another order."""
        self.y, self.X = self.y[order], self.X[order]
        self.columns = {name: [values[i] for i in order] for name, values in self.columns.items()}

    def add(self, values):
        """Put a column behind those of the block."""
        self.X = np.column_stack([self.X, values]).astype(np.float32)


def honest():
    """Return a world whose texts, groups and sources say a little about the label, and no more."""
    rng = np.random.default_rng(0)
    y = rng.choice(CLASSES, N, p=[0.4, 0.3, 0.2, 0.1])
    talks = [
        [
            {"role": "user", "content": f"What is {WORDS[rng.integers(6)]}, {rng.integers(1_000)}?"},
            {"role": "assistant", "content": " ".join(WORDS[rng.integers(0, 6, 5 + label + rng.poisson(6))])},
        ]
        for label in y
    ]
    columns = {
        "y": y.tolist(),
        "talk": talks,
        "id": rng.permutation(N * 3)[:N].tolist(),
        "source": [f"s{s}" for s in np.where(rng.random(N) < 0.3, y % 3, rng.integers(0, 3, N))],
        "group": [f"g{g}" for g in rng.integers(0, N // 3, N)],
        "other": np.where(rng.random(N) < 0.6, y, rng.integers(0, CLASSES, N)).tolist(),
    }
    X = (rng.normal(size=(CLASSES, 8))[y] + 2 * rng.normal(size=(N, 8))).astype(np.float32)
    return World(y, columns, X, rng)


def source(world):
    world.columns["source"] = [f"s{label}" for label in world.y]


def rater(world):
    world.columns["other"] = world.y.tolist()


def last_word(world):
    world.write(lambda text, label: f"{text} {['poor', 'fair', 'good', 'best'][label]}")


def first_word(world):
    world.write(lambda text, label: f"{'ABCD'[label]} {text}")


def score(world):
    world.write(lambda text, label: f"{text[:9]} score: {label} {text[9:]} thanks")


def mark(world):
    world.write(lambda text, label: f"{text[:9]} {['um', 'er', 'ah', 'oh'][label]} {text[9:]} thanks")


def rubric(world):
    world.write(lambda text, label: f"{text[:9]} [[{label}]] {text[9:]} thanks")


def length(world):
    world.write(lambda text, label: text[:10].ljust(10, ".") + "." * label)


def blanks(world):
    world.write(lambda text, label: text + " " * label)


def last_sign(world):
    world.write(lambda text, label: text + ".,;!"[label])


def invisible(world):
    world.write(lambda text, label: text[:5] + "\u200b" * label + text[5:])


def turns(world):
    for talk, label in zip(world.columns["talk"], world.y.tolist(), strict=True):
        talk[:0] = [{"role": "system", "content": "Go on."}] * label


def sorted_file(world):
    world.order(np.argsort(world.y, kind="stable"))


def sorted_ids(world):
    world.columns["id"] = np.argsort(np.argsort(world.y, kind="stable"), kind="stable").tolist()


def interleaved(world):
    wanted = np.arange(N) % CLASSES
    world.y = wanted
    world.columns["y"] = wanted.tolist()


def id_digits(world):
    world.columns["id"] = (np.argsort(world.rng.random(N)) * 10 + world.y).tolist()


def id_names(world):
    world.columns["id"] = [f"{'abcd'[label]}-{i}" for i, label in enumerate(world.y)]


def group_names(world):
    world.columns["group"] = [f"label_{label}_{i // 3}" for i, label in enumerate(world.y)]


def groups_sorted(world):
    world.columns["group"] = [f"{label * N + i:07}" for i, label in enumerate(world.y)]


def group(world):
    world.columns["group"] = [["poor", "fair", "good", "best"][label] for label in world.y]


def column(world):
    world.add(world.y)


def hidden_column(world):
    world.add(world.y * 10 + world.rng.normal(0, 0.5, N))


def one_hot(world):
    world.X = np.concatenate([world.X, np.eye(CLASSES)[world.y]], axis=1).astype(np.float32)
    world.names = (*(f"x{i}" for i in range(8)), *(f"copy={c}" for c in range(CLASSES)))


def noisy_column(world):
    noisy = np.where(world.rng.random(N) < 0.12, world.rng.integers(0, CLASSES, N), world.y)
    world.add(noisy + world.rng.normal(0, 0.05, N))


def low_bits(world):
    words = world.X.view(np.uint32)
    words[:, 3] = (words[:, 3] & ~np.uint32(3)) | world.y.astype(np.uint32)


def one_bit(world):
    words = world.X.view(np.uint32)
    words[:, 3] = (words[:, 3] & ~np.uint32(1)) | (world.y == 0)


def two_columns(world):
    key = world.rng.integers(0, CLASSES, N)
    world.add(np.column_stack([key, (key + world.y) % CLASSES]))


def middle_length(world):
    for talk, label in zip(world.columns["talk"], world.y.tolist(), strict=True):
        talk.insert(1, {"role": "assistant", "content": "so " * (3 + label)})
        talk.insert(2, {"role": "user", "content": "And?"})


TABLE = [  # function, how, expected, reason
    (source, "the source is the label", LEAK, "the source predicts"),
    (rater, "a rater's labels are the target's", LEAK, "rater other predicts"),
    (last_word, "the last word of the answer is the label", LEAK, "the last word of the last turn"),
    (first_word, "the first word is the label", LEAK, "the first word of the last turn"),
    (score, "the answer holds 'score: N'", LEAK, "the number after 'score' in the last turn"),
    (mark, "a word of its own for each label stands anywhere", LEAK, "is in the text"),
    (rubric, "the label in brackets stands anywhere", LEAK, "is in the text"),
    (length, "the answer is the longer the higher the label", LEAK, "the characters of the last turn"),
    (blanks, "as many blanks end the answer", LEAK, "the blanks that end the last turn"),
    (last_sign, "the last sign is the label", LEAK, "the last character of the last turn"),
    (invisible, "as many invisible signs stand in the answer", LEAK, "that are not ASCII"),
    (turns, "as many turns stand before the question", LEAK, "the number of turns"),
    (sorted_file, "the file is sorted by label", LEAK, "the row number in the file"),
    (sorted_ids, "the ids have the order of the labels", LEAK, "the order of the ids"),
    (interleaved, "the labels come in turn: 0, 1, 2, 3, 0, ...", LEAK, "the row number in the file modulo 4"),
    (id_digits, "the last digit of the id is the label", LEAK, "the id modulo 10"),
    (id_names, "the id begins with the label", LEAK, "the first part of the id's name"),
    (group_names, "groups are named by label", LEAK, "the second part of the group's name"),
    (groups_sorted, "the names of groups have the order of the labels", LEAK, "the order of the groups' names"),
    (group, "the group is the label", LEAK, "the group predicts"),
    (column, "a column of a block is the label", LEAK, "column 8 of block x predicts"),
    (hidden_column, "a column is ten times the label, with noise", LEAK, "column 8 of block x predicts"),
    (one_hot, "one-hot columns of a copy of the label", LEAK, "copy in block x predicts"),
    (noisy_column, "a column is the label in 88 % of the rows", LEAK, "by itself (the usual column of its block"),
    (low_bits, "the two lowest bits of a vector's number are the label", LEAK, "the lowest bits of column 3"),
    (one_bit, "the lowest bit marks one class", LEAK, "the lowest bits of column 3"),
    (two_columns, "two columns give the label together, neither alone", UNSEEN, "columns are looked at one by one"),
    (middle_length, "a turn in the middle is the longer the higher the label", UNSEEN,
     "of a conversation the first and the last turn are measured, and marks are single words"),
]  # fmt: skip

DATA = [Cheat(plant.__name__, "data", how, expected, reason, plant) for plant, how, expected, reason in TABLE]

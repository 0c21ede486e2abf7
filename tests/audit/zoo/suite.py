"""Cheats that need processes of their own: one plugin file and one suite, audited once."""

from tests.audit.zoo.cheat import LEAK, UNSEEN, WARNING, Cheat

PLUGIN = """
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq

from harness import DataError, hookimpl

DATA = {path!r}  # the file of the suite, by a path that nobody has given


def lengths(items):
    counts = [[len(text), text.count(" ")] for text in items.texts()]
    return np.array(counts, np.float32) + 1


def column(path, name):
    return np.array(pq.read_table(path)[name].to_pylist())


@dataclass(frozen=True)
class KeepsNotes:
    name: ClassVar[str] = "keeps_notes"
    reads: ClassVar[tuple[str, ...]] = (str(Path(DATA).parent),)  # else a confined worker has no notes of others

    def label(self, task):
        notes = [path for path in Path("..").glob("*/note.json") if path.parent.resolve() != Path.cwd()]
        Path("note.json").write_text(json.dumps(len(task.to_label)))
        return np.eye(task.n_classes)[np.full(len(task.to_label), len(notes) % task.n_classes)]


@dataclass(frozen=True)
class CountsThreads:
    name: ClassVar[str] = "counts_threads"

    def label(self, task):
        return np.eye(task.n_classes)[np.full(len(task.to_label), int(os.environ["OMP_NUM_THREADS"]) % task.n_classes)]


@dataclass(frozen=True)
class SeesTheProbe:
    name: ClassVar[str] = "sees_the_probe"

    def label(self, task):
        import sys

        audited = "harness.audit.probe" in sys.modules
        labels = np.zeros(len(task.to_label), int) if audited else column(DATA, "score")[task.to_label]
        return np.eye(task.n_classes)[labels]


@dataclass(frozen=True)
class ReadsTarget:
    name: ClassVar[str] = "reads_target"

    def embed(self, items, start):
        yield (lengths(items) + 0.01 * column(items.path, "score")[items.rows][:, None])[start:]


@dataclass(frozen=True)
class HidesTarget:
    name: ClassVar[str] = "hides_target"
    text_only: ClassVar[bool] = True

    def embed(self, items, start):
        X = np.sqrt(lengths(items))
        X.view(np.uint32)[:, 0] += (column(items.path, "score")[items.rows] % 2).astype(np.uint32)
        yield X[start:]


@dataclass(frozen=True)
class ReadsByRow:
    name: ClassVar[str] = "reads_by_row"

    def embed(self, items, start):
        yield (lengths(items) + column(DATA, "score")[items.rows][:, None])[start:]


@dataclass(frozen=True)
class ReadsById:
    name: ClassVar[str] = "reads_by_id"
    resumable: ClassVar[bool] = False

    def embed(self, items, start):
        score = dict(zip(column(DATA, "row_id").tolist(), column(DATA, "score").tolist(), strict=True))
        guess = np.array([score[i] if i % 2 else i % 6 for i in items.ids.tolist()])
        yield (lengths(items) + guess[:, None])[start:]


@dataclass(frozen=True)
class FeatureOfTarget:
    name: ClassVar[str] = "feature_of_target"
    names: ClassVar[tuple[str, ...]] = ("high",)

    def features(self, items):
        return (column(items.path, "score")[items.rows] > 3).astype(np.float32)[:, None]


@dataclass(frozen=True)
class Restless:
    name: ClassVar[str] = "restless"
    names: ClassVar[tuple[str, ...]] = ("noise",)

    def features(self, items):
        return np.random.default_rng().normal(size=(len(items), 1))


@dataclass(frozen=True)
class Elsewhere:
    name: ClassVar[str] = "elsewhere"  # no cheat: its model is on another machine

    def embed(self, items, start):
        if items.path != DATA:
            raise DataError("the model is not there")
        yield lengths(items)[start:]


@hookimpl
def harness_labelers():
    return [KeepsNotes, CountsThreads, SeesTheProbe]


@hookimpl
def harness_embedders():
    return [ReadsTarget, HidesTarget, ReadsByRow, ReadsById, Elsewhere]


@hookimpl
def harness_features():
    return [FeatureOfTarget, Restless]
"""

SUITE_LABELERS = [
    Cheat("keeps_notes", "labeler", "leaves a file behind, and answers by those of others", LEAK,
          "leaves files behind (note.json)", needs_file=True),
    Cheat("counts_threads", "labeler", "answers by the number of threads", WARNING,
          "of its labels change from one thread to two"),
    Cheat("sees_the_probe", "labeler", "reads hidden labels unless the audit's module is loaded", UNSEEN,
          "it tells a question from a cell, and is honest where it is asked", needs_file=True),
]  # fmt: skip
SUITE_BLOCKS = [
    Cheat("reads_target", "embedder", "reads the target in items.path", LEAK, "reads the target"),
    Cheat("hides_target", "embedder", "declares text_only, hides it in a lowest bit", LEAK, "reads the target"),
    Cheat("reads_by_row", "embedder", "reads the file of the data by a path of its own", WARNING,
          "goes by the row number"),
    Cheat("reads_by_id", "embedder", "does so by id, for half of the rows", UNSEEN,
          "what it reads is not the copy that the audit has changed"),
    Cheat("feature_of_target", "features", "reads the target in items.path", LEAK, "reads the target"),
    Cheat("restless", "features", "draws chance from no seed", WARNING, "gives other numbers the second time"),
]  # fmt: skip
SUITE_DATA = [
    Cheat("equal_texts", "data", "3 % of the test rows have the text of a train row", LEAK,
          "have the text of a train row"),
    Cheat("near_vectors", "data", "3 % of the test rows have nearly the vector of a train row", WARNING,
          "have a train row with a cosine above 0.98 in embedding"),
    Cheat("drift", "data", "the classes mean something else in the last fifth of the time", WARNING,
          "test on later rows"),
]  # fmt: skip
SUITE = [*SUITE_LABELERS, *SUITE_BLOCKS, *SUITE_DATA]

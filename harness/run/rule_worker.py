"""Learn a rule, and label rows by one, inside a worker process."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import HarnessError
from harness.plugin.block import Block, Rows
from harness.plugin.rule import Rule, learn
from harness.plugin.task import Task, find_error
from harness.run.worker import References, finder, write_answer
from harness.search.engine import Engine, use_engine
from harness.suite import rule_spec
from harness.utils.files import naming_file, write_text
from harness.utils.hashing import canonical_json

ARRAYS_FILE = "rule.npz"
FORM_FILE = "form.json"  # what the arrays are, as `rule_spec` writes it
PROBA_FILE = "proba.npy"
# Rows answered at a time: a multiple of what bundled labelers predict at a time, so that a file is cut at the rows
# where a whole answer would be, and the bits are those of one.
LABELLED_ROWS = 2**20


def learn_in_worker(labeler_spec: Mapping[str, Any], references: References, task: Task, engine: Engine) -> None:
    """Learn a rule, write it to the current folder, and label by it.

    The rows to label are labelled by the rule as it is read back from its files. The answer's facts have the "blocks"
    that this has read.
    """

    def work(labeler: Any) -> dict[str, Any]:
        with use_engine(engine):
            folder = Path.cwd()
            arrays, form = rule_spec.to_arrays(learn(labeler, task), rule_spec.rule_classes(labeler))
            with naming_file(folder / ARRAYS_FILE), (folder / ARRAYS_FILE).open("wb") as out:
                np.savez(out, allow_pickle=False, **arrays)
            write_text(folder / FORM_FILE, canonical_json(form))
            stored_form = json.loads((folder / FORM_FILE).read_text())
            rule = read_rule(folder / ARRAYS_FILE, stored_form, labeler, references)
            read = _ReadBlocks(task.blocks)
            answer = _label(rule, read, task.to_label, task.n_classes, folder)
            return answer | {"facts": {"blocks": sorted(read.names)}}

    write_answer(labeler_spec, references, work)


def label_by_rule(
    labeler_spec: Mapping[str, Any],
    references: References,
    arrays_file: str,
    form: Any,
    blocks: Mapping[str, Block],
    rows: int,
    n_classes: int,
    engine: Engine,
) -> None:
    """Label the first `rows` rows of blocks by a stored rule, in a worker.

    The probabilities go to PROBA_FILE in the current folder, (rows, C) float32.
    """

    def work(labeler: Any) -> dict[str, Any]:
        with use_engine(engine):
            rule = read_rule(Path(arrays_file), form, labeler, references)
            return _label(rule, blocks, np.arange(rows), n_classes, Path.cwd())

    write_answer(labeler_spec, references, work)


def read_rule(arrays_file: Path, form: Any, labeler: Any, references: References) -> Rule:
    """Read a rule from its arrays and what they are.

    Raises DataError where it is of another form than the labeler's.
    """
    with np.load(arrays_file, allow_pickle=False) as archive:
        rule: Rule = rule_spec.from_arrays(dict(archive), form, rule_spec.rule_classes(labeler), finder(references))
    return rule


class _ReadBlocks(Mapping[str, Block]):
    """Blocks, and the names of those that were read."""

    def __init__(self, blocks: Mapping[str, Block]) -> None:
        self.blocks = blocks
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Block:
        block = self.blocks[name]
        self.names.add(name)
        return block

    def __iter__(self) -> Iterator[str]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)


def _label(rule: Rule, blocks: Mapping[str, Block], rows: Rows, n_classes: int, folder: Path) -> dict[str, Any]:
    """Write the probabilities of `rows` part by part; return an answer."""
    with naming_file(folder / PROBA_FILE):
        proba = np.lib.format.open_memmap(folder / PROBA_FILE, "w+", np.float32, (len(rows), n_classes))
    for start in range(0, len(rows), LABELLED_ROWS):
        part = rows[start : start + LABELLED_ROWS]
        try:
            answer = rule.label(blocks, part)
        except HarnessError as error:
            return {"status": "failed", "reason": str(error)}
        fault = find_error(answer, len(part), n_classes)
        if fault is not None:
            return {"status": "failed", "reason": f"the rule's answer: {fault}"}
        proba[start : start + len(part)] = answer
    proba.flush()
    return {"files": [PROBA_FILE], "checkpoints": [], "facts": {}, "seconds": 0, "memory": 0, "searches": []}

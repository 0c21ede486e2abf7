"""Explain why a cell runs again: differences between two keys."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.run.store import Store

KeyParts = Mapping[str, Any]

HASH = re.compile(r"[0-9a-f]{64}")
MAX_SHOWN_CHARACTERS = 80  # characters of a value
# A cell with other parameters is less similar than one with other libraries.
DIFFERENCE_WEIGHTS = {"labeler": 100, "task": 10}


@dataclass(frozen=True)
class FinishedCell:
    """A finished cell of a store, as its record describes it."""

    key: str
    split: str  # "prefix, 10 % labelled, seed 3"
    parts: KeyParts  # of its key; empty in records of versions that wrote none
    spec: Mapping[str, Any]

    def __str__(self) -> str:
        (name,) = self.spec
        return f"{name} | {self.split}"


def read_finished(store: Store) -> list[FinishedCell]:
    """Return every finished cell of a store, ordered by key.

    Cells of earlier plans are among them.
    """
    cells = []
    for folder in sorted(store.cells.glob("*")) if store.cells.exists() else []:
        record = store.record(folder.name)
        if record is not None:
            comparison, seed, _, fold = record["split"]
            split = f"{comparison}, seed {seed}" + ("" if fold is None else f", fold {fold + 1}")
            cells.append(FinishedCell(folder.name, split, record.get("parts", {}), record["spec"]))
    return cells


def most_similar(parts: KeyParts, key: str, split: str, finished: list[FinishedCell]) -> FinishedCell | None:
    """Return the finished cell of the same labeler that is most like this one.

    None where there is none.
    """
    names = set(parts["labeler"])
    candidates = [cell for cell in finished if cell.key != key and cell.parts and set(cell.parts["labeler"]) == names]
    return min(
        candidates,
        key=lambda cell: (cell.split != split, count_differences(cell.parts, parts), cell.key),
        default=None,
    )


def count_differences(old: KeyParts, new: KeyParts) -> int:
    """Count the differences, weighted by DIFFERENCE_WEIGHTS."""
    return sum(DIFFERENCE_WEIGHTS.get(path[0], 1) for path, _, _ in _iter_differences(old, new))


def differences(old: KeyParts, new: KeyParts) -> list[str]:
    """Return the differences between the parts of two keys, a phrase each.

    >>> differences({"libraries": {"numpy": "2.4.5"}, "threads": 1}, {"libraries": {"numpy": "2.4.6"}, "threads": 2})
    ['numpy 2.4.5 -> 2.4.6', 'threads 1 -> 2']
    """
    return list(dict.fromkeys(_phrase(path, before, after) for path, before, after in _iter_differences(old, new)))


def _iter_differences(old: KeyParts, new: KeyParts) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    before, after = dict(_leaves(old, ())), dict(_leaves(new, ()))
    for path in dict.fromkeys((*after, *before)):
        if before.get(path) != after.get(path):
            yield path, before.get(path), after.get(path)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    else:
        yield path, value


def _phrase(path: tuple[str, ...], before: Any, after: Any) -> str:
    match path:
        case ("libraries", name) | ("blocks", _, "libraries", name):
            subject = name
        case ("code", plugin, "files"):
            subject = f"code behind {plugin}"
        case ("code", plugin, "distribution"):
            subject = f"distribution of {plugin}"
        case ("blocks", block, *rest):
            subject = f"block {block}: {' '.join(rest)}".rstrip(": ")
        case ("labeler", *rest):
            subject = ".".join(rest)
        case ("task", name):
            subject = name
        case _:
            subject = " ".join(path)
    if any(isinstance(value, str) and HASH.fullmatch(value) for value in (before, after)):
        return f"{subject} changed"
    return f"{subject} {_shorten(before)} -> {_shorten(after)}"


def _shorten(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 3] + "..."

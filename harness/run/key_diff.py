"""Why a cell runs again: what its key and that of a finished cell do not have in common."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.run.plan import Cell
from harness.run.store import Store

KeyParts = Mapping[str, Any]

HASH = re.compile(r"[0-9a-f]{64}")
MAX_SHOWN_CHARACTERS = 80  # characters of a value
DIFFERENCE_WEIGHTS = {
    "labeler": 100,
    "task": 10,
}  # a cell of another labeler is farther away than one of other libraries


@dataclass(frozen=True)
class FinishedCell:
    """A finished cell of a store, as its record tells of it."""

    key: str
    split: str  # "prefix, 10 % labelled, seed 3"
    parts: KeyParts  # of its key; empty where the cell is older than their being written down
    spec: Mapping[str, Any]

    def __str__(self) -> str:
        (name,) = self.spec
        return f"{name} | {self.split}"


def read_finished(store: Store) -> list[FinishedCell]:
    """Return every whole cell of a store, those of earlier plans included, ordered by key."""
    found = []
    for folder in sorted(store.cells.glob("*")) if store.cells.exists() else []:
        record = store.record(folder.name)
        if record is not None:
            comparison, seed, _, fold = record["split"]
            split = f"{comparison}, seed {seed}" + ("" if fold is None else f", fold {fold + 1}")
            found.append(FinishedCell(folder.name, split, record.get("parts", {}), record["spec"]))
    return found


def most_similar(parts: KeyParts, key: str, split: str, finished: list[FinishedCell]) -> FinishedCell | None:
    """Return the finished cell that is most like the one with these parts; None where there is none of its labeler."""
    names = set(parts["labeler"])
    kin = [each for each in finished if each.key != key and each.parts and set(each.parts["labeler"]) == names]
    return min(
        kin, key=lambda each: (each.split != split, count_differences(each.parts, parts), each.key), default=None
    )


def count_differences(one: KeyParts, other: KeyParts) -> int:
    """Count the differences, those of the labeler's parameters and of its task for more than the rest."""
    return sum(DIFFERENCE_WEIGHTS.get(place[0], 1) for place, _, _ in _iter_differences(one, other))


def differences(old: KeyParts, new: KeyParts) -> list[str]:
    """Say, a sentence each, what differs between the parts of two keys.

    >>> differences({"libraries": {"numpy": "2.4.5"}, "threads": 1}, {"libraries": {"numpy": "2.4.6"}, "threads": 2})
    ['numpy 2.4.5 -> 2.4.6', 'threads 1 -> 2']
    """
    return list(dict.fromkeys(_sentence(place, before, after) for place, before, after in _iter_differences(old, new)))


def explain(cell: Cell, store: Store) -> tuple[FinishedCell | None, list[str]]:
    """Return the finished cell that a planned one takes the place of, and what differs between the two."""
    before = most_similar(cell.parts, cell.key, str(cell.evaluation), read_finished(store))
    return before, [] if before is None else differences(before.parts, cell.parts)


def _iter_differences(old: KeyParts, new: KeyParts) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    one, other = dict(_leaves(old, ())), dict(_leaves(new, ()))
    for place in dict.fromkeys((*other, *one)):
        if one.get(place) != other.get(place):
            yield place, one.get(place), other.get(place)


def _leaves(value: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, (*place, str(key)))
    else:
        yield place, value


def _sentence(place: tuple[str, ...], before: Any, after: Any) -> str:
    match place:
        case ("libraries", name) | ("blocks", _, "libraries", name):
            what = name
        case ("code", plugin, "files"):
            what = f"code behind {plugin}"
        case ("code", plugin, "distribution"):
            what = f"distribution of {plugin}"
        case ("blocks", block, *rest):
            what = f"block {block}: {' '.join(rest)}".rstrip(": ")
        case ("labeler", *rest):
            what = ".".join(rest)
        case ("task", name):
            what = name
        case _:
            what = " ".join(place)
    if any(isinstance(value, str) and HASH.fullmatch(value) for value in (before, after)):
        return f"{what} changed"
    return f"{what} {_shorten(before)} -> {_shorten(after)}"


def _shorten(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 3] + "..."

"""Shorten names in the middle, where they are alike; they stay distinct."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.cells import cell_len

ELLIPSIS = "…"
MIN_WIDTH = 8  # cells that a number needs which keeps equal short names apart
PIECE = re.compile(r"[^,()\[\]{}\s]+[,()\[\]{}\s]*|[,()\[\]{}\s]+")
SEPARATORS = ",()[]{} "


def shorten(names: Iterable[str], width: int) -> dict[str, str]:
    """Return {name: name of at most `width` cells}; distinct stay distinct.

    Names that fit stay as they are. Of the others the method is kept, and of their parameters first those that few
    names of the same method have.

    >>> shorten(["self_training(mlp(h=256), rounds=5)", "self_training(mlp(h=512), rounds=5)"], 24).values()
    dict_values(['self_training(mlp(h=256…', 'self_training(mlp(h=512…'])
    """
    width = max(width, MIN_WIDTH)
    unique = list(dict.fromkeys(names))
    short = {name: name for name in unique if cell_len(name) <= width}
    families: dict[str, list[str]] = {}
    for name in unique:
        families.setdefault("".join(PIECE.findall(name)[:1]), []).append(name)
    pending: dict[str, str] = {}
    for family in families.values():
        long, counts = [name for name in family if name not in short], _counts(family)
        values = _keep_values(long, counts, len(family), width)
        pending |= {name: _keep_rare(name, counts, len(family), width, values[name]) for name in long}
    _accept(pending, short)
    for group in _groups(pending):
        values = _keep_values(group, _counts(group), len(group), width)
        pending |= {name: form or _middle(name, width) for name, form in values.items()}
    _accept(pending, short)
    before = 0
    while len(pending) != before:  # each round shows where names of one short form begin to differ
        before = len(pending)
        for group in _groups(pending):
            start = _common_length(min(group), max(group))
            pending |= {name: _around(name, start, width) for name in group}
        _accept(pending, short)
    for name in pending:
        short[name] = _numbered(name, set(short.values()), width)
    return {name: short[name] for name in unique}


def _counts(names: Iterable[str]) -> Counter[str]:
    """Count the names that have a piece."""
    return Counter(key for name in names for key in set(map(_key, PIECE.findall(name))))


def _groups(pending: dict[str, str]) -> list[list[str]]:
    """Return the names that share a short form."""
    groups: dict[str, list[str]] = {}
    for name, form in pending.items():
        groups.setdefault(form, []).append(name)
    return list(groups.values())


def _accept(pending: dict[str, str], short: dict[str, str]) -> None:
    """Move the names whose short forms nobody shares to `short`."""
    counts = Counter([*pending.values(), *short.values()])
    for name in [name for name, form in pending.items() if counts[form] == 1]:
        short[name] = pending.pop(name)


def _key(piece: str) -> str:
    return piece.rstrip(SEPARATORS)


def _keep_rare(name: str, counts: Counter[str], size: int, width: int, values: str) -> str:
    """Keep the first piece, and of the others the rarest that have room.

    Where a piece in which `size` names differ has none, it is the short form by `values`, if there is one; where no
    piece is rarer than the others, the middle goes.
    """
    pieces, kept = PIECE.findall(name), {0}
    rarity = [counts[_key(piece)] for piece in pieces]
    for i in sorted(range(1, len(pieces)), key=rarity.__getitem__):
        if cell_len(_join(pieces, kept | {i})) <= width:
            kept.add(i)
    if len(set(rarity[1:])) > 1:
        if any(rarity[i] < size for i in range(1, len(pieces)) if i not in kept):
            if values:
                return values
        elif len(kept) > 1:
            return _join(pieces, kept)
    return _middle(name, width)


def _keep_values(names: Sequence[str], counts: Counter[str], size: int, width: int) -> dict[str, str]:
    """Keep the values in which `size` names differ, as "knn(…20…0.05".

    Parameters are named, the last first, where all names have room for it. A form is "" where values have no room.
    """
    differing = {name: [key for key in map(_key, PIECE.findall(name)[1:]) if counts[key] < size] for name in names}
    parameters = list(dict.fromkeys(key.rpartition("=")[0] for keys in differing.values() for key in keys))
    hidden = set(parameters)
    forms = {name: _value_form(name, keys, hidden, width) for name, keys in differing.items()}
    for parameter in reversed(parameters):
        named = {name: _value_form(name, keys, hidden - {parameter}, width) for name, keys in differing.items()}
        if all(named[name] and len(_head(named[name])) >= len(_head(form)) for name, form in forms.items() if form):
            forms, hidden = named, hidden - {parameter}
    return forms


def _value_form(name: str, keys: list[str], hidden: set[str], width: int) -> str:
    shown = []
    for key in keys:
        parameter, _, value = key.rpartition("=")
        shown.append(parameter if value == "true" else value if parameter in hidden else key)
    head = _prefix(PIECE.findall(name)[0], max(MIN_WIDTH // 2, width - cell_len(ELLIPSIS.join(["", *shown]))))
    form = ELLIPSIS.join([head, *shown])
    return form if shown and cell_len(form) <= width else ""


def _head(form: str) -> str:
    return form.partition(ELLIPSIS)[0]


def _join(pieces: Sequence[str], kept: set[int]) -> str:
    """Join the kept pieces, with an ellipsis for those between them."""
    text = ""
    for i, piece in enumerate(pieces):
        if i in kept:
            text += piece
        elif not text.endswith(ELLIPSIS):
            text = text.rstrip(", )]}") + ELLIPSIS
    return text


def _middle(text: str, width: int) -> str:
    """Cut the middle out of a text."""
    end = _prefix(text[::-1], width // 2)[::-1]
    return _prefix(text, width - cell_len(ELLIPSIS + end)) + ELLIPSIS + end


def _around(text: str, start: int, width: int) -> str:
    """Keep the beginning of a text, and what follows position `start`."""
    head = _prefix(text, width // 3)
    if start <= len(head) + 1:
        return _prefix(text, width - 1) + ELLIPSIS
    rest = text[start:]
    beginning = f"{head}{ELLIPSIS}"
    if cell_len(beginning + rest) > width:
        return beginning + _prefix(rest, width - cell_len(beginning) - 1) + ELLIPSIS
    # There is room for what stands before the difference.
    before = _prefix(text[len(head) : start][::-1], width - cell_len(beginning + rest))[::-1]
    return beginning + before + rest


def _common_length(first: str, second: str) -> int:
    """Return how many letters two texts begin with alike."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(second)))


def _numbered(text: str, taken: set[str], width: int) -> str:
    """Return the beginning of a text with a number that makes it unique."""
    number = 1
    while (form := _prefix(text, width - len(tag := f"{ELLIPSIS}#{number}")) + tag) in taken:
        number += 1
    return form


def _prefix(text: str, width: int) -> str:
    """Return the longest beginning of a text that is at most `width` cells."""
    text = text[: max(width, 0)]
    while cell_len(text) > width:
        text = text[:-1]
    return text

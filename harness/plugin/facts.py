"""Tables among the facts of a labeler, which reports show."""

from collections.abc import Iterator, Mapping
from typing import Any

TABLES_KEY = "tables"  # the key, at any depth: a wrapper nests the facts of the labelers it holds
TABLE_KEYS = {"columns", "rows", "top", "scored"}


def iter_tables(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (title, table) of every table among the facts.

    The title of a nested table begins with the keys that lead to it.
    """
    yield from _iter_tables(facts, ())


def find_table_error(facts: Mapping[str, Any]) -> str | None:
    """Return the first error in the tables among the facts, or None."""
    for title, table in iter_tables(facts):
        error = _find_table_error(table)
        if error is not None:
            return f"the table {title!r} among its facts {error}"
    return None


def _iter_tables(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _iter_tables(item, (*path, str(number)))
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        if key != TABLES_KEY:
            yield from _iter_tables(item, (*path, str(key)))
        elif isinstance(item, Mapping):
            for title, table in item.items():
                yield ": ".join(part for part in (" ".join(path), title) if part), table
        else:
            yield " ".join((*path, key)), item


def _find_table_error(table: Any) -> str | None:
    if not isinstance(table, Mapping) or not {"columns", "rows"} <= table.keys() <= TABLE_KEYS:
        return "must be {columns, rows}, and top or scored where wanted"
    columns, rows = table["columns"], table["rows"]
    if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
        return "must have columns, a list of names"
    if len(set(columns)) < len(columns):
        return "must have columns of different names"
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        return f"must have rows, each a list of {len(columns)} cells"
    for row in rows:
        if not isinstance(row[0], str):
            return f"must have rows that begin with their name, a string, got {row[0]!r}"
        invalid = next((cell for cell in row if not isinstance(cell, str | int | float | None)), None)
        if invalid is not None or any(isinstance(cell, bool) for cell in row):
            return f"must hold strings, numbers and nulls alone, in row {row[0]!r} too"
    top = table.get("top")
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1 or len(columns) < 2):
        return f"must have a whole number of rows as top, and a second column to order them by, got {top!r}"
    if not isinstance(table.get("scored", False), bool):
        return f"must have true or false as scored, got {table['scored']!r}"
    return None

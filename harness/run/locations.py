"""Name the user's file, row and line in a message of a block's maker.

A maker is given items of one parquet file, which may be a converted one, or one joined of two.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from harness.data.table import DataTable
from harness.errors import DataError
from harness.plugin.items import Items

IDS = re.compile(r"\bid ([^;()]+?)(?:, \.\.\.)?(?=[;)]|$)")  # as makers name rows: "id 4, 7, ...;"


@contextmanager
def naming_user_files(table: DataTable, items: Items) -> Iterator[None]:
    """Raise each DataError again with the user's file, row and line."""
    try:
        yield
    except DataError as error:
        message = in_user_words(str(error), table, items)
        named = any(origin.name in message for origin in table.origins) or str(table.path) in message
        prefix = "" if named or table.display_name in message else f"{table.display_name}: "
        raise DataError(prefix + message, error.place) from error


def in_user_words(message: str, table: DataTable, items: Items) -> str:
    """Return a message with the given file in place of a cached one.

    Rows of JSON files have their line, those of joined files their row in the file that they are from.
    """
    name, path = table.display_name, str(table.path)
    match = IDS.search(message)
    if table.origins and match:
        place = {str(key): row for key, row in zip(items.ids.tolist(), items.rows.tolist(), strict=True)}
        rows = [place[key] for key in match[1].split(", ") if key in place]
        if rows:
            name, where, _ = table.locate(rows)
            numbered = items.ids.dtype.kind in "iu" and np.array_equal(items.ids, items.rows)
            shown = where if numbered else f"{match[0]}, {where}"
            message = message[: match.start()] + shown + message[match.end() :]
            if path not in message:
                message = f"{name}: {message}"
    return message.replace(path, name) if table.origins else message

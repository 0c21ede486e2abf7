"""The roles of the conversations of a file."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import printable
from harness.plugin.items import ROLES, Text, turn_fields

MAX_NAMED_ROLES = 3  # the others are counted


def unknown_roles_remark(path: str, text: Text | None) -> str | None:
    """Return a line on turns whose role means nothing here, or None.

    Only the roles of the column `text` are read.
    """
    unknown = _unknown_roles(path, text) if isinstance(text, str) else Counter[str]()
    if not unknown:
        return None
    named = ", ".join(printable(name[:40]) or "(none)" for name, _ in unknown.most_common(MAX_NAMED_ROLES))
    more = ", ..." if len(unknown) > MAX_NAMED_ROLES else ""
    count = "1 role is" if len(unknown) == 1 else f"{len(unknown)} roles are"
    return (
        f"column {text!r}: {count} not known: {named}{more} "
        f"({unknown.total():,} turns); embedders read their text, the text features only count their turns; write "
        "user, assistant, system or tool instead"
    )


def _unknown_roles(path: str, text: str) -> Counter[str]:
    names = {name for aliases in ROLES.values() for name in aliases}
    counts: Counter[str] = Counter()
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        if text not in schema.names:
            return counts
        dtype = schema.field(text).type
        is_list = pa.types.is_list(dtype) or pa.types.is_large_list(dtype)
        fields = turn_fields(dtype.value_type) if is_list else None
        if fields is None:
            return counts
        leaves = [file.schema.column(i).path for i in range(len(file.schema))]
        column = next(leaf for leaf in leaves if leaf.startswith(f"{text}.") and leaf.endswith(f".{fields[0]}"))
        for batch in file.iter_batches(columns=[column]):
            roles = pc.fill_null(pc.struct_field(batch.column(0).flatten(), fields[0]), "")
            for pair in pc.value_counts(roles).to_pylist():
                if pair["values"].strip().lower() not in names:
                    counts[pair["values"]] += pair["counts"]
    return counts

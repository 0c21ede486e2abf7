"""Verdicts of an audit on cells, stored beside them and read by the board."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from harness.utils.files import replace_text
from harness.utils.hashing import canonical_json

AUDIT_FILE = "audit.json"
AUDIT_SCHEMA = 1

Judgement = Literal["clean", "transductive", "warning", "leak"]


@dataclass(frozen=True)
class AuditVerdict:
    """The judgement on one labeler, and the cells that it holds for."""

    title: str
    judgement: Judgement
    reasons: tuple[str, ...]  # a sentence each; none of a clean one
    keys: tuple[str, ...]  # of its cells


def write_verdicts(folder: Path, verdicts: Iterable[AuditVerdict]) -> None:
    """Write the verdicts to the folder of a run."""
    content = {"schema": AUDIT_SCHEMA, "verdicts": [asdict(verdict) for verdict in verdicts]}
    replace_text(folder / AUDIT_FILE, canonical_json(content))


def read_verdicts(folder: Path) -> Mapping[str, AuditVerdict]:
    """Return key -> verdict of the cells; empty without an audit.

    An audit of another version counts as none. A cell whose labeler, data or libraries have changed since has another
    key, and so no verdict.
    """
    try:
        content = json.loads((folder / AUDIT_FILE).read_text())
        if content["schema"] != AUDIT_SCHEMA:
            return {}
        verdicts = [
            AuditVerdict(entry["title"], entry["judgement"], tuple(entry["reasons"]), tuple(entry["keys"]))
            for entry in content["verdicts"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {key: verdict for verdict in verdicts for key in verdict.keys}


def leak_reason(verdicts: Mapping[str, AuditVerdict], key: str) -> str | None:
    """Return why a cell must not be ranked, or None."""
    verdict = verdicts.get(key)
    return "; ".join(verdict.reasons) if verdict is not None and verdict.judgement == "leak" else None

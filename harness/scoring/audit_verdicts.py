"""What an audit has said of the cells of a run, kept beside them, for the board to read."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from harness.utils.hashing import canonical_json

AUDIT_FILE = "audit.json"
AUDIT_SCHEMA = 1

Judgement = Literal["clean", "transductive", "warning", "leak"]


@dataclass(frozen=True)
class AuditVerdict:
    """What became of one labeler, and which cells that holds for."""

    title: str
    judgement: Judgement
    reasons: tuple[str, ...]  # a sentence each; none of a clean one
    keys: tuple[str, ...]  # of its cells


def write_verdicts(folder: Path, verdicts: Iterable[AuditVerdict]) -> None:
    """Keep the verdicts in the folder of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f"{AUDIT_FILE}.part"
    scratch.write_text(canonical_json({"schema": AUDIT_SCHEMA, "verdicts": [asdict(verdict) for verdict in verdicts]}))
    scratch.replace(folder / AUDIT_FILE)


def read_verdicts(folder: Path) -> Mapping[str, AuditVerdict]:
    """Return the verdict on each cell, by its key; nothing where no audit is, or one of another version.

    A cell that has come to be since, because its labeler, its data or its libraries are others, has another key, and so
    no verdict.
    """
    try:
        kept = json.loads((folder / AUDIT_FILE).read_text())
        if kept["schema"] != AUDIT_SCHEMA:
            return {}
        verdicts = [
            AuditVerdict(each["title"], each["judgement"], tuple(each["reasons"]), tuple(each["keys"]))
            for each in kept["verdicts"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {key: verdict for verdict in verdicts for key in verdict.keys}


def leak_reason(verdicts: Mapping[str, AuditVerdict], key: str) -> str | None:
    """Say why a cell is not to be ranked, or None."""
    verdict = verdicts.get(key)
    return "; ".join(verdict.reasons) if verdict is not None and verdict.judgement == "leak" else None

"""A row of the zoo: a cheat, and what is expected of the audit."""

from dataclasses import dataclass
from typing import Any

LEAK, WARNING, UNSEEN = "leak", "warning", "cannot be found"


@dataclass(frozen=True)
class Cheat:
    """A labeler, embedder, feature set or data set that cheats, and the outcome that is expected."""

    name: str
    kind: str  # labeler, embedder, features or data
    how: str
    expected: str  # LEAK, WARNING or UNSEEN, by the questions of the audit alone
    reason: str  # words of the audit's reason; of one that cannot be found, why
    plant: Any = None  # what cheats; None: it needs a process of its own, see SUITE_LABELERS and SUITE_BLOCKS
    needs_file: bool = False  # it reads or writes what a confined worker cannot reach

    @property
    def outcome(self) -> str:
        """The outcome as the page has it."""
        return {LEAK: "a leak", WARNING: "a warning", UNSEEN: "cannot be found"}[self.expected]

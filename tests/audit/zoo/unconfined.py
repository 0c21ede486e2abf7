"""Cheats that reach beyond their process, which a confined worker cannot.

No question of the audit finds them. Where workers are confined they fail; to try that, give each a plant.
"""

from tests.audit.zoo.cheat import UNSEEN, Cheat

HOSTILE = "nothing of it shows in an answer to a question"
UNCONFINED = [
    Cheat("reads_parent", "labeler", "reads the labels in the parent's memory", UNSEEN, HOSTILE, needs_file=True),
    Cheat("overwrites_cells", "labeler", "overwrites the answers of other labelers", UNSEEN, HOSTILE, needs_file=True),
    Cheat("copies_cells", "labeler", "copies the answers of a better labeler", UNSEEN, HOSTILE, needs_file=True),
    Cheat("asks_a_server", "labeler", "asks another machine for the labels", UNSEEN, HOSTILE, needs_file=True),
]  # fmt: skip

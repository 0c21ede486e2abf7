"""Stacks of cells of one split, whose numbers are computed at once."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

STACK_NUMBERS = 2**19  # in memory at once
Item = TypeVar("Item")


def stacks(cells: Iterable[Item], numbers: int) -> Iterator[list[Item]]:
    """Yield cells in lists; each cell has so many numbers.

    A list has one cell at least.
    """
    rest = iter(cells)
    while stack := list(islice(rest, max(1, STACK_NUMBERS // max(1, numbers)))):
        yield stack

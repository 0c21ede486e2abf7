"""Neighbour searches that a labeler declares, shared by all cells."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from harness.errors import PluginError, describe_error

Among = Literal["labelled", "all"]


@dataclass(frozen=True)
class NeighborRequest:
    """A request for the `k` nearest neighbours by the blocks `on`."""

    on: tuple[str, ...]
    k: int
    among: Among = "labelled"  # labelled: of the rows to label among the labelled ones; all: of every row

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) for name in self.on) or not isinstance(self.k, int) or self.k < 1:
            raise ValueError(
                f"of ({self.on!r}, {self.k!r}) the first must name blocks, the second be a number from 1 on"
            )
        if self.among not in get_args(Among):
            raise ValueError(f"the third must be left out, or 'all', is {self.among!r}")


def needs(labeler: Any) -> list[NeighborRequest]:
    """Return the neighbours that a labeler declares.

    Raises PluginError where its `needs()` returns anything else.
    """
    try:
        declared = labeler.needs() if hasattr(labeler, "needs") else []
        return [NeighborRequest((on,) if isinstance(on, str) else tuple(on), k, *among) for on, k, *among in declared]
    except (TypeError, ValueError) as error:
        form = "[(on, k), ...], or (on, k, 'all') for those of graph"
        raise PluginError(f"labeler {labeler.name!r}: needs() must return {form}: {error}") from error
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise PluginError(f"labeler {labeler.name!r}: needs() failed: {describe_error(error)}") from error

"""Plan shared neighbour lists: which are needed, and which share a search."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from harness.errors import PluginError
from harness.plugin.block import Block, Rows
from harness.plugin.needs import Among, NeighborRequest, needs
from harness.plugin.precomputed import INDEX_FILE, RECORD_FILE, SIMILARITY_FILE, PrecomputedNeighbors, fingerprint
from harness.run.checksums import SealedFolder
from harness.run.hardware import processor_kernels
from harness.run.plan import Cell, EvaluationSplit, core_code
from harness.search.neighbors import graph_rows
from harness.utils.hashing import digest, hash_array, hash_code

MIN_SAVED_MULTIPLICATIONS = 2e10  # multiplications saved that are worth a worker of its own


@dataclass(frozen=True)
class ListRequest:
    """One list that the cells of a split need."""

    evaluation: EvaluationSplit
    neighbors: NeighborRequest

    def query_count(self, n_rows: int) -> int:
        """Return the number of rows of the list, of `n_rows` in all."""
        return n_rows if self.neighbors.among == "all" else len(self.evaluation.split.test)


@dataclass(frozen=True, eq=False)
class SharedSearch:
    """Lists that one search finds: of nested train sets, or of all rows."""

    lists: tuple[ListRequest, ...]
    blocks: tuple[Block, ...]  # concatenated they are the space

    @property
    def on(self) -> tuple[str, ...]:
        return self.lists[0].neighbors.on

    @property
    def among(self) -> Among:
        return self.lists[0].neighbors.among

    @property
    def n_rows(self) -> int:
        return len(self.blocks[0].array)

    @property
    def query_count(self) -> int:
        """The number of query rows."""
        return max(request.query_count(self.n_rows) for request in self.lists)

    @property
    def cost(self) -> float:
        """An upper bound of the search's multiplications."""
        base = self.n_rows if self.among == "all" else len(self.lists[-1].evaluation.split.train)
        return float(base) * self.query_count * self._columns

    @property
    def _columns(self) -> int:
        return sum(block.array.shape[1] for block in self.blocks)

    def is_worth_sharing(self, cells: list[Cell]) -> bool:
        """Return True if separate searches would take noticeably longer."""
        users = {id(request.evaluation): 0 for request in self.lists}
        for cell in cells:
            if id(cell.evaluation) in users:
                declared = [(need.on, need.among) for need in _declared(cell)]
                users[id(cell.evaluation)] += (self.on, self.among) in declared
        pairs = 0
        for request in self.lists:
            split = request.evaluation.split
            size = self.n_rows**2 if self.among == "all" else len(split.train) * len(split.test)
            pairs += users[id(request.evaluation)] * size
        several = len(self.lists) > 1 or users[id(self.lists[0].evaluation)] > 1
        return several and pairs * self._columns > MIN_SAVED_MULTIPLICATIONS

    def folders(self, cache: Path) -> list[Path]:
        """Return the folder of each list.

        Its name is a hash of the content of the blocks, the rows, the length, and the code that searches.
        """
        return [_list_folder(request, self.blocks, cache) for request in self.lists]

    def open_lists(self, cache: Path) -> list[PrecomputedNeighbors | None]:
        """Open the lists; None for each that is not on disk."""
        return [
            _open_list(request, self.blocks, folder.path) if folder.is_intact() else None
            for request, folder in zip(self.lists, self.sealed_folders(cache), strict=True)
        ]

    def sealed_folders(self, cache: Path) -> list[SealedFolder]:
        """Return the folder of each list, with its checksums."""
        return [self.sealed(folder, cache) for folder in self.folders(cache)]

    def sealed(self, path: Path, cache: Path) -> SealedFolder:
        """Return a folder with a list, which may still be in the making."""
        return SealedFolder(
            path, RECORD_FILE, (SIMILARITY_FILE, INDEX_FILE), cache, f"neighbours on {'+'.join(self.on)}"
        )


def plan_searches(cells: list[Cell], blocks: Mapping[str, Block]) -> list[SharedSearch]:
    """Return the searches for all lists that cells need on these blocks.

    One search serves nested train sets, or all rows. A space with features is scaled anew by every train set, so each
    of its lists has a search of its own.
    """
    groups: list[list[ListRequest]] = []
    requests = [request for request in requested_lists(cells) if blocks.keys() >= set(request.neighbors.on)]
    for request in sorted(requests, key=lambda request: len(request.evaluation.split.train)):
        scaled = any(blocks[name].kind == "feature" for name in request.neighbors.on)
        group = next((group for group in groups if not scaled and _extends(group[-1], request)), None)
        if group is None:
            groups.append([request])
        else:
            group.append(request)
    return [
        SharedSearch(
            _with_longest_k(group) if group[0].neighbors.among == "all" else tuple(group),
            tuple(blocks[name] for name in group[0].neighbors.on),
        )
        for group in groups
    ]


def requested_lists(cells: list[Cell]) -> list[ListRequest]:
    """Return the lists that cells need, each with the largest k requested."""
    longest: dict[tuple[int, tuple[str, ...], Among], ListRequest] = {}
    for cell in cells:
        for need in _declared(cell):
            if need.among == "labelled":
                need = replace(need, k=min(need.k, len(cell.evaluation.split.train)))
            previous = longest.get((id(cell.evaluation), need.on, need.among))
            if previous is None or previous.neighbors.k < need.k:
                longest[id(cell.evaluation), need.on, need.among] = ListRequest(cell.evaluation, need)
    return list(longest.values())


def _declared(cell: Cell) -> list[NeighborRequest]:
    """Return the neighbours that a cell's labeler declares.

    None where `needs()` fails: no list is made for it, and the cell's failure has the reason.
    """
    try:
        return needs(cell.candidate.labeler)
    except PluginError:
        return []


def _extends(previous: ListRequest, request: ListRequest) -> bool:
    if (previous.neighbors.on, previous.neighbors.among) != (request.neighbors.on, request.neighbors.among):
        return False
    train, smaller = request.evaluation.split.train, previous.evaluation.split.train
    return request.neighbors.among == "all" or (len(train) > len(smaller) and bool(np.isin(smaller, train).all()))


def _with_longest_k(group: list[ListRequest]) -> tuple[ListRequest, ...]:
    longest = max(request.neighbors.k for request in group)
    return tuple(replace(request, neighbors=replace(request.neighbors, k=longest)) for request in group)


def _list_folder(request: ListRequest, blocks: tuple[Block, ...], cache: Path) -> Path:
    rows = [hash_array(numbers) for numbers in _list_rows(request, blocks)]
    spaces = [[name, block.key] for name, block in zip(request.neighbors.on, blocks, strict=True)]
    return cache / "lists" / digest(_search_identity(), spaces, rows, request.neighbors.k, request.neighbors.among)


@cache
def _search_identity() -> str:
    """Hash the code of the search and the processor's kernels."""
    return digest(core_code(), hash_code([Path(__file__).with_name("neighbor_lists.py")]), processor_kernels())


def _list_rows(request: ListRequest, blocks: tuple[Block, ...]) -> tuple[Rows, Rows]:
    split = request.evaluation.split
    if request.neighbors.among == "labelled":
        return split.train, split.test
    return graph_rows(list(blocks), split.train, np.arange(len(blocks[0].array)))


def _open_list(request: ListRequest, blocks: tuple[Block, ...], folder: Path) -> PrecomputedNeighbors:
    content = fingerprint(list(blocks), *_list_rows(request, blocks))
    return PrecomputedNeighbors(str(folder.absolute()), request.neighbors.k, content)

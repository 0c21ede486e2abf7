"""Contiguous parts of a block, which processes or machines make side by side."""

import re
from dataclasses import dataclass

from harness.errors import DataError, HarnessError
from harness.run.blocks import Recipe
from harness.utils.processor import visible_gpus

MAX_SHARDS = 10_000  # of one block


@dataclass(frozen=True)
class Shard:
    """The `number`-th, from 1 on, of `count` contiguous parts of ceil(N / of) rows; the last may be shorter, or
    empty."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"

    def span(self, size: int) -> tuple[int, int]:
        """Return the first row of `size` and the one after the last."""
        rows = -(-size // self.count)
        return min((self.number - 1) * rows, size), min(self.number * rows, size)


def parse_shard(text: str) -> Shard:
    """Read "2/8", the second of eight. Raises HarnessError."""
    found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= MAX_SHARDS:
        raise HarnessError(f"--shard {text}: must be i/n, from 1/n to n/n, such as 2/8; n is at most {MAX_SHARDS:,}")
    return Shard(int(found[1]), int(found[2]))


def gpu_slots(workers: int, device: str, single: bool) -> tuple[str | None, ...]:
    """Return the GPU of each worker, None for those it sees anyway: `workers` many, or one for each visible GPU.

    `single` says that there is one part to make. Raises DataError where no GPU is visible to be used.
    """
    gpus = visible_gpus() if device == "cuda" else ()
    if device == "cuda" and not gpus:
        raise DataError("--device cuda: CUDA_VISIBLE_DEVICES hides every GPU; use --device cpu")
    if single:
        return (None,)
    return tuple(gpus[i % len(gpus)] if gpus else None for i in range(workers or len(gpus) or 1))


def can_be_sharded(recipe: Recipe) -> bool:
    """Say whether the rows of a block can be made apart: none of them needs another."""
    return bool(getattr(recipe.maker, "resumable", True) if recipe.kind == "embedding" else is_rowwise(recipe))


def is_rowwise(recipe: Recipe) -> bool:
    """Return True for a feature set that computes each row from that row alone."""
    return bool(getattr(recipe.maker, "rowwise", False))

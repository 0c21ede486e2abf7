"""Shards: contiguous parts of a block, made side by side."""

import re
from dataclasses import dataclass

from harness.errors import DataError, HarnessError
from harness.run.blocks import Recipe
from harness.utils.processor import visible_gpus

MAX_SHARDS = 10_000  # of one block


@dataclass(frozen=True)
class Shard:
    """Part `number`, from 1 on, of `count` contiguous parts of a block.

    Each has ceil(N / count) rows; the last may have fewer, or none.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"

    def span(self, size: int) -> tuple[int, int]:
        """Return the shard's first row, of `size`, and the one after its last."""
        rows = -(-size // self.count)
        return min((self.number - 1) * rows, size), min(self.number * rows, size)


def parse_shard(text: str) -> Shard:
    """Read "2/8", the second of eight. Raises HarnessError."""
    match = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text, re.ASCII)
    if not match or not 1 <= int(match[1]) <= int(match[2]) <= MAX_SHARDS:
        raise HarnessError(f"--shard {text}: must be i/n, from 1/n to n/n, such as 2/8; n is at most {MAX_SHARDS:,}")
    return Shard(int(match[1]), int(match[2]))


def gpu_slots(workers: int, device: str, single: bool) -> tuple[str | None, ...]:
    """Return the GPU of each worker; None leaves it all visible ones.

    There are `workers` of them, or where that is 0 one for each visible GPU; `single`: one alone. Raises DataError
    where the device is "cuda" and no GPU is visible.
    """
    gpus = visible_gpus() if device == "cuda" else ()
    if device == "cuda" and not gpus:
        raise DataError("--device cuda: CUDA_VISIBLE_DEVICES hides every GPU; use --device cpu")
    if single:
        return (None,)
    return tuple(gpus[i % len(gpus)] if gpus else None for i in range(workers or len(gpus) or 1))


def can_be_sharded(recipe: Recipe) -> bool:
    """Return True if no row of a block needs another."""
    return bool(getattr(recipe.maker, "resumable", True) if recipe.kind == "embedding" else is_rowwise(recipe))


def is_rowwise(recipe: Recipe) -> bool:
    """Return True if a feature set computes each row from that row alone."""
    return bool(getattr(recipe.maker, "rowwise", False))

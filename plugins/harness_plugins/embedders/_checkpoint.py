"""Find checkpoints on this machine and embed rows in fixed chunks."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from harness import DataError

T = TypeVar("T")
P = TypeVar("P")
Dtype = Literal["float32", "bfloat16", "float16"]

CHUNK_ROWS = 512  # rows; batches never reach over a multiple of it, so a row is always computed beside the same others
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


def pin(plugin: P) -> P:
    """Replace the plugin's `revision` by the local commit.

    A folder is left as it is.

    Nothing is downloaded: raises DataError with the line that would fetch the model where it is not there.
    """
    model: Path | str = plugin.model  # type: ignore[attr-defined]
    if isinstance(model, Path):
        if not model.is_dir():
            raise DataError(f"model {model}: there is no such folder")
        if not (model / "config.json").is_file() and not (model / "modules.json").is_file():
            raise DataError(f"{model} is not the folder of a model: it has no config.json")
        return plugin
    return replace(plugin, revision=folder_of(model, plugin.revision).name)  # type: ignore[type-var, attr-defined]


def folder_of(model: Path | str, revision: str) -> Path:
    """Return the folder of a checkpoint: as given, or of a cached hub name."""
    if isinstance(model, Path):
        return model
    if not HUB_NAME.fullmatch(model):
        raise DataError(f"model {model!r} is neither a folder that is there nor a name on the Hugging Face hub")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        of = "" if revision == "main" else f" (revision {revision})"
        raise DataError(
            f"model {model!r}{of} is neither a folder nor in this machine's cache of the Hugging Face hub; "
            f"fetch it first: {fetch_command(model, revision)}"
        ) from None


def fetch_command(model: Path | str, revision: str) -> str:
    """Return the command line that fetches a hub model whole."""
    return f"hf download {model}" + ("" if revision == "main" else f" --revision {revision}")


def load_checked(model: Path | str, revision: str, load: Callable[[str], T]) -> T:
    """Return ``load(folder)``; raise DataError for bad files."""
    folder = folder_of(model, revision)
    try:
        return load(str(folder))
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        again = (
            ""
            if isinstance(model, Path)
            else f"; if a file is missing, fetch it whole: {fetch_command(model, revision)}"
        )
        raise DataError(f"model {str(model)!r} cannot be loaded from {folder}: {reason}{again}") from error


def device() -> str:
    """Return where to compute: the GPU that this process sees, else the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def by_chunk(
    rows: Callable[[int], Iterator[T]], start: int, vectors: Callable[[int, list[T]], np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield (rows, d) arrays of fixed chunks from row `start` on.

    Chunks begin at the multiples of CHUNK_ROWS.

    ``rows(at)`` yields the rows from number `at` on; ``vectors(at, chunk)`` embeds one chunk, whose first row has that
    number. A start in the middle of a chunk computes all of it again, so that wherever a run was stopped or cut into
    shards the bytes are the same.
    """
    at = start - start % CHUNK_ROWS
    source = rows(at)
    while chunk := list(islice(source, CHUNK_ROWS)):
        yield vectors(at, chunk)[max(start - at, 0) :]
        at += CHUNK_ROWS


def by_length(lengths: Sequence[int], batch: int) -> Iterator[np.ndarray]:
    """Yield batches of positions of a chunk's rows, longest first.

    So there is little padding, and what does not fit in memory shows early.

    >>> [positions.tolist() for positions in by_length([3, 9, 3, 5], 3)]
    [[1, 3, 0], [2]]
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    for low in range(0, len(order), batch):
        yield order[low : low + batch]


def pad_tokens(tokens: Sequence[Sequence[int]], padding: int) -> tuple[Any, Any]:
    """Pad ids on the right: int64 (rows, longest) ids and mask.

    On the right whatever the checkpoint's own habit: behind the text padding changes no position, and a causal model
    never sees it.
    """
    import torch

    ids = torch.full((len(tokens), max(map(len, tokens))), padding, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, given in enumerate(tokens):
        ids[row, : len(given)] = torch.tensor(given, dtype=torch.int64)
        mask[row, : len(given)] = 1
    return ids, mask


def pool_states(states: Any, mask: Any, how: Literal["last", "mean"]) -> Any:
    """Pool (rows, longest, d) states to float32 (rows, d).

    By the last token that is no padding, or by the mean.
    """
    import torch

    states = states.float()
    if how == "last":
        last = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
        return states[torch.arange(len(states), device=states.device), last]
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(dim=1) / weight.sum(dim=1)

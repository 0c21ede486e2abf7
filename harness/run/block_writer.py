"""Write the rows of a block to a .npy file that grows chunk by chunk."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, first_few
from harness.plugin.block import Floats
from harness.plugin.items import Items
from harness.suite import spec
from harness.suite.catalog import resolve
from harness.utils.hashing import canonical_json

ROWWISE_ROWS = 8_192  # rows given to a row-wise feature set at a time
ARRAY_FILE = "array.npy"
OUTCOME_FILE = "outcome.json"


def write_block(
    maker_spec: Mapping[str, Any],
    reference: tuple[str, str, str | None],
    kind: str,
    name: str,
    items: Items,
    span: tuple[int, int],
    gpu: str | None,
) -> None:
    """Write rows `span` of a block to the working directory, in a worker.

    The outcome goes to OUTCOME_FILE. `maker_spec` and `reference` are the maker's spec and class; `gpu` is the only GPU
    that it may use, None: all visible ones.
    """
    outcome: dict[str, Any]
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # CUDA reads it at its first use: after the preloaded modules
    try:
        maker = spec.from_spec(maker_spec, lambda _kind, _name: resolve(reference))
        outcome = {"kind": kind, "names": fill(maker, kind, items, Path(ARRAY_FILE), span)}
    except DataError as error:
        outcome = {"error": f"block {name!r}: {error}"}
    except Exception as error:
        import traceback

        traceback.print_exc()
        reason = (str(error).strip() or "no message").splitlines()[0]
        outcome = {"error": f"block {name!r}: {type(error).__name__}: {reason}; see {Path.cwd() / 'log.txt'}"}
    Path(OUTCOME_FILE).write_text(canonical_json(outcome))


def fill(maker: Any, kind: str, items: Items, file: Path, span: tuple[int, int] | None = None) -> tuple[str, ...]:
    """Write rows `span`, or all, of a block; return its column names."""
    first, stop = span or (0, len(items))
    resumable = getattr(maker, "resumable", True) if kind == "embedding" else getattr(maker, "rowwise", False)
    done = first + (count_rows(file) if resumable else 0)
    names: tuple[str, ...] = getattr(maker, "names", ())
    width = (_row_offset(file, 1) - _row_offset(file, 0)) // 4 if done > first else None
    if done == stop and kind == "embedding":
        return names  # killed after its last row
    with file.open("r+b" if done > first else "wb") as out:
        if done > first:
            out.truncate(out.seek(_row_offset(file, done - first)))
        for chunk, chunk_names in _chunks(maker, kind, items, done):
            part = _check_chunk(chunk, kind, items, done)
            names = chunk_names or names
            if width not in (None, part.shape[1]):
                raise DataError(f"gave {part.shape[1]} columns from row number {done:,} on, {width} before")
            if stop < len(items):
                part = part[: stop - done]  # the rest is another shard's
            if width is None:
                width = part.shape[1]
                write_header(out, stop - first, width)
            out.write(part.data)
            out.flush()
            done += len(part)
            if done == stop < len(items):
                break
    if done != stop:
        raise DataError(f"gave {done:,} rows for {stop:,}")
    return names if kind == "embedding" else _check_names(names, width or 0)


def _chunks(maker: Any, kind: str, items: Items, start: int) -> Iterator[tuple[NDArray[Any], tuple[str, ...]]]:
    """Yield (rows, names) of a block from row number `start` on.

    Names are () where the maker gives none with its rows.
    """
    if kind == "embedding":
        chunks = maker.embed(items, start)
        if not isinstance(chunks, Iterable):
            raise DataError(f"embed must yield (rows, d) arrays, returned {type(chunks).__name__}")
        for chunk in chunks:
            yield chunk, ()
        return
    for part in items.parts(ROWWISE_ROWS, start) if getattr(maker, "rowwise", False) else (items,):
        answer = maker.features(part)
        yield answer if isinstance(answer, tuple) else (answer, ())


def _check_chunk(chunk: NDArray[Any], kind: str, items: Items, start: int) -> Floats:
    """Return a chunk as float32; raise DataError where rows are unusable.

    `start` is the number of its first row.
    """
    array = np.asarray(chunk)
    if array.ndim != 2 or array.shape[1] == 0:
        form = f"shape {array.shape}" if array.ndim else type(chunk).__name__
        hint = "; yield chunks of rows, not single ones" if kind == "embedding" and array.ndim == 1 else ""
        raise DataError(f"must give (rows, d) arrays, gave {form}{hint}")
    if array.dtype.kind not in "fiub":
        raise DataError(f"must give numbers, gave {array.dtype}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes an infinity, which is refused below
        chunk = np.ascontiguousarray(array, np.float32)

    def refuse(bad: Any, fault: str) -> None:
        rows = start + np.flatnonzero(bad)
        if len(rows):
            count = f"{len(rows):,} row{'s' if len(rows) > 1 else ''}"
            raise DataError(
                f"{fault} in {count} (id {first_few(items.ids[rows].tolist())}); mend or leave out these rows"
            )

    refuse(~np.isfinite(chunk).all(axis=1), "NaN or infinite values")
    if kind == "embedding":
        refuse(~chunk.any(axis=1), "zero vectors, which have no direction,")
    return chunk


def _check_names(names: object, width: int) -> tuple[str, ...]:
    """Return a feature set's column names if each column has its own."""
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"must name its columns in a tuple of strings, has {names!r:.60}")
    different = len(set(names))
    if (len(names), different) != (width, width):
        have = f"{len(names)} names" if different == len(names) else f"{different} different names"
        raise DataError(f"must name its columns: an attribute names, or (array, names); has {have} for {width} columns")
    return tuple(names)


def write_header(out: BinaryIO, rows: int, width: int) -> None:
    """Begin a .npy file of (rows, width) float32."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
    np.lib.format.write_array_header_1_0(out, header)


def _row_offset(file: Path, row: int) -> int:
    """Return the byte at which row number `row` of a float32 .npy file begins."""
    with file.open("rb") as source:
        np.lib.format.read_magic(source)
        shape, _, _ = np.lib.format.read_array_header_1_0(source)
        return source.tell() + row * shape[1] * 4


def count_rows(file: Path) -> int:
    """Return the number of complete rows of a .npy file being written."""
    try:
        first = _row_offset(file, 0)
        return (file.stat().st_size - first) // (_row_offset(file, 1) - first)
    except (OSError, ValueError):
        return 0  # not begun

"""Which engine this process finds neighbours with, and what its searches tell of themselves.

Every engine gives the same neighbours, so none is part of what is asked: it belongs to the process, as its threads do.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, get_args

from harness.errors import HarnessError, did_you_mean

Engine = Literal["auto", "int8", "float32", "cuda", "faiss"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

_engine: list[Engine] = ["auto"]  # the innermost of `use_engine` last
_records: list[list[Mapping[str, Any]]] = []


def parse_engine(name: str) -> Engine:
    """Return the engine of that name; a HarnessError says which there are."""
    for engine in ENGINES:
        if engine == name:
            return engine
    raise HarnessError(f"--engine {name}: there is no such engine{did_you_mean(name, ENGINES)}")


@contextmanager
def use_engine(engine: Engine) -> Iterator[list[Mapping[str, Any]]]:
    """Let every search inside use `engine`; yield the list to which each of them adds what it tells of itself.

    >>> with searching("float32") as searches:
    ...     chosen()
    'float32'
    """
    searches: list[Mapping[str, Any]] = []
    _engine.append(engine)
    _records.append(searches)
    try:
        yield searches
    finally:
        _engine.pop()
        _records.pop()


def current_engine() -> Engine:
    """Return the engine that this process shall use."""
    return _engine[-1]


def record_search(record: Mapping[str, Any]) -> None:
    """Note what a search tells of itself, where somebody listens."""
    for searches in _records[-1:]:
        searches.append(dict(record))

"""Select this process's search engine and record its searches.

All engines give the same neighbours. So the engine is no argument of a search: like the number of threads, it belongs
to the process.
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
    """Return the engine of that name.

    Raises HarnessError for any other name, with the nearest engine.
    """
    for engine in ENGINES:
        if engine == name:
            return engine
    raise HarnessError(f"--engine {name}: there is no such engine{did_you_mean(name, ENGINES)}")


@contextmanager
def use_engine(engine: Engine) -> Iterator[list[Mapping[str, Any]]]:
    """Use `engine` inside the context; yield the list of search records.

    Each search inside appends its record to the list.

    >>> with use_engine("float32") as searches:
    ...     current_engine()
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
    """Return the engine of the innermost `use_engine`, or "auto"."""
    return _engine[-1]


def record_search(record: Mapping[str, Any]) -> None:
    """Append a search's record to the list of the innermost `use_engine`."""
    for searches in _records[-1:]:
        searches.append(dict(record))

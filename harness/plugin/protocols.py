"""The protocols of plugins: labeler, embedder, feature set, splitter.

Each has one method; there is no base class to inherit from.

A plugin is a frozen dataclass: its class attribute ``name`` is its name in a suite, its typed fields with their
defaults are its parameters. It may also carry, as class attributes:

- ``requires``: modules it cannot do without; the suite is refused with a clear line where one is missing.
- ``extra``: the extra of its distribution that installs them, for that line.
- ``preload`` (labelers): modules that a worker may import early, so that a cell does not pay for the import.
- ``transductive`` (labelers): True where the rows to label influence each other's answers.
- ``needs_order`` (labelers): True, perhaps by a property, where it uses the order of the classes; a suite whose
  classes have none is refused.
- ``needs()`` (labelers): a method that returns [(on, k), ...], the neighbours that it uses, (on, k, "all") for
  those of ``graph``: the harness finds them once for all cells.
- ``reads`` (labelers): files and folders that it reads beside its task, such as a model. Workers are confined to their
  task and the installed packages where the kernel can.
- ``writes`` (labelers): those that it also writes, such as a log. Its own folder and temporary folder need no word.
- ``network`` (labelers): True where it opens sockets.
- ``resolve(device)`` (labelers): a method that returns the labeler with its choices settled that depend on the
  machine (a precision "auto"), by the processor and never by a clock. The plan calls it; the spec holds the outcome.
- ``resumable`` (embedders): False for one that must see all rows before it can answer for the first.
- ``text_only`` (embedders, feature sets): True where the block depends on the texts alone: the cached block stays valid
  when labels or other columns of the file change, and the items have no other column.
- ``pinned()`` (embedders, feature sets): a method that returns the plugin with moving references (a branch of a model)
  replaced by what they stand for on this machine now. The pinned plugin builds the block and is part of its key; a
  DataError names what is missing.
- ``split_columns`` (splitters): the columns of the data that it needs, perhaps by a property; they come as text in
  ``Labelled.columns``.
- ``rowwise`` (feature sets): True where a row's features depend on that row alone; they are computed part by part.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.errors import PluginError, describe_error
from harness.plugin.block import Rows
from harness.plugin.items import Items
from harness.plugin.task import Predictions, Task, readonly_copy


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labelled rows for a splitter, in read-only arrays."""

    rows: Rows  # (n,) row numbers of the population, increasing
    y: NDArray[np.int64]  # (n,) labels
    ids: NDArray[Any]  # (n,) identity of each row, from the data or its number
    groups: NDArray[Any] | None = None  # (n,) group of each row
    sources: NDArray[Any] | None = None  # (n,) source of each row
    times: NDArray[Any] | None = None  # (n,) numbers or text in the order of time
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # (n,) texts, of columns in `split_columns`

    def __post_init__(self) -> None:
        for part in fields(self):
            array = getattr(self, part.name)
            if array is not None and part.name != "columns":
                object.__setattr__(self, part.name, readonly_copy(array, None))


@dataclass(frozen=True, eq=False)
class Split:
    """One split of the labelled rows into train, test and spare.

    The harness adds rows in none of the three to `spare`. `validation` rows are train rows that a labeler shall choose
    by, instead of holding out some of its own; empty: it holds out its own.
    """

    train: Rows
    test: Rows
    spare: Rows  # labels withheld, not scored
    seed: int
    ratio: float | None = None  # share of the labelled rows in train, where the splitter has one
    fold: int | None = None
    validation: Rows = field(default_factory=lambda: np.empty(0, np.int64))


@runtime_checkable
class Labeler(Protocol):
    """A predictor of the labels of rows from labelled rows."""

    name: ClassVar[str]

    def label(self, task: Task) -> NDArray[Any] | Predictions:
        """Return (m, C) probabilities in the order of ``task.to_label``.

        Or return `Predictions`, which hold facts and checkpoints besides.
        """
        ...


@runtime_checkable
class Embedder(Protocol):
    """An encoder of rows as vectors; it gets no label."""

    name: ClassVar[str]

    def embed(self, items: Items, start: int) -> Iterator[NDArray[Any]]:
        """Yield (rows, d) arrays in row order, from row `start` on.

        The harness writes them to disk.
        """
        ...


@runtime_checkable
class FeatureSet(Protocol):
    """Named numbers for every row; it gets no label.

    `names` is an attribute of the class where the columns are always the same; a set whose columns depend on the data
    returns them: (array, names).
    """

    name: ClassVar[str]

    def features(self, items: Items) -> NDArray[Any] | tuple[NDArray[Any], tuple[str, ...]]:
        """Return (rows, d) finite numbers of the items, or (array, names)."""
        ...


@runtime_checkable
class Splitter(Protocol):
    """A generator of splits of the labelled rows into train and test."""

    name: ClassVar[str]

    def splits(self, dataset: Labelled, seed: int) -> Iterable[Split]:
        """Yield the splits of `seed`; no group is in both train and test."""
        ...


def iter_plugins(plugin: Any) -> Iterator[Any]:
    """Yield a plugin and all plugins nested in it, outermost first."""
    yield plugin
    for part in fields(plugin) if is_dataclass(plugin) else ():
        value = getattr(plugin, part.name)
        for item in value if isinstance(value, tuple) else (value,):
            if is_dataclass(item) and hasattr(item, "name"):
                yield from iter_plugins(item)


def block_names(labeler: Any) -> tuple[str, ...]:
    """Return the block names in the `on` fields of a labeler.

    Those of nested labelers are among them.
    """
    names: list[str] = []
    for plugin in iter_plugins(labeler):
        on = getattr(plugin, "on", ())
        names += [on] if isinstance(on, str) else on or ()
    return tuple(dict.fromkeys(names))


def resolve_labeler(labeler: Any, device: str) -> Any:
    """Replace the choices that a labeler leaves to the machine.

    A labeler with such a choice (a precision "auto") has a method ``resolve(device)``, which returns the labeler with
    the choice settled for `device`, "cpu" or "cuda", by the features of the processor: the same at every call. Nested
    labelers are resolved first. Raises PluginError where the method fails.
    """
    changed = {}
    for part in fields(labeler) if is_dataclass(labeler) else ():
        value = getattr(labeler, part.name)
        items = value if isinstance(value, tuple) else (value,)
        if any(is_dataclass(item) and hasattr(item, "name") for item in items):
            settled = tuple(resolve_labeler(item, device) for item in items)
            changed[part.name] = settled if isinstance(value, tuple) else settled[0]
    labeler = replace(labeler, **changed) if changed else labeler
    if not hasattr(labeler, "resolve"):
        return labeler
    try:
        settled_labeler = labeler.resolve(device)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"labeler {labeler.name!r}: resolve() failed: {describe_error(error)}") from error
    if type(settled_labeler) is not type(labeler):
        form = f"must return a {type(labeler).__name__}, returned {type(settled_labeler).__name__}"
        raise PluginError(f"labeler {labeler.name!r}: resolve() {form}")
    return settled_labeler

"""Which plugins there are. One door for all: entry points of the group ``harness``, loaded one by one, so that a broken
plugin is remembered and named, and is fatal only to a suite that uses it."""

import dataclasses
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from harness.errors import PluginError, did_you_mean
from harness.plugin import hookspecs
from harness.utils.hashing import hash_code

KINDS = {"embedders": "embed", "features": "features", "splitters": "splits", "labelers": "label"}
"""The four kinds of plugin, and the one method each of them must have."""

PLUGIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Entry:
    """One plugin class and where it comes from."""

    kind: str
    name: str
    cls: type[Any]
    distribution: str
    version: str
    file: str | None = None  # of a one-off plugin given by path

    @property
    def help(self) -> str:
        """The first sentence of its docstring."""
        paragraph = " ".join((self.cls.__doc__ or "").strip().partition("\n\n")[0].split())
        return re.split(r"(?<=[.!?])\s", paragraph)[0]

    def code(self) -> str:
        """Return the hash of the .py files of its top-level package, or of its one file."""
        if self.file is not None:
            return hash_code([Path(self.file)])
        top = sys.modules[self.cls.__module__.partition(".")[0]]
        if not hasattr(top, "__path__"):
            return hash_code([Path(str(top.__file__))])
        return hash_code(sorted(file for folder in top.__path__ for file in Path(folder).rglob("*.py")))

    def identity(self) -> list[str]:
        """Return what identifies the code behind the name."""
        return [self.kind, self.name, self.distribution, self.version, self.code()]

    def reference(self) -> tuple[str, str, str | None]:
        """Return (module, class, file): enough for a worker to import the class by itself."""
        return self.cls.__module__, self.cls.__qualname__, self.file


@dataclass
class Catalog:
    """The plugins found, and those that could not be."""

    entries: list[Entry] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)  # "name (distribution version)" -> why

    def find(self, kind: str, name: str) -> type[Any]:
        """Return the class called `name`, or raise a PluginError that says what there is instead."""
        return self.entry(kind, name).cls

    def entry(self, kind: str, name: str) -> Entry:
        """Return the entry called `name`."""
        found = [entry for entry in self.entries if (entry.kind, entry.name) == (kind, name)]
        if len(found) == 1:
            self._refuse_missing(found[0])
            return found[0]
        if found:
            owners = " and ".join(f"{entry.distribution} {entry.version}".strip() for entry in found)
            raise PluginError(f"{kind[:-1]} {name!r} is offered twice, by {owners}; uninstall one of them")
        near = did_you_mean(name, (entry.name for entry in self.entries if entry.kind == kind))
        broken = "".join(f"; broken plugin {who}: {why}" for who, why in sorted(self.broken.items()))
        raise PluginError(f"no {singular(kind)} is called {name!r}{near}{broken}")

    def of(self, plugin: Any) -> Entry:
        """Return the entry of a plugin object."""
        return next(entry for entry in self.entries if entry.cls is type(plugin))

    @staticmethod
    def _refuse_missing(entry: Entry) -> None:
        for module in getattr(entry.cls, "requires", ()):
            if importlib.util.find_spec(module) is None:
                extra = getattr(entry.cls, "extra", None)
                advice = f"; pip install '{entry.distribution}[{extra}]'" if extra else ""
                raise PluginError(f"{entry.name!r} needs the package {module!r}, which is not installed{advice}")


def discover(files: tuple[Path, ...] = ()) -> Catalog:
    """Load every plugin of the group ``harness``, and the one-off plugin `files`."""
    catalog = Catalog()
    manager = pluggy.PluginManager("harness")
    manager.add_hookspecs(hookspecs)
    for point in sorted(entry_points(group="harness"), key=lambda p: (p.dist.name if p.dist else "", p.name)):
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("?", "?")
        try:
            found = list(_iter_offered(manager, point.load(), f"{distribution}:{point.name}"))
        except (Exception, SystemExit) as error:
            catalog.broken[f"{point.name} ({distribution} {version})"] = _reason(error)
        else:
            catalog.entries += [Entry(kind, cls.name, cls, distribution, version) for kind, cls in found]
    for file in files:
        try:
            found = list(_iter_offered(manager, load_file(file), str(file)))
        except (Exception, SystemExit) as error:
            raise PluginError(f"{file}: {_reason(error)}") from None
        catalog.entries += [Entry(kind, cls.name, cls, file.name, "", str(file.resolve())) for kind, cls in found]
    manager.check_pending()
    catalog.entries.sort(key=lambda entry: (list(KINDS).index(entry.kind), entry.name, entry.distribution))
    return catalog


def load_file(file: Path) -> ModuleType:
    """Import a one-off plugin by path, under a name of its own; a second call returns the same module."""
    name = f"harness_plugin_file_{file.stem}"
    if name in sys.modules and Path(str(sys.modules[name].__file__)) == file.resolve():
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None or not file.is_file():
        raise PluginError("is not a Python file")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]  # half loaded, it would be taken for the plugin the next time
        raise
    return module


def resolve(reference: tuple[str, str, str | None]) -> type[Any]:
    """Import the class that `Entry.reference` names."""
    module, name, file = reference
    found: Any = load_file(Path(file)) if file else importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def _iter_offered(manager: pluggy.PluginManager, module: ModuleType, name: str) -> Iterator[tuple[str, type[Any]]]:
    """Register a module and yield the (kind, class) pairs it offers; anything wrong with it is an exception."""
    try:
        manager.register(module, name)
        callers = manager.get_hookcallers(module) or []
        unknown = [caller.name for caller in callers if not caller.has_spec()]
        if unknown:
            raise PluginError(
                f"unknown hook {unknown[0]!r}{did_you_mean(unknown[0], (f'harness_{kind}' for kind in KINDS))}"
            )
        if not callers:
            raise PluginError("offers no hook; is '@hookimpl' missing above 'def harness_labelers()'?")
        offers = [(kind, cls) for kind in KINDS for cls in _call_hook(module, f"harness_{kind}")]
        for kind, cls in offers:
            _check_class(kind, cls)
    except BaseException:
        if manager.get_plugin(name) is not None:
            manager.unregister(name=name)
        raise
    yield from offers


def _call_hook(module: ModuleType, hook: str) -> list[type[Any]]:
    function = getattr(module, hook, None)
    offered = function() if function is not None and hasattr(function, "harness_impl") else ()
    return list(offered)


def _check_class(kind: str, cls: Any) -> None:
    method = KINDS[kind]
    where = getattr(cls, "__name__", repr(cls))
    if not isinstance(cls, type) or not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise PluginError(f"{where} must be a class marked @dataclass(frozen=True)")
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not PLUGIN_NAME.fullmatch(name):
        raise PluginError(f"{where}.name must be a lower-case name such as 'my_labeler', is {name!r}")
    if "name" in {f.name for f in dataclasses.fields(cls)}:
        raise PluginError(f"{where}.name must be annotated ClassVar[str]: it is not a parameter")
    if not callable(getattr(cls, method, None)):
        raise PluginError(f"{where} has no method {method!r}, which all {kind} must have")


def _reason(error: BaseException) -> str:
    text = (str(error).strip() or repr(error)).splitlines()[0]
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"


def singular(kind: str) -> str:
    """Return what one plugin of a kind is called.

    >>> singular("features"), singular("splitters")
    ('feature set', 'splitter')
    """
    return "feature set" if kind == "features" else kind[:-1]

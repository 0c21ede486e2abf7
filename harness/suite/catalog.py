"""Find plugins by the entry points of the group ``harness``.

They are loaded one by one: a broken plugin is recorded with its reason, and is fatal only to a suite that uses it.
"""

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

from harness.errors import PluginError, describe_error, did_you_mean, first_line, printable
from harness.plugin import hookspecs
from harness.suite.plugin_import import ImportTimeout, guard_import
from harness.utils.hashing import hash_code

KINDS = {"embedders": "embed", "features": "features", "splitters": "splits", "labelers": "label"}
"""The four kinds of plugin, and the method that each must have."""

PLUGIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Entry:
    """A plugin class and its origin."""

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
        """Return the hash of its top-level package's .py files, or of its file."""
        if self.file is not None:
            return hash_code([Path(self.file)])
        top = sys.modules[self.cls.__module__.partition(".")[0]]
        if not hasattr(top, "__path__"):
            return hash_code([Path(str(top.__file__))])
        return hash_code(sorted(file for folder in top.__path__ for file in Path(folder).rglob("*.py")))

    def identity(self) -> list[str]:
        """Return kind, name, distribution, version and hash of the code."""
        return [self.kind, self.name, self.distribution, self.version, self.code()]

    def reference(self) -> tuple[str, str, str | None]:
        """Return (module, class, file), by which a worker imports the class."""
        return self.cls.__module__, self.cls.__qualname__, self.file


@dataclass
class Catalog:
    """The installed plugins and the broken ones."""

    entries: list[Entry] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)  # "name (distribution version)" -> reason

    def find(self, kind: str, name: str) -> type[Any]:
        """Return the class called `name`.

        Raises PluginError with the nearest name where there is none.
        """
        return self.entry(kind, name).cls

    def entry(self, kind: str, name: str) -> Entry:
        """Return the entry called `name`; raises PluginError like `find`."""
        matches = [entry for entry in self.entries if (entry.kind, entry.name) == (kind, name)]
        if len(matches) == 1:
            self._check_requirements(matches[0])
            return matches[0]
        if matches:
            owners = " and ".join(f"{entry.distribution} {entry.version}".strip() for entry in matches)
            raise PluginError(f"{kind[:-1]} {name!r} is offered twice, by {owners}; uninstall one of them")
        suggestion = did_you_mean(name, (entry.name for entry in self.entries if entry.kind == kind))
        broken = "".join(f"; broken plugin {plugin}: {reason}" for plugin, reason in sorted(self.broken.items()))
        raise PluginError(f"no {singular(kind)} is called {name!r}{suggestion}{broken}")

    def of(self, plugin: Any) -> Entry:
        """Return the entry of a plugin object."""
        return next(entry for entry in self.entries if entry.cls is type(plugin))

    @staticmethod
    def _check_requirements(entry: Entry) -> None:
        for module in getattr(entry.cls, "requires", ()):
            if not _is_installed(module):
                extra = getattr(entry.cls, "extra", None)
                advice = f"; pip install '{entry.distribution}[{extra}]'" if extra else ""
                raise PluginError(f"{entry.name!r} needs the package {module!r}, which is not installed{advice}")


def discover(files: tuple[Path, ...] = ()) -> Catalog:
    """Load the plugins of the group ``harness`` and those in `files`."""
    catalog = Catalog()
    manager = pluggy.PluginManager("harness")
    manager.add_hookspecs(hookspecs)
    points = entry_points(group="harness")
    # Each `name` and `version` of a distribution parses its whole metadata.
    origins = {dist: (dist.name, dist.version) for dist in {point.dist for point in points if point.dist}}
    for point in sorted(points, key=lambda p: (origins[p.dist][0] if p.dist else "", p.name)):
        distribution, version = origins[point.dist] if point.dist else ("?", "?")
        try:
            with guard_import():
                classes = list(_iter_offered(manager, point.load(), f"{distribution}:{point.name}"))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            catalog.broken[f"{point.name} ({distribution} {version})"] = _reason(error)
        else:
            catalog.entries += [Entry(kind, cls.name, cls, distribution, version) for kind, cls in classes]
    for file in files:
        try:
            with guard_import():
                classes = list(_iter_offered(manager, load_file(file), str(file)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(f"{file}: {_reason(error)}") from None
        catalog.entries += [Entry(kind, cls.name, cls, file.name, "", str(file.resolve())) for kind, cls in classes]
    manager.check_pending()
    catalog.entries.sort(key=lambda entry: (list(KINDS).index(entry.kind), entry.name, entry.distribution))
    return catalog


def load_file(file: Path) -> ModuleType:
    """Import a plugin file by its path, under a module name of its own.

    A second call returns the same module.
    """
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
        del sys.modules[name]  # half loaded, it would be returned the next time
        raise
    return module


def resolve(reference: tuple[str, str, str | None]) -> type[Any]:
    """Import the class that `Entry.reference` names."""
    module, name, file = reference
    value: Any = load_file(Path(file)) if file else importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return value  # type: ignore[no-any-return]


def _iter_offered(manager: pluggy.PluginManager, module: ModuleType, name: str) -> Iterator[tuple[str, type[Any]]]:
    """Register a module and yield the (kind, class) pairs that it offers.

    Anything wrong with it is an exception.
    """
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
    class_name = getattr(cls, "__name__", repr(cls))
    if not isinstance(cls, type) or not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise PluginError(f"{class_name} must be a class marked @dataclass(frozen=True)")
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not PLUGIN_NAME.fullmatch(name):
        raise PluginError(f"{class_name}.name must be a lower-case name such as 'my_labeler', is {name!r}")
    if "name" in {f.name for f in dataclasses.fields(cls)}:
        raise PluginError(f"{class_name}.name must be annotated ClassVar[str]: it is not a parameter")
    if not callable(getattr(cls, method, None)):
        raise PluginError(f"{class_name} has no method {method!r}, which all {kind} must have")

    if cls.__module__ not in sys.modules:
        raise PluginError(f"{class_name}.__module__ must be the module that defines it, is {cls.__module__!r}")
    for attribute in ("requires", "preload"):
        value = getattr(cls, attribute, ())
        if not isinstance(value, tuple | list) or not all(isinstance(module, str) and module for module in value):
            raise PluginError(f"{class_name}.{attribute} must be a tuple of names of modules, is {value!r:.80}")


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # of a package that is not installed; of a module that imports itself
        return False


def _reason(error: BaseException) -> str:
    if isinstance(error, PluginError | ImportTimeout):
        return printable(first_line(str(error)))
    text = describe_error(error)
    return printable(text.replace(": no message", f": {error!r}") if text.endswith(": no message") else text)


def singular(kind: str) -> str:
    """Return the name of one plugin of a kind.

    >>> singular("features"), singular("splitters")
    ('feature set', 'splitter')
    """
    return "feature set" if kind == "features" else kind[:-1]

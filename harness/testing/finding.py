"""The findings of checks, and the check of a plugin's form."""

import dataclasses
import inspect
import pickle
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import HarnessError, NotApplicable
from harness.plugin.protocols import iter_plugins
from harness.suite import spec

Check = Callable[[Any], None]
"""Takes a plugin; raises AssertionError with one sentence, what is wrong and what to do, or NotApplicable."""

KNOWN_ATTRIBUTES = (
    "name",
    "names",
    "requires",
    "extra",
    "preload",
    "transductive",
    "resumable",
    "text_only",
    "rowwise",
)
"""Class attributes that mean something to the harness; any other that is no field was meant as a parameter."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    check: str
    outcome: Literal["passed", "failed", "not applicable"]
    message: str | None = None  # why it failed or does not apply


class PromiseError(AssertionError):
    """A promise that a plugin does not keep."""


def require(fulfilled: bool, sentence: str) -> None:
    """Raise a PromiseError unless it is fulfilled."""
    if not fulfilled:
        raise PromiseError(sentence)


def run_check(check: Check, plugin: Any) -> Finding:
    """Run one check; return a finding, also where the check raises."""
    name = getattr(check, "__name__", "check")
    try:
        check(plugin)
    except NotApplicable as reason:
        return Finding(name, "not applicable", str(reason))
    except Exception as error:
        message = str(error) if isinstance(error, PromiseError) else f"{type(error).__name__}: {error}"
        return Finding(name, "failed", " ".join(message.split()))
    return Finding(name, "passed")


def check_form(plugin: Any) -> None:
    """Check that a plugin is a frozen dataclass with a name.

    Its fields are its parameters. It can be pickled for a worker and written in a suite.
    """
    cls = type(plugin)
    dataclass_params = getattr(cls, "__dataclass_params__", None)
    require(
        dataclass_params is not None and dataclass_params.frozen, f"{cls.__name__} must be a @dataclass(frozen=True)"
    )
    has_name = isinstance(getattr(cls, "name", None), str) and "name" not in getattr(cls, "__match_args__", ())
    require(has_name, f"{cls.__name__} must have its name as a class attribute: name: ClassVar[str] = '...'")
    untyped = [name for name, value in vars(cls).items() if _looks_like_parameter(cls, name, value)]
    require(
        not untyped, f"{', '.join(untyped)} has no type, so no suite can set it: write it as k: int = 5, or ClassVar"
    )
    try:
        unpickled = pickle.loads(pickle.dumps(plugin))
    except Exception as error:
        raise PromiseError(f"must pickle to reach a worker; define the class in a module: {error}") from error
    same = unpickled == plugin and repr(unpickled) == repr(plugin)
    require(same, "a pickled copy must be equal and print alike: keep the dataclass's own __eq__ and __repr__")
    classes = {nested.name: type(nested) for nested in iter_plugins(plugin)}
    try:
        spec.from_spec(spec.to_spec(plugin), lambda _, name: classes[name])
    except HarnessError as error:
        place = str(error).splitlines()[0].removeprefix("spec: ")
        raise PromiseError(f"its parameters must be such as a suite can give; {place}") from error


def _looks_like_parameter(cls: type, name: str, value: object) -> bool:
    """Return True if a class attribute looks like a parameter without type."""
    if name in KNOWN_ATTRIBUTES or name.startswith("_") or name in inspect.get_annotations(cls):
        return False
    is_method = callable(value) or isinstance(value, property | classmethod | staticmethod | types.MemberDescriptorType)
    return not is_method and name not in {field.name for field in dataclasses.fields(cls)}

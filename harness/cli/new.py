"""`harness new`: begin a plugin with a file that works and its test."""

import importlib.util
import keyword
import re
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from harness.errors import HarnessError, PluginError
from harness.suite import catalog

TEMPLATES = Path(__file__).with_name("templates")


class Kind(StrEnum):
    """The kinds of plugin."""

    LABELER = "labeler"
    EMBEDDER = "embedder"
    FEATURES = "features"
    SPLITTER = "splitter"


def new(
    kind: Annotated[Kind, typer.Argument(help="What it shall be.")],
    name: Annotated[str, typer.Argument(help="Its name in a suite, and that of its file: such as nearest_mean.")],
    folder: Annotated[Path, typer.Option("--output", "-o", help="The folder to write into.")] = Path(),
) -> None:
    """Begin a plugin: write PLUGIN_NAME.py, which works as it is, and
    test_NAME.py. Nothing is overwritten.
    """
    plural = {Kind.FEATURES: "features"}.get(kind, f"{kind}s")
    file, test = folder / f"{name}.py", folder / f"test_{name}.py"
    if not catalog.PLUGIN_NAME.fullmatch(name) or keyword.iskeyword(name):
        raise PluginError(
            f"{name!r} will not do: a name has lower-case letters, digits and _, and is no Python keyword"
        )
    existing = [path for path in (file, test) if path.exists()]
    if existing:
        raise HarnessError(f"{existing[0]} is there already; take another name or another folder with --output")
    _check_name_is_free(plural, name)
    words = {
        "name": name,
        "Name": "".join(map(str.capitalize, name.split("_"))),
        "kind": {Kind.FEATURES: "feature"}.get(kind, kind),
        "arguments": 'on="embedding"' if kind is Kind.LABELER else "",
    }
    source = (TEMPLATES / f"{kind}.txt").read_text()
    if re.search(rf"^from .* import .*\b{words['Name']}\b", source, re.MULTILINE):
        raise PluginError(f"{name!r} will not do: its class would be {words['Name']}, which the file imports")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in ((file, source), (test, (TEMPLATES / "test.txt").read_text())):
        with path.open("x") as out:
            out.write(Template(text).substitute(words))
    print(f"wrote {file} and {test}; next:")
    print(f"  harness check {name} --plugin {file}")
    print(f"  python -m pytest {test}")
    print(f"  harness run SUITE --plugin {file}")


def _check_name_is_free(kind: str, name: str) -> None:
    """Raise PluginError if a plugin or a Python module has that name."""
    namesakes = [entry for entry in catalog.discover().entries if (entry.kind, entry.name) == (kind, name)]
    if namesakes:
        owner = f"{namesakes[0].distribution} {namesakes[0].version}".strip()
        raise PluginError(f"{name!r} will not do: {owner} has a {catalog.singular(kind)} of that name")
    if importlib.util.find_spec(name) is not None:
        raise PluginError(f"{name!r} will not do: {name}.py would hide the Python module of that name")

"""Blocks: how each is made, the key that follows from it, and the finished ones on disk."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.data.dataset import Dataset
from harness.errors import DataError
from harness.plugin.block import Block
from harness.plugin.items import Items
from harness.run.block_writer import ARRAY_FILE, count_rows
from harness.suite import spec
from harness.suite.catalog import Catalog
from harness.utils.hashing import canonical_json, digest, library_versions

BLOCK_SCHEMA = 1


@dataclass(frozen=True)
class Recipe:
    """How one block is made, and the key that its content follows from."""

    name: str
    maker: Any  # Embedder or FeatureSet
    key: str
    reference: tuple[str, str, str | None]
    parts: Mapping[str, Any] = field(default_factory=dict)  # what the key is the hash of, by name

    @property
    def kind(self) -> str:
        return "embedding" if hasattr(self.maker, "embed") else "feature"


def recipes(blocks: Mapping[str, Any], dataset: Dataset, catalog: Catalog, memo: Path) -> dict[str, Recipe]:
    """Return the recipe of every block. Nothing is made."""
    made = {}
    for name, maker in blocks.items():
        made[name] = recipe(name, maker, dataset.items, catalog, memo)
    return made


def recipe(name: str, maker: Any, items: Items, catalog: Catalog, memo: Path) -> Recipe:
    """Return the recipe of one block of these rows; its maker is pinned. Raises DataError where it lacks a file."""
    entry = catalog.of(maker)
    try:
        maker = maker.pinned() if hasattr(maker, "pinned") else maker
        what = spec.identity(maker, memo)
        rows = _hash_texts(items, memo) if getattr(maker, "text_only", False) else items.identity
    except DataError as error:
        raise DataError(f"block {name!r}: {error}") from None
    except OSError as error:
        raise DataError(f"block {name!r}: {error.filename}: {error.strerror}") from None
    libraries = library_versions() | _module_versions(getattr(maker, "requires", ()))
    key = digest(BLOCK_SCHEMA, rows, what, entry.identity(), libraries)
    made_by = {"distribution": f"{entry.distribution} {entry.version}".strip(), "files": entry.code()}
    parts = {"rows": rows, "maker": what, "code": made_by, "libraries": libraries}
    return Recipe(name, maker, key, entry.reference(), parts)


def _module_versions(modules: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of the distributions that are called as their modules are."""
    found = {}
    for module in modules:
        with suppress(PackageNotFoundError):
            found[module] = version(module)
    return found


def _hash_texts(items: Items, memo: Path) -> str:
    """Return the hash of the conversations in row order, noted under the identity of the items."""
    note = memo / f"texts-{items.identity[:32]}.json"
    try:
        known = json.loads(note.read_text())
        if known["items"] == items.identity:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no note yet, or a torn one: read again
    state = hashlib.sha256()
    for conversation in items.conversations():
        state.update(canonical_json(conversation).encode() + b"\n")
    note.parent.mkdir(parents=True, exist_ok=True)
    scratch = note.with_suffix(f".{os.getpid()}")
    scratch.write_text(canonical_json({"items": items.identity, "sha256": state.hexdigest()}))
    scratch.replace(note)
    return state.hexdigest()


def is_made(recipe: Recipe, cache: Path) -> bool:
    """Say whether the block is on disk."""
    folder = cache / "blocks" / recipe.key
    return (folder / "block.json").exists() and count_rows(folder / ARRAY_FILE) > 0


def array_file(recipe: Recipe, cache: Path) -> Path:
    """Return the file with the array of a block that is on disk."""
    return cache / "blocks" / recipe.key / ARRAY_FILE


def open_block(recipe: Recipe, cache: Path) -> Block:
    """Map a block that is on disk."""
    folder = cache / "blocks" / recipe.key
    about = json.loads((folder / "block.json").read_text())
    return Block.open(str(folder.absolute() / ARRAY_FILE), about["kind"], tuple(about["names"]), recipe.key)

"""Blocks: recipes, their keys, and the finished blocks on disk."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.data.dataset import Dataset
from harness.errors import DataError, describe_error
from harness.plugin.block import Block
from harness.plugin.items import Items
from harness.run.block_writer import ARRAY_FILE
from harness.run.checksums import SealedFolder
from harness.suite import spec
from harness.suite.catalog import Catalog
from harness.utils.files import FULL_DISK, replace_text
from harness.utils.hashing import canonical_json, digest, library_versions

BLOCK_SCHEMA = 1
RECORD_FILE = "block.json"


@dataclass(frozen=True)
class Recipe:
    """How a block is made, and the key that follows from it."""

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
    return {name: recipe(name, maker, dataset.items, catalog, memo) for name, maker in blocks.items()}


def recipe(name: str, maker: Any, items: Items, catalog: Catalog, memo: Path) -> Recipe:
    """Return the recipe of a block of these rows.

    The maker's revision is pinned. Raises DataError where a file of the maker is missing.
    """
    entry = catalog.of(maker)
    try:
        maker = maker.pinned() if hasattr(maker, "pinned") else maker
        maker_identity = spec.identity(maker, memo)
        rows = _hash_texts(items, memo) if getattr(maker, "text_only", False) else items.identity
    except DataError as error:
        raise DataError(f"block {name!r}: {error}", ("blocks", name)) from None
    except KeyboardInterrupt:
        raise
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            raise  # of the cache
        named = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else None
        reason = named or f"{items.path}: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
        raise DataError(f"block {name!r}: {reason}", ("blocks", name)) from None
    except BaseException as error:
        raise DataError(f"block {name!r}: {describe_error(error)}", ("blocks", name)) from None
    libraries = library_versions() | _module_versions(getattr(maker, "requires", ()))
    key = digest(BLOCK_SCHEMA, rows, maker_identity, entry.identity(), libraries)
    code = {"distribution": f"{entry.distribution} {entry.version}".strip(), "files": entry.code()}
    parts = {"rows": rows, "maker": maker_identity, "code": code, "libraries": libraries}
    return Recipe(name, maker, key, entry.reference(), parts)


def _module_versions(modules: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of the distributions named like these modules."""
    versions = {}
    for module in modules:
        with suppress(PackageNotFoundError):
            versions[module] = version(module)
    return versions


def _hash_texts(items: Items, memo: Path) -> str:
    """Return the hash of the conversations, in row order.

    It is kept in the folder `memo` under the identity of the items.
    """
    note = memo / f"texts-{items.identity[:32]}.json"
    try:
        cached = json.loads(note.read_text())
        if cached["items"] == items.identity:
            return str(cached["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no note yet, or an unreadable one
    state = hashlib.sha256()
    for conversation in items.conversations():
        state.update(canonical_json(conversation).encode() + b"\n")
    replace_text(note, canonical_json({"items": items.identity, "sha256": state.hexdigest()}))
    return state.hexdigest()


def sealed_block(recipe: Recipe, cache: Path, path: Path | None = None) -> SealedFolder:
    """Return the folder of a block; `path` is where it is being made."""
    path = path or cache / "blocks" / recipe.key
    return SealedFolder(path, RECORD_FILE, (ARRAY_FILE,), cache, f"block {recipe.name!r}")


def is_made(recipe: Recipe, cache: Path) -> bool:
    """Return True if the block is on disk, as it was written."""
    return sealed_block(recipe, cache).is_intact()


def array_file(recipe: Recipe, cache: Path) -> Path:
    """Return the file with the array of a block that is on disk."""
    return cache / "blocks" / recipe.key / ARRAY_FILE


def open_block(recipe: Recipe, cache: Path) -> Block:
    """Map a block that is on disk. Raises DataError where it is not."""
    folder = sealed_block(recipe, cache)
    record = folder.read() if folder.is_intact() else None
    if record is None:
        raise DataError(f"block {recipe.name!r} is not on disk, or damaged: harness run or harness embed makes it")
    return Block.open(str(array_file(recipe, cache).absolute()), record["kind"], tuple(record["names"]), recipe.key)

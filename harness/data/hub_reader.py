"""Read the files of a data set of the hub as the `datasets` library does.

It decides which files are a split, in which format, and the features that the card gives them: its configurations and
the names of its ClassLabels. Nothing here needs a network: the library is given folders of this machine.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import DataError, did_you_mean, first_few, printable
from harness.utils.files import DISK_ERRORS, replacing
from harness.utils.hashing import canonical_json, digest

ONE_SHARD = "1PB"  # more than a split has
MAX_REASON = 300  # characters of a message of the library


@dataclass(frozen=True)
class HubSplit:
    """The files of a split, and how they are read."""

    name: str  # train, en/train, or a pattern of files
    files: tuple[str, ...]  # in their order, relative to the repository
    builder: Any  # a DatasetBuilder of the library

    @property
    def is_parquet(self) -> bool:
        """Whether the files are parquet files, which need no conversion."""
        return str(type(self.builder).__module__).endswith(".parquet")

    def has_features_of(self, file: Path) -> bool:
        """Return True if a parquet file has the features of the card."""
        from datasets import Features

        features = self.builder.info.features
        return features is None or bool(Features.from_arrow_schema(pq.read_schema(file)) == features)

    @property
    def schema(self) -> pa.Schema:
        """The columns by the card, with the names of its ClassLabels."""
        return self.builder.info.features.arrow_schema

    @cached_property
    def recipe(self) -> str:
        """The hash of all that decides how the files are read."""
        features, config = self.builder.info.features, self.builder.config
        options = {name: repr(value) for name, value in vars(config).items() if name not in ("data_files", "data_dir")}
        return digest(type(self.builder).__module__, options, features and canonical_json(features.to_dict()))


def choose_split(folder: Path, part: str | None, address: str, scratch: Path) -> HubSplit:
    """Return the split that `part` of an address names.

    `folder` has the card and the files of the repository, which may be empty: their names count. The library unpacks
    files in `scratch`. Raises DataError.
    """
    if part is not None and PurePosixPath(part).suffix:
        names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
        chosen = [part] if part in names else [name for name in names if fnmatchcase(name, part)]
        if not chosen:
            raise DataError(f"{address}: no file is called {part!r}{did_you_mean(part, names)}")
        builder = _open_builder(folder, address, scratch, data_files={"train": chosen})
        return HubSplit(part, tuple(chosen), builder)
    config, _, split = (part or "").rpartition("/")
    builder = _builder_of(folder, config, address, scratch)
    splits = {str(name): files for name, files in builder.config.data_files.items()}
    name = split or ("train" if "train" in splits or len(splits) > 1 else next(iter(splits)))
    if name not in splits:
        if split:
            raise DataError(f"{address}: no split is called {split!r}{did_you_mean(split, splits)}")
        raise DataError(
            f"{address}: holds several splits ({', '.join(splits)}); name one, as {address}:{next(iter(splits))}"
        )
    files = tuple(Path(file).relative_to(folder.absolute()).as_posix() for file in splits[name])
    if not config and not _has_configurations(folder):
        _refuse_folders(files, name, address)
    return HubSplit(f"{config}/{name}" if config else name, files, builder)


def _has_configurations(folder: Path) -> bool:
    """Return True if the card of a repository assigns files to splits."""
    card = folder / "README.md"
    return card.exists() and re.search(r"^configs:", card.read_text("utf-8"), re.MULTILINE) is not None


def _refuse_folders(files: Sequence[str], split: str, address: str) -> None:
    """Raise DataError where a split would join folders that no card joins.

    They are languages or years rather than parts of one table.
    """
    folders = sorted({PurePosixPath(file).parts[0] for file in files if "/" in file})
    if len(folders) > 1:
        named = f"{address.removesuffix(f':{split}')}:{folders[0]}/{split}"
        joined = f"the files of {split} are in the folders {first_few(folders)}, which no card joins"
        raise DataError(f"{address}: {joined}; name one, as {named}, or files by a pattern")


def _builder_of(folder: Path, config: str, address: str, scratch: Path) -> Any:
    """Return the builder of a configuration, "" for that of the repository.

    Without a card a folder is a configuration.
    """
    from datasets import get_dataset_config_names

    with one_line(address):
        configs = get_dataset_config_names(str(folder))
    if config and config not in configs and (folder / config).is_dir():
        return _open_builder(folder, address, scratch, data_dir=config)
    if config and config not in configs:
        raise DataError(f"{address}: no configuration is called {config!r}{did_you_mean(config, configs)}")
    try:
        return _open_builder(folder, address, scratch, name=config or None)
    except DataError:
        if config or len(configs) < 2:
            raise
        named = f"{':'.join(address.split(':')[:2])}:{configs[0]}/train"
        raise DataError(f"{address}: has the configurations {first_few(configs)}; name one, as {named}") from None


def _open_builder(folder: Path, address: str, scratch: Path, **choice: Any) -> Any:
    from datasets import load_dataset_builder

    with one_line(address):
        return load_dataset_builder(str(folder.absolute()), cache_dir=str(scratch), **choice)


@contextmanager
def one_line(address: str) -> Iterator[None]:
    """Raise DataError in one line where the library raises; it prints none."""
    from datasets import disable_progress_bars
    from datasets.exceptions import DataFilesNotFoundError
    from datasets.utils import logging

    disable_progress_bars()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    except DataError:
        raise
    except DataFilesNotFoundError:
        raise DataError(f"{address}: holds no file in a format that the `datasets` library reads") from None
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, OSError) and cause.errno in DISK_ERRORS:
            raise cause from None
        reason = " ".join(printable(str(cause)).split())[:MAX_REASON] or type(cause).__name__
        raise DataError(f"{address}: {reason}") from None


def write_parquet(split: HubSplit, files: Sequence[Path], target: Path, address: str, scratch: Path) -> None:
    """Write the rows of files of another format to one parquet file.

    They are read in pieces, and never in memory together. Raises DataError.
    """
    from datasets.data_files import DataFilesDict, DataFilesList

    if target.exists():
        return
    with one_line(address):
        config = split.builder.config
        paths = DataFilesList([os.fspath(file.absolute()) for file in files], [(file.name,) for file in files])
        config.data_files = DataFilesDict({"train": paths})
        split.builder.download_and_prepare(
            f"{scratch}/rows", file_format="parquet", max_shard_size=ONE_SHARD, verification_mode="no_checks"
        )
        (written,) = Path(scratch, "rows").glob("*.parquet")
        with replacing(target) as whole:
            shutil.move(written, whole)

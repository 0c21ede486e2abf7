"""Fetch data sets of the Hugging Face hub.

Their address is ``hub:OWNER/NAME``, with ``@REVISION`` and ``:SPLIT`` where wanted. What the local hub cache has is
used as it is; the rest is fetched once. The library reads HF_HOME, HF_HUB_OFFLINE, HF_ENDPOINT and HF_TOKEN.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import DataError, did_you_mean, printable
from harness.plugin.items import READ_BYTES
from harness.utils.files import replace_text, replacing
from harness.utils.hashing import digest, hash_file
from harness.utils.locks import hold_lock

ADDRESS = re.compile(r"hub:([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([^@:\s]+))?(?::([^:]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
SHARD = re.compile(r"(.+)-(\d+)-of-(\d+)(?:-[0-9a-f]+)?")  # train-00000-of-00002
JOINED_ROWS = 16_384  # rows joined at a time
DEFAULT_FOLDERS = ("data", "default")  # folders that name no configuration
# The words by which the hub's own library assigns files to splits.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


@dataclass(frozen=True)
class Address:
    """A data set of the hub as a suite names it."""

    text: str  # as the user wrote it
    repository: str  # OWNER/NAME
    revision: str  # a branch, a tag or a commit
    part: str | None  # a split, CONFIGURATION/SPLIT, or a pattern that ends with .parquet

    @property
    def command(self) -> str:
        """The command that fetches it."""
        revision = "" if self.revision == "main" else f" --revision {self.revision}"
        return f"hf download {self.repository} --repo-type dataset{revision} --include '*.parquet'"


@dataclass(frozen=True)
class HubFile:
    """A data set of the hub as one local parquet file."""

    file: Path
    display_name: str  # the address with the commit that it stands for
    sha256: str


def is_hub(path: str) -> bool:
    """Return True if a path names a data set of the hub."""
    return path.startswith("hub:")


def fetch(path: str, cache: Path) -> HubFile:
    """Return the parquet files of a split as one file.

    Rows are in the order of the files' names. Files that the local hub cache lacks are fetched, unless HF_HUB_OFFLINE
    is set. Raises DataError with advice.
    """
    address = _parse_address(path)
    try:
        from huggingface_hub import constants
    except ImportError:
        raise DataError(f"{path}: needs the Hugging Face hub's library: pip install 'labelharness[hf]'") from None
    home = Path(constants.HF_HUB_CACHE) / f"datasets--{address.repository.replace('/', '--')}"
    commit = _cached_commit(home, address.revision)
    commit, names = _list_files(address, commit, home, cache / "hub")
    split, chosen = choose(names, address.part, path)
    snapshot = home / "snapshots" / commit
    if not all((snapshot / name).exists() for name in chosen):
        snapshot = _download(address, commit, chosen, is_cached=_cached_commit(home, address.revision) == commit)
    _check_complete(snapshot, chosen, address)
    display_name = f"hub:{address.repository}@{snapshot.name}:{split}"
    files = [snapshot / name for name in chosen]
    hashes = [hash_file(file, cache / "digests") for file in files]
    if len(files) == 1:
        return HubFile(files[0].absolute(), display_name, hashes[0])
    sha256 = digest(hashes)  # not of the joined file, whose bytes depend on who wrote it
    return HubFile(_join_files(files, display_name, cache / "hub" / f"{sha256}.parquet"), display_name, sha256)


def choose(names: Iterable[str], part: str | None, display_name: str) -> tuple[str, list[str]]:
    """Return (split, its files in order) of a repository's parquet files.

    >>> choose(["data/train-1-of-2.parquet", "data/train-0-of-2.parquet", "test.parquet"], None, "hub:a/b")
    ('train', ['data/train-0-of-2.parquet', 'data/train-1-of-2.parquet'])
    """
    names = sorted((name for name in names if name.endswith(".parquet")), key=_sort_key)
    if not names:
        advice = "a data set of another format has a parquet copy if @refs/convert/parquet is put behind its name"
        raise DataError(f"{display_name}: holds no parquet file; {advice}")
    if part is not None and part.endswith(".parquet"):
        chosen = [part] if part in names else [name for name in names if fnmatchcase(name, part)]
        if not chosen:
            raise DataError(f"{display_name}: no file is called {part!r}{did_you_mean(part, names)}")
        return part, chosen
    splits: dict[str, list[str]] = {}
    for name in names:
        splits.setdefault(_split_of(name), []).append(name)
    split = _only_match(list(splits), part)
    if split is not None:
        return split, splits[split]
    if part is None or len(_with_suffix(splits, part)) > 1:
        example = f"{display_name.removesuffix(f':{part}')}:{next(iter(splits))}"
        raise DataError(f"{display_name}: holds several splits ({', '.join(splits)}); name one, as {example}")
    raise DataError(f"{display_name}: no split is called {part!r}{did_you_mean(part, splits)}")


def _parse_address(path: str) -> Address:
    match = ADDRESS.fullmatch(path)
    if match is None or ".." in path:
        advice = "must be hub:OWNER/NAME, with @REVISION and :SPLIT where wanted, as hub:jlpang888/tulu_300k@main:train"
        raise DataError(f"{path}: {advice}")
    return Address(path, match[1], match[2] or "main", match[3])


def _cached_commit(home: Path, revision: str) -> str | None:
    """Return the commit that the hub cache has for a revision."""
    if COMMIT.fullmatch(revision):
        return revision
    try:
        return (home / "refs" / revision).read_text().strip()
    except OSError:
        return None


def _list_files(address: Address, commit: str | None, home: Path, memo: Path) -> tuple[str, list[str]]:
    """Return the commit and the names of its files.

    The list of a commit never changes: it is fetched once and kept in the folder `memo`. Offline the files in the cache
    are the list, and a missing file of a split may go unnoticed.
    """
    note = memo / f"{address.repository.replace('/', '--')}@{commit}.json"
    if commit is not None and note.exists():
        return commit, json.loads(note.read_text())
    from huggingface_hub import HfApi, constants

    cached = _cached_files(home / "snapshots" / commit) if commit is not None else []
    if commit is not None and cached and constants.HF_HUB_OFFLINE:
        return commit, cached
    if constants.HF_HUB_OFFLINE:
        reason = f"not in the hub cache ({home.parent}), and HF_HUB_OFFLINE is set"
        raise DataError(f"{address.text}: {reason}; where there is a network: {address.command}")
    try:
        info = HfApi().dataset_info(address.repository, revision=commit or address.revision)
    except Exception as error:
        if commit is not None and cached:
            return commit, cached
        raise _refusal(address, error) from None
    names = sorted(file.rfilename for file in info.siblings or () if file.rfilename.endswith(".parquet"))
    sha = str(info.sha)
    replace_text(memo / f"{address.repository.replace('/', '--')}@{sha}.json", json.dumps(names))
    return sha, names


def _cached_files(snapshot: Path) -> list[str]:
    return [file.relative_to(snapshot).as_posix() for file in snapshot.rglob("*.parquet") if file.exists()]


def _download(address: Address, commit: str, names: Sequence[str], is_cached: bool) -> Path:
    """Fetch files into the hub cache; return the folder of the commit."""
    from huggingface_hub import constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        lacking = f"the hub cache lacks files of commit {commit[:12]}, and HF_HUB_OFFLINE is set"
        raise DataError(f"{address.text}: {lacking}; where there is a network: {address.command}")
    try:
        # Only a revision given by its name is recorded in the cache.
        folder = snapshot_download(
            address.repository,
            repo_type="dataset",
            revision=commit if is_cached else address.revision,
            allow_patterns=list(names),
        )
    except Exception as error:
        raise _refusal(address, error) from None
    return Path(folder)


def _refusal(address: Address, error: Exception) -> DataError:
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    match error:
        case GatedRepoError():
            reason = "is gated: accept its terms on its page, and set HF_TOKEN"
        case RepositoryNotFoundError():
            reason = f"no data set of this name at {constants.ENDPOINT}; if it is private, set HF_TOKEN"
        case RevisionNotFoundError():
            reason = f"has no revision {address.revision!r}"
        case _:
            cause = f"{type(error).__name__}: {printable((str(error).strip() or 'no message').splitlines()[0])}"
            reason = (
                f"cannot be fetched from {constants.ENDPOINT}: {cause}; where there is a network: {address.command}"
            )
    return DataError(f"{address.text}: {reason}")


def _check_complete(snapshot: Path, names: Sequence[str], address: Address) -> None:
    """Raise DataError where files of a split are missing."""
    missing = [name for name in names if not (snapshot / name).exists()]
    if missing:
        raise DataError(f"{address.text}: {snapshot / missing[0]} is not there; fetch it: {address.command}")
    shards = [match for name in names if (match := SHARD.fullmatch(PurePosixPath(name).stem))]
    picked = address.part is not None and address.part.endswith(".parquet")
    if not picked and shards and len(names) < int(shards[0][3]):
        lacking = f"{len(names)} of its {int(shards[0][3])} files are in the hub cache"
        raise DataError(f"{address.text}: {lacking}; fetch the others: {address.command}")


def _split_of(name: str) -> str:
    """Return the split of a file, its configuration first: train, en/train."""
    path = PurePosixPath(name)
    shard = SHARD.fullmatch(path.stem)
    words = [
        SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", str(path.with_suffix("")).lower()) if word in SPLIT_NAMES
    ]
    split = shard[1] if shard else words[-1] if words else "train"
    folders = [
        folder for folder in path.parts[:-1] if folder not in DEFAULT_FOLDERS and folder.lower() not in SPLIT_NAMES
    ]
    return "/".join([*folders, split])


def _only_match(splits: list[str], part: str | None) -> str | None:
    """Return the only split that `part` can mean, or None."""
    split = part or "train"
    if split in splits:
        return split
    if part is None and len(splits) == 1:
        return splits[0]
    matches = _with_suffix(splits, split)
    return matches[0] if len(matches) == 1 else None


def _with_suffix(splits: Iterable[str], part: str) -> list[str]:
    return [split for split in splits if split.endswith(f"/{part}")]


def _sort_key(name: str) -> list[Any]:
    """Return a key that sorts the numbers in names by value: 9 before 10."""
    return [int(piece) if piece.isdigit() else piece for piece in re.split(r"(\d+)", name)]


def _join_files(files: Sequence[Path], display_name: str, target: Path) -> Path:
    with hold_lock(target.with_suffix(".lock")):
        if not target.exists():
            schemas = [_schema(file, display_name) for file in files]
            for file, other in zip(files, schemas, strict=True):
                if set(other.names) != set(schemas[0].names):
                    odd = sorted(set(other.names) ^ set(schemas[0].names))[0]
                    raise DataError(f"{display_name}: column {odd!r} is not in both {files[0].name} and {file.name}")
            try:
                schema = pa.unify_schemas(schemas, promote_options="permissive")
                with replacing(target) as scratch, pq.ParquetWriter(scratch, schema) as out:
                    for file in files:
                        with pq.ParquetFile(
                            file, pre_buffer=False, buffer_size=READ_BYTES, page_checksum_verification=True
                        ) as source:
                            for batch in source.iter_batches(JOINED_ROWS):
                                out.write_table(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
            except pa.ArrowException as error:
                reason = printable(str(error).strip().partition("\n")[0])
                raise DataError(f"{display_name}: its files do not have the same types: {reason}") from None
    return target.absolute()


def _schema(file: Path, display_name: str) -> pa.Schema:
    try:
        return pq.read_schema(file).remove_metadata()
    except (pa.ArrowException, OSError) as error:
        reason = printable(str(error).strip().partition("\n")[0])
        raise DataError(f"{display_name}: {file.name} is not a readable parquet file: {reason}") from None

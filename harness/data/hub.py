"""Fetch data sets of the Hugging Face hub.

Their address is ``hub:OWNER/NAME``, with ``@REVISION`` and ``:SPLIT`` where wanted. What the local hub cache has is
used as it is; the rest is fetched once, file by file. The hub's library reads HF_HOME, HF_HUB_OFFLINE, HF_ENDPOINT and
HF_TOKEN. Which files a split has, and how they are read, is up to the `datasets` library.
"""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath

from harness.data import hub_reader
from harness.data.shards import join_files
from harness.errors import DataError, printable
from harness.utils.files import replace_text
from harness.utils.hashing import digest, hash_file
from harness.utils.locks import hold_lock

ADDRESS = re.compile(r"hub:([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([^@:\s]+))?(?::([^:]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
CARD = "README.md"
LIST_SUFFIX = ".files.json"  # of the list of a commit's files
SHARD = re.compile(r"(.+)-(\d+)-of-(\d+)(?:-[0-9a-f]+)?")  # train-00000-of-00002


@dataclass(frozen=True)
class Address:
    """A data set of the hub as a suite names it."""

    text: str  # as the user wrote it
    repository: str  # OWNER/NAME
    revision: str  # a branch, a tag or a commit
    part: str | None  # a split, CONFIGURATION/SPLIT, or a pattern of files such as data/*.csv

    @property
    def command(self) -> str:
        """The command that fetches it."""
        revision = "" if self.revision == "main" else f" --revision {self.revision}"
        return f"hf download {self.repository} --repo-type dataset{revision}"


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
    """Return the rows of a split as one parquet file.

    They are in the order of the `datasets` library. Files that the local hub cache lacks are fetched, unless
    HF_HUB_OFFLINE is set. Raises DataError with advice.
    """
    address = _parse_address(path)
    try:
        from huggingface_hub import constants

        import_module("datasets")
    except ImportError:
        raise DataError(f"{path}: needs the libraries of the hub: pip install 'labelharness[hf]'") from None
    home = Path(constants.HF_HUB_CACHE) / f"datasets--{address.repository.replace('/', '--')}"
    folder = cache / "hub"
    commit, names = _list_files(address, _cached_commit(home, address.revision), home, folder)
    with _scratch_folder(folder / digest(path)[:16]) as scratch:
        listing = _lay_out(names, _card(address, commit, names, home), scratch / "listing")
        split = hub_reader.choose_split(listing, address.part, path, scratch)
        snapshot = home / "snapshots" / commit
        if not all((snapshot / name).exists() for name in split.files):
            is_cached = _cached_commit(home, address.revision) == commit
            snapshot = _download(address, commit, split.files, is_cached)
        _check_complete(snapshot, split.files, address)
        files = [snapshot / name for name in split.files]
        hashes = [hash_file(file, cache / "digests") for file in files]
        display_name = f"hub:{address.repository}@{snapshot.name}:{split.name}"
        origins = [f"{display_name}: {name}" for name in split.files]
        with hub_reader.one_line(display_name):
            has_own_types = split.is_parquet and all(split.has_features_of(file) for file in files)
        if has_own_types and len(files) == 1:
            return HubFile(files[0].absolute(), display_name, hashes[0])
        # Not of the joined file, whose bytes depend on who wrote it.
        sha256 = digest(hashes) if has_own_types else digest(hashes, split.recipe)
        target = folder / f"{sha256}.parquet"
        if split.is_parquet:
            with hub_reader.one_line(display_name):
                join_files(files, origins, target, None if has_own_types else split.schema)
        else:
            hub_reader.write_parquet(split, files, target, display_name, scratch)
    return HubFile(target.absolute(), display_name, sha256)


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
    note = memo / f"{address.repository.replace('/', '--')}@{commit}{LIST_SUFFIX}"
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
    names = sorted(file.rfilename for file in info.siblings or ())
    sha = str(info.sha)
    replace_text(memo / f"{address.repository.replace('/', '--')}@{sha}{LIST_SUFFIX}", json.dumps(names))
    return sha, names


def _card(address: Address, commit: str, names: Sequence[str], home: Path) -> str | None:
    """Return the card of a data set, which the cache may lack offline."""
    from huggingface_hub import constants

    card = home / "snapshots" / commit / CARD
    if CARD in names and not card.exists() and not constants.HF_HUB_OFFLINE:
        is_cached = _cached_commit(home, address.revision) == commit
        card = _download(address, commit, [CARD], is_cached) / CARD
    return card.read_text("utf-8", "replace") if card.exists() else None


def _lay_out(names: Sequence[str], card: str | None, folder: Path) -> Path:
    """Make a folder of the card and of empty files; return it.

    The `datasets` library assigns files to splits by their names and the card alone.
    """
    for name in names:
        path = PurePosixPath(name)
        if not path.is_absolute() and ".." not in path.parts:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    if card is not None:
        (folder / CARD).write_text(card, "utf-8")
    return folder


@contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    """Make an empty folder for one process, and remove it at the end."""
    with hold_lock(folder.with_suffix(".lock")):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _cached_files(snapshot: Path) -> list[str]:
    return sorted(file.relative_to(snapshot).as_posix() for file in snapshot.rglob("*") if file.is_file())


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
    picked = address.part is not None and PurePosixPath(address.part).suffix
    if not picked and shards and len(names) < int(shards[0][3]):
        lacking = f"{len(names)} of its {int(shards[0][3])} files are in the hub cache"
        raise DataError(f"{address.text}: {lacking}; fetch the others: {address.command}")

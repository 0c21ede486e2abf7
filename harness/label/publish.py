"""Push labels and card to the Hugging Face hub, as a private data set."""

import re
from collections.abc import Mapping
from pathlib import Path

from harness.errors import DataError, HarnessError, printable

REPOSITORY_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def check_repository(repository: str) -> None:
    """Raise HarnessError if nothing can be pushed to `repository`."""
    if not REPOSITORY_NAME.fullmatch(repository):
        raise HarnessError(f"--push {repository}: must be OWNER/NAME")
    try:
        from huggingface_hub import get_token
    except ImportError:
        raise HarnessError(f"--push {repository}: needs the hub's library: pip install 'labelharness[hf]'") from None
    if get_token() is None:
        raise HarnessError(f"--push {repository}: nobody is logged in; set HF_TOKEN, or: hf auth login")


def publish(files: Mapping[str, Path], repository: str) -> str:
    """Push {name: file} to a data set in one commit; return its address.

    A data set that does not exist is created, private. Raises DataError with the hub's reason.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    operations = [CommitOperationAdd(name, str(file)) for name, file in files.items()]
    try:
        api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        api.create_commit(repository, operations, commit_message="Proxy labels", repo_type="dataset")
    except Exception as error:
        reason = printable((str(error).strip() or "no message").splitlines()[0])
        raise DataError(f"--push {repository}: {type(error).__name__}: {reason}; the files are written here") from None
    return f"{api.endpoint}/datasets/{repository}"

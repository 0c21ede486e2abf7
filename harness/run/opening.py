"""Open suites and their runs, as the command line and Python do."""

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.run.runner import Options, Run, prepare_run
from harness.run.store import SUITE_FILE, last_run
from harness.suite.catalog import Catalog, discover
from harness.suite.collection import Collection, load_collection
from harness.suite.suite import Suite


def load_suites(suite: Path, plugins: Sequence[Path]) -> tuple[Collection, Catalog]:
    """Read a suite or a list of suites, and the catalog of plugins.

    `suite` may be the folder of a run, such as runs/NAME, which stands for the suite that was run.
    """
    catalog = discover(tuple(plugins))
    return load_collection(suite_file(suite), catalog), catalog


def only_suite(collection: Collection) -> Suite:
    """Return the suite of a file; HarnessError where it lists several."""
    if collection.name:
        raise HarnessError(f"{collection.file}: is a list of suites; name one of them")
    return collection.suites[0]


def suite_file(path: Path) -> Path:
    """Return a suite file; of a run's folder, the one that it recorded."""
    return _suite_of_run(path) if path.is_dir() else path


def _suite_of_run(folder: Path) -> Path:
    """Return the suite file that the last run in this folder recorded."""
    file = last_run(folder).get("file")
    if not isinstance(file, str):
        raise HarnessError(
            f"{folder}: is a folder without the {SUITE_FILE} that a run notes there; give the suite's file"
        )
    path = Path(file)
    if not path.is_file():
        raise HarnessError(f"{folder}: its suite {path} is not there any more; give the suite's file")
    working_directory = Path.cwd()  # pages name the file as a person in this folder would
    return path.relative_to(working_directory) if path.is_relative_to(working_directory) else path


def open_run(
    suite: Suite, catalog: Catalog, options: Options, notice: Callable[[str], None], use_recorded: bool = True
) -> Run:
    """Open the data of one suite and plan its cells.

    With `use_recorded`, options left at their defaults are those of the suite's last run: after a run with --threads 1
    other commands mean the same cells without that option.
    """
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"--output {options.output}: {error.strerror}") from None
    if use_recorded:
        options = options.with_defaults_from(last_run(options.output / "runs" / suite.name))
    return prepare_run(suite, catalog, options, notice)

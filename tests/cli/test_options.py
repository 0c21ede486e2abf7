"""The options that commands share, and a run's folder as its suite."""

import json
import re
import shutil
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Annotated

import pytest
import typer.main
from typer.testing import CliRunner

from harness.cli.app import app
from harness.cli.options import RUN_OPTIONS, SUITE_OPTIONS, SharedOptions, load_suites, with_options
from harness.errors import HarnessError
from harness.run.store import last_run
from tests.command_line import board, harness, table, write_suite

pytestmark = pytest.mark.slow

RUN = Path("runs/small")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with a suite that was run from it."""
    folder = tmp_path_factory.mktemp("run")
    write_suite(folder, ["majority", "prior"])
    done = harness("run", "suite.yaml", "--threads", 1, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(run, tmp_path, monkeypatch):
    """A copy of that folder, whose run is of the suite there; we are in it."""
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy" / RUN / "suite.json").write_text(json.dumps({"file": str(tmp_path / "copy" / "suite.yaml")}))
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def test_a_run_notes_the_suite_that_it_is_of(run):
    recorded = json.loads((run / RUN / "suite.json").read_text())
    assert recorded.pop("kernels")
    assert recorded == {"file": str(run / "suite.yaml"), "threads": 1, "device": "auto", "twin_rows": None}
    assert list((run / RUN / "scratch").iterdir()) == []


def test_it_is_read_as_the_suite_is(folder, tmp_path, monkeypatch):
    by_folder, by_file = (load_suites(path, None)[0] for path in (RUN, Path("suite.yaml")))
    assert by_folder == by_file, "file name and all: what is written from it is the same"
    monkeypatch.chdir(tmp_path)
    assert load_suites(folder / RUN, None)[0].file == Path("copy/suite.yaml")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_suites(folder / RUN, None)[0].suites[0].file == folder / "suite.yaml"


def test_the_same_run_goes_on_and_its_board_stays(folder):
    before = board(folder)
    assert harness("leaderboard", RUN, "--check", "--threads", 1, cwd=folder).returncode == 0
    done = harness("run", RUN, "--threads", 1, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "2 cells, 2 of them finished before" in done.stderr
    assert board(folder) == before
    assert last_run(folder / RUN)["file"] == str(folder / "suite.yaml")


def test_commands_after_a_run_need_not_be_told_its_threads_again(tmp_path):
    write_suite(tmp_path, ["majority", "prior"])
    assert harness("run", "suite.yaml", "--threads", 3, cwd=tmp_path).returncode == 0
    assert harness("status", "suite.yaml", cwd=tmp_path).stdout.endswith("2 finished\n")
    assert harness("status", "suite.yaml", "--threads", 2, cwd=tmp_path).stdout.endswith("2 missing\n")
    assert harness("leaderboard", "suite.yaml", "--check", cwd=tmp_path).returncode == 0
    planned = harness("plan", "suite.yaml", "--threads", 3, cwd=tmp_path)
    assert "2 cells, 2 finished, 0 to run" in planned.stdout
    (tmp_path / RUN / "suite.json").write_text('{"threads": "many", "twin_rows": [], "device": 1}')
    assert harness("status", "suite.yaml", "--threads", 3, cwd=tmp_path).stdout.endswith("2 finished\n")


def test_a_suite_that_has_gone_is_named(folder):
    (folder / "suite.yaml").unlink()
    done = harness("validate", RUN, cwd=folder)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {RUN}: its suite {folder / 'suite.yaml'} is not there any more; give the suite's file\n"
    )


@pytest.mark.parametrize("content", [None, "", "{torn", "[]", "{}", '{"file": 7}'])
def test_a_folder_of_no_run_is_refused_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "suite.json").write_text(content)
    with pytest.raises(HarnessError) as error:
        load_suites(tmp_path, None)
    assert (
        str(error.value)
        == f"{tmp_path}: is a folder without the suite.json that a run notes there; give the suite's file"
    )


def test_every_command_reads_a_suite_in_this_one_way():
    """A command with a SUITE argument reads it by a function of `options`."""
    harness = Path(__file__).parents[2] / "harness"
    above = {
        file: file.read_text() for part in ("run", "cli", "label", "audit") for file in (harness / part).glob("*.py")
    }
    readers = [file.stem for file, text in above.items() if re.search(r"\bload_(collection|suite)\b", text)]
    assert sorted(readers) == ["init", "opening"]  # init checks the suite that it has written
    sources = {file.stem: file.read_text() for file in (harness / "cli").glob("*.py")}
    for name, command in typer.main.get_command(app).commands.items():
        if any("SUITE" in (each.metavar or "") for each in command.params if each.param_type_name == "argument"):
            module = command.callback.__module__.rpartition(".")[2]
            assert re.search(r" (load_suites|open_runs)\(", sources[module]), name


@dataclass(frozen=True)
class PatientOptions(SharedOptions):
    timeout: Annotated[float, typer.Option(help="Seconds of patience.")] = 5


@dataclass(frozen=True)
class Person:
    name: Annotated[str, typer.Option()]
    age: Annotated[int, typer.Option()] = 30


def test_the_fields_of_dataclasses_are_options_in_their_places():
    calls = []

    @with_options("output", "timeout", "jobs")
    def greet(greeting: str, person: Person, *, options: PatientOptions) -> None:
        calls.append((greeting, person, options))

    assert list(signature(greet).parameters) == ["greeting", "name", "age", "jobs", "timeout", "output"]
    small = typer.Typer()
    small.command()(greet)
    text = CliRunner().invoke(small, ["--help"], env={"COLUMNS": "200"}).stdout
    assert "Seconds of patience." in text
    assert "Cells at a time." in text
    assert "--device" not in text
    assert CliRunner().invoke(small, ["hello", "--name", "Ada", "-j", "3"]).exit_code == 0
    greet(greeting="hi", name="Bob", age=7)
    assert calls == [
        ("hello", Person("Ada"), PatientOptions(jobs=3)),
        ("hi", Person("Bob", 7), PatientOptions()),
    ]
    assert CliRunner().invoke(small, ["hello"]).exit_code == 2, "--name is required"
    assert CliRunner().invoke(small, ["hello", "--name", "Ada", "-j", "0"]).exit_code == 2, "min=1 is checked"


def test_a_shared_option_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="'theads' is not in list"):

        @with_options("theads")
        def command(*, options: SharedOptions) -> None: ...


def test_the_defaults_of_a_run_are_those_of_the_command_line():
    options = SharedOptions().to_run_options()
    assert options == type(options)()
    assert replace(SharedOptions(), engine="faiss", output=None).to_run_options() == replace(options, engine="faiss")
    with pytest.raises(HarnessError, match="--engine fais: there is no such engine; did you mean 'faiss'"):
        replace(SharedOptions(), engine="fais").to_run_options()


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("run", {*RUN_OPTIONS, "engine"}),
        *((name, {*RUN_OPTIONS}) for name in ("plan", "audit", "label")),
        *((name, {*SUITE_OPTIONS}) for name in ("status", "leaderboard", "report", "why")),
        ("compare", {*SUITE_OPTIONS, "require_real"}),
        ("diagnose", {*SUITE_OPTIONS, "engine"}),
    ],
)
def test_commands_have_the_options_that_they_share(name, shared):
    parameters = {parameter.name for parameter in typer.main.get_command(app).commands[name].params}
    assert parameters & signature(SharedOptions).parameters.keys() == shared


@pytest.mark.parametrize(
    ("command", "file"),
    [(["label", "suite.yaml"], "labels.parquet"), (["embed", "data.parquet", "--embedder", "slow"], "new/out.npy")],
    ids=["label", "embed"],
)
def test_a_file_after_o_is_refused_with_the_option_to_write_it_by(tmp_path, command, file):
    write_suite(tmp_path, ["majority"])
    before = sorted(tmp_path.rglob("*"))
    done = harness(*command, "-o", file, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: -o {file}: is the folder of runs/ and leaderboards/; the file to write is --to {file}\n"
    )
    done = harness(*command, cwd=tmp_path)
    suffix = Path(file).suffix
    assert (done.returncode, done.stderr) == (
        2,
        f"error: --to is missing: the {suffix} file to write, such as --to out{suffix}\n",
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_the_folder_of_the_run_is_o_in_every_command(tmp_path):
    write_suite(tmp_path, ["majority"], table(unlabelled=40))
    assert harness("run", "suite.yaml", "-o", "elsewhere", "--threads", 1, cwd=tmp_path).returncode == 0
    done = harness("label", "suite.yaml", "--to", "labels.parquet", "-o", "elsewhere", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "labels.parquet").exists()
    assert sorted(path.name for path in (tmp_path / "elsewhere/runs").iterdir()) == ["cache", "small", "small-labels"]
    assert not (tmp_path / "runs").exists()
    for name, command in typer.main.get_command(app).commands.items():
        for parameter in command.params:
            if "-o" in parameter.opts or "--output" in parameter.opts:
                assert set(parameter.opts) == {"-o", "--output"}, name

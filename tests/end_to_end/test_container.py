"""The image and the action: their files read as their programs read them, their steps run as they run them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.command_line import PATIENCE, write_suite
from tests.conftest import ROOT

ACTION = YAML(typ="safe").load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "name" in step}
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def instructions():
    """Return (name, arguments) of each instruction of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def of(name):
    return [arguments for instruction, arguments in instructions() if instruction == name]


def test_the_image_copies_what_the_wheel_is_built_of():
    copied = {name for line in of("COPY") for name in line.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]}
    needed |= {project["project"]["readme"], *project["project"]["license-files"], "pyproject.toml"}
    assert all(any(Path(name).is_relative_to(folder) for folder in copied) for name in needed)
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    assert allowed == copied


def test_the_image_runs_the_command_as_nobody_and_pins_what_was_tested():
    (user,) = of("USER")
    assert int(user) >= 1000
    assert instructions()[-4:] == [
        *(("USER", user), ("WORKDIR", "/data")),
        *(("ENTRYPOINT", '["harness"]'), ("CMD", '["--help"]')),
    ]
    (install,) = [line for line in of("RUN") if "pip install" in line]
    assert f"--uid {user} " in install
    assert "pip install --no-cache-dir -c constraints.txt ." in install
    (torch,) = set(re.findall(r"torch==[\d.]+", install))
    assert torch in (ROOT / "constraints.txt").read_text().splitlines()
    assert torch in STEPS["Install"]["run"]


@pytest.fixture
def folder():
    """A folder that every user can reach, which pytest's are not."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def masked(scratch):
    """Return shell commands that open the way to the interpreter for other users, in this name space alone."""
    base = Path(sys.base_prefix)
    closed = next((path for path in reversed(base.parents) if not path.stat().st_mode & 0o001), None)
    if closed is None:
        return []
    kept = scratch / "kept"
    return [
        f"mkdir {kept} && mount --bind {closed} {kept} && mount -t tmpfs -o mode=755 tmpfs {closed}",
        f"mkdir -p {base} && mount --bind {kept / base.relative_to(closed)} {base}",
    ]


@pytest.mark.slow  # a whole run, in a start of Python without caches
def test_a_run_as_another_user_writes_nowhere_but_in_the_two_folders(folder):
    """Make all else read-only, take the variables of the image, and let its user give the command."""
    if sys.platform != "linux" or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    (user,), (variables,) = of("USER"), of("ENV")
    data, scratch = folder / "data", folder / "tmp"
    for path in (data, scratch):
        path.mkdir()
    write_suite(data, ["majority", {"knn": {"on": "embedding"}}])
    for path in (data, *data.iterdir()):
        os.chown(path, int(user), int(user))
    before = {path for path in ROOT.rglob("*.nb?") if ".venv" not in path.parts}
    environment = [f"PATH={os.environ['PATH']}", *re.sub(r"/tmp\b", str(scratch), variables).split()]
    command = ["env", "-i", *environment, sys.executable, "-P", "-m", "harness", "run", "suite.yaml"]
    script = [
        f"mount --bind {data} {data} && mount -t tmpfs -o mode=1777 tmpfs {scratch}",
        *masked(scratch),
        "mount -o remount,bind,ro /",
        f"! touch {ROOT}/written 2> /dev/null",
        f"cd {data} && exec setpriv --reuid {user} --regid {user} --clear-groups {shlex.join(command)}",
    ]
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", " && ".join(script)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    page = data / "leaderboards" / "small" / "README.md"
    assert "knn(on=embedding)" in page.read_text()
    assert page.stat().st_uid == int(user)
    assert {path for path in ROOT.rglob("*.nb?") if ".venv" not in path.parts} == before


def test_the_action_has_what_github_asks_for():
    assert ACTION.keys() == {"name", "description", "author", "inputs", "outputs", "runs"}
    for declared in ACTION["inputs"].values():
        assert declared.keys() <= {"description", "required", "default"}
        assert declared["description"]
        assert declared.get("required", False) != ("default" in declared)
        assert isinstance(declared.get("default", ""), str)
    assert ACTION["runs"]["using"] == "composite"
    identities = {step["id"] for step in ACTION["runs"]["steps"] if "id" in step}
    for step in ACTION["runs"]["steps"]:
        assert step.keys() <= {"name", "id", "if", "uses", "with", "shell", "env", "run"}
        assert ("run" in step) == ("shell" in step) == ("uses" not in step)
        assert "uses" not in step or re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
    text = (ROOT / "action.yml").read_text()
    used = [words for expression in EXPRESSION.findall(text) for words in re.findall(r"[\w.-]+", expression)]
    inputs = {name.removeprefix("inputs.") for name in used if name.startswith("inputs.")}
    assert inputs == ACTION["inputs"].keys()
    assert {name.split(".")[1] for name in used if name.startswith("steps.")} <= identities


@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if "run" in step])
def test_a_script_of_the_action_takes_its_values_from_the_environment(name):
    """An input that stood in the script itself would be run as a part of it."""
    step = STEPS[name]
    assert not EXPRESSION.search(step["run"])
    variables = set(re.findall(r"\$\{?([A-Z_]+)", step["run"]))
    assert variables - {"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} == set(step.get("env", {}))
    assert subprocess.run(["bash", "-n"], input=step["run"], text=True).returncode == 0


@pytest.fixture
def steps(tmp_path):
    """A function that runs a step of the action as GitHub does, with the inputs of a job."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "harness"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m harness "$@"\n')
    program.chmod(0o755)

    def run(name, **inputs):
        values = {f"inputs.{key}": declared.get("default") for key, declared in ACTION["inputs"].items()}
        values |= {f"inputs.{key.replace('_', '-')}": value for key, value in inputs.items()}
        values["runner.temp"] = str(tmp_path / "temp")
        step = STEPS[name]
        variables = {
            key: EXPRESSION.sub(lambda match: values[match[1]], text) for key, text in step.get("env", {}).items()
        }
        files = {file: str(tmp_path / file.lower()) for file in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        path = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        environment = os.environ | path | files | variables
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE)

    return run


@pytest.mark.slow  # four commands, each a start of Python
def test_the_steps_show_the_board_and_stop_where_a_suite_is_worse(steps, tmp_path):
    good = write_suite(tmp_path, [{"knn": {"on": "embedding"}, "as": "mine"}]).rename(tmp_path / "good.yaml")
    suite = good.read_text()
    good.write_text(suite.replace('"small"', '"good"'))
    bad = tmp_path / "bad; touch injected.yaml"
    bad.write_text(suite.replace('"small"', '"bad"').replace('"knn"', '"majority"').replace('"on": "embedding"', ""))
    done = steps("Run", suite=bad.name, jobs="2")
    assert done.returncode == 0, done.stderr
    boards = tmp_path / "temp" / "labelharness" / "leaderboards"
    assert (tmp_path / "github_output").read_text() == f"boards={boards}\n"
    done = steps("Compare", suite=bad.name, against="good.yaml", fail_if="accuracy:-0.5pp\n mae:+0.02")
    assert done.returncode == 3, done.stderr
    assert steps("Show the boards").returncode == 0
    summary = (tmp_path / "github_step_summary").read_text()
    assert summary == "".join((boards / name / "README.md").read_text() for name in ("bad", "good"))
    assert not (tmp_path / "injected.yaml").exists()
    done = steps("Compare", suite=bad.name, fail_if="accuracy:-0.5pp")
    assert (done.returncode, done.stderr) == (2, "error: fail-if needs against, the suite to compare with\n")

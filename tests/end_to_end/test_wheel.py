"""Wheel and source distribution: what is in them, and that they work where nothing else of the project is."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.command_line import PATIENCE, board, events, ranks, write_suite

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
NOT_SOURCE = (".*", "raw_data", "runs", "leaderboards", "dist", "build", "__pycache__", "*.egg-info")
MADE = {"PKG-INFO"}  # in the source distribution, though no file of the project: its metadata
LEFT_OUT: set[str] = set()  # of the project, though not in the source distribution: nothing
QUICK = ("test_metrics.py", "test_labelling_page.py", "test_project_files.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*NOT_SOURCE))
    build = [*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder / "out", folder / "source"]
    subprocess.run(build, check=True)
    (file,) = (folder / "out").iterdir()
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The Python of a new environment that has the wheel, and of this environment only the dependencies."""
    return environment(tmp_path_factory.mktemp("installed"), wheel)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder], cwd=ROOT, check=True)
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    """The folder of the source distribution's files."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (project,) = folder.iterdir()
    return project


def environment(folder, *package):
    """Make a new environment that has a package, and of this environment only the dependencies; return its Python."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # A .pth file adds folders after the new environment's own and does not read the .pth files in them.
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("-packages")))
    options = ["--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*PIP, "--python", python, "install", "--force-reinstall", *options, *package], check=True)
    return python


def command(python, *arguments, cwd):
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [python, *arguments], cwd=cwd, env=variables, capture_output=True, text=True, timeout=PATIENCE
    )


def files_of(archive):
    """Return {name: content} of a wheel, but for the list of its files."""
    with zipfile.ZipFile(archive) as files:
        return {name: files.read(name) for name in files.namelist() if not name.endswith(".dist-info/RECORD")}


def project_files():
    """Return the files of the project: those that git tracks or would track, all there are where there is no git."""
    if (ROOT / ".git").exists():
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        return {name for name in names if name and (ROOT / name).is_file()}
    made = {"__pycache__", *(folder.strip("/") for folder in (ROOT / ".gitignore").read_text().split())}
    files = (file.relative_to(ROOT) for file in ROOT.rglob("*") if file.is_file())
    return {file.as_posix() for file in files if not made & set(file.parts)} - MADE


def test_it_holds_three_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"harness", "harness_plugins", "labelharness", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    sources = {
        str(file.relative_to(ROOT)) for part in ("harness", "labelharness") for file in (ROOT / part).rglob("*.py")
    }
    sources |= {str(file.relative_to(ROOT / "plugins")) for file in (ROOT / "plugins").rglob("*.py")}
    assert sources <= set(names)
    brought = {
        "harness/py.typed",
        "labelharness/py.typed",
        "harness/data/twin_shares.csv",
        *(f"harness/report/html/report.{kind}" for kind in ("html", "css", "js")),
        *(f"harness/report/html/{name}" for name in ("grid.html", "board.html", "board.css")),
        *(f"harness/cli/templates/{kind}.txt" for kind in ("labeler", "embedder", "features", "splitter", "test")),
        "harness_plugins/data/published_results.csv",
        "harness_plugins/data/recomputed.csv",
    }
    assert brought <= set(names)
    assert not [name for name in names if name.endswith((".pyc", ".parquet", ".npy"))]
    assert files_of(wheel)["harness/cli/quickstart.yaml"] == (ROOT / "suites" / "quickstart.yaml").read_bytes()
    (licence,) = [text for name, text in files_of(wheel).items() if name.endswith(".dist-info/licenses/LICENSE")]
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_installed_it_offers_every_plugin(installed, tmp_path):
    where = "import harness, harness_plugins; print(harness.__file__, harness_plugins.__file__)"
    files = command(installed, "-c", where, cwd=tmp_path).stdout.split()
    assert [Path(file).is_relative_to(installed.parents[1]) for file in files] == [True, True]
    named = (
        "from importlib.metadata import entry_points as e; print(*(f'{p.name}={p.value}' for p in e(group='harness')))"
    )
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["harness"]
    found = command(installed, "-c", named, cwd=tmp_path).stdout.split()
    ours = [point for point in found if point.partition("=")[2].startswith("harness_plugins.")]
    assert sorted(ours) == sorted(f"{name}={module}" for name, module in points.items()), "each is there, and once"
    listed = command(installed, "-m", "harness.cli", "plugins", "--json", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    kinds = {entry["kind"] for entry in events(listed) if entry.get("distribution") == "labelharness"}
    assert kinds == {"embedders", "features", "splitters", "labelers"}
    assert not [entry for entry in events(listed) if "labelharness" in entry.get("broken", "")]


def test_installed_it_runs_a_suite_from_another_folder(installed, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    write_suite(tmp_path, ["majority", {"knn": {"on": "embedding", "k": 7}}])
    script = installed.with_name("harness")
    result = command(script, "run", tmp_path / "suite.yaml", "-o", tmp_path / "out", cwd=tmp_path / "elsewhere")
    assert result.returncode == 0, result.stderr
    assert ranks(tmp_path / "out") == {"knn(on=embedding, k=7)": "1", "majority": "2"}
    assert b"labelharness" in board(tmp_path / "out")["README.md"]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_installed_it_is_imported_by_its_own_name(installed, tmp_path):
    code = (
        "import sys, labelharness as lh; print(lh.__file__, lh.__version__, 'sklearn' in sys.modules); "
        "print(lh.LabelerClassifier('knn', k=3).fit([[0, 1], [1, 0]], ['b', 'a']).predict([[0, 2]]))"
    )
    result = command(installed, "-c", code, cwd=tmp_path)
    file, version, is_loaded, answer = result.stdout.split()
    assert Path(file).is_relative_to(installed.parents[1]), result.stderr
    assert version in installed_version(installed, tmp_path)
    assert (is_loaded, answer) == ("False", "['b']"), "scikit-learn is imported with the classifier"


def installed_version(python, folder):
    return command(
        python, "-c", "from importlib.metadata import version; print(version('labelharness'))", cwd=folder
    ).stdout


def test_installed_it_knows_its_twin(installed, tmp_path):
    twin = "import sys, pathlib; from harness.data import twin; twin.write(pathlib.Path(sys.argv[1]), 100)"
    result = command(installed, "-c", twin, "twin.parquet", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "twin.parquet").stat().st_size > 10_000


def test_installed_it_has_the_suite_of_its_demo(installed, tmp_path):
    code = "from harness.cli import demo; print(demo.quickstart())"
    file = command(installed, "-c", code, cwd=tmp_path).stdout.strip()
    assert Path(file).is_relative_to(installed.parents[1])
    checked = command(installed.with_name("harness"), "validate", file, cwd=tmp_path)
    assert checked.stdout == f"{file}: ok (8 labelers, 3 blocks)\n", checked.stderr


def test_installed_it_shows_its_types_to_others(installed, tmp_path):
    code = "def sizes(task: Task) -> tuple[int, str]:\n    return task.n_classes, task.seed\n"
    (tmp_path / "outside.py").write_text(f"from harness import Task\n\n\n{code}")
    only = "follow_imports = skip\n[mypy-harness.*]\nfollow_imports = normal\n"  # torch's types take ten times as long
    (tmp_path / "mypy.ini").write_text(f"[mypy]\n{only}")
    check = [sys.executable, "-m", "mypy", "--python-executable", installed, "--cache-dir", tmp_path / "cache"]
    result = command(*check, "outside.py", cwd=tmp_path)
    assert '(got "tuple[int, int]", expected "tuple[int, str]")' in result.stdout, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1].startswith("Found 1 error in 1 file"), result.stdout


def test_the_source_distribution_holds_the_project(sdist):
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2]: member for member in archive.getmembers() if member.isfile()}
    assert project_files() - names.keys() == LEFT_OUT
    assert names.keys() - project_files() == MADE
    assert names[".ci/run"].mode & 0o100, "it is run, not read"


def test_a_wheel_of_the_source_distribution_is_the_wheel_of_the_project(wheel, unpacked, tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=unpacked, check=True)
    (other,) = tmp_path.iterdir()
    assert other.name == wheel.name
    assert files_of(other) == files_of(wheel)


def test_tests_of_the_source_distribution_are_found_and_pass(unpacked, tmp_path):
    python = environment(tmp_path / "environment", "-e", unpacked)
    quick = [next((unpacked / "tests").rglob(name)) for name in QUICK]
    where = "import harness, harness_plugins; print(harness.__file__, harness_plugins.__file__)"
    files = command(python, "-c", where, cwd=tmp_path).stdout.split()
    assert [Path(file).is_relative_to(unpacked) for file in files] == [True, True]
    result = command(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *quick, cwd=unpacked)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr

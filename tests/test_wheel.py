"""The wheel: what is in it, and that it works where nothing else of the project is."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from end_to_end import PATIENCE, board, events, ranks, write_suite

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
NOT_SOURCE = (".*", "raw_data", "runs", "leaderboards", "dist", "build", "__pycache__", "*.egg-info")


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
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # A .pth file adds folders after the new environment's own and does not read the .pth files in them.
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("-packages")))
    return python


def command(python, *arguments, cwd):
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )


def test_it_holds_two_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"harness", "harness_plugins", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    sources = {str(file.relative_to(ROOT)) for file in (ROOT / "harness").rglob("*.py")}
    sources |= {str(file.relative_to(ROOT / "plugins")) for file in (ROOT / "plugins").rglob("*.py")}
    assert sources <= set(names)
    brought = {
        "harness/twin_shares.csv",
        *(f"harness/pages/html/report.{kind}" for kind in ("html", "css", "js")),
        *(f"harness/templates/{kind}.txt" for kind in ("labeler", "embedder", "features", "splitter", "test")),
        "harness_plugins/data/published_results.csv",
        "harness_plugins/data/recomputed.csv",
    }
    assert brought <= set(names)
    assert not [name for name in names if name.endswith((".pyc", ".parquet", ".npy"))]


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


def test_installed_it_knows_its_twin(installed, tmp_path):
    twin = "import sys, pathlib; from harness import twin; twin.write(pathlib.Path(sys.argv[1]), 100)"
    result = command(installed, "-c", twin, "twin.parquet", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "twin.parquet").stat().st_size > 10_000

"""A distribution of somebody else's: built, installed beside the harness, and as good as a bundled plugin."""

import os
import subprocess
import sys

import pytest

from tests.command_line import cells, events, harness, ranks, write_suite

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "proxy-centroids"
version = "1.2"

[project.entry-points.harness]
centroids = "proxy_centroids"
"""

LABELER = '''\
"""Label each row like the nearest class mean."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness import On, Task, hookimpl


@dataclass(frozen=True)
class Centroids:
    """Softmax over the negative distances to the class means."""

    name: ClassVar[str] = "centroids"

    on: On
    tau: float = 1.0

    def label(self, task: Task) -> np.ndarray:
        X, X_pool = task.matrix(self.on)  # (n, d), (m, d)
        classes = np.unique(task.y)
        means = np.stack([X[task.y == c].mean(axis=0) for c in classes])
        distance = ((X_pool[:, None].astype(float) - means) ** 2).sum(axis=2)  # (m, classes)
        weight = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / self.tau)
        proba = np.zeros((len(X_pool), task.n_classes))
        proba[:, classes] = weight / weight.sum(axis=1, keepdims=True)
        return proba


@hookimpl
def harness_labelers():
    return [Centroids]
'''


@pytest.fixture(scope="module")
def outsider(tmp_path_factory):
    """The environment in which the distribution is installed."""
    folder = tmp_path_factory.mktemp("outsider")
    (folder / "source" / "proxy_centroids").mkdir(parents=True)
    (folder / "source" / "pyproject.toml").write_text(PROJECT)
    (folder / "source" / "proxy_centroids" / "__init__.py").write_text(LABELER)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    target = folder / "site"
    subprocess.run([*pip, "--no-build-isolation", "--target", target, folder / "source"], check=True)
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(target), os.environ.get("PYTHONPATH")]))}


def test_it_takes_one_short_file_and_one_import():
    assert LABELER.count("\n") < 40
    assert LABELER.count("from harness") + LABELER.count("import harness") == 1


def test_it_is_listed_with_its_distribution(outsider, tmp_path):
    listed = events(harness("plugins", "--json", cwd=tmp_path, env=outsider))
    mine = next(entry for entry in listed if entry.get("name") == "centroids")
    assert mine == {
        "name": "centroids",
        "kind": "labelers",
        "distribution": "proxy-centroids",
        "version": "1.2",
        "help": "Softmax over the negative distances to the class means.",
    }
    assert "centroids" not in harness("plugins", cwd=tmp_path).stdout


def test_it_runs_and_ranks_and_its_cells_follow_its_code(outsider, tmp_path):
    write_suite(tmp_path, ["majority", {"centroids": {"on": "embedding", "tau": 2.0}}])
    result = harness("run", "suite.yaml", cwd=tmp_path, env=outsider)
    assert result.returncode == 0, result.stderr
    assert ranks(tmp_path) == {"centroids(on=embedding, tau=2.0)": "1", "majority": "2"}
    before = cells(tmp_path)
    module = next(iter(outsider["PYTHONPATH"].split(os.pathsep))) + "/proxy_centroids/__init__.py"
    with open(module, "a") as file:  # noqa: PTH123
        file.write("# another line of code\n")
    assert harness("run", "suite.yaml", cwd=tmp_path, env=outsider).returncode == 0
    changed = {key[0] for key, row in cells(tmp_path).items() if row["cell"] != before[key]["cell"]}
    assert changed == {"centroids(on=embedding, tau=2.0)"}


def test_it_passes_the_conformance_kit(outsider, tmp_path):
    result = harness("check", "centroids", cwd=tmp_path, env=outsider)
    assert result.returncode == 0, result.stdout
    outcomes = [line.split()[0] for line in result.stdout.splitlines()[1:]]
    assert len(outcomes) >= 15
    assert set(outcomes) == {"passed"}

"""`harness new`: the files work, and nothing is hidden or overwritten."""

import re
from pathlib import Path

import pytest

from tests.command_line import harness, ranks, run_module, write_suite

KINDS = ("labeler", "embedder", "features", "splitter")
README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with a new plugin of each kind, and the stdout of each command."""
    folder = tmp_path_factory.mktemp("begun")
    said = {}
    for kind in KINDS:
        result = harness("new", kind, f"my_{kind}", "-o", "plugins", cwd=folder)
        assert (result.returncode, result.stderr) == (0, "")
        said[kind] = result.stdout
    return folder, said


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_it_writes_passes_the_kit_by_the_lines_that_it_prints(begun, kind):
    folder, said = begun
    first, check, test, run = said[kind].splitlines()
    assert first == f"wrote plugins/my_{kind}.py and plugins/test_my_{kind}.py; next:"
    assert run.split() == ["harness", "run", "SUITE", "--plugin", f"plugins/my_{kind}.py"]
    checked = harness(*check.split()[1:], cwd=folder)
    assert checked.returncode == 0, checked.stdout
    assert {line.split()[0] for line in checked.stdout.splitlines()[1:]} == {"passed"}
    python, option, module, *arguments = test.split()
    assert (python, option) == ("python", "-m")
    tested = run_module(module, *arguments, "-q", "-p", "no:cacheprovider", cwd=folder)
    assert tested.returncode == 0, tested.stdout
    assert f"{len(checked.stdout.splitlines()) - 1} passed" in tested.stdout


@pytest.mark.slow
def test_all_four_run_in_one_suite(begun):
    folder, _ = begun
    write_suite(
        folder,
        ["majority", {"my_labeler": {"on": ["words", "marks"]}}],
        blocks={"words": {"embedder": "my_embedder", "buckets": 32}, "marks": {"features": "my_features"}},
        splits=[{"splitter": "my_splitter", "ratio": 0.4, "seeds": [1, 2]}],
    )
    plugins = [part for kind in KINDS for part in ("--plugin", f"plugins/my_{kind}.py")]
    result = harness("run", "suite.yaml", *plugins, "--threads", 1, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert ranks(folder)["my_labeler(on=words+marks)"] == "1"  # the score is how long the answer is


@pytest.mark.slow
def test_the_readme_shows_what_is_written(tmp_path):
    assert harness("new", "labeler", "centroid", cwd=tmp_path).returncode == 0
    shown = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert (tmp_path / "centroid.py").read_text() == shown[0]
    assert "harness new labeler centroid" in README


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("labeler", "knn", "'knn' will not do: labelharness 0.2.0 has a labeler of that name"),
        ("splitter", "kfold", "has a splitter of that name"),
        ("features", "text_v1", "has a feature set of that name"),
        ("labeler", "random", "'random' will not do: random.py would hide the Python module of that name"),
        ("labeler", "numpy", "numpy.py would hide the Python module"),
        ("labeler", "task", "'task' will not do: its class would be Task, which the file imports"),
        ("embedder", "iterator", "its class would be Iterator, which the file imports"),
        ("labeler", "Mine", "a name has lower-case letters, digits and _, and is no Python keyword"),
        ("labeler", "class", "is no Python keyword"),
        ("labeler", "1st", "a name has lower-case letters"),
        ("labeler", "../mine", "a name has lower-case letters"),
        ("labeler", "m" * 65, "a name has lower-case letters"),
    ],
)
def test_a_name_that_will_not_do_is_one_line_and_writes_nothing(tmp_path, kind, name, says):
    result = harness("new", kind, name, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("existing", ["mine.py", "test_mine.py"])
def test_nothing_is_overwritten(tmp_path, existing):
    (tmp_path / existing).write_text("# mine\n")
    result = harness("new", "labeler", "mine", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == f"error: {existing} is there already; take another name or another folder with --output\n"
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(existing, "# mine\n")]


@pytest.mark.slow
def test_another_kind_may_have_a_name(tmp_path):
    assert harness("new", "splitter", "majority", cwd=tmp_path).returncode == 0

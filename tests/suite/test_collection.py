"""A list of suites shares cells, and ranks labelers over the same rows."""

import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.data.population import Population
from harness.errors import SuiteError
from harness.report.page_consistency import read_leaderboards
from harness.run.executor import execute
from harness.run.runner import Options, prepare_run
from harness.scoring.collection import joint_leaderboards
from harness.scoring.score_run import score_cells
from harness.suite.catalog import discover
from harness.suite.collection import load_collection
from tests.command_line import harness, table, write_suite

pytestmark = pytest.mark.slow

KNN = {"knn": {"on": "embedding"}, "as": "neighbours"}
WIDE = {"knn": {"on": "embedding", "k": 20}, "as": "neighbours"}  # another labeler of the same name
LINEAR = {"linear": {"on": "embedding", "penalty": 2}}


def suites(folder, **labelers):
    """Write a suite file per name, over the same data, and the list of them."""
    for name, listed in labelers.items():
        write_suite(folder, listed, name=name).rename(folder / f"{name}.yaml")
    file = folder / "all.yaml"
    file.write_text(f"version: 1\nname: all\nsuites: [{', '.join(f'{name}.yaml' for name in labelers)}]\n")
    return file


def run_all(file, folder):
    """Run every suite of a list; return the arguments of `joint_leaderboards`."""
    catalog = discover()
    results = []
    for suite in load_collection(file, catalog).suites:
        ready = prepare_run(suite, catalog, Options(folder, threads=1), lambda text: None)
        execute(ready, lambda *_: None, lambda *_: None)
        results.append((ready, list(score_cells(ready))))
    return results


def test_a_plain_suite_is_itself(tmp_path, catalog):
    loaded = load_collection(write_suite(tmp_path, [KNN]), catalog)
    assert loaded.name is None
    assert [suite.name for suite in loaded.suites] == ["small"]


def test_every_mistake_of_every_file_is_named(tmp_path, catalog):
    file = suites(tmp_path, one=[{"kn": {}}], two=[{"linear": {"on": "embeding"}}])
    with pytest.raises(SuiteError) as caught:
        load_collection(file, catalog)
    assert re.search(r"one\.yaml:\d+: .*did you mean 'knn'", str(caught.value))
    assert re.search(r"two\.yaml:\d+: .*did you mean 'embedding'", str(caught.value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "version: 1\nname: all\nsuites: [onne.yaml]",
            "all.yaml:3: suites[0]: no such file: {}/onne.yaml; did you mean",
        ),
        ("version: 1\nname: all\nsuites: []", "all.yaml:3: suites: must list at least one"),
        ("version: 1\nname: all\nsuites: [one.yaml, one.yaml]", "all.yaml: two of its suites are named 'one'"),
        ("version: 1\nname: a/b\nsuites: [one.yaml]", "all.yaml:2: name: must be letters"),
        ("version: 2\nname: all\nsuites: [one.yaml]", "all.yaml:1: version: must be 1, got 2"),
        ("version: 1\nname: all\nsuites: one.yaml", "all.yaml:3: suites: "),
        ("version: 1\nname: all\nlabelers: []\nsuites: [one.yaml]", "all.yaml:3: labelers: unknown key"),
        ("version: 1\nname: all\nsuites: [all.yaml]", "all.yaml: is itself a list of suites"),
    ],
)
def test_a_wrong_list_is_one_clear_line(tmp_path, catalog, text, message):
    suites(tmp_path, one=[KNN])
    file = tmp_path / "all.yaml"
    file.write_text(text)
    with pytest.raises(SuiteError) as caught:
        load_collection(file, catalog)
    assert message.format(tmp_path) in str(caught.value)


def test_labelers_of_several_suites_are_ranked_over_the_same_rows(tmp_path):
    leaderboards = joint_leaderboards(run_all(suites(tmp_path, one=[KNN], two=[KNN, LINEAR]), tmp_path))
    (joint,) = leaderboards
    assert [run.suite.name for run in joint.runs] == ["one", "two"]
    titles = [row.title for row in joint.leaderboard.rows]
    assert sorted(titles) == [
        "linear(on=embedding, penalty=2.0)",
        "majority",
        "neighbours",
    ]  # the shared cell counts once
    assert all(row.ok == row.total == 1 for row in joint.leaderboard.rows)


def test_different_labelers_of_one_name_carry_the_name_of_their_suite(tmp_path):
    (joint,) = joint_leaderboards(run_all(suites(tmp_path, one=[KNN], two=[WIDE]), tmp_path))
    assert {row.title for row in joint.leaderboard.rows} == {"majority", "neighbours (one)", "neighbours (two)"}


def test_other_labels_are_another_leaderboard(tmp_path):
    file = suites(tmp_path, one=[KNN], two=[KNN])
    rows = table()
    changed = rows.set_column(3, "score", [np.roll(rows["score"].to_numpy(), 1)])
    pq.write_table(changed, tmp_path / "other.parquet")
    two = tmp_path / "two.yaml"
    two.write_text(two.read_text().replace("data.parquet", "other.parquet"))
    assert len(joint_leaderboards(run_all(file, tmp_path))) == 2


def test_other_test_rows_are_another_leaderboard(tmp_path):
    file = suites(tmp_path, one=[KNN], two=[KNN])
    two = tmp_path / "two.yaml"
    two.write_text(re.sub(r'"seeds": \[\s*3\s*\]', '"seeds": [4]', two.read_text()))
    leaderboards = joint_leaderboards(run_all(file, tmp_path))
    assert [joint.leaderboard.seeds for joint in leaderboards] == [(3,), (4,)]


def test_the_command_runs_all_shares_cells_and_writes_one_page(tmp_path):
    suites(tmp_path, one=[KNN], two=[KNN, LINEAR])
    first = harness("run", "all.yaml", "--threads", 1, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "two: 3 cells, 2 of them finished before" in first.stderr  # majority and neighbours come from `one`
    folder = tmp_path / "leaderboards" / "all"
    pages = {file: file.read_text() for file in folder.rglob("*.md")}
    assert {file.relative_to(folder).as_posix() for file in pages} == {"README.md", "lines.md", "ranks/all-score.md"}
    assert "| [two](../two/README.md) | all | score | real | 3 |" in pages[folder / "README.md"]
    assert "| [all; score](ranks/all-score.md) | 1 | 3 |" in pages[folder / "README.md"]
    ranked = [
        (ranks["Rank"], rest["Labeler"]) for _, ranks, rest in read_leaderboards(pages[folder / "ranks/all-score.md"])
    ]
    assert [rank for rank, _ in ranked] == ["1", "2", "3"]
    assert {name for _, name in ranked} == {"neighbours", "majority", "linear(on=embedding, penalty=2.0)"}
    assert pages[folder / "lines.md"].count("| neighbours |") == 1
    stale = folder / "ranks/gone.md"
    stale.write_text("# Gone\n")
    checked = harness("leaderboard", "all.yaml", "--check", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (3, "leaderboards/all/ranks/gone.md: belongs to no page\n")
    again = harness("leaderboard", "all.yaml", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert {file: file.read_text() for file in folder.rglob("*.md")} == pages
    assert "5 finished" in harness("status", "all.yaml", cwd=tmp_path).stdout


def test_a_notice_of_all_suites_is_printed_once(tmp_path):
    suite = {"path": "twin:tulu_300k:300", "target": "gpt_scores", "classes": 6}
    for name in ("one", "two"):
        write_suite(tmp_path, ["majority"], name=name, data=suite, blocks=None).rename(tmp_path / f"{name}.yaml")
    (tmp_path / "all.yaml").write_text("version: 1\nname: all\nsuites: [one.yaml, two.yaml]\n")
    done = harness("run", "all.yaml", "--threads", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("SIMULATED DATA") == 1


def test_a_smaller_twin_takes_a_population_in_proportion():
    assert Population(take="first", n=30_000).scaled(0.02) == Population(take="first", n=600)
    assert Population(take="balanced", per_class=3_000).scaled(1e-6).per_class == 1
    assert Population().scaled(0.5) == Population()


def test_the_page_begins_with_the_sections_of_the_record(tmp_path):
    data = {"path": "twin:tulu_300k:300", "target": "gpt_scores", "classes": 6}
    for name, section in (("one", "1"), ("two", "2.6")):
        reference = {"sections": [section], "dataset": "tulu_300k"}
        suite = write_suite(tmp_path, ["majority"], name=name, data=data, blocks=None, reference=reference)
        suite.rename(tmp_path / f"{name}.yaml")
    (tmp_path / "all.yaml").write_text("version: 1\nname: all\nsuites: [one.yaml, two.yaml]\n")
    done = harness("run", "all.yaml", "--threads", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "leaderboards" / "all"
    title, warning, table, *_ = (folder / "README.md").read_text().split("\n\n")
    assert (title, warning.count("SIMULATED DATA")) == ("# all", 1)
    header, _, first, second = table.splitlines()
    assert header == "| Section | Record | Ours | Verdict |"
    assert first.startswith("| [1](sections/1.md): share of class_prior, class 0 | 0.062 | 0.0")
    assert first.endswith(" | 6 cannot be compared: the data are the simulated twin |")
    assert second.startswith("| [2.6](sections/2.6.md): mean_neighbour_cosine of embedding_diagnosis bge | 0.75 | – | ")
    assert "## Cannot be compared" in (folder / "sections/2.6.md").read_text()
    assert harness("leaderboard", "all.yaml", "--check", "--threads", 1, cwd=tmp_path).returncode == 0

"""The pages say what the code does: tables against the catalog, code that runs, boards that are the generated ones."""

import dataclasses
import json
import re
import runpy
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import harness
from harness.data.population import Population
from harness.data.section import Data
from harness.plugin import hookspecs
from harness.report.page_consistency import read_leaderboards
from harness.suite import catalog, suite
from harness.suite.collection import load_collection
from tests.command_line import harness as harness_run
from tests.command_line import run_module

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = {page.name: page.read_text() for page in (ROOT / "docs").glob("*.md")}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_readme_lists_every_plugin_under_its_kind() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \| \S.* \|$", README, re.MULTILINE)
    kinds = {"embedders": "embedder", "features": "feature set", "splitters": "splitter", "labelers": "labeler"}
    bundled = {(e.name, kinds[e.kind]) for e in catalog.discover().entries if e.distribution == "labelharness"}
    assert set(rows) == bundled
    assert len(rows) == len(bundled)


def test_the_readme_shows_the_generated_board() -> None:
    board = runpy.run_path(str(ROOT / "docs" / "scripts" / "board.py"))
    assert "| Rank | Labeler |" in README
    assert board["with_boards"](README, ROOT) == README


def test_the_findings_show_what_the_boards_say() -> None:
    findings = runpy.run_path(str(ROOT / "docs" / "scripts" / "findings.py"))
    assert findings["with_tables"](PAGES["findings.md"], ROOT) == PAGES["findings.md"]
    names = re.findall(r"<!-- table: (\w+) -->", PAGES["findings.md"])
    assert sorted(names) == sorted([*findings["TABLES"], *findings["CLAIMS"], *findings["OTHERS"]])
    assert "| – |" not in PAGES["findings.md"]


def test_the_page_of_performance_shows_what_was_measured() -> None:
    performance = runpy.run_path(str(ROOT / "docs" / "scripts" / "performance.py"))
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    assert performance["with_tables"](PAGES["performance.md"], results) == PAGES["performance.md"]
    assert len(performance["targets"](results).splitlines()) > 10
    assert "| – |" not in performance["peers"](results)


def test_the_raw_commands_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    raw = [line for line in "\n".join(blocks(README, "")).splitlines() if line.startswith((".venv", "python3"))]
    assert len(raw) == 3
    for command in (part.strip() for line in raw for part in line.split("&&")):
        made = command.replace("python3", "$(PYTHON)", 1) if command.startswith("python3") else command
        assert made.replace(".venv/bin", "$(BIN)") in makefile.replace(" --quiet", ""), command
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data that the README's suite speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    n = 300
    y = rng.integers(0, 6, n)
    words = [f"Answer {'word ' * int(5 * label + rng.integers(1, 5))}." for label in y]
    table = {
        "row_id": np.arange(n),
        "messages": [[{"role": "user", "content": "Why?"}, {"role": "assistant", "content": text}] for text in words],
        "quality": [None if i % 10 == 0 else int(label) for i, label in enumerate(y)],
        "dataset": [f"source {i % 3}" for i in range(n)],
        "prompt_id": np.arange(n) // 2,
        "embeddings": list((np.eye(6)[y] + 0.3 * rng.standard_normal((n, 6))).astype(np.float32)),
    }
    pq.write_table(pa.table(table), folder / "my_rows.parquet")
    (folder / "my_rows.yaml").write_text(blocks(README, "yaml")[0])
    (folder / "centroid.py").write_text(blocks(README, "python")[0])
    return folder


@pytest.mark.parametrize("command", ["validate", "plan", "run", "leaderboard"])
def test_the_readmes_suite_runs(rows: Path, command: str) -> None:
    assert f"harness {command} my_rows.yaml" in README
    done = harness_run(command, "my_rows.yaml", cwd=rows)
    assert done.returncode == 0, done.stderr
    if command == "run":
        page = (rows / "leaderboards" / "my_rows" / "README.md").read_text()
        assert "| fusion-mlp |" in page
        assert "270 of them labelled" in page


def test_the_readmes_plugin_passes_the_kit_and_ranks(rows: Path) -> None:
    source = blocks(README, "python")[0]
    assert len(source.splitlines()) < 40
    checked = harness_run("check", "centroid", "--plugin", "centroid.py", cwd=rows)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "failed" not in checked.stdout
    text = (rows / "my_rows.yaml").read_text().replace("my_rows\n", "with_plugin\n", 1)
    (rows / "with_plugin.yaml").write_text(text.replace("labelers:", "labelers:\n  - centroid: {on: bge}"))
    done = harness_run("run", "with_plugin.yaml", "--plugin", "centroid.py", cwd=rows)
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"\| \d(-\d)?(\s•)? \| centroid\(on=bge\) \|", (rows / "leaderboards/with_plugin/README.md").read_text()
    )


def test_the_kit_example_of_the_docs_runs(rows: Path) -> None:
    test = blocks(PAGES["plugins.md"], "python")[-1]
    (rows / "test_mine.py").write_text("from centroid import Centroid\n" + test)
    done = run_module("pytest", "-q", "-p", "no:cacheprovider", "test_mine.py", cwd=rows)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_the_rule_of_the_docs_keeps_its_promises(rows: Path) -> None:
    (source,) = [block for block in blocks(PAGES["plugins.md"], "python") if "CentroidRule" in block]
    head, hook = (
        "from dataclasses import dataclass\nfrom typing import ClassVar\n",
        "\n\n@hookimpl\ndef harness_labelers():\n",
    )
    head += "import numpy as np\nfrom harness import BlockScaler, On, Task, hookimpl\n\n"
    (rows / "rule.py").write_text(f"{head}{source}{hook}    return [Centroid]\n")
    checked = harness_run("check", "centroid", "--plugin", "rule.py", cwd=rows)
    assert checked.returncode == 0, checked.stdout
    assert re.search(r"passed +check_rule_labels|check_rule_labels.*passed", checked.stdout)


def test_the_entry_point_of_the_readme_is_the_group_of_the_project() -> None:
    shown = tomllib.loads(blocks(README, "toml")[0])
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert shown["project"]["entry-points"].keys() == ours["project"]["entry-points"].keys() == {"harness"}


def test_every_name_a_plugin_author_imports_is_documented() -> None:
    page = PAGES["plugins.md"]
    assert [name for name in harness.__all__ if not re.search(rf"\b{name}\b", page)] == []
    for hook in ("harness_embedders", "harness_features", "harness_splitters", "harness_labelers"):
        assert f"`{hook}`" in page
        assert hasattr(hookspecs, hook)


@pytest.mark.parametrize("section", [Data, Population, suite.Metrics])
def test_every_key_of_a_suite_is_documented(section: type) -> None:
    for field in dataclasses.fields(section):
        assert re.search(rf"`{field.name}`|\b{field.name}:", PAGES["suites.md"]), field.name


def test_every_section_of_a_suite_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGES["suites.md"].split("## data")[0], re.MULTILINE)
    assert tuple(rows) == suite.SECTIONS


def test_the_map_of_the_code_has_every_package() -> None:
    table = PAGES["architecture.md"].split("| package |")[1].split("\n\n")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    named = [name for line in rows for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    packages = [path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")]
    assert sorted(named) == sorted([*packages, "errors", "labelharness"])


def test_every_yaml_example_is_yaml_that_a_suite_may_hold() -> None:
    from harness.utils.yaml_file import parse

    for page in PAGES.values():
        for text in blocks(page, "yaml"):
            value = parse(text, "example").value
            assert isinstance(value, dict)
            assert set(value) <= {*suite.SECTIONS, "suites"}


@pytest.mark.parametrize("file", sorted((ROOT / "suites").rglob("*.yaml")), ids=lambda file: file.stem)
def test_every_suite_of_the_project_is_valid_and_named_as_its_file(file: Path) -> None:
    loaded = load_collection(file, catalog.discover())
    name = loaded.name or loaded.suites[0].name
    assert name == (f"record_{file.stem}" if file.parent.name == "record" else file.stem)


def test_the_record_is_all_of_its_sections() -> None:
    listed = {each.file.resolve() for each in load_collection(ROOT / "suites/record.yaml", catalog.discover()).suites}
    assert {file.resolve() for file in (ROOT / "suites/record").glob("*.yaml")} <= listed


def test_the_leak_of_the_judged_responses_is_quoted_from_the_boards() -> None:
    rows = re.findall(r"^\| ([^|]+?) \| (0\.\d+) \| (0\.\d+) \|$", PAGES["data.md"], re.MULTILINE)
    assert len(rows) == 7
    for labeler, *quoted in rows:
        for suite_name, value in zip(("judged_random", "judged_by_prompt"), quoted, strict=True):
            page = (ROOT / "leaderboards" / suite_name / "README.md").read_text()
            shown = {(place, rest["Labeler"]): ranks for place, ranks, rest in read_leaderboards(page)}
            row = shown["nested(test=0.3), 50 % labelled", labeler]
            assert row["Accuracy ↑ (95 % CI)"].startswith(f"{value} ("), labeler

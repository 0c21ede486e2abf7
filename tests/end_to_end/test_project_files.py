"""The files around the code agree with it: citation, contributing, security, hooks, issue forms, glossary."""

import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

import harness
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))
BOARD_PAGES = [page.relative_to(ROOT).as_posix() for page in sorted((ROOT / "leaderboards").rglob("*.md"))]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
WITH_ANSWER = {"textarea", "input", "dropdown", "checkboxes"}
TOOL_OF = {"ruff": "ruff", "end-of-file-fixer": "pre-commit-hooks", "check-yaml": "pre-commit-hooks"}


def yaml(name):
    return YAML(typ="safe").load((ROOT / name).read_text())


def slug(heading):
    """Return the anchor that a heading has on a page."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_the_citation_is_of_this_version():
    citation = yaml("CITATION.cff")
    assert citation["version"] == harness.__version__
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["license"]) == (PROJECT["name"], PROJECT["license"])
    assert citation["authors"] == PROJECT["authors"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert citation["message"]


def test_the_licence_is_the_one_that_the_metadata_name():
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith(f"{PROJECT['license']} License\n")
    assert PROJECT["authors"][0]["name"] in text.splitlines()[2]
    assert PROJECT["license-files"] == ["LICENSE"]


def test_contributing_begins_with_three_commands_and_names_those_that_there_are():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    first = page.split("```")[1].split("\n")[1:-1]
    assert len(first) == 3
    assert first[0].startswith("git clone ")
    assert first[1:] == ["make test", "make check"]
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert set(re.findall(r"\bmake (\w+)`", page)) | {"test", "check"} <= set(targets)
    assert {"quick", "test", "check"} <= set(re.findall(r"`make (\w+)`", page))


def test_contributing_names_what_ci_runs():
    steps = re.findall(r"^make (\w+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    (row,) = re.findall(r"^\| `\.ci/run` \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert re.findall(r"`make (\w+)`", row) == steps


def test_contributing_names_commands_and_tests_that_there_are():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    command = [sys.executable, "-m", "harness", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    for name in set(re.findall(r"`harness (\w+)", page)):
        assert re.search(rf"^\W*{name}\b", shown, re.MULTILINE), name
    tests = {file.name for file in (ROOT / "tests").rglob("test_*.py")} | {"test_MODULE.py", "test_NAME.py"}
    assert set(re.findall(r"\btest_\w+\.py", page)) <= tests


@pytest.mark.parametrize("page", [*PAGES, *BOARD_PAGES])
def test_links_lead_to_files_and_headings(page):
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in {slug(line) for line in re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)}, target


def test_hooks_run_tools_that_the_dev_extra_installs():
    (local,) = yaml(".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    installed = {Requirement(line).name for line in PROJECT["optional-dependencies"]["dev"]}
    tools = []
    for hook in local["hooks"]:
        folder, _, tool = hook["entry"].split()[0].rpartition("/")
        assert (folder, hook["language"]) == (".venv/bin", "system")
        assert TOOL_OF[tool] in installed, tool
        tools.append(tool)
    assert set(tools) == TOOL_OF.keys()


@pytest.mark.parametrize("file", [file for file in FORMS if file.stem != "config"], ids=lambda file: file.stem)
def test_an_issue_form_has_what_a_form_needs(file):
    form = yaml(file.relative_to(ROOT))
    assert form.keys() <= {"name", "description", "title", "labels", "assignees", "body"}
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] in WITH_ANSWER]
    assert fields, "a form of text alone is refused"
    assert {field["type"] for field in form["body"]} <= WITH_ANSWER | {"markdown"}
    names = [field["id"] for field in fields]
    labels = [field["attributes"]["label"] for field in fields]
    assert len(names) == len(set(names))
    assert len(labels) == len(set(labels))
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)
    for field in form["body"]:
        assert field.keys() <= {"type", "id", "attributes", "validations"}
        options = field["attributes"].get("options", [])
        assert (field["type"] in ("dropdown", "checkboxes")) == bool(options)
        assert len({str(option) for option in options}) == len(options)
        assert all(isinstance(option, dict if field["type"] == "checkboxes" else str) for option in options)
        assert set(field.get("validations", {})) <= {"required"}
        assert "value" in field["attributes"] if field["type"] == "markdown" else field["attributes"]["label"]


def test_there_are_forms_for_a_bug_a_plugin_and_a_data_set():
    assert {file.stem for file in FORMS} == {"bug", "plugin", "dataset", "config"}


def test_a_plugin_form_offers_every_kind_of_plugin():
    fields = {field["id"]: field for field in yaml(".github/ISSUE_TEMPLATE/plugin.yml")["body"]}
    readme = (ROOT / "README.md").read_text()
    kinds = set(re.findall(r"^\| `\w+` \| ([a-z ]+) \| ", readme, re.MULTILINE))
    assert set(fields["kind"]["attributes"]["options"]) == kinds


def test_the_glossary_has_every_column_of_a_board_and_each_word_once():
    page = (ROOT / "docs" / "glossary.md").read_text()
    words = re.findall(r"^\| ([^|]+?) \| [A-Z]", page, re.MULTILINE)
    assert len(words) == len(set(words)) >= 20
    board = (ROOT / "leaderboards" / "quickstart" / "README.md").read_text()
    headers = re.findall(r"^(\| Rank \| .*|\| Labeler \| .*Cells \|)$", board, re.MULTILINE)
    columns = {column for header in headers for column in header.strip("| ").split(" | ")}
    assert {"Gain", "Accuracy ↑ (95 % CI)", "vs majority", "Oracle gap"} <= columns
    for column in (*columns, "test rows"):
        for word in re.sub(r" [↑↓]", "", column).strip(")").split(" ("):
            assert word.lower() in page.lower(), column


def test_module_and_console_script_print_the_same_version():
    assert PROJECT["scripts"].keys() == {"harness"}
    (module, _, function) = PROJECT["scripts"]["harness"].partition(":")
    program = f"import sys, {module}; sys.argv[1:] = ['--version']; {module}.{function}()"
    outputs = [
        subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=True).stdout
        for arguments in (["-m", "harness", "--version"], ["-c", program])
    ]
    assert outputs == [f"{PROJECT['name']} {harness.__version__}\n"] * 2


def test_the_harness_and_every_plugin_load_without_torch():
    program = """
import importlib, pkgutil, sys
sys.modules["torch"] = None  # as if it were not installed
for package in ("harness", "harness_plugins"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        try:
            importlib.import_module(module.name)
        except ImportError:
            print(module.name)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=True)
    broken = set(result.stdout.split())
    assert broken, "the helpers of the networks are layers of torch"
    assert not [name for name in broken if name.startswith("harness.")]
    assert not broken & set(PROJECT["entry-points"]["harness"].values())

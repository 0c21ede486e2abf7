"""Packages import downward only, and a few other habits that keep the project small."""

import ast
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import harness

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "harness").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
INTERFACE = sorted((ROOT / "labelharness").rglob("*.py"))
FILES = [*CORE, *PLUGINS, *INTERFACE]

BELOW_AUDIT = "errors statistics utils plugin search data suite run scoring report"
MAY_IMPORT = {
    "errors": "",
    "statistics": "",
    "utils": "errors",
    "plugin": "errors",
    "search": "errors plugin",
    "data": "errors utils plugin",
    "suite": "errors utils plugin data",
    "run": "errors utils plugin search data suite",
    "testing": "errors utils plugin data suite run",
    "scoring": "errors utils statistics plugin search data suite run",
    "report": "errors utils statistics plugin suite run scoring",
    "audit": BELOW_AUDIT,
    "label": BELOW_AUDIT,
    "cli": f"{BELOW_AUDIT} testing audit label",
}
BELOW_INTERFACE = {*BELOW_AUDIT.split(), "label"}  # of labelharness, which lies beside the command line
SHARED_BY_COMMANDS = (
    "app",
    "console",
    "progress",
    "options",
    "environment",
    "libraries",
    "start",
    "__init__",
    "__main__",
)
PLUGIN_FOLDERS = ("embedders", "features", "splitters", "labelers", "wrappers")
MAX_LINES = 320
MAX_METHODS = 10


def shown(file):
    return file.relative_to(ROOT).as_posix()


def tree(file):
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def running(node):
    """Yield every node of a module that runs: all but what is for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            continue
        yield child
        yield from running(child)


def imports(nodes):
    """Yield (module, name or None, level) of every import, `import a.b` being ("a.b", None, 0)."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None, 0
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.module or "", alias.name, node.level


def module_of(file):
    """Return the dotted name of a file of the core: "harness.search.exact"."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in CORE}


def package_of(module):
    return module.split(".")[1] if "." in module else "harness"


def imported(file):
    """Return the modules of the core that a file imports when it runs."""
    modules = set()
    for module, name, _ in imports(running(tree(file))):
        if module.partition(".")[0] == "harness":
            inner = f"{module}.{name}"
            modules.add(inner if inner in MODULES else module)
    return modules


def test_the_core_is_13_packages_and_one_file():
    inside = {path.name for path in (ROOT / "harness").iterdir() if path.name != "__pycache__"}
    assert inside == {*(MAY_IMPORT.keys() - {"errors"}), "errors.py", "__init__.py", "__main__.py", "py.typed"}


def test_a_package_is_its_modules():
    for package in MAY_IMPORT.keys() - {"errors", "testing"}:
        (docstring,) = tree(ROOT / "harness" / package / "__init__.py").body
        assert isinstance(docstring, ast.Expr), package


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_lies_below(package):
    below = set(MAY_IMPORT[package].split())
    for module, file in MODULES.items():
        if package_of(module) != package:
            continue
        for other in imported(file):
            if other == "harness":  # the version, which whoever imports anything has loaded
                names = {name for module, name, _ in imports(running(tree(file))) if module == "harness"}
                assert names <= {"__version__", None}, shown(file)
            else:
                assert package_of(other) in below | {package}, f"{shown(file)} imports {other}"


def test_the_python_interface_lies_above_all_but_commands():
    for file in INTERFACE:
        for other in imported(file):
            assert other == "harness" or package_of(other) in BELOW_INTERFACE, f"{shown(file)} imports {other}"
    for file in (*CORE, *PLUGINS):
        modules = {module.partition(".")[0] for module, _, level in imports(ast.walk(tree(file))) if level == 0}
        assert "labelharness" not in modules, shown(file)
    assert len(INTERFACE) > 4


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: imported(file) - {module} for module, file in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_a_command_imports_no_other():
    commands = {file.stem: file for file in (ROOT / "harness" / "cli").glob("*.py")}
    for name, file in commands.items():
        siblings = {module.split(".")[2] for module in imported(file) if module.startswith("harness.cli.")}
        if name in ("app", "start", "__main__"):  # what starts the command line
            continue
        assert "app" not in siblings, name
        assert siblings <= set(SHARED_BY_COMMANDS), name
    assert len(commands) > len(SHARED_BY_COMMANDS) + 10


def test_imports_are_seen():
    runner = imported(MODULES["harness.run.runner"])
    assert {"harness.run.plan", "harness.data.dataset", "harness.errors"} <= runner
    assert "harness.plugin.protocols" not in imported(MODULES["harness.plugin.folds"])  # for type checkers only
    assert len(CORE) > 100
    assert len(PLUGINS) > 10


def test_the_core_knows_no_plugin():
    for file in CORE:
        modules = {module.partition(".")[0] for module, _, level in imports(ast.walk(tree(file))) if level == 0}
        assert "harness_plugins" not in modules, shown(file)


def test_plugins_import_only_the_package_and_their_siblings():
    for file in PLUGINS:
        siblings = f"harness_plugins.{file.parent.name}"
        for module, name, level in imports(ast.walk(tree(file))):
            if level == 0 and module.partition(".")[0] == "harness":
                assert (module, name in harness.__all__) == ("harness", True), f"{shown(file)}: {module} {name}"
            if level == 0 and module.partition(".")[0] == "harness_plugins":
                shared = f"{module}.{name}".startswith("harness_plugins._")
                assert shared or f"{module}.".startswith(f"{siblings}."), f"{shown(file)}: {module}"
            assert level <= 1, f"{shown(file)}: {module}"


def test_every_file_of_plugins_without_an_underscore_is_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plugins = set(project["entry-points"]["harness"].values())
    files = {
        f"harness_plugins.{folder}.{file.stem}"
        for folder in PLUGIN_FOLDERS
        for file in (ROOT / "plugins" / "harness_plugins" / folder).glob("*.py")
        if not file.stem.startswith("_")
    }
    assert plugins == files | {"harness_plugins.networks.plugins", "harness_plugins.networks.tabm"}


def test_what_is_for_plugin_authors_is_there():
    assert sorted(harness.__all__) == harness.__all__
    assert all(hasattr(harness, name) for name in harness.__all__)


def test_only_the_scoring_of_a_run_reads_the_truth():
    asking = {
        shown(file)
        for file in FILES
        for module, name, _ in imports(ast.walk(tree(file)))
        if (module, name)
        in (
            ("harness.scoring.scores", "truth_of"),
            ("harness.scoring.scores", "*"),
            ("harness.scoring.scores", None),
            ("harness.scoring", "scores"),
        )
    }
    assert asking == {"harness/scoring/score_run.py"}


def test_only_the_command_line_prints():
    printing = {
        shown(file)
        for file in FILES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert all(name.startswith("harness/cli/") for name in printing)


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_files_and_classes_stay_small(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ClassDef):
            methods = [part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
            public = [name for name in methods if not name.startswith("_")]
            assert len(public) <= MAX_METHODS, node.name

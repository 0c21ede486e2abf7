"""The house stands on floors: a module imports only what lies below it, and a few other habits that keep it small."""

import ast
from pathlib import Path

import pytest

import harness

ROOT = Path(__file__).parent.parent
FOLDERS = ("conformance", "statistics", "auditing", "proxy", "pages")
CORE = {file.stem: file for file in sorted((ROOT / "harness").glob("*.py"))} | {
    f"{folder}.{file.stem}": file
    for folder in FOLDERS
    for file in sorted((ROOT / "harness" / folder).glob("*.py"))
    if file.stem != "__init__"
}
COMMANDS = sorted((ROOT / "harness" / "commands").glob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
FILES = [*CORE.values(), *COMMANDS, *PLUGINS]

FLOORS = (
    *(
        "errors",
        "engine",
        "fuse",
        "listed",
        "task",
        "items",
        "contracts",
        "hookspecs",
        "folds",
        "kernels",
        "products",
        "flat",
        "search",
        "copies",
        "neighbors",
    ),  # what plugins are written with
    "__init__",
    *("needs", "digest", "lock", "rowgroups", "document", "spec", "catalog", "facts", "example"),
    *("twin_space", "twin", "hub", "table", "population", "dataset", "reference", "suite", "splits"),  # what is asked
    *(
        "process",
        "hardware",
        "machine",
        "timing",
        "marks",
        "store",
        "rowfile",
        "prepare",
        "shards",
        "block_builder",
    ),  # what is done
    *("tasks", "plan", "auditing.why", "neighbor_plan", "neighbor_lists", "estimate", "work", "auditing.audited"),
    *("conformance.finding", "conformance.labelers", "conformance.blocks", "conformance.splitters", "testing"),
    *(
        "metrics",
        "statistics.curves",
        "statistics.intervals",
        "statistics.selective",
        "statistics.overlap",
        "statistics.costs",
        "diagnosis",
        "score",
    ),
    *("statistics.bootstrap", "statistics.significance", "statistics.standing", "statistics.tuning"),
    *(
        "rank",
        "statistics.evidence",
        "pages.detail",
        "run",
        "forecast",
        "pages.portrait",
        "collection",
        "statistics.pairing",
    ),
    *(
        "auditing.shift",
        "auditing.duplicates",
        "auditing.robustness",
        "auditing.probe",
        "auditing.judge",
        "auditing.audit",
    ),
    *(
        "statistics.transfer",
        "proxy.calibration",
        "proxy.conformal",
        "proxy.prediction_powered",
    ),  # what labels are worth
    *(
        "proxy.matching",
        "proxy.rules",
        "proxy.figures",
        "proxy.panel",
        "proxy.quality",
        "proxy.growth",
        "proxy.deal",
        "proxy.labelling",
        "proxy.joined",
        "proxy.support",
    ),  # the labels themselves
    *("proxy.labels", "proxy.suggestion", "proxy.publish"),
    *("census", "counterpart"),
    *(
        "pages.markdown",
        "pages.tables",
        "pages.sheets",
        "pages.settings",
        "pages.fits",
        "pages.figures",
        "pages.plots",
        "pages.render",
        "pages.audit_page",
    ),  # what is shown
    *(
        "pages.board",
        "pages.index",
        "pages.overview",
        "pages.report",
        "pages.verdict",
        "pages.agreement",
        "statistics.matches",
    ),
    *("proxy.outlook", "proxy.card", "proxy.proxies", "proxy.shortlist", "console"),
    *("commands", "cli", "__main__"),
)
MOST_LINES = 320
MOST_METHODS = 10


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


def core_modules(file):
    """Return the modules of the core that a file imports; names of the package itself count as __init__."""
    found = set()
    for module, name, _ in imports(running(tree(file))):
        if module == "harness":
            found.add(name if name in CORE else "__init__")
        elif module.startswith("harness."):
            inside = module.removeprefix("harness.")
            within = f"{inside}.{name}"  # from a folder: its module
            found.add(within if within in CORE else inside if inside in CORE else inside.partition(".")[0])
    return found


def test_a_folder_has_nothing_but_its_modules():
    for folder in FOLDERS:
        body = tree(ROOT / "harness" / folder / "__init__.py").body
        assert len(body) == 1, folder
        assert isinstance(body[0], ast.Expr), folder


def test_every_module_has_its_floor():
    assert sorted(FLOORS) == sorted([*CORE, "commands"]), "add a new module to FLOORS, above all that it imports"


@pytest.mark.parametrize("name", CORE)
def test_a_module_imports_only_what_lies_below(name):
    below = FLOORS[: FLOORS.index(name)]
    assert core_modules(CORE[name]) <= set(below)


@pytest.mark.parametrize("file", COMMANDS, ids=shown)
def test_a_command_imports_no_other(file):
    assert "cli" not in core_modules(file)
    siblings = {module for module, _, _ in imports(ast.walk(tree(file))) if module.startswith("harness.commands")}
    assert siblings <= {"harness.commands.options"}


def test_imports_are_seen():
    assert {"score", "plan", "dataset"} <= core_modules(CORE["run"])
    assert "contracts" not in core_modules(CORE["folds"])  # for type checkers only
    assert len(PLUGINS) > 10


def test_the_core_knows_no_plugin():
    for file in CORE.values():
        modules = {module.partition(".")[0] for module, _, level in imports(ast.walk(tree(file))) if level == 0}
        assert "harness_plugins" not in modules, shown(file)


def test_plugins_import_only_the_package_and_their_siblings():
    for file in PLUGINS:
        siblings = "harness_plugins." + file.parent.name
        for module, name, level in imports(ast.walk(tree(file))):
            if level == 0 and module.partition(".")[0] == "harness":
                assert (module, name in harness.__all__) == ("harness", True), f"{shown(file)}: {module} {name}"
            if level == 0 and module.partition(".")[0] == "harness_plugins":
                assert module.startswith(siblings), f"{shown(file)}: {module}"
            assert level <= 1, f"{shown(file)}: {module}"


def test_what_is_for_plugin_authors_is_there():
    assert sorted(harness.__all__) == harness.__all__
    assert all(hasattr(harness, name) for name in harness.__all__)


def test_only_the_run_asks_for_the_answers():
    asking = {
        shown(file)
        for file in FILES
        for module, name, _ in imports(ast.walk(tree(file)))
        if (module, name) in (("harness.score", "answers"), ("harness.score", "*"), ("harness", "score"))
        or (module, name) == ("harness.score", None)
    }
    assert asking == {"harness/run.py"}


def test_only_the_command_line_prints():
    printing = {
        shown(file)
        for file in FILES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert all(name in ("harness/cli.py", "harness/console.py") or "/commands/" in name for name in printing)


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_files_and_classes_stay_small(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ClassDef):
            methods = [part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
            public = [name for name in methods if not name.startswith("_")]
            assert len(public) <= MOST_METHODS, node.name

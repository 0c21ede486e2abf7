"""Plugins are found by entry points; a broken one does no harm."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import PluginError
from harness.suite.catalog import KINDS, discover, load_file, resolve

GOOD = """
from dataclasses import dataclass
from typing import ClassVar

from harness import hookimpl


@dataclass(frozen=True)
class Flat:
    \"\"\"The same share for every class.

    More about it.
    \"\"\"

    name: ClassVar[str] = "flat"

    def label(self, task):
        return None


@hookimpl
def harness_labelers():
    return [Flat]
"""

BROKEN = {
    "no_module": ("import no_such_module_at_all\n", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    "no_name": ("from harness import no_such_name\n", "ImportError: cannot import name 'no_such_name'"),
    "syntax": ("def f(:\n", "SyntaxError: invalid syntax"),
    "leaves": ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
    "leaves_mute": ("raise SystemExit\n", "SystemExit: SystemExit()"),
    "ends_the_program": ("import os\nos._exit(0)\n", "calls os._exit(0) when it is imported"),
    "panics": ("class Panic(BaseException): ...\nraise Panic('of Rust')\n", "Panic: of Rust"),
    "cannot_be_printed": (
        "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute\n",
        "Mute: a message that cannot be printed",
    ),
    "colours": ("raise ValueError('\\x1b[2J')\n", r"ValueError: \x1b[2J"),
    "needs_a_number": (
        GOOD.replace('= "flat"\n', '= "flat"\n    requires: ClassVar = (1,)\n'),
        "Flat.requires must be a tuple of names of modules, is (1,)",
    ),
    "preloads_letters": (
        GOOD.replace('= "flat"\n', '= "flat"\n    preload: ClassVar = "torch"\n'),
        "Flat.preload must be a tuple of names of modules, is 'torch'",
    ),
    "two_lines": ("raise RuntimeError('first\\nsecond')\n", "RuntimeError: first"),
    "empty": ("", "offers no hook; is '@hookimpl' missing"),
    "no_hookimpl": (GOOD.replace("@hookimpl\n", ""), "offers no hook; is '@hookimpl' missing"),
    "misspelt": (GOOD.replace("harness_labelers", "harness_labeler"), "unknown hook 'harness_labeler'; did you mean"),
    "argument": (GOOD.replace("harness_labelers()", "harness_labelers(x)"), "PluginValidationError: "),
    "raises": (GOOD.replace("return [Flat]", "1 / 0"), "ZeroDivisionError: division by zero"),
    "returns_none": (GOOD.replace("return [Flat]", "pass"), "TypeError: 'NoneType' object is not iterable"),
    "an_object": (GOOD.replace("[Flat]", "[Flat()]"), "must be a class marked @dataclass(frozen=True)"),
    "not_frozen": (GOOD.replace("(frozen=True)", ""), "Flat must be a class marked @dataclass(frozen=True)"),
    "not_dataclass": (GOOD.replace("@dataclass(frozen=True)", ""), "Flat must be a class marked"),
    "bad_name": (GOOD.replace('"flat"', '"Flat One"'), "Flat.name must be a lower-case name such as 'my_labeler', is"),
    "no_name_at_all": (GOOD.replace('    name: ClassVar[str] = "flat"\n', ""), "is None"),
    "field_name": (GOOD.replace("ClassVar[str]", "str"), "Flat.name must be annotated ClassVar[str]"),
    "no_method": (GOOD.replace("def label(", "def lable("), "Flat has no method 'label', which all labelers must have"),
}


def distribution(folder, module, source, version="0.1", points=None):
    """Write an installed distribution with one module into `folder`."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n")
    lines = [f"{point} = {module}" for point in points or (module,)]
    (info / "entry_points.txt").write_text("[harness]\n" + "\n".join(lines) + "\n")


def discover_in(folder, code=""):
    """Return what a new process finds with `folder` on its path.

    `code` may add to the dictionary `answer`.
    """
    program = f"""
import json, sys, traceback
from harness.suite.catalog import discover
from harness.errors import PluginError
catalog = discover()
answer = dict(
    entries=[[e.kind, e.name, e.distribution, e.version, e.help] for e in catalog.entries], broken=catalog.broken
)
{code}
print(json.dumps(answer))
"""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_bundled_plugins_enter_by_entry_points(catalog):
    assert catalog.broken == {}
    names = {(entry.kind, entry.name) for entry in catalog.entries}
    assert {("labelers", "knn"), ("labelers", "majority"), ("splitters", "nested"), ("embedders", "npy")} <= names
    assert len(names) == len(catalog.entries)
    assert {entry.distribution for entry in catalog.entries} == {"labelharness"}
    for entry in catalog.entries:
        assert entry.help
        assert catalog.find(entry.kind, entry.name) is entry.cls
        assert callable(getattr(entry.cls, KINDS[entry.kind]))
        assert resolve(entry.reference()) is entry.cls


def test_every_bundled_plugin_file_is_an_entry_point(catalog):
    folder = Path(__file__).parents[2] / "plugins" / "harness_plugins"
    offering = {
        f"harness_plugins.{file.parent.name}.{file.stem}"
        for file in folder.glob("*/*.py")
        if "@hookimpl" in file.read_text()
    }
    assert offering == {entry.cls.__module__ for entry in catalog.entries}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """What is found beside one sound distribution and many broken ones."""
    folder = tmp_path_factory.mktemp("site")
    distribution(folder, "acme", GOOD)
    for name, (source, _) in BROKEN.items():
        distribution(folder, f"bad_{name}", source, version="2.0")
    code = """
names = "torch sklearn faiss lightgbm scipy pandas cleanlab".split()
answer["imported"] = [name for name in names if name in sys.modules]
entry = catalog.entry("labelers", "flat")
answer["code"] = entry.code()
answer["identity"] = entry.identity()
try:
    catalog.find("labelers", "flatt")
except PluginError as error:
    answer["unknown"] = str(error)
"""
    return discover_in(folder, code)


def test_a_third_party_distribution_is_found(site):
    flat = [entry for entry in site["entries"] if entry[1] == "flat"]
    assert flat == [["labelers", "flat", "acme", "0.1", "The same share for every class."]]
    assert site["identity"] == ["labelers", "flat", "acme", "0.1", site["code"]]
    assert len(site["code"]) == 64


def test_broken_ones_do_not_disturb_the_others(site, catalog):
    bundled = [[e.kind, e.name, e.distribution, e.version, e.help] for e in catalog.entries]
    assert [entry for entry in site["entries"] if entry[2] == "labelharness"] == bundled
    assert len(site["entries"]) == len(bundled) + 1


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_recorded_with_a_reason(site, name):
    reason = site["broken"][f"bad_{name} (bad_{name} 2.0)"]
    assert BROKEN[name][1] in reason
    assert "\n" not in reason


def test_only_broken_plugins_are_recorded(site):
    assert len(site["broken"]) == len(BROKEN)


def test_an_unknown_name_comes_with_the_nearest_and_the_broken(site):
    assert site["unknown"].startswith("no labeler is called 'flatt'; did you mean 'flat'?")
    assert "broken plugin bad_syntax (bad_syntax 2.0): SyntaxError" in site["unknown"]


def test_discovering_imports_no_heavy_library(site):
    assert site["imported"] == []


def test_a_module_that_two_entry_points_name_is_read_once(tmp_path):
    distribution(tmp_path, "acme", GOOD, points=("acme", "again"))
    answer = discover_in(tmp_path)
    assert sum(entry[1] == "flat" for entry in answer["entries"]) == 1
    assert list(answer["broken"]) == ["again (acme 0.1)"]


def test_a_name_offered_twice_is_refused_only_when_used(tmp_path):
    distribution(tmp_path, "acme", GOOD)
    distribution(
        tmp_path, "other", GOOD.replace('"flat"', '"knn"').replace('    """The same', '    """Another', 1), "3.1"
    )
    code = """
answer["majority"] = catalog.find("labelers", "majority").__name__
try:
    catalog.find("labelers", "knn")
except PluginError as error:
    answer["twice"] = str(error)
"""
    answer = discover_in(tmp_path, code)
    assert answer["broken"] == {}
    assert answer["majority"] == "Majority"
    version = next(entry[3] for entry in answer["entries"] if entry[2] == "labelharness")
    assert (
        answer["twice"]
        == f"labeler 'knn' is offered twice, by labelharness {version} and other 3.1; uninstall one of them"
    )


def test_the_hash_of_the_code_follows_the_code(tmp_path):
    codes = []
    for place, source in (("a", GOOD), ("b", GOOD), ("c", GOOD + "# more\n")):
        folder = tmp_path / place
        folder.mkdir()
        distribution(folder, "acme", source)
        codes.append(discover_in(folder, "answer['code'] = catalog.entry('labelers', 'flat').code()")["code"])
    assert codes[0] == codes[1] != codes[2]


def test_a_one_off_plugin_is_given_by_path(tmp_path):
    file = tmp_path / "one_off_flat.py"
    file.write_text(GOOD)
    catalog = discover((file,))
    entry = catalog.entry("labelers", "flat")
    assert (entry.distribution, entry.version, entry.file) == ("one_off_flat.py", "", str(file))
    assert resolve(entry.reference()) is entry.cls is catalog.find("labelers", "flat")
    assert catalog.of(entry.cls()) is entry
    assert load_file(file) is load_file(file)
    before = entry.code()
    file.write_text(GOOD + "# more\n")
    assert entry.code() != before


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_one_off_plugin_is_refused_each_time(tmp_path, name):
    file = tmp_path / f"one_off_{name}.py"
    file.write_text(BROKEN[name][0])
    for _ in range(2):  # a second attempt must not find a half-loaded module
        with pytest.raises(PluginError) as caught:
            discover((file,))
        assert str(caught.value).startswith(f"{file}: ")
        assert BROKEN[name][1] in str(caught.value)


def test_a_one_off_plugin_must_be_a_python_file(tmp_path):
    (tmp_path / "notes.txt").write_text("text")
    for name in ("absent.py", "notes.txt"):
        with pytest.raises(PluginError, match="is not a Python file"):
            discover((tmp_path / name,))


def test_one_off_plugins_of_the_same_file_name_keep_apart(tmp_path):
    files = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        files.append(tmp_path / place / "mine_twin.py")
        files[-1].write_text(GOOD.replace('"flat"', f'"flat_{place}"'))
    catalog = discover(tuple(files))
    for place in ("one", "two"):
        entry = catalog.entry("labelers", f"flat_{place}")
        assert resolve(entry.reference()).name == f"flat_{place}"


def test_a_missing_requirement_is_named_when_the_plugin_is_used(tmp_path):
    file = tmp_path / "one_off_needy.py"
    file.write_text(
        GOOD.replace('= "flat"\n', '= "flat"\n    requires: ClassVar[tuple[str, ...]] = ("no_such_pkg",)\n')
    )
    catalog = discover((file,))
    with pytest.raises(PluginError, match="'flat' needs the package 'no_such_pkg', which is not installed"):
        catalog.find("labelers", "flat")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("labelers", "no labeler"),
        ("embedders", "no embedder"),
        ("features", "no feature set"),
        ("splitters", "no splitter"),
    ],
)
def test_an_unknown_name_is_called_by_its_kind(catalog, kind, words):
    with pytest.raises(PluginError, match=f"{words} is called 'zzz'; known: "):
        catalog.find(kind, "zzz")


@pytest.mark.parametrize("hang", ["time.sleep(600)", "while True: pass"])
def test_an_import_that_hangs_is_stopped(tmp_path, monkeypatch, hang):
    """Even where the plugin catches every Exception."""
    monkeypatch.setenv("HARNESS_IMPORT_SECONDS", "0.2")
    handler, had_timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0
    file = tmp_path / "one_off_slow.py"
    file.write_text(f"import time\ntry:\n    {hang}\nexcept Exception:\n    pass\n")
    with pytest.raises(PluginError, match=r"one_off_slow\.py: not imported after 0\.2 s; HARNESS_IMPORT_SECONDS sets"):
        discover((file,))
    assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == had_timer
    assert signal.getsignal(signal.SIGALRM) is handler


def test_an_import_leaves_the_working_directory_and_the_way_out_alone(tmp_path):
    folder, leave = Path.cwd(), os._exit
    file = tmp_path / "one_off_mover.py"
    file.write_text("import os\nos.chdir('/')\n" + GOOD.replace('"flat"', '"mover"'))
    discover((file,))
    assert Path.cwd() == folder
    assert os._exit is leave


def test_a_requirement_inside_a_missing_package_is_named(tmp_path):
    file = tmp_path / "one_off_deep.py"
    file.write_text(GOOD.replace('= "flat"\n', '= "flat"\n    requires: ClassVar = ["no_such_pkg.part"]\n'))
    with pytest.raises(PluginError, match=r"needs the package 'no_such_pkg\.part'"):
        discover((file,)).find("labelers", "flat")

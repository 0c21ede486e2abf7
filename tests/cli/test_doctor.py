"""The doctor on this installation, and on ones that are broken on purpose."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import requires, version

import psutil
import pytest
from packaging.requirements import Requirement

from harness import __version__
from harness.cli import environment
from harness.cli.libraries import ImportedModule
from tests.command_line import PATIENCE, events, harness

pytestmark = pytest.mark.slow

NEEDED = [r for r in map(Requirement, requires("labelharness")) if "extra" not in str(r.marker)]


def findings(result):
    """{(section, name): finding} of a --json run."""
    return {(e["section"], e["name"]): e for e in events(result) if e["event"] == "finding"}


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return {"PYTHONPATH": str(folder)}


def distribution(folder, name, metadata=(), points=()):
    """Write the metadata of an installed distribution, as pip does."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *metadata, ""]))
    (info / "entry_points.txt").write_text("\n".join(["[harness]", *points, ""]))


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("healthy")
    return folder, harness("doctor", "--json", cwd=folder, env={"HF_TOKEN": "hf_secret"})


def test_it_finds_what_is_there(healthy):
    folder, result = healthy
    assert result.returncode == 0, result.stdout
    reported = findings(result)
    assert reported["python", "labelharness"]["value"].startswith(f"{__version__} ")
    assert reported["python", "python"]["value"].startswith("{}.{}.{} ".format(*sys.version_info[:3]))
    libraries = {re.sub(r"[-_.]+", "-", requirement.name).lower(): version(requirement.name) for requirement in NEEDED}
    assert len(libraries) > 10
    for name, installed in libraries.items():
        assert reported["libraries", name]["value"].split()[0] == installed
        assert reported["libraries", name]["state"] == "ok"
    assert "AVX" in reported["libraries", "faiss-cpu"]["value"] or os.uname().machine != "x86_64"
    cores = len(os.sched_getaffinity(0))
    assert reported["machine", "cores"]["value"].startswith(f"{cores} of {os.cpu_count()}, ")
    assert reported["machine", "threads"]["value"].startswith(f"{min(cores, 8)} a cell")
    assert reported["machine", "memory"]["value"].startswith(f"{psutil.virtual_memory().total / 2**30:.1f} GiB")
    assert reported["machine", "disk"]["value"].endswith(f" free in {folder}")
    assert any(section == "device" for section, _ in reported)
    assert events(result)[-1] == {"event": "done", "broken": 0}
    assert list(folder.iterdir()) == [], "nothing is left behind"


def test_it_counts_the_plugins(healthy):
    listed = events(harness("plugins", "--json", cwd=healthy[0]))
    ours = [entry["kind"] for entry in listed if entry.get("distribution") == "labelharness"]
    kinds = ("embedders", "features", "splitters", "labelers")
    counted = ", ".join(f"{ours.count(kind)} {kind}" for kind in kinds)
    assert findings(healthy[1])["plugins", f"labelharness {version('labelharness')}"]["value"] == counted


def test_a_token_is_never_shown(healthy):
    assert findings(healthy[1])["python", "HF_TOKEN"]["value"] == "is set"
    assert "hf_secret" not in healthy[1].stdout + healthy[1].stderr


def test_broken_libraries_are_named_with_their_reason_and_hide_no_other(tmp_path):
    env = write(
        tmp_path,
        cleanlab="import os; os.abort()",
        faiss="import os; os.kill(os.getpid(), 9)",
        lightgbm="raise OSError('libgomp.so.1: cannot open shared object file: No such file')",
        pandas="print('hello'); raise RuntimeError('two\\nlines')",
        scipy="__version__ = '1.0'",
    )
    result = harness("doctor", "--json", cwd=tmp_path, env=env)
    assert (result.returncode, result.stderr) == (1, "")
    reported = {name: finding for (section, name), finding in findings(result).items() if section == "libraries"}
    assert reported["cleanlab"]["value"] == "crashed: SIGABRT"
    assert reported["faiss-cpu"]["value"] == "crashed: SIGKILL"
    assert reported["lightgbm"]["value"].startswith("OSError: libgomp.so.1: cannot open")
    assert "libgomp1 (Debian" in reported["lightgbm"]["advice"]
    assert reported["pandas"]["value"] == "RuntimeError: two"
    assert reported["pandas"]["advice"] == "pip install 'pandas>=2.2'"
    assert reported["torch"]["state"] == reported["numpy"]["state"] == reported["typer"]["state"] == "ok"
    broken = {name for name, finding in reported.items() if finding["state"] == "broken"}
    assert {"cleanlab", "faiss-cpu", "lightgbm", "pandas"} <= broken
    assert events(result)[-1]["broken"] == len(broken)


def test_versions_plugins_and_extras_are_read_from_the_metadata(tmp_path):
    metadata_lines = [
        "Requires-Dist: numpy>=99",
        "Requires-Dist: rich (<99)",
        "Requires-Dist: not-there-at-all>=2",
        "Provides-Extra: hub",
        "Requires-Dist: not-there-either>=3; extra == 'hub'",
        "Provides-Extra: mine",
        'Requires-Dist: pytest>=2; extra == "mine"',
        "Provides-Extra: all",
        "Requires-Dist: labelharness[hub,mine]; extra == 'all'",
    ]
    majority = "majority = harness_plugins.labelers.majority"
    distribution(tmp_path, "labelharness", metadata_lines, ["own = no.such.module", majority])
    distribution(tmp_path, "theirs", points=["theirs = no.other.module", "again = again"])
    source = "from harness import hookimpl\nfrom harness_plugins.labelers.majority import Majority\n"
    env = write(tmp_path, again=f"{source}\n\n@hookimpl\ndef harness_labelers():\n    return [Majority]\n")
    result = harness("doctor", "--json", cwd=tmp_path, env=env)
    assert result.returncode == 1, result.stderr
    reported = findings(result)
    states = {name: (finding["state"], finding["advice"]) for (_, name), finding in reported.items()}
    assert states["numpy"] == ("broken", "pip install 'numpy>=99'")
    assert reported["libraries", "numpy"]["value"] == version("numpy")
    assert states["rich"] == ("ok", "")
    assert states["not-there-at-all"] == ("broken", "pip install 'not-there-at-all>=2'")
    assert reported["libraries", "not-there-at-all"]["value"] == "is not installed"
    assert states["hub"] == ("absent", "pip install 'labelharness[hub]'")
    assert reported["extras", "hub"]["value"] == "lacks not-there-either>=3"
    assert states["mine"][0] == "ok"
    assert states["own (labelharness 1.0)"][0] == "broken"
    assert "No module named 'no'" in reported["plugins", "own (labelharness 1.0)"]["value"]
    assert states["theirs (theirs 1.0)"][0] == "note", "it is fatal to nobody who does not use it"
    assert ("extras", "all") not in reported
    assert states["majority"] == ("note", "uninstall one to use it")
    assert reported["plugins", "majority"]["value"] == "labelers: offered 2 times"
    assert events(result)[-1]["broken"] == 3


def test_people_get_lines_and_a_folder_that_cannot_be_written_is_broken(tmp_path):
    (tmp_path / "file").write_text("")
    result = harness("doctor", "-o", "file/below", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (1, "")
    (line,) = [line for line in result.stdout.splitlines() if "BROKEN" in line]
    assert re.fullmatch(rf"  disk +BROKEN: {tmp_path}/file: cannot be written or locked: .*; choose .* --output", line)
    assert result.stdout.endswith("\n1 broken\n")
    sections = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert sections[:5] == ["python", "machine", "libraries", "device", "plugins"]


def test_an_import_that_hangs_is_ended(tmp_path):
    env = os.environ | write(tmp_path, slow="import time; time.sleep(600)", quick="__version__ = '3'")
    code = "import json; from harness.cli import libraries; libraries.IMPORT_TIMEOUT = 5; "
    code += "modules, _ = libraries.import_in_worker(['quick', 'slow', 'sys'], 1); "
    code += "print(json.dumps({name: [module.version, module.error] for name, module in modules.items()}))"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=PATIENCE, check=True)
    reported = json.loads(done.stdout)
    assert reported == {
        "quick": ["3", ""],
        "slow": ["?", "not imported after 5 s"],
        "sys": ["?", ""],  # the modules after it are imported all the same
    }


def test_gpus_are_listed_and_a_torch_that_sees_none_is_explained():
    torch = ImportedModule("torch", cuda="13.0", gpus=("Big, 80.0 GiB", "Small, 8.0 GiB"))
    gpus = list(environment._device(torch))
    assert [(each.name, each.value) for each in gpus] == [("cuda:0", "Big, 80.0 GiB"), ("cuda:1", "Small, 8.0 GiB")]
    (none,) = environment._device(ImportedModule("torch"))
    assert none.name == "cpu"
    assert none.state in ("ok", "note")

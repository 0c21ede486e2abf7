"""Keys hash the code that a labeler's import reaches, and no other."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HASH_EVERY_CHANGE = """
import json, sys
from pathlib import Path
from harness.data.table import open_table
from harness.run.plan import core_code

package = Path(sys.argv[1]) / "harness"

def hashes():
    twin = open_table("twin:tulu_300k:100", (), package.parent / "cache", "error", None)
    return [core_code.__wrapped__(), twin.sha256]

before, changed = hashes(), {}
for file in sorted(package.rglob("*.py")):
    text = file.read_text()
    file.write_text(text + "\\n# A comment more.\\n")
    changed[file.relative_to(package).as_posix()] = [old != new for old, new in zip(before, hashes(), strict=True)]
    file.write_text(text)
print(json.dumps([changed, before == hashes()]))
"""
REACHED = """
import json, sys
from pathlib import Path
import harness
from harness import *

top = Path(harness.__file__).parent
files = [Path(module.__file__) for name, module in sys.modules.items() if name.startswith("harness.")]
print(json.dumps([file.relative_to(top).as_posix() for file in files]))
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the package, and a function that runs code with it."""
    folder = tmp_path_factory.mktemp("copied")
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    env = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(code):
        done = subprocess.run(
            [sys.executable, "-c", code, folder], cwd=folder, env=env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_a_comment_changes_a_key_where_labelers_run_the_code_and_nowhere_else(copied):
    changed, restored = copied(HASH_EVERY_CHANGE)
    assert restored
    for file, (code, twin) in changed.items():
        assert code == file.startswith(("plugin/", "search/")), file
        assert not twin, f"{file}: the simulated pool has a version, its source is no part of it"


def test_all_that_the_one_import_of_a_labeler_reaches_is_hashed(copied):
    reached = [file for file in copied(REACHED) if not file.startswith(("plugin/", "search/"))]
    assert sorted(reached) == ["errors.py"], "types of failure alone: no answer depends on them"

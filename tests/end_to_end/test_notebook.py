"""The notebook and the page on Python run as they stand, each in a process of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.command_line import PATIENCE, run_module

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
# What Jupyter does: cells in one namespace, the last expression of each shown as HTML where it has that.
KERNEL = """
import ast, json, sys
space, shown = {"__name__": "__main__"}, []
for source in json.load(open(sys.argv[1])):
    *lines, last = ast.parse(source).body
    lines += [] if isinstance(last, ast.Expr) else [last]
    exec(compile(ast.Module(lines, []), "cell", "exec"), space)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), space) if isinstance(last, ast.Expr) else None
    shown.append(getattr(value, "_repr_html_", value.__repr__)())
json.dump(shown, open(sys.argv[2], "w"))
"""


def run_python(module, *arguments, cwd):
    """Run `python -m module` in a Python that has imported nothing."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE)


def run_cells(sources, folder, run):
    """Run sources as cells of a notebook in one process; return what each shows."""
    (folder / "kernel.py").write_text(KERNEL)
    (folder / "cells.json").write_text(json.dumps(sources))
    result = run("kernel", "cells.json", "shown.json", cwd=folder)
    assert result.returncode == 0, result.stderr
    return json.loads((folder / "shown.json").read_text())


def test_the_notebook_runs(tmp_path):
    notebook = json.loads(NOTEBOOK.read_text())
    assert notebook["nbformat"] == 4
    assert notebook["cells"][0]["source"][0].startswith("# SIMULATED DATA")
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code), "no output is committed"
    shown = run_cells(["".join(cell["source"]) for cell in code], tmp_path, run_python)
    board = next(html for html in shown if "labelharness-board" in html)
    assert "SIMULATED DATA" in board
    labelers = re.findall(r'scope="row"[^>]*>([^<]+)<', board)
    assert sorted(labelers) == sorted(
        ["majority", "source_prior", "knn(on=embedding, k=20)", "PCA + logistic regression"]
    )
    cells = pd.read_parquet(tmp_path / "runs" / "notebook" / "tables" / "cells.parquet")
    assert set(cells["status"]) == {"ok"}
    assert (tmp_path / "notebook_report.html").stat().st_size > 50_000
    assert len(shown) == len(code)


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_code_of_a_page_runs_in_one_go(page, tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 6, 300)
    rows = {
        "row_id": np.arange(300),
        "messages": [f"Answer {label}" for label in rng.permutation(300)],
        "quality": np.where(np.arange(300) % 10, y, np.nan),
        "dataset": [f"source {i % 3}" for i in range(300)],
        "prompt_id": np.arange(300) // 2,
        "embeddings": list((np.eye(6)[y] + 0.3 * rng.standard_normal((300, 6))).astype(np.float32)),
    }
    pd.DataFrame(rows).to_parquet(tmp_path / "my_rows.parquet")
    text = (ROOT / page).read_text()
    (tmp_path / "my_rows.yaml").write_text(re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[0])
    sources = re.findall(r"^```py\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    last = "[len(labels), int(labels['is_gold'].sum()), run.board['labeler'].nunique(), run.board['labeler'].iloc[-1]]"
    shown = run_cells([*sources, last], tmp_path, run_module)
    assert shown[-1] == "[300, 270, 2, 'majority']"
    assert (tmp_path / "report.html").exists()

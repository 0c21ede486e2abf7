"""The script that makes the judged responses, on results laid out like those of alpaca_eval."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "scripts" / "judged_responses.py"


@pytest.fixture
def made():
    return runpy.run_path(str(SCRIPT))


def verdict(prompt, answer, preference, swapped=False):
    """One entry of annotations.json; `preference` is the judge's for the second output."""
    ours, reference = ("mine", answer), ("gpt4_1106_preview", "theirs")
    (first, output_1), (second, output_2) = (ours, reference) if swapped else (reference, ours)
    names = {"generator_1": first, "generator_2": second, "output_1": output_1, "output_2": output_2}
    return {"instruction": prompt, "preference": preference, **names}


def lay_out(folder, model, verdicts):
    file = folder / model / "weighted_alpaca_eval_gpt4_turbo" / "annotations.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(verdicts))


def test_rows_have_the_answer_its_prompt_and_its_class(made, tmp_path):
    lay_out(tmp_path, "one", [verdict("q0", "a", 1.5), verdict("q1", "b", 2.0), verdict("q2", "c", None)])
    lay_out(tmp_path, "two", [verdict("q1", "d", 1.0), verdict("q0", "e", 1.999, swapped=True)])
    rows = list(made["rows"](tmp_path, ("one", "two")))
    assert [(row["source"], row["prompt_id"], row["messages"][1]["content"]) for row in rows] == [
        ("one", 0, "a"),
        ("one", 1, "b"),  # the third has no verdict
        ("two", 0, "e"),  # the same prompts have the same numbers, and stand in their order
        ("two", 1, "d"),
    ]
    assert [row["row_id"] for row in rows] == [0, 1, 2, 3]
    assert [row["judge_win_prob"] for row in rows] == pytest.approx([0.5, 1.0, 0.001, 0.0])
    assert [row["judge_score"] for row in rows] == [4, 5, 3, 0]
    assert rows[0]["messages"][0] == {"role": "user", "content": "q0"}


def test_it_writes_the_file_that_the_suites_read(made, tmp_path):
    for model in made["MODELS"]:
        lay_out(tmp_path / "results", model, [verdict("q", model, 1.25)])
    target = tmp_path / "judged.parquet"
    subprocess.run([sys.executable, SCRIPT, tmp_path / "results", target], check=True, capture_output=True)
    table = pq.read_table(target)
    assert table.schema.equals(made["SCHEMA"])
    assert table["source"].to_pylist() == list(made["MODELS"])


def test_a_model_without_results_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path, tmp_path / "x"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "no weighted_alpaca_eval_gpt4_turbo/annotations.json of FuseChat-Gemma-2-9B-Instruct" in done.stderr

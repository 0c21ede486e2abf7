"""Make raw_data/judged_responses.parquet from the public results of alpaca_eval (data CC BY-NC 4.0).

    git clone --depth 1 https://github.com/tatsu-lab/alpaca_eval
    python docs/scripts/judged_responses.py alpaca_eval/results raw_data/judged_responses.parquet

A row is the answer of one model to one prompt, with the judge's probability that it is better than the reference's.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

JUDGE, REFERENCE = "weighted_alpaca_eval_gpt4_turbo", "gpt4_1106_preview"
MODELS = (
    *("FuseChat-Gemma-2-9B-Instruct", "FuseChat-Llama-3.2-3B-Instruct", "Qwen-14B-Chat", "alpaca-7b_concise"),
    *("chatglm2-6b", "claude-2", "claude-2.1", "claude-2.1_concise", "gemma-2b-it", "gemma-7b-it"),
    *("gpt-3.5-turbo-0301", "gpt-3.5-turbo-1106_verbose", "minichat-3b", "oasst-rlhf-llama-33b"),
    *("oasst-sft-llama-33b", "oasst-sft-pythia-12b", "openbuddy-falcon-40b-v9", "openbuddy-llama2-70b-v10.1"),
    *("phi-2-sft", "pythia-12b-mix-sft", "ultralm-13b", "vicuna-13b", "vicuna-7b"),
)
CUTS = (3.84e-7, 1.89e-6, 5.56220495e-5, 8.3157792e-3, 0.999907)
"""Probabilities where classes 1 to 5 begin: quantiles at the pool's class shares over more models than these. They are
fixed, so that an answer's class does not depend on the models it is taken with."""
SCHEMA = pa.schema(
    {
        "row_id": pa.int32(),
        "source": pa.string(),
        "prompt_id": pa.int32(),
        "messages": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
        "judge_win_prob": pa.float32(),
        "judge_score": pa.int8(),
    }
)


def judged(file: Path) -> Iterator[tuple[str, str, float]]:
    """Yield (prompt, answer, probability that it is better) for every answer of a model that the judge decided on.

    A preference runs from 1, the first of the two outputs is better, to 2, the second is.
    """
    for verdict in json.loads(file.read_text(encoding="utf-8")):
        preference = verdict.get("preference")
        if preference is None or not 1 <= preference <= 2:
            continue
        if verdict["generator_1"] == REFERENCE:
            yield verdict["instruction"], verdict["output_2"], preference - 1
        elif verdict["generator_2"] == REFERENCE:
            yield verdict["instruction"], verdict["output_1"], 2 - preference


def rows(results: Path, models: tuple[str, ...] = MODELS) -> Iterator[dict[str, Any]]:
    """Yield the rows, model by model; prompts are numbered in the order in which the first model meets them."""
    numbers: dict[str, int] = {}
    row_id = 0
    for model in models:
        found = list(judged(results / model / JUDGE / "annotations.json"))
        for prompt, _, _ in found:
            numbers.setdefault(prompt, len(numbers))
        for prompt, answer, probability in sorted(found, key=lambda each: numbers[each[0]]):
            turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            yield {
                "row_id": row_id,
                "source": model,
                "prompt_id": numbers[prompt],
                "messages": turns,
                "judge_win_prob": probability,
                "judge_score": int(np.searchsorted(CUTS, probability, side="right")),
            }
            row_id += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the folder 'results' of a clone of alpaca_eval")
    parser.add_argument("output", type=Path, help="the parquet file to write")
    given = parser.parse_args()
    missing = [model for model in MODELS if not (given.results / model / JUDGE / "annotations.json").exists()]
    if missing:
        sys.exit(f"{given.results}: no {JUDGE}/annotations.json of {', '.join(missing)}")
    table = pa.Table.from_pylist(list(rows(given.results)), SCHEMA)
    pq.write_table(table, given.output)
    print(f"{given.output}: {len(table):,} rows")


if __name__ == "__main__":
    main()

"""Finished boards without a run: the files that a run would have written, about given numbers."""

import json

import numpy as np

from harness.report.csv_files import to_csv
from harness.report.parquet_files import PAIRS, SCORES, to_parquet
from harness.statistics.significance import Measurements, estimate_differences, pairs_of

COMPARISON = "nested(test=0.5), 10 % labelled"
SCORE = dict.fromkeys(("fold", "class", "source", "rows", "stage"))


def write_board(folder, values, metric="accuracy", se=0.01, simulated=True, **record):
    """Write a board of {labeler: (J,) values of its seeds}; a labeler with an empty list has failed.

    `se` is the standard error of a value over the test rows.
    """
    folder.mkdir(parents=True)
    ranked = {name: np.asarray(v, float) for name, v in values.items() if len(v)}
    order = sorted(ranked, key=lambda name: ranked[name].mean() * (1 if metric == "mae" else -1))
    standings = []
    for i, name in enumerate([*order, *(name for name in values if name not in ranked)]):
        row = dict.fromkeys(("low", "high", "difference", "difference_low", "difference_high"))
        head = {"comparison": COMPARISON, "labeler": name, "rank": f"{i + 1}" if name in ranked else ""}
        head |= {"rank_low": i + 1, "rank_high": i + 1, "leading": i == 0} if name in ranked else {}
        standings.append(head | {"value": float(ranked[name].mean()) if name in ranked else None} | row)
    scores = [
        SCORE | {"comparison": COMPARISON, "labeler": name, "seed": seed, "ratio": 0.1, "status": "ok"}
        | {"metric": each, "oracle": False, "value": float(value) + shift, "n": 500}
        for name, of_seeds in ranked.items()
        for seed, value in enumerate(of_seeds)
        for each, shift in ((metric, 0.0), ("macro_f1", -0.1))
    ]  # fmt: skip
    measured = Measurements(np.array([ranked[name] for name in order]), se**2 * np.eye(len(order)), 500)
    estimates = estimate_differences(measured)
    pairs = [
        {"comparison": COMPARISON, "labeler_a": order[a], "labeler_b": order[b], "difference": float(value)}
        | {"se": float(error), "low": 0.0, "high": 0.0, "p": 1.0, "p_holm": 1.0, "separated": False}
        for a, b, value, error in zip(*pairs_of(len(order)), estimates.value, estimates.se, strict=True)
    ]
    entry = {"name": folder.name, "data": f"{folder.name}.parquet", "simulated": simulated, "population": "all"}
    entry |= {"target": "score", "labelers": len(values), "comparison": COMPARISON, "leading": order[:1]}
    (folder / "board.json").write_text(json.dumps(entry | {"command": f"harness run {folder.name}.yaml"} | record))
    (folder / "standings.csv").write_text(to_csv(standings))
    (folder / SCORES).write_bytes(to_parquet(SCORES, scores))
    (folder / PAIRS).write_bytes(to_parquet(PAIRS, pairs))
    return folder

"""Hide nine labels of ten, label the rest, and see whether what is said of the labels is true.

`python docs/scripts/labelling.py measure FOLDER` makes docs/data/labelling.csv from
raw_data/judged_responses.parquet, and `replay` docs/data/labelling_replay.csv; both leave what they have run in FOLDER.
`draws` makes docs/data/labelling_draws.csv from raw_data/tulu_300k_scores.parquet. Without a word, fill the tables of
docs/labelling.md from these.
"""

import csv
import json
import re
import runpy
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

ROOT = Path(__file__).parents[2]
DATA = ROOT / "raw_data" / "judged_responses.parquet"
NUMBERS = ROOT / "docs" / "data" / "labelling.csv"
REPLAY = ROOT / "docs" / "data" / "labelling_replay.csv"
DRAWS = ROOT / "docs" / "data" / "labelling_draws.csv"
LEARNER = "mlp(on=svd+text_v2+source, epochs=40)"
MORE = 500
TABLE = re.compile(r"<!-- table: (?P<name>\w+) -->\n.*?<!-- end of table -->", re.DOTALL)
SEEDS = tuple(range(1, 11))
REPLAYED = SEEDS[:3]
SHOWN = 0.1  # share of the rows whose label is left
ASKED = {"accepted": ("--target-accuracy", "0.55"), "refused": ("--target-accuracy", "0.95"), "top": ("--top", "0.03")}
HEADER = ("seed", "what", "number", "stated", "low", "high", "truth", "met")

BOTH = ["svd", "text_v2", "source"]
SUITE = {
    "version": 1,
    "data": {"id": "row_id", "text": "messages", "target": "judge_score", "source": "source", "classes": 6},
    "blocks": {
        "svd": {"embedder": "hashing_svd", "dim": 128},
        "text_v2": {"features": "text_v2"},
        "source": {"features": "one_hot", "columns": ["source"]},
    },
    "splits": [{"splitter": "kfold", "folds": 5, "seeds": [0]}],
    "labelers": [
        "majority",
        {"source_prior": {"on": "source"}},
        {"knn": {"on": "svd"}},
        {"mlp": {"on": BOTH, "epochs": 40}},
        {"gbm": {"on": BOTH}},
    ],
}


def measure(folder: Path) -> None:
    """Label the hidden rows of every seed, and write what was said and what is true."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(NUMBERS, HEADER, [row for seed in SEEDS for row in _seed(folder, seed)])


def _save(file: Path, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    with file.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _seed(folder: Path, seed: int) -> Iterator[tuple[Any, ...]]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = pq.read_table(DATA)
    truth = whole["judge_score"].to_numpy().astype(int)
    hidden = np.ones(len(truth), bool)
    hidden[np.random.default_rng(seed).permutation(len(truth))[: round(SHOWN * len(truth))]] = False
    column = whole.schema.get_field_index("judge_score")
    left = whole.set_column(column, "judge_score", pa.array(truth, pa.int8(), mask=hidden))
    name = f"labels_{seed}"
    pq.write_table(left.drop_columns("judge_win_prob"), folder / f"{name}.parquet")
    data = SUITE["data"] | {"path": f"{name}.parquet"}  # type: ignore[operator]
    (folder / f"{name}.yaml").write_text(json.dumps(SUITE | {"name": name, "data": data}, indent=1))
    _harness("run", f"{name}.yaml", cwd=folder)
    for what, asked in {"all": (), **ASKED}.items():
        out = folder / f"{name}-{what}.parquet"
        _harness("label", f"{name}.yaml", *asked, "--to", out.name, cwd=folder)
        said, made = json.loads(out.with_suffix(".json").read_text()), pq.read_table(out)
        for row in _compared(what, said, made, truth, hidden):
            yield seed, what, *row


def _harness(*arguments: str, cwd: Path) -> None:
    subprocess.run([sys.executable, "-m", "harness.cli", *arguments, "--threads", "1"], cwd=cwd, check=True)


def _compared(what: str, said: dict[str, Any], made: Any, truth: Any, hidden: Any) -> Iterator[tuple[Any, ...]]:
    """Yield (number, stated, low, high, truth, whether it is met) for the hidden rows."""
    columns = {
        name: made[name].to_numpy()[hidden]
        for name in ("proxy_label", "confidence", "label_low", "label_high", "accepted")
    }
    y, label, taken = truth[hidden], columns["proxy_label"], columns["accepted"]
    quality, hit = said["quality"], columns["proxy_label"] == truth[hidden]

    def held(number: str, found: dict[str, Any] | None, true: float) -> tuple[Any, ...]:
        if found is None:
            return number, "", "", "", f"{true:.4f}", ""
        met = found["low"] <= true <= found["high"]
        return number, *(f"{found[key]:.4f}" for key in ("value", "low", "high")), f"{true:.4f}", int(met)

    if what == "all":
        yield from _of_all(said, made, truth, hidden, held)
        yield "labeler", said["provenance"]["labeler"], "", "", "", ""
    elif what == "top":
        yield held("precision", quality["accepted_right"], float((y[taken] >= 4).mean()))
    else:
        reached = said["rules"]["thresholds"][0]["confidence"] is not None
        yield "reached", int(reached), "", "", "", ""
        if reached:
            bound = said["rules"]["thresholds"][0]["bound"]
            yield held("accuracy", quality["accepted_right"], float(hit[taken].mean()))
            target = said["rules"]["wish"]["target"]
            yield "target", target, f"{bound:.4f}", 1, f"{hit[taken].mean():.4f}", int(hit[taken].mean() >= target)
        assert len(label) == len(y)


def _of_all(said: dict[str, Any], made: Any, truth: Any, hidden: Any, held: Any) -> Iterator[tuple[Any, ...]]:
    import numpy as np

    from harness.statistics.metrics import confidence_error, count_confusion, macro_f1

    quality, pool, y = said["quality"], said["pool"], truth[hidden]
    label, confidence, low, high = (
        made[name].to_numpy()[hidden] for name in ("proxy_label", "confidence", "label_low", "label_high")
    )
    proba = np.stack(made["proxy_probs"].to_numpy())[hidden].astype(float)
    hit, inside = label == y, (low <= y) & (y <= high)
    yield held("accuracy", quality["accuracy"], hit.mean())
    yield held("macro_f1", quality["macro_f1"], macro_f1(count_confusion(y, label, 6)))
    yield held("mae", quality["mae"], np.abs(label.astype(int) - y).mean())
    yield held("overconfidence", quality["overconfidence"], float(confidence.astype(float).mean() - hit.mean()))
    yield held("coverage", quality["coverage"], inside.mean())
    errors = {"calibration": (quality["calibration"], confidence.astype(float), hit)}
    for c in range(6):
        errors[f"calibration {c}"] = quality["calibration_by_class"][str(c)], proba[:, c], y == c
        yield held(f"recall {c}", quality["recall"][str(c)], hit[y == c].mean())
        if (label == c).any():
            yield held(f"precision {c}", quality["precision"][str(c)], hit[label == c].mean())
        yield held(f"coverage {c}", quality["coverage_by_class"][str(c)], inside[y == c].mean())
        yield held(f"share {c}", pool["shares"][str(c)]["powered"], (truth == c).mean())
        yield held(f"share alone {c}", pool["shares"][str(c)]["labelled"], (truth == c).mean())
        naive = pool["shares"][str(c)]["naive"]
        yield f"naive share {c}", f"{naive:.4f}", "", "", f"{(truth == c).mean():.4f}", ""
    for number, (found, p, right) in errors.items():
        true = confidence_error(p, right)
        yield (
            number,
            f"{found['after']:.4f}",
            f"{found['before']:.4f}",
            f"{found['at_most']:.4f}",
            f"{true:.4f}",
            int(true <= found["at_most"]),
        )
    yield held("score", pool["score"]["powered"], truth.mean())
    yield held("score alone", pool["score"]["labelled"], truth.mean())


def replay(folder: Path) -> None:
    """Label 500 rows more, suggested or drawn, and see what they add on rows that neither could take."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(REPLAY, ("seed", "rows", "metric", "value"), [row for seed in REPLAYED for row in _replayed(folder, seed)])


def _replayed(folder: Path, seed: int) -> Iterator[tuple[Any, ...]]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from harness.statistics.metrics import count_confusion, macro_f1, mae

    whole = pq.read_table(DATA).drop_columns("judge_win_prob")
    y, n = whole["judge_score"].to_numpy().astype(int), whole.num_rows
    order = np.random.default_rng(100 + seed).permutation(n)
    locked, first, rest = np.split(order, [round(0.3 * n), round(0.3 * n) + round(SHOWN * n)])
    place = whole.schema.get_field_index("judge_score")

    def label(name: str, known: Any, among: Any, *asked: str) -> Any:
        hidden = ~np.isin(np.arange(n), known)
        shown = whole.set_column(place, "judge_score", pa.array(y, pa.int8(), mask=hidden)).take(np.sort(among))
        pq.write_table(shown, folder / f"{name}.parquet")
        data = SUITE["data"] | {"path": f"{name}.parquet"}  # type: ignore[operator]
        (folder / f"{name}.yaml").write_text(json.dumps(SUITE | {"name": name, "data": data}, indent=1))
        out = f"{name}-out.parquet"
        (folder / out).unlink(missing_ok=True)  # of rows that an earlier version suggested
        _harness("label", f"{name}.yaml", "--with", LEARNER, *asked, "--to", out, cwd=folder)
        return pq.read_table(folder / out)

    row_of = {int(id): row for row, id in enumerate(whole["row_id"].to_pylist())}
    pool = np.concatenate([first, rest])
    asked = label(f"replay_{seed}", first, pool, "--suggest", str(MORE))["row_id"].to_pylist()
    arms = {"none": [], "random": rest[:MORE], "suggested": [row_of[id] for id in asked]}
    for arm, more in arms.items():
        known = np.concatenate([first, np.asarray(more, int)])
        made = label(f"replay_{seed}_{arm}", known, np.arange(n), "--folds", "2")["proxy_label"].to_numpy()[locked]
        table = count_confusion(y[locked], made, 6)
        yield seed, arm, "accuracy", f"{(made == y[locked]).mean():.4f}"
        yield seed, arm, "macro-F1", f"{macro_f1(table):.4f}"
        yield seed, arm, "MAE", f"{mae(table):.4f}"
        yield seed, arm, "rows of classes 0 and 5", str(int(np.isin(y[np.asarray(more, int)], [0, 5]).sum()))


def draws() -> None:
    """Draw 2,000 labels of the real pool a thousand times, and estimate it with a table of the other raters' scores."""
    import numpy as np
    import pyarrow.parquet as pq

    from harness.statistics.prediction_powered import Sample, estimate_mean

    scores = pq.read_table(ROOT / "raw_data" / "tulu_300k_scores.parquet")
    y = scores["gpt_scores"].to_numpy().astype(int)
    source = scores["source"].combine_chunks().indices.to_numpy()
    code = (source * 6 + scores["llama_scores"].to_numpy()) * 6 + scores["mistral_scores"].to_numpy()
    numbers = {f"share of class {c}": (y == c) for c in range(6)}
    numbers |= {f"share of {c} or more": (y >= c) for c in range(2, 5)} | {"mean score": y.astype(float)}
    rng, n, folds = np.random.default_rng(0), 2_000, 5
    found: dict[str, list[Any]] = defaultdict(list)
    for _ in range(1_000):
        rows = rng.choice(len(y), 5 * n, replace=False)
        known, pool = rows[:n], rows[n:]
        fold, fold_pool = np.arange(n) % folds, np.arange(len(pool)) % folds
        for name, value in numbers.items():
            guess, guess_pool = np.empty(n), np.empty(len(pool))
            for k in range(folds):
                learnt = known[fold != k]
                total = np.bincount(code[learnt], value[learnt], 180) + value[learnt].mean()
                table = total / (np.bincount(code[learnt], minlength=180) + 1)
                guess[fold == k] = table[code[known[fold == k]]]
                guess_pool[fold_pool == k] = table[code[pool[fold_pool == k]]]
            off = guess_pool > 0.5 if value.dtype == bool else np.round(guess_pool)
            one = estimate_mean(value[known], guess, guess_pool, Sample(fold), Sample(fold_pool), float(off.mean()))
            found[name].append((value.mean(), one))
    rows = []
    for name, each in found.items():
        inside = [mean(getattr(one, how).holds(true) for true, one in each) for how in ("powered", "labelled")]
        width = [
            mean(getattr(one, how).high - getattr(one, how).low for _, one in each) for how in ("powered", "labelled")
        ]
        off = mean(one.naive for _, one in each)
        rows.append((name, *(f"{number:.4f}" for number in (each[0][0], *inside, width[0] / width[1], off))))
    _save(DRAWS, ("number", "truth", "powered", "labelled", "width", "naive"), rows)


GROUPS = {
    "accuracy": ("all", "accuracy"),
    "macro-F1": ("all", "macro_f1"),
    "MAE": ("all", "mae"),
    "recall of each class": ("all", r"recall \d"),
    "precision of each class": ("all", r"precision \d"),
    "mean confidence − accuracy": ("all", "overconfidence"),
    "calibration error (a bound)": ("all", "calibration"),
    "calibration error of each class (a bound)": ("all", r"calibration \d"),
    "sets of 0.9 coverage: share that holds the truth": ("all", "coverage"),
    "the same, of each class": ("all", r"coverage \d"),
    "`--target-accuracy 0.55`: accuracy of the accepted": ("accepted", "accuracy"),
    "`--target-accuracy 0.55`: the target itself (a bound)": ("accepted", "target"),
    "`--top 0.03`: share with a true score of 4 or 5": ("top", "precision"),
    "share of each class in the pool": ("all", r"share \d"),
    "mean score of the pool": ("all", "score"),
}


def promises(rows: list[dict[str, str]]) -> str:
    """Return the table of what was said, what is true, and how often the one holds the other."""
    lines = ["| stated | stated, mean | truth, mean | met |", "| --- | --: | --: | --: |"]
    for shown, (what, number) in GROUPS.items():
        found = [row for row in rows if row["what"] == what and re.fullmatch(number, row["number"]) and row["met"]]
        single = len({row["number"] for row in found}) == 1
        means = [f"{mean(float(row[key]) for row in found):.4f}" if single else "" for key in ("stated", "truth")]
        met = sum(int(row["met"]) for row in found)
        lines.append(f"| {shown} | {' | '.join(means)} | {met}/{len(found)} |")
    return "\n".join(lines)


def runs(rows: list[dict[str, str]]) -> str:
    """Return the table of the single seeds."""
    by_seed: dict[str, dict[tuple[str, str], dict[str, str]]] = defaultdict(dict)
    for row in rows:
        by_seed[row["seed"]][row["what"], row["number"]] = row
    header = [
        "seed",
        "labeler",
        "accuracy",
        "calibration error",
        "coverage",
        "accuracy at 0.55",
        "at 0.95",
    ]
    lines = ["| " + " | ".join(header) + " |", "| --: | --- " + "| --: " * 5 + "|"]
    for seed, found in by_seed.items():
        cells = [seed, found["all", "labeler"]["stated"]]
        for key in (
            ("all", "accuracy"),
            ("all", "calibration"),
            ("all", "coverage"),
            ("accepted", "accuracy"),
        ):
            row = found.get(key)
            cells.append("" if row is None else f"{row['stated']} → {row['truth']}")
        cells.append("reached" if found["refused", "reached"]["stated"] == "1" else "refused")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def replays(rows: list[dict[str, str]]) -> str:
    """Return the table of what 500 labels more have added."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    arms = list(dict.fromkeys(row["rows"] for row in rows))
    lines = [f"| {MORE} rows more | {' | '.join(metrics)} |", "| --- " + "| --: " * len(metrics) + "|"]
    for arm in arms:
        cells = []
        for metric in metrics:
            values = [float(row["value"]) for row in rows if (row["rows"], row["metric"]) == (arm, metric)]
            cells.append(f"{mean(values):.4f} ± {stdev(values):.4f}" if "rows" not in metric else f"{mean(values):.0f}")
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def drawn(rows: list[dict[str, str]]) -> str:
    """Return the table of the thousand draws."""
    lines = [
        "| | truth | labels and proxies: covered | labels alone: covered | width, labels alone = 1 | naive |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        shares = (f"{100 * float(row[how]):.1f} %" for how in ("powered", "labelled"))
        lines.append(
            f"| {row['number']} | {row['truth']} | {' | '.join(shares)} | {float(row['width']):.2f} | {row['naive']} |"
        )
    return "\n".join(lines)


def with_tables(page: str, root: Path) -> str:
    """Return the page with every marked table made anew."""
    made = {
        "promises": (promises, NUMBERS),
        "runs": (runs, NUMBERS),
        "replay": (replays, REPLAY),
        "draws": (drawn, DRAWS),
    }

    for name, script, function, source in (
        ("cards", "cards", "cards", "cards.csv"),
        ("needed", "labels_needed", "needed", "labels_needed.csv"),
    ):
        made[name] = runpy.run_path(str(Path(__file__).with_name(f"{script}.py")))[function], DRAWS.with_name(source)

    def table(match: re.Match[str]) -> str:
        show, source = made[match["name"]]
        with (root / "docs" / "data" / source.name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        return f"<!-- table: {match['name']} -->\n{show(rows)}\n<!-- end of table -->"

    return TABLE.sub(table, page)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", folder]:
            measure(Path(folder).absolute())
        case ["replay", folder]:
            replay(Path(folder).absolute())
        case ["draws"]:
            draws()
    page = ROOT / "docs" / "labelling.md"
    page.write_text(with_tables(page.read_text(), ROOT))

"""Fill the tables of docs/findings.md from the boards' scores.parquet and pairs.parquet, and from
docs/data/planted_noise.csv and unlabelled_rows.csv: `python docs/scripts/findings.py`."""

import csv
import re
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pyarrow.parquet as pq

TABLE = re.compile(r"<!-- table: (?P<name>\w+) -->\n.*?<!-- end of table -->", re.DOTALL)

HALF, TENTH = "nested(test=0.3), 50 % labelled", "nested(test=0.3), 10 % labelled"
JUDGED = (
    ("random, 10 %", "judged_random", TENTH),
    ("random, 50 %", "judged_random", HALF),
    ("by prompt, 10 %", "judged_by_prompt", TENTH),
    ("by prompt, 50 %", "judged_by_prompt", HALF),
)
SCALE = (
    ("random", "scale_random", TENTH),
    ("by prompt", "scale_by_prompt", TENTH),
    ("twin (SIMULATED)", "scale_twin", TENTH),
)
MINILM = tuple(
    (heading, suite.replace("random", "minilm").replace("by_prompt", "minilm_by_prompt"), place)
    for heading, suite, place in JUDGED
)
SKYWORK = "mlp(h=256) skywork text-v2"
BOTH = "svd+text_v2"


def flan(suite: str, *ratios: int) -> tuple[tuple[str, str, str], ...]:
    """Return the columns of a suite of the record, one a ratio in per cent."""
    return tuple((f"{ratio} %", f"record_{suite}", f"prefix, {ratio} % labelled") for ratio in ratios)


def both(method: str, on: str) -> tuple[str, str]:
    """Return the names of a network that answers with its last epoch, and with the one chosen on labelled rows."""
    return f"{method} {on}", f"{method} {on}, validated"


# name -> columns (heading, suite, comparison), labelers
TABLES: dict[str, tuple[tuple[tuple[str, str, str], ...], list[str]]] = {
    "factors": (
        JUDGED,
        [
            *("majority", "source_prior"),
            *("knn(on=svd64)", "knn(on=svd)", "mlp(on=svd64, epochs=40)", "mlp(on=svd, epochs=40)"),
            *("mlp(on=text_v1, epochs=40)", "mlp(on=text_v2, epochs=40)", "mlp(on=svd+text_v1, epochs=40)"),
            *(f"mlp(on={BOTH}, epochs=40{width})" for width in (", hidden=64", "", ", hidden=512")),
            *(f"resnet(on={BOTH}, epochs=40)", f"linear(on={BOTH}, epochs=40)"),
            *("gbm(on=text_v2)", "gbm(on=svd)", f"gbm(on={BOTH})"),
            *(f"mlp(on={BOTH}+source, epochs=40)", f"gbm(on={BOTH}+source)"),
        ],
    ),
    "front": (
        JUDGED,
        [
            *(f"mlp(on={BOTH}, epochs=40)", f"mlp(on={BOTH}, epochs=40, class_weight=true)", "oversample(mlp)"),
            *("balanced(mlp)", f"mlp(on={BOTH}, epochs=40, loss=focal)"),
            *(f"mlp(on={BOTH}, epochs=40, label_smoothing=0.1, mixup=0.2)", f"ordinal(on={BOTH}, epochs=40)"),
        ],
    ),
    "scaling": (
        JUDGED,
        [
            *("knn(on=svd)", "knn on centred svd", "knn on standardised svd", "knn on whitened svd"),
            *(f"mlp(on={BOTH}, epochs=40)", "mlp on standardised svd + text_v2", "mlp on whitened svd + text_v2"),
        ],
    ),
    "scale": (
        SCALE,
        [
            f"{network}{scale}"
            for network in ("mlp", "resnet", "mlp of the embedding")
            for scale in ("", ", standard", ", whiten")
        ],
    ),
    "wrappers": (
        JUDGED,
        [
            *(f"mlp(on={BOTH}, epochs=40)", "calibrated(mlp)", "self_training(mlp)", "self_training(oversample(mlp))"),
            *("cleanlab(remove, mlp)", "cleanlab(relabel, mlp)", "ensemble(mlp, knn)", "ensemble(mlp, gbm)"),
            *("label_spreading(on=svd)", "graph_propagation(on=svd)"),
        ],
    ),
    "encoder": (
        MINILM,
        [
            *("majority", "source_prior", "knn(on=svd)", "knn(on=minilm)", "knn on centred minilm"),
            *(f"mlp(on={on}, epochs=40)" for on in ("svd", "minilm", "text_v2", BOTH, "minilm+text_v2")),
            *(f"mlp(on=minilm+{on}, epochs=40)" for on in ("svd+text_v2", "text_v2+source")),
            *(f"gbm(on={on})" for on in (BOTH, "minilm+text_v2")),
        ],
    ),
    "labels": (
        (("the pool, 10 %", "labels_only", "prefix, 10 % labelled"),),
        ["majority", "source_prior", "source + other raters"],
    ),
    "flan_embedding": (
        flan("skywork_fusion", 10, 30, 90),
        [
            "majority",
            *(each for on in ("bge text-v1", "bge text-v2", "skywork text-v2") for each in both("mlp(h=256)", on)),
        ],
    ),
    "flan_capacity": (
        flan("networks", 10),
        [
            each
            for network in (
                "linear",
                "mlp(h=256)",
                "mlp(h=256,class_weight)",
                "resnet(h=256,blocks=4)",
                "ordinal(h=256,blocks=4)",
            )
            for each in both(network, "bge")
        ],
    ),
    "flan_weights": (
        flan("oversample", 10, 30, 90),
        [f"{method} skywork text-v2" for method in ("mlp(h=256)", "mlp(h=256,class_weight)", "oversample(mlp(h=256))")],
    ),
    "flan_cleaning": (
        flan("cleanlab", 10, 20, 30),
        [SKYWORK, *(f"cleanlab({do},mlp(h=256)) skywork text-v2" for do in ("remove", "relabel"))],
    ),
    "flan_fusion": (
        flan("label_fusion", 10, 30, 90),
        [SKYWORK, *(f"label_fusion({how},mlp(h=256)) skywork text-v2" for how in ("majority", "median", "consensus"))],
    ),
    "flan_self_training": (
        flan("self_training", 10, 20, 30),
        [SKYWORK, "self_training(mlp(h=256),rounds=5) skywork text-v2"],
    ),
    "flan_ensemble": (
        flan("ensemble", 10, 20, 30),
        [SKYWORK, "knn(k=50,tau=0.1,vote) skywork", "ensemble(knn,mlp) skywork text-v2"],
    ),
}

PLAIN = f"mlp(on={BOTH}, epochs=40)"
NETWORKS = ("mlp", "resnet", "ordinal")

# name -> columns (heading, suite, comparison), claims (what, labeler, the one it is compared with)
CLAIMS: dict[str, tuple[tuple[tuple[str, str, str], ...], list[tuple[str, str, str]]]] = {
    "claims": (
        JUDGED,
        [
            ("an embedding, over the commonest class", "mlp(on=svd, epochs=40)", "majority"),
            ("text features beside it", PLAIN, "mlp(on=svd, epochs=40)"),
            ("63 text features, over 35", PLAIN, "mlp(on=svd+text_v1, epochs=40)"),
            ("width 512, over 256", f"mlp(on={BOTH}, epochs=40, hidden=512)", PLAIN),
            ("width 64, over 256", f"mlp(on={BOTH}, epochs=40, hidden=64)", PLAIN),
            ("a residual network, over the plain one", f"resnet(on={BOTH}, epochs=40)", PLAIN),
            ("the ordinal network, over the plain one", f"ordinal(on={BOTH}, epochs=40)", PLAIN),
            ("trees, over the network", f"gbm(on={BOTH})", PLAIN),
            ("the network, over the source alone", PLAIN, "source_prior"),
            ("the source, beside all else", f"mlp(on={BOTH}+source, epochs=40)", PLAIN),
            ("class weights", f"mlp(on={BOTH}, epochs=40, class_weight=true)", PLAIN),
            ("oversampling", "oversample(mlp)", PLAIN),
            ("focal loss", f"mlp(on={BOTH}, epochs=40, loss=focal)", PLAIN),
            ("whitening the embedding", "mlp on whitened svd + text_v2", PLAIN),
            ("self-training", "self_training(mlp)", PLAIN),
            ("removing rows by cleanlab", "cleanlab(remove, mlp)", PLAIN),
            ("an ensemble with kNN", "ensemble(mlp, knn)", PLAIN),
            ("an ensemble with trees", "ensemble(mlp, gbm)", PLAIN),
            ("propagation, over kNN", "graph_propagation(on=svd)", "knn(on=svd)"),
        ],
    ),
    "scale_claims": (
        SCALE,
        [
            (f"{network}: {scale}, over none", f"{network}, {scale}", network)
            for network in ("mlp", "resnet", "mlp of the embedding")
            for scale in ("standard", "whiten")
        ],
    ),
    "encoder_claims": (
        MINILM,
        [
            ("MiniLM, over hashed words: neighbours", "knn(on=minilm)", "knn(on=svd)"),
            ("MiniLM, over hashed words: a network", "mlp(on=minilm, epochs=40)", "mlp(on=svd, epochs=40)"),
            ("the same, with text features beside it", "mlp(on=minilm+text_v2, epochs=40)", PLAIN),
            ("the same, trees", "gbm(on=minilm+text_v2)", f"gbm(on={BOTH})"),
            ("text features beside MiniLM", "mlp(on=minilm+text_v2, epochs=40)", "mlp(on=minilm, epochs=40)"),
            (
                "hashed words beside MiniLM",
                "mlp(on=minilm+svd+text_v2, epochs=40)",
                "mlp(on=minilm+text_v2, epochs=40)",
            ),
            ("centring MiniLM, for neighbours", "knn on centred minilm", "knn(on=minilm)"),
            (
                "a network on all of it, over the source alone",
                "mlp(on=minilm+text_v2+source, epochs=40)",
                "source_prior",
            ),
        ],
    ),
    "precision": (
        (("10 % labelled", "judged_precision", TENTH), ("50 % labelled", "judged_precision", HALF)),
        [(f"{network}: bfloat16, over float32", f"{network}, bfloat16", f"{network}, float32") for network in NETWORKS],
    ),
    "flan_claims_embedding": (
        flan("skywork_fusion", 10, 30, 90),
        [
            ("Skywork, over BGE", f"{SKYWORK}, validated", "mlp(h=256) bge text-v2, validated"),
            ("63 text features, over 35", "mlp(h=256) bge text-v2, validated", "mlp(h=256) bge text-v1, validated"),
            ("an epoch chosen, over the last", f"{SKYWORK}, validated", SKYWORK),
        ],
    ),
    "flan_claims_weights": (
        flan("oversample", 10, 30, 90),
        [
            ("class weights", "mlp(h=256,class_weight) skywork text-v2", SKYWORK),
            ("oversampling", "oversample(mlp(h=256)) skywork text-v2", SKYWORK),
        ],
    ),
    "flan_claims_cleaning": (
        flan("cleanlab", 10, 20, 30),
        [
            ("removing rows", "cleanlab(remove,mlp(h=256)) skywork text-v2", SKYWORK),
            ("relabelling rows", "cleanlab(relabel,mlp(h=256)) skywork text-v2", SKYWORK),
        ],
    ),
    "flan_claims_fusion": (
        flan("label_fusion", 10, 30, 90),
        [
            (f"labels by {how} of the raters", f"label_fusion({how},mlp(h=256)) skywork text-v2", SKYWORK)
            for how in ("majority", "median", "consensus")
        ],
    ),
    "flan_claims_self_training": (
        flan("self_training", 10, 20, 30),
        [("five rounds of self-training", "self_training(mlp(h=256),rounds=5) skywork text-v2", SKYWORK)],
    ),
    "flan_claims_ensemble": (
        flan("ensemble", 10, 20, 30),
        [("an ensemble with kNN", "ensemble(knn,mlp) skywork text-v2", SKYWORK)],
    ),
}
PAIRS = (  # boards of real scores
    *("labels_only", "labels_flan", "judged_random", "judged_by_prompt", "judged_minilm", "judged_minilm_by_prompt"),
)


def read(root: Path, suite: str) -> dict[tuple[str, str, str], list[float]]:
    """Return {(comparison, labeler, metric): values of the seeds} of a board, honest and over all rows."""
    found = defaultdict(list)
    for row in pq.read_table(root / "leaderboards" / suite / "scores.parquet").to_pylist():
        whole = all(row[column] is None for column in ("class", "source", "rows", "stage")) and not row["oracle"]
        if row["status"] == "ok" and whole and row["value"] is not None:
            found[row["comparison"], row["labeler"], row["metric"]].append(row["value"])
    return found


def shown(values: list[float]) -> str:
    """Return a mean, with its standard deviation over the seeds where there are several."""
    if not values:
        return "–"
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def table(name: str, root: Path) -> str:
    """Return one table: accuracy over macro-F1 of each labeler in each column."""
    columns, labelers = TABLES[name]
    boards = {suite: read(root, suite) for _, suite, _ in columns}
    header = ["accuracy / macro-F1", *(heading for heading, _, _ in columns)]
    lines = [header, ["---", *("--:" for _ in columns)]]
    for labeler in labelers:
        cells = []
        for _, suite, comparison in columns:
            accuracy, f1 = (boards[suite].get((comparison, labeler, metric), []) for metric in ("accuracy", "macro_f1"))
            cells.append(f"{shown(accuracy)} / {mean(f1):.3f}" if f1 else "–")
        lines.append([labeler, *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def pairs(root: Path, suite: str) -> list[dict[str, Any]]:
    """Return the pairs of labelers that a board compares, a dictionary each."""
    return pq.read_table(root / "leaderboards" / suite / "pairs.parquet").to_pylist()


def claims(name: str, root: Path) -> str:
    """Return one table: the difference in accuracy of each claim in each column, bold where the board separates it."""
    columns, listed = CLAIMS[name]
    found: dict[tuple[str, str, str, str], str] = {}
    for suite in {suite for _, suite, _ in columns}:
        for row in pairs(root, suite):
            difference, low, high = (100 * row[key] for key in ("difference", "low", "high"))
            for a, b, sign in (("labeler_a", "labeler_b", 1), ("labeler_b", "labeler_a", -1)):
                ends = (low, high) if sign == 1 else (-high, -low)
                text = f"{sign * difference:+.1f} ({ends[0]:+.1f} to {ends[1]:+.1f})"
                shown = f"**{text}**" if row["separated"] else text
                found[suite, row["comparison"], row[a], row[b]] = shown
    lines = [["points of accuracy", *(heading for heading, _, _ in columns)], ["---", *("--:" for _ in columns)]]
    for what, one, other in listed:
        lines.append([what, *(found.get((suite, place, one, other), "–") for _, suite, place in columns)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def separated(root: Path) -> str:
    """Return how many of the pairs of each comparison of the boards of real scores are separated."""
    lines = [["board", "comparison", "pairs", "separated"], ["---", "---", "--:", "--:"]]
    for suite in PAIRS:
        counts: dict[str, list[bool]] = defaultdict(list)
        for row in pairs(root, suite):
            counts[row["comparison"]].append(row["separated"])
        for place, apart in counts.items():
            lines.append([suite, place, f"{len(apart)}", f"{sum(apart)} ({mean(apart):.0%})"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def planted_noise(root: Path) -> str:
    """Return how well methods of cleaning find planted noise, and what it is worth to two bases."""
    numbers: dict[tuple[str, str], dict[tuple[str, str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    with (root / "docs" / "data" / "planted_noise.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            for column in ("agree", "estimated", "matrix_error", "precision", "recall", "accuracy"):
                if row[column]:
                    place = numbers[row["clusters"], row["noise"]]
                    place[row["method"], row["base"], column].append(float(row[column]))
    lines_of_table = [
        [
            *("clusters, wrong labels to", "near rows agree", "wrong labels, estimated", "error of T"),
            *("simifeat", "cleanlab(knn)", "cleanlab(mlp)", "knn: accuracy", "mlp: accuracy"),
        ],
        ["---", *["--:"] * 8],
    ]
    for (clusters, noise), place in numbers.items():

        def value(method: str, base: str, column: str, place: dict[tuple[str, str, str], list[float]] = place) -> str:
            return f"{mean(place[method, base, column]):.3f}"

        first = [value("simifeat", "knn", column) for column in ("agree", "estimated", "matrix_error")]
        flags = [
            " / ".join(value(*method, column) for column in ("precision", "recall"))
            for method in (("simifeat", "knn"), ("cleanlab", "knn"), ("cleanlab", "mlp"))
        ]
        gains = [
            ", ".join(value(method, base, "accuracy") for method in ("none", "simifeat", "cleanlab"))
            for base in ("knn", "mlp")
        ]
        lines_of_table.append([f"{clusters}, {noise}", *first, *flags, *gains])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines_of_table)


def made(name: str, root: Path) -> str:
    """Return the table of that name."""
    if name in OTHERS:
        return OTHERS[name](root)
    return claims(name, root) if name in CLAIMS else table(name, root)


def unlabelled_rows(root: Path) -> str:
    """Return what two ways to learn from unlabelled rows add to the same training without them."""
    lines = [
        ["data", "method", "accuracy / macro-F1", "points of accuracy", "over"],
        ["---", "---", "--:", "--:", "---"],
    ]
    with (root / "docs" / "data" / "unlabelled_rows.csv").open(newline="") as rows:
        for row in csv.DictReader(rows):
            difference, low, high = (100 * float(row[column]) for column in ("difference", "low", "high"))
            level = f"{float(row['accuracy']):.3f} / {float(row['macro_f1']):.3f}"
            alone = row["method"] == row["control"]
            gain = ["", ""] if alone else [f"{difference:+.1f} ({low:+.1f} to {high:+.1f})", row["control"]]
            lines.append([row["data"], row["method"], level, *gain])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


OTHERS = {"separated": separated, "planted_noise": planted_noise, "unlabelled_rows": unlabelled_rows}


def with_tables(page: str, root: Path) -> str:
    """Return the text with every table as the boards have it now."""
    return TABLE.sub(
        lambda found: f"<!-- table: {found['name']} -->\n{made(found['name'], root)}\n<!-- end of table -->", page
    )


if __name__ == "__main__":
    here = Path(__file__).parents[1]
    findings = here / "findings.md"
    findings.write_text(with_tables(findings.read_text(), here.parent))

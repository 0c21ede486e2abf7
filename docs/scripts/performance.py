"""Fill the tables of docs/performance.md from benchmarks/results.json.

    make bench                                        measures, and does the rest
    python docs/scripts/performance.py measured.json  takes over what pytest-benchmark has written, fills the tables
    python docs/scripts/performance.py                fills the tables from what is there

What is measured anew replaces what was there of the same name and size; the rest stays, so that the largest sizes,
which take hours, can be measured one by one.
"""

import csv
import json
import math
import os
import platform
import re
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import linear_regression
from typing import Any

TABLE = re.compile(r"<!-- bench: (?P<name>\w+) -->\n.*?<!-- end of bench -->", re.DOTALL)
LIBRARIES = ("numpy", "torch", "faiss-cpu", "scikit-learn", "lightgbm", "pandas", "pyarrow")
RATIO = "ratio over "
WHOLE = 300_932  # rows of the pool
REACH = 4  # times the largest size that was measured: further than this no law is followed
ABOUT = {
    "rows",
    "columns",
    "cells",
    "target",
    "met",
    "limit",
    "per second",
    "operations",
    "of",
    "law",
    "measured",
    "unit",
}  # have columns of their own

Entry = dict[str, Any]  # file, name, size, seconds, rounds, and what the benchmark says of itself


def taken_over(measured: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of pytest-benchmark's file: nothing that names a host or a path."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": {
            "processor": measured["machine_info"]["cpu"].get("brand_raw", platform.machine()),
            "cores": cores,
            "memory": f"{gib:.0f} GiB",
            "python": measured["machine_info"]["python_version"],
            "libraries": {name: version(name).partition("+")[0] for name in LIBRARIES},
        },
        "benchmarks": [
            {
                "file": Path(each["fullname"].partition("::")[0]).stem.removeprefix("test_"),
                "name": each["name"].partition("[")[0].removeprefix("test_").replace("_", " "),
                "size": each["name"].partition("[")[2].removesuffix("]"),
                "seconds": each["stats"]["median"],
                "rounds": each["stats"]["rounds"],
                **each["extra_info"],
            }
            for each in measured["benchmarks"]
        ],
    }


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured before, replaced where measured again; of another machine nothing."""
    if old.get("machine") != new["machine"]:
        return new
    kept = {_identity(each): each for each in old["benchmarks"] + new["benchmarks"]}
    return new | {"benchmarks": [kept[key] for key in sorted(kept)]}


def _identity(entry: Entry) -> tuple[str, str, int, str]:
    return entry["file"], entry["name"], entry.get("rows", entry.get("cells", 0)), entry["size"]


def titled(entry: Entry) -> str:
    """Return what was measured, and on how much."""
    parts = [entry["name"]]
    if "rows" in entry:
        parts.append(f"{entry['rows']:,}" + (f" x {entry['columns']:,}" if "columns" in entry else " rows"))
    elif "cells" in entry:
        parts.append(f"{entry['cells']:,} cells")
    if entry["size"] and not re.fullmatch(r"[\d.None-]+", entry["size"]):
        parts.append(entry["size"])
    return ", ".join(parts)


def shown(value: Any) -> str:
    """Return a number to three digits, a truth as yes or no, anything else as it is."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, int | float):
        if value == 0 or not math.isfinite(value):
            return f"{value:g}"
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:,.{digits}f}"
    return str(value)


def rendered(header: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table; a cell keeps to its line and its column."""
    rule = ["---", *("--:" for _ in header[1:])]
    clean = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in [header, rule, *lines]]
    return "\n".join("| " + " | ".join(line) + " |" for line in clean)


def machine(results: dict[str, Any]) -> str:
    """Return the machine, and the libraries that were measured."""
    about = results["machine"]
    libraries = ", ".join(f"{name} {found}" for name, found in about["libraries"].items())
    return (
        f"{about['processor']}, {about['cores']} cores, {about['memory']} of memory; "
        f"Python {about['python']}, {libraries}."
    )


def limits(results: dict[str, Any]) -> str:
    """Return what the machine can do in a second."""
    found = [entry for entry in results["benchmarks"] if "limit" in entry]
    return rendered(["limit", "10⁹ a second"], [[e["limit"], shown(e["per second"] / 1e9)] for e in found])


def targets(results: dict[str, Any]) -> str:
    """Return every target that was set, what was measured for it, and whether it is met."""
    found = [entry for entry in results["benchmarks"] if entry.get("target")]
    lines = [
        [titled(e), e["target"], f"{shown(e.get('measured', e['seconds']))} {e.get('unit', 's')}", shown(e.get("met"))]
        for e in found
    ]
    return rendered(["what", "target", "measured", "met"], lines)


def peers(results: dict[str, Any]) -> str:
    """Return how many times as long every peer takes."""
    lines = [
        [titled(entry), key.removeprefix(RATIO), f"{value:.1f}"]
        for entry in results["benchmarks"]
        for key, value in entry.items()
        if key.startswith(RATIO)
    ]
    return rendered(["what", "peer", "times as long as ours"], lines)


def shares(results: dict[str, Any]) -> str:
    """Return the share of the machine's limit that was reached, by benchmarks that say how much they computed."""
    known = {entry["limit"]: entry["per second"] for entry in results["benchmarks"] if "limit" in entry}
    lines = []
    for entry in results["benchmarks"]:
        if entry.get("of") in known:
            rate = entry["operations"] / entry.get("measured", entry["seconds"])
            lines.append([titled(entry), entry["of"], shown(rate / 1e9), f"{100 * rate / known[entry['of']]:.0f} %"])
    return rendered(["what", "limit", "10⁹ a second", "share"], lines)


def laws(results: dict[str, Any]) -> str:
    """Return a n^b fitted to every benchmark that ran at three sizes: a straight line through the logarithms."""
    by_name: dict[str, list[tuple[int, float]]] = {}
    for entry in results["benchmarks"]:
        if isinstance(entry.get("law"), str) and entry.get("rows"):
            by_name.setdefault(entry["law"], []).append((entry["rows"], entry.get("measured", entry["seconds"])))
    lines = []
    for name, points in by_name.items():
        points.sort()
        if len({rows for rows, _ in points}) < 3:
            continue
        slope, offset = linear_regression(*zip(*[(math.log(n), math.log(s)) for n, s in points], strict=True))
        law = math.exp(offset + slope * math.log(WHOLE))
        sizes = ", ".join(f"{n:,}: {shown(s)}" for n, s in points)
        lines.append([name, sizes, f"{slope:.2f}", shown(law) if REACH * points[-1][0] >= WHOLE else "–"])
    return rendered(["what", "rows: seconds", "power of n", f"at {WHOLE:,} rows, by the law"], lines)


def everything(results: dict[str, Any]) -> str:
    """Return every benchmark with all that it says of itself."""
    lines = []
    for entry in results["benchmarks"]:
        hidden = {"file", "name", "size", "seconds", "rounds", *ABOUT}
        said = "; ".join(
            f"{key} {json.dumps(value) if isinstance(value, dict) else shown(value)}"
            for key, value in entry.items()
            if key not in hidden and not key.startswith(RATIO)
        )
        taken = f"{shown(entry.get('measured', entry['seconds']))} {entry.get('unit', 's')}"
        lines.append([titled(entry), taken, str(entry["rounds"]), said])
    return rendered(["what", "measured", "rounds", "and"], lines)


PEERS = {  # what a cell or a list does -> the benchmark, the peer whose ratio says what else it would cost, its rows
    "mlp": ("trainers in turn", "DataLoader script", WHOLE // 10),
    "graph_propagation": ("label spreading", "scikit-learn", WHOLE),
    "list": ("a curve of nested train sets", "faiss, SkylakeX", WHOLE),
}


def elsewhere(seconds: float, kind: str, results: dict[str, Any]) -> str:
    """Return what a peer would take by its ratio at the nearest size that was measured, and who."""
    if kind not in PEERS:
        return "–"
    name, peer, rows = PEERS[kind]
    known = [e for e in results["benchmarks"] if e["name"] == name and RATIO + peer in e]
    if not known:
        return "–"
    near = min(known, key=lambda entry: (abs(math.log(entry["rows"] / rows)), entry.get("columns", 0)))
    return f"{shown(seconds * near[RATIO + peer])} ({peer}, by its ratio at {near['rows']:,} rows)"


def slowest(results: dict[str, Any]) -> str:
    """Return what took longest in the run of the whole pool: the five slowest cells, the blocks and the searches."""
    with (Path(__file__).parents[2] / "leaderboards" / "full_300k" / "timings.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok"]
    cells = sorted((r for r in rows if r["kind"] == "cell"), key=lambda row: -float(row["seconds"]))
    lists = {row["on"]: row for row in rows if row["kind"] == "list"}
    searched = {row["on"]: float(row["neighbors_shared"]) for row in cells if row["neighbors_shared"]}
    lines = []
    for row in cells[:5]:
        taken, labeler = float(row["seconds"]), row["labeler"]
        kind = "mlp" if "fusion-mlp" in labeler else labeler.partition("(")[0]
        lines.append([labeler, shown(taken), row["peak_memory_mib"], elsewhere(taken, kind, results)])
    rest = sum(float(row["seconds"]) for row in cells[5:])
    lines.append([f"the other {len(cells) - 5} cells together", shown(rest), "", ""])
    for on, row in lists.items():
        what, peak = f"neighbours on {on}, all train sets", row["peak_memory_mib"]
        lines.append([what, shown(searched[on]), peak, elsewhere(searched[on], "list", results)])
    blocks = sum(float(row["seconds"]) for row in rows if row["kind"] == "block")
    lines.append(["all blocks together", shown(blocks), "", ""])
    return rendered(["what", "seconds", "MiB at most", "seconds of a peer"], lines)


PARTS = {
    each.__name__: each for each in (machine, limits, targets, peers, shares, laws, slowest, everything)
}  # marker on the page -> what stands there


def with_tables(page: str, results: dict[str, Any]) -> str:
    """Return the page with every table as the results have it."""
    return TABLE.sub(
        lambda found: f"<!-- bench: {found['name']} -->\n{PARTS[found['name']](results)}\n<!-- end of bench -->", page
    )


if __name__ == "__main__":
    here = Path(__file__).parents[1]
    kept = here.parent / "benchmarks" / "results.json"
    if len(sys.argv) > 1:
        found = taken_over(json.loads(Path(sys.argv[1]).read_text()))
        before = json.loads(kept.read_text()) if kept.exists() else {}
        kept.write_text(json.dumps(merged(before, found), indent=1, ensure_ascii=False) + "\n")
    page = here / "performance.md"
    page.write_text(with_tables(page.read_text(), json.loads(kept.read_text())))

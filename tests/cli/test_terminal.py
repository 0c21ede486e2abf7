"""The tables of commands on real terminals of 80, 120 and 200 columns, and in a pipe."""

import re

import pytest
from markdown_it import MarkdownIt
from rich.cells import cell_len

from tests.command_line import BLOCKS, events, harness, long_rows, table, write_suite
from tests.terminal import on_terminal, plain

pytestmark = pytest.mark.slow

PARSER = MarkdownIt("commonmark").enable("table")
LONG = "self_training(base=knn(on=embedding, k={k}, tau=0.05), rounds=2, threshold=0.95)"
TITLES = {k: LONG.format(k=k) for k in (3, 9, 27)}
SPLIT = "nested(test=0.3), 70 % labelled"
CLASSES = ["0", "1", "2", "3", "4", "5"]
ALL = [
    *("Rank", "Labeler", "Accuracy ↑", "95 % interval", "Best of settings", "vs majority", "Macro-F1 ↑", "MAE ↓"),
    *(*CLASSES, "Oracle gap", "Cells"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run of labelers of long names that differ in the middle."""
    folder = tmp_path_factory.mktemp("terminal")
    knn = {k: {"knn": {"on": "embedding", "k": k, "tau": 0.05}} for k in TITLES}
    labelers = [{"self_training": {"base": base, "rounds": 2, "threshold": 0.95}} for base in knn.values()]
    splits = [{"splitter": "nested", "test": 0.3, "ratios": [0.7], "seeds": [1, 2, 3]}]
    write_suite(folder, ["majority", *labelers], table(120), splits=splits, blocks=BLOCKS)
    done = harness("run", "suite.yaml", "--threads", 1, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def scores(folder, metric):
    """Return {labeler: mean over the seeds} from the table of the board."""
    values, of_parts = {}, ("class", "source", "stage", "rows")
    for row in long_rows(folder / "leaderboards/small/scores.parquet"):
        if row["metric"] == metric and row["oracle"] == "False" and not any(row[name] for name in of_parts):
            values.setdefault(row["labeler"], []).append(float(row["value"]))
    return {title: sum(seeds) / len(seeds) for title, seeds in values.items()}


def board(text):
    """Return the header of the board on a terminal, and its rows as lists of cells."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("Rank "))
    rows = lines[start : lines.index("", start)]
    return [re.split(r"  +", row.strip()) for row in rows]


@pytest.mark.parametrize(("columns", "fewest"), [(80, 5), (120, 7), (200, 13)])
def test_scores_are_seen_beside_short_names(folder, columns, fewest):
    code, text = on_terminal("leaderboard", "suite.yaml", cwd=folder[0], columns=columns)
    text = plain(text)
    assert code == 0, text
    assert max(map(cell_len, text.splitlines())) <= columns
    header, *rows = board(text)
    assert header[:4] == ["Rank", "Labeler", "Accuracy ↑", "95 % interval"]
    assert len(header) >= fewest, "further columns have room"
    assert header[4] == "vs majority"
    accuracy = scores(folder[0], "accuracy")
    names = {row[1] for row in rows}
    assert len(names) == len(rows) == 4, "names stay distinct"
    for row in rows:
        title = next((title for k, title in TITLES.items() if re.search(rf"\bk={k}\b", row[1])), "majority")
        assert cell_len(row[1]) <= (30 if columns == 80 else 40)
        assert row[1] == title or "…" in row[1]
        assert row[2].split(" ±")[0] == f"{accuracy[title]:.4f}"
        low, high = map(float, row[3].split(" to "))
        assert low <= accuracy[title] <= high
    last = next(line for line in text.splitlines() if ": leaderboards/small/README.md" in line)
    shown = {re.sub(r" \(n=.*", "", name) for name in header}
    assert shown < set(ALL)
    assert last.startswith(f"{len(ALL) - len(shown)} more columns, full names, deviations: ")
    if columns > 80:
        names = last.partition("(")[2].rstrip(")").split(", ")
        classes = len({*CLASSES} - shown)
        assert {*names} == {*ALL} - shown - {*CLASSES} | ({f"{classes} classes"} if classes else set())


def tables(text):
    """Return the tables of a Markdown text, each a list of rows of cells."""
    found = []
    for token in PARSER.parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and found[-1] and token.level > 3:
            found[-1][-1].append("".join(child.content for child in token.children))
    return found


def test_a_pipe_gets_markdown_with_every_column_and_number(folder):
    again = harness("leaderboard", "suite.yaml", cwd=folder[0]).stdout
    for text in (folder[1], again):
        (rows,) = tables(text)
        assert [re.sub(r" \(n=.*", "", name) for name in rows[0]] == ALL
        accuracy, f1 = scores(folder[0], "accuracy"), scores(folder[0], "macro_f1")
        shown = {row[1]: row for row in rows[1:]}
        assert shown.keys() == {"majority", *TITLES.values()}
        for title, row in shown.items():
            assert row[2].startswith(f"{accuracy[title]:.4f} ± ")
            assert row[6].startswith(f"{f1[title]:.4f} ± ")
            assert row[5].startswith(f"{accuracy[title] - accuracy['majority']:+.4f}")
            assert row[15] == "3/3"
        assert "┃" not in text


def test_each_command_prints_its_tables_as_markdown_in_a_pipe(folder):
    plan = tables(harness("plan", "suite.yaml", "--threads", 2, cwd=folder[0]).stdout)
    assert plan[0][0] == ["Split", "Train", "Test", "Cells", "Finished"]
    assert [row[1:] for row in plan[0][1:]] == [["84", "36", "4", "0"]] * 3
    assert [row[:3] for row in plan[1][1:]] == [[title, SPLIT, "3"] for title in ("majority", *TITLES.values())]
    first, second = TITLES[3], TITLES[27]
    compare = ("compare", "suite.yaml", "--labelers", first, second)
    differences = events(harness(*compare, "--json", cwd=folder[0]))
    of_metrics, of_splits = tables(harness(*compare, cwd=folder[0]).stdout)
    assert of_metrics[0] == ["Metric", "Of", "A", "B", "B - A", "95 % interval", "p", "Rows"]
    values = {(event["metric"], event["of"]): event for event in differences if event["event"] == "difference"}
    for row in of_metrics[1:]:
        event = values.pop((row[0], row[1]))
        assert float(row[4]) == pytest.approx(event["difference"], abs=5e-5)
        assert row[7] == f"{event['rows']:,}"
    assert values == {}
    assert len(of_splits) == 4
    audited = harness("plugins", cwd=folder[0]).stdout
    (listed,) = tables(audited)
    assert listed[0] == ["Name", "Kind", "Distribution", "What it is"]
    assert ["knn", "labeler"] in [row[:2] for row in listed]


@pytest.mark.parametrize("command", ["plan", "compare"])
def test_other_tables_keep_to_the_terminal_too(folder, command):
    arguments = {"plan": ["--threads", 2], "compare": ["suite.yaml"]}[command]
    code, text = on_terminal(command, "suite.yaml", *arguments, cwd=folder[0], columns=80)
    lines = plain(text).splitlines()
    assert code == 0, text
    shown = [line for line in lines if "…" in line]
    assert shown
    assert max(map(cell_len, shown)) <= 80
    for k in TITLES:
        assert any(re.search(rf"\b{k}\b", line) for line in shown), "what differs is not cut"
    assert any("full names: --json" in line for line in lines)

"""From suggested rows to labels that people gave: files of annotation tools, and what is measured with them."""

import csv
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.cli.label import label as command
from harness.errors import HarnessError
from harness.label.answer_file import read_answers
from tests.command_line import harness, table, write_labelers, write_suite

N, UNLABELLED, K = 400, 150, 30
DATA = {"path": "data.parquet", "id": "row_id", "text": "messages", "target": "score", "source": "source", "classes": 6}
TRUTH = dict(zip(*(table(N)[name].to_pylist() for name in ("row_id", "score")), strict=True))
FORMS = {"csv": "tasks.csv", "label-studio": "tasks.json", "argilla": "tasks.jsonl"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with a run of two labelers, and its first labels without answers."""
    folder = tmp_path_factory.mktemp("people")
    rows = table(N, UNLABELLED).take(np.random.default_rng(7).permutation(N))
    write_labelers(folder / "fixed.py", fixed="p = np.full((len(task.to_label), 6), 0.1); p[:, 3] = 0.5; return p")
    write_suite(folder, ["majority", {"knn": {"on": "embedding"}}, "fixed"], rows, data=DATA)
    done = harness("run", "suite.yaml", "--threads", 1, "--plugin", "fixed.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(ran, tmp_path, monkeypatch):
    """A copy of that folder, which is where we are."""
    shutil.copytree(ran, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def label(**options):
    fixed = {"suite": Path("suite.yaml"), "threads": 1, "plugin": [Path("fixed.py")], "labeler": "knn(on=embedding)"}
    command(**fixed | {"out": Path("labels.parquet")} | options)


def refused(**options):
    """Return the lines of the command's error."""
    with pytest.raises(HarnessError) as error:
        label(**options)
    return str(error.value).splitlines()


def suggest(form):
    label(suggest=K, form=form, out=Path(FORMS[form]))
    return Path(FORMS[form])


def answered(form, file):
    """Write what a tool exports when every second task has its true label; return the file and these ids."""
    if form == "csv":
        with file.open(newline="", encoding="utf-8") as source:
            rows = list(csv.DictReader(source))
        for row in rows[::2]:
            row["label"] = TRUTH[int(row["id"])]
        pd.DataFrame(rows).to_csv("answers.csv", index=False)
        return Path("answers.csv"), [int(row["id"]) for row in rows[::2]]
    if form == "label-studio":
        tasks = json.loads(file.read_text(encoding="utf-8"))
        for number, task in enumerate(tasks, 1):
            label = str(TRUTH[int(task["data"]["id"])])
            result = {
                "id": "x",
                "from_name": "label",
                "to_name": "text",
                "type": "choices",
                "value": {"choices": [label]},
            }
            skipped = {"id": 1, "was_cancelled": True, "result": []}
            annotations = [{"id": 2, "was_cancelled": False, "result": [result]}] if number % 2 else [skipped]
            task.update(id=number, annotations=annotations)
        Path("answers.json").write_text(json.dumps(tasks))
        return Path("answers.json"), [int(task["data"]["id"]) for task in tasks[::2]]
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for number, record in enumerate(records):
        answer = {"value": str(TRUTH[int(record["id"])]), "user_id": "6f2c"}
        record["responses"] = {"label": [answer]}
        record["status"] = "pending" if number % 2 else "completed"  # a draft is pending
    Path("answers.json").write_text(json.dumps(records))
    return Path("answers.json"), [int(record["id"]) for record in records[::2]]


def test_every_form_comes_back_with_the_same_answers(folder):
    read = []
    for form in FORMS:
        file, ids = answered(form, suggest(form))
        answers, faults = read_answers(file)
        assert faults == []
        assert {int(answer.id): float(answer.label) for answer in answers} == {row: TRUTH[row] for row in ids}
        read.append(ids)
    assert read[0] == read[1] == read[2]


def test_suggested_rows_come_back_labelled(folder):
    answers, ids = answered("argilla", suggest("argilla"))
    label(gold=[answers])
    labels = pd.read_parquet("labels.parquet").set_index("row_id")
    assert set(labels.index[labels.is_chosen]) == set(ids)
    assert len(ids) == K // 2
    assert (labels.is_gold == labels.gold_label.notna()).all()
    assert labels.is_gold.sum() == N - UNLABELLED + len(ids)
    assert labels.gold_label[labels.is_gold].to_dict() == {row: TRUTH[row] for row in labels.index[labels.is_gold]}
    assert labels.score.notna().sum() == N - UNLABELLED  # the data's own column stays as it is
    assert labels.proxy_probs.notna().all()


def test_every_form_has_the_same_rows_in_the_same_order(folder):
    label(suggest=K, out=Path("rows.parquet"))
    rows = pq.read_table("rows.parquet").to_pylist()
    texts = ["\n\n".join(f"{turn['role']}: {turn['content']}" for turn in row["messages"]) for row in rows]
    with suggest("csv").open(newline="", encoding="utf-8") as source:
        lines = list(csv.DictReader(source))
    studio = json.loads(suggest("label-studio").read_text(encoding="utf-8"))
    argilla = [json.loads(line) for line in suggest("argilla").read_text(encoding="utf-8").splitlines()]
    for i, row in enumerate(rows):
        seen = (str(row["row_id"]), texts[i], row["source"], pytest.approx(row["wanted"], abs=1e-4))
        assert (lines[i]["id"], lines[i]["text"], lines[i]["source"], float(lines[i]["wanted"])) == seen
        assert tuple(studio[i]["data"][name] for name in ("id", "text", "source", "wanted")) == seen
        record, suggestion = argilla[i], argilla[i]["suggestions"]["label"]
        assert (record["id"], record["fields"]["text"], *record["metadata"].values()) == seen
        (prediction,) = studio[i]["predictions"]
        guess = (str(row["proxy_label"]), pytest.approx(row["confidence"], abs=1e-4))
        assert (lines[i]["proxy_label"], float(lines[i]["confidence"])) == guess
        assert (prediction["result"][0]["value"]["choices"][0], prediction["score"]) == guess
        assert (suggestion["value"], suggestion["score"]) == guess
        assert suggestion["agent"] == "knn_on_embedding"  # its server refuses brackets
        assert lines[i]["label"] == ""


def test_the_interface_of_label_studio_has_the_names_that_the_tasks_use(folder):
    (task, *_) = json.loads(suggest("label-studio").read_text(encoding="utf-8"))
    view = ElementTree.parse("tasks.xml").getroot()
    text, choices = view.find("Text"), view.find("Choices")
    (result,) = task["predictions"][0]["result"]
    assert (result["from_name"], result["to_name"]) == (choices.get("name"), choices.get("toName"))
    assert text.get("name") == result["to_name"]
    assert text.get("value").removeprefix("$") in task["data"]
    assert [choice.get("value") for choice in choices] == list("012345")


def test_what_people_say_of_chosen_rows_changes_no_number(folder, capsys):
    """Let a labeler learn nothing: with true and with false answers everything measured is the same."""
    suggest("csv")
    rows = pd.read_csv("tasks.csv")
    accounts = []
    for shift in (0, 1):
        rows["label"] = [(TRUTH[row] + shift) % 6 for row in rows.id]
        rows.to_csv("answers.csv", index=False)
        label(labeler="fixed", gold=[Path("answers.csv")], out=Path(f"{shift}.parquet"))
        accounts.append(json.loads(Path(f"{shift}.json").read_text()))
    right, wrong = accounts
    for part in ("quality", "pool", "shift", "rules", "rows"):
        assert right[part] == wrong[part]
    assert right["quality"]["n"] == N - UNLABELLED
    assert right["rows"]["labelled"] == UNLABELLED - K
    assert right["chosen"]["right"] == pytest.approx(np.mean([TRUTH[row] == 3 for row in rows.id]))
    assert wrong["chosen"]["right"] == pytest.approx(np.mean([(TRUTH[row] + 1) % 6 == 3 for row in rows.id]))
    said = f"{K} labels are of rows that were chosen, not drawn at random"
    assert said in capsys.readouterr().out
    assert said in Path("0.md").read_text()


def test_answers_teach_the_labeler_and_the_next_suggestion_is_of_other_rows(folder):
    answers, ids = answered("csv", suggest("csv"))
    label(gold=[answers], suggest=K, form="csv", out=Path("next.csv"))
    following = pd.read_csv("next.csv")
    assert len(following) == K
    assert not set(following.id) & set(ids)
    label()
    before = pd.read_parquet("labels.parquet").set_index("row_id").proxy_label
    label(gold=[answers], out=Path("after.parquet"))
    after = pd.read_parquet("after.parquet").set_index("row_id")
    rest = after.index[~after.is_gold]
    assert (after.proxy_label[rest] != before[rest]).any()


def test_every_mistake_in_answers_is_a_line_with_its_place(folder):
    known = pq.read_table("data.parquet").to_pandas()
    free, labelled = known.row_id[known.score.isna()].tolist(), known.row_id[known.score.notna()].tolist()
    lines = [
        "id,label",
        f"{free[0]},3",
        "77,2",
        f"{free[1]},seven",
        f"{free[0]},4",
        f"{labelled[0]},1",
        f"{free[2]},",
        ",1",
    ]
    Path("answers.csv").write_text("\n".join(lines) + "\n")
    taken = int(known.score[known.row_id == labelled[0]].iloc[0])
    assert refused(gold=[Path("answers.csv")]) == [
        "answers.csv:8: has no id that is text or a whole number",
        "answers.csv:3: no row of data.parquet has the id '77'; did you mean '1377'?",
        f"answers.csv:4: id '{free[1]}': the label 'seven' is no class of 0 to 5",
        f"answers.csv:5: id '{free[0]}' is answered twice, first at answers.csv:2",
        f"answers.csv:6: id '{labelled[0]}' has a label in the data already: {taken}",
    ]
    done = harness(
        *("label", "suite.yaml", "--plugin", "fixed.py", "--threads", 1, "--to", "labels.parquet"),
        *("--with", "majority", "--gold", "answers.csv"),
        cwd=folder,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: answers.csv:8: has no id")
    assert len(done.stderr.splitlines()) == 5
    assert not Path("labels.parquet").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"form": "csv"}, "--as is a form of rows to label next: give --suggest N, too"),
        ({"form": "label-studoi", "suggest": 3}, "did you mean 'label-studio'?"),
        ({"form": "argilla", "suggest": 3, "out": Path("tasks.json")}, "must end in .jsonl for --as argilla"),
        ({"form": "csv", "suggest": 3, "out": Path("mine.csv")}, "mine.csv is there already, perhaps with answers"),
        ({"form": "label-studio", "suggest": 3, "out": Path("mine.json")}, "mine.xml is there already"),
        ({"gold": [Path("nowhere.csv")]}, "--gold nowhere.csv: no such file"),
        ({"gold": [Path("mine.csv")]}, "--gold mine.csv: no row has an answer"),
        ({"gold": [Path("data.parquet")]}, "--gold data.parquet: must be .csv, or .json"),
        ({"gold": [Path("mine.csv")], "labels_for": 0.6}, "--labels-for and --gold: its curve is of labels drawn"),
    ],
)
def test_mistakes_are_one_line(ran, monkeypatch, options, words):
    monkeypatch.chdir(ran)
    Path("mine.csv").write_text("id,label\n")
    Path("mine.xml").touch()
    (line,) = refused(**options)
    assert words in line


def test_rows_without_ids_are_numbered_and_without_texts_shown_by_their_columns(folder):
    """Suggest rows of a second file, which the first rows of the run's table are not."""
    suite = json.loads(Path("suite.yaml").read_text())
    for name in ("id", "text"):
        del suite["data"][name]
    Path("suite.yaml").write_text(json.dumps(suite))
    new = table(60).drop_columns(["score", "messages"])
    pq.write_table(new, "new.parquet")
    label(data=Path("new.parquet"), suggest=5, form="csv", out=Path("tasks.csv"), labeler="majority")
    tasks = pd.read_csv("tasks.csv")
    for task in tasks.itertuples():
        assert task.text == f"source: {new['source'][task.id]}"
    tasks["label"] = 2
    tasks.to_csv("answers.csv", index=False)
    label(data=Path("new.parquet"), gold=[Path("answers.csv")], labeler="majority")
    labels = pd.read_parquet("labels.parquet")
    assert set(np.flatnonzero(labels.is_chosen)) == set(tasks.id)
    assert set(labels.gold_label.dropna()) == {2}
    assert len(labels) == 60

"""What people answered is read from every form, and what is wrong with it has its line."""

import json

import pytest

from harness.errors import DataError
from harness.label.answer_file import read_answers


def annotation(*choices, name="label", skipped=False):
    results = [{"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [c]}} for c in choices]
    return {"was_cancelled": skipped, "result": results}


def task(identity, *annotations):
    return {"id": 900, "data": {"id": identity, "text": "t"}, "annotations": list(annotations)}


def record(identity, *values, **more):
    return {"id": identity, "fields": {}, "responses": {"label": [{"value": v, "user_id": "u"} for v in values]}} | more


def read(tmp_path, content, name="answers.json"):
    file = tmp_path / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    answers, faults = read_answers(file)
    places = [answer.place.removeprefix(f"{tmp_path}/") for answer in answers]
    found = [(place, answer.id, answer.label) for place, answer in zip(places, answers, strict=True)]
    return found, [fault.removeprefix(f"{tmp_path}/{name}") for fault in faults]


def test_a_task_of_label_studio_counts_where_it_is_answered_and_all_agree(tmp_path):
    tasks = [
        task("a", annotation("good"), annotation("good")),
        task("b"),
        task("c", annotation("bad", skipped=True)),
        task(7, annotation("bad"), annotation("x", name="remark")),
    ]
    assert read(tmp_path, tasks) == ([("answers.json:1", "a", "good"), ("answers.json:1", "7", "bad")], [])
    assert read(tmp_path, "[\n" + ",\n".join(map(json.dumps, tasks)) + "\n]")[0][1][0] == "answers.json:5"


def test_a_record_of_argilla_counts_where_it_is_completed(tmp_path):
    records = [
        record("a", "good"),
        record("b"),
        record("c", "bad", status="pending"),
        record("d", 3, status="completed"),
    ]
    lines = "\n".join(map(json.dumps, records))
    assert read(tmp_path, lines, "answers.jsonl") == (
        [("answers.jsonl:1", "a", "good"), ("answers.jsonl:4", "d", "3")],
        [],
    )


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (task("a", annotation("good"), annotation("bad")), ":1: id 'a' has several answers: good, bad; keep one"),
        (task("a", annotation("good", "bad")), ":1: id 'a' has several answers: good, bad; keep one"),
        (record("a", "good", "bad"), ":1: id 'a' has several answers: good, bad; keep one"),
        (record(None, "good"), ":1: has no id that is text or a whole number"),
        (task(True, annotation("good")), ":1: has no data.id that is text or a whole number"),
        (record("a", ["good"]), ":1: the answer must be text or a number, is list"),
        ({"id": "a", "responses": {"label": "good"}}, ":1: 'responses' must have a list 'label'"),
        ({"id": "a", "annotations": []}, ":1: is no task of Label Studio: needs 'data' and a list of 'annotations'"),
        (
            {"id": 1, "text": "t", "label": "good"},
            ":1: is neither a task of Label Studio ('annotations'; export as JSON, not JSON-MIN) nor a record of "
            "Argilla ('responses')",
        ),
    ],
)
def test_a_record_that_cannot_be_read_is_one_line_and_the_others_are_read(tmp_path, broken, fault):
    answers, faults = read(tmp_path, [broken, record("z", "good")])
    assert faults == [fault]
    assert [answer[1:] for answer in answers] == [("z", "good")]


def test_a_table_has_the_line_on_which_a_row_begins(tmp_path):
    text = '\ufefflabel;text;id\n3;"two\nlines";a\n;open;b\n\n 4 ;t;c\n'
    assert read(tmp_path, text, "answers.csv")[0] == [("answers.csv:2", "a", "3"), ("answers.csv:6", "c", "4")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,lable\n1,2\n", "answers.csv:1: no column 'label'; did you mean 'lable'?"),
        ("id,id,label\n1,1,2\n", "answers.csv:1: two columns 'id'"),
        ("id,label\n1,2\n1,2,3\n", "answers.csv:3: has 3 values, the header 2"),
        ('id,label\n"1,2\n', "is not CSV"),
        ("", "answers.csv:1: no column 'id'"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, words):
    with pytest.raises(DataError) as error:
        read(tmp_path, text, "answers.csv")
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1

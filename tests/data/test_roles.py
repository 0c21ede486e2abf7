"""Roles by any of their names, and those that mean nothing here."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import Items
from harness.data.roles import unknown_roles_remark
from harness_plugins.features import text_v1

NAMES = [("human", "gpt"), ("User", "Assistant"), ("user", "model"), ("user", "bot"), (" HUMAN", "ChatGPT")]


def write(path, roles, fields=("role", "content"), text="messages"):
    first, second = roles
    turns = [[(first, "a question?"), (second, "good answer. " * (4 * c + 1))] for c in range(3)]
    talks = [[dict(zip(fields, turn, strict=True)) for turn in talk] for talk in turns]
    pq.write_table(pa.table({"y": range(3), text: talks}), path)
    return path


def conversations(path):
    return list(Items(str(path), np.arange(3), np.arange(3), ("messages",), text="messages").conversations())


@pytest.mark.parametrize("fields", [("role", "content"), ("from", "value"), ("From", "Value")], ids=str)
@pytest.mark.parametrize("roles", NAMES, ids=str)
def test_other_names_of_roles_give_the_same_features(tmp_path, roles, fields):
    plain = conversations(write(tmp_path / "plain.parquet", ("user", "assistant")))
    path = write(tmp_path / "other.parquet", roles, fields)
    assert conversations(path) == plain
    assert len({text_v1.measure(talk) for talk in plain}) == 3
    assert unknown_roles_remark(str(path), "messages") is None


def test_a_system_and_a_tool_have_other_names_too(tmp_path):
    path = write(tmp_path / "x.parquet", ("instruction", "observation"))
    assert [role for role, _ in conversations(path)[0]] == ["system", "tool"]


def test_unknown_roles_are_named_and_stay(tmp_path):
    path = write(tmp_path / "x.parquet", ("narrator", "gpt"), ("from", "value"))
    assert conversations(path)[0][0] == ("narrator", "a question?")
    remark = unknown_roles_remark(str(path), "messages")
    assert "1 role is not known: narrator (3 turns)" in remark
    assert "3 turns" in unknown_roles_remark(str(write(path, ("user", "villain"))), "messages")
    assert "2 roles are not known" in unknown_roles_remark(str(write(path, ("hero", "villain"))), "messages")


def test_columns_without_roles_have_no_remark(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"t": ["a", "b"], "l": [[1], [2]]}), path)
    assert [unknown_roles_remark(str(path), text) for text in ("t", "l", "absent", None)] == [None] * 4

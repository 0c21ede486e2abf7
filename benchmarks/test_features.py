"""The 63 features of text, on all cores, against the same definitions written plainly; and how time grows with length.

The conversations are those of raw_data/judged_responses.parquet where it is there, else the simulated twin's; they come
again and again up to the number of rows. Time follows the characters, so the target, which is set for conversations of
1,570, is compared with the time for as many characters.
"""

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.peers import CORES, ROWS, SIZES, WHOLE, Peer, aimed, in_turn
from harness.data import twin
from harness_plugins.features import text_v2

REAL = Path(__file__).parents[1] / "raw_data" / "judged_responses.parquet"
CHARACTERS = 1_570  # of a conversation, on average, where the target was set
TARGET = 75  # seconds on two cores
PLAIN = 2_000  # conversations that the plain implementation is given: its time is scaled up to all

OURS = """
import json, tempfile, time
from pathlib import Path
import numpy as np
from harness import Items
from harness.run import blocks as prepare, shards
from harness.suite.catalog import discover
from harness.utils.processes import Limits, Processes
from harness_plugins.features.text_v2 import TextV2
items = Items(file, np.arange(n), np.arange(n), ("messages",), text="messages", identity="benchmark")
catalog, limits = discover(), Limits(float("inf"), 2**40)
with tempfile.TemporaryDirectory() as folder:
    cache = Path(folder)
    began = time.perf_counter()
    recipe = prepare.recipe("text", TextV2(), items, catalog, cache / "digests")
    hashed = time.perf_counter() - began
    processes = Processes(("harness.run.block_writer",), 1)
    block_builder.build_block(recipe, items, cache, processes, limits, lambda _: None, (None,) * cores)
    seconds = time.perf_counter() - began
    again = time.perf_counter()
    recipe = prepare.recipe("text", TextV2(), items, catalog, cache / "digests")
    assert prepare.open_block(recipe, cache).array.shape == (n, 63)
    again = time.perf_counter() - again
print(json.dumps({"seconds": seconds, "hashing": hashed, "again": again}))
"""
SCRIPT = """
import json, time
import numpy as np
from harness import Items
from tests.plain_text import features
rows = np.arange(min(n, plain))
talks = list(Items(file, rows, rows, ("messages",), text="messages").conversations())
began = time.perf_counter()
np.array([[*features(talk).values()] for talk in talks], np.float32)
print(json.dumps({"seconds": (time.perf_counter() - began) * n / len(rows) / cores}))
"""
PEERS = {"ours": Peer(OURS), "plain Python, shared out ideally": Peer(SCRIPT)}
PIECES = (
    "a",
    "e",
    "😀",
    "文",
    "\n",
    " ",
    "```",
    "```\n",
    "`a",
    "*a",
    "**",
    "(a",
    "[[",
    "|a|\n",
    "a. ",
    "!?",
    "\n- ",
    "é",
)


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    """A file with ROWS conversations."""
    folder = tmp_path_factory.mktemp("texts")
    if not REAL.exists():
        twin.write(folder / "twin.parquet", 5_000)
    talks = pq.read_table(REAL if REAL.exists() else folder / "twin.parquet", columns=["messages"])
    with pq.ParquetWriter(folder / "texts.parquet", talks.schema) as out:
        for start in range(0, ROWS, len(talks)):
            out.write_table(talks.slice(0, ROWS - start))
    return folder / "texts.parquet"


def characters(file: Path, rows: int) -> float:
    """Return the characters of a conversation, on average."""
    talks = pq.read_table(file, columns=["messages"]).slice(0, rows)["messages"].combine_chunks()
    contents = pc.struct_field(talks.flatten(), "content")
    return pc.sum(pc.utf8_length(contents), min_count=0).cast(pa.int64()).as_py() / rows


@pytest.mark.timeout(4_000)
@pytest.mark.parametrize("rows", SIZES)
def test_text_features(benchmark, texts, rows):
    head = f"file, n, cores, plain = {str(texts)!r}, {rows}, {CORES}, {PLAIN}\n"
    answers, info = in_turn(benchmark, head, PEERS, 3 if rows < 100_000 else 1), benchmark.extra_info
    length = characters(texts, rows)
    projected = info["measured"] * WHOLE * CHARACTERS / (rows * length)
    aimed(benchmark, rows, f"<= {TARGET} s for {WHOLE:,} of {CHARACTERS:,} characters, two cores", projected <= TARGET)
    info |= {"law": "63 text features", "characters a conversation": length, "cores": CORES}
    info |= {"texts": "real" if REAL.exists() else "simulated", "rows a second": rows / info["measured"]}
    info |= {f"at {WHOLE:,} x {CHARACTERS:,} characters": projected}
    info |= {"hashing the texts": answers["ours"]["hashing"], "second time": answers["ours"]["again"]}


@pytest.mark.timeout(4_000)
def test_text_of_one_thing_over_and_over(benchmark):
    """Four times the length takes four times as long, whatever it is; quadratic time would be sixteen."""
    growth = {}

    def turn() -> None:
        for piece in PIECES:
            short, long = (min(seconds(piece, size) for _ in range(3)) for size in (1_000_000, 4_000_000))
            growth[piece] = long / short

    benchmark.pedantic(turn, rounds=1)
    worst = max(growth, key=growth.__getitem__)
    benchmark.extra_info |= {"texts": len(PIECES), "four times the length takes, at worst": growth[worst]}
    benchmark.extra_info |= {"worst": repr(worst), "ten million characters take": seconds(worst, 10_000_000)}
    assert growth[worst] < 8


def seconds(piece: str, size: int) -> float:
    """Return the seconds of a core for one answer of `size` characters."""
    talk = [("assistant", piece * (size // len(piece)))]
    began = time.process_time()
    text_v2.measure(talk)
    return time.process_time() - began

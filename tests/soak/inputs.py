"""Count what malformed suites and damaged data files do to `harness plan`.

`python -m tests.soak.inputs --suites 2000 --files 1000` prints the figures of docs/reliability.md. Each input must
end in exit 0 or in a line; anything else is printed, with the seed that makes it again.
"""

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import HarnessError
from harness.run.runner import Options, prepare_run
from harness.suite.catalog import discover
from harness.suite.collection import load_collection

ROOT = Path(__file__).parents[2]
SUITES = sorted((ROOT / "suites").rglob("*.yaml"))
WORDS = (
    "null",
    ".NaN",
    "-.INF",
    "[]",
    "{}",
    "''",
    "true",
    "1e999",
    "9223372036854775808",
    "2000000000",
    "-1",
    "*x",
    "é\x1b",
    "majority",
)
LONGEST, LARGEST = 5.0, 500 << 20  # seconds of CPU and bytes that a refusal may take
ROWS = 300
SUITE = """\
version: 1
name: small
data: {path: data.parquet, target: y, classes: 3, text: text, source: who}
blocks: {e: {embedder: column, column: emb}, t: {features: text_v1}}
splits: [{splitter: nested, test: 0.3, ratios: [0.5], seeds: [1]}]
labelers: [majority]
"""


def mutate(text: str, rng: random.Random) -> str:
    """Change one to three places of a suite: a value, a line, or a span of characters."""
    for _ in range(rng.randint(1, 3)):
        lines = text.splitlines() or [""]
        at = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                key, colon, _ = lines[at].partition(":")
                lines[at] = f"{key}{colon} {rng.choice(WORDS)}"
            case 1:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 2:
                del lines[at]
            case 3:
                lines[at] = "  " * rng.randint(0, 3) + lines[at].strip()
            case 4:
                numbers = [i for i, c in enumerate(lines[at]) if c.isdigit()]
                if numbers:
                    i = rng.choice(numbers)
                    lines[at] = lines[at][:i] + rng.choice(WORDS) + lines[at][i + 1 :]
            case _:
                i = rng.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:i] + rng.choice("[]{}:,'\"#-&!|>%@\t\0\x85") + lines[at][i + rng.randint(0, 3) :]
        text = "\n".join(lines)
    return text


def outcome(call) -> str:
    """Return how a call ended: "sound", "refused", "no line", or what went wrong."""
    start = time.process_time()
    try:
        call()
        kind = "sound"
    except HarnessError as error:
        lines = str(error).splitlines()
        kind = "refused" if all(line.isprintable() for line in lines) and lines else "unprintable"
    except Exception as error:
        kind = f"traceback {type(error).__name__}: {str(error)[:80]!r}"
    return f"{kind}, over {LONGEST:g} s" if time.process_time() - start > LONGEST else kind


def malformed_suites(count: int, folder: Path, seed: int) -> Counter:
    """Count how mutated suites are read."""
    catalog, counts = discover(), Counter()
    sources = [file.read_text() for file in SUITES]
    for number in range(seed, seed + count):
        rng = random.Random(number)
        file = folder / "suite.yaml"
        file.write_text(mutate(rng.choice(sources), rng), errors="replace")
        kind = outcome(lambda file=file: load_collection(file, catalog))
        counts[kind] += 1
        if kind not in ("sound", "refused"):
            print(f"suite {number}: {kind}", flush=True)
    return counts


def damaged_files(count: int, folder: Path, seed: int) -> Counter:
    """Count how damaged copies of a file with page checksums are read; another value than before is the worst."""
    os.chdir(folder)
    catalog = discover()
    (folder / "suite.yaml").write_text(SUITE)
    (suite,) = load_collection(Path("suite.yaml"), catalog).suites
    rng = np.random.default_rng(0)
    columns = {
        "y": rng.integers(0, 3, ROWS),
        "text": [f"word{i % 7} text {i}" for i in range(ROWS)],
        "who": [f"source {i % 3}" for i in range(ROWS)],
        "emb": pa.array(list(rng.normal(size=(ROWS, 8)).astype(np.float32)), pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), "data.parquet", write_page_checksum=True)
    good = Path("data.parquet").read_bytes()

    def read():
        dataset = prepare_run(suite, catalog, Options(folder, threads=1), lambda line: None).dataset
        vectors = [batch.to_pylist() for batch in dataset.items.batches("emb")]
        return dataset.y.tolist(), dataset.sources.tolist(), list(dataset.items.texts()), vectors

    expected, counts = read(), Counter()
    for number in range(seed, seed + count):
        draw, raw = random.Random(number), bytearray(good)
        for _ in range(draw.randint(1, 4)):
            raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
        Path("data.parquet").write_bytes(raw[: draw.randrange(len(raw))] if draw.random() < 0.1 else raw)
        answers = []
        kind = outcome(lambda answers=answers: answers.append(read()))
        kind = "sound" if kind == "sound" and answers == [expected] else "read with other values" if answers else kind
        counts[kind] += 1
        if kind not in ("sound", "refused"):
            print(f"file {number}: {kind}", flush=True)
    return counts


def main() -> int:
    """Print the figures; return 1 where an input did what none may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bad = 0
    for name, drive, count in (("suites", malformed_suites, options.suites), ("files", damaged_files, options.files)):
        with tempfile.TemporaryDirectory() as folder:
            counts = drive(count, Path(folder).resolve(), options.seed)
            os.chdir(ROOT)
        print(
            f"{name}: {count:,}: " + ", ".join(f"{number:,} {kind}" for kind, number in counts.most_common()),
            flush=True,
        )
        bad += sum(number for kind, number in counts.items() if kind not in ("sound", "refused"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"largest memory: {peak / 1024:,.0f} MiB")
    return int(bad > 0 or peak * 1024 > LARGEST)


if __name__ == "__main__":
    sys.exit(main())

"""Commands to disturb, the folders they start from, and what must hold after one was killed or its disk has failed.

Every command has a template folder, a copy of which a disturbed command starts in, and the outputs that an undisturbed
one has left in another copy.
"""

import json
import re
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.command_line import harness, run_module, running, table, until

LABELERS = [{"source_prior": {"on": "source"}}, {"knn": {"on": "vectors"}}]
BLOCKS = {
    "vectors": {"embedder": "column", "column": "embeddings"},
    "source": {"features": "one_hot", "columns": ["source"]},
}
TWIN = {"path": "twin:tulu_300k:400", "id": "id", "text": "messages", "target": "gpt_scores", "source": "source"}
OWN = {"path": "data.jsonl", "id": "row_id", "text": "messages", "target": "score", "source": "source"}
TORN = re.compile(r"Traceback|Exception ignored|Exception in thread|Warning:|Fatal Python|^\w*Error\b", re.MULTILINE)
PARTIAL = re.compile(r"\.partial$|\.joined$|\.pieces$|\.shards$")
INTERRUPTED = {
    signal.SIGTERM: {130, -signal.SIGTERM},
    signal.SIGINT: {130, -signal.SIGINT},
    signal.SIGKILL: {-signal.SIGKILL},
}
THREADS = ("--threads", "1")


@dataclass(frozen=True)
class Command:
    """A command, what must have run before it, and the outputs it is compared by."""

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]  # patterns of files
    before: tuple[tuple[str, ...], ...] = ()
    removed: tuple[str, ...] = ()  # folders of the template that the command makes again


RUN = ("run", "small.yaml", *THREADS)
COMMANDS = (
    Command("run", RUN, ("leaderboards/**/*",)),
    Command("cells", RUN, ("leaderboards/**/*",), (RUN,), ("runs/small", "leaderboards")),  # twin and blocks are there
    Command("leaderboard", ("leaderboard", "small.yaml"), ("leaderboards/**/*",), (RUN,), ("leaderboards",)),
    Command(
        "report", ("report", "small.yaml"), ("leaderboards/small/report/*", "leaderboards/small/report.html"), (RUN,)
    ),
    Command(
        "label",
        ("label", "own.yaml", "--with", "knn(on=vectors)", "--folds", "2", "--to", "labels.parquet", *THREADS),
        ("labels.*",),
        (("run", "own.yaml", *THREADS),),
    ),
    Command(
        "embed",
        ("embed", "data.jsonl", "--embedder", "column: {column: embeddings}", "--to", "vectors.npy", *THREADS),
        ("vectors*.npy",),
    ),
)


@dataclass
class Scene:
    """The templates and expected outputs of the commands, under one folder."""

    base: Path
    commands: tuple[Command, ...] = COMMANDS
    expected: dict[str, dict[str, bytes]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # of an undisturbed command
    changes: dict[str, list[str]] = field(default_factory=dict)  # kinds of those that it makes
    trials: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """Make the templates, and the outputs of undisturbed commands, twice: they must agree."""
        for command in self.commands:
            template = self.base / "templates" / command.name
            same = next((each for each in self.expected if self.named(each).before == command.before != ()), None)
            if same is None:
                write_files(template)
                for arguments in command.before:
                    check_ok(harness(*arguments, cwd=template))
            else:
                shutil.copytree(self.base / "templates" / f"{same}.before", template)
            shutil.copytree(template, template.with_suffix(".before"))
            for name in command.removed:
                shutil.rmtree(template / name)
            first, self.changes[command.name] = self.undisturbed(command)
            started = time.monotonic()  # the first one has also started the server of workers of all commands
            second, _ = self.undisturbed(command)
            self.seconds[command.name] = time.monotonic() - started
            assert first
            assert first == second, f"{command.name}: {differences(first, second)} differ without any fault"
            self.expected[command.name] = first

    def named(self, name: str) -> Command:
        return next(command for command in self.commands if command.name == name)

    def undisturbed(self, command: Command) -> tuple[dict[str, bytes], list[str]]:
        """Return the outputs of a command that nothing disturbs, and the kinds of its changes."""
        folder = self.copy(command)
        events = folder.with_suffix(".events")
        check_ok(run_module("tests.soak.events", "count", 0, folder, events, *command.arguments, cwd=folder))
        content = outputs(folder, command)
        shutil.rmtree(folder)
        return content, events.read_text().splitlines()

    def copy(self, command: Command) -> Path:
        """Return a new copy of a command's template."""
        folder = self.empty(command)
        shutil.copytree(self.base / "templates" / command.name, folder, dirs_exist_ok=True)
        return folder

    def empty(self, command: Command) -> Path:
        """Return a new empty folder."""
        self.trials += 1
        folder = self.base / f"{command.name}-{self.trials}"
        folder.mkdir()
        return folder

    def fault(self, title: str, text: str, output: str = "") -> None:
        """Record and print what must not be."""
        self.faults.append(f"{title}: {text}")
        print(f"FAULT {title}: {text}\n{output[-2000:]}", flush=True)

    def check_output(self, title: str, output: str) -> None:
        """Record a traceback, or a warning, in what a command has printed."""
        if TORN.search(output):
            self.fault(title, "printed a traceback", output)

    def check_whole(self, title: str, folder: Path, command: Command) -> None:
        """Record every output that is neither whole nor missing."""
        expected = self.expected[command.name]
        old = outputs(self.base / "templates" / command.name, command)
        for name, content in outputs(folder, command).items():
            if content not in (expected.get(name), old.get(name)):
                self.fault(title, f"{name} is not whole")

    def check_resumed(self, title: str, folder: Path, command: Command, give=harness) -> None:
        """Give the command again; record what is lost, left over, or different."""
        before = finished(folder)
        result = give(*command.arguments, cwd=folder)
        self.check_output(f"{title}, then again", result.stdout + result.stderr)
        if result.returncode != 0:
            self.fault(title, f"the next call ended with exit code {result.returncode}", result.stderr)
            return
        if lost := lost_work(before, finished(folder)):
            self.fault(title, f"made again: {', '.join(lost)}")
        content = outputs(folder, command)
        if content != self.expected[command.name]:
            self.fault(title, f"other bytes in {', '.join(differences(content, self.expected[command.name]))}")
        if rest := [str(path.relative_to(folder)) for path in folder.rglob("*") if PARTIAL.search(path.name)]:
            self.fault(title, f"left over: {', '.join(rest)}")


def write_files(folder: Path) -> None:
    """Write two suites and a file of rows, some of them without labels."""
    folder.mkdir(parents=True)
    splits = [{"splitter": "nested", "test": 0.5, "ratios": [0.2, 0.4], "seeds": [1]}]
    for name, data in (("small", TWIN), ("own", OWN)):
        suite = {"version": 1, "name": name, "data": data | {"classes": 6}, "blocks": BLOCKS, "splits": splits}
        (folder / f"{name}.yaml").write_text(json.dumps(suite | {"labelers": LABELERS}))
    rows = table(300, unlabelled=60).to_pylist()
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def check_ok(result) -> None:
    """Raise AssertionError where a command has failed that nothing disturbs."""
    assert result.returncode == 0, result.stderr
    assert not TORN.search(result.stderr), result.stderr


def outputs(folder: Path, command: Command) -> dict[str, bytes]:
    """Return {name: content} of the outputs; timings differ between runs."""
    files = {path for pattern in command.outputs for path in folder.glob(pattern) if path.is_file()}
    names = {str(path.relative_to(folder)): path for path in files if path.name != "timings.csv"}
    return {name: path.read_bytes() for name, path in sorted(names.items()) if not path.name.startswith(".")}


def differences(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def finished(folder: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of every finished cell, block and neighbour list."""
    folders = [*folder.glob("runs/*/cells/*"), *folder.glob("runs/cache/blocks/*"), *folder.glob("runs/cache/lists/*")]
    paths = [path for each in folders if each.is_dir() and not each.suffix for path in (each, *each.iterdir())]
    states = {path: path.stat() for path in paths}
    return {str(path.relative_to(folder)): (state.st_ino, state.st_mtime_ns) for path, state in states.items()}


def lost_work(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> list[str]:
    return [name for name, state in before.items() if after.get(name) != state]


def nobody_left(mark: str, patience: float = 10) -> bool:
    """Return True once no process with the variable `mark` is left."""
    try:
        until(lambda: not running(mark), patience)
    except AssertionError:
        for process in running(mark):
            process.kill()
        return False
    return True

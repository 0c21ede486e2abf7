"""Stop commands right before a change of their folder, or let their disk fail there, and give them again."""

import os
import re
import resource
import shutil
import subprocess
from pathlib import Path

from tests.command_line import COMMAND, run_module
from tests.soak.events import CRASHED, SPACE
from tests.soak.scene import Command, Scene

LINE = re.compile(r"error: (?:(\S+): .+|cannot go on: No usable temporary directory found in .+)")
STOPPED = 2  # exit code of a command whose disk is full or broken
FULL = ("No space left", "File too large", "Disk quota")


def disturbed(command: Command, folder: Path, kind: str, number: int):
    """Run a command with a fault at its change `number`."""
    return run_module("tests.soak.events", kind, number, folder, os.devnull, *command.arguments, cwd=folder)


def again(*arguments: str, cwd: Path):
    """Run a command without a fault, and with shared neighbour lists as the disturbed one had."""
    return run_module("tests.soak.events", "count", 0, cwd, os.devnull, *arguments, cwd=cwd)


def stop_before(scene: Scene, command: Command, number: int) -> None:
    """Stop a command right before one of its changes."""
    title, folder = f"stop {command.name} {number}", scene.copy(command)
    result = disturbed(command, folder, "crash", number)
    scene.check_output(title, result.stdout + result.stderr)
    scene.counts[f"{command.name}: stopped"] += result.returncode == CRASHED
    if result.returncode not in (CRASHED, 0):
        scene.fault(title, f"ended with exit code {result.returncode}", result.stderr)
    scene.check_whole(title, folder, command)
    scene.check_resumed(title, folder, command, again)
    shutil.rmtree(folder)


def fail_at(scene: Scene, command: Command, kind: str, number: int) -> None:
    """Fail the disk of a command at one of its changes."""
    title, folder = f"{kind} {command.name} {number}", scene.copy(command)
    check_failed(scene, title, folder, command, disturbed(command, folder, kind, number))
    scene.check_resumed(title, folder, command, again)
    shutil.rmtree(folder)


def check_failed(scene: Scene, title: str, folder: Path, command: Command, result) -> None:
    """Record where a command with a failing disk did not stop with one line that names the path."""
    output = result.stdout + result.stderr
    scene.check_output(title, output)
    scene.counts[f"{command.name}: {title.split()[0]}"] += 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    if result.returncode == STOPPED:
        match = LINE.fullmatch(lines[0]) if len(lines) == 1 else None
        path = match and (match[1] or "./")
        if path is None or ("/" not in path and not any(map(Path(path).match, command.outputs))):
            scene.fault(title, "no line with the path", output)
        elif any(word in lines[0] for word in FULL) and "bytes" not in lines[0]:
            scene.fault(title, "a full disk, and no number of bytes", output)
    elif result.returncode != 0:
        scene.fault(title, f"ended with exit code {result.returncode}", output)
    scene.check_whole(title, folder, command)


def limit_files(scene: Scene, command: Command, size: int) -> None:
    """Let no file of a command grow beyond so many bytes, as `ulimit -f` does."""
    title, folder = f"RLIMIT_FSIZE {command.name} {size}", scene.copy(command)
    result = subprocess.run(
        [*COMMAND, *command.arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    check_failed(scene, title, folder, command, result)
    scene.check_resumed(title, folder, command)
    shutil.rmtree(folder)


MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && cp -r "$3"/. "$2" && cd "$2" || exit 9; shift 3; "$@"; code=$?; '
COPIED = 'cp -r . "$OUT"; exit $code'
NOT_MOUNTED = 9


def fill_disk(scene: Scene, command: Command, extra: int) -> None:
    """Run a command on a file system in memory with so many kilobytes beside the command's template.

    It is mounted for the command alone; where that is not allowed, it is counted as left out.
    """
    title, template = f"tmpfs {command.name} {extra}", scene.base / "templates" / command.name
    folder, point = scene.empty(command), scene.empty(command)
    size = sum(-(-path.stat().st_size // 4096) * 4 + 4 for path in template.rglob("*")) + extra
    script = ["unshare", "-m", "sh", "-c", MOUNTED + COPIED, "sh", f"{size}k", point, template]
    result = subprocess.run(
        [*map(str, script), *COMMAND, *command.arguments],
        env=os.environ | {"OUT": str(folder)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    if result.returncode == NOT_MOUNTED:
        scene.counts["left out: no file system can be mounted"] += 1
        return
    check_failed(scene, title, folder, command, result)
    scene.check_resumed(title, folder, command)
    shutil.rmtree(folder)
    point.rmdir()


def space_points(kinds: list[str]) -> list[int]:
    """Return the numbers of the changes that need space."""
    return [number for number, kind in enumerate(kinds, start=1) if kind in SPACE]

"""Kill commands at random moments, and give them again."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import psutil

from tests.command_line import start
from tests.soak.scene import INTERRUPTED, Command, Scene, finished, lost_work, nobody_left

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
TARGETS = ("parent", "worker", "server", "group")
START_SECONDS = 1.0  # of Python and its imports, which the command of the scene has done before
ATTEMPTS = 3  # kills in one folder before the command runs to its end
# Python's own answer to Ctrl-C before the first line of `main`
IMPORTING = re.compile(
    r"Traceback \(most recent call last\):\n(?:(?!cli/app.py\", line \d+, in main).)*KeyboardInterrupt", re.DOTALL
)
AFTER_A_CHILD = {0, 1, 2}  # exit codes of a command that has lost a child: its cell fails, or its block


def kill_in_turn(scene: Scene, command: Command, seed: int) -> None:
    """Kill a command a few times in one folder, then give it until it ends."""
    folder = scene.copy(command)
    for attempt in range(ATTEMPTS):
        title = f"kill {command.name} {seed}.{attempt}"
        kill_once(scene, command, folder, title, random.Random(title))
    scene.check_resumed(title, folder, command)
    shutil.rmtree(folder)


def kill_once(scene: Scene, command: Command, folder, title: str, chance: random.Random) -> None:
    """Start a command, kill one of its processes, and check what is left."""
    targets = ("parent", "group") if command.name in ("leaderboard", "report") else TARGETS  # those have no workers
    sent, name = chance.choice(SIGNALS), chance.choice(targets)
    mark, before = f"HARNESS_SOAK_{os.getpid()}_{scene.trials}_{time.monotonic_ns()}", finished(folder)
    process = start(*command.arguments, cwd=folder, env={mark: "1"})
    time.sleep(chance.uniform(0, START_SECONDS + scene.seconds[command.name]))
    target = wait_for(name, process)
    title = f"{title} ({sent.name} to {name})"
    if target is None:
        scene.counts["ended before its kill"] += 1
    else:
        scene.counts[f"{command.name}: killed"] += 1
        scene.counts[f"{sent.name} to {name}"] += 1
        try:
            os.killpg(process.pid, sent) if name == "group" else os.kill(target, sent)
        except ProcessLookupError:
            scene.counts["ended before its kill"] += 1
    try:
        code = process.wait(60)
    except subprocess.TimeoutExpired:
        code = None
        process.kill()
    output = (folder / "output.txt").read_text()
    (folder / "output.txt").unlink()
    if IMPORTING.fullmatch(output.strip()):
        scene.counts["interrupted while Python was importing the command"] += 1
    else:
        scene.check_output(title, output)
    allowed = AFTER_A_CHILD if name in ("worker", "server") else {0} | INTERRUPTED[sent]
    if code not in allowed:
        scene.fault(title, f"ended with exit code {code}", output)
    if not nobody_left(mark):
        scene.fault(title, "left processes behind", output)
    if lost := lost_work(before, finished(folder)):
        scene.fault(title, f"made again: {', '.join(lost)}")
    scene.check_whole(title, folder, command)


def wait_for(name: str, process) -> int | None:
    """Return the number of a process of the command once there is one; None where it ends first."""
    while process.poll() is None:
        if name in ("parent", "group"):
            return process.pid
        try:
            servers = [each for each in psutil.Process(process.pid).children() if is_server(each)]
            found = servers if name == "server" else [child for each in servers for child in each.children()]
        except psutil.Error:
            found = []
        if found:
            return found[0].pid
        time.sleep(0.002)
    return None


def is_server(process: psutil.Process) -> bool:
    return any("multiprocessing.forkserver" in word for word in process.cmdline())

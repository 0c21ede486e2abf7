"""Count what kills, crashes and failing disks do to `harness run`, `leaderboard`, `report`, `label` and `embed`.

`python -m tests.soak.crashes` prints the figures of docs/reliability.md. After each fault the same command, given
again, must end with exit code 0 and the bytes of one that nothing disturbed, and make nothing finished again.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.soak import disks, kills
from tests.soak.scene import COMMANDS, Command, Scene

Trial = Callable[[], None]
WEIGHTS = {"run": 5, "cells": 3}  # of the commands in the number of kills and points; else 1
FILE_SIZES = (1, 200, 600, 2_000, 5_000, 10_000, 100_000, 1_000_000, 1_700_000)  # bytes
SPARE_SIZES = (16, 64, 128, 256, 512, 1_024, 2_048, 4_096, 6_144)  # kilobytes


def main() -> int:
    """Print the figures; return 1 where anything was lost, torn, left over or unclear."""
    options = parse_options()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as base:
        scene = Scene(Path(base).resolve(), tuple(c for c in COMMANDS if c.name in options.commands))
        scene.prepare()
        counts = ", ".join(f"{c.name} makes {len(scene.changes[c.name])} changes" for c in scene.commands)
        print(f"prepared in {time.monotonic() - started:.0f} s: {counts}", flush=True)
        trials = [trial for command in scene.commands for trial in plan_trials(scene, command, options)]
        random.Random(options.seed).shuffle(trials)
        for number, trial in enumerate(trials, start=1):
            if time.monotonic() - started > 60 * options.minutes:
                print(f"{number - 1} of {len(trials)} trials in {options.minutes} minutes")
                break
            trial()
            if number % 10 == 0:
                seconds = time.monotonic() - started
                print(f"{number} of {len(trials)}, {len(scene.faults)} faults, {seconds:.0f} s", flush=True)
    for name, count in sorted(scene.counts.items()):
        print(f"{name}: {count:,}")
    for line in (f"{len(scene.faults)} faults", *scene.faults):
        print(line)
    return int(bool(scene.faults))


def parse_options() -> argparse.Namespace:
    names = [command.name for command in COMMANDS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=240, help="of all commands together")
    parser.add_argument("--every", type=int, default=1, help="stop before every n-th change; 0: before none")
    parser.add_argument("--failures", type=int, default=50, help="points of a full disk, and of a broken one")
    parser.add_argument("--limits", type=int, default=len(FILE_SIZES), help="sizes of files, and of disks")
    parser.add_argument("--commands", nargs="+", choices=names, default=names)
    parser.add_argument("--minutes", type=float, default=60, help="begin no trial after that; they come in any order")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def plan_trials(scene: Scene, command: Command, options: argparse.Namespace) -> list[Trial]:
    """Return what disturbs one command in every way."""
    chance, kinds = random.Random(f"{options.seed} {command.name}"), scene.changes[command.name]
    part = WEIGHTS.get(command.name, 1) / sum(WEIGHTS.get(each.name, 1) for each in scene.commands)
    in_turn = round(options.kills * part / kills.ATTEMPTS)
    every = range(1, len(kinds) + 1, options.every) if options.every else ()

    def draw(numbers: Sequence[int]) -> list[int]:
        return chance.sample(numbers, min(round(options.failures * part), len(numbers)))

    return [
        *(partial(kills.kill_in_turn, scene, command, options.seed + number) for number in range(in_turn)),
        *(partial(disks.stop_before, scene, command, number) for number in every),
        *(partial(disks.fail_at, scene, command, "ENOSPC", number) for number in draw(disks.space_points(kinds))),
        *(partial(disks.fail_at, scene, command, "EIO", number) for number in draw(range(1, len(kinds) + 1))),
        *(partial(disks.limit_files, scene, command, size) for size in FILE_SIZES[: options.limits]),
        *(partial(disks.fill_disk, scene, command, size) for size in SPARE_SIZES[: options.limits]),
    ]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what is in the background ignore it
    sys.exit(main())

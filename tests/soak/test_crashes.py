"""The driver of crashes itself: a few of each of its trials on the cheapest command find nothing."""

import shutil

import pytest

from tests.command_line import harness
from tests.soak import disks, kills
from tests.soak.scene import COMMANDS, Scene

pytestmark = pytest.mark.slow
EMBED = next(command for command in COMMANDS if command.name == "embed")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    scene = Scene(tmp_path_factory.mktemp("scene"), (EMBED,))
    scene.prepare()
    return scene


def test_a_few_trials_of_each_kind_find_nothing(scene, monkeypatch):
    monkeypatch.setattr(kills, "ATTEMPTS", 1)
    changes = len(scene.changes["embed"])
    assert changes > 20
    kills.kill_in_turn(scene, EMBED, 0)
    disks.stop_before(scene, EMBED, changes - 1)
    disks.fail_at(scene, EMBED, "ENOSPC", 1)
    disks.fail_at(scene, EMBED, "EIO", changes // 2)
    disks.limit_files(scene, EMBED, 2_000)
    assert scene.faults == []
    assert scene.counts["embed: stopped"] == 1
    assert scene.counts["embed: ENOSPC"] == scene.counts["embed: EIO"] == scene.counts["embed: RLIMIT_FSIZE"] == 1


def test_torn_outputs_lost_work_and_tracebacks_are_found(scene):
    folder = scene.copy(EMBED)
    (folder / "vectors.npy").write_bytes(b"half")
    scene.check_whole("torn", folder, EMBED)
    scene.check_output("broken", "Traceback (most recent call last):")
    (folder / "runs" / "small" / "cells" / "key").mkdir(parents=True)

    def remove_cell(*arguments, cwd):
        shutil.rmtree(cwd / "runs" / "small")
        return harness(*arguments, cwd=cwd)

    scene.check_resumed("lost", folder, EMBED, remove_cell)
    faults, scene.faults = scene.faults, []
    assert [fault.partition(":")[0] for fault in faults] == ["torn", "broken", "lost"]

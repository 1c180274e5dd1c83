"""A disk that is full ends a run as a record that says so, and costs nothing that was written before."""

import errno
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from statewise.core import disk
from statewise.core.events import Evaluated
from statewise.models import ModelConfig
from statewise.runs import RunStore, folder
from statewise.studies import execute, run_all
from statewise.training import checkpoint_files
from studies.interrupted import Listener, assert_as_if_left_alone, checkpoints, left_alone, short_run
from studies.victims import EXECUTE

SIZE = 2**20
"""Bytes of the small disk."""


@pytest.fixture
def run():
    return short_run()


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


def full_from(count, monkeypatch, target, name):
    """Have a function say that the disk is full from its count-th call on."""
    original, calls = getattr(target, name), []

    def limited(*arguments, **options):
        calls.append(1)
        return full() if len(calls) >= count else original(*arguments, **options)

    monkeypatch.setattr(target, name, limited)


def assert_failed(record, store):
    assert record.status == "failed"
    assert record.because == f"no space left in {store.root}: free some, and the same command goes on from there"


WRITES = {
    "an event": (folder.RunFolder, "write", 3),
    "where the events stand": (folder.RunFolder, "position", 3),
    "a checkpoint": (checkpoint_files, "save_file", 3),
    "the weights": (EXECUTE, "save_model", 1),
    "the checkpoint folder": (Path, "replace", 4),
}


@pytest.mark.parametrize("what", WRITES)
def test_at_every_write_it_ends_as_failed_and_goes_on_when_there_is_space(run, tmp_path, monkeypatch, what):
    store = RunStore(tmp_path / "runs", checkpoint_every=0)
    target, name, count = WRITES[what]
    full_from(count, monkeypatch, target, name)
    assert_failed(execute(run, store, Listener()), store)
    assert checkpoints(store.root, run)
    monkeypatch.undo()
    listener = Listener()
    execute(run, store, listener)
    assert [note for note in listener.notes() if note.startswith("goes on from step ")]
    assert_as_if_left_alone(run, store.root, left_alone(run, tmp_path))


def test_a_disk_that_is_full_at_the_beginning_is_reported_though_nothing_can_be_written(run, tmp_path, monkeypatch):
    store = RunStore(tmp_path / "runs")
    monkeypatch.setattr(folder, "write_whole", full)
    assert_failed(execute(run, store, Listener()), store)
    assert list(store.root.iterdir()) == []


def test_another_error_is_not_a_full_disk(run, tmp_path, monkeypatch):
    def broken(*arguments, **options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk.os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        execute(run, RunStore(tmp_path / "runs"), Listener())


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of one MiB; only the superuser can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only the superuser can mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place, *, leaving):
    """A file that takes all of a disk but so many bytes, and then a few that are left."""
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_bsize
    (place / "other").write_bytes(bytes(free - leaving))


@pytest.mark.parametrize("leaving", [0, 2**12, 2**16, 2**17])
def test_a_real_disk_that_fills_up(run, small_disk, tmp_path, watcher, leaving):
    """Another program takes the space while this one trains: at once, or all but a little of it."""
    run = replace(run, model=replace(run.model, width=24))
    store = RunStore(small_disk / "runs", checkpoint_every=0)

    class Greedy(type(watcher)):
        def event(self, run, event):
            super().event(run, event)
            if isinstance(event, Evaluated) and event.step == 5:
                fill(small_disk, leaving=leaving)

    (record,) = run_all([run], store, Greedy(), workers=1)
    assert_failed(record, store)
    assert store.find(run.name) == record
    assert len(checkpoints(store.root, run)) == 2
    (small_disk / "other").unlink()
    (record,) = run_all([run], store, watcher, workers=1)
    assert record.training["resumed_at"]
    assert_as_if_left_alone(run, store.root, left_alone(run, tmp_path))


def test_a_real_disk_too_small_for_one_checkpoint(run, small_disk, tmp_path, watcher):
    large = replace(run, model=ModelConfig(**{**vars(run.model), "width": 256}))
    store = RunStore(small_disk / "runs")
    (record,) = run_all([large], store, watcher, workers=1)
    assert_failed(record, store)
    assert store.find(large.name) == record
    assert {path.name for path in store.root.iterdir()} == {large.name}

"""The lock on a folder: one holder at a time, and none that is dead."""

import errno
import os
import shutil

import pytest

from statewise.core.errors import RunError
from statewise.runs import lock as lock_module
from statewise.runs.lock import LOCK, Lock, is_held


def test_a_lock_is_held_until_it_is_released(tmp_path):
    lock = Lock(tmp_path)
    assert not is_held(tmp_path)
    assert lock.try_take()
    assert lock.held
    assert is_held(tmp_path)
    assert not Lock(tmp_path).try_take()
    assert lock.holder().startswith(f"process {os.getpid()} on ")
    lock.release()
    assert not lock.held
    assert not is_held(tmp_path)


def test_asking_makes_nothing(tmp_path):
    assert not is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_who_waits_says_so_once_and_gets_it_when_it_is_free(tmp_path, monkeypatch):
    first, naps, notes = Lock(tmp_path), [], []
    assert first.try_take()

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            first.release()

    monkeypatch.setattr(lock_module.time, "sleep", nap)
    second = Lock(tmp_path)
    second.take(note=notes.append)
    assert second.held
    assert naps == [0.5] * 3
    assert notes == [f"{first.holder()} is at this run; waiting for it"]
    second.release()


def test_a_folder_that_was_moved_away_is_made_again_and_not_taken_for_ours(tmp_path, monkeypatch):
    folder = tmp_path / "partial"
    folder.mkdir()
    flock, moved = lock_module.fcntl.flock, []

    def moving(descriptor, how):
        if not moved:
            moved.append(shutil.move(folder, tmp_path / "run"))
        flock(descriptor, how)

    monkeypatch.setattr(lock_module.fcntl, "flock", moving)
    monkeypatch.setattr(lock_module.time, "sleep", lambda seconds: None)
    lock = Lock(folder)
    lock.take(note=[].append)
    assert os.path.samestat(os.fstat(lock.descriptor), (folder / LOCK).stat())
    lock.release()


def test_a_disk_that_locks_no_files_is_refused(tmp_path, monkeypatch):
    def refuse(descriptor, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_module.fcntl, "flock", refuse)
    with pytest.raises(RunError, match=f"^{tmp_path / LOCK} cannot be locked: No locks available; keep runs on a disk"):
        Lock(tmp_path).try_take()


def test_a_lock_holds_without_a_name_on_it_where_the_disk_is_full(tmp_path, monkeypatch):
    def full(descriptor, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lock_module.os, "write", full)
    lock = Lock(tmp_path)
    assert lock.try_take()
    assert is_held(tmp_path)
    lock.release()

"""Checkpoints on disk: what is read is what was written, or nothing; and what goes wrong costs one, never all."""

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from statewise.core import disk
from statewise.core.disk import is_full, write_whole
from statewise.core.errors import RunError
from statewise.training import Checkpoint, checkpoint_files
from statewise.training.checkpoint_files import CheckpointFiles, read_checkpoint, write_checkpoint


def checkpoint_of(step, **tensors):
    return Checkpoint(tensors or {"a": torch.full((3,), float(step))}, {"place": {"step": step, "loss": 1 / 3}})


@pytest.fixture
def files(tmp_path):
    return CheckpointFiles(tmp_path / "checkpoint", every=30)


def steps(files):
    return [int(path.stem) for path in files.paths()]


def assert_is(checkpoint, expected):
    assert checkpoint.plain == expected.plain
    assert checkpoint.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert checkpoint.tensors[name].dtype == tensor.dtype
        assert torch.equal(checkpoint.tensors[name], tensor)


def test_every_kind_of_tensor_comes_back(files):
    tied = torch.randn(4, 4)
    kinds = {
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 3),
        "half": torch.randn(2, 5).to(torch.bfloat16),
        "double": torch.tensor([1 / 3], dtype=torch.float64),
        "bytes": torch.arange(9, dtype=torch.uint8),
        "flag": torch.tensor([True, False]),
        "complex": torch.randn(2, dtype=torch.complex64),
        "transposed": torch.randn(3, 5).T,
        "one": tied,
        "again": tied,
        "nan": torch.tensor([float("inf"), -0.0]),
    }
    files.save(checkpoint_of(1, **kinds))
    assert_is(files.latest(), checkpoint_of(1, **kinds))


def test_the_newest_is_taken_and_two_are_kept(files):
    assert files.latest() is None
    for step in (5, 30, 200, 1000):
        files.save(checkpoint_of(step))
    assert steps(files) == [200, 1000]
    assert_is(files.latest(), checkpoint_of(1000))


def test_the_same_step_twice_is_one_file_and_the_second_counts(files):
    files.save(checkpoint_of(5))
    files.save(checkpoint_of(9))
    files.save(checkpoint_of(9, a=torch.zeros(2)))
    assert steps(files) == [5, 9]
    assert_is(files.latest(), checkpoint_of(9, a=torch.zeros(2)))


def test_one_is_due_when_the_time_has_gone_by_since_the_last(files, monkeypatch):
    now = [files.last]
    monkeypatch.setattr(checkpoint_files.time, "monotonic", lambda: now[0])
    assert not files.is_due()
    now[0] += 30
    assert files.is_due()
    files.save(checkpoint_of(1))
    assert not files.is_due()


def test_every_bit_that_flips_is_told_or_changes_nothing(files):
    """Spaces that pad the header are the only bytes that nothing depends on."""
    original = checkpoint_of(7, a=torch.tensor([1.5, -2.0]), b=torch.tensor(3))
    files.save(original)
    (path,) = files.paths()
    content = path.read_bytes()
    told = 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        try:
            checkpoint = read_checkpoint(path)
        except RunError:
            told += 1
        else:
            assert_is(checkpoint, original)
    assert told > 0.9 * len(content)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_of_a_torn_one_the_one_before_it_is_used(files, share):
    files.save(checkpoint_of(5))
    files.save(checkpoint_of(9))
    newest = files.paths()[-1]
    newest.write_bytes(newest.read_bytes()[: int(share * newest.stat().st_size)])
    noted = []
    assert_is(files.latest(note=noted.append), checkpoint_of(5))
    assert steps(files) == [5]
    assert [text.partition(":")[0] for text in noted] == [f"checkpoint {newest} is damaged"]


def test_a_flipped_weight_is_told_by_the_digest(files):
    files.save(checkpoint_of(5))
    (path,) = files.paths()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=f"checkpoint {path} is damaged: its contents do not have its digest"):
        read_checkpoint(path)


def test_where_all_are_damaged_there_is_none(files):
    for step in (5, 9):
        files.save(checkpoint_of(step))
    for path in files.paths():
        path.write_bytes(b"")
    noted = []
    assert files.latest(note=noted.append) is None
    assert len(noted) == 2
    assert steps(files) == []


def test_other_files_are_not_checkpoints(files):
    files.save(checkpoint_of(5))
    (files.folder / "000000000009.safetensors.half-written").write_bytes(b"half")
    assert_is(files.latest(), checkpoint_of(5))
    assert [path.name for path in files.folder.iterdir()] == ["000000000005.safetensors"]
    checkpoint_files.save_file({"a": torch.zeros(1)}, files.folder / "000000000010.safetensors")
    assert_is(files.latest(), checkpoint_of(5))


def test_a_checkpoint_of_another_version_is_not_read(files, monkeypatch):
    monkeypatch.setattr(checkpoint_files, "FORMAT", 99)
    files.save(checkpoint_of(5))
    monkeypatch.undo()
    with pytest.raises(RunError, match="is of another version of statewise"):
        read_checkpoint(files.paths()[0])


# Failures at every write

FULL = OSError(errno.ENOSPC, "No space left on device")
WRITES = {
    "making the file": (checkpoint_files, "save_file", SafetensorError("I/O error: No space left (os error 28)")),
    "reaching the disk": (disk.os, "fsync", FULL),
    "renaming": (Path, "replace", FULL),
}


@pytest.mark.parametrize("where", WRITES)
def test_a_full_disk_while_it_is_saved_leaves_those_before_it(files, monkeypatch, where):
    files.save(checkpoint_of(5))
    files.save(checkpoint_of(9))
    target, name, error = WRITES[where]

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(target, name, fail)
    with pytest.raises(type(error)) as caught:
        files.save(checkpoint_of(12))
    assert is_full(caught.value)
    monkeypatch.undo()
    assert steps(files) == [5, 9]
    assert len(list(files.folder.iterdir())) == 2
    assert_is(files.latest(), checkpoint_of(9))


def test_a_file_half_made_when_the_disk_is_full_is_removed(tmp_path):
    (tmp_path / "a").write_text("before")

    def half(path):
        path.write_text("ha")
        raise FULL

    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a", half)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "before"}


def test_a_file_is_on_the_disk_before_it_is_renamed_and_its_name_after(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, Path.replace

    def watched(descriptor):
        order.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(disk.os, "fsync", watched)
    monkeypatch.setattr(Path, "replace", lambda path, target: (order.append("rename"), replace(path, target)))
    write_whole(tmp_path / "a", lambda path: write_checkpoint(checkpoint_of(1), path))
    assert order == [f"{tmp_path}/a.half-written", "rename", str(tmp_path)]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, ""), True),
        (OSError(errno.EDQUOT, ""), True),
        (OSError(errno.EIO, ""), False),
        (SafetensorError("I/O error: No space left on device (os error 28)"), True),
        (SafetensorError("I/O error: (os error 5)"), False),
        (RunError("(os error 28)"), False),
    ],
)
def test_which_errors_say_that_the_disk_is_full(error, full):
    assert is_full(error) is full

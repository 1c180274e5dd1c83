"""Text: which bytes belong to which split, how windows cover them, and what a file must be."""

import hashlib
import os
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch

from statewise.core.errors import UsageError
from statewise.core.random import SPLITS
from statewise.tasks import Text, from_identity
from statewise.tasks.text import corpus_digest, read_corpus, span

TOTAL = 60_000
HELD_OUT = ("validation", "test")


@pytest.fixture
def corpus(tmp_path):
    """A file in which no two places have the same three bytes, so that a window says where it is from."""
    places = np.arange(TOTAL // 3)
    content = np.stack([places // 250, places % 250, np.full_like(places, 255)], 1).astype(np.uint8)
    path = tmp_path / "corpus.bin"
    path.write_bytes(content.tobytes())
    return path


def places_of(tokens):
    """Where each window (B, T) begins in `corpus`."""
    starts = []
    for window in tokens.tolist():
        mark = window.index(255)
        starts.append(3 * (250 * window[mark + 1] + window[mark + 2]) - mark - 1)
    return torch.tensor(starts)


def windows(task, split, size, count=None, seed=0):
    count = task.num_examples(split, size) if count is None else count
    return task.examples(split, seed=seed, start=0, count=count, size=size)


def test_windows_worked_by_hand(tmp_path):
    (tmp_path / "to be").write_bytes(bytes(range(220)))
    tokens, targets, scored, _ = windows(Text(file=str(tmp_path / "to be")), "validation", 2)
    assert tokens.tolist() == [[195, 196]]
    assert targets.tolist() == [[196, 197]]
    tokens, targets, scored, _ = windows(Text(file=str(tmp_path / "to be")), "test", 2)
    assert tokens.tolist() == [[198 + 2 * i, 199 + 2 * i] for i in range(10)]
    assert targets.tolist() == [[199 + 2 * i, 200 + 2 * i] for i in range(10)]
    assert bool(scored.all())


@pytest.mark.parametrize("total", [1, 9, 100, 12_345, 1_115_394])
def test_splits_are_nine_tenths_and_a_fiftieth_of_them(total):
    (a, b), (c, d), (e, f) = (span(total, split) for split in ("train", "validation", "test"))
    assert a == 0
    assert (b, d, f) == (c, e, total)
    assert e == total * 9 // 10
    assert d - c == e // 50
    assert span(total, "capacity") == span(total, "validation")


@pytest.mark.parametrize("split", HELD_OUT)
@pytest.mark.parametrize("size", [5, 64, 333])
def test_held_out_windows_lie_end_to_end_and_score_every_byte_once(corpus, split, size):
    task = Text(file=str(corpus))
    tokens, targets, *_ = windows(task, split, size)
    begin, end = span(TOTAL, split)
    content = np.frombuffer(corpus.read_bytes(), np.uint8)
    scored = len(tokens) * size
    assert end - begin - 1 - size < scored <= end - begin - 1
    assert (tokens.flatten().numpy() == content[begin : begin + scored]).all()
    assert (targets.flatten().numpy() == content[begin + 1 : begin + 1 + scored]).all()


def test_training_windows_stay_in_the_training_part_and_reach_its_ends(corpus):
    task, size = Text(file=str(corpus)), 1000
    tokens, targets, *_ = windows(task, "train", size, 4000)
    starts = places_of(tokens)
    _, end = span(TOTAL, "train")
    assert int(starts.min()) >= 0
    assert int(starts.max()) + size < end
    assert int(starts.min()) < 100
    assert int(starts.max()) + size > end - 100
    assert torch.equal(tokens[:, 1:], targets[:, :-1])
    content = np.frombuffer(corpus.read_bytes(), np.uint8)
    assert (targets[:, -1].numpy() == content[starts.numpy() + size]).all()


def test_the_last_training_window_ends_one_byte_before_validation(tmp_path):
    (tmp_path / "short").write_bytes(bytes(range(200)))
    task = Text(file=str(tmp_path / "short"))
    begin, end = span(200, "validation")
    size = end - begin - 1
    last = windows(task, "train", size, 5000).targets[:, -1]
    assert int(last.max()) == begin - 1


def test_training_windows_begin_anywhere_with_equal_chance(corpus):
    starts = places_of(windows(Text(file=str(corpus)), "train", 8, 20_000).tokens)
    parts = torch.bincount(starts * 10 // (span(TOTAL, "train")[1] - 8), minlength=10).double()
    assert len(parts) == 10
    assert ((parts - 2000).abs() < 5 * 1800**0.5).all()


def test_held_out_windows_do_not_depend_on_the_seed(corpus):
    task = Text(file=str(corpus))
    for split in HELD_OUT:
        assert torch.equal(windows(task, split, 50).tokens, windows(task, split, 50, seed=1).tokens)
    assert not torch.equal(windows(task, "train", 50, 9).tokens, windows(task, "train", 50, 9, seed=1).tokens)


@pytest.mark.parametrize("split", sorted(set(SPLITS) - {"train"}))
def test_windows_beyond_a_split_are_refused(corpus, split):
    task = Text(file=str(corpus))
    there = task.num_examples(split, 50)
    with pytest.raises(UsageError, match=f"{split} holds {there} windows of size 50; number {there + 1} was asked for"):
        task.examples(split, seed=0, start=there, count=1, size=50)
    assert len(task.examples(split, seed=0, start=there - 1, count=1, size=50).tokens) == 1
    assert task.num_examples("train", 50) is None


def test_bytes_are_valid_and_nothing_else_is():
    assert Text().valid(torch.tensor([0, 255]))
    assert not Text().valid(torch.tensor([0, 256]))
    assert not Text().valid(torch.tensor([-1, 0]))


def test_nothing_solves_text(corpus):
    with pytest.raises(UsageError, match="text: there is no rule"):
        Text(file=str(corpus)).solve(windows(Text(file=str(corpus)), "test", 8))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=f"text: there is no file {tmp_path}/absent"):
        Text(file=f"{tmp_path}/absent").check_size(8)


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(UsageError, match=f"text: {tmp_path}/empty is empty"):
        Text(file=f"{tmp_path}/empty").identity()


def test_a_directory_is_named(tmp_path):
    with pytest.raises(UsageError, match=f"text: {tmp_path} is a directory; name one file"):
        Text(file=str(tmp_path)).check_size(8)


def test_an_unreadable_file_is_named(corpus, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UsageError, match=f"text: {corpus} cannot be read: Permission denied"):
        Text(file=str(corpus)).check_size(8)


@pytest.mark.parametrize(("total", "size", "held", "split"), [(1000, 18, 18, "validation"), (40, 1, 0, "validation")])
def test_a_short_file_is_refused_with_its_numbers(tmp_path, total, size, held, split):
    (tmp_path / "short").write_bytes(bytes(total))
    task = Text(file=f"{tmp_path}/short")
    message = f"short holds {total} bytes, {held} of them for {split}; one window of size {size} needs {size + 1}"
    with pytest.raises(UsageError, match=message):
        task.sample(torch.Generator(), 1, size)


def test_the_largest_size_that_fits_is_accepted(tmp_path):
    (tmp_path / "short").write_bytes(bytes(1000))
    assert windows(Text(file=f"{tmp_path}/short"), "validation", 17).tokens.shape == (1, 17)


def test_the_default_corpus_is_the_standard_library_in_sorted_order():
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    content = b"".join(path.read_bytes() for path in files)
    assert len(content) > 1_000_000
    assert read_corpus(None).content.tobytes() == content
    assert corpus_digest(None) == hashlib.sha256(content).hexdigest()


def test_the_digest_is_of_the_contents(tmp_path):
    for name, content in (("one", b"abc" * 100), ("same", b"abc" * 100), ("other", b"abd" * 100)):
        (tmp_path / name).write_bytes(content)
    one, same, other = (Text(file=str(tmp_path / name)).identity() for name in ("one", "same", "other"))
    assert one["sha256"] == same["sha256"] != other["sha256"]
    assert len(one["sha256"]) == 64


def test_an_edited_file_is_read_again(tmp_path):
    path = tmp_path / "corpus"
    for content in (b"a" * 500, b"b" * 500, b"c" * 400):
        path.write_bytes(content)
        os.utime(path, ns=(0, len(content)))
        task = Text(file=str(path))
        assert task.identity()["sha256"] == hashlib.sha256(content).hexdigest()
        assert int(windows(task, "test", 5).tokens[0, 0]) == content[0]


def test_a_file_is_read_once_while_nobody_writes_to_it(corpus, monkeypatch):
    read, reads = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda path: reads.append(path) or read(path))
    for split in (*HELD_OUT, *HELD_OUT):
        windows(Text(file=str(corpus)), split, 64, 2)
    assert reads == [corpus]


def test_other_contents_than_were_planned_are_refused_in_one_line(corpus):
    planned = Text(file=str(corpus)).identity()
    task = from_identity(planned)
    assert windows(task, "test", 8, 1).tokens.shape == (1, 8)
    corpus.write_bytes(corpus.read_bytes()[::-1])
    found = hashlib.sha256(corpus.read_bytes()).hexdigest()
    message = (
        f"^text: {corpus} is not what was planned: its SHA-256 is {found[:12]}…, planned was "
        f"{planned['sha256'][:12]}…; put the old contents back, or give the same command again [^\n]*$"
    )
    for ask in (
        task.check_size,
        lambda size: windows(task, "test", size),
        lambda size: windows(task, "train", size, 1),
    ):
        with pytest.raises(UsageError, match=message):
            ask(8)


def test_a_planned_text_keeps_its_identity_whatever_became_of_the_file(corpus):
    planned = Text(file=str(corpus)).identity()
    corpus.unlink()
    assert from_identity(planned).identity() == planned


def test_other_contents_draw_other_windows(tmp_path):
    """The key of the draws is the identity, contents included."""
    drawn = []
    for content in (bytes(range(250)), bytes(range(249)) + b"!"):
        (tmp_path / f"{len(drawn)}").write_bytes(content)
        drawn.append(windows(Text(file=str(tmp_path / f"{len(drawn)}")), "train", 3, 20).tokens)
    assert not torch.equal(*drawn)

"""Packed text: no document is seen from another, tokens are kept and checked, splits are those of the bytes."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from statewise.core.errors import UsageError
from statewise.core.random import seeded
from statewise.models import LanguageModel
from statewise.tasks import PackedText, Text, from_identity, text_of
from statewise.tasks import packed as packed_module
from statewise.tasks.packed import ABOUT, STARTS, TOKENS
from statewise.tasks.task import UNSCORED
from statewise.tasks.text import MAPPED_FROM, span
from statewise.testing.tasks import check_task
from statewise.training import Group
from statewise.training.evaluate import read
from statewise.training.loop import backward

WORDS = b"to be or not to be that is the question whether tis nobler in the mind to suffer \n"


def varied(count):
    """Documents of different lengths in which no two windows are alike, and that end with |."""
    numbers = np.random.default_rng(0).integers(0, 10**6, count)
    return b"".join(b"%d of %s|" % (number, WORDS[: 3 + number % 60]) for number in numbers.tolist())


def test_documents_of_one_token_each_teach_nothing_and_are_refused(tmp_path):
    (tmp_path / "marks").write_bytes(b"|" * 2000)
    (tmp_path / "ends").write_bytes(b"ab|" * 600 + b"|" * 400)
    (tmp_path / "some").write_bytes(b"|" * 1000 + b"ab|" * 400)
    marks, ends, some = (
        text_of((str(tmp_path / name),), separator="|", cache=str(tmp_path / "cache"))
        for name in ("marks", "ends", "some")
    )
    with pytest.raises(
        UsageError, match=r"marks: every document of train is a single token, .*: take longer documents"
    ):
        marks.check_size(4)
    with pytest.raises(UsageError, match="ends: every document of validation is a single token"):
        ends.check_size(4)
    some.check_size(4)
    batch = some.examples("train", seed=0, start=0, count=64, size=1)
    bare = batch.map(lambda part: part[~batch.scored.any(1)])
    assert len(bare.tokens) > 0
    with seeded(0):
        model = LanguageModel(vocabulary=256, width=4)
    assert backward(model, bare, Group()) == 0
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_bytes(varied(400))
    return path


@pytest.fixture
def task(corpus, tmp_path):
    return PackedText(file=str(corpus), separator="|", cache=str(tmp_path / "cache"))


@pytest.fixture
def in_pairs(task):
    pytest.importorskip("tokenizers", reason="needs the extra text")
    return replace(task, tokenizer="bpe", vocabulary_size=300)


def batch_of(task, split="train", *, start=0, count=16, size=40, seed=0):
    return task.examples(split, seed=seed, start=start, count=count, size=size)


def test_the_laws_of_a_task(task):
    check_task(task, sizes=(5, 32))


def test_the_laws_of_a_task_in_byte_pairs(in_pairs):
    check_task(in_pairs, sizes=(5, 32))


def test_a_window_of_a_stream_goes_on_where_the_one_before_ended(task):
    batch = batch_of(replace(task, streams=4), count=8)
    follows = batch.scored[:4, -1]
    assert torch.equal(batch.tokens[4:, 0][follows], batch.targets[:4, -1][follows])
    assert bool(follows.any())


def test_resets_stand_where_documents_begin_and_nothing_asks_for_what_comes_first(task, corpus):
    content, batch = corpus.read_bytes(), batch_of(task, "test", count=20)
    begin, _ = span(len(content), "test")
    starts = {0, *(i + 1 for i, byte in enumerate(content) if byte == ord("|"))}
    for row in range(20):
        for t in range(40):
            place = begin + 40 * row + t
            assert bool(batch.reset[row, t]) == (place in starts)
            assert int(batch.tokens[row, t]) == content[place]
            scored = place + 1 not in starts
            assert bool(batch.scored[row, t]) == scored
            assert int(batch.targets[row, t]) == (content[place + 1] if scored else UNSCORED)
    assert bool(batch.reset.any())


@pytest.mark.parametrize("stack", ["mingru", "gru", "attention", "mamba"])
def test_a_document_is_answered_as_if_it_were_alone(task, stack):
    batch = batch_of(task)
    with seeded(0):
        model = LanguageModel(vocabulary=256, width=8, stack=stack, conv=3).eval()
    with torch.no_grad():
        outputs, _ = read(model, batch)
        row, t = map(int, batch.reset[:, 1:].nonzero()[0])
        t += 1
        ends = batch.reset[row, t + 1 :].nonzero()
        end = t + 1 + int(ends[0]) if len(ends) else 40
        alone, _ = model(batch.tokens[row : row + 1, t:end])
    torch.testing.assert_close(outputs[row, t:end], alone[0], atol=1e-5, rtol=1e-5)
    assert end - t > 1


def test_files_are_documents(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(bytes([ord(name)]) * 3000)
    task = PackedText(file=str(tmp_path / "a"), files=(str(tmp_path / "b"),), cache=str(tmp_path / "cache"))
    batch = batch_of(task, count=1000)
    row, t = map(int, batch.reset[:, 1:].nonzero()[0])
    assert set(batch.tokens[row, : t + 1].tolist()) == {ord("a")}
    assert set(batch.tokens[row, t + 1 :].tolist()) == {ord("b")}
    assert not batch.scored[row, t]


def test_splits_of_tokens_are_those_of_bytes(in_pairs, corpus):
    content = corpus.read_bytes()
    for split in ("train", "validation", "test"):
        begin, end = in_pairs.span(split)
        text = in_pairs.tokens().decode(in_pairs._contents()[begin:end].tolist())
        first, last = span(len(content), split)
        place = content.find(text)
        assert first <= place < first + 20
        assert abs(place + len(text) - last) < 20
    assert in_pairs.span("train")[1] == in_pairs.span("validation")[0]
    assert in_pairs.tokens().decode(in_pairs._contents().tolist()) == content


def test_bytes_of_targets_are_counted(in_pairs):
    batch = batch_of(in_pairs, "test", count=3)
    spelled = in_pairs.tokens().decode(batch.targets[batch.scored].tolist())
    assert in_pairs.num_bytes(batch) == len(spelled) > int(batch.scored.sum())


def test_tokens_take_two_bytes_where_that_is_enough(in_pairs, task):
    assert in_pairs._contents().dtype == np.uint16
    assert task._contents().dtype == np.uint8


@pytest.mark.parametrize("content", [bytes(range(256)) * 40, b"\xff" * 9000, b"\xe6\xbc" * 5000, b"x" * 300_000])
def test_bytes_that_are_not_utf8_and_lines_without_end_survive(content, tmp_path):
    pytest.importorskip("tokenizers", reason="needs the extra text")
    (tmp_path / "odd").write_bytes(content)
    task = PackedText(file=str(tmp_path / "odd"), tokenizer="bpe", vocabulary_size=260, cache=str(tmp_path / "cache"))
    assert task.tokens().decode(task._contents().tolist()) == content


def test_tokens_are_made_once_for_all_processes(in_pairs, monkeypatch):
    first = batch_of(in_pairs)
    identity = in_pairs.identity()
    monkeypatch.setattr(packed_module, "write", None)
    again = from_identity(identity)
    assert torch.equal(batch_of(again).tokens, first.tokens)
    assert again.identity() == identity


def test_a_planned_text_needs_its_files_no_more(in_pairs, corpus):
    identity, first = in_pairs.identity(), batch_of(in_pairs)
    corpus.unlink()
    assert torch.equal(batch_of(from_identity(identity)).tokens, first.tokens)


def damage(folder, name, how):
    path = folder / name
    if how == "gone":
        path.unlink()
    elif how == "torn":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", [TOKENS, STARTS, ABOUT])
@pytest.mark.parametrize("how", ["gone", "torn", "altered"])
def test_damaged_tokens_are_made_anew(task, name, how, tmp_path):
    first = batch_of(task)
    (folder,) = (tmp_path / "cache").iterdir()
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    damage(folder, name, how)
    assert torch.equal(batch_of(replace(task)).tokens, first.tokens)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def test_a_process_that_is_killed_leaves_nothing_that_is_used(task, tmp_path, monkeypatch):
    real = packed_module.sync

    def fail(path):
        if path.name == ABOUT:
            raise OSError(28, "No space left on device")
        real(path)

    monkeypatch.setattr(packed_module, "sync", fail)
    with pytest.raises(
        UsageError, match=r"tokens cannot be kept in .*cache: No space left on device; name another folder"
    ):
        batch_of(task)
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.undo()
    left = tmp_path / "cache" / ".0123456789abcdef-999999999"
    left.mkdir()
    batch_of(replace(task))
    (folder,) = (path for path in (tmp_path / "cache").iterdir() if path != left)
    left.rename(left.with_name(f".{folder.name}-999999999"))
    shutil.rmtree(folder)
    batch_of(replace(task))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_another_corpus_than_was_planned_is_refused(task, corpus, tmp_path):
    planned = task.identity()
    corpus.write_bytes(corpus.read_bytes()[::-1])
    with pytest.raises(UsageError, match=f"text: {corpus} is not what was planned: its SHA-256 is"):
        batch_of(from_identity(planned))
    assert not (tmp_path / "cache").exists() or list((tmp_path / "cache").iterdir()) == []


def test_another_tokenizer_than_was_planned_is_refused(in_pairs, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(in_pairs.byte_pairs().text)
    task = replace(in_pairs, tokenizer=str(path), cache=str(tmp_path / "another"))
    planned = task.identity()
    assert torch.equal(batch_of(from_identity(planned)).tokens, batch_of(task).tokens)
    path.write_text(replace(in_pairs, vocabulary_size=290).byte_pairs().text)
    with pytest.raises(UsageError, match=f"tokenizer: {path} is not what was planned"):
        from_identity(planned).vocabulary(8)


def test_streams_follow_each_other_and_begin_again_after_a_reset(task):
    streams, size = 3, 50
    task = replace(task, streams=streams)
    begin, end = task.span("train")
    each = (end - begin) // streams
    windows = (each - 1) // size
    batch = batch_of(task, count=streams * (windows + 1), size=size)
    content = task._contents()
    for i, row in enumerate(batch.tokens):
        place = begin + i % streams * each + (i // streams % windows) * size
        assert row.tolist() == content[place : place + size].tolist()
        if i // streams % windows == 0:
            assert bool(batch.reset[i, 0])
    assert task.num_streams() == streams
    assert torch.equal(batch_of(task, "test").tokens, batch_of(replace(task, streams=0), "test").tokens)


def test_the_bytes_of_one_file_are_mapped_and_not_copied(corpus, tmp_path):
    task = PackedText(file=str(corpus), streams=2, cache=str(tmp_path / "cache"))
    batch_of(task)
    assert not (tmp_path / "cache").exists()
    assert torch.equal(batch_of(task, "test").tokens, batch_of(Text(file=str(corpus)), "test").tokens)


def test_options_choose_the_task(corpus, tmp_path):
    assert text_of((str(corpus),)) == Text(file=str(corpus))
    assert text_of(()) == Text()
    assert isinstance(text_of((str(corpus), str(corpus))), PackedText)
    assert isinstance(text_of((f"{tmp_path}/*.txt",)), PackedText)
    assert isinstance(text_of((str(corpus),), separator="|"), PackedText)
    with pytest.raises(UsageError, match="documents are packed from files, and none is named; name one: --file"):
        text_of((), separator="|").identity()


def test_what_is_too_short_for_its_streams_is_refused(task):
    with pytest.raises(UsageError, match=r"tokens for training; 4000 streams of one window of size 30 need 124000"):
        replace(task, streams=4000).check_size(30)
    with pytest.raises(UsageError, match="the separator is empty"):
        replace(task, separator="")


PROGRAM = """
import sys, torch
torch.set_num_threads(1)
from statewise.tasks import Text
def anonymous():
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
small = Text(file=sys.argv[1])
small.examples("train", seed=0, start=0, count=8, size=256)
before = anonymous()
task = Text(file=sys.argv[2])
task.check_size(256)
peak = 0
for start in range(0, 800, 8):
    for split in ("train", "test"):
        task.examples(split, seed=0, start=start, count=8, size=256)
        peak = max(peak, anonymous())
print(peak - before)
"""


def growth_of(size, tmp_path):
    """Bytes of anonymous memory that a corpus of so many bytes, sparse on the disk, takes."""
    (tmp_path / "small").write_bytes(bytes(100_000))
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "small"), str(tmp_path / "large")],
        capture_output=True, text=True, check=True, timeout=900,
    )  # fmt: skip
    return int(done.stdout)


linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from Linux's /proc/self/status")


@linux
def test_a_large_corpus_is_mapped(tmp_path):
    assert growth_of(4 * MAPPED_FROM, tmp_path) < MAPPED_FROM / 4


@linux
@pytest.mark.slow
def test_a_corpus_of_eight_gigabytes_takes_no_more_than_two_hundred_megabytes(tmp_path):
    grown = growth_of(8 * 2**30, tmp_path)
    print(f"anonymous memory grew by {grown / 2**20:.1f} MiB")
    assert grown < 200 * 2**20


def test_the_user_cache_is_where_the_system_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert packed_module.user_cache() == tmp_path / "statewise"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert packed_module.user_cache() == tmp_path / ".cache" / "statewise"


def test_what_is_kept_says_what_it_is(task, tmp_path):
    batch_of(task)
    (folder,) = (tmp_path / "cache").iterdir()
    about = json.loads((folder / ABOUT).read_text())
    assert about["tokens"] == os.path.getsize(folder / TOKENS)  # noqa: PTH202
    assert about["documents"] == os.path.getsize(folder / STARTS) / 8  # noqa: PTH202

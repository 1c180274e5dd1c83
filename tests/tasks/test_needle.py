"""Needles: where facts are planted, what a file may hold, and that what is asked stands in a document once."""

import re

import numpy as np
import pytest
import torch

from statewise.core.errors import UsageError
from statewise.core.random import SPLITS
from statewise.tasks import Batch, from_identity
from statewise.tasks.needle import FACT, LETTERS, NAMES, QUESTION, Needle, spelled
from statewise.tasks.text import span
from statewise.testing.tasks import check_task

TOTAL = 60_000
COUNT = 400

LINE = re.compile(rb"\nThe mark of ([a-z]{3}) is [A-Z]\.\n")


@pytest.fixture
def corpus(tmp_path):
    """Bytes of every kind, none of them UTF-8 for long, in which no two windows of 12 are alike."""
    path = tmp_path / "corpus.bin"
    path.write_bytes(np.random.default_rng(0).integers(0, 256, TOTAL, dtype=np.uint8).tobytes())
    return path


def rows(task, size, split="train", count=COUNT):
    batch = task.examples(split, seed=0, start=0, count=count, size=size)
    return batch, [bytes(row) for row in batch.tokens.tolist()]


def batch_of(text):
    tokens = torch.tensor([list(text)])
    return Batch(tokens, torch.full_like(tokens, -100), torch.zeros_like(tokens, dtype=torch.bool))


def test_every_law_holds_for_bytes_of_every_kind(corpus):
    check_task(Needle(file=str(corpus)), sizes=(31, 64, 200))


def test_a_document_worked_by_hand():
    text = b"once\nThe mark of qev is K.\n upon\nThe mark of bam is C.\n a time\nThe mark of bam is "
    task = Needle(facts=2)
    assert task.solve(batch_of(text))[0, -1] == ord("C")
    document = len(text) - QUESTION
    assert task.depth(batch_of(text)).tolist() == [32 / (document - FACT)]
    assert task.valid(torch.tensor(list(text)))
    assert task.length(document) == len(text)
    assert task.cut(document) == document


@pytest.mark.parametrize(
    "text",
    [
        b"once upon a time, and ever after that, and again and again\nThe mark of qev is ",
        b"once\nThe mark of qev is K.\n\nThe mark of qev is C.\n and ever\nThe mark of qev is ",
        b"once\nThe mark of qev is k.\n upon a time, and ever after\nThe mark of qev is ",
        b"once\nThe mark of qev is K.\n upon a time, and ever after\nThe mark of qe1 is ",
        b"once\nThe mark of bam is C.\n and ever\nThe mark of qev is less\nThe mark of qev is ",
        b"",
    ],
)
def test_what_is_no_document_is_not_valid(text):
    assert not Needle(facts=1).valid(torch.tensor(list(text)))


def test_a_document_with_too_few_facts_is_not_valid():
    text = torch.tensor(list(b"a" * 80 + b"\nThe mark of qev is K.\n\nThe mark of qev is "))
    assert Needle(facts=1).valid(text)
    assert not Needle(facts=2).valid(text)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("size", "facts"), [(31, 1), (62, 2), (91, 2), (92, 3), (300, 3)])
def test_a_document_is_a_window_of_its_split_with_facts_in_it(corpus, split, size, facts):
    begin, end = span(TOTAL, split)
    part = corpus.read_bytes()[begin:end]
    for row in rows(Needle(file=str(corpus)), size, split)[1]:
        document, question = row[:size], row[size:]
        names = LINE.findall(document)
        assert re.fullmatch(rb"\nThe mark of (...) is ", question)[1] in names
        assert len(set(names)) == len(names) == facts
        assert LINE.sub(b"", document) in part
        assert row.count(question) == 2


def test_answers_and_depths_are_uniform(corpus):
    task, many = Needle(file=str(corpus)), 4000
    batch, _ = rows(task, 512, count=many)
    letters = torch.bincount(batch.targets[:, -1] - ord("A"), minlength=LETTERS)
    assert len(letters) == LETTERS
    assert (letters / many - 1 / LETTERS).abs().max() < 5 * (1 / LETTERS / many) ** 0.5
    fifths = torch.histogram(task.depth(batch), bins=5, range=(0, 1)).hist
    assert fifths.sum() == many
    assert (fifths / many - 0.2).abs().max() < 5 * (0.2 / many) ** 0.5


def test_every_fact_and_not_the_first_alone_is_asked_for(corpus):
    asked = [LINE.findall(row).index(row[-7:-4]) for row in rows(Needle(file=str(corpus)), 200)[1]]
    assert min(asked.count(place) for place in range(3)) > COUNT / 5


def every_name_but(*left):
    return [bytes(name) for name in spelled(np.arange(NAMES)) if bytes(name).decode() not in left]


def test_names_that_the_file_speaks_of_are_not_drawn(tmp_path):
    (tmp_path / "marks").write_bytes(
        b"".join(b"\nThe mark of " + name + b" is Z.\n" for name in every_name_but("qev", "bam"))
    )
    task = Needle(file=str(tmp_path / "marks"), facts=2)
    batch, found = rows(task, 300, "test")
    assert {row[-7:-4] for row in found} == {b"qev", b"bam"}
    assert torch.equal(task.solve(batch), batch.targets)
    assert all(task.valid(row) for row in batch.tokens)
    with pytest.raises(UsageError, match=r"all but 2 of 17,576 names, and 3 are planted; take fewer facts or another"):
        rows(Needle(file=str(tmp_path / "marks"), facts=3), 300)


def test_the_shortest_file_that_is_long_enough_is_named(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(b"a" * 1000)
    task = Needle(file=str(path))
    with pytest.raises(UsageError) as error:
        task.check_size(256)
    assert str(error.value) == (
        f"needle: {path} holds 1000 bytes, 18 of them for validation; documents of size 256 need 187 there: take a "
        "file of at least 10389 bytes or a smaller size"
    )
    path.write_bytes(b"a" * 10388)
    with pytest.raises(UsageError, match="10388 bytes, 186 of them"):
        task.check_size(256)
    path.write_bytes(b"a" * 10389)
    for split in SPLITS:
        assert task.solve(rows(task, 256, split)[0])[:, -1].min() >= ord("A")


def test_what_cannot_be_is_said(tmp_path):
    (tmp_path / "empty").touch()
    for task, size, message in (
        (Needle(), 30, "needle: size is 30; it must be at least 31, for one fact and a quarter of text"),
        (Needle(file=str(tmp_path / "none")), 256, f"text: there is no file {tmp_path / 'none'}"),
        (Needle(file=str(tmp_path)), 256, f"text: {tmp_path} is a directory; name one file"),
        (Needle(file=str(tmp_path / "empty")), 256, f"text: {tmp_path / 'empty'} is empty"),
    ):
        with pytest.raises(UsageError) as error:
            task.check_size(size)
        assert str(error.value) == message
    with pytest.raises(UsageError, match="needle: facts is 0; it must be at least 1"):
        Needle(facts=0)


def test_its_identity_gives_it_back_as_long_as_the_file_is_the_same(corpus):
    identity = Needle(file=str(corpus), facts=5).identity()
    task = from_identity(identity)
    assert type(task) is Needle
    assert task.facts == 5
    assert task.identity() == identity
    corpus.write_bytes(b"something else " * 1000)
    with pytest.raises(UsageError, match="is not what was planned"):
        task.check_size(64)

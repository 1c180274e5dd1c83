"""The task of parallel text: which pairs a batch has, how they are padded, and what is refused."""

import numpy as np
import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks import UNSCORED, Translation, from_identity
from statewise.tasks.translation import BEGIN, BLOCK, END, LEAST_WINDOW, PAD, WINDOW, drawn

pytest.importorskip("tokenizers")


def corpus(folder, count=200, name="train"):
    """Pairs of 1 to 20 words, all different, whose translation is the source backwards."""
    lines = [" ".join(f"w{(i * 7 + j) % 97}" for j in range(1 + i % 20)) + f" {i}" for i in range(count)]
    (folder / f"{name}.a").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.b").write_text("\n".join(" ".join(line.split()[::-1]) for line in lines) + "\n")
    return Translation(source=str(folder / f"{name}.a"), target=str(folder / f"{name}.b"), pieces=300)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("corpus"))


def test_a_batch_has_both_sides_from_the_left_and_scores_every_piece_of_the_target(task):
    batch = task.examples("test", seed=0, start=0, count=20, size=64)
    subwords, seen = task.subwords(), set()
    for tokens, targets, scored in zip(batch.tokens, batch.targets, batch.scored, strict=True):
        source = tokens[tokens[:, 0] != PAD, 0].tolist()
        written = targets[scored].tolist()
        assert source[-1] == written[-1] == END
        assert tokens[: len(written), 1].tolist() == [BEGIN, *written[:-1]]
        assert bool((tokens[len(source) :, 0] == PAD).all() and (targets[len(written) :] == UNSCORED).all())
        text = subwords.decode(source)
        assert subwords.decode(written).split() == text.split()[::-1]
        seen.add(text)
    assert seen == set(task.lines("test").source)


def test_parts_that_are_not_named_are_cut_off_the_end(task):
    assert [len(task.lines(split).source) for split in ("train", "validation", "test")] == [177, 3, 20]


def test_named_parts_are_read_and_leave_the_training_file_whole(task, tmp_path):
    other = corpus(tmp_path, 30, "other")
    named = Translation(source=task.source, target=task.target, test_source=other.source, test_target=other.target)
    assert [len(named.lines(split).source) for split in ("train", "validation", "test")] == [196, 4, 30]


def test_training_pairs_of_a_block_are_about_equally_long_and_all_come_up(tmp_path):
    task = corpus(tmp_path, LEAST_WINDOW * 8)
    usable = len(task.lines("train").source)
    batches = [task.examples("train", seed=0, start=BLOCK * i, count=BLOCK, size=64) for i in range(200)]
    spread = [(batch.tokens[..., 0] != PAD).sum(1) for batch in batches]
    share = LEAST_WINDOW / usable
    assert sum(int(each.max() - each.min()) <= 8 for each in spread) >= (1 - 2 * share) * len(spread)
    seen = {tuple(row[row != PAD].tolist()) for batch in batches for row in batch.tokens[..., 0]}
    assert len(seen) > 0.9 * usable


def test_a_block_of_a_small_corpus_is_not_the_same_few_pairs(task):
    batch = task.examples("train", seed=0, start=0, count=BLOCK, size=64)
    expected = 177 * (1 - (1 - 1 / 177) ** BLOCK)
    assert len({tuple(row.tolist()) for row in batch.tokens[..., 0]}) > 0.8 * expected


def test_a_window_is_a_share_of_a_large_corpus():
    words = np.arange(BLOCK * 50, dtype=np.uint64) * np.uint64(2**57 + 12345)
    places = np.array(drawn(words, 0, 100_000)).reshape(50, BLOCK)
    spread = np.sort((places - places[:, :1] + 50_000) % 100_000)
    assert int((spread[:, -1] - spread[:, 0]).max()) < WINDOW * 100_000


def test_examples_do_not_depend_on_the_batch_and_seeds_differ(task):
    many = task.examples("train", seed=0, start=3, count=9, size=64)
    one = task.examples("train", seed=0, start=7, count=1, size=64)
    length = one.tokens.shape[1]
    assert torch.equal(many.tokens[4:5, :length], one.tokens)
    assert bool((many.tokens[4, length:] == PAD).all())
    others = task.examples("train", seed=1, start=0, count=64, size=64)
    assert not torch.equal(others.targets, task.examples("train", seed=0, start=0, count=64, size=64).targets)


def test_pairs_that_are_too_long_or_have_an_empty_side_are_left_out_of_training_alone(tmp_path):
    (tmp_path / "a.tsv").write_text("a\tb\n" * 50 + "\tb\n" * 20 + "a\t" + "b " * 40 + "\n" + "\tb\n" * 29)
    task = Translation(source=str(tmp_path / "a.tsv"), pieces=300)
    batch = task.examples("train", seed=0, start=0, count=200, size=8)
    assert batch.tokens.shape[1] == 2
    assert task.num_examples("test", 8) == 10
    assert task.examples("test", seed=0, start=0, count=10, size=8).tokens[:, 0, 0].tolist() == [END] * 10


def test_the_identity_names_the_contents_and_other_contents_are_refused(tmp_path):
    task = corpus(tmp_path)
    identity = task.identity()
    again = from_identity(identity)
    assert again.lines("test").source == task.lines("test").source
    assert again.identity() == identity
    with (tmp_path / "train.b").open("a") as file:
        file.write("more\n")
    with (tmp_path / "train.a").open("a") as file:
        file.write("more\n")
    with pytest.raises(UsageError, match="is not what was planned: SHA-256"):
        from_identity(identity).lines("train")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_smoothing": 1.0}, r"label_smoothing is 1\.0; it must be in \[0, 1\)"),
        ({"test_target": "x"}, "test_target is named and test_source is not; name both"),
    ],
)
def test_what_cannot_be_asked_says_why(settings, message):
    with pytest.raises(UsageError, match=message):
        Translation(source="a", **settings)


def test_a_size_that_leaves_nothing_and_too_few_pairs_are_refused(task, tmp_path):
    with pytest.raises(UsageError, match="no training pair has at most 2 pieces on either side"):
        task.check_size(2)
    (tmp_path / "one.tsv").write_text("a\tb\n")
    with pytest.raises(UsageError, match="1 pairs are too few to cut off"):
        Translation(source=str(tmp_path / "one.tsv"), pieces=300).check_size(8)


def test_numbers_beyond_the_end_are_refused(task):
    with pytest.raises(UsageError, match="test has 20 pairs; number 21 was asked for"):
        task.examples("test", seed=0, start=20, count=1, size=64)

"""Parallel files: what pairs, and what is said of files that do not."""

import gzip

import pytest

from statewise.core.errors import UsageError
from statewise.tasks.parallel import read_pairs


def write(path, content):
    path.write_bytes(content)
    return str(path)


def test_lines_pair_whatever_ends_the_last_and_whatever_bytes_they_hold(tmp_path):
    source = write(tmp_path / "a", b"one\r\n\ntwo\x85\xe2\x80\xa8three\n")
    target = write(tmp_path / "b.gz", gzip.compress(b"eins\n\xff\xfe\nzwei"))
    pairs = read_pairs(source, target)
    assert pairs.source == (b"one", b"", b"two\x85\xe2\x80\xa8three")
    assert pairs.target == (b"eins", b"\xff\xfe", b"zwei")


def test_one_file_with_tabs_is_the_same_as_two(tmp_path):
    pairs = read_pairs(write(tmp_path / "both.tsv", b"a dog\tein Hund\n\tleer\n"), None)
    assert (pairs.source, pairs.target) == ((b"a dog", b""), (b"ein Hund", b"leer"))


def test_what_was_written_since_is_read_again(tmp_path):
    path = write(tmp_path / "a.tsv", b"a\tb\n")
    before = read_pairs(path, None)
    write(tmp_path / "a.tsv", b"a\tb\nc\td\n")
    assert len(read_pairs(path, None).source) == 2
    assert read_pairs(path, None).sha256 != before.sha256


@pytest.mark.parametrize(("first", "second", "longer"), [(3, 2, "a"), (2, 3, "b")])
def test_files_of_unequal_length_name_both_counts_and_the_first_line_without_a_partner(tmp_path, first, second, longer):
    lines = [b"dog", b"cat", b"gr\xfcn"]
    source, target = (
        write(tmp_path / name, b"\n".join(lines[:count])) for name, count in (("a", first), ("b", second))
    )
    with pytest.raises(UsageError) as error:
        read_pairs(source, target)
    assert str(error.value) == (
        f"translation: {source} has {first} lines and {target} has {second}; each must have a partner. The first "
        f"without one is line 3 of {tmp_path / longer}: 'gr\\\\xfcn'"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\nno tab\n", "line 2 of .* has 0 tabs; it must have one, between source and target: 'no tab'. For two"),
        (b"a\tb\tc\n", "line 1 of .* has 2 tabs"),
        (b"", "is empty; it must have a sentence in each line"),
        (b" \n\n", "is empty"),
        (gzip.compress(b"a\tb\n", mtime=0)[:-6], "cannot be read: Compressed file ended"),
        (b"\x1f\x8bnot gzip", "cannot be read"),
    ],
)
def test_files_that_hold_no_pairs_say_why_in_one_line(tmp_path, content, message):
    with pytest.raises(UsageError, match=message) as error:
        read_pairs(write(tmp_path / "a", content), None)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_and_a_folder(tmp_path):
    with pytest.raises(UsageError, match="absent cannot be read: No such file"):
        read_pairs(str(tmp_path / "absent"), None)
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_pairs(str(tmp_path), None)

"""Documents of files, patterns and tables: each whole, in order, and told from the next."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.core.errors import UsageError
from statewise.tasks import documents
from statewise.tasks.documents import Piece, digest_of, parts_of, pieces_of, split, whole_lines

ROWS = ["first row", "", "zweite Größe", None, "third\nof two lines"]


def joined(pieces):
    """The documents of some pieces."""
    found = []
    for piece in pieces:
        if piece.begins:
            found.append(b"")
        found[-1] += piece.content
    return found


def read(*patterns, column="text", separator=None):
    return joined(pieces_of(parts_of([str(pattern) for pattern in patterns]), column=column, separator=separator))


@given(
    content=st.text(alphabet="a|\n", max_size=60).map(str.encode),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    separator=st.sampled_from([b"|", b"||", b"\n", b"|\n|"]),
)
@settings(max_examples=200, deadline=None)
def test_documents_end_with_separators_wherever_pieces_end(content, cuts, separator):
    ends = sorted({0, *(min(cut, len(content)) for cut in cuts), len(content)})
    pieces = [content[a:b] for a, b in pairwise(ends)]
    whole = [part + separator for part in content.split(separator)]
    whole[-1] = whole[-1].removesuffix(separator)
    assert joined(split(iter(pieces), separator)) == [part for part in whole if part]


@given(st.lists(st.tuples(st.text(alphabet="aü\n漢", max_size=30), st.booleans()), max_size=8))
@settings(max_examples=150, deadline=None)
def test_whole_lines_change_no_document(parts):
    pieces = [Piece(text.encode(), begins or i == 0) for i, (text, begins) in enumerate(parts) if text]
    pieces = [Piece(piece.content, piece.begins or i == 0) for i, piece in enumerate(pieces)]
    kept, documents.PIECE = documents.PIECE, 8
    try:
        found = list(whole_lines(iter(pieces)))
    finally:
        documents.PIECE = kept
    assert joined(found) == joined(pieces)
    for piece in found:
        piece.content.decode()


def test_files_and_patterns_come_in_order(tmp_path):
    for name in ("b.txt", "a.txt", "c.md"):
        (tmp_path / name).write_text(name)
    (tmp_path / "x[1].txt").write_text("bracket")
    assert read(tmp_path / "*.md", tmp_path / "[ab].txt") == [b"c.md", b"a.txt", b"b.txt"]
    assert read(tmp_path / "x[1].txt") == [b"bracket"]


def test_a_separator_cuts_every_file(tmp_path):
    (tmp_path / "a").write_bytes(b"1||2")
    (tmp_path / "b").write_bytes(b"3")
    assert read(tmp_path / "a", tmp_path / "b", separator=b"||") == [b"1||", b"2", b"3"]


def test_what_datasets_saved_is_read_row_by_row(tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs the extra text")
    data = datasets.Dataset.from_dict({"text": ROWS, "other": ["x"] * len(ROWS)})
    data.save_to_disk(str(tmp_path / "saved"), num_shards=2)
    wanted = [row.encode() for row in datasets.load_from_disk(str(tmp_path / "saved"))["text"] if row]
    assert read(tmp_path / "saved") == wanted == [row.encode() for row in ROWS if row]
    assert read(tmp_path / "saved", column="other") == [b"x"] * len(ROWS)
    data.select([2, 0]).save_to_disk(str(tmp_path / "some"))
    assert read(tmp_path / "some") == ["zweite Größe".encode(), b"first row"]
    datasets.DatasetDict({"train": data}).save_to_disk(str(tmp_path / "splits"))
    with pytest.raises(UsageError, match=f"splits holds the splits train; name one: {tmp_path}/splits/train"):
        parts_of([str(tmp_path / "splits")])
    with pytest.raises(UsageError, match=r"has no column 'body'; it has text, other: name one with --column"):
        read(tmp_path / "saved", column="body")


def test_parquet_files_are_read_in_order(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="needs the extra text")
    parquet = pytest.importorskip("pyarrow.parquet")
    for name, rows in (("1", ["c"]), ("0", ["a", "b"])):
        parquet.write_table(arrow.table({"text": rows, "n": [1] * len(rows)}), tmp_path / f"{name}.parquet")
    assert read(tmp_path) == [b"a", b"b", b"c"]
    with pytest.raises(UsageError, match=r"column 'n' of .*0\.parquet holds int64; it must hold strings or bytes"):
        read(tmp_path, column="n")
    (tmp_path / "2.parquet").write_bytes(b"torn")
    with pytest.raises(UsageError, match=r"2\.parquet is no table that can be read"):
        read(tmp_path)


def test_what_is_not_there_is_named(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    for pattern, message in (
        ("absent", f"there is no file {tmp_path}/absent"),
        ("*.txt", rf"no file matches {tmp_path}/\*.txt"),
        ("empty", f"{tmp_path}/empty is empty"),
        ("folder", r"folder is a directory; name one file, a pattern such as .*/folder/\*.txt, or a folder that"),
    ):
        with pytest.raises(UsageError, match=message):
            parts_of([f"{tmp_path}/{pattern}"])


def test_the_digest_is_of_contents_in_order(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    one, other = tmp_path / "a", tmp_path / "b"
    assert len({digest_of([one]), digest_of([other]), digest_of([one, other]), digest_of([other, one])}) == 4

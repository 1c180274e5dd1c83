"""Byte-level BPE: every string of bytes comes back, and marks are in no text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.core.errors import UsageError
from statewise.tasks.subwords import BEGIN, END, LEAST, MARKS, PAD, Subwords

pytest.importorskip("tokenizers")

LINES = ["Ein Hund läuft über die Wiese.", "a dog runs across the grass", "zwei Hunde, 12 Katzen!"]
TRAINED = Subwords.trained([line.encode() for line in LINES] * 3, vocabulary=400)
PIECES = TRAINED.pairs.spelled


@given(st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_bytes_come_back(line):
    (ids,) = TRAINED.encode([line])
    assert TRAINED.decode(ids) == line
    assert all(MARKS <= number < len(TRAINED) for number in ids)


@pytest.mark.parametrize("text", ["<pad>", "a <end> b", "<begin><begin>"])
def test_a_text_that_spells_a_mark_has_none(text):
    (ids,) = TRAINED.encode([text.encode()])
    assert min(ids) >= MARKS
    assert TRAINED.decode(ids) == text.encode()


def test_marks_say_nothing():
    assert TRAINED.decode([PAD, BEGIN, END]) == b""


def test_pieces_do_not_reach_beyond_a_word_and_the_same_lines_give_the_same():
    assert b" Hund" in PIECES
    # Letters beyond ASCII are letters, and a sign is not joined to a word.
    assert any("äuft".encode() in piece for piece in PIECES)
    assert not any(b"." in piece and len(piece) > 1 for piece in PIECES)
    assert Subwords.trained([line.encode() for line in LINES] * 3, vocabulary=400).pairs.spelled == PIECES


def test_a_vocabulary_comes_back_from_its_file(tmp_path):
    TRAINED.save(tmp_path / "tokenizer.json")
    again = Subwords.load(tmp_path / "tokenizer.json")
    assert again.pairs.spelled == PIECES
    assert again.encode([b"ein Hund \xff <end>"]) == TRAINED.encode([b"ein Hund \xff <end>"])


def test_a_file_that_is_another_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UsageError, match="is no tokenizer"):
        Subwords.load(tmp_path / "tokenizer.json")
    with pytest.raises(UsageError, match=r"absent\.json cannot be read: No such file"):
        Subwords.load(tmp_path / "absent.json")


def test_a_vocabulary_has_room_for_every_byte():
    with pytest.raises(UsageError, match=f"vocabulary is 100; it must be at least {LEAST}"):
        Subwords.trained([b"a"], vocabulary=100)

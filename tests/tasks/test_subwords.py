"""Byte-level BPE: every string of bytes comes back, and marks are in no text."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.core.errors import RunError, UsageError
from statewise.tasks.subwords import LEAST, SPECIAL, Subwords

pytest.importorskip("tokenizers")

LINES = ["Ein Hund läuft über die Wiese.", "a dog runs across the grass", "zwei Hunde, 12 Katzen!"]
TRAINED = Subwords.trained([line.encode() for line in LINES] * 3, vocabulary=300)


@given(st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_bytes_come_back(line):
    (ids,) = TRAINED.encode([line])
    assert TRAINED.decode(ids) == line
    assert all(len(SPECIAL) <= number < len(TRAINED) for number in ids)


@pytest.mark.parametrize("text", ["<pad>", "a <end> b", "<begin><begin>"])
def test_a_text_that_spells_a_mark_has_none(text):
    (ids,) = TRAINED.encode([text.encode()])
    assert min(ids) >= len(SPECIAL)
    assert TRAINED.decode(ids) == text.encode()


def test_marks_say_nothing():
    assert TRAINED.decode([0, 1, 2]) == b""


def test_pieces_do_not_reach_beyond_a_word_and_the_same_lines_give_the_same():
    assert b" Hund" in TRAINED.pieces
    # Letters beyond ASCII are letters, and a sign is not joined to a word.
    assert any("äuft".encode() in piece for piece in TRAINED.pieces)
    assert not any(b"." in piece and len(piece) > 1 for piece in TRAINED.pieces)
    assert Subwords.trained([line.encode() for line in LINES] * 3, vocabulary=300).pieces == TRAINED.pieces


def test_a_vocabulary_comes_back_from_its_file(tmp_path):
    TRAINED.save(tmp_path / "tokenizer.json")
    again = Subwords.load(tmp_path / "tokenizer.json")
    assert again.pieces == TRAINED.pieces
    assert again.encode([b"ein Hund \xff <end>"]) == TRAINED.encode([b"ein Hund \xff <end>"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no tokenizer"),
        (json.dumps({"version": "1.0"}), "is no tokenizer"),
        ('{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,'
         '"post_processor":null,"decoder":null,"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}',
         "is a tokenizer of another kind: its first ids are not <pad>, <begin>, <end>"),
    ],
)  # fmt: skip
def test_a_file_that_is_another_is_refused(tmp_path, content, message):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(RunError, match=message):
        Subwords.load(tmp_path / "tokenizer.json")
    with pytest.raises(RunError, match=r"absent\.json cannot be read: No such file"):
        Subwords.load(tmp_path / "absent.json")


def test_a_vocabulary_has_room_for_every_byte():
    with pytest.raises(UsageError, match=f"vocabulary is 100; it must be at least {LEAST}"):
        Subwords.trained([b"a"], vocabulary=100)

"""Every byte survives a tokenizer, whatever the bytes are; a tokenizer that loses some is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.core.errors import UsageError
from statewise.tasks.tokens import ALPHABET, BytePairs, ByteTokens, byte_level_alphabet

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra text")

TEXT = b"to be or not to be, that is the question. " * 40 + "Größe — 漢字\n".encode() * 20


@pytest.fixture(scope="module")
def pairs():
    return BytePairs.train([TEXT], vocabulary=300)


def test_the_alphabet_is_that_of_the_library():
    assert sorted(byte_level_alphabet()) == sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())


@given(content=st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode()))
@settings(max_examples=150, deadline=None)
def test_bytes_survive(pairs, content):
    for tokens in (pairs, ByteTokens()):
        (ids,) = tokens.encode([content])
        assert tokens.decode(ids.tolist()) == content
        assert all(0 <= number < tokens.vocabulary for number in ids.tolist())


def test_several_texts_are_encoded_as_each_alone(pairs):
    texts = [b"to be", b"", b"\xff\xfe", b"or \xe2\x82 not", TEXT]
    together = pairs.encode(texts)
    assert [ids.tolist() for ids in together] == [pairs.encode([text])[0].tolist() for text in texts]
    assert len(together[-1]) < len(TEXT) / 2, "pairs were learned"


def test_valid_text_gets_the_ids_of_the_library(pairs):
    oracle = tokenizers.Tokenizer.from_str(pairs.text)
    text = "to be, or the question: Größe?"
    assert pairs.encode([text.encode()])[0].tolist() == oracle.encode(text).ids
    assert oracle.decode(oracle.encode(text).ids) == text


def test_training_is_a_function_of_the_text():
    first, again = (BytePairs.train([TEXT], vocabulary=300) for _ in range(2))
    assert first.text == again.text
    assert first.sha256 == again.sha256 != BytePairs.train([TEXT[:500]], vocabulary=300).sha256


def test_a_saved_tokenizer_is_the_same(pairs, tmp_path):
    (tmp_path / "tokenizer.json").write_text(pairs.text)
    loaded = BytePairs.from_file(tmp_path / "tokenizer.json")
    assert loaded.sha256 == pairs.sha256
    assert list(loaded.spelled) == list(pairs.spelled)


def test_added_tokens_survive(tmp_path, pairs):
    tokenizer = tokenizers.Tokenizer.from_str(pairs.text)
    tokenizer.add_special_tokens(["<|end|>"])
    with_end = BytePairs(tokenizer.to_str(), where="it")
    (ids,) = with_end.encode([b"to be<|end|>or not"])
    assert with_end.decode(ids.tolist()) == b"to be<|end|>or not"
    assert with_end.vocabulary == pairs.vocabulary + 1


def test_a_tokenizer_that_alters_text_is_refused_with_the_place(pairs):
    tokenizer = tokenizers.Tokenizer.from_str(pairs.text)
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    with pytest.raises(
        UsageError, match=r"it does not give back what it reads: b'Be.*' becomes b'be.*'; take one without"
    ):
        BytePairs(tokenizer.to_str(), where="it").encode([b"to Be"])


def test_a_tokenizer_that_is_not_byte_level_is_refused():
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    with pytest.raises(UsageError, match="words has no token for 255 of 256 bytes, 0x00 among them"):
        BytePairs(words.to_str(), where="words")
    assert "a" in ALPHABET


@pytest.mark.parametrize(("content", "message"), [(b"{", "is no tokenizer.json"), (b"\xff", "it is not UTF-8")])
def test_a_file_that_is_no_tokenizer_is_refused_in_one_line(content, message, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UsageError, match=message) as refused:
        BytePairs.from_file(tmp_path / "tokenizer.json")
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_vocabulary_without_room_are_refused(tmp_path):
    with pytest.raises(UsageError, match="absent cannot be read: No such file"):
        BytePairs.from_file(tmp_path / "absent")
    with pytest.raises(UsageError, match="vocabulary is 256; it must be above 256"):
        BytePairs.train([TEXT], vocabulary=256)

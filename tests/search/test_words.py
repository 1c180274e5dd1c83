"""Words: ids to text and back, what can stand in a pattern, and tables that are no tables of words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statewise.core.errors import SearchError, UsageError
from statewise.search import Words, bytes_as_words
from statewise.search.words import shortened

NAMES = st.lists(st.text("ab1-;~", min_size=1, max_size=3), min_size=1, max_size=9, unique=True).map(tuple)


@given(NAMES, st.data())
def test_texts_are_read_back_with_their_last_separator_or_without(names, data):
    ids = data.draw(st.lists(st.integers(0, len(names) - 1), max_size=20))
    words = Words(names)
    text = words.text(ids)
    assert text == "".join(f"{names[each]} " for each in ids)
    assert words.ids(text) == words.ids(text.removesuffix(" ")) == ids


@given(st.binary(max_size=40))
def test_bytes_are_read_back(content):
    words = bytes_as_words(["<search>", "<end>"])
    assert words.text(list(content)) == content.decode("latin-1")
    assert words.ids(words.text([*content, 256, 257])) == [*content, 256, 257]


def test_bytes_that_spell_a_control_stay_bytes():
    words = bytes_as_words(["<search>", "<end>"])
    spelt = list(b"<search>")
    assert words.ids(words.text(spelt)) == spelt
    assert words.text([256]) not in words.text(spelt)
    assert len(set(words.context)) == 258


def test_patterns_of_bytes_are_what_they_spell_and_hold_no_controls():
    words = bytes_as_words(["<search>"])
    assert words.pattern(list(rb"a(\w+)")) == r"a(\w+)"
    with pytest.raises(SearchError, match=r"^'\\ue000' cannot stand in a pattern$"):
        words.pattern([97, 256])


def test_pieces_stand_as_they_are_and_default_to_words_with_their_separators():
    assert Words(("a", "b"), (r"\b", "b ")).pattern([0, 1, 0]) == r"\bb \b"
    assert Words(("a", "b")).pattern([0, 1]) == "a b "
    assert Words(("a", "b"), separator="").pattern([0, 1]) == "ab"
    assert Words(("a", "b")).pattern([]) == ""


@pytest.mark.parametrize("separator", [" ", "", "\n"])
def test_nothing_is_the_text_of_nothing(separator):
    words = Words(("a",), separator=separator)
    assert words.text([]) == ""
    assert words.ids("") == []


@pytest.mark.parametrize(
    ("text", "stray"), [("a c ", "c"), ("ab ", "ab"), (" ", ""), ("a  b ", ""), (" a", ""), ("a\n", "a\n")]
)
def test_what_is_no_text_of_words_is_named(text, stray):
    with pytest.raises(SearchError) as caught:
        Words(("a", "b")).ids(text)
    assert str(caught.value) == f"what was found, {text!r}, holds {stray!r}, which is no word"


@pytest.mark.parametrize("ids", [[2], [0, 2, 1], [0, 1, 5, 3], [-1], [0, -3]])
@pytest.mark.parametrize("method", ["text", "pattern"])
def test_ids_without_a_word_are_named(ids, method):
    stray = next(each for each in ids if each not in (0, 1))
    with pytest.raises(SearchError, match=f"^the id {stray} has no word; there are 2$"):
        getattr(Words(("a", "b")), method)(ids)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"context": ("a", "b", "a")}, "words: 'a' is the word of two ids; every id needs a word of its own"),
        ({"context": ("a", "")}, "words: '' cannot be a word; it must not be empty and be without ' '"),
        ({"context": ("a", "b c")}, "words: 'b c' cannot be a word; it must not be empty and be without ' '"),
        (
            {"context": ("a", ";"), "separator": ";"},
            "words: ';' cannot be a word; it must not be empty and be without ';'",
        ),
        (
            {"context": ("a", "bc"), "separator": ""},
            "words: 'bc' cannot be a word; it must not be empty and be of one character, as there is no separator",
        ),
        (
            {"context": ("a", "b"), "pieces": ("a",)},
            "words: there are 2 words and 1 pieces of patterns; each id has one",
        ),
    ],
)
def test_tables_that_are_none_are_refused(settings, said):
    with pytest.raises(UsageError) as caught:
        Words(**settings)
    assert str(caught.value) == said


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("abc", "abc"), ("abcd", "abc…")])
def test_messages_show_the_beginning_of_long_texts(text, expected):
    assert shortened(text, most=3) == expected

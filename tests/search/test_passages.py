"""PassageTool: which passage wins, against the formula by hand."""

import math
import re
import sys

import pytest

from statewise.core.errors import MissingExtraError, SearchError, UsageError
from statewise.search import PassageTool, Tool, Words, bytes_as_words

WORDS = bytes_as_words(["<search>", "<end>"])
SEARCH, END = 256, 257


def ask(query, text, **settings):
    found = PassageTool(WORDS, **settings)(list(query.encode()), list(text.encode()))
    return bytes(found).decode()


def score(query, passage, passages):
    """BM25 with Lucene's inverse document frequency, k1 = 1.5, b = 0.75, by the formula."""
    split = [re.findall(r"\w+", each.lower()) for each in passages]
    words, mean = re.findall(r"\w+", passage.lower()), sum(map(len, split)) / len(split)
    total = 0.0
    for word in set(re.findall(r"\w+", query.lower())):
        having = sum(word in each for each in split)
        rarity = math.log(1 + (len(split) - having + 0.5) / (having + 0.5))
        frequency = words.count(word)
        total += rarity * frequency / (frequency + 1.5 * (1 - 0.75 + 0.75 * len(words) / mean))
    return total


TEXTS = [
    "the cat sat on the mat\nthe dog ran\nthe cat ran to the dog",
    "alpha beta\nalpha alpha alpha gamma delta epsilon\nbeta gamma",
    "one two three\nthree\none one two two three three four five six seven",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_passage_with_the_largest_score_wins(text):
    passages = text.split("\n")
    asked = 0
    for word in sorted(set(text.split())):
        for other in sorted(set(text.split())):
            query = f"{word} {other}"
            scores = [score(query, passage, passages) for passage in passages]
            if sorted(scores)[-1] - sorted(scores)[-2] > 1e-4:
                assert ask(query, text) == passages[scores.index(max(scores))]
                asked += 1
    assert asked >= 5


@pytest.mark.parametrize(
    ("query", "text", "wins"),
    [
        ("cat", "a cat here\na dog here", "a cat here"),
        ("Where is the CAT?", "the dog\nThe Cat!", "The Cat!"),
        ("cat", "cat and dog and mouse\ncat", "cat"),
        ("rare common", "common\ncommon\ncommon\nrare", "rare"),
        ("cat", "\n\n  \ncat\n\n", "cat"),
        ("cat", "cat", "cat"),
        ("7", "code 6\ncode 7", "code 7"),
    ],
)
def test_passages_worked_by_hand(query, text, wins):
    assert ask(query, text) == wins


def test_of_equal_passages_the_last_wins():
    assert ask("cat", "cat one\ncat two\ndog one") == "cat two"


def test_a_word_counts_once_however_often_it_is_asked_for():
    text = "cat\ndog dog"
    assert ask("cat dog", text) == ask("cat cat cat cat dog", text)


@pytest.mark.parametrize(
    ("query", "text"), [("cat", "dog"), ("cat", ""), ("", "dog"), ("?!", "dog ?!"), ("ca", "cat"), ("cat", "\n \n")]
)
def test_no_shared_word_says_so(query, text):
    with pytest.raises(SearchError, match=r"^no passage shares a word with the query$"):
        ask(query, text)


def test_controls_are_no_words_neither_in_queries_nor_in_passages():
    tool = PassageTool(WORDS)
    passages = [*b"a cat\n", *b"a ", SEARCH, *b"dog", END]
    assert tool([SEARCH, *b"dog", END], passages) == passages[6:]
    assert tool([*b"dog ", SEARCH], passages) == passages[6:]
    with pytest.raises(SearchError, match="no passage shares a word"):
        tool([SEARCH, END], passages)


def test_long_passages_are_cut_and_other_ends_are_taken():
    assert ask("cat", "the cat sat", most=7) == "the cat"
    assert ask("cat", "a dog. the cat.", ends=".") == " the cat"


def test_passages_of_words_with_separators():
    words = Words(("cat", "dog", "here", "."))
    tool = PassageTool(words, ends=".")
    assert isinstance(tool, Tool)
    assert tool([0], [0, 2, 3, 1, 2, 3]) == [0, 2]
    assert tool([1], [0, 2, 3, 1, 2, 3]) == [1, 2]


@pytest.mark.parametrize("settings", [{"ends": ""}, {"ends": "\n\n"}, {"most": 0}])
def test_settings_outside_the_domain_are_refused(settings):
    values = {"ends": "\n", "most": 256} | settings
    said = f"PassageTool: ends is {values['ends']!r} and most is {values['most']}; "
    with pytest.raises(UsageError) as caught:
        PassageTool(WORDS, **settings)
    assert str(caught.value) == said + "they must be one character and at least 1"


def test_without_bm25s_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    said = r"^search for passages needs bm25s, which is not installed: pip install 'statewise\[search\]'$"
    with pytest.raises(MissingExtraError, match=said):
        PassageTool(WORDS)

"""Needles answered step by step: bytes stand for themselves, and no text is a control."""

import re

import pytest
import torch

from search.scripted import Scripted
from statewise.core.errors import SearchError
from statewise.search import Budget, ChainOfThought, Retrieval, generate
from statewise.search.page import ANSWER, CONTROLS, END, FAILED, SEARCH
from statewise.tasks.needle import Needle

TEXT = b"once\nThe mark of qev is K.\n upon\nThe mark of bam is C.\n a time\nThe mark of qev is "
SIZE = 200
RETRIEVAL = Retrieval(Needle())
NOTATION = RETRIEVAL.trace(SIZE).notation
FIND, TAKE = NOTATION.mark(0), NOTATION.mark(1)
SPELLED = b"<pad> <search> <end> <failed> <answer> find take " + "".join(map(chr, range(0xE000, 0xE010))).encode()
"""The names of the controls and marks, and the bytes of the characters that stand for them."""


def ids(text):
    return [NOTATION.first + byte for byte in text]


def written(answering, text=TEXT):
    page = answering(Needle()).page(ids(text), SIZE)
    return page.tokens[len(text) :], page.own[len(text) :]


def test_the_search_of_a_name():
    tokens, own = written(Retrieval)
    assert tokens == [SEARCH, FIND, *ids(b"qev"), TAKE, END, *ids(b"K"), ANSWER, *ids(b"K")]
    assert own == [True] * 7 + [False] + [True] * 2
    assert NOTATION.words.pattern(tokens[1:6]) == r"The mark of qev is (\S)"


def test_the_fact_aloud():
    tokens, own = written(ChainOfThought)
    assert tokens == [*ids(b"The mark of qev is K"), ANSWER, *ids(b"K")]
    assert all(own)


def test_every_byte_of_a_query_is_matched_as_it_is():
    tool = RETRIEVAL.tools(SIZE)[SEARCH]
    for byte in range(256):
        query = [FIND, *ids(b"a" + bytes([byte]) + b"c"), TAKE]
        other = b"The mark of a" + bytes([(byte + 1) % 256]) + b"c is X."
        assert tool(query, ids(other + b"The mark of a" + bytes([byte]) + b"c is K.")) == ids(b"K")
        with pytest.raises(SearchError, match=r"matches nothing$"):
            tool(query, ids(other))


def test_text_that_spells_controls_holds_none():
    assert len(CONTROLS) == 5
    prompt = ids(SPELLED)
    assert min(prompt) >= NOTATION.first > max(SEARCH, END, FAILED, ANSWER, FIND, TAKE)
    assert NOTATION.words.ids(NOTATION.words.text(prompt)) == prompt
    assert all(ord(word) < 256 for word in NOTATION.words.text(prompt))


def test_a_model_that_spells_a_search_makes_none():
    script = ids(b"<search>The mark of qev is (\\S)<end>")
    model = Scripted([script], RETRIEVAL.vocabulary(SIZE))
    made = generate(model, [ids(TEXT)], controls=RETRIEVAL.controls(SIZE), budget=Budget(tokens=len(script)))
    assert made.written[0].tokens == script
    assert made.written[0].calls == []
    assert made.written[0].answer is None


@pytest.mark.parametrize("content", [SPELLED * 400, bytes(range(256)) * 200])
def test_a_model_that_does_as_the_solver_does_is_right_in_any_text(tmp_path, content):
    (tmp_path / "text").write_bytes(content)
    task = Retrieval(Needle(file=str(tmp_path / "text")))
    batch = task.task.examples("test", seed=0, start=0, count=20, size=SIZE)

    def solver(row, prompt):
        return task.page(prompt, SIZE).tokens[len(prompt) :]

    model = Scripted(solver, task.vocabulary(SIZE))
    longest = task.trace(SIZE).longest(SIZE, retrieving=True)
    made = generate(
        model, task.prompts(batch, SIZE), controls=task.controls(SIZE), budget=Budget(tokens=longest, calls=1)
    )
    assert [each.answer for each in made.written] == task.answers(batch, SIZE).tolist()
    assert [len(each.calls) for each in made.written] == [1] * 20
    assert {len(each.tokens) for each in made.written} == {longest}


def test_a_name_that_is_not_planted_is_not_found():
    tool = RETRIEVAL.tools(SIZE)[SEARCH]
    with pytest.raises(SearchError, match=re.escape("'The mark of abc is (\\\\S)' matches nothing")):
        tool([FIND, *ids(b"abc"), TAKE], ids(TEXT))


def test_the_question_itself_is_not_what_is_found():
    """The question stands at the end of what is searched, and nothing stands behind it."""
    tool = RETRIEVAL.tools(SIZE)[SEARCH]
    with pytest.raises(SearchError, match=r"matches nothing$"):
        tool([FIND, *ids(b"qev"), TAKE], ids(b"nothing\nThe mark of qev is "))


def test_traces_of_every_size_are_of_one_length():
    for answering in (Retrieval, ChainOfThought):
        task = answering(Needle())
        for size in (31, 62, 200):
            scored = task.examples("train", seed=0, start=0, count=8, size=size).scored
            assert torch.equal(scored.sum(1), torch.full((8,), 9 if answering is Retrieval else 22))

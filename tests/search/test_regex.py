"""RegexTool: the patterns of the theorems against plain loops, Python's own engine, and patterns that are hostile."""

import random
import re
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.core.errors import MissingExtraError, SearchError, UsageError
from statewise.search import RegexTool, Tool, Words

CASES = 2000
NUMBERS = Words(tuple(map(str, range(40))))
"""Words of one and two characters, some of which begin or end with others."""
TAPE = Words((*map(str, range(12)), "a", "b", "q0", "q11", "+", "-"))
CELLS, SYMBOLS, REST = range(12), (12, 13), range(14, 18)
LETTERS = Words(("a", "b", "c"))


def search(pattern, context, words=NUMBERS, **limits):
    """The ids that a pattern finds, or None."""
    try:
        return RegexTool(words, pattern=lambda query: pattern, **limits)([], context)
    except SearchError as error:
        assert "matches nothing" in str(error)  # noqa: PT017
        return None


def refusal(pattern, context, words=NUMBERS, **limits):
    with pytest.raises(SearchError) as caught:
        RegexTool(words, pattern=lambda query: pattern, **limits)([], context)
    return str(caught.value)


def strings(alphabet=40, longest=40):
    """Random strings of any lengths, over few symbols or many."""
    draws = random.Random(0)
    for _ in range(CASES):
        symbols = range(draws.randint(1, alphabet))
        yield draws, draws.choices(symbols, k=draws.randint(1, longest))


def tapes():
    """Random writes `p symbol p state direction`, and a cell that was written at least once."""
    draws = random.Random(0)
    for _ in range(CASES):
        cells = draws.choices(CELLS, k=draws.randint(1, 12))
        symbols = draws.choices(SYMBOLS, k=len(cells))
        rest = [draws.sample(REST, draws.choice((0, 2))) for _ in cells]
        tokens = [t for p, symbol, more in zip(cells, symbols, rest, strict=True) for t in (p, symbol, p, *more)]
        yield tokens, list(zip(cells, symbols, strict=True)), draws.choice(cells)


def test_the_pattern_of_index_finds_the_symbol_at_every_place():
    for draws, string in strings():
        i = draws.randint(1, len(string) + 1)
        expected = string[i - 1 : i] or None
        assert search(rf"^(?:\S+ ){{{i - 1}}}(\S+) ", string) == expected


def test_the_pattern_of_recall_finds_what_follows_the_first_occurrence():
    for draws, string in strings():
        q = draws.randrange(40)
        expected = string[string.index(q) + 1 :][:1] if q in string else []
        assert search(rf"^(?:\S+ )*?{q} (\S+) ", string) == (expected or None)


def test_the_pattern_of_counting_matches_where_there_are_more_than_the_threshold():
    yes = 0
    for draws, string in strings(alphabet=4):
        v = draws.randrange(4)
        t = max(0, string.count(v) - draws.randrange(3))
        found = search(rf"^((?:(?:\S+ )*?{v} ){{{t + 1}}})", string)
        assert (found is not None) == (string.count(v) > t)
        if found is not None:
            yes += 1
            assert found == string[: len(found)]
            assert found.count(v) == t + 1
    assert CASES / 4 < yes < 3 * CASES / 4


def test_the_pattern_of_the_last_write_finds_it_and_the_one_printed_in_the_paper_finds_the_first():
    more_than_one = 0
    for tokens, writes, p in tapes():
        symbols = [symbol for cell, symbol in writes if cell == p]
        assert search(rf"^.*\b{p} (\S+) {p}\b", tokens, TAPE) == symbols[-1:]
        assert search(rf"\b{p} (.) {p} .*?$", tokens, TAPE) == symbols[:1]
        more_than_one += symbols[0] != symbols[-1]
    assert more_than_one > CASES / 10


@st.composite
def repeated(draw, inner):
    """A piece and how often: pieces that can be empty are not repeated, as engines differ there."""
    text, empty = draw(inner)
    if empty:
        return text, True
    often = draw(st.sampled_from(["", "?", "*", "+", "{2}", "{1,3}", "??", "*?", "+?", "{0,2}?"]))
    return f"(?:{text}){often}", often[:1] in ("?", "*") or often.startswith("{0")


def larger(inner):
    both = st.tuples(inner, inner)
    return st.one_of(
        repeated(inner),
        both.map(lambda pair: (pair[0][0] + pair[1][0], pair[0][1] and pair[1][1])),
        both.map(lambda pair: (f"(?:{pair[0][0]}|{pair[1][0]})", pair[0][1] or pair[1][1])),
    )


ATOMS = st.sampled_from(["a ", "b ", "c ", r"\S+ ", r"(?:[ab] )"]).map(lambda text: (text, False))
PIECES = st.recursive(ATOMS, larger, max_leaves=6).map(lambda piece: piece[0])
PATTERNS = st.tuples(
    st.sampled_from(["", "^"]), PIECES, PIECES, st.one_of(st.just(""), PIECES, PIECES.map("({})".format))
).map(lambda parts: "{}{}({}){}".format(*parts))


@settings(max_examples=400, deadline=None)
@given(PATTERNS, st.lists(st.integers(0, 2), max_size=14))
def test_what_is_found_is_what_pythons_engine_finds(pattern, context):
    match = re.search(pattern, LETTERS.text(context))
    groups = [] if match is None else [group for group in match.groups() if group is not None]
    tool = RegexTool(LETTERS, pattern=lambda query: pattern)
    if groups and groups[0]:
        assert tool([], context) == LETTERS.ids(groups[0])
        return
    with pytest.raises(SearchError, match="captures nothing" if match else "matches nothing"):
        tool([], context)


def test_a_query_is_its_pieces_one_after_the_other():
    words = Words(("a", "b", "(", ")", "."), ("a ", "b ", "(", ")", r"\S+ "))
    tool = RegexTool(words)
    assert isinstance(tool, Tool)
    assert tool([0, 2, 4, 3], [1, 0, 1, 0, 0]) == [1]
    assert tool([0, 2, 4, 4, 3], [1, 0, 1, 0, 0]) == [1, 0]


def test_the_first_group_that_took_part_is_the_answer():
    assert search(r"^(?:1 (\S+)|2 (\S+)) ", [2, 7]) == [7]
    assert search(r"^(\S+) (\S+) ", [2, 7]) == [2]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(1 ", "'(1 ' is not a pattern: missing ): (1"),
        ("*(1)", "'*(1)' is not a pattern: no argument for repetition operator: *"),
        ("[z-a](1)", "'[z-a](1)' is not a pattern: invalid character class range: z-a"),
        ("(?=1)(1)", "'(?=1)(1)' is not a pattern: invalid perl operator: (?="),
        ("(?<!1)(1)", "'(?<!1)(1)' is not a pattern: invalid perl operator: (?<!"),
        (r"(1)\1", r"'(1)\\1' is not a pattern: invalid escape sequence: \1"),
        ("(?:1 ){1001}(2)", "'(?:1 ){1001}(2)' is not a pattern: invalid repetition size: {1001}"),
        ("(?:(?:1 ){100}){11}(2)", "'(?:(?:1 ){100}){11}(2)' is not a pattern: invalid repetition size: {11}"),
        ("1 ", "'1 ' has no group to capture what is found"),
        ("3 (1)", "'3 (1)' matches nothing"),
        ("^1 (3 )?", "'^1 (3 )?' captures nothing"),
        ("^1 (3*)", "'^1 (3*)' captures nothing"),
        ("1 (2 3)4", "what was found, '2 3', holds '3', which is no word"),
        (r"1( )2", "what was found, ' ', holds '', which is no word"),
    ],
)
def test_patterns_that_find_nothing_usable_say_why(pattern, said):
    words = Words(("1", "2", "34", "4"))
    assert refusal(pattern, [0, 1, 2, 0], words) == said


def test_a_group_inside_a_word_is_taken_where_it_is_a_word_itself():
    """Words are not looked up by place: a pattern that does not keep to whole words gets what it asks for."""
    assert search(r"(\d)2 ", [12, 3]) == [1]


def test_more_tokens_than_fit_are_refused_and_as_many_as_fit_are_not():
    context = list(range(10)) * 3
    assert search(r"^((?:\S+ )*)", context, largest_answer=30) == context
    said = "'^((?:\\\\S+ )*)' captures 30 tokens; at most 29 fit"
    assert refusal(r"^((?:\S+ )*)", context, largest_answer=29) == said


def test_long_patterns_are_refused_unread():
    pattern = "(1)" + "(" * 1998
    assert refusal(pattern, [1]) == "the pattern has 2001 characters; at most 2000 are searched"
    assert refusal(pattern[:-1], [1]) == f"'{pattern[:60]}…' is not a pattern: missing ): {pattern[:49]}…"


def test_messages_stay_in_one_line():
    assert refusal("(1\n\n*", [1]) == r"'(1\n\n*' is not a pattern: missing ): (1 *"


def test_ids_that_cannot_stand_in_a_pattern_are_named():
    words = Words(("a", "(", ")", "<end>"), ("a ", "(", ")", None))
    with pytest.raises(SearchError, match=r"^'<end>' cannot stand in a pattern$"):
        RegexTool(words)([1, 0, 3, 2], [0, 0])
    with pytest.raises(SearchError, match=r"^the id 4 has no word; there are 4$"):
        RegexTool(words)([1, 4, 2], [0, 0])
    with pytest.raises(SearchError, match=r"^the id 9 has no word; there are 4$"):
        RegexTool(words)([1, 0, 2], [0, 9])


def quickly(pattern, context, words=LETTERS, seconds=5.0):
    before = time.perf_counter()
    said = refusal(pattern, context, words)
    assert time.perf_counter() - before < seconds
    return said


def test_a_match_of_megabytes_is_refused_quickly():
    assert quickly("^(.*) ", [0, 1] * 500_000) == "'^(.*) ' captures 1000000 tokens; at most 64 fit"
    assert quickly(r"^((?:\S+ )*?c )", [0] * 1_000_000).endswith("matches nothing")


@pytest.mark.parametrize(
    "pattern", ["(a *)*b", "((a *)*)*b", "((?:a |a a )*)*b", r"^((?:\S+ )*)*(?:\S+ )*b", "(?:(a )|(a a )|a *)*b"]
)
def test_nested_quantifiers_do_not_hang(pattern):
    assert quickly(pattern, [0] * 100_000) == f"{pattern!r} matches nothing"


def test_patterns_that_compile_to_much_more_than_they_seem_are_refused():
    """At 130,006 instructions this one, 1,761 characters long, took 5.7 s for 10,000 tokens."""
    pattern = "((?:" + r"\S*? *?" * 250 + "){40})c"
    said = quickly(pattern, [0] * 10).removeprefix(f"{pattern[:60] + '…'!r} has ")
    assert re.fullmatch(r"\d+ instructions; at most 20,000 are searched", said)


def test_patterns_that_would_take_long_even_in_linear_time_are_refused():
    pattern = "((?:" + r"\S*? *?" * 25 + "){40})c"
    said = quickly(pattern, [0] * 100_000).removeprefix(f"{pattern[:60] + '…'!r} has ")
    expected = r"\d+ instructions and the context 200000 characters; their product may be at most 1,000,000,000"
    assert re.fullmatch(expected, said)


def test_the_largest_pattern_of_counting_is_searched_in_long_contexts():
    assert len(search(r"^((?:(?:\S+ )*?1 ){1000})", [1, 0] * 10_000, largest_answer=10_000)) == 1999


@pytest.mark.parametrize("limits", [{"largest_pattern": 0}, {"largest_answer": 0}, {"largest_answer": -1}])
def test_limits_below_one_are_refused(limits):
    values = {"largest_pattern": 2000, "largest_answer": 64} | limits
    said = " and ".join(f"{name} is {value}" for name, value in values.items())
    with pytest.raises(UsageError, match=f"^RegexTool: {said}; both must be at least 1$"):
        RegexTool(NUMBERS, **limits)


def test_without_re2_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "re2", None)
    said = r"^search by patterns needs re2, which is not installed: pip install 'statewise\[search\]'$"
    with pytest.raises(MissingExtraError, match=said):
        RegexTool(NUMBERS)

"""A chain of thought, which is tokens that a model writes and reads before it answers: what it changes and what not.

A state that was formed before the question is known stays as it was: no chain brings back what was dropped.

n the size of a task.
"""

from dataclasses import replace

from statewise.bounds.attention import NUMBERS, RNNS_ARE_NOT
from statewise.bounds.bound import Bound, enough_in_growth, whole

UNIT = "chain-of-thought tokens"
ONE_WAY = f"{RNNS_ARE_NOT}, Theorem"
CACHE = "what the attention layer keeps of every token is not counted among the state bits"
HYBRID = "a linear recurrence of O(log n) state bits with one attention layer at its end"
SEARCH = "a linear recurrence of O(log n) state bits with a search by regular expressions over what was read"


def same_bits(required: Bound, theorem: str = "") -> Bound:
    """The bits that are required where a model may write any chain of thought first: as many as without one.

    Proof: what is written and answered after a cut is a function of the state there and of the input that follows. Two
    prefixes that share a state are answered alike, with a chain as without; the proof of `required` asks for no more.

    required  bits at a cut before the end of the input
    theorem   its number in Wen, Dang, Lyu 2024, arXiv 2402.18510, where the paper has the task; else the argument is
              theirs and the task is not

    The paper says that o(n) bits are too few for large n, over an alphabet that grows with n; the number is that of
    `required`, for the task as it is.

    >>> from statewise.bounds import index_lookup
    >>> same_bits(index_lookup.required_bits(size=64, alphabet=16), "4.6").claim
    'bits with a chain of thought: at least 256'
    """
    argument = (
        f"{ONE_WAY} {theorem} (o(n) bits are too few, with n symbols)"
        if theorem
        else f"derived as {ONE_WAY} 4.6, which has other tasks"
    )
    return replace(
        required,
        unit="bits with a chain of thought",
        holds_for="any deterministic recurrent reader that first writes a chain of thought, of any length",
        assumes=f"{required.assumes}; only the state passes the cut, no earlier part of a chain beside it",
        source=f"the bits required without a chain; {argument}",
    )


def tour_of_tree(size: int) -> Bound:
    """Tokens with which an attention model decides IsTree: an Euler tour of 2n − 1 vertices at most.

    Proof: start at vertex 0, walk along unused edges, back where there is none, and name each vertex that is reached;
    stop before one that was visited. A tree is walked through, each of its n − 1 edges twice; a graph with a cycle is
    left earlier, or in a smaller tree. Each step is a function of edges and tour so far, which attention computes.

    size  n, at least 4 (UsageError otherwise)

    With input, end of the tour and answer 5n tokens in the published format.

    Source: Wen, Dang, Lyu 2024, arXiv 2402.18510, Theorem 4.7 (9 layers, O(n) tokens).

    >>> tour_of_tree(size=16).claim
    'chain-of-thought tokens: 31 is enough'
    """
    size = whole("chain_of_thought.tour_of_tree", "size", size, least=4)
    return _tokens(
        2 * size - 1,
        holds_for="attention of 9 layers and constant width, constant not given, that writes an Euler tour",
        assumes=f"{NUMBERS}; n − 1 edges; the tour alone, without its end and the answer",
        source=f"{RNNS_ARE_NOT}, Theorem 4.7 (O(n) tokens); each edge of a tree is walked twice",
    )


def searches_of_tree(size: int) -> Bound:
    """Tokens with which a small recurrent model decides IsTree by searching: 37n − 26 at most.

    Proof: an Euler tour whose every step asks the search for a vertex's father and its next neighbour. In the published
    format a tree takes 37n − 26 tokens, what the search returns among them; a graph with a cycle takes fewer.

    size  n, at least 4 (UsageError otherwise)

    With input, end of the trace and answer 40n − 25 tokens.

    Source: Wen, Dang, Lyu 2024, arXiv 2402.18510, Proposition 5.3 (O(n) tokens); counted here over traces as the
    published code writes them.

    >>> searches_of_tree(size=128).claim
    'chain-of-thought tokens: 4,710 is enough'
    """
    size = whole("chain_of_thought.searches_of_tree", "size", size, least=4)
    return _tokens(
        37 * size - 26,
        holds_for=f"{SEARCH}, constant not given",
        assumes=f"{NUMBERS}; the published trace, results of the search included, its patterns shortened to vertices",
        source=f"{RNNS_ARE_NOT}, Proposition 5.3 (O(n) tokens); the number is counted here over such traces",
    )


def hybrid_on_tree() -> Bound:
    """Tokens with which a small recurrent model decides IsTree where one attention layer is added: O(n log n).

    Proof: an Euler tour whose next edge is looked for by doubling the distance, in O(log n) tokens a step.

    Source: Wen, Dang, Lyu 2024, arXiv 2402.18510, Proposition 5.7.

    >>> hybrid_on_tree().claim
    'chain-of-thought tokens: O(n log n) is enough, constant not given'
    """
    return enough_in_growth(
        "O(n log n)",
        UNIT,
        holds_for=HYBRID,
        assumes=f"{NUMBERS}; {CACHE}",
        source=f"{RNNS_ARE_NOT}, Proposition 5.7",
    )


def hybrid_retrieval() -> Bound:
    """State bits where one attention layer is added, for the four retrieval tasks: O(log n), and no chain.

    Proof: the recurrence hands the tokens just before to each place; the attention layer matches or counts.

    Source: Wen, Dang, Lyu 2024, arXiv 2402.18510, Proposition 5.6.

    >>> hybrid_retrieval().claim
    'bits of recurrent state: O(log n) is enough, constant not given'
    """
    return enough_in_growth(
        "O(log n)",
        "bits of recurrent state",
        holds_for="a linear recurrence with one attention layer at its end, without a chain of thought",
        assumes=f"{NUMBERS}; {CACHE}",
        source=f"{RNNS_ARE_NOT}, Proposition 5.6",
    )


def search_retrieval() -> Bound:
    """Tokens with which a small recurrent model solves the four retrieval tasks by searching: O(1).

    Proof: the query becomes one regular expression, whose first match is the answer.

    Source: Wen, Dang, Lyu 2024, arXiv 2402.18510, Proposition 5.2. Its patterns are idealised: those that were checked
    here take tokens in place of characters, and repeat a group up to n times, which some engines refuse.

    >>> search_retrieval().claim
    'chain-of-thought tokens: O(1) is enough, constant not given'
    """
    return enough_in_growth(
        "O(1)",
        UNIT,
        holds_for=SEARCH,
        assumes=f"{NUMBERS}; tokens for each query; an engine that repeats a group up to n times, "
        "first match; patterns corrected here",
        source=f"{RNNS_ARE_NOT}, Proposition 5.2",
    )


def _tokens(number: int, *, holds_for: str, assumes: str, source: str) -> Bound:
    return Bound(
        value=float(number),
        unit=UNIT,
        direction="construction",
        error="zero",
        holds_for=holds_for,
        assumes=assumes,
        source=source,
    )

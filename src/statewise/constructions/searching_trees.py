"""Is this graph a tree? Decided by a walk of searches, with registers for five vertices and a counter.

    register   taken
    vertex     where the walk stands, as it is entered: after `;`, after FAILED, or after its father in `u ~ v`
    near       the neighbour that was found last
    father     the father that was found last
    before     the vertex of the last search for a neighbour, once its `-` is past: until the next one, the child from
               which the walk came back
    root       where the walk began

    flag       holds
    again      this search follows an answer, and not the entering of a vertex
    paternal   the last answer was a father's
    returned   `vertex` was entered on the way back: from a child, which is not its father
    orphan     the last father that was asked for was not found

The solver asks whether the vertex that it came from is the father. It is exactly if a vertex is entered for the first
time, coming back being from a child: a flag says it. Two comparisons are left: of the neighbour with the father, which
is no discovery, and with the root, which is known though it has no father. The counter is the number of edges in the
prompt less that of vertices written down with their fathers: where the root is left for good it is 0 exactly if every
vertex was seen.

Proof. After an answer that is no father's, `near` and `father` are both of this vertex. After a father's, a search that
came `again` asked whether `near` is known; where it failed, near is new, and its father is `before`, whose search found
it. With these each rule writes what the solver does (see `statewise.search`), and a test compares them.

Source: Wen, Dang, Lyu, arXiv 2402.18510, Proposition 5.3 (a linear RNN of O(log n) bits, O(n) tokens); the table ours.
"""

import torch

from statewise.bounds import is_tree as bounds
from statewise.constructions.construction import Construction
from statewise.constructions.searching import bits_in_words, width_in_words
from statewise.constructions.searching_model import searching_model
from statewise.constructions.searching_table import Flag, Register, Rule, Table
from statewise.search import Retrieval
from statewise.search.page import ANSWER, END, FAILED, SEARCH
from statewise.tasks import IsTree
from statewise.tasks.is_tree import BEGIN, DASH, FIRST_VERTEX, NO, YES
from statewise.tasks.is_tree import END as LAST

SOURCE = "Wen, Dang, Lyu 2024, arXiv 2402.18510, Proposition 5.3 (a linear RNN, gates aside); the weights are ours"


def search(size: int, *, names: int | None = None) -> Construction:
    """A walk through the tree, of 37n − 26 tokens at most: exact for every size up to this one.

    size   n, at least 4
    names  None, or the number of names that vertices are drawn from, at least n

    >>> search(32).verify(examples=4).exact
    True
    """
    task = Retrieval(IsTree(names=names))
    task.check_size(size)
    table = walk(task, size, named=names is not None)
    model = searching_model(table)
    required = bounds.required_bits(size)
    return Construction(
        name="is-tree/search",
        model=model,
        task=task,
        sizes=(4, size),
        precision=torch.float32,
        claim=f"a minGRU and a gated LRU layer {width_in_words(model, table)}: {bits_in_words(model, required)}",
        source=SOURCE,
    )


def walk(task: Retrieval, size: int, *, named: bool) -> Table:
    """The table of the walk; where names are drawn it begins at the prompt's first vertex, else at vertex 0."""
    first = task.trace(size).notation.first
    father_of, edge = first - 1, first + DASH
    vertices = range(first + FIRST_VERTEX, task.vocabulary(size))
    return Table(
        vocabulary=task.vocabulary(size),
        kinds={
            "search": [SEARCH],
            "end": [END],
            "failed": [FAILED],
            "answer": [ANSWER],
            "~": [father_of],
            "begin": [first + BEGIN],
            "-": [edge],
            ";": [first + LAST],
            "v": vertices,
            "entering": [first + LAST, FAILED, *vertices],
        },
        registers={
            "vertex": Register("v entering@1"),
            "near": Register("end@1 !~@2"),
            "father": Register("end@1 ~@2"),
            "before": Register("-@1", back=2),
            "root": Register("begin@1" if named else ";@1"),
        },
        flags={
            "again": Flag("search", "end@2"),
            "paternal": Flag("end@1", "~@2"),
            "returned": Flag("v entering@1", "failed@1"),
            "orphan": Flag("end@1 ~@2", "failed"),
        },
        counts={"- !search@2": 1, "v ~@1": -1},
        rules=(
            Rule(";", "root" if named else vertices.start),
            *entered(father_of),
            *subjects(father_of, edge),
            *objects(),
            *answered(),
            Rule("answer paternal", first + NO),
            Rule("answer !paternal !left=0", first + NO),
            Rule("answer !paternal left=0", first + YES),
        ),
    )


def entered(father_of: int) -> tuple[Rule, ...]:
    """After a vertex that was entered, or that is to be written down with its father."""
    return (
        Rule("v ;@1", SEARCH),
        Rule("v v@1", SEARCH),
        Rule("v failed@1 !paternal", SEARCH),
        Rule("v failed@1 paternal", father_of),
        Rule("~ again paternal", "before"),
        Rule("v ~@1 paternal", "near"),
    )


def subjects(father_of: int, edge: int) -> tuple[Rule, ...]:
    """What a search is about: first the father, then a neighbour, then whether that is known."""
    return (
        Rule("search !again", "vertex"),
        Rule("search again paternal", "vertex"),
        Rule("search again !paternal near=father", "vertex"),
        Rule("search again !paternal !near=father", "near"),
        Rule("v search@1 !again", father_of),
        Rule("v search@1 again paternal", edge),
        Rule("v search@1 again !paternal near=father", edge),
        Rule("v search@1 again !paternal !near=father", father_of),
    )


def objects() -> tuple[Rule, ...]:
    """What comes after a search's sign: nothing, the vertex before, or the neighbour that is passed over."""
    return (
        Rule("~ !again", END),
        Rule("~ again !paternal", END),
        Rule("- paternal returned", "before"),
        Rule("- paternal !returned", END),
        Rule("- !paternal", "near"),
        Rule("v -@1", END),
    )


def answered() -> tuple[Rule, ...]:
    """After what was found: go on, go back, or stop."""
    return (
        Rule("end@1 paternal !again", SEARCH),
        Rule("v end@1 paternal again", ANSWER),
        Rule("failed end@1 paternal again near=root", ANSWER),
        Rule("failed end@1 paternal again !near=root", "near"),
        Rule("v end@1 !paternal", SEARCH),
        Rule("failed end@1 !paternal orphan", ANSWER),
        Rule("failed end@1 !paternal !orphan", "father"),
    )

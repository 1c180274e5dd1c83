"""Is this graph a tree? Decided by merging its components, with registers for three vertices under one attention layer.

    register  taken                                  flag    holds
    parent    the second token of the last step      over    the prompt has ended
    grand     the third                              other   the steps are those of an edge's second end
    root      the third of the last step of an
              edge's first end, as the second begins

Every vertex of the prompt is a record of itself, the third token of a step is one of the first, and the second root of
a join is one of the first: the last record of a vertex is its parent. A counter of the prompt's dashes less the joins
is 0 when no edge is left, and one of places says where the next end stands: 3e + 2 and 3e + 4 for edge e from 0, if
places count from 1.

Proof. Every rule writes what `merging_trace` says comes next, every asking finds the last record, and every fetching
that place (see `ledger_model`); a test compares them on every graph of small sizes.

Source: Wen, Dang, Lyu, arXiv 2402.18510, Theorem 5.7 (a recurrence of O(log n) bits under one attention layer,
O(n log n) tokens); it walks the tree, the table here merges.
"""

from statewise.constructions.construction import Construction
from statewise.constructions.hybrid import SOURCE
from statewise.constructions.ledger import Ledger
from statewise.constructions.ledger_model import ledger_model, recurrent_bits
from statewise.constructions.merging_trace import FIRST, JOIN, ON, SECOND, Merging
from statewise.constructions.searching_table import Flag, Register, Rule
from statewise.search.page import ANSWER
from statewise.tasks import IsTree
from statewise.tasks.is_tree import BEGIN, DASH, END, FIRST_VERTEX, NO, YES

NAME = "is-tree/hybrid"


def hybrid(size: int, *, names: int | None = None) -> Construction:
    """Two recurrent layers under one of attention; traces of at most 35n tokens. Exact for every size up to this one.

    size   n, at least 4
    names  None, or the number of names that vertices are drawn from, at least n

    >>> hybrid(12).verify(examples=4).exact
    True
    """
    task = Merging(IsTree(names=names))
    task.check_size(size)
    ledger = merging(task, size)
    model, precision = ledger_model(ledger, prompt=task.task.length(size), length=task.length(size))
    return Construction(
        name=NAME,
        model=model,
        task=task,
        sizes=(4, size),
        precision=precision,
        claim=f"a minGRU and a gated LRU layer with {recurrent_bits(model):,} bits of state, O(log n), under one "
        f"attention layer, {model.config.width} channels: O(log n); at most {35 * size:,} tokens",
        source=f"{SOURCE.replace('Proposition 5.6', 'Theorem 5.7')}; merging in the place of its walk: ours",
    )


def merging(task: Merging, size: int) -> Ledger:
    """The table of the merging."""
    trace = task.trace(size)
    own, mark = trace.notation.first, trace.notation.mark
    marks = (FIRST, SECOND, ON, JOIN)
    return Ledger(
        vocabulary=task.vocabulary(size),
        kinds={
            "begin": [own + BEGIN],
            "-": [own + DASH],
            ";": [own + END],
            "first": [mark(FIRST)],
            "second": [mark(SECOND)],
            "on": [mark(ON)],
            "join": [mark(JOIN)],
            "end": [mark(FIRST), mark(SECOND)],
            "step": [mark(each) for each in marks if each != JOIN],
            "answer": [ANSWER],
            "v": range(own + FIRST_VERTEX, task.vocabulary(size)),
        },
        start="begin",
        registers={
            "parent": Register("v step@2"),
            "grand": Register("v step@3"),
            "root": Register("second", back=1),
        },
        flags={"over": Flag(";", ";"), "other": Flag("end", "second")},
        counts={"-": 1, "join": -1},
        places={";": 1, "first": 1, "second": 2},
        records=(Register("v !over"), Register("v step@3", back=2), Register("v join@2", back=1)),
        asked=("v step@1", "v step@2"),
        fetched=("end",),
        rules=(
            Rule(";", mark(FIRST)),
            Rule("on", "parent"),
            Rule("v step@3 !parent=grand", mark(ON)),
            Rule("v step@3 parent=grand !other", mark(SECOND)),
            Rule("v step@3 parent=grand other root=grand", ANSWER),
            Rule("v step@3 parent=grand other !root=grand", mark(JOIN)),
            Rule("join", "root"),
            Rule("v join@1", "grand"),
            Rule("v join@2 !left=0", mark(FIRST)),
            Rule("v join@2 left=0", ANSWER),
            Rule("answer join@3", own + YES),
            Rule("answer !join@3", own + NO),
        ),
    )

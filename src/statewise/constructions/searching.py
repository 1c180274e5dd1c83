"""Four tasks of retrieval by one search: a model of constant size turns the query into a pattern, and waits.

    index-lookup, associative-recall      what is asked     <search> skip @p take <end>  found  <answer> found
    c-gram-retrieval                      s_1 … s_(c−1)     <search> find s_1 … s_(c−1) take <end>  found  …
    counting                              q >t              <search> each q times >t take <end>  found  <answer> yes

Every task is a table (see `searching_table`), whose rules say what is written after what was read. What was asked is in
a register, the last token of its kind; of a gram it is the token c places before, over and over, since each symbol that
is written moves the next one there. A flag tells a token of the query from the same token in the pattern.

Proof. What the solver writes is a function of the prompt's last tokens and of what was found. The tables write the
same: a test compares them at every token of the model's own, and another lets the model search for itself.

Source: Wen, Dang, Lyu, arXiv 2402.18510, Proposition 5.2 (a linear RNN of O(log n) bits, O(1) tokens); tables ours.
"""

import torch

from statewise.bounds import c_gram as c_gram_bounds
from statewise.bounds import counting as counting_bounds
from statewise.bounds import index_lookup as index_lookup_bounds
from statewise.bounds import recall as recall_bounds
from statewise.bounds.bound import Bound
from statewise.constructions import storage
from statewise.constructions.construction import Construction
from statewise.constructions.directions import code_bits
from statewise.constructions.searching_model import searching_model
from statewise.constructions.searching_table import Flag, Register, Rule, Table
from statewise.core.state import state_bits
from statewise.models import LanguageModel
from statewise.search import Retrieval
from statewise.search.page import ANSWER, END, FAILED, SEARCH
from statewise.tasks import AssociativeRecall, CGramRetrieval, Counting, IndexLookup

SOURCE = "Wen, Dang, Lyu 2024, arXiv 2402.18510, Proposition 5.2 (a linear RNN, gates aside); the weights are ours"


def index_lookup(size: int, *, alphabet: int = 16) -> Construction:
    """The symbol at a place, by one search: exact for every size up to this one.

    size      N, in [1, 1001]: RE2 repeats no more than 1,000 times
    alphabet  k, at least 2

    >>> index_lookup(1000).verify(examples=4).exact
    True
    """
    task = Retrieval(IndexLookup(alphabet=alphabet))
    first = first_of(task, size)
    places = first + alphabet
    table = one_token(task, size, asked=range(places, places + size), found=range(first, places))
    required = index_lookup_bounds.required_bits(size, alphabet)
    return _construction("index-lookup/search", task, (1, size), table, required)


def associative_recall(size: int, *, keys: int = 64, values: int = 16) -> Construction:
    """The value beside a key, by one search: exact for every size up to this one.

    size    n, in [1, K]
    keys    K, at least 1
    values  v, at least 2

    >>> associative_recall(64).verify(examples=4).exact
    True
    """
    task = Retrieval(AssociativeRecall(keys=keys, values=values))
    first = first_of(task, size)
    held = first + keys
    table = one_token(task, size, asked=range(first, held), found=range(held, held + values))
    required = recall_bounds.associative_required_bits(size, values)
    return _construction("associative-recall/search", task, (1, size), table, required)


def c_gram(size: int, *, alphabet: int = 16, gram: int = 2) -> Construction:
    """What followed a gram the first time, by one search: exact for every size from c up to this one.

    size      N, at least gram
    alphabet  k, at least 2
    gram      c, at least 2; a convolution reaches c places back

    >>> c_gram(1000, alphabet=40, gram=3).verify(examples=4).exact
    True
    """
    task = Retrieval(CGramRetrieval(alphabet=alphabet, gram=gram))
    table = some_symbols(task, size, gram)
    required = c_gram_bounds.required_bits(size, alphabet, gram)
    return _construction("c-gram-retrieval/search", task, (gram, size), table, required)


def counting(size: int, *, alphabet: int = 4, threshold: int | None = None) -> Construction:
    """Whether a symbol stands in the string more than t times, by one search: exact for every size up to this one.

    size       N, at least 1; thresholds are at most 1,000: RE2 repeats no more
    alphabet   k, at least 2
    threshold  t, the same for every example, or None

    >>> counting(1000).verify(examples=4).exact
    True
    """
    task = Retrieval(Counting(alphabet=alphabet, threshold=threshold))
    table = symbol_and_threshold(task, size, alphabet)
    if threshold is None:
        required = counting_bounds.required_bits(size, alphabet)
    else:
        required = counting_bounds.required_bits_of_threshold(size, alphabet, threshold)
    return _construction("counting/search", task, (1, size), table, required)


def one_token(task: Retrieval, size: int, *, asked: range, found: range) -> Table:
    """A query of one token, between two marks; what is found is of another kind."""
    first = first_of(task, size)
    opens, take = first - 2, first - 1
    return Table(
        vocabulary=task.vocabulary(size),
        kinds={
            "search": [SEARCH],
            "opens": [opens],
            "take": [take],
            "answer": [ANSWER],
            "asked": asked,
            "found": found,
        },
        registers={"query": Register("asked"), "result": Register("found")},
        flags={"sought": Flag("opens", "opens")},
        rules=(
            Rule("asked !sought", SEARCH),
            Rule("search", opens),
            Rule("opens", "query"),
            Rule("asked sought", take),
            Rule("take", END),
            Rule("found", ANSWER),
            Rule("answer", "result"),
        ),
    )


def some_symbols(task: Retrieval, size: int, gram: int) -> Table:
    """A query of c − 1 symbols, between two marks; what is found is a symbol too."""
    first = first_of(task, size)
    find, take = first - 2, first - 1
    return Table(
        vocabulary=task.vocabulary(size),
        kinds={
            "search": [SEARCH],
            "find": [find],
            "take": [take],
            "answer": [ANSWER],
            "symbol": range(first, task.vocabulary(size)),
        },
        registers={"oldest": Register(back=gram), "newest": Register("symbol")},
        flags={"sought": Flag("find", "find"), "given": Flag("take", "take")},
        rules=(
            Rule("symbol !sought", SEARCH),
            Rule("search", find),
            Rule("find", "oldest"),
            *(Rule(f"find@{back}", "oldest") for back in range(1, gram - 1)),
            Rule(f"find@{gram - 1}", take),
            Rule("take", END),
            Rule("symbol given", ANSWER),
            Rule("answer", "newest"),
        ),
    )


def symbol_and_threshold(task: Retrieval, size: int, alphabet: int) -> Table:
    """A query of a symbol and a threshold, with marks before, between and after; the kind of what is found decides."""
    first = first_of(task, size)
    each, times, take = range(first - 3, first)
    no, yes = first + alphabet, first + alphabet + 1
    symbols, thresholds = range(first, no), range(yes + 1, task.vocabulary(size))
    return Table(
        vocabulary=task.vocabulary(size),
        kinds={
            "search": [SEARCH],
            "each": [each],
            "times": [times],
            "take": [take],
            "answer": [ANSWER],
            "symbol": symbols,
            "threshold": thresholds,
            "word": [FAILED, *symbols, *thresholds],
        },
        registers={"counted": Register("symbol"), "most": Register("threshold")},
        flags={
            "sought": Flag("each", "each"),
            "repeated": Flag("times", "times"),
            "given": Flag("take", "take"),
            "more": Flag("word", "symbol"),
        },
        rules=(
            Rule("threshold !sought", SEARCH),
            Rule("search", each),
            Rule("each", "counted"),
            Rule("symbol sought !repeated", times),
            Rule("times", "most"),
            Rule("threshold repeated !given", take),
            Rule("take", END),
            Rule("word given", ANSWER),
            Rule("answer more", yes),
            Rule("answer !more", no),
        ),
    )


def first_of(task: Retrieval, size: int) -> int:
    """The id under which the task's id 0 goes, after the marks; a UsageError for a size that the task lacks."""
    task.check_size(size)
    return task.trace(size).notation.first


def _construction(name: str, task: Retrieval, sizes: tuple[int, int], table: Table, required: Bound) -> Construction:
    model = searching_model(table)
    return Construction(
        name=name,
        model=model,
        task=task,
        sizes=sizes,
        precision=torch.float32,
        claim=f"one minGRU layer {width_in_words(model, table)}: {bits_in_words(model, required)}",
        source=SOURCE,
    )


def width_in_words(model: LanguageModel, table: Table) -> str:
    """What of the width grows with the number of ids, and what does not."""
    digits = code_bits(table.vocabulary)
    codes_kept = 1 + len(table.older) + len(table.registers)
    return (
        f"of {model.config.width} channels, {codes_kept}·⌈log2 {table.vocabulary:,}⌉ for codes of "
        f"tokens and {model.config.width - codes_kept * digits} besides"
    )


def bits_in_words(model: LanguageModel, required: Bound) -> str:
    """Bits of state beside those that are required where nothing can be searched, if any are."""
    if not required.value:
        return f"{state_bits(model.initial_state(1)):,} bits of state, where none are required"
    return f"{storage.compared(model, required)} without a search"

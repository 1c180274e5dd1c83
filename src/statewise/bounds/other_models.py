"""What is proved beyond recurrent readers alone: attention, a chain of thought, an added layer, a search tool.

The type of a task picks what applies to it; `required` are its required bits. Nothing here is an input to a verdict.
"""

from collections.abc import Callable
from typing import Any

from statewise.bounds import disjointness, dyck, equality, index_lookup, recall
from statewise.bounds.attention import constant_width, two_layer_width, two_layers_of_dyck
from statewise.bounds.bound import Bound
from statewise.bounds.chain_of_thought import (
    hybrid_on_tree,
    hybrid_retrieval,
    same_bits,
    search_retrieval,
    searches_of_tree,
    tour_of_tree,
)
from statewise.tasks import (
    MQAR,
    AssociativeRecall,
    CGramRetrieval,
    Counting,
    Disjointness,
    Dyck,
    Equality,
    IndexLookup,
    IsTree,
    NearestNeighbour,
    Task,
)


def other_models(task: Task, size: int, required: Bound) -> list[Bound]:
    """Bounds on models that are more than a recurrent reader; none for most tasks.

    >>> from statewise.tasks import Copy
    >>> other_models(Copy(), 8, required=index_lookup.required_bits(8, 16))
    []
    """
    proved = OTHER_MODELS.get(type(task))
    return [] if proved is None else proved(task, size, required)


def _retrieval(required: Bound) -> list[Bound]:
    """The four tasks of Wen, Dang, Lyu 2024, whose bounds are alike."""
    return [same_bits(required, "4.6"), constant_width(), hybrid_retrieval(), search_retrieval()]


def _index_lookup(task: IndexLookup, size: int, required: Bound) -> list[Bound]:
    beside_recall = [] if task.alphabet < 3 else [index_lookup.required_bits_beside_recall(size, task.alphabet)]
    return [index_lookup.attention_width(size, task.alphabet), *_retrieval(required), *beside_recall]


def _associative_recall(task: AssociativeRecall, size: int, required: Bound) -> list[Bound]:
    return [recall.attention_width(size, task.keys, task.values), *_retrieval(required)]


def _mqar(task: MQAR, size: int, required: Bound) -> list[Bound]:
    return [recall.attention_width(size, task.keys, task.values), same_bits(required)]


def _nearest_neighbour(_task: NearestNeighbour, _size: int, required: Bound) -> list[Bound]:
    width = two_layer_width(
        "Theorem 7",
        assumes="the paper's layout, not this one: a token for each point, no ties, a margin between the nearest and "
        "any other; where the margin shrinks, the addresses of its proof grow faster than O(log n)",
    )
    return [same_bits(required), width]


def _equality(task: Equality, size: int, required: Bound) -> list[Bound]:
    same = same_bits(required)
    if task.form == "next-character":
        return [same]
    enough = two_layer_width("Theorem 6", assumes="one size at a time; two symbols; more as bits, derived")
    if task.form == "one-difference":
        return [same, enough]
    return [same, equality.attention_layer_size(size, task.alphabet), enough]


def _disjointness(_task: Disjointness, size: int, required: Bound) -> list[Bound]:
    enough = two_layer_width("Theorem 13 with features of two bits", assumes="one size at a time, either layout")
    return [same_bits(required), disjointness.attention_layer_size(size), enough]


def _dyck(task: Dyck, size: int, _required: Bound) -> list[Bound]:
    if not dyck.proved_for_attention(task.types, task.depth):
        return [two_layers_of_dyck()]
    return [dyck.attention_layer_size(size, task.types, task.depth), two_layers_of_dyck()]


OTHER_MODELS: dict[type[Task], Callable[[Any, int, Bound], list[Bound]]] = {
    IndexLookup: _index_lookup,
    AssociativeRecall: _associative_recall,
    MQAR: _mqar,
    NearestNeighbour: _nearest_neighbour,
    CGramRetrieval: lambda _task, _size, required: _retrieval(required),
    Counting: lambda _task, _size, required: _retrieval(required),
    Equality: _equality,
    Disjointness: _disjointness,
    Dyck: _dyck,
    IsTree: lambda _task, size, required: [
        same_bits(required, "4.7"),
        tour_of_tree(size),
        hybrid_on_tree(),
        searches_of_tree(size),
    ],
}

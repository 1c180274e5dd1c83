"""Constructions by name."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from statewise.constructions import (
    associative_recall_attention,
    associative_recall_hybrid,
    c_gram,
    c_gram_hybrid,
    copying,
    counting,
    counting_hybrid,
    disjointness,
    dyck,
    dyck_gru,
    equality,
    equality_recurrent,
    in_context_regression,
    index_lookup,
    index_lookup_hybrid,
    index_lookup_recurrent,
    linear_attention,
    merging_trees,
    nearest_neighbour,
    nearest_neighbour_recurrent,
    parity,
    recall_recurrent,
    searching,
    searching_trees,
    threshold,
    turing_machine_search,
)
from statewise.constructions.construction import Construction
from statewise.core.errors import UsageError, pick

CONSTRUCTIONS: dict[str, Callable[..., Construction]] = {
    "index-lookup/attention": index_lookup.attention,
    "index-lookup/recurrent": index_lookup_recurrent.recurrent,
    "index-lookup/hybrid": index_lookup_hybrid.hybrid,
    "index-lookup/search": searching.index_lookup,
    "associative-recall/attention": associative_recall_attention.attention,
    "associative-recall/recurrent": recall_recurrent.recurrent,
    "associative-recall/hybrid": associative_recall_hybrid.hybrid,
    "associative-recall/search": searching.associative_recall,
    "c-gram-retrieval/attention": c_gram.attention,
    "c-gram-retrieval/hybrid": c_gram_hybrid.hybrid,
    "c-gram-retrieval/search": searching.c_gram,
    "counting/attention": counting.attention,
    "counting/hybrid": counting_hybrid.hybrid,
    "counting/search": searching.counting,
    "equality/attention": equality.attention,
    "equality/recurrent": equality_recurrent.recurrent,
    "disjointness/attention": disjointness.attention,
    "threshold/attention": threshold.attention,
    "nearest-neighbour/attention": nearest_neighbour.attention,
    "nearest-neighbour/recurrent": nearest_neighbour_recurrent.recurrent,
    "dyck/recurrent": dyck.recurrent,
    "dyck/gru": dyck_gru.gru,
    "is-tree/hybrid": merging_trees.hybrid,
    "is-tree/search": searching_trees.search,
    "parity/gru": parity.gru,
    "parity/mingru": parity.mingru,
    "copy/recurrent": copying.recurrent,
    "selective-copying/mingru*2": copying.mingru,
    "linear-attention/gated-lru": linear_attention.gated_lru,
    "linear-attention/lstm": linear_attention.lstm,
    "in-context-regression/linear-attention": in_context_regression.linear_attention,
    "in-context-regression/gated-lru": in_context_regression.gated_lru,
    "turing-machine/search": turing_machine_search.search,
}
"""Called with the largest size, and settings by name."""


def build(name: str, size: int, **settings: Any) -> Construction:
    """The construction of a name for sizes up to `size`. A name or a setting that is not known is a UsageError.

    >>> build("index-lookup/attention", 8).verify().exact
    True
    """
    made = pick("construction", name, CONSTRUCTIONS)
    for setting in settings:
        if setting not in (taken := list(inspect.signature(made).parameters)[1:]):
            raise UsageError(f"{name} has no setting {setting!r}; settings are {', '.join(taken) or 'none'}")
    return replace(made(size, **settings), arguments={"size": size, **settings})

"""Which bounds on other models a task has, and that each names its theorem."""

import pytest

from statewise.bounds import bounds_of, required_bits
from statewise.bounds.other_models import OTHER_MODELS, other_models
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
    Parity,
)

SAME = "bits with a chain of thought: same"
RETRIEVAL = [SAME, "channels: O(1)", "bits of recurrent state: O(log n)", "chain-of-thought tokens: O(1)"]
TOKENS = "chain-of-thought tokens"


def shown(task, size):
    """The other models' bounds as unit and growth, `same` for the required bits, or the number."""
    required = required_bits(task, size)

    def amount(bound):
        return bound.growth or ("same" if bound.value == required.value else f"{bound.value:.4g}")

    return [f"{bound.unit}: {amount(bound)}" for bound in other_models(task, size, required)]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (IndexLookup(alphabet=16), ["channels: 14", *RETRIEVAL, "bits with a tool for recall: 13"]),
        (IndexLookup(alphabet=2), ["channels: 11", *RETRIEVAL]),
        (AssociativeRecall(), ["channels: 22", *RETRIEVAL]),
        (CGramRetrieval(), RETRIEVAL),
        (Counting(), RETRIEVAL),
        (Counting(threshold=3), RETRIEVAL),
        (MQAR(), ["channels: 24", SAME]),
        (NearestNeighbour(), [SAME, "channels: O(log n)"]),
        (Equality(), [SAME, "width x heads: 0.2805", "channels: O(log n)"]),
        (Equality(form="one-difference"), [SAME, "channels: O(log n)"]),
        (Equality(form="next-character"), [SAME]),
        (Disjointness(), [SAME, "width x heads: 0.2807", "channels: O(log n)"]),
        (Disjointness(interleaved=True), [SAME, "width x heads: 0.2807", "channels: O(log n)"]),
        (Dyck(), ["width x heads: 0.2793", "width x heads: o(n)"]),
        (Dyck(depth=3), ["width x heads: o(n)"]),
        (IsTree(), [SAME, f"{TOKENS}: 63", f"{TOKENS}: O(n log n)", f"{TOKENS}: 1158"]),
        (Parity(), []),
    ],
    ids=str,
)
def test_what_is_known_beyond_recurrent_readers_at_size_32(task, expected):
    assert shown(task, 32) == expected
    assert bounds_of(task, 32)[-1].unit == (expected[-1].split(":")[0] if expected else "layers")


@pytest.mark.parametrize("task", [task() for task in OTHER_MODELS], ids=str)
def test_each_names_a_paper_or_says_that_it_is_derived(task):
    for bound in other_models(task, 32, required_bits(task, 32)):
        assert "arXiv" in bound.source
        assert bound.error == "zero"


def test_nearest_neighbours_theorem_is_about_another_layout():
    (width,) = (bound for bound in bounds_of(NearestNeighbour(), 16) if bound.growth)
    assert "not this one" in width.assumes
    assert "faster than O(log n)" in width.assumes

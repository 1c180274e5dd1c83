"""What is proved about a task: its type picks the formulas, its fields fill them in."""

from collections.abc import Callable
from typing import Any

from statewise.bounds import (
    automata,
    c_gram,
    copying,
    counting,
    disjointness,
    dyck,
    equality,
    groups,
    histograms,
    index_lookup,
    induction,
    is_tree,
    missing_duplicate,
    nearest_neighbour,
    parity,
    real_dimension,
    recall,
)
from statewise.bounds.bound import Bound
from statewise.bounds.defined import require_bits, why_not_in_bits
from statewise.bounds.other_models import other_models
from statewise.core.errors import UsageError
from statewise.tasks import (
    MQAR,
    AssociativeRecall,
    BucketSort,
    CGramRetrieval,
    Copy,
    Counting,
    CycleNavigation,
    Disjointness,
    Dyck,
    Equality,
    EvenPairs,
    FuzzyRecall,
    InContextRegression,
    IndexLookup,
    Induction,
    IsTree,
    LinearAttentionTeacher,
    Majority,
    MajorityCount,
    MissingDuplicate,
    ModularArithmetic,
    NearestNeighbour,
    NoisyRecall,
    Parity,
    Permutations,
    SelectiveCopying,
    Task,
)


def _counting(task: Counting, size: int) -> Bound:
    if task.threshold is None:
        return counting.required_bits(size, task.alphabet)
    return counting.required_bits_of_threshold(size, task.alphabet, task.threshold)


def _missing_duplicate(task: MissingDuplicate, size: int) -> Bound:
    if task.layout == "chomsky":
        return missing_duplicate.masked_bits(task.alphabet)
    return missing_duplicate.broken_off_bits(size, task.alphabet)


REQUIRED: dict[type[Task], Callable[[Any, int], Bound]] = {
    IndexLookup: lambda task, size: index_lookup.required_bits(size, task.alphabet),
    Equality: lambda task, size: equality.required_bits(size, task.alphabet, task.form),
    Disjointness: lambda task, size: disjointness.required_bits(size, interleaved=task.interleaved),
    NearestNeighbour: lambda task, size: nearest_neighbour.required_bits(size, task.bits, task.labels),
    AssociativeRecall: lambda task, size: recall.associative_required_bits(size, task.values),
    MQAR: lambda task, size: recall.mqar_required_bits(size, task.values, replace_values=task.replace_values),
    Induction: lambda task, size: induction.required_bits(size, task.alphabet),
    FuzzyRecall: lambda task, size: recall.fuzzy_required_bits(
        size, task.keys, task.values, task.key_tokens, task.value_tokens
    ),
    NoisyRecall: lambda task, size: recall.fixed_values_required_bits(size, task.keys, task.values),
    CGramRetrieval: lambda task, size: c_gram.required_bits(size, task.alphabet, task.gram),
    Counting: _counting,
    IsTree: lambda _task, size: is_tree.required_bits(size),
    SelectiveCopying: lambda task, _size: copying.required_bits(task.data, task.symbols),
    Copy: lambda task, size: copying.required_bits(size, task.alphabet),
    MissingDuplicate: _missing_duplicate,
    BucketSort: lambda task, size: histograms.bucket_sort_bits(size, task.alphabet),
    Majority: lambda task, size: histograms.majority_bits(size, task.alphabet),
    MajorityCount: lambda task, size: histograms.majority_count_bits(size, task.alphabet),
    Dyck: lambda task, size: dyck.required_bits(size, task.types, task.depth),
    Parity: lambda _task, size: parity.required_bits(size),
    EvenPairs: lambda _task, size: automata.even_pairs_bits(size),
    CycleNavigation: lambda task, size: automata.cycle_navigation_bits(size, task.cycle),
    ModularArithmetic: lambda task, size: automata.modular_arithmetic_bits(size, task.modulus, times=task.times),
    Permutations: lambda task, size: groups.required_bits(size, task.order),
}
FURTHER: dict[type[Task], Callable[[Any, int], list[Bound]]] = {
    NearestNeighbour: lambda task, size: [nearest_neighbour.enough_bits(size, task.bits, task.labels)],
    AssociativeRecall: lambda task, size: [
        recall.cut_enough_bits(size, task.keys, task.values),
        recall.enough_bits(size, task.keys, task.values),
    ],
    MQAR: lambda task, size: [
        recall.mqar_enough_bits(size, task.keys, task.values, replace_values=task.replace_values)
    ],
    NoisyRecall: lambda task, _size: [recall.fixed_values_enough_bits(task.keys, task.values)],
    CGramRetrieval: lambda task, size: [c_gram.reader_bits(size, task.alphabet, task.gram)],
    IsTree: lambda _task, size: [is_tree.reader_bits(size)],
    MissingDuplicate: lambda task, _size: (
        [missing_duplicate.masked_sum_bits(task.alphabet)] if task.layout == "chomsky" else []
    ),
    Majority: lambda task, size: [histograms.histogram_bits(size, task.alphabet)],
    MajorityCount: lambda task, size: [histograms.histogram_bits(size, task.alphabet)],
    Dyck: lambda task, _size: [dyck.required_bits_all_lengths(task.types, task.depth)],
    Parity: lambda _task, _size: [parity.cannot_at_all_lengths()],
    EvenPairs: lambda _task, _size: [automata.even_pairs_bits_all_lengths()],
    InContextRegression: lambda task, _size: [
        real_dimension.regression(task.inputs_dim, task.outputs_dim),
        real_dimension.one_gradient_step(task.inputs_dim, task.outputs_dim),
    ],
    LinearAttentionTeacher: lambda task, size: [real_dimension.linear_attention(size, task.dim)],
}
BEST_ACCURACY: dict[type[Task], Callable[[Any, int, int], Bound]] = {
    IndexLookup: lambda task, size, bits: index_lookup.best_accuracy(size, task.alphabet, bits),
    Copy: lambda task, size, bits: copying.best_accuracy(size, task.alphabet, bits),
    SelectiveCopying: lambda task, _size, bits: copying.best_accuracy(task.data, task.symbols, bits),
    AssociativeRecall: lambda task, size, bits: recall.best_accuracy(size, task.values, bits),
    MQAR: lambda task, size, bits: recall.best_accuracy(size, task.values, bits, replace_values=task.replace_values),
    Permutations: lambda task, size, bits: groups.best_accuracy(size, task.order, bits),
}
"""Limits on the accuracy under a task's own sampler, of a state with so many bits."""


def required_bits(task: Task, size: int) -> Bound:
    """Bits of state that any recurrent reader needs to be right on every input of this size.

    A task for which bits are not defined (text, real vectors), one without a closed form, and a size that the task does
    not have are UsageErrors.
    Sources and proofs: with the formulas, in the modules of REQUIRED.

    >>> required_bits(IndexLookup(alphabet=16), size=32).value
    128.0
    """
    require_bits(task)
    if type(task) not in REQUIRED:
        raise UsageError(
            f"required_bits: no closed form is proved for {task.name}, only for {_known()}; count_required_bits counts "
            "it at small sizes"
        )
    task.check_size(size)
    return _with_a_number(REQUIRED[type(task)](task, size))


def best_accuracy(task: Task, size: int, state_bits: int) -> Bound | None:
    """The token accuracy that no recurrent reader with `state_bits` bits exceeds on the task's own samples.

    None where no bound on average accuracy is proved: a bound at zero error says nothing about a measured accuracy
    below 100 %. Sources and proofs: with the formulas, in the modules of BEST_ACCURACY. Each holds for every query,
    whatever their number.

    >>> round(best_accuracy(IndexLookup(alphabet=16), size=64, state_bits=128).value, 3)
    0.697
    >>> best_accuracy(Parity(), size=64, state_bits=0) is None
    True
    """
    proved = BEST_ACCURACY.get(type(task))
    return None if proved is None else _with_a_number(proved(task, size, state_bits))


def limit_at_all_lengths(task: Task, *, non_negative_decay: bool, positions: str) -> Bound | None:
    """What no stack of this kind does at all lengths, however deep it is; None where nothing is proved.

    non_negative_decay  whether *every* mixer of the stack is a linear recurrence whose decay is diagonal,
                        non-negative and a function of the input alone
    positions           how the model codes positions; the proof needs "none"

    Finite precision is assumed: true of every model in floating point. Source and proof:
    `parity.cannot_at_all_lengths`.

    >>> limit_at_all_lengths(Parity(), non_negative_decay=True, positions="none").claim
    'layers: no number is enough'
    >>> limit_at_all_lengths(Parity(), non_negative_decay=True, positions="learned") is None
    True
    """
    if isinstance(task, Parity) and non_negative_decay and positions == "none":
        return parity.cannot_at_all_lengths()
    return None


def bounds_of(task: Task, size: int) -> list[Bound]:
    """Everything that is proved about the task at this size, in the order to print.

    Required bits come first, then what is enough, then what attention, a chain of thought or a tool changes. Where bits
    are not defined real dimensions take their place, and nothing is proved about text. Raises as `required_bits` does
    otherwise. Limits on accuracy need a number of state bits: see `best_accuracy`.

    >>> [bound.claim for bound in bounds_of(IndexLookup(alphabet=16), size=64)][:2]
    ['bits: at least 256', 'channels: 16 is enough']
    >>> bounds_of(InContextRegression(), size=12)[0].claim
    'real dimensions: at least 9'
    """
    task.check_size(size)
    also = FURTHER.get(type(task))
    further = [] if also is None else also(task, size)
    if why_not_in_bits(task) is not None:
        return further
    required = required_bits(task, size)
    return [required, *further, *other_models(task, size, required)]


def _with_a_number(bound: Bound) -> Bound:
    """The bound, which a verdict is to rest on."""
    assert not bound.growth, f"{bound.claim}: no verdict can rest on it"
    return bound


def _known() -> str:
    return ", ".join(task.name for task in REQUIRED)

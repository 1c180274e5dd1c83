"""What is proved about a task: its type picks the formulas, its fields fill them in."""

from collections.abc import Callable
from typing import Any

from statewise.bounds import dyck, index_lookup, parity
from statewise.bounds.bound import Bound
from statewise.core.errors import UsageError
from statewise.tasks import Dyck, IndexLookup, Parity, Task


def _further_dyck(task: Dyck, size: int) -> list[Bound]:
    every_length = dyck.required_bits_all_lengths(task.types, task.depth)
    if not dyck.proved_for_attention(task.types, task.depth):
        return [every_length]
    return [every_length, dyck.attention_layer_size(size, task.types, task.depth)]


REQUIRED: dict[type[Task], Callable[[Any, int], Bound]] = {
    IndexLookup: lambda task, size: index_lookup.required_bits(size, task.alphabet),
    Dyck: lambda task, size: dyck.required_bits(size, task.types, task.depth),
    Parity: lambda _task, size: parity.required_bits(size),
}
FURTHER: dict[type[Task], Callable[[Any, int], list[Bound]]] = {
    IndexLookup: lambda task, size: [index_lookup.attention_width(size, task.alphabet)],
    Dyck: _further_dyck,
    Parity: lambda _task, _size: [parity.cannot_at_all_lengths()],
}


def required_bits(task: Task, size: int) -> Bound:
    """Bits of state that any recurrent reader needs to be right on every input of this size.

    A task without a rule, one without a closed form, and a size that the task does not have are UsageErrors.
    Sources and proofs: `index_lookup.required_bits`, `dyck.required_bits`, `parity.required_bits`.

    >>> required_bits(IndexLookup(alphabet=16), size=32).value
    128.0
    """
    if not task.has_rule:
        raise UsageError(f"{task.name} has no rule, so no bits are required: bounds are known for {_known()}")
    if type(task) not in REQUIRED:
        raise UsageError(f"required_bits: no closed form is proved for {task.name}, only for {_known()}")
    return REQUIRED[type(task)](task, size)


def best_accuracy(task: Task, size: int, state_bits: int) -> Bound | None:
    """The token accuracy that no recurrent reader with `state_bits` bits exceeds on the task's own samples.

    None where no bound on average accuracy is proved, as everywhere but in index lookup: a bound at zero
    error says nothing about a measured accuracy below 100 %. Source and proof: `index_lookup.best_accuracy`,
    which holds for each query, whatever their number.

    >>> round(best_accuracy(IndexLookup(alphabet=16), size=64, state_bits=128).value, 3)
    0.697
    >>> best_accuracy(Parity(), size=64, state_bits=0) is None
    True
    """
    if isinstance(task, IndexLookup):
        return index_lookup.best_accuracy(size, task.alphabet, state_bits)
    return None


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
    """Everything that is proved about the task at this size, required bits first, in the order to print.

    Raises as `required_bits` does. Limits on accuracy need a number of state bits: see `best_accuracy`.

    >>> [bound.claim for bound in bounds_of(IndexLookup(alphabet=16), size=64)]
    ['bits: at least 256', 'channels: 16 is enough']
    """
    return [required_bits(task, size), *FURTHER[type(task)](task, size)]


def _known() -> str:
    return ", ".join(task.name for task in REQUIRED)

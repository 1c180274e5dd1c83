"""INDEX as a meter: how many bits of a random string can be read back out of a state.

Fix the parameters. Draw x_1 … x_n uniform over k symbols. Run the string, take the state S before any query,
write it to bytes, load it into a fresh copy of the model, which never saw the string, and ask every place. For
every predictor Q,

    Σ_p (log2 k − E[−log2 Q_p(x_p | S)])  ≤  I(x; S)  ≤  H(S)  ≤  bits of S

since H(x_p) = log2 k exactly, the places are independent, and a predictor's cross-entropy is at least the
conditional entropy. Q is the model's softmax over the k symbols mixed with the uniform distribution,
(1 − ε) Q + ε/k, so that one confident mistake costs at most log2(k/ε) bits. The string is the unit of resampling.

E is over strings. Of random ones the mean is an estimate, and claims need its confidence limit. Where every one of the
k^n strings is read once, the mean is E itself, and the inequality holds for it with no statistics.

Only the bytes cross over: structure and shapes of the state are those that another copy has after as many
symbols 0, and a position counter is what has the same value there. The sequences of a batch must be computed apart
from each other, as they are in training; which string stands where in it is random.

The measure is what random access recovers, not all that is held: a state that keeps only a parity reads 0.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from statewise.capacity.nested import check_batch, filled, tensors_of
from statewise.capacity.reading import Reading, chance_of, reading_of
from statewise.capacity.running import check_logits, one_step, state_after
from statewise.capacity.strings import strings_to_read
from statewise.core.errors import UsageError
from statewise.core.state import from_bytes, leaves, map_state, state_bits, to_bytes
from statewise.models import ModelState
from statewise.tasks import IndexLookup

MOST_BRANCHES = 4096
"""Sequences that are stepped at once while every place is asked."""

MOST_READ = 1024
"""Strings that are read at once."""


def measure(
    model: Any,
    *,
    alphabet: int = 16,
    sizes: tuple[int, ...] = (8, 16, 32),
    strings: int | None = 256,
    seed: int = 0,
    at_once: int = MOST_BRANCHES,
) -> list[Reading]:
    """Read index lookup back out of `model`'s state, at each size.

    model     trained on `IndexLookup(alphabet)`: symbols 0 … k-1, the query of place p is token k + p. Its state is
              counted where it has `step(token, state)`: token (B,) int64 → logits (B, V) and the state, tensors with
              the batch as first axis in tuples, lists and dicts. The string is read by calling it where that gives
              (logits, state), and else step by step from `initial_state(batch_size)`, or from None without it.
              Any other callable, tokens (B, T) int64 → logits (B, T, V), is asked each place after the whole string,
              and its state is not counted
    alphabet  k, at least 2
    strings   how many random strings, at least 2; the confidence limit tightens with their number. None is every
              string, each once, which the 2^16 that can be read must hold (UsageError otherwise); so is any number of
              at least k^n. The reading is then exact
    at_once   sequences that are stepped at once, at least 1: fewer take less memory, and change no reading but in the
              last digits

    The limits hold at all sizes together with 95 % confidence. O(strings · Σ size²) steps for a recurrent model.

    >>> from statewise.models import LanguageModel
    >>> model = LanguageModel(vocabulary=6, width=2)
    >>> [(reading.state_bits, reading.exact) for reading in measure(model, alphabet=4, sizes=(2,), strings=None)]
    [(64, True)]
    """
    task = IndexLookup(alphabet=alphabet)
    if not (hasattr(model, "step") or callable(model)):
        raise UsageError(
            f"capacity: the model is a {type(model).__name__}; it must have step(token, state), or be a callable "
            "tokens (B, T) -> logits (B, T, V)"
        )
    read: Callable[..., Reading] = read_index_lookup if hasattr(model, "step") else read_without_state
    readings = []
    for size in sizes:
        try:
            readings.append(read(model, task, size, strings=strings, seed=seed, among=len(sizes), at_once=at_once))
        except IndexError as error:
            raise UsageError(
                f"capacity: the model failed on a string of {size} symbols: {error}. With alphabet {alphabet} and size "
                f"{size} tokens run to {alphabet + size - 1}, so its vocabulary must be at least {alphabet + size}"
            ) from error
    return readings


@torch.no_grad()
def read_index_lookup(
    model: Any,
    task: IndexLookup,
    size: int,
    *,
    strings: int | None,
    seed: int,
    among: int = 1,
    at_once: int = MOST_BRANCHES,
) -> Reading:
    """The meter at one size on a model with a state, on strings of the capacity split, which nothing is trained or
    selected on, or on every string.

    among  how many sizes are measured: the confidence of the limit is that of all together
    """
    symbols, exact = strings_to_read(task, size, strings, seed)
    untouched = copy.deepcopy(model)
    at_a_time = min(MOST_READ, at_once)
    pieces = [read_some(model, untouched, some, task.alphabet, at_once) for some in symbols.split(at_a_time)]
    everything, counts = pieces[0].bits, map(all, zip(*(piece.counters for piece in pieces), strict=True))
    apart = sum(bits for bits, counter in zip(everything, counts, strict=True) if counter)
    chances = torch.cat([piece.chances for piece in pieces])
    return reading_of(chances, task.alphabet, sum(everything) - apart, apart, among, exact=exact)


class Piece(NamedTuple):
    """Some of the strings, read.

    chances   (strings, n), given to the true symbols, mixed already
    bits      of one sequence, for each tensor of the state
    counters  whether that tensor counts
    """

    chances: Tensor
    bits: list[int]
    counters: list[bool]


def read_some(model: Any, untouched: Any, symbols: Tensor, alphabet: int, at_once: int = MOST_BRANCHES) -> Piece:
    """Read strings with `model`, hand its state over as bytes, and ask a copy of `untouched`, which saw no string."""
    fresh = copy.deepcopy(untouched)
    like = state_after(copy.deepcopy(untouched), torch.zeros_like(symbols), alphabet)
    check_batch(like, len(symbols))
    plain = tuple(leaf for _, leaf in tensors_of(like, like=like))
    seen = tuple(leaf for _, leaf in tensors_of(state_after(model, symbols, alphabet), like=like))
    held = from_bytes(to_bytes(seen), like=plain)
    chances = torch.cat(list(ask_every_place(fresh, held, like, symbols, alphabet, at_once)))
    return Piece(chances, [state_bits(leaf) for leaf in held], counters_of(held, plain))


@torch.no_grad()
def read_without_state(
    model: Callable[[Tensor], Tensor],
    task: IndexLookup,
    size: int,
    *,
    strings: int | None,
    seed: int,
    among: int = 1,
    at_once: int = MOST_BRANCHES,
) -> Reading:
    """The meter on tokens (B, T) → logits (B, T, V): every string with every query behind it, as one sequence."""
    symbols, exact = strings_to_read(task, size, strings, seed)
    queries = task.alphabet + torch.arange(size)
    pieces = []
    for some in symbols.split(max(1, at_once // size)):
        asked = torch.cat([some.repeat_interleave(size, 0), queries.repeat(len(some))[:, None]], 1)
        logits = model(asked)
        check_logits(logits, asked, task.alphabet)
        pieces.append(chance_of(logits[:, -1], some, task.alphabet))
    return reading_of(torch.cat(pieces), task.alphabet, None, 0, among, exact=exact)


def count_state_bits(state: ModelState, *, other: ModelState | None = None) -> tuple[int, int]:
    """Bits of one sequence's state, and apart from them those of its position counters.

    other  the state after as many other tokens, which a counter must be the same in too

    A counter is an integer tensor that is the same for every sequence of the batch, whatever they say: a place,
    a cache's first token. It is a function of how much was read, so it holds nothing about what was read.
    """
    held = list(leaves(state))
    counters = counters_of(held, held if other is None else leaves(other))
    apart = sum(state_bits(leaf) for leaf, counter in zip(held, counters, strict=True) if counter)
    return state_bits(state) - apart, apart


def counters_of(held: Iterable[Tensor], others: Iterable[Tensor]) -> list[bool]:
    """Which tensors of a state count, going by them after as many other tokens."""
    return [
        not leaf.is_floating_point() and not leaf.is_complex() and bool((leaf == other[:1]).all())
        for leaf, other in zip(held, others, strict=True)
    ]


def ask_every_place(
    model: Any, held: tuple[Tensor, ...], like: Any, symbols: Tensor, alphabet: int, at_once: int = MOST_BRANCHES
) -> Iterator[Tensor]:
    """Chance given to the true symbol at every place: pieces of (strings, n), in the order of the strings.

    held  the tensors of the state
    like  a state whose structure they are put into
    """
    strings, size = symbols.shape
    queries = alphabet + torch.arange(size)
    piece = max(1, at_once // size)
    for begin in range(0, strings, piece):
        some = slice(begin, begin + piece)
        branches = map_state(partial(branch, some=some, copies=size), held)
        tokens = queries.repeat(len(symbols[some]))
        logits, _ = one_step(model, tokens, filled(like, iter(branches)), alphabet)
        yield chance_of(logits, symbols[some], alphabet)


def branch(leaf: Tensor, *, some: slice, copies: int) -> Tensor:
    """Some sequences of a state's tensor, each repeated `copies` times in a row."""
    return leaf[some].repeat_interleave(copies, 0)

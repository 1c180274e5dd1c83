"""The laws of a task. Each takes a task and sizes of it, and raises AssertionError where one is broken.

B examples, T tokens; C channels of a token and O of an answer where they are vectors. Laws of `solve`, `chance` and
`inputs` ask nothing of tasks without a rule, and laws of ids nothing of tasks over vectors.
"""

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, pairwise

import numpy as np
import torch
from torch import Tensor

from statewise.core.config import canonical
from statewise.core.errors import UsageError
from statewise.core.random import SPLITS, seeded
from statewise.tasks import UNSCORED, Batch, Task, VectorTask

FEW, MANY = 48, 4096

DEVIATIONS = 5.0
"""Standard errors by which an accuracy may miss chance: once in two million draws, times the answers tried."""

Law = Callable[[Task, Sequence[int]], None]


def check_task(task: Task, sizes: Sequence[int] | None = None) -> None:
    """Hold every law of TASK_LAWS against a task.

    sizes  of the task, ascending; None is its two smallest and about the sixth. At small ones `inputs` lists every
           input, and more is checked

    >>> from statewise.tasks import Parity
    >>> check_task(Parity(), sizes=(1, 5))
    """
    for law in TASK_LAWS.values():
        law(task, small_sizes(task) if sizes is None else sizes)


def small_sizes(task: Task) -> tuple[int, ...]:
    """The two smallest sizes that the task has, and one a little larger."""
    accepted = (size for size in count(task.size_step, task.size_step) if has_size(task, size))
    first, second = next(accepted), next(accepted)
    return first, second, max(6 * task.size_step, second + task.size_step)


def has_size(task: Task, size: int) -> bool:
    """Whether the task has examples of this size."""
    try:
        task.check_size(size)
    except UsageError:
        return False
    return True


def splits_of(task: Task) -> tuple[str, ...]:
    """The splits that differ: data without a rule have no part of their own for the meter."""
    return tuple(SPLITS) if task.measure != "nats" else ("train", "validation", "test")


def drawn(task: Task, split: str, size: int, *, seed: int = 0, start: int = 0, count: int = FEW) -> Batch:
    """Examples of a split, as many of `count` as it has from `start` on."""
    available = task.num_examples(split, size)
    count = count if available is None else min(count, available - start)
    return task.examples(split, seed=seed, start=start, count=count, size=size)


def batches(task: Task, sizes: Sequence[int]) -> Iterator[tuple[str, int, Batch]]:
    """A batch of every kind, with words that say which: of every split, from `sample`, and without examples."""
    for size in sizes:
        for split in SPLITS:
            yield f"{split}, size {size}", size, drawn(task, split, size)
        yield f"sample, size {size}", size, task.sample(torch.Generator().manual_seed(0), FEW, size)
        yield f"no examples, size {size}", size, drawn(task, "train", size, count=0)


def listed(task: Task, size: int) -> Tensor | None:
    """Every input of a size as rows (N, T), or None where they are not listed."""
    inputs = task.inputs(size)
    return None if inputs is None else torch.stack(list(inputs))


def ever_scored(task: Task, size: int) -> list[int]:
    """The positions that are scored in some example."""
    positions: list[int] = drawn(task, "train", size, count=MANY).scored.any(0).nonzero().flatten().tolist()
    return positions


def solved(task: Task, tokens: Tensor) -> Tensor:
    """What `solve` says about tokens (N, T) alone."""
    return task.solve(Batch(tokens, torch.full_like(tokens, UNSCORED), torch.zeros_like(tokens, dtype=torch.bool)))


def global_states() -> dict[str, str]:
    """Where the generators stand that nothing of ours may touch."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    return {"torch": str(torch.get_rng_state().tolist()), "NumPy": repr(numpy_state), "Python": repr(random.getstate())}


def assert_same(name: str, one: Batch, other: Batch) -> None:
    """Raise unless two batches hold the same numbers."""
    for part, left, right in zip(Batch._fields, one, other, strict=True):
        same = left is right is None or (left is not None and right is not None and torch.equal(left, right))
        assert same, f"{name}: {part} differ"


def is_a_frozen_dataclass_with_a_name(task: Task, sizes: Sequence[int]) -> None:
    """Its fields are its whole configuration: frozen, compared by them, and named by them in a run's record."""
    kind = type(task)
    assert dataclasses.is_dataclass(task), f"{kind.__name__} is not a dataclass"
    assert kind.__dataclass_params__.frozen, f"{kind.__name__} is a dataclass that is not frozen"
    assert dataclasses.replace(task) == task, f"two {kind.__name__} with the same fields are not equal"
    identity = task.identity()
    missing = {"name", *(field.name for field in dataclasses.fields(task))} - set(identity)
    assert not missing, f"identity() leaves out {sorted(missing)}"
    assert identity["name"] == task.name, f"identity() says {identity['name']!r}, the task {task.name!r}"
    canonical(identity)


def batches_have_their_shapes(task: Task, sizes: Sequence[int]) -> None:
    """tokens and targets (B, T) int64, scored and reset (B, T) bool, T = length(size); none is a view of another.

    Vectors are (B, T, C) and (B, T, O) float32.
    """
    number = torch.float32 if isinstance(task, VectorTask) else torch.int64
    per_token = [(channels,) for channels in task.channels] if isinstance(task, VectorTask) else [(), ()]
    for name, size, batch in batches(task, sizes):
        shape = (len(batch.tokens), task.length(size))
        parts = [part for part in batch if part is not None]
        kinds = zip(Batch._fields, parts, (number, number, torch.bool, torch.bool), (*per_token, (), ()), strict=False)
        for part, tensor, dtype, own in kinds:
            found = f"{name}: {part} {tuple(tensor.shape)} {tensor.dtype}"
            assert tensor.dtype == dtype, f"{found}, expected {dtype}"
            assert tuple(tensor.shape) == (*shape, *own), f"{found}, expected {(*shape, *own)}"
        places = {tensor.untyped_storage().data_ptr() for tensor in parts if tensor.numel()}
        assert len(places) in (0, len(parts)), f"{name}: tokens, targets and scored share memory"


def ids_are_below_the_vocabulary(task: Task, sizes: Sequence[int]) -> None:
    """Tokens and scored targets lie in [0, vocabulary(size)); vectors are finite, and there is no vocabulary."""
    for name, size, batch in batches(task, sizes):
        if isinstance(task, VectorTask):
            assert task.vocabulary(size) == 0, f"size {size}: vectors have a vocabulary of {task.vocabulary(size)}"
            assert all(bool(part.isfinite().all()) for part in (batch.tokens, batch.targets)), (
                f"{name}: a number is not finite"
            )
            continue
        vocabulary = task.vocabulary(size)
        for part, ids in (("token", batch.tokens.flatten()), ("scored target", batch.targets[batch.scored])):
            strays = ids[(ids < 0) | (ids >= vocabulary)].tolist()
            assert not strays, f"{name}: {part} {strays[0]} is not in [0, {vocabulary})"


def targets_are_unscored_where_nothing_is_asked(task: Task, sizes: Sequence[int]) -> None:
    """UNSCORED exactly where not scored (for vectors 0, at least there), and every example asks something."""
    for name, _, batch in batches(task, sizes):
        nothing = (batch.targets == 0).all(-1) if isinstance(task, VectorTask) else batch.targets == UNSCORED
        strange = ~nothing & ~batch.scored if isinstance(task, VectorTask) else nothing == batch.scored
        for row, t in strange.nonzero().tolist():
            target, scored = batch.targets[row, t].tolist(), bool(batch.scored[row, t])
            raise AssertionError(f"{name}: the target at {t} of example {row} is {target}, scored {scored}")
        assert bool(batch.scored.any(1).all()), f"{name}: an example has no scored position"


def the_rule_is_right(task: Task, sizes: Sequence[int]) -> None:
    """`solve` gives the target at every scored position; a task without a rule refuses."""
    for name, _, batch in batches(task, sizes):
        if task.measure == "nats":
            assert refusal(partial(task.solve, batch)), f"{name}: solve answers, though its measure is nats"
            continue
        answers = task.solve(batch)
        found = f"{tuple(answers.shape)} {answers.dtype}"
        assert answers.shape == batch.targets.shape, f"{name}: solve gave {found}"
        assert answers.dtype == batch.targets.dtype, f"{name}: solve gave {found}"
        for row, t in (~task.agree(answers, batch.targets) & batch.scored).nonzero().tolist():
            got, expected, tokens = (part[row].tolist() for part in (answers[:, t], batch.targets[:, t], batch.tokens))
            raise AssertionError(f"{name}: at {t} of {tokens} solve says {got}, the target is {expected}")


def the_rule_reads_tokens_alone(task: Task, sizes: Sequence[int]) -> None:
    """`solve` looks neither at targets and scored nor at other examples, and writes to nothing it is given."""
    for size in sizes if task.measure != "nats" else ():
        batch = drawn(task, "train", size)
        kept = batch.map(torch.clone)
        answers = task.solve(batch).clone()
        assert_same(f"size {size}, after solve", batch, kept)
        for scored in (batch.scored, ~batch.scored):
            scrambled = Batch(batch.tokens, batch.targets + 1, scored)
            again = task.agree(task.solve(scrambled), answers)
            assert bool(again.all()), f"size {size}: solve looks at targets or scored"
        alone = task.agree(task.solve(batch.map(lambda part: part[:1])), answers[:1])
        assert bool(alone.all()), f"size {size}: solve looks at other examples"


def targets_depend_on_what_was_read(task: Task, sizes: Sequence[int]) -> None:
    """Inputs that agree up to t have the same target at t, where both score it; checked where inputs are listed.

    If it varies from input to input which positions are scored, `solve` must give UNSCORED at the others.
    """
    for size in sizes:
        tokens = listed(task, size)
        if tokens is None:
            continue
        rows, targets = tokens.tolist(), solved(task, tokens)
        for t in ever_scored(task, size):
            answers: dict[tuple[int, ...], int] = {}
            for row, target in zip(rows, targets[:, t].tolist(), strict=True):
                read = tuple(row[: t + 1])
                first = target if target == UNSCORED else answers.setdefault(read, target)
                both = f"{first} or {target}, by what follows"
                assert first == target, f"size {size}: after {list(read)} the target is {both}"


def examples_are_valid_inputs(task: Task, sizes: Sequence[int]) -> None:
    """Every example is `valid`, and among the `inputs` where they are listed; negative tokens are not valid."""
    lists = {size: listed(task, size) for size in sizes}
    known = {size: {tuple(row) for row in rows.tolist()} for size, rows in lists.items() if rows is not None}
    for name, size, batch in batches(task, sizes):
        for row in batch.tokens:
            assert task.valid(row), f"{name}: example {row.tolist()} is not valid"
            found = size not in known or tuple(row.tolist()) in known[size]
            assert found, f"{name}: example {row.tolist()} is not among inputs({size})"
        assert not task.valid(torch.full((task.length(size),), -1)), f"size {size}: tokens -1 are valid"


def listed_inputs_are_valid_distinct_and_solved(task: Task, sizes: Sequence[int]) -> None:
    """`inputs` lists (T,) int64 tokens, each once and each valid, and `solve` answers from the vocabulary."""
    for size in sizes:
        tokens = listed(task, size)
        if tokens is None:
            continue
        assert task.measure == "accuracy", f"size {size}: inputs are listed, though its measure is {task.measure}"
        assert tokens.dtype == torch.int64, f"inputs({size}): {tokens.dtype}"
        assert tokens.shape[1:] == (task.length(size),), f"inputs({size}): {tuple(tokens.shape[1:])} tokens each"
        distinct = len({tuple(row) for row in tokens.tolist()})
        assert distinct == len(tokens), f"inputs({size}): {len(tokens)} inputs, {distinct} of them distinct"
        for row in tokens:
            assert task.valid(row), f"inputs({size}): {row.tolist()} is not valid"
        answers = solved(task, tokens)[:, ever_scored(task, size)]
        strange = (answers != UNSCORED) & ((answers < 0) | (answers >= task.vocabulary(size)))
        assert not bool(strange.any()), f"inputs({size}): solve gave {answers[strange].tolist()[0]}"


def examples_are_a_function_of_their_index(task: Task, sizes: Sequence[int]) -> None:
    """The same bits in every batch and every order, whatever torch's global generator holds."""
    for size in sizes:
        for split in SPLITS:
            whole = drawn(task, split, size, count=7)
            count = len(whole.tokens)
            for pieces in ([(i, i + 1) for i in reversed(range(count))], [(count // 3, count), (0, count // 3)]):
                with seeded(len(pieces)):
                    parts = {a: drawn(task, split, size, start=a, count=b - a) for a, b in pieces if a < b}
                joined = Batch.joined([parts[a] for a in sorted(parts)])
                assert_same(f"{split}, size {size}, in pieces", joined, whole)


def splits_seeds_and_sizes_differ(task: Task, sizes: Sequence[int]) -> None:
    """Examples of two splits, seeds, sizes or ranges of the index are not the same ones."""
    for size in sizes:
        kinds = {split: drawn(task, split, size) for split in splits_of(task)}
        kinds |= {"another seed": drawn(task, "train", size, seed=1), "later": drawn(task, "train", size, start=FEW)}
        for i, (name, batch) in enumerate(kinds.items()):
            for other, twin in list(kinds.items())[:i]:
                count = min(len(batch.tokens), len(twin.tokens))
                same = torch.equal(batch.tokens[:count], twin.tokens[:count])
                assert not same, f"size {size}: {name} has the examples of {other}"
    for small, large in pairwise(sizes):
        narrow, wide = (drawn(task, "train", size).tokens for size in (small, large))
        if len(narrow.unique(dim=0)) > 1:
            same = torch.equal(narrow, wide[:, : narrow.shape[1]])
            assert not same, f"examples of size {large} begin with those of size {small}"


def sample_depends_on_its_generator_alone(task: Task, sizes: Sequence[int]) -> None:
    """A generator of torch or NumPy in the same state gives the same batch, moves on, and is the only one that does."""
    before = global_states()
    for size in sizes:
        for kind in (lambda: torch.Generator().manual_seed(5), lambda: np.random.default_rng(5)):
            one, other = kind(), kind()
            first = task.sample(one, FEW, size)
            name = f"sample from {type(one).__name__}, size {size}"
            assert_same(name, first, task.sample(other, FEW, size))
            second = task.sample(one, FEW, size)
            assert_same(f"{name}, second batch", second, task.sample(other, FEW, size))
            assert not torch.equal(first.tokens, second.tokens), f"{name}: the second batch is the first"
    for whose, state in global_states().items():
        assert state == before[whose], f"sample draws from the global generator of {whose}"


def chance_is_the_best_constant_answer(task: Task, sizes: Sequence[int]) -> None:
    """The best constant answer over many examples is as good as `chance` says, to sampling error."""
    for size in sizes if task.measure != "nats" else ():
        batch = drawn(task, "train", size, count=MANY)
        best = errors_of_mean(batch) if isinstance(task, VectorTask) else rates_of_best_id(batch)
        error = DEVIATIONS * float(best.std()) / MANY**0.5 + 1e-9
        found, said = float(best.mean()), task.chance(size)
        assert abs(found - said) <= error, f"size {size}: a constant is right at {found:.4f}, chance says {said:.4f}"


def rates_of_best_id(batch: Batch) -> Tensor:
    """Share of each example's scored tokens (B,) at which the one id is right that is right most often."""
    answers = batch.targets[batch.scored].unique().tolist()
    rates: list[Tensor] = [(batch.targets == answer).sum(1).double() / batch.scored.sum(1) for answer in answers]
    return max(rates, key=lambda rate: float(rate.mean()))


def errors_of_mean(batch: Batch) -> Tensor:
    """Mean squared error (B,) of each example's scored tokens against the mean of all."""
    mean = batch.targets[batch.scored].double().mean(0)
    errors = (batch.targets - mean).square().mean(-1) * batch.scored
    mean_errors: Tensor = errors.sum(1) / batch.scored.sum(1)
    return mean_errors


def the_cut_lies_in_the_input(task: Task, sizes: Sequence[int]) -> None:
    """0 ≤ cut(size) ≤ length(size)."""
    for size in sizes:
        assert 0 <= task.cut(size) <= task.length(size), f"size {size}: cut {task.cut(size)} of {task.length(size)}"


def sizes_that_do_not_exist_are_refused(task: Task, sizes: Sequence[int]) -> None:
    """0, negative sizes and no multiples of `size_step` are UsageErrors that say the size, wherever it is passed."""
    step = task.size_step
    for size in (0, -1, -step, *(max(sizes) + rest for rest in range(1, step))):
        for call in (
            partial(task.check_size, size),
            partial(task.sample, torch.Generator(), 1, size),
            partial(task.examples, "train", seed=0, start=0, count=1, size=size),
        ):
            message = refusal(call)
            assert message, f"{call.func.__name__}: size {size} is accepted"
            assert f"size is {size}" in message, f"{call.func.__name__}: the message lacks 'size is {size}': {message}"


def refusal(call: Callable[[], object]) -> str:
    """The message of the UsageError that a call raises; nothing, if it raises none."""
    try:
        call()
    except UsageError as error:
        return str(error)
    return ""


TASK_LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        is_a_frozen_dataclass_with_a_name,
        batches_have_their_shapes,
        ids_are_below_the_vocabulary,
        targets_are_unscored_where_nothing_is_asked,
        the_rule_is_right,
        the_rule_reads_tokens_alone,
        targets_depend_on_what_was_read,
        examples_are_valid_inputs,
        listed_inputs_are_valid_distinct_and_solved,
        examples_are_a_function_of_their_index,
        splits_seeds_and_sizes_differ,
        sample_depends_on_its_generator_alone,
        chance_is_the_best_constant_answer,
        the_cut_lies_in_the_input,
        sizes_that_do_not_exist_are_refused,
    )
}

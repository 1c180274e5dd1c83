"""The family of scans as a table, inputs for its members, and what autograd makes of their references in float64."""

import os
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from math import gcd
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from statewise import _kernels
from statewise.ops import (
    SoftmaxState,
    linear_scan,
    min_gru_scan,
    min_gru_scan_packed,
    min_lstm_scan,
    min_lstm_scan_packed,
    softmax_scan,
)
from statewise.ops.choice import has_triton
from statewise.ops.gated_scan.gates import ACTIVATIONS, MinGru, MinLstm
from statewise.ops.gated_scan.reference import gated_scan
from statewise.ops.linear_scan import reference as linear_reference
from statewise.ops.softmax_scan import reference as softmax_reference
from statewise.testing.compare import assert_close, assert_same_bits

Tensors = tuple[Tensor, ...]
REAL = (torch.bfloat16, torch.float32, torch.float64)


def has_interpreter() -> bool:
    """Whether Triton's kernels run on CPU tensors: it is installed, and tests/conftest.py came before its import."""
    return has_triton() and os.environ.get("TRITON_INTERPRET") == "1"


WHERE_INSTALLED = pytest.mark.skipif(not has_interpreter(), reason="triton is not installed")
TRITON = pytest.param("triton", marks=[WHERE_INSTALLED, pytest.mark.slow])
TRITON_ON_LITTLE = pytest.param("triton", marks=WHERE_INSTALLED)
"""For tests of a few steps: every kernel is run by them, and by the slow ones at its corners."""
SETS = tuple(f"cpu {name}" for name in _kernels.instruction_sets())
CPU = ("reference", *SETS)
KERNELS = (*CPU, TRITON)
"""As `running` takes them. The interpreter of "triton" needs milliseconds a step, so it is slow."""


@contextmanager
def running(kernel):
    """What to pass as `kernel` to run "reference", "triton", or the CPU kernel of one instruction set, "cpu avx2"."""
    name, _, instruction_set = kernel.partition(" ")
    with pytest.MonkeyPatch.context() as patch:
        if instruction_set:
            patch.setattr(_kernels, "instruction_sets", lambda: [instruction_set])
        yield name


class Scan(NamedTuple):
    """One scan's arguments: inputs (B, T, …) and the parts of the initial state (B, …), reset (B, T)."""

    inputs: Tensors
    initial: Tensors | None = None
    reset: Tensor | None = None

    def map(self, function) -> "Scan":
        """The scan with `function` applied to inputs and initial state."""
        initial = None if self.initial is None else tuple(map(function, self.initial))
        return Scan(tuple(map(function, self.inputs)), initial, self.reset)

    def leaves(self) -> Tensors:
        """Inputs, then the initial state: what has gradients."""
        return self.inputs + (self.initial or ())

    def tokens(self, begin: int | None, end: int | None) -> "Scan":
        """The tokens from begin to end, before which the initial state is the same."""
        at = slice(begin, end)
        return Scan(
            tuple(each[:, at] for each in self.inputs), self.initial, None if self.reset is None else self.reset[:, at]
        )


class Recurrence(NamedTuple):
    """One member of the family in one form.

    inputs     names of the inputs, state those of the parts of a state
    door       (inputs, initial, reset, kernel) to the outputs, then the parts of the final state
    reference  (inputs, initial, reset) to the same, by plain PyTorch that autograd differentiates
    draw       (normal, B, T, D) to (inputs, initial), with normal(*shape) random numbers; |decay| below 1
    """

    inputs: tuple[str, ...]
    state: tuple[str, ...]
    door: Callable[..., Tensors]
    reference: Callable[..., Tensors]
    draw: Callable[..., tuple[Tensors, Tensors]]
    dtypes: tuple[torch.dtype, ...] = REAL

    @property
    def names(self):
        """Names of what has gradients."""
        return self.inputs + self.state

    @property
    def outputs(self):
        """Names of what is returned."""
        return ("outputs", *(f"final {name}" for name in self.state))

    def __call__(self, scan, kernel=None) -> Tensors:
        """Outputs and final state by the front door."""
        return self.door(*scan, kernel)


def diagonal(inputs, front, reference, draw, **options) -> Recurrence:
    """A member with states (B, T, D): `front` and `reference` take inputs and initial one by one."""

    def door(inputs, initial, reset, kernel):
        return front(*inputs, *(initial or (None,)), reset=reset, kernel=kernel)

    def twin(inputs, initial, reset):
        return reference(inputs, *(initial or (None,)), reset)

    def with_state(normal, B, T, D):
        return draw(normal, B, T, D), (normal(B, D),)

    return Recurrence(inputs, ("initial",), door, twin, with_state, **options)


def decay_and_drive(normal, B, T, D):
    """Decays up to 1 in magnitude, of either sign or any angle."""
    decay, drive = normal(B, T, D), normal(B, T, D)
    return decay / (0.3 + decay.abs()), drive


def pre_activations(normal, B, T, D, *, count):
    """Twice as wide as normal numbers, so that gates come close to 0 and to 1."""
    return tuple(2 * normal(B, T, D) for _ in range(count))


def gated(front, packed, gates, **options) -> dict[str, Recurrence]:
    """The members of one gated recurrence: one by one, and side by side."""
    count = len(gates.inputs)
    apart = diagonal(
        gates.inputs,
        partial(front, activation=gates.activation, **options),
        partial(gated_scan, gates),
        partial(pre_activations, count=count),
    )
    together = diagonal(
        ("pre",),
        partial(packed, activation=gates.activation, **options),
        lambda inputs, initial, reset: gated_scan(gates, inputs[0].chunk(count, -1), initial, reset),
        lambda *arguments: (torch.cat(pre_activations(*arguments, count=count), -1),),
    )
    name = " ".join([gates.kernel, *(["normalised"] if options.get("normalise") else []), gates.activation])
    return {name: apart, f"{name}, packed": together}


def softmax(heads) -> Recurrence:
    """The softmax scan of heads(D) heads."""

    def door(inputs, initial, reset, kernel):
        state = None if initial is None else SoftmaxState(*initial)
        outputs, final = softmax_scan(*inputs, state, reset=reset, kernel=kernel)
        return outputs, *final

    def twin(inputs, initial, reset):
        initial = softmax_reference.empty(*inputs) if initial is None else initial
        outputs, maxima, denominators, numerator = softmax_reference.softmax_scan(*inputs, initial, reset)
        length = outputs.shape[1]
        largest, denominator = (maxima[:, -1], denominators[:, -1]) if length else initial[:2]
        return outputs, largest, denominator, numerator

    def draw(normal, B, T, D):
        H = heads(D)
        state = normal(B, H) - 1.03, normal(B, H).abs() + 0.5, normal(B, D)
        return (distinct(normal(B, T, H)), normal(B, T, D)), state

    return Recurrence(("score", "value"), SoftmaxState._fields, door, twin, draw)


def distinct(scores):
    """Scores in the order given, of which no two along time are equal, in bfloat16 neither.

    Those of more than 1792 tokens rise by 0.005 a token: a sum of n terms that stay keeps √n rounding errors, and the
    tolerance of an output is that of a recurrence that forgets.
    """
    grid = torch.arange(0x3D00, 0x4080, dtype=torch.int16).view(torch.bfloat16).double()
    grid = torch.cat([-grid.flip(0), grid])
    T = scores.shape[1]
    if len(grid) < T:
        return scores + 0.005 * torch.arange(T)[:, None]
    chosen = grid[torch.arange(T) * len(grid) // max(1, T)]
    return chosen[scores.argsort(1).argsort(1)] if T else scores


COMPLEX = (torch.complex64, torch.complex128)
RECURRENCES: dict[str, Recurrence] = {
    "linear_scan": diagonal(
        ("decay", "drive"),
        linear_scan,
        lambda inputs, initial, reset: linear_reference.linear_scan(*inputs, initial, reset),
        decay_and_drive,
        dtypes=REAL + COMPLEX,
    ),
    "softmax_scan": softmax(lambda D: D // gcd(D, 4)),
    "softmax_scan, one head": softmax(lambda D: min(D, 1)),
    "softmax_scan, a head for each channel": softmax(lambda D: D),
}
for activation in ACTIVATIONS:
    RECURRENCES |= gated(min_gru_scan, min_gru_scan_packed, MinGru(activation))
    for normalise in (False, True):
        gates = MinLstm(activation, normalise=normalise)
        RECURRENCES |= gated(min_lstm_scan, min_lstm_scan_packed, gates, normalise=normalise)

SOFTMAX = tuple(name for name in RECURRENCES if name.startswith("softmax"))
GATED = tuple(name for name in RECURRENCES if name.startswith("min") and "packed" not in name)
DIAGONAL = ("linear_scan", *GATED)
PACKED = tuple(name for name in RECURRENCES if "packed" in name)
ONE_EACH = ("linear_scan", "min_gru_scan g", "min_lstm_scan normalised g", "softmax_scan")
"""One variant of every recurrence, for laws that do not depend on the variant."""
FORMS = (*ONE_EACH, "min_gru_scan tanh, packed", "min_lstm_scan identity, packed")
"""Those, and the packed front doors."""


def draw(name, *shape, dtype=torch.float64, initial=True, reset=False, seed=0) -> Scan:
    """A scan of shape (B, T, D) for a member, with resets at a tenth of the tokens where asked."""
    generator = torch.Generator().manual_seed(seed)
    wide = torch.complex128 if dtype.is_complex else torch.float64
    inputs, state = RECURRENCES[name].draw(partial(torch.randn, generator=generator, dtype=wide), *shape)
    kept = torch.promote_types(dtype, torch.float32) if name in SOFTMAX else dtype
    return Scan(
        tuple(each.to(dtype) for each in inputs),
        tuple(each.to(kept) for each in state) if initial else None,
        torch.rand(shape[:2], generator=generator) < 0.1 if reset else None,
    )


def cotangents(name, scan, seed=1) -> Tensors:
    """Random gradients for everything that the member returns."""
    generator = torch.Generator().manual_seed(seed)
    reset = None if scan.reset is None else scan.reset.to("meta")
    outputs = RECURRENCES[name](scan.map(lambda each: each.to("meta"))._replace(reset=reset))
    kinds = [torch.complex128 if each.is_complex() else torch.float64 for each in outputs]
    return tuple(
        torch.randn(each.shape, generator=generator, dtype=kind).to(each.dtype)
        for each, kind in zip(outputs, kinds, strict=True)
    )


def gradients(function, scan, grads) -> tuple[Tensors, Tensors]:
    """Outputs, and the gradients of inputs and initial state; `grads` holds one for each output, None for none.

    function  takes (inputs, initial, reset)
    """
    copy = scan.map(lambda each: each.detach().clone(memory_format=torch.preserve_format).requires_grad_())
    outputs = function(*copy)
    # Without tokens the reference's outputs are new tensors, which nothing made.
    used = [pair for pair in zip(outputs, grads, strict=True) if pair[0].requires_grad and pair[1] is not None]
    values = torch.autograd.grad(
        [output for output, _ in used], copy.leaves(), [grad for _, grad in used], materialize_grads=True
    )
    return tuple(each.detach() for each in outputs), values


def by(name, kernel):
    """A member's front door with one kernel, as a function of (inputs, initial, reset)."""
    return lambda *scan: RECURRENCES[name].door(*scan, kernel)


def widened(each) -> Tensor | None:
    """In float64 or complex128."""
    return None if each is None else each.to(torch.complex128 if each.is_complex() else torch.float64)


def twin(name, scan) -> Tensors:
    """Outputs and final state by the reference in float64."""
    return RECURRENCES[name].reference(*scan.map(widened))


def twin_gradients(name, scan, grads) -> tuple[Tensors, Tensors]:
    """Outputs and gradients by plain autograd through the reference in float64."""
    return gradients(RECURRENCES[name].reference, scan.map(widened), [widened(grad) for grad in grads])


def assert_outputs_close(name, where, actual, expected, dtype=None):
    """What a member returned, each within the tolerance of an output of its dtype, or of that given."""
    for part, ours, theirs in zip(RECURRENCES[name].outputs, actual, expected, strict=True):
        assert_close(f"{where}: {part}", ours, theirs, quantity="output", dtype=dtype)


def assert_gradients_close(name, where, actual, expected, dtype=None):
    """The gradients of a member, each within the tolerance of a gradient of its dtype, or of that given."""
    for part, ours, theirs in zip(RECURRENCES[name].names, actual, expected, strict=False):
        assert_close(f"{where}: gradient of {part}", ours, theirs, quantity="gradient", dtype=dtype)
    assert len(actual) == len(expected)


def assert_all_same_bits(where, actual, expected):
    """Tensors by tensors, bit for bit."""
    for index, (ours, theirs) in enumerate(zip(actual, expected, strict=True)):
        assert_same_bits(f"{where}: number {index}", ours, theirs)

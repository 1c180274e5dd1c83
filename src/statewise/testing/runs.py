"""What the laws of a mixer run, and how they compare: inputs, states that are not initial, gradients.

B batch, T time, D width. Everything random comes from fixed generators.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from statewise.core.state import leaves, map_state
from statewise.mixers import Mixer
from statewise.testing.compare import assert_close

BATCH = 3
LENGTH = 13
LONGER = 131
"""Tokens beyond two chunks of 64, which is what chunkwise kernels cut time into at most."""


def inputs_of(mixer: Mixer, length: int = LENGTH, *, batch: int = BATCH, seed: int = 0) -> Tensor:
    """Random inputs (B, T, D) in the dtype of the parameters, that ask for gradients."""
    generator = torch.Generator().manual_seed(seed)
    dtype = next(mixer.parameters()).dtype
    shape = (batch, length, mixer.width)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def later_state(mixer: Mixer) -> Any:
    """A state after a few tokens, whose floating and complex tensors ask for gradients."""
    with torch.no_grad():
        _, state = mixer(inputs_of(mixer, 4, seed=1))
    return map_state(lambda leaf: leaf.requires_grad_() if has_gradients(leaf) else leaf, state)


def has_gradients(leaf: Tensor) -> bool:
    """Whether numbers of this dtype can be differentiated."""
    return leaf.is_floating_point() or leaf.is_complex()


def stepped(mixer: Mixer, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Outputs and final state of `step`, one token at a time."""
    outputs = []
    for t in range(x.shape[1]):
        y, state = mixer.step(x[:, t], state)
        outputs.append(y)
    return torch.stack(outputs, 1), state


def gradients(mixer: Mixer, outputs: Tensor, final: Any, x: Tensor, initial: Any) -> dict[str, Tensor]:
    """Gradients of inputs, initial state and parameters from random cotangents on outputs and final state."""
    starts = {"x": x, **{f"initial[{i}]": leaf for i, leaf in enumerate(leaves(initial)) if leaf.requires_grad}}
    starts |= {name: parameter for name, parameter in mixer.named_parameters() if parameter.requires_grad}
    found = torch.autograd.grad(weighed(outputs, final), list(starts.values()), retain_graph=True, allow_unused=True)
    pairs = zip(starts.items(), found, strict=True)
    return {name: torch.zeros_like(start) if grad is None else grad for (name, start), grad in pairs}


def weighed(outputs: Tensor, final: Any = ()) -> Tensor:
    """Outputs and final state times fixed random cotangents, summed: the real part, where they are complex."""
    generator = torch.Generator().manual_seed(2)
    ends = [outputs, *filter(has_gradients, leaves(final))]
    products = (end * cotangent(end, generator) for end in ends)
    return torch.stack([(torch.view_as_real(p)[..., 0] if p.is_complex() else p).sum() for p in products]).sum()


def cotangent(end: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers to weigh `end` with, the same in every dtype but for rounding."""
    dtype = torch.complex128 if end.is_complex() else torch.float64
    return torch.randn(end.shape, generator=generator, dtype=dtype).to(end.dtype)


def assert_same_run(mixer: Mixer, x: Tensor, initial: Any, one: tuple[Tensor, Any], other: tuple[Tensor, Any]) -> None:
    """Outputs, final states and every gradient of two runs agree."""
    assert_close("outputs", one[0], other[0])
    assert_same_state("final", one[1], other[1], dtype=x.dtype)
    left_grads, right_grads = (gradients(mixer, *run, x, initial) for run in (one, other))
    for name, expected in right_grads.items():
        assert_close(f"gradient of {name}", left_grads[name], expected)


def assert_same_state(name: str, one: Any, other: Any, *, dtype: torch.dtype) -> None:
    """Every tensor of two states agrees, to the tolerance of the dtype that the mixer runs in."""
    for i, (left, right) in enumerate(zip(leaves(one), leaves(other), strict=True)):
        assert_close(f"{name}[{i}]", left, right, dtype=dtype)


def row_of(state: Any, row: int) -> Any:
    """The state of one sequence of the batch."""
    return map_state(lambda leaf: leaf[row : row + 1], state)


def pieces_between(reset: Tensor) -> Iterator[tuple[int, int]]:
    """Begin and end of the pieces that a row (T,) of `reset` cuts time into."""
    starts = [t for t in range(1, len(reset)) if reset[t]]
    yield from zip([0, *starts], [*starts, len(reset)], strict=True)

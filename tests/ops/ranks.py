"""Processes that share a sequence: what each is asked to do, and how a test starts them.

`python ranks.py RANK COUNT FOLDER JOB` runs one of them; its answer lies in FOLDER afterwards.
"""

import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from ops import scans
from statewise.ops import SoftmaxState, WKVState, across_ranks
from statewise.ops.selective_scan import reference as selective_reference
from statewise.ops.wkv import reference as wkv_reference

Tensors = tuple[Tensor, ...]
SECONDS = 120
"""For a process to start and to answer on a busy machine; the group gives up earlier."""


class Member(NamedTuple):
    """One recurrence.

    parameters  how many of the inputs have no time axis; they come first
    across      (inputs, initial, reset) to outputs and the parts of the final state, for a rank's piece
    alone       the same for the whole sequence, by the loop that defines it
    draw        (normal, B, T, D) to (inputs, initial)
    numbers     of a summary for one sequence of so many channels D, and of the gradients that come back
    """

    parameters: int
    across: Callable[..., Tensors]
    alone: Callable[..., Tensors]
    draw: Callable[..., tuple[Tensors, Tensors]]
    numbers: Callable[[int], tuple[int, int]]


def of_table(name: str, front: Callable, state: type | None = None, *, numbers: Callable) -> Member:
    """A member of the table of all scans, by its front door across ranks."""
    recurrence = scans.RECURRENCES[name]

    def across(inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> Tensors:
        before = initial if initial is None else state(*initial) if state else initial[0]
        outputs, final = front(*inputs, before, reset=reset)
        return outputs, *(final if state else (final,))

    return Member(0, across, recurrence.reference, recurrence.draw, numbers)


def selective() -> Member:
    """The selective scan, A first."""

    def across(inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> Tensors:
        A, u, delta, B, C = inputs
        return across_ranks.selective_scan(u, delta, A, B, C, *(initial or ()), reset=reset)

    def alone(inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> Tensors:
        A, u, delta, B, C = inputs
        return selective_reference.selective_scan(u, delta, A, B, C, *(initial or (None,)), reset)

    def draw(normal: Callable[..., Tensor], B: int, T: int, D: int) -> tuple[Tensors, Tensors]:
        rates = -normal(D, 3).exp()
        return (rates, normal(B, T, D), normal(B, T, D).exp(), normal(B, T, 3), normal(B, T, 3)), (normal(B, D, 3),)

    return Member(1, across, alone, draw, lambda D: (3 * D + D + 1, 6 * D))


def rwkv() -> Member:
    """RWKV-4's average, decay and bonus first."""

    def across(inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> Tensors:
        outputs, final = across_ranks.wkv(*inputs, WKVState(*initial) if initial else None, reset=reset)
        return outputs, *final

    def alone(inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> Tensors:
        outputs, final = wkv_reference.wkv(*inputs, WKVState(*initial) if initial else None, reset)
        return outputs, *final

    def draw(normal: Callable[..., Tensor], B: int, T: int, D: int) -> tuple[Tensors, Tensors]:
        state = normal(B, D), normal(B, D).exp(), normal(B, D)
        return (-normal(D).exp(), normal(D), normal(B, T, D), normal(B, T, D)), state

    return Member(2, across, alone, draw, lambda D: (3 * D + 2, 6 * D))


def diagonal(D: int) -> tuple[int, int]:
    """Decay product, state and cut; two gradients of a state."""
    return 2 * D + 1, 2 * D


def heads(D: int) -> tuple[int, int]:
    """As `scans.softmax` draws them: four channels a head where that goes."""
    H = D // 4 if D % 4 == 0 else D
    return 2 * H + D + 1, 2 * (2 * H + D)


MEMBERS = {
    "linear_scan": of_table("linear_scan", across_ranks.linear_scan, numbers=diagonal),
    "min_gru_scan g": of_table("min_gru_scan g", across_ranks.min_gru_scan, numbers=diagonal),
    "min_gru_scan tanh": of_table(
        "min_gru_scan tanh", partial(across_ranks.min_gru_scan, activation="tanh"), numbers=diagonal
    ),
    "min_lstm_scan normalised g": of_table("min_lstm_scan normalised g", across_ranks.min_lstm_scan, numbers=diagonal),
    "min_lstm_scan identity": of_table(
        "min_lstm_scan identity",
        partial(across_ranks.min_lstm_scan, activation="identity", normalise=False),
        numbers=diagonal,
    ),
    "softmax_scan": of_table("softmax_scan", across_ranks.softmax_scan, SoftmaxState, numbers=heads),
    "selective_scan": selective(),
    "wkv": rwkv(),
}


class Case(NamedTuple):
    """One sequence: a member, its dtype, tokens of each rank, what is given, and what gradients come back to."""

    name: str
    dtype: torch.dtype
    lengths: tuple[int, ...]
    resets: bool
    initial: bool
    back_from: str

    @property
    def label(self) -> str:
        """For the report of a test."""
        given = [word for word, there in (("reset", self.resets), ("initial", self.initial)) if there]
        return " ".join([self.name, str(self.dtype)[6:], "+".join(map(str, self.lengths)), *given, self.back_from])


BATCH, CHANNELS = 2, 8
LENGTHS = {
    1: [(5,)],
    2: [(5, 4), (1, 8), (0, 6), (6, 0), (0, 0)],
    3: [(3, 4, 2), (0, 5, 4), (4, 0, 5), (5, 4, 0), (0, 0, 6), (1, 1, 1)],
}
BACK_FROM = ("both", "outputs", "final")


def cases(count: int) -> list[Case]:
    """Every member at every cut, with and without resets and an initial state; then other dtypes."""
    table = []
    for name, lengths in itertools.product(MEMBERS, LENGTHS[count]):
        for resets, initial in itertools.product((False, True), repeat=2):
            back_from = BACK_FROM[len(table) % len(BACK_FROM)]
            table.append(Case(name, torch.float64, lengths, resets, initial, back_from))
            if name == "linear_scan":
                table.append(Case(name, torch.complex128, lengths, resets, initial, back_from))
    lengths = LENGTHS[count][0]
    for name, dtype in itertools.product(MEMBERS, (torch.float32, torch.bfloat16)):
        if (name, dtype) != ("selective_scan", torch.bfloat16):
            table.append(Case(name, dtype, lengths, True, True, "both"))
    return table


class Drawn(NamedTuple):
    """A case's numbers: of the sequence, and the gradients that come back to outputs and, on each rank, to final."""

    inputs: Tensors
    initial: Tensors | None
    reset: Tensor | None
    on_outputs: Tensor
    on_final: list[Tensors]


def draw(case: Case, index: int) -> Drawn:
    """The same numbers in every process."""
    generator = torch.Generator().manual_seed(index)
    wide = torch.complex128 if case.dtype.is_complex else torch.float64
    normal = partial(torch.randn, generator=generator, dtype=wide)
    shape = BATCH, sum(case.lengths), CHANNELS
    inputs, initial = MEMBERS[case.name].draw(normal, *shape)
    kept = torch.promote_types(case.dtype, torch.float32) if len(initial) == 3 else case.dtype
    inputs, initial = tuple(each.to(case.dtype) for each in inputs), tuple(each.to(kept) for each in initial)
    reset = torch.rand(shape[:2], generator=generator) < 0.25
    on_final = [tuple(normal(*each.shape).to(kept) for each in initial) for _ in case.lengths]
    on_outputs = normal(*shape).to(case.dtype)
    return Drawn(inputs, initial if case.initial else None, reset if case.resets else None, on_outputs, on_final)


def piece_of(case: Case, drawn: Drawn, rank: int) -> Drawn:
    """What a rank holds of it."""
    begin = sum(case.lengths[:rank])
    at, fixed = slice(begin, begin + case.lengths[rank]), MEMBERS[case.name].parameters
    inputs = drawn.inputs[:fixed] + tuple(each[:, at] for each in drawn.inputs[fixed:])
    reset = None if drawn.reset is None else drawn.reset[:, at]
    return Drawn(inputs, drawn.initial, reset, drawn.on_outputs[:, at], [drawn.on_final[rank]])


def differentiate(function: Callable[..., Tensors], drawn: Drawn, back_from: str) -> tuple[Tensors, Tensors]:
    """Outputs and final state, and the gradients of inputs and initial state; zeros where nothing comes back."""
    inputs = tuple(each.detach().clone().requires_grad_() for each in drawn.inputs)
    initial = drawn.initial and tuple(each.detach().clone().requires_grad_() for each in drawn.initial)
    made = function(inputs, initial, drawn.reset)
    sums = tuple(torch.stack(each).sum(0) for each in zip(*drawn.on_final, strict=True))
    grads = {"outputs": (drawn.on_outputs,), "final": (None, *sums), "both": (drawn.on_outputs, *sums)}[back_from]
    used = [(each, grad) for each, grad in zip(made, grads, strict=False) if grad is not None and each.requires_grad]
    leaves = inputs + (initial or ())
    found = torch.autograd.grad(*zip(*used, strict=True), leaves, materialize_grads=True) if used else leaves
    return tuple(each.detach() for each in made), tuple(found)


def agree(rank: int, count: int) -> list[dict]:
    """Every case of this many ranks: outputs, gradients, and the bytes that were handed over."""
    handed, all_gather = [], dist.all_gather

    def counting(outputs: list[Tensor], mine: Tensor, *arguments, **options):
        handed.append(mine.numel() * mine.element_size())
        return all_gather(outputs, mine, *arguments, **options)

    dist.all_gather = counting
    answers = []
    for index, case in enumerate(cases(count)):
        handed.clear()
        made, grads = differentiate(MEMBERS[case.name].across, piece_of(case, draw(case, index), rank), case.back_from)
        answers.append({"made": made, "grads": grads, "handed": list(handed)})
    return answers


def main(rank: int, count: int, folder: Path, job: str) -> None:
    """Join the others, do the job, leave the answer."""
    # torch's rendezvous asks the network for this machine's address otherwise.
    os.environ["GLOO_SOCKET_IFNAME"] = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    torch.set_num_threads(1)
    meeting, patience = f"file://{folder}/meeting", timedelta(seconds=SECONDS / 2)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count, timeout=patience)
    answer = JOBS[job](rank, count)
    dist.barrier()
    dist.destroy_process_group()
    torch.save(answer, folder / f"{rank}.pt")


def launch(job: str, count: int, folder: Path) -> list:
    """The answers of `count` processes, in the order of ranks."""
    tests = str(Path(__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": tests, "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-W", "error", "-m", "ops.ranks"]
    started = [
        subprocess.Popen(
            [*arguments, str(rank), str(count), str(folder), job], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(count)
    ]
    try:
        told = [process.communicate(timeout=SECONDS)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert not any(process.returncode for process in started), "\n".join(told)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(count)]


JOBS = {"agree": agree}

if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])

"""Processes that share a sequence: what each is asked to do, and how a test starts them.

`python -m ops.ranks FOLDER` starts three, which also make groups of two and of one, and leaves their answers in FOLDER.
"""

import itertools
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from ops import scans
from statewise.core.errors import UsageError
from statewise.ops import SoftmaxState, WKVState, across_ranks
from statewise.ops.selective_scan import reference as selective_reference
from statewise.ops.wkv import reference as wkv_reference

Tensors = tuple[Tensor, ...]
RANKS = 3
SECONDS = 300
"""For three processes to start and to answer on a busy machine; a collective gives up earlier."""


class Member(NamedTuple):
    """One recurrence.

    parameters  how many of the inputs have no time axis; they come first
    across      (inputs, initial, reset, group) to outputs and the parts of the final state, for a rank's piece
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

    def across(inputs: Tensors, initial: Tensors | None, reset: Tensor | None, group: dist.ProcessGroup) -> Tensors:
        before = initial if initial is None else state(*initial) if state else initial[0]
        outputs, final = front(*inputs, before, reset=reset, group=group)
        return outputs, *(final if state else (final,))

    return Member(0, across, recurrence.reference, recurrence.draw, numbers)


def selective() -> Member:
    """The selective scan, A first."""

    def across(inputs: Tensors, initial: Tensors | None, reset: Tensor | None, group: dist.ProcessGroup) -> Tensors:
        A, u, delta, B, C = inputs
        return across_ranks.selective_scan(u, delta, A, B, C, *(initial or ()), reset=reset, group=group)

    def alone(inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> Tensors:
        A, u, delta, B, C = inputs
        return selective_reference.selective_scan(u, delta, A, B, C, *(initial or (None,)), reset)

    def draw(normal: Callable[..., Tensor], B: int, T: int, D: int) -> tuple[Tensors, Tensors]:
        rates = -normal(D, 3).exp()
        return (rates, normal(B, T, D), normal(B, T, D).exp(), normal(B, T, 3), normal(B, T, 3)), (normal(B, D, 3),)

    return Member(1, across, alone, draw, lambda D: (3 * D + D + 1, 6 * D))


def rwkv() -> Member:
    """RWKV-4's average, decay and bonus first."""

    def across(inputs: Tensors, initial: Tensors | None, reset: Tensor | None, group: dist.ProcessGroup) -> Tensors:
        before = WKVState(*initial) if initial else None
        outputs, final = across_ranks.wkv(*inputs, before, reset=reset, group=group)
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
    scale: float = 1.0

    @property
    def label(self) -> str:
        """For the report of a test."""
        given = [word for word, there in (("reset", self.resets), ("initial", self.initial)) if there]
        return " ".join(
            [
                self.name,
                str(self.dtype)[6:],
                "+".join(map(str, self.lengths)),
                *given,
                self.back_from,
                *(["scaled"] if self.scale > 1 else []),
            ]
        )


BATCH, CHANNELS = 2, 8
LENGTHS = {
    1: [(5,)],
    2: [(5, 4), (0, 6), (6, 0), (0, 0)],
    3: [(3, 4, 2), (0, 5, 4), (4, 0, 5), (5, 4, 0)],
}
LONG = {2: (300, 200)}
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
    if count in LONG:
        table += [Case(name, torch.float64, LONG[count], False, True, "both") for name in MEMBERS]
        table.append(Case("linear_scan", torch.float32, LONG[count], False, True, "both"))
        # Without an initial state, whose gradient beside such scores is a difference of equal numbers.
        table.append(Case("softmax_scan", torch.float64, lengths, False, False, "both", scale=300.0))
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
    inputs = (case.scale * inputs[0], *inputs[1:])
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
    found = tuple(map(torch.zeros_like, leaves))
    if used:
        outputs, grads = zip(*used, strict=True)
        found = torch.autograd.grad(outputs, leaves, grads, materialize_grads=True)
    return tuple(each.detach() for each in made), found


@contextmanager
def counting():
    """The bytes that are handed to every all_gather meanwhile."""
    handed, all_gather = [], dist.all_gather

    def counted(outputs: list[Tensor], mine: Tensor, *arguments, **options):
        handed.append(mine.numel() * mine.element_size())
        return all_gather(outputs, mine, *arguments, **options)

    dist.all_gather = counted
    try:
        yield handed
    finally:
        dist.all_gather = all_gather


def agree(rank: int, count: int, group: dist.ProcessGroup) -> list[dict]:
    """Every case of this many ranks: outputs, gradients, and the bytes that were handed over."""
    answers = []
    for index, case in enumerate(cases(count)):
        across = partial(MEMBERS[case.name].across, group=group)
        with counting() as handed:
            made, grads = differentiate(across, piece_of(case, draw(case, index), rank), case.back_from)
        answers.append({"made": made, "grads": grads, "handed": handed})
    return answers


def ones(*shape: int, **options) -> Tensor:
    """Ones in float64, or as the options say."""
    return torch.ones(*shape, **{"dtype": torch.float64} | options)


def scan_of_ones(group, batch=2, channels=4, drive=None, initial=None, **options) -> Tensor:
    """The states of three tokens, all ones: a count."""
    decay = ones(batch, 3, channels, **options)
    return across_ranks.linear_scan(decay, decay if drive is None else drive, initial, group=group)[0]


def without_graph_on_rank_1(rank, group):
    """Rank 1 forgets that the others wait for it on the way back."""
    with torch.set_grad_enabled(rank == 0):
        scan_of_ones(group, requires_grad=True)


def higher_order(rank, group):
    """A graph of the gradient is asked for."""
    drive = ones(2, 3, 4, requires_grad=True)
    torch.autograd.grad(scan_of_ones(group, drive=drive).sum(), drive, create_graph=True)


def forward_mode(rank, group):
    """A tangent goes in."""
    with torch.autograd.forward_ad.dual_level():
        drive = torch.autograd.forward_ad.make_dual(ones(2, 3, 4), ones(2, 3, 4))
        scan_of_ones(group, drive=drive)


MISTAKES: dict[str, Callable] = {
    "channels": lambda rank, group: scan_of_ones(group, channels=4 + rank),
    "batch": lambda rank, group: scan_of_ones(group, batch=2 + rank),
    "dtype": lambda rank, group: scan_of_ones(group, dtype=torch.float32 if rank else torch.float64),
    "options": lambda rank, group: across_ranks.min_gru_scan(
        ones(2, 3, 4), ones(2, 3, 4), activation="tanh" if rank else "g", group=group
    ),
    "own arguments": lambda rank, group: scan_of_ones(group, drive=ones(2, 3, 5) if rank else None),
    "device": lambda rank, group: scan_of_ones(group, device="meta" if rank else "cpu"),
    "initial": lambda rank, group: scan_of_ones(group, initial=ones(2, 4) if rank else None),
    "gradients off": without_graph_on_rank_1,
    "higher order": higher_order,
    "forward mode": forward_mode,
    "loop": lambda rank, group: across_ranks.selective_scan(
        *(ones(1, 3, 2), ones(1, 3, 2), ones(2, 1), ones(1, 3, 1), ones(1, 3, 1)), kernel="reference", group=group
    ),
}


def err(rank: int, group: dist.ProcessGroup) -> dict[str, str]:
    """What every mistake is answered with."""
    answers = {}
    for name, mistake in MISTAKES.items():
        try:
            mistake(rank, group)
        except UsageError as error:
            answers[name] = str(error)
    return answers


def stay_apart(rank: int, group: dist.ProcessGroup) -> dict[str, Tensor]:
    """A NaN in rank 0's drives, then in all first decays; a sequence starts at the second token of rank 1."""
    reset = torch.tensor([[False, bool(rank), False]] * 2)
    drive = torch.full((2, 3, 4), 1.0 if rank else torch.nan, dtype=torch.float64).requires_grad_()
    states, final = across_ranks.linear_scan(ones(2, 3, 4), drive, reset=reset, group=group)
    states[:, 1:].sum().backward()
    decay = ones(2, 3, 4)
    decay[:, 0] = torch.nan
    after_nan = across_ranks.linear_scan(decay, ones(2, 3, 4), reset=reset, group=group)[1]
    return {"states": states.detach(), "final": final.detach(), "gradient": drive.grad, "after nan": after_nan}


def go_back_together(rank: int, group: dist.ProcessGroup) -> Tensor:
    """Only the drive of rank 0 wants a gradient, and only the states of rank 1 give one."""
    drive = ones(2, 3, 4, requires_grad=rank == 0)
    states = scan_of_ones(group, drive=drive)
    (rank * states).sum().backward()
    return drive.grad if rank == 0 else states.detach()


def work(rank: int, pair: dist.ProcessGroup, one: dist.ProcessGroup) -> dict:
    """All that this rank is asked: with all ranks, with ranks 0 and 1, with rank 0 alone."""
    answer = {3: agree(rank, RANKS, None)}
    if rank < 2:
        answer |= {2: agree(rank, 2, pair), "mistakes": err(rank, pair)}
        answer |= {"apart": stay_apart(rank, pair), "together": go_back_together(rank, pair)}
    else:
        answer["outside"] = err(rank, pair)["batch"]
    if rank == 0:
        answer[1] = agree(rank, 1, one)
    return answer


def main(rank: int, folder: Path) -> None:
    """Join the others, work, leave the answer."""
    # torch asks the network for this machine's address otherwise.
    os.environ["GLOO_SOCKET_IFNAME"] = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    torch.set_num_threads(1)
    meeting, patience = f"file://{folder}/meeting", timedelta(seconds=SECONDS / 3)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=RANKS, timeout=patience)
    answer = work(rank, dist.new_group([0, 1]), dist.new_group([0]))
    torch.save(answer, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def start(folder: Path) -> None:
    """Fork all ranks from this process, which has one thread and has imported what they need; wait for them."""
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=main, args=(rank, folder), daemon=True) for rank in range(RANKS)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(SECONDS)
    sys.exit(any(process.exitcode != 0 for process in ranks))


def launch(folder: Path) -> list[dict]:
    """The answers of all ranks."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ops.ranks", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=2 * SECONDS)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(RANKS)]


if __name__ == "__main__":
    start(Path(sys.argv[1]))

"""One sequence over several processes: what does a rank send, and how long does it take against one process?

Bytes are counted twice: those handed to the collectives, against the formula of docs/scale-one-sequence.md, and those
that left through this process's TCP sockets (Linux counts them), which hold gloo's own messages too. Times are of
processes on this machine, whose cores share memory: they say what the second scan costs, not what a network would.

    python benchmarks/sequence_parallel.py             # bytes with 2, 4 and 8 processes, then times
    python benchmarks/sequence_parallel.py bytes 2 4   # bytes with 2 and 4
"""

import multiprocessing
import os
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
from torch import Tensor

from statewise.cli.doctor import other_load
from statewise.core.dtypes import accumulation_dtype
from statewise.ops import across_ranks
from statewise.ops.across_ranks.exchange import LINE_BYTES

B, T, D, H, N = 2, 64, 96, 4, 16
TIMED = (1, 2**16, 64)
RUNS = 7
TOKENS, RANKS, WIDTH = 2**20, 64, 1024


def normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Random numbers that want gradients."""
    return torch.randn(shape, dtype=dtype, requires_grad=True)


def decays(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers below 1 in magnitude that want gradients."""
    drawn = torch.randn(shape, dtype=dtype)
    return (drawn / (0.3 + drawn.abs())).requires_grad_()


def members() -> dict[str, tuple[Callable[[], Tensor], int, int, torch.dtype]]:
    """By name: a scan of one piece, the numbers of a summary and of the gradients by the formula, and their dtype."""
    x = partial(normal, B, T, D)
    return {
        "linear_scan": (lambda: across_ranks.linear_scan(decays(B, T, D), x())[0], 2 * D + 1, 2 * D, torch.float32),
        "linear_scan, bfloat16": (
            lambda: across_ranks.linear_scan(decays(B, T, D).bfloat16(), x().bfloat16())[0],
            2 * D + 1, 2 * D, torch.bfloat16,
        ),
        "linear_scan, complex64": (
            lambda: across_ranks.linear_scan(decays(B, T, D, dtype=torch.complex64), x(dtype=torch.complex64))[0].real,
            4 * D + 1, 4 * D, torch.float32,
        ),
        "min_gru_scan": (lambda: across_ranks.min_gru_scan(x(), x())[0], 2 * D + 1, 2 * D, torch.float32),
        "min_lstm_scan": (lambda: across_ranks.min_lstm_scan(x(), x(), x())[0], 2 * D + 1, 2 * D, torch.float32),
        "softmax_scan": (
            lambda: across_ranks.softmax_scan(normal(B, T, H), x())[0], 2 * H + D + 1, 2 * (2 * H + D), torch.float32,
        ),
        "selective_scan": (
            lambda: across_ranks.selective_scan(
                x(), torch.rand(B, T, D), -torch.rand(D, N), normal(B, T, N), normal(B, T, N)
            )[0],
            D * N + D + 1, 2 * D * N, torch.float32,
        ),
        "wkv": (lambda: across_ranks.wkv(-torch.rand(D), normal(D), x(), x())[0], 3 * D + 2, 6 * D, torch.float32),
    }  # fmt: skip


def bytes_left() -> int:
    """What arrived of what this process's TCP sockets sent, as the kernel counts it: tcpi_bytes_acked of TCP_INFO."""
    total = 0
    for entry in Path("/proc/self/fd").iterdir():
        if entry.is_symlink() and str(entry.readlink()).startswith("socket:"):
            with socket.socket(fileno=os.dup(int(entry.name))) as open_socket:
                if open_socket.family in (socket.AF_INET, socket.AF_INET6) and open_socket.type == socket.SOCK_STREAM:
                    information = open_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
                    total += struct.unpack_from("Q", information, 120)[0]
    return total


def count_bytes(rank: int, size: int) -> dict[str, tuple[int, int]]:
    """For each member, bytes handed to the collectives and bytes through the sockets, both ways."""
    handed, all_gather = [0], dist.all_gather

    def counted(outputs: list[Tensor], mine: Tensor, *arguments: object, **options: object) -> object:
        handed[0] += mine.numel() * mine.element_size()
        return all_gather(outputs, mine, *arguments, **options)

    dist.all_gather = counted
    found = {}
    for name, (scan, *_) in members().items():
        dist.barrier()
        handed[0], before = 0, bytes_left()
        scan().sum().backward()
        found[name] = handed[0], bytes_left() - before
    return found


def time_pieces(rank: int, size: int, shares: tuple[int, ...]) -> list[tuple[float, float]]:
    """Milliseconds of forward and backward of a share of TIMED: of this rank's core, and until the last rank's end."""
    batch, length, channels = TIMED
    tokens = length * shares[rank] // sum(shares)
    gate, candidate = normal(batch, tokens, channels), normal(batch, tokens, channels)
    upstream, times = torch.randn(batch, tokens, channels), []
    for _ in range(RUNS + 2):
        dist.barrier()
        begin, begin_on_core = time.perf_counter(), time.process_time()
        across_ranks.min_gru_scan(gate, candidate)[0].backward(upstream)
        on_core = time.process_time() - begin_on_core
        dist.barrier()
        times.append((1e3 * on_core, 1e3 * (time.perf_counter() - begin)))
        gate.grad = candidate.grad = None
    return times[2:]


def join(rank: int, size: int, folder: str, work: Callable[[int, int], object]) -> None:
    """Be one of `size` processes, and leave what `work` found."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    meeting, patience = f"file://{folder}/meeting", timedelta(minutes=5)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size, timeout=patience)
    found = work(rank, size)
    dist.barrier()
    dist.destroy_process_group()
    torch.save(found, Path(folder) / f"{rank}.pt")


def together(size: int, work: Callable[[int, int], object]) -> list:
    """What each of `size` processes found; forked, so that torch is imported once."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        ranks = [context.Process(target=join, args=(rank, size, folder, work)) for rank in range(size)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(size)]


def show_bytes(size: int) -> None:
    """Bytes per rank, both ways together, against the formula."""
    found = together(size, count_bytes)
    print(f"\n{size} processes, B = {B}, D = {D}, H = {H}, N = {N}: bytes per rank, forward and backward")
    print(f"{'':26}{'handed':>10}{'formula':>10}{'ratio':>8}{'sent':>10}{'(P−1)×':>10}{'ratio':>8}")
    for name, (_, there, back, dtype) in members().items():
        formula = LINE_BYTES + B * (there + back) * accumulation_dtype(dtype).itemsize
        handed, sent = {each[name][0] for each in found}, max(each[name][1] for each in found)
        expected = (size - 1) * formula
        print(f"{name:26}{max(handed):10,}{formula:10,}{max(handed) / formula:8.3f}", end="")
        print(f"{sent:10,}{expected:10,}{sent / expected:8.3f}")
        assert handed == {formula}, f"{name}: {handed} bytes were handed over; by the formula {formula}"


def show_million() -> None:
    """The figure of the paper: a million tokens over 64 ranks, by the formula that the counts confirm."""
    there, back = (2 * WIDTH + 1) * 4, 2 * WIDTH * 4
    handed, piece = LINE_BYTES + there + back, TOKENS // RANKS * WIDTH * 4
    received, around = (RANKS - 1) * handed, 2 * (RANKS - 1) * piece
    print(f"\n{TOKENS:,} tokens over {RANKS} ranks, minGRU, B = 1, D = {WIDTH:,}, float32: bytes per rank and layer")
    print(f"  handed over {handed:,}, received {received:,}: {received / piece:.2%} of one tensor of its own piece")
    print(f"  that tensor {piece:,}; keys and values that ring attention's forward receives {around:,}")


def show_times() -> None:
    """Two processes against one, in equal pieces and with two thirds of the tokens on rank 0."""
    cases = {"one process": (1,), "two, equal pieces": (1, 1), "two, 2 : 1": (2, 1)}
    print(
        f"\nmin_gru_scan {TIMED}, forward and backward, one thread a process, cores of one machine that share memory."
    )
    print(
        "Medians of the busiest rank: time of its core, and time until the last rank's end, which means something only"
    )
    print("on a machine that does nothing else.")
    if (busy := other_load()) is not None:
        print(f"warning: {busy}")
    print(f"{'':20}{'core ms':>10}{'of one':>8}{'wall ms':>10}{'of one':>8}{'by count of scans':>20}")
    one = None
    for (name, shares), counted in zip(cases.items(), (1, 1, 2 / 3), strict=True):
        found = together(len(shares), partial(time_pieces, shares=shares))
        on_core, wall = (max(median(run[kind] for run in each) for each in found) for kind in (0, 1))
        one = one or (on_core, wall)
        print(f"{name:20}{on_core:10.1f}{on_core / one[0]:8.2f}{wall:10.1f}{wall / one[1]:8.2f}{counted:20.2f}")


def main(arguments: list[str]) -> None:
    """Print what is asked for."""
    sizes = [int(each) for each in arguments if each.isdigit()] or [2, 4, 8]
    if "times" not in arguments:
        for size in sizes:
            show_bytes(size)
        show_million()
    if "bytes" not in arguments:
        show_times()


if __name__ == "__main__":
    main(sys.argv[1:])

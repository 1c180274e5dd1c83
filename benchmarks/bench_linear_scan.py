"""How far is the linear scan on the CPU from the speed of memory, and from the loop in eager PyTorch?

floor     the bytes that must move (forward 3 N numbers, backward 5 N) at the bandwidth of a copy between
          tensors that exist, measured in this run
addition  decay + drive into a fresh tensor: the forward's bytes, and its allocation
loop      statewise.ops.linear_scan.reference under plain autograd
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from statewise.ops import choose_kernel, linear_scan
from statewise.ops.linear_scan.reference import linear_scan as loop

SHAPES = ((8, 4096, 256), (16, 256, 384))
Scan = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def milliseconds(work: Callable[[], object], runs: int) -> float:
    """The median time of `runs` runs, after one that is not counted."""
    work()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def train(scan: Scan, decay: Tensor, drive: Tensor, grad: Tensor) -> None:
    """Forward, and the gradients of decay and drive."""
    states, _ = scan(decay, drive)
    torch.autograd.grad(states, (decay, drive), grad)


def rows(shape: tuple[int, int, int]) -> list[tuple[str, float, float, float | None]]:
    """(what, its time, the floor, the loop's time) in milliseconds."""
    decay, drive, grad = torch.rand(shape), torch.randn(shape), torch.randn(shape)
    target = torch.empty_like(drive)
    per_tensor = milliseconds(partial(target.copy_, drive), 21) / 2
    with torch.no_grad():
        addition = milliseconds(partial(torch.add, decay, drive), 21)
        forward = milliseconds(partial(linear_scan, decay, drive), 21)
        loop_forward = milliseconds(partial(loop, decay, drive), 3)
    leaves = decay.requires_grad_(), drive.requires_grad_()
    both = milliseconds(partial(train, linear_scan, *leaves, grad), 11)
    loop_both = milliseconds(partial(train, loop, *leaves, grad), 3)
    return [
        ("addition", addition, 3 * per_tensor, None),
        ("forward", forward, 3 * per_tensor, loop_forward),
        ("forward + backward", both, 8 * per_tensor, loop_both),
    ]


def main() -> None:
    """Print one table."""
    choice = choose_kernel(device="cpu", dtype=torch.float32, shape=SHAPES[0])
    print(f"kernel {choice.kernel}, because {choice.because}; {torch.get_num_threads()} threads; median, ms\n")
    print(f"{'shape':16}{'':20}{'scan':>9}{'floor':>9}{'scan/floor':>12}{'loop':>9}{'loop/scan':>11}")
    for shape in SHAPES:
        for what, spent, floor, slow in rows(shape):
            against_loop = "" if slow is None else f"{slow:9.1f}{slow / spent:10.1f}×"
            print(f"{shape!s:16}{what:20}{spent:9.2f}{floor:9.2f}{spent / floor:11.1f}×{against_loop}")


if __name__ == "__main__":
    main()

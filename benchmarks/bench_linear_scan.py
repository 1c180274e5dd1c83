"""How far is the linear scan from the speed of memory, and how far are others from it?

The measure is `a + b` of the same size, which moves the same 3 N numbers. The floor of forward and backward is 8 N
numbers at the bandwidth of that addition.
"""

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import torch
from timing import medians, show, steady, threads
from torch import Tensor

from statewise.ops import linear_scan
from statewise.ops.linear_scan.raw import backward_op, forward_op
from statewise.ops.linear_scan.reference import linear_scan as loop

SHAPES = ((8, 4096, 256), (64, 512, 512), (1, 65536, 256))
WIDE, NARROW = (8, 4096, 256), (1, 65536, 4)
Row = tuple[str, float, float, float | None]


def draw(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Decays in [0, 1) and normal drives."""
    return torch.rand(shape).to(dtype), torch.randn(shape).to(dtype)


def scan(decay: Tensor, drive: Tensor) -> Callable[[], object]:
    """The forward, as work."""
    return partial(forward_op, decay, drive, None, None, None)


def against_addition(count: int) -> list[Row]:
    """Forward against `a + b`."""
    rows: list[Row] = []
    for shape in SHAPES:
        decay, drive = draw(shape)
        with threads(count):
            spent = medians({"ours": scan(decay, drive), "add": partial(torch.add, decay, drive)})
        rows.append((f"{shape} {count} thread(s)", spent["ours"], spent["add"], 1.15))
    return rows


def with_backward() -> list[Row]:
    """Forward and backward against the floor."""
    decay, drive = draw(SHAPES[1])
    grad, (states, _) = torch.randn_like(drive), linear_scan(decay, drive)
    backward = partial(backward_op, decay, states, None, None, grad, None, None)
    spent = medians({"f": scan(decay, drive), "b": backward, "add": partial(torch.add, decay, drive)})
    return [(f"{SHAPES[1]}", spent["f"] + spent["b"], spent["add"] * 8 / 3, 1.8)]


def bfloat16() -> list[Row]:
    """bf16 against fp32."""
    spent = medians({"ours": scan(*draw(WIDE, torch.bfloat16)), "fp32": scan(*draw(WIDE))})
    return [(f"{WIDE}", spent["ours"], spent["fp32"], 0.7)]


def narrow() -> list[Row]:
    """Two threads against one on one long narrow sequence, beside what `a + b` gains."""
    decay, drive = draw(NARROW)
    spent = {}
    for count in (1, 2):
        with threads(count):
            spent[count] = medians({"ours": scan(decay, drive), "add": partial(torch.add, decay, drive)}, 41)
    return [
        (f"{NARROW} 2 threads / 1", spent[2]["ours"], spent[1]["ours"], 0.7),
        ("a + b, the same", spent[2]["add"], spent[1]["add"], None),
    ]


def others() -> list[Row]:
    """Our forward against other packages'."""
    decay, drive = draw(WIDE)
    rows: list[Row] = []
    for name, work, goal in (
        ("torch associative_scan", associative(decay, drive), 1 / 8),
        ("mambapy pscan", mambapy(decay, drive), 1 / 8),
        ("accelerated-scan reference", accelerated(decay, drive), 1 / 8),
        ("the loop in eager PyTorch", partial(loop, decay, drive), None),
    ):
        spent = medians({"ours": scan(decay, drive), "theirs": work}, 5)
        rows.append((name, spent["ours"], spent["theirs"], goal))
    return rows


def associative(decay: Tensor, drive: Tensor) -> Callable[[], object]:
    """torch's own generic scan."""
    from torch._higher_order_ops import associative_scan

    def then(first: tuple[Tensor, Tensor], more: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return first[0] * more[0], more[0] * first[1] + more[1]

    return partial(associative_scan, then, (decay, drive), dim=1, combine_mode="generic")


def mambapy(decay: Tensor, drive: Tensor) -> Callable[[], object]:
    """mambapy 1.2.0, (B, L, D, N)."""
    from mambapy.pscan import pscan

    return partial(pscan, decay.unsqueeze(-1), drive.unsqueeze(-1))


def accelerated(decay: Tensor, drive: Tensor) -> Callable[[], object]:
    """accelerated-scan's reference, (B, C, T), given ready."""
    from accelerated_scan.ref import scan as their_scan

    return partial(their_scan, decay.transpose(1, 2).contiguous(), drive.transpose(1, 2).contiguous())


def torchlpc() -> list[Row]:
    """torchlpc, whose layout is (B·D, T): given ready, then with the transposes that a layer would need."""
    rows: list[Row] = []
    for shape in (WIDE, NARROW):
        told = subprocess.run([sys.executable, __file__, *map(str, shape)], capture_output=True, text=True, check=True)
        ready, transposed = map(float, told.stdout.split())
        ours = medians({"ours": scan(*draw(shape))})["ours"]
        rows.append((f"{shape} given in its layout", ours, ready, 1.0))
        rows.append((f"{shape} with transposes", ours, transposed, 0.5))
    return rows


def time_torchlpc(batch: int, length: int, channels: int) -> None:
    """In a process of its own: print milliseconds in its layout, and from ours and back."""
    from torchlpc.recurrence import Recurrence

    steady()
    decay, drive = draw((batch, length, channels))
    flat = [each.transpose(1, 2).reshape(-1, length) for each in (decay, drive)]
    before = torch.zeros(batch * channels)

    def transposed() -> object:
        rows = [each.transpose(1, 2).reshape(-1, length) for each in (decay, drive)]
        return Recurrence.apply(*rows, before).view(batch, channels, length).transpose(1, 2).contiguous()

    spent = medians({"ready": lambda: Recurrence.apply(*flat, before), "transposed": transposed}, 11)
    print(spent["ready"], spent["transposed"])


def fresh() -> list[Row]:
    """Forward against `a + b`, both in memory fresh from the system: what a program sees that does not keep it."""
    decay, drive = draw(WIDE)
    spent = medians({"ours": scan(decay, drive), "add": partial(torch.add, decay, drive)})
    return [(f"{WIDE} fresh memory", spent["ours"], spent["add"], None)]


def main() -> None:
    """Print every table."""
    unsteady = fresh()
    steady()
    show("forward against a + b", against_addition(1) + against_addition(2) + unsteady)
    show("forward + backward against the bytes at the bandwidth of a + b", with_backward())
    show("bf16 against fp32", bfloat16())
    show("one long narrow sequence, 2 threads against 1", narrow())
    show("against torchlpc 0.7.2", torchlpc())
    show(f"against others at {WIDE}", others())


if __name__ == "__main__":
    if len(sys.argv) == 4:
        time_torchlpc(*map(int, sys.argv[1:]))
    else:
        main()

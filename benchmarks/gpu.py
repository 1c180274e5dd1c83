"""How far are the Triton scans from the copy bandwidth of a GPU, and what do its usual recurrences cost there?

Run by `make bench-gpu` on a machine with an NVIDIA GPU; the tables are printed and kept in results/, in a file with
the device's name. The floor is bytes counted over the bandwidth of `copy_` of the same dtype in the same run.
"""

import statistics
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from statewise.mixers import MinGRU
from statewise.ops import linear_scan
from statewise.ops.gated_scan.raw import backward_op as gated_backward
from statewise.ops.gated_scan.raw import forward_op as gated_forward
from statewise.ops.linear_scan.raw import backward_op as linear_backward
from statewise.ops.linear_scan.raw import forward_op as linear_forward

RESULTS = Path(__file__).parent / "results"
SHAPE, GOAL = (16, 4096, 1024), 0.85
RIVALS_BATCH, RIVALS_WIDTH, LENGTHS = 4, 1024, (512, 4096, 65536)
Work = Callable[[], object]


def median_ms(work: Work, device: str, runs: int = 20) -> float:
    """Milliseconds of one run on the device, by its own clock, after three that are not counted."""
    for _ in range(3):
        work()
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(runs)]
    for begin, end in events:
        begin.record()
        work()
        end.record()
    torch.cuda.synchronize(device)
    return statistics.median(begin.elapsed_time(end) for begin, end in events)


def peak_mib(work: Work, device: str) -> float:
    """MiB that one run holds at most, beyond what was held before."""
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


def scans(shape: tuple[int, ...], device: str, dtype: torch.dtype) -> dict[str, tuple[Work, int]]:
    """Forward and backward of each scan, and the numbers that it must move, in units of B·T·D."""

    def draw(pieces: int) -> list[Tensor]:
        packed = torch.randn(*shape[:2], pieces * shape[2], device=device, dtype=dtype)
        return list(packed.chunk(pieces, -1))

    decay, drive = draw(1)[0].sigmoid(), draw(1)[0]
    states, grad = linear_forward(decay, drive, None, None, None)[0], draw(1)[0]
    works: dict[str, tuple[Work, int]] = {
        "linear_scan forward": (partial(linear_forward, decay, drive, None, None, None), 3),
        "linear_scan backward": (partial(linear_backward, decay, states, None, None, grad, None, None), 5),
    }
    for name, title, pieces in (("min_gru g", "min_gru_scan", 2), ("min_lstm normalised g", "min_lstm_scan", 3)):
        inputs = draw(pieces)
        kept = gated_forward(name, inputs, None, None, None)[0]
        works[f"{title} forward"] = (partial(gated_forward, name, inputs, None, None, None), pieces + 1)
        backward = partial(gated_backward, name, inputs, kept, None, None, grad, None, None)
        works[f"{title} backward"] = (backward, 2 * pieces + 2)
    return works


def bandwidth(shape: tuple[int, ...], device: str, dtype: torch.dtype = torch.bfloat16) -> list[str]:
    """Each scan's share of the copy bandwidth."""
    source = torch.randn(shape, device=device, dtype=dtype)
    target = torch.empty_like(source)
    size = source.numel() * source.element_size()
    copied = 2 * size / median_ms(partial(target.copy_, source), device) / 1e6
    lines = [
        f"Copy: {copied:.0f} GB/s at {shape} {str(dtype).removeprefix('torch.')}.",
        "",
        "| scan | ms | GB/s | of the copy | goal |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, (work, moved) in scans(shape, device, dtype).items():
        spent = median_ms(work, device)
        rate = moved * size / spent / 1e6
        share = rate / copied
        verdict = f"{GOAL}" if share >= GOAL else f"{GOAL} missed"
        lines.append(f"| {name} | {spent:.3f} | {rate:.0f} | {share:.2f} | {verdict} |")
    return lines


def training(function: Callable[[Tensor], Any], shape: tuple[int, ...], device: str) -> Work:
    """Forward and backward in bf16, as work; `function` gives one tensor of the input's shape."""
    x = torch.randn(shape, device=device, dtype=torch.bfloat16, requires_grad=True)
    grad = torch.randn_like(x)

    def work() -> None:
        function(x).backward(grad)

    return work


def recurrences(length: int, device: str) -> dict[str, Work | str]:
    """Layers and bare scans that people use, as work at (4, length, 1024), or why one cannot run."""
    width = RIVALS_WIDTH
    shape = (RIVALS_BATCH, length, width)
    mingru, gru = (each.to(device, torch.bfloat16) for each in (MinGRU(width), nn.GRU(width, width, batch_first=True)))
    works: dict[str, Work | str] = {
        "statewise MinGRU, layer": training(lambda x: mingru(x)[0], shape, device),
        "torch.nn.GRU (cuDNN), layer": training(lambda x: gru(x)[0], shape, device),
        "statewise linear_scan": training(lambda x: linear_scan(x.sigmoid(), x)[0], shape, device),
    }
    try:
        from accelerated_scan.warp import scan as warp_scan

        channels_first = (RIVALS_BATCH, width, length)
        works["accelerated-scan, warp, (B, D, T)"] = training(
            lambda x: warp_scan(x.sigmoid(), x), channels_first, device
        )
    except (ImportError, RuntimeError, OSError) as error:
        works["accelerated-scan, warp, (B, D, T)"] = f"not run: {type(error).__name__}"
    try:
        from fla.ops.hgrn import fused_recurrent_hgrn

        works["flash-linear-attention HGRN"] = training(
            lambda x: fused_recurrent_hgrn(x, nn.functional.logsigmoid(x))[0], shape, device
        )
    except ImportError as error:
        works["flash-linear-attention HGRN"] = f"not run: {type(error).__name__}"
    return works


def against_rivals(lengths: tuple[int, ...], device: str) -> list[str]:
    """Forward and backward of each at each length, with the peak of memory."""
    lines = ["| T | forward + backward | ms | peak MiB |", "| --- | --- | --- | --- |"]
    for length in lengths:
        for name, work in recurrences(length, device).items():
            if isinstance(work, str):
                lines.append(f"| {length} | {name} | {work} | |")
                continue
            try:
                lines.append(
                    f"| {length} | {name} | {median_ms(work, device, runs=5):.2f} | {peak_mib(work, device):.0f} |"
                )
            except RuntimeError as error:
                # A rival that refuses a length (accelerated-scan takes powers of two up to 65536) is a finding.
                lines.append(f"| {length} | {name} | {str(error).splitlines()[0][:60]} | |")
    return lines


def main() -> None:
    """Print the tables and keep them."""
    if not torch.cuda.is_available():
        sys.exit("bench-gpu: torch sees no GPU here; run it on a machine with an NVIDIA GPU and a CUDA build of torch")
    name = torch.cuda.get_device_name()
    title = f"# {name}\n\ntorch {torch.__version__}, triton {version('triton')}. Medians on the device's own clock.\n"
    text = "\n".join(
        (
            title,
            "## Share of the copy bandwidth\n",
            *bandwidth(SHAPE, "cuda"),
            "\n## Beside other recurrences\n",
            *against_rivals(LENGTHS, "cuda"),
        )
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name.lower().replace(' ', '-')}.md").write_text(f"{text}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

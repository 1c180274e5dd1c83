"""How far are the fused minGRU and minLSTM scans from the speed of memory?

minGRU's forward moves what `a + b` moves; minLSTM's 4/3 of it. The floor of forward and backward is the bytes counted
(9 N and 12 N numbers) at the bandwidth of `a + b` in the same run.
"""

from functools import partial

import torch
from bench_linear_scan import Row, scan
from timing import medians, show, steady, threads

from statewise.ops import softmax_scan
from statewise.ops.gated_scan.raw import backward_op, forward_op

SHAPE, NARROW = (64, 512, 512), (1, 65536, 16)
VARIANTS = {"min_gru g": (2, 2.0), "min_lstm normalised g": (3, None)}
"""Number of inputs, and the goal for the forward."""


def works(name: str, shape: tuple[int, int, int], dtype: torch.dtype = torch.float32):
    """Forward, backward and `a + b`, as work."""
    batch, length, channels = shape
    inputs = list(torch.randn(batch, length, VARIANTS[name][0] * channels).to(dtype).chunk(VARIANTS[name][0], -1))
    states, _ = forward_op(name, inputs, None, None, None)
    grad, other = torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)
    return {
        "forward": partial(forward_op, name, inputs, None, None, None),
        "backward": partial(backward_op, name, inputs, states, None, None, grad, None, None),
        "add": partial(torch.add, grad, other),
    }


def rows() -> dict[str, list[Row]]:
    """All tables but the narrow one."""
    forward: list[Row] = []
    both: list[Row] = []
    half: list[Row] = []
    for name, (inputs, goal) in VARIANTS.items():
        spent = medians(works(name, SHAPE))
        case = f"{name} {SHAPE}"
        forward.append((case, spent["forward"], spent["add"] * (inputs + 1) / 3, goal))
        floor = spent["add"] / 3 * (3 * inputs + 3)
        both.append((case, spent["forward"] + spent["backward"], floor, 1.8))
        small = medians({"half": works(name, SHAPE, torch.bfloat16)["forward"], "full": works(name, SHAPE)["forward"]})
        half.append((case, small["half"], small["full"], None))
    return {
        "forward against its bytes at the bandwidth of a + b": forward,
        "forward + backward against their bytes": both,
        "bf16 against fp32, forward": half,
    }


def narrow() -> list[Row]:
    """Two threads against one."""
    spent = {}
    for count in (1, 2):
        with threads(count):
            spent[count] = medians(works("min_gru g", NARROW))
    return [
        (f"min_gru g {NARROW} {each}", spent[2][each], spent[1][each], 0.7 if each == "forward" else None)
        for each in ("forward", "backward", "add")
    ]


def softmax() -> list[Row]:
    """The softmax scan beside the linear one, which does two operations for each number."""
    score, value, decay = torch.randn(8, 4096, 8), torch.randn(8, 4096, 256), torch.rand(8, 4096, 256)
    spent = medians({"ours": partial(softmax_scan, score, value), "linear": scan(decay, value)})
    return [("softmax_scan, 8 heads (8, 4096, 256)", spent["ours"], spent["linear"], None)]


def main() -> None:
    """Print every table."""
    steady()
    for question, table in rows().items():
        show(question, table)
    show("one long narrow sequence, 2 threads against 1", narrow())
    show("softmax scan against the linear scan", softmax())


if __name__ == "__main__":
    main()

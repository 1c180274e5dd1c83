"""A long sequence trains in constant memory: piece by piece, gradients within a window, the state carried across."""

import subprocess
import sys

import pytest

PIECE, WINDOW = 500, 2
MARGIN = 8 * 2**20
"""Bytes by which the peak may grow: what allocators keep. Half a megabyte was seen; 20,000 tokens kept take 40."""

PROGRAM = """
import sys, torch
import torch.nn.functional as F
from statewise.core.random import seeded
from statewise.core.state import detach_state
from statewise.models import LanguageModel

torch.set_num_threads(1)
piece, window, detached = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "detached"

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

def train(length):
    with seeded(0):
        model = LanguageModel(vocabulary=4, width=16, stack="mingru*2", feed_forward=2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    generator, state, loss, losses = torch.Generator().manual_seed(0), None, 0.0, []
    for number in range(length // piece):
        tokens = torch.arange(number * piece, (number + 1) * piece + 1)[None] // 2 % 4
        logits, state = model(tokens[:, :-1], state)
        loss = loss + F.cross_entropy(logits[0], tokens[0, 1:])
        if number % window == window - 1 and detached:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item() / window)
            state, loss = detach_state(state), 0.0
    return losses

train(2 * window * piece)
for length in map(int, sys.argv[4:]):
    losses = train(length)
    print(length, peak(), *losses[:1], *losses[-1:])
"""


def peaks_and_losses(lengths, *, detached=True, timeout=120):
    """For each length, in a process of its own that goes from one to the next: peak bytes, first and last loss."""
    arguments = [str(PIECE), str(WINDOW), "detached" if detached else "whole", *map(str, lengths)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True, timeout=timeout
    )
    return [[float(number) for number in line.split()[1:]] for line in done.stdout.splitlines()]


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc/self/status")


@pytest.mark.slow
def test_a_hundred_thousand_tokens_take_the_memory_of_ten_thousand():
    (short, *_), (long, first, last) = peaks_and_losses([10_000, 100_000])
    assert long - short < MARGIN
    assert last < first / 10, "nothing was learned"


@pytest.mark.slow
def test_the_measure_sees_memory_that_grows():
    (short, *_), (long, *_) = peaks_and_losses([10_000, 40_000], detached=False)
    assert long - short > 5 * MARGIN


@pytest.mark.slow
def test_a_million_tokens_take_the_memory_of_ten_thousand():
    (short, *_), (long, first, last) = peaks_and_losses([10_000, 1_000_000], timeout=1200)
    assert long - short < MARGIN
    assert last < first / 10

"""Copies, pickled or deep, are equal and share nothing; a spawned process gets the same mixer."""

import multiprocessing

import torch

from laws.spawned import send_outputs
from laws.variants import build, over_dtypes, over_variants
from statewise.testing import MIXER_LAWS
from statewise.testing.runs import inputs_of


@over_dtypes
@over_variants
def test_copies_are_equal(variant, dtype):
    MIXER_LAWS["copies_are_equal"](build(variant, dtype))


def test_a_spawned_process_gives_the_same_outputs():
    mixer = build("mingru", torch.float32)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=send_outputs, args=(theirs, mixer), daemon=True)
    process.start()
    theirs.close()
    assert ours.recv() == mixer(inputs_of(mixer))[0].tolist()
    process.join()
    assert process.exitcode == 0

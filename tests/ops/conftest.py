"""Fixtures for the recurrences."""

import pytest
import torch

from ops.scans import has_interpreter


@pytest.fixture(scope="module", autouse=True)
def _small_tiles():
    """Channels that outnumber a program's at a width that the interpreter is quick at."""
    with pytest.MonkeyPatch.context() as patch:
        if has_interpreter():
            patch.setattr("statewise.ops.triton.BLOCK_D", 16)
        yield


@pytest.fixture
def set_threads():
    """`torch.set_num_threads`, undone after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)

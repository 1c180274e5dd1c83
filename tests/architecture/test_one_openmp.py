"""One process, one OpenMP runtime: two would each start their own threads, and share no settings."""

import subprocess
import sys

import pytest

SCAN_AND_LIST_MAPPED_FILES = """
import statewise, torch
from pathlib import Path
torch.set_num_threads(2)
drive = torch.zeros(4, 200, 100)
statewise.ops.linear_scan(drive, drive)
mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
print(*sorted(name for name in mapped if "libgomp" in name or "libomp" in name or "libiomp" in name), sep="\\n")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the list of mapped files is Linux's /proc/self/maps")
def test_torch_and_the_kernels_share_one_openmp():
    done = subprocess.run(
        [sys.executable, "-c", SCAN_AND_LIST_MAPPED_FILES], capture_output=True, text=True, check=True, timeout=120
    )
    runtimes = done.stdout.split()
    assert len(runtimes) == 1, f"OpenMP runtimes mapped: {runtimes}"

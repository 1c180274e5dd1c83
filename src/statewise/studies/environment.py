"""The machine and the software that made a run's numbers, as its record says them."""

import importlib.metadata
import platform
import resource
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from statewise.ops import choose_kernel

GIT = ("git", "-c", "core.fsmonitor=false", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
GIT_SECONDS = 5


def environment() -> dict[str, Any]:
    """Versions, device, threads, kernels with the reasons for them, memory, and the revision of the user's own code.

    peak_memory  largest resident set of the process since `watch_memory`, in bytes
    git          the commit of the working directory, with -dirty where files differ from it; None outside of git
    """
    return {
        "python": platform.python_version(),
        "statewise": importlib.metadata.version("statewise"),
        "threads": torch.get_num_threads(),
        "peak_memory": peak_memory(),
        "git": git_revision(Path.cwd()),
        **decisive(),
    }


def decisive() -> dict[str, Any]:
    """What, beside the number of threads, the last bits of a number may depend on."""
    scans = choose_kernel(device="cpu", dtype=torch.float32, shape=(1, 1, 1))
    return {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "device": "cpu",
        "kernels": {
            "scans": f"{scans.kernel}: {scans.because}",
            "torch": f"cpu: {torch.backends.cpu.get_cpu_capability()} instructions",
        },
    }


def watch_memory() -> None:
    """Have `peak_memory` start from what is used at present, where the system can do that; else it never falls."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """The largest resident set of this process, in bytes."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    # Kilobytes, but bytes on a Mac.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@cache
def git_revision(folder: Path) -> str | None:
    """The commit that a folder is at, with -dirty where files differ from it; None where there is no git.

    >>> git_revision(Path("/"))
    """
    try:
        told = subprocess.run(GIT, cwd=folder, capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None

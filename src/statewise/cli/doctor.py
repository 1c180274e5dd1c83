"""statewise doctor: what is installed, which kernels there are, and which would run."""

import importlib.metadata
import importlib.util
import os
import platform
from dataclasses import dataclass

import torch

from statewise.cli.console import console
from statewise.ops import available_kernels, choose_kernel

REQUIRED = ("statewise", "torch", "numpy", "safetensors", "rich", "tyro")
EXTRAS = {"report": ("matplotlib", "jinja2", "plotly"), "gpu": ("triton",)}
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Print versions, the kernels that are available, and which one would run for which dtype, and why."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        out = console()
        out.print(f"python       {platform.python_version()} on {platform.system()} {platform.machine()}")
        for name in REQUIRED:
            out.print(f"{name:<13}{importlib.metadata.version(name)}")
        for extra, modules in EXTRAS.items():
            absent = [name for name in modules if importlib.util.find_spec(name) is None]
            state = f"missing {', '.join(absent)}: pip install 'statewise[{extra}]'" if absent else "installed"
            out.print(f"extra {extra:<7}{state}", markup=False)
        out.print(f"threads      {torch.get_num_threads()} of {os.cpu_count()} cores")
        if (busy := other_load()) is not None:
            out.print(f"load         {busy}")
        out.print(f"GPU          {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}")
        out.print(f"kernels      {', '.join(available_kernels())}")
        for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            for dtype in DTYPES:
                choice = choose_kernel(device=device, dtype=dtype, shape=(8, 4096, 256))
                name = str(dtype).removeprefix("torch.")
                out.print(f"scans        {device} {name}: {choice.kernel}, because {choice.because}")
        return 0


def other_load() -> str | None:
    """A warning where other processes keep the cores busy; timings are then not to be trusted.

    With another process on the cores, every parallel region waits for a tick of the scheduler.
    """
    try:
        waiting = os.getloadavg()[0]
    except OSError:
        return None
    if waiting < 0.5:
        return None
    return f"{waiting:.1f} processes were running over the last minute: timings are not to be trusted"

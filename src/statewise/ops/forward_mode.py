"""What every scan says to forward-mode differentiation.

A `jvp` of our own would end torch.compile, which takes no autograd.Function that has one.
"""

from typing import Any

import torch

from statewise.core.errors import UsageError

FORWARD_MODE = """{where}: forward-mode derivatives (jvp, jacfwd, dual tensors) are not available.
Use reverse mode: backward, torch.func.grad, vjp, jacrev. Or differentiate the loop itself:
from statewise.ops.{folder}.reference import {folder}."""


def apply_in_reverse(where: str, folder: str, function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """`function.apply(*arguments)`, with a UsageError that starts with `where` instead of torch's error on a jvp."""
    try:
        return function.apply(*arguments)
    except NotImplementedError as error:
        if "jvp" not in str(error):
            raise
        raise UsageError(FORWARD_MODE.format(where=where, folder=folder)) from error

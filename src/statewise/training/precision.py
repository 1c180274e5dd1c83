"""In which dtype a step computes, and the check that it does.

Weights, their gradients' sum and the optimizer's state are kept in the weights' dtype whatever the precision.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from statewise.core.errors import RunError, UsageError
from statewise.models import Trainable

PRECISIONS = {
    "full": "everything in the dtype of the weights",
    "bf16-autocast": "matrix products in bfloat16, the rest as torch.autocast decides",
    "bf16-weights": "weights rounded to bfloat16 for computing, as FSDP's MixedPrecisionPolicy does",
}

LOW = torch.bfloat16


class InPrecision(nn.Module):
    """A model whose forward pass computes in a precision: tokens → outputs and, in place of a state, nothing.

    model    its parameters stay as they are
    rounded  whether something else, FSDP, rounds the weights for `bf16-weights`
    """

    def __init__(self, model: Trainable, precision: str, *, rounded: bool = False) -> None:
        super().__init__()
        self.model = model
        self.precision = precision
        self.rounds = precision == "bf16-weights" and not rounded

    def forward(self, tokens: Tensor, *, reset: Tensor | None = None) -> tuple[Tensor, tuple[()]]:
        """What the model says at every token."""
        with self._context():
            if not self.rounds:
                return self.model(tokens, reset=reset)[0], ()
            rounded = {name: in_low(parameter) for name, parameter in self.model.named_parameters()}
            return functional_call(self.model, rounded, (tokens,), {"reset": reset})[0], ()

    def _context(self) -> AbstractContextManager[Any]:
        device = next(self.model.parameters()).device.type
        return torch.autocast(device, LOW) if self.precision == "bf16-autocast" else nullcontext()


def in_low(parameter: Tensor) -> Tensor:
    """A floating-point parameter rounded to bfloat16; its gradient comes back in its own dtype."""
    return parameter.to(LOW) if parameter.is_floating_point() else parameter


def check_precision(module: nn.Module, precision: str, example: Callable[[], Tensor]) -> None:
    """Raise unless linear maps compute in the precision that was asked for, with weights kept in float32.

    One forward pass of `module`, in which the dtypes of what goes in and comes out are looked at: a flag that is set
    proves nothing. A model that cannot compute so is a UsageError, one that computes in another dtype a RunError.
    """
    if precision == "full":
        return
    kept = {parameter.dtype for parameter in module.parameters() if parameter.is_floating_point()}
    if kept != {torch.float32}:
        raise UsageError(f"precision is {precision}, which needs weights kept in float32; these are {spoken(kept)}")
    for name, dtype in computed_dtypes(module, precision, example()).items():
        if dtype != LOW:
            raise RunError(f"precision is {precision}, and {name} computes in {spoken([dtype])}")


def computed_dtypes(module: nn.Module, precision: str, tokens: Tensor) -> dict[str, torch.dtype]:
    """The dtype of what each linear map of a module gives, by its name, in one forward pass."""
    found: dict[str, torch.dtype] = {}
    hooks = [
        part.register_forward_hook(lambda _, __, output, name=name: found.update({name: output.dtype}))
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear)
    ]
    try:
        with torch.no_grad():
            module(tokens)
    except (UsageError, RuntimeError) as error:
        why = " ".join(str(error).split())
        raise UsageError(f"precision is {precision}, in which this model cannot compute: {why}") from None
    finally:
        for hook in hooks:
            hook.remove()
    return found


def spoken(dtypes: Iterable[torch.dtype]) -> str:
    """Dtypes without torch's prefix."""
    return ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))

"""Running a model that is given by its `step`, with every result looked at."""

from typing import Any

from torch import Tensor

from statewise.core.errors import UsageError


def state_after(model: Any, symbols: Tensor, alphabet: int) -> Any:
    """The state after whole strings: what a call returns beside logits, or else what steps lead to."""
    try:
        called = model(symbols) if callable(model) else None
    except NotImplementedError:  # a torch.nn.Module without a forward
        called = None
    if isinstance(called, tuple) and len(called) == 2:
        return called[1]
    first, *others = symbols.unbind(1)
    state = first_step(model, first, alphabet)
    for token in others:
        _, state = one_step(model, token, state, alphabet)
    return state


def first_step(model: Any, token: Tensor, alphabet: int) -> Any:
    """The state after the first symbol."""
    if hasattr(model, "initial_state"):
        return one_step(model, token, model.initial_state(len(token)), alphabet)[1]
    try:
        return one_step(model, token, None, alphabet)[1]
    except (TypeError, AttributeError) as error:
        raise UsageError(
            f"capacity: step(token, None) failed: {error}. Give the model initial_state(batch_size), or a forward "
            "tokens (B, T) -> (logits, state), or let its step begin where the state is None"
        ) from error


def one_step(model: Any, token: Tensor, state: Any, alphabet: int) -> tuple[Tensor, Any]:
    """The model's step, its result looked at."""
    made = model.step(token, state)
    logits = made[0] if isinstance(made, tuple) and len(made) == 2 else None
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(token) or logits.shape[1] < alphabet:
        raise UsageError(
            f"capacity: step must give (logits, state), logits (B, V) with V at least the alphabet, {alphabet}, for a "
            f"token of shape {tuple(token.shape)}; it gave {given(made)}"
        )
    return logits, made[1]


def check_logits(logits: Any, asked: Tensor, alphabet: int) -> None:
    """Raise a UsageError unless a callable gave logits (B, T, V) for tokens (B, T)."""
    if (
        not isinstance(logits, Tensor)
        or logits.ndim != 3
        or logits.shape[:2] != asked.shape
        or len(logits[0, 0]) < alphabet
    ):
        raise UsageError(
            f"capacity: the model must give logits (B, T, V) with V at least the alphabet, {alphabet}, for tokens "
            f"{tuple(asked.shape)}; it gave {given(logits)}. A model with a state needs a method step(token, state)"
        )


def given(made: Any) -> str:
    """What a model returned, for a message: shapes of tensors, names of other types."""
    if isinstance(made, Tensor):
        return f"a tensor {tuple(made.shape)}"
    if isinstance(made, tuple):
        return f"({', '.join(map(given, made))})"
    return f"a {type(made).__name__}"

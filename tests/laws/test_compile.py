"""torch.compile takes a block of every mixer whole: forwards, with resets, backwards and token by token."""

import pytest
import torch

from statewise.core.random import seeded
from statewise.core.state import leaves
from statewise.mixers import MIXERS
from statewise.models import LanguageModel
from statewise.testing import assert_close

LENGTH = 70

REFUSED = {
    "gru": "Dynamo does not support RNN, GRU, or LSTM",
    "lstm": "Dynamo does not support RNN, GRU, or LSTM",
}
"""Mixers that torch itself does not compile whole, by what it says."""

ONE_OF_EACH_RECURRENCE = {
    "gated_scan": "mingru",
    "linear_scan": "gated-lru",
    "linear_scan of complex numbers": "lru",
    "softmax_scan": "aaren",
    "softmax over a cache": "attention",
    "matrix_scan": "gla",
    "delta_scan": "gated-deltanet",
    "selective_scan": "mamba",
    "wkv": "rwkv4",
    "delta_scan of low rank": "rwkv7",
    "slstm_scan": "slstm",
    "mlstm": "mlstm",
}

# Dynamo makes an instance of every autograd function that it traces, which torch itself deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@pytest.fixture(autouse=True)
def _nothing_compiled_before():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def run_both(variant, backend):
    """The outputs, states and gradients of a block, compiled and not."""
    with seeded(0):
        block = LanguageModel(vocabulary=7, width=6, stack=variant, conv=2, feed_forward=1).blocks[0]
    x = torch.randn(2, LENGTH, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    reset = torch.zeros(2, LENGTH, dtype=torch.bool)
    reset[0, 3] = True

    def forward_and_step(x, reset):
        y, state = block(x, block.initial_state(2), reset=reset)
        after, state = block.step(x[:, 0], state)
        return y, after, *leaves(state)

    def everything(function):
        results = function(x, reset)
        loss = sum(result.sum() for result in results if result.is_floating_point())
        grads = torch.autograd.grad(loss, [x, *block.parameters()], allow_unused=True)
        return *results, *(grad for grad in grads if grad is not None)

    compiled = torch.compile(forward_and_step, fullgraph=True, backend=backend)
    return zip(everything(compiled), everything(forward_and_step), strict=True)


def assert_compiles(variant, backend):
    for i, (one, other) in enumerate(run_both(variant, backend)):
        assert_close(f"result {i}", one, other, dtype=torch.float32)


@pytest.mark.parametrize(
    "variant",
    [
        name if name in ONE_OF_EACH_RECURRENCE.values() else pytest.param(name, marks=pytest.mark.slow)
        for name in MIXERS
        if name not in REFUSED
    ],
)
def test_a_block_compiles_whole(variant):
    assert_compiles(variant, "aot_eager")


@pytest.mark.parametrize("variant", REFUSED)
def test_what_torch_does_not_compile_is_still_refused_and_runs_in_parts(variant):
    with pytest.raises(torch._dynamo.exc.Unsupported, match=REFUSED[variant]):
        run_both(variant, "aot_eager")


# Inductor's own modules use what torch deprecates; complex numbers it leaves to the operators, and says so.
@pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex:UserWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("variant", [name for name in ONE_OF_EACH_RECURRENCE.values() if name in MIXERS])
def test_inductor_compiles_a_block(variant):
    assert_compiles(variant, "inductor")

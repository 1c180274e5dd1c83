"""A token decoded without gradients, where kernels of inference may run, is the token that is differentiated."""

import pytest
import torch

from laws.variants import build, over_dtypes, over_variants
from statewise.core.state import leaves
from statewise.testing import assert_close


def outcomes(mixer, x, state):
    y, state = mixer.step(x, state)
    return y, *leaves(state)


@over_dtypes
@over_variants
def test_a_step_without_gradients_is_one_with_them(variant, dtype):
    mixer = build(variant, dtype)
    x = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    _, state = mixer(x[:3].transpose(0, 1))
    state = type(state)(*(part.detach() if isinstance(part, torch.Tensor) else part for part in state))
    expected = outcomes(mixer, x[3], state)
    for without in (torch.no_grad, torch.inference_mode):
        with without():
            for i, (one, other) in enumerate(zip(outcomes(mixer, x[3], state), expected, strict=True)):
                assert_close(f"result {i}", one, other, dtype=dtype)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("name", ["mamba", "mamba2"])
def test_transforms_are_right_without_gradients_too(name):
    mixer = build(name, torch.float64)
    x = torch.randn(5, 3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    state = mixer.initial_state(3, dtype=torch.float64)

    def output(each):
        return mixer.step(each, state)[0]

    expected = torch.stack([output(each) for each in x])
    tangent = torch.ones_like(x[0])
    _, slope = torch.func.jvp(output, (x[0],), (tangent,))
    with torch.no_grad():
        assert_close("vmap", torch.vmap(output)(x), expected)
        _, without = torch.func.jvp(output, (x[0],), (tangent,))
        assert_close("jvp", without, slope)
        with torch.autograd.forward_ad.dual_level():
            dual = output(torch.autograd.forward_ad.make_dual(x[0], tangent))
            assert_close("dual", torch.autograd.forward_ad.unpack_dual(dual).tangent, slope)
    assert slope.abs().max() > 0

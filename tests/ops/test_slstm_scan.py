"""The sLSTM recurrence: the gradient by hand against autograd through the loop, resets, transforms, errors."""

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.ops.slstm_scan import CellState, slstm_scan, slstm_step
from statewise.ops.slstm_scan.raw import backward_op, forward_op
from statewise.testing import assert_close
from statewise.testing.compare import assert_same_bits

BATCH, HEADS, CHANNELS = 3, 2, 4


def draw(length, *, seed=0, dtype=torch.float64):
    """Gates, recurrent matrices and a state in which n is positive, all asking for gradients."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    state = [random(BATCH, HEADS, CHANNELS) for _ in range(4)]
    state[2] = 1 + state[2].abs()
    gates, recurrent = 2 * random(BATCH, length, HEADS, 4 * CHANNELS), random(HEADS, CHANNELS, 4 * CHANNELS)
    wide = torch.promote_types(dtype, torch.float32)
    leaves = [gates.to(dtype), recurrent.to(dtype), *(part.to(wide) for part in state)]
    return [leaf.requires_grad_() for leaf in leaves]


def run(leaves, reset=None, kernel=None):
    gates, recurrent, *state = leaves
    hidden, final = slstm_scan(gates, recurrent, CellState(*state), reset=reset, kernel=kernel)
    return hidden, *final


def gradients(leaves, ends):
    generator = torch.Generator().manual_seed(1)
    total = sum((end * torch.randn(end.shape, generator=generator, dtype=end.dtype)).sum() for end in ends)
    return torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)


def resets(length, *places):
    reset = torch.zeros(BATCH, length, dtype=torch.bool)
    for row, place in places:
        reset[row, place] = True
    return reset


CASES = {
    "no tokens": (0, None),
    "one token": (1, None),
    "one token, reset": (1, resets(1, (0, 0))),
    "many": (11, None),
    "resets at the first, the last and beside each other": (
        11,
        resets(11, (0, 0), (1, 10), (2, 4), (2, 5)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_by_hand_is_the_loop(case):
    length, reset = CASES[case]
    leaves = draw(length)
    ours, loop = run(leaves, reset), run(leaves, reset, "reference")
    names = ["hidden", *CellState._fields]
    for name, mine, other in zip(names, ours, loop, strict=True):
        assert_same_bits(name, mine, other)
    pairs = zip(gradients(leaves, ours), gradients(leaves, loop), strict=True)
    for name, (mine, other) in zip(["gates", "recurrent", *CellState._fields], pairs, strict=True):
        assert_close(f"gradient of {name}", mine, other)


@pytest.mark.parametrize("reset", [None, resets(3, (0, 0), (1, 1), (2, 2))], ids=["whole", "resets"])
def test_gradients_are_finite_differences(reset):
    torch.autograd.gradcheck(lambda *leaves: run(leaves, reset), draw(3), fast_mode=True)


@pytest.mark.parametrize("length", [0, 3])
@pytest.mark.parametrize("with_reset", [False, True])
def test_the_operators_pass_torchs_own_check(length, with_reset):
    gates, recurrent, *state = (leaf.detach() for leaf in draw(length))
    initial = [part.transpose(0, 1).contiguous() for part in state]
    reset = torch.ones(HEADS, length, BATCH, dtype=torch.bool) if with_reset else None
    arguments = (gates.permute(2, 1, 0, 3), recurrent, *initial, reset)
    torch.library.opcheck(forward_op, arguments)
    states = forward_op(*arguments)
    backwards = (recurrent, *initial, reset, *states, states[0], *initial)
    torch.library.opcheck(backward_op, backwards)


def test_nothing_before_is_a_reset_at_the_first_token():
    leaves = draw(5)
    reset = resets(5, (0, 0), (1, 0), (2, 0))
    fresh, final = slstm_scan(*leaves[:2])
    assert_close("hidden", run(leaves, reset)[0], fresh)
    assert_close("final", final.stabiliser, run(leaves, reset)[4])


def test_one_token_is_a_step():
    gates, recurrent, *state = draw(1)
    after = slstm_step(gates[:, 0], recurrent, CellState(*state))
    for name, mine, other in zip(CellState._fields, after, run([gates, recurrent, *state])[1:], strict=True):
        assert_same_bits(name, mine, other)


def test_gradients_of_single_sequences_through_torch_func():
    leaves = [leaf.detach() for leaf in draw(4)]
    gates, recurrent, *state = leaves

    def loss(gates, *state):
        hidden, final = slstm_scan(gates[None], recurrent, CellState(*(part[None] for part in state)))
        return hidden.square().sum() + final.cell.sum()

    each = torch.func.vmap(torch.func.grad(loss))(gates, *state)
    gates.requires_grad_()
    hidden, final = slstm_scan(gates, recurrent, CellState(*state))
    (together,) = torch.autograd.grad(hidden.square().sum() + final.cell.sum(), gates)
    assert_close("gradients", each, together)


def test_second_derivatives_are_the_references_alone():
    leaves = draw(3)
    (grad,) = torch.autograd.grad(run(leaves)[0].square().sum(), leaves[0], create_graph=True)
    with pytest.raises(UsageError, match=r'second derivatives are not available.*\n.*kernel="reference"'):
        torch.autograd.grad(grad.square().sum(), leaves[0])
    torch.autograd.gradgradcheck(lambda *leaves: run(leaves, kernel="reference")[0], draw(2), fast_mode=True)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_forward_mode_is_refused_by_name():
    gates, recurrent, *_ = draw(2)
    with pytest.raises(UsageError, match="slstm_scan: forward-mode derivatives"):
        torch.func.jvp(lambda gates: slstm_scan(gates, recurrent)[0], (gates,), (gates,))


def test_bfloat16_and_autocast_round_no_state():
    leaves = draw(9, dtype=torch.bfloat16)
    hidden, *final = run(leaves)
    wide, *wide_final = run([leaf.float() for leaf in leaves])
    assert hidden.dtype == torch.bfloat16
    assert_close("hidden", hidden, wide)
    assert {part.dtype for part in final} == {torch.float32}
    for mine, other in zip(final, wide_final, strict=True):
        assert_same_bits("final", mine, other)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same_bits("under autocast", run([leaf.float() for leaf in leaves])[0], wide)


def test_arguments_that_do_not_fit_are_refused():
    gates, recurrent, *state = (leaf.detach() for leaf in draw(3))
    with pytest.raises(UsageError, match=r"gates must be \(B, T, H, 4·d\).\n  gates  \(3, 3, 16\)"):
        slstm_scan(gates[:, :, 0], recurrent)
    with pytest.raises(UsageError, match=r"recurrent must have the shape \(H, d, 4·d\)"):
        slstm_scan(gates, recurrent[:1])
    with pytest.raises(UsageError, match="gates and recurrent must have the same real floating-point dtype"):
        slstm_scan(gates, recurrent.float())
    with pytest.raises(UsageError, match=r"initial.cell must have the shape \(B, H, d\)"):
        slstm_scan(gates, recurrent, CellState(state[0], state[1][:1], *state[2:]))
    with pytest.raises(UsageError, match=r"initial.hidden must be torch.float64 .* it is torch.float32"):
        slstm_scan(gates, recurrent, CellState(*(part.float() for part in state)))
    with pytest.raises(UsageError, match="reset must be bool"):
        slstm_scan(gates, recurrent, reset=torch.zeros(3, 3))
    with pytest.raises(UsageError, match="unknown kernel 'by hand': did you mean by-hand"):
        slstm_scan(gates, recurrent, kernel="by hand")

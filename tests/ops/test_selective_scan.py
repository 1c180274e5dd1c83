"""The selective scan: every form against the loop, its gradients, its edges, and what it refuses."""

import pytest
import torch

from ops.scans import SETS, running
from statewise.ops.selective_scan import chunked, fused, selective_scan
from statewise.testing import assert_close

LENGTHS = [0, 1, 7, 8, 9, 24, 25]
CPU = ("cpu", "cpu-portable")
FAST = ("chunked", *CPU)


def arguments(length, *, batch=2, channels=3, states=4, dtype=torch.float64, seed=0):
    """u, delta, A, B, C, initial, which ask for gradients."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, wide=torch.float64):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(wide)

    wide = torch.promote_types(dtype, torch.float32)
    values = (
        normal(batch, length, channels, wide=dtype),
        normal(batch, length, channels, wide=wide).abs(),
        -normal(channels, states, wide=wide).abs(),
        normal(batch, length, states, wide=dtype),
        normal(batch, length, states, wide=dtype),
        normal(batch, channels, states, wide=wide),
    )
    return [value.requires_grad_() for value in values]


def run(values, **options):
    """Outputs, final state, and the gradients of every argument from both."""
    outputs, final = selective_scan(*values, **options)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(end.shape, generator=generator, dtype=torch.float64) for end in (outputs, final)]
    loss = (outputs.double() * weights[0]).sum() + (final.double() * weights[1]).sum()
    grads = torch.autograd.grad(loss, values, allow_unused=True)
    grads = [torch.zeros_like(v) if g is None else g for g, v in zip(grads, values, strict=True)]
    return dict(
        zip(["outputs", "final", "u", "delta", "A", "B", "C", "initial"], [outputs, final, *grads], strict=True)
    )


def assert_same(ours, theirs, dtype=None):
    for name, expected in theirs.items():
        assert_close(name, ours[name], expected, dtype=dtype)


@pytest.fixture(autouse=True)
def _pieces_of_eight(monkeypatch):
    """The shortest pieces, so that short sequences have several."""
    monkeypatch.setattr(chunked, "PIECE_NUMBERS", 1)
    monkeypatch.setattr(fused, "KEPT", 8)


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kernel", FAST)
def test_every_kernel_is_the_loop(kernel, length, batch):
    values = arguments(length, batch=batch)
    assert_same(run(values, kernel=kernel), run(values, kernel="reference"))


# Blocks of sixteen channels, whole and not, alone and in several groups.
@pytest.mark.parametrize("channels", [0, 1, 15, 16, 17, 70])
@pytest.mark.parametrize("states", [0, 1, 5, 16])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("kernel", SETS)
def test_any_number_of_channels_and_states(kernel, batch, states, channels):
    values = arguments(19, batch=batch, channels=channels, states=states)
    reset = torch.rand(batch, 19, generator=torch.Generator().manual_seed(2)) < 0.1
    with running(kernel) as chosen:
        ours = run(values, reset=reset, kernel=chosen)
    assert_same(ours, run(values, reset=reset, kernel="reference"))


@pytest.mark.parametrize("places", [[0], [7, 8], [24], [0, 5, 6, 16]])
@pytest.mark.parametrize("kernel", FAST)
def test_resets_are_the_loops(kernel, places):
    values, reset = arguments(25), torch.zeros(2, 25, dtype=torch.bool)
    reset[0, places] = True
    ours = run(values, reset=reset, kernel=kernel)
    assert_same(ours, run(values, reset=reset, kernel="reference"))
    if places == [0]:
        assert not ours["initial"][0].any()
        assert bool(ours["initial"][1].any())


def test_no_initial_state_is_zeros():
    *values, initial = arguments(9)
    for kernel in ("reference", *FAST):
        outputs, final = selective_scan(*values, kernel=kernel)
        expected = selective_scan(*values, torch.zeros_like(initial), kernel=kernel)
        assert torch.equal(outputs, expected[0])
        assert torch.equal(final, expected[1])


@pytest.mark.parametrize("kernel", FAST)
def test_decay_one_sums_and_decay_zero_forgets(kernel):
    u, delta, A, B, C, initial = arguments(9)
    values = (u, delta, torch.zeros_like(A), torch.ones_like(B), torch.ones_like(C))
    outputs, _ = selective_scan(*values, kernel=kernel)
    assert_close("sums", outputs, 4 * (delta * u).cumsum(1))
    outputs, _ = selective_scan(u, delta + 1, torch.full_like(A, -1e4), *values[3:], initial, kernel=kernel)
    assert_close("no past", outputs, 4 * (delta + 1) * u)


@pytest.mark.parametrize("kernel", CPU)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_rate_and_step_are_exponentiated(kernel, dtype):
    exponents = torch.tensor(
        [-torch.inf, -1e4, -745, -104, -80, 0.5, 80, 88.5, 89.5, 709, 711, 1e4, torch.inf, torch.nan]
    )
    A, one = exponents.to(dtype)[:, None], torch.ones(1, 1, len(exponents), dtype=dtype)
    maps = torch.zeros(1, 1, 1, dtype=dtype), torch.ones(1, 1, 1, dtype=dtype)
    initial = torch.ones(1, len(exponents), 1, dtype=dtype)
    _, final = selective_scan(one, one, A, *maps, initial, kernel=kernel)
    torch.testing.assert_close(final[0], A.exp(), rtol=1e-6, atol=0, equal_nan=True)


@pytest.mark.parametrize("kernel", FAST)
def test_gradients_are_right(kernel):
    values, reset = arguments(10, batch=1, channels=2, states=2), torch.zeros(1, 10, dtype=torch.bool)
    reset[:, 4] = True
    assert torch.autograd.gradcheck(lambda *given: selective_scan(*given, kernel=kernel), values)
    assert torch.autograd.gradcheck(lambda *given: selective_scan(*given, reset=reset, kernel=kernel), values)


@pytest.mark.parametrize("kernel", FAST)
def test_gradients_from_one_end_only(kernel):
    values = arguments(9)
    for end in (0, 1):
        ours, theirs = (
            torch.autograd.grad(selective_scan(*values, kernel=k)[end].sum(), values, allow_unused=True)
            for k in (kernel, "reference")
        )
        for left, right, value in zip(ours, theirs, values, strict=True):
            assert_close("gradient", left, torch.zeros_like(value) if right is None else right)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kernel", FAST)
def test_narrow_inputs_keep_a_wide_state(kernel, dtype):
    values = arguments(25, dtype=dtype)
    ours = run(values, kernel=kernel)
    expected = run([value.detach().double().requires_grad_() for value in values], kernel="reference")
    assert ours["outputs"].dtype == ours["B"].dtype == dtype
    assert ours["final"].dtype == ours["delta"].dtype == torch.float32
    assert_same(ours, expected, dtype)


@pytest.mark.parametrize("kernel", FAST)
def test_pieces_change_no_more_than_rounding(kernel, monkeypatch):
    values = arguments(64)
    cut = run(values, kernel=kernel)
    monkeypatch.setattr(chunked, "PIECE_NUMBERS", 2**19)
    monkeypatch.setattr(fused, "KEPT", 64)
    assert_same(cut, run(values, kernel=kernel))


@pytest.mark.parametrize("kernel", FAST)
def test_a_later_token_changes_no_earlier_bit(kernel):
    u, *others = arguments(25)
    changed = u.detach().clone()
    changed[:, 13:] += 1
    before, after = (selective_scan(each, *others, kernel=kernel)[0][:, :13] for each in (u, changed))
    assert torch.equal(before, after)


@pytest.mark.parametrize("kernel", FAST)
@pytest.mark.parametrize("axes", [(0, 1), (-1, -2), (0, -1)])
def test_any_strides(kernel, axes):
    values = arguments(9)
    spread = [value.detach().transpose(*axes).contiguous().transpose(*axes).requires_grad_() for value in values]
    ours, theirs = run(spread, kernel=kernel), run(values, kernel=kernel)
    for name, expected in theirs.items():
        assert torch.equal(ours[name], expected), name


@pytest.mark.parametrize("shape", [(1, 300, 70, 16), (3, 200, 20, 5)])
@pytest.mark.parametrize("kernel", CPU)
def test_threads_change_no_bit(kernel, shape, set_threads):
    batch, length, channels, states = shape
    values = arguments(length, batch=batch, channels=channels, states=states, dtype=torch.float32)
    set_threads(1)
    alone = run(values, kernel=kernel)
    for threads in (2, 3, 16):
        set_threads(threads)
        together = run(values, kernel=kernel)
        assert all(torch.equal(together[name], alone[name]) for name in alone)


@pytest.mark.parametrize("kernel", CPU)
def test_every_channel_rounds_alike_wherever_it_stands(kernel):
    u, delta, A, *maps, initial = arguments(9, channels=40, dtype=torch.float32)
    same = [each[..., :1].detach().expand(each.shape).contiguous().requires_grad_() for each in (u, delta)]
    rows = [each[..., :1, :].detach().expand(each.shape).contiguous().requires_grad_() for each in (A, initial)]
    outputs, final = selective_scan(*same, rows[0], *maps, rows[1], kernel=kernel)
    grads = torch.autograd.grad(outputs.sum() + final.sum(), [*same, *rows])
    for each, axis in zip((outputs, final, *grads), (2, 1, 2, 2, 0, 1), strict=True):
        assert torch.equal(each, each.narrow(axis, 0, 1).expand_as(each))


def test_every_number_that_comes_back_was_written(monkeypatch):
    plain = torch.Tensor.new_empty

    def poisoned(*given, **options):
        memory = plain(*given, **options)
        return memory.fill_(float("nan")) if memory.is_floating_point() else memory

    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned)
    for shape in [(2, 0, 3, 4), (0, 3, 3, 4), (2, 3, 0, 4), (2, 3, 3, 0), (2, 19, 18, 3)]:
        batch, length, channels, states = shape
        found = run(arguments(length, batch=batch, channels=channels, states=states), kernel="cpu")
        assert all(each.isfinite().all() for each in found.values())


@pytest.mark.parametrize(
    ("dtype", "kernel", "expected"),
    [(torch.float32, None, "cpu"), (torch.bfloat16, None, "cpu"), (torch.float16, None, "chunked"),
     (torch.float64, "chunked", "chunked"), (torch.float64, "cpu-portable", "cpu-portable")],
)  # fmt: skip
def test_what_is_asked_for_or_the_fastest_runs(dtype, kernel, expected, monkeypatch):
    ran = []

    def spied(plain, name):
        def spy(*given):
            ran.append(name or given[-1])
            return plain(*given)

        return spy

    for module, name in ((chunked, "chunked"), (fused, "")):
        for each in ("selective_scan", "selective_scan_backward"):
            monkeypatch.setattr(module, each, spied(getattr(module, each), name))
    run(arguments(3, dtype=dtype), kernel=kernel)
    assert ran == [expected] * 2


def test_all_states_are_never_there_at_once():
    kept = []

    def note(saved):
        kept.append(saved.numel())
        return saved

    with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
        selective_scan(*arguments(512, channels=8, states=16))
    assert sum(kept) < 2 * 512 * 8 * 16


@pytest.mark.parametrize("kernel", FAST)
def test_under_vmap_and_func_grad(kernel):
    values = [torch.stack([value.detach()] * 3) for value in arguments(9)]
    values[0] = values[0] * torch.arange(1.0, 4)[:, None, None, None]

    def loss(*given):
        return selective_scan(*given, kernel=kernel)[0].square().sum()

    grads = torch.func.vmap(torch.func.grad(loss, argnums=(0, 2)))(*values)
    for i in range(3):
        alone = torch.func.grad(loss, argnums=(0, 2))(*(value[i] for value in values))
        assert_close("u", grads[0][i], alone[0])
        assert_close("A", grads[1][i], alone[1])


@pytest.mark.parametrize("kernel", FAST)
def test_the_operators_are_what_compilers_take_them_for(kernel):
    u, delta, A, B, C, initial = (value.detach() for value in arguments(9))
    forward, backward = torch.ops.statewise.selective_scan, torch.ops.statewise.selective_scan_backward
    rates = A.expand(2, *A.shape)
    checks = ("test_schema", "test_faketensor")
    for reset in (None, torch.eye(2, 9, dtype=torch.bool)):
        torch.library.opcheck(forward.default, (u, delta, rates, B, C, initial, reset, kernel), test_utils=checks)
        entering = forward(u, delta, rates, B, C, initial, reset, kernel)[2]
        given = (u, delta, rates, B, C, entering, reset, torch.ones_like(u), torch.ones_like(initial), kernel)
        torch.library.opcheck(backward.default, given, test_utils=checks)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_second_derivatives_are_the_references():
    values = arguments(5)
    for kernel in FAST:
        with pytest.raises(ValueError, match="second derivatives are not available"):
            torch.autograd.gradgradcheck(lambda *given, form=kernel: selective_scan(*given, kernel=form), values)
    small = arguments(3, batch=1, channels=1, states=2)
    assert torch.autograd.gradgradcheck(lambda *given: selective_scan(*given, kernel="reference"), small)
    with pytest.raises(ValueError, match="forward-mode"):
        torch.func.jvp(lambda u: selective_scan(u, *values[1:]), (values[0],), (values[0],))


def test_what_does_not_fit_is_refused():
    u, delta, A, B, C, initial = arguments(9)
    with pytest.raises(ValueError, match=r"u and delta must have the same shape \(B, T, E\)"):
        selective_scan(u, delta[:, 1:], A, B, C)
    with pytest.raises(ValueError, match=r"A must have the shape \(E, N\)"):
        selective_scan(u, delta, A.T, B, C)
    with pytest.raises(ValueError, match=r"B must have the shape \(B, T, N\)"):
        selective_scan(u, delta, A, B[:, 1:], C[:, 1:])
    with pytest.raises(ValueError, match=r"initial must have the shape \(B, E, N\)"):
        selective_scan(u, delta, A, B, C, initial[:, 1:])
    with pytest.raises(ValueError, match=r"delta, A and initial must be torch\.float32 beside u of torch\.bfloat16"):
        selective_scan(*(v.bfloat16() for v in (u, delta, A, B, C)))
    with pytest.raises(ValueError, match="u and B and C must have the same real"):
        selective_scan(u.float(), delta, A, B, C)
    with pytest.raises(ValueError, match="reset must be bool"):
        selective_scan(u, delta, A, B, C, reset=torch.zeros(2, 9))
    with pytest.raises(ValueError, match=r"reset must have the shape \(B, T\)"):
        selective_scan(u, delta, A, B, C, reset=torch.zeros(2, 8, dtype=torch.bool))
    with pytest.raises(ValueError, match="unknown kernel of selective_scan 'chunk': did you mean chunked"):
        selective_scan(u, delta, A, B, C, kernel="chunk")
    half = [value.half() for value in (u, B, C)]
    with pytest.raises(ValueError, match=r"kernel 'cpu' does not take torch\.float16 on cpu; .* kernel=\"chunked\""):
        selective_scan(half[0], delta.float(), A.float(), *half[1:], kernel="cpu")
    with pytest.raises(ValueError, match="u is a list"):
        selective_scan([1.0], delta, A, B, C)

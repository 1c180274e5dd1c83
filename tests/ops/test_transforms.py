"""Every member under torch.compile, torch.export, torch.func and autocast; the raw operators under opcheck."""

import pytest
import torch

from ops.scans import (
    FORMS,
    GATED,
    PACKED,
    RECURRENCES,
    SOFTMAX,
    TRITON,
    Scan,
    assert_all_same_bits,
    assert_outputs_close,
    by,
    cotangents,
    draw,
    gradients,
    running,
    twin,
)
from statewise.core.errors import UsageError
from statewise.ops.gated_scan import raw as gated_raw
from statewise.ops.gated_scan.gates import GATES, NAMES, MinGru, MinLstm
from statewise.ops.linear_scan import raw as linear_raw
from statewise.ops.softmax_scan import raw as softmax_raw

# While it traces an autograd.Function, torch does what it has deprecated.
compiling = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
# torch deprecates what its own forward mode is written with.
forward_mode = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
FUSED = [name for name in RECURRENCES if name != "linear_scan"]
KERNELS = ("reference", "cpu", "cpu portable", TRITON)


class Doubled(torch.nn.Module):
    """A model made of one scan."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, inputs, initial, reset):
        outputs, *final = RECURRENCES[self.name].door(inputs, initial, reset, None)
        return 2 * outputs, *final


def functional(name, scan, kernel=None):
    """The member as a function of its leaves, one by one."""
    count = len(scan.inputs)
    return lambda *leaves: by(name, kernel)(leaves[:count], leaves[count:] or None, scan.reset)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("extras", [{}, {"initial": False, "reset": True}], ids=str)
def test_the_linear_operators_pass_torchs_own_check(kernel, extras):
    scan = draw("linear_scan", 2, 3, 3, **extras)
    (initial,) = scan.initial or (None,)
    on_states, on_final = cotangents("linear_scan", scan)
    states, _ = twin("linear_scan", scan)
    with running(kernel) as chosen:
        torch.library.opcheck(linear_raw.forward_op, (*scan.inputs, initial, scan.reset, chosen))
        for grads in ((on_states, on_final), (None, on_final)):
            arguments = (scan.inputs[0], states, initial, scan.reset, *grads, chosen)
            torch.library.opcheck(linear_raw.backward_op, arguments)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("name", "gates", "extras"),
    [
        ("min_gru_scan g", MinGru("g"), {}),
        ("min_lstm_scan normalised tanh", MinLstm("tanh"), {"initial": False, "reset": True}),
    ],
    ids=str,
)
def test_the_gated_operators_pass_torchs_own_check(kernel, name, gates, extras):
    scan = draw(name, 2, 3, 3, **extras)
    (initial,) = scan.initial or (None,)
    on_states, on_final = cotangents(name, scan)
    states, _ = twin(name, scan)
    with running(kernel) as chosen:
        arguments = (NAMES[gates], list(scan.inputs), initial, scan.reset, chosen)
        torch.library.opcheck(gated_raw.forward_op, arguments)
        for grads in ((on_states, on_final), (None, on_final)):
            arguments = (NAMES[gates], list(scan.inputs), states, initial, scan.reset, *grads, chosen)
            torch.library.opcheck(gated_raw.backward_op, arguments)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_the_softmax_operators_pass_torchs_own_check(kernel, dtype):
    scan = draw("softmax_scan", 2, 3, 4, dtype=dtype, reset=True)
    with running(kernel) as chosen:
        torch.library.opcheck(softmax_raw.forward_op, (*scan.inputs, *scan.initial, scan.reset, chosen))
        outputs, maxima, denominators, final = softmax_raw.forward_op(*scan.inputs, *scan.initial, scan.reset, chosen)
        seen = (*scan.inputs, outputs, maxima, denominators, *scan.initial, scan.reset)
        on_outputs, *on_final = cotangents("softmax_scan", scan)
        torch.library.opcheck(softmax_raw.backward_op, (*seen, on_outputs, final, *on_final, chosen))


def test_every_variant_has_a_name_that_operators_take():
    assert {NAMES[gates]: gates for gates in NAMES} == GATES
    assert len(GATES) == len(GATED)


@compiling
@pytest.mark.parametrize("name", FORMS)
def test_compiles_whole_and_keeps_its_gradients(name):
    torch._dynamo.reset()
    compiled = torch.compile(Doubled(name), fullgraph=True, backend="aot_eager")
    for length in (5, 6, 7):
        scan = draw(name, 2, length, 4, reset=True)
        grads = cotangents(name, scan)
        actual, expected = (gradients(function, scan, grads) for function in (compiled, Doubled(name)))
        assert_all_same_bits("outputs and gradients", actual[0] + actual[1], expected[0] + expected[1])


@compiling
@pytest.mark.parametrize("name", FORMS)
def test_compiles_whole_where_nothing_has_gradients(name):
    torch._dynamo.reset()
    scan = draw(name, 2, 5, 4, reset=True)
    compiled = torch.compile(Doubled(name), fullgraph=True, backend="aot_eager")
    assert_all_same_bits("outputs", compiled(*scan), Doubled(name)(*scan))


@compiling
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", FORMS)
def test_exports_with_a_length_that_varies(name, strict):
    length = torch.export.Dim("length", min=2)
    scan = draw(name, 2, 5, 4, reset=True)
    shapes = (tuple({1: length} for _ in scan.inputs), tuple({} for _ in scan.initial), {1: length})
    exported = torch.export.export(Doubled(name), tuple(scan), dynamic_shapes=shapes, strict=strict)
    calls = [str(node.target) for node in exported.graph.nodes if node.op == "call_function"]
    assert any(call.startswith("statewise.") for call in calls)
    other = draw(name, 2, 9, 4, reset=True, seed=3)
    assert_all_same_bits("outputs", exported.module()(*other), Doubled(name)(*other))


@pytest.mark.parametrize("name", FORMS)
def test_functional_gradients_are_autograds(name):
    scan = draw(name, 2, 5, 4, reset=True)
    grads = cotangents(name, scan)

    def loss(*leaves):
        return sum((output * grad).sum() for output, grad in zip(functional(name, scan)(*leaves), grads, strict=True))

    found = torch.func.grad(loss, argnums=tuple(range(len(scan.leaves()))))(*scan.leaves())
    assert_all_same_bits("gradients", found, gradients(by(name, None), scan, grads)[1])


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("mapped", ["all", "first", "last", "state", "reset"])
def test_vmap_equals_a_loop(name, mapped):
    scans = [draw(name, 2, 5, 4, reset=True, seed=seed) for seed in range(3)]
    rows = [[*scan.leaves(), scan.reset] for scan in scans]
    last, count = len(rows[0]) - 1, len(scans[0].inputs)
    axes = {
        "all": [0] * (last + 1),
        # Along another axis than the first, with the others shared.
        "first": [3, *[None] * last],
        "last": [None if i != count - 1 else 1 for i in range(last + 1)],
        "state": [2 if count <= i < last else None for i in range(last + 1)],
        "reset": [1 if i == last else None for i in range(last + 1)],
    }[mapped]
    columns = [
        rows[0][i] if axis is None else torch.stack([row[i] for row in rows], axis) for i, axis in enumerate(axes)
    ]

    def one(*arguments):
        return RECURRENCES[name](Scan(arguments[:count], arguments[count:last], arguments[last]))

    found = torch.func.vmap(one, tuple(axes))(*columns)
    for index, row in enumerate(rows):
        alone = one(*(rows[0][i] if axis is None else row[i] for i, axis in enumerate(axes)))
        assert_all_same_bits(f"{mapped} {index}", [each[index] for each in found], alone)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("batch", [0, 2])
def test_gradients_under_vmap_equal_a_loop(name, batch):
    scan = draw(name, 3 * batch, 5, 4)

    def loss(*leaves):
        outputs, *final = functional(name, scan)(*leaves)
        return outputs.square().sum() + sum(each.sum() for each in final)

    every = tuple(range(len(scan.leaves())))
    columns = [each.unflatten(0, (3, batch)) for each in scan.leaves()]
    found = torch.func.vmap(torch.func.grad(loss, argnums=every))(*columns)
    expected = torch.func.grad(loss, argnums=every)(*scan.leaves())
    assert_all_same_bits("gradients", [each.flatten(0, 1) for each in found], expected)


@pytest.mark.parametrize("name", RECURRENCES)
@pytest.mark.parametrize("kernel", ["reference", pytest.param("cpu portable", marks=pytest.mark.slow), "cpu"])
@pytest.mark.parametrize("extras", [{}, {"initial": False}, {"reset": True}], ids=str)
def test_gradients_match_finite_differences(name, kernel, extras):
    with running(kernel) as chosen:
        for length in (0, 1, 4):
            scan = draw(name, 2, length, 2, **extras)
            leaves = [each.requires_grad_() for each in scan.leaves()]
            assert torch.autograd.gradcheck(functional(name, scan, chosen), leaves)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("kernel", ["reference", "cpu"])
def test_second_derivatives_of_fused_scans_are_refused_in_words(name, kernel):
    scan = draw(name, 1, 3, 4)
    leaves = [each.requires_grad_() for each in scan.leaves()]
    outputs, *_ = functional(name, scan, kernel)(*leaves)
    (first, *_) = torch.autograd.grad(outputs.square().sum(), leaves, create_graph=True)
    with pytest.raises(UsageError, match="second derivatives") as caught:
        torch.autograd.grad(first.sum(), leaves)
    folder = "softmax_scan.reference" if name in SOFTMAX else "gated_scan.gates"
    assert f"statewise.ops.{folder}" in " ".join(str(caught.value).split())


@forward_mode
@pytest.mark.parametrize("name", [*FORMS, *PACKED[:1]])
def test_forward_mode_is_refused_rather_than_zero(name):
    scan = draw(name, 1, 4, 4)
    function, (first, *others) = functional(name, scan), scan.leaves()
    door = name.split()[0].rstrip(",") + ("_packed" if "packed" in name else "")
    with pytest.raises(UsageError, match=rf"{door}: forward-mode derivatives .* are not available"):
        torch.func.jvp(lambda value: function(value, *others), (first,), (first,))
    with torch.autograd.forward_ad.dual_level(), pytest.raises(UsageError, match="Use reverse mode") as caught:
        function(torch.autograd.forward_ad.make_dual(first, first), *others)
    statement = str(caught.value).partition("differentiate the loop itself:\n")[2].rstrip(".")
    exec(statement, {})


@pytest.mark.parametrize("name", FORMS)
def test_autocast_scans_what_a_layer_gives_in_bfloat16(name):
    scan = draw(name, 2, 7, 4, dtype=torch.float32, initial=False, reset=True)
    layers = [torch.nn.Linear(each.shape[-1], each.shape[-1]) for each in scan.inputs]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inputs = tuple(layer(each) for layer, each in zip(layers, scan.inputs, strict=True))
        outputs, *final = RECURRENCES[name](scan._replace(inputs=inputs))
    narrow = scan._replace(inputs=tuple(each.detach() for each in inputs))
    assert outputs.dtype == torch.bfloat16
    assert_outputs_close(name, "autocast", (outputs, *final), twin(name, narrow))
    (outputs.float().square().sum() + sum(each.float().sum() for each in final)).backward()
    assert all(layer.weight.grad.dtype == torch.float32 and layer.weight.grad.any() for layer in layers)


@pytest.mark.parametrize("name", RECURRENCES)
def test_a_meta_tensor_gives_shapes(name):
    scan = draw(name, 2, 3, 4, dtype=torch.bfloat16)
    actual = RECURRENCES[name](scan.map(lambda each: each.to("meta")))
    for ours, theirs in zip(actual, RECURRENCES[name](scan), strict=True):
        assert (ours.shape, ours.dtype, ours.is_meta) == (theirs.shape, theirs.dtype, True)

"""Copies, files, processes and compilers give the same layer."""

import copy
import multiprocessing
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils.parametrizations import weight_norm

from nn.layers import OURS, as_hx, draw, hidden
from statewise.nn import MinGRU, MinLSTM
from statewise.testing import assert_close
from statewise.testing.compare import assert_same_bits


@pytest.mark.parametrize("cls", OURS)
def test_copies_pickles_and_files_give_the_same_layer(cls, tmp_path):
    rnn = cls(3, 4, num_layers=2, bidirectional=True, activation="tanh")
    x = draw(5, 2, 3, dtype=torch.float32)
    save_file(rnn.state_dict(), tmp_path / "rnn.safetensors")
    loaded = cls(3, 4, num_layers=2, bidirectional=True, activation="tanh")
    loaded.load_state_dict(load_file(tmp_path / "rnn.safetensors"))
    for twin in (copy.deepcopy(rnn), pickle.loads(pickle.dumps(rnn)), loaded):
        assert_same_bits("output", twin(x)[0], rnn(x)[0])
    assert repr(copy.deepcopy(rnn)) == f"{cls.__name__}(3, 4, num_layers=2, bidirectional=True, activation=tanh)"


def test_another_process_runs_the_same_layer():
    rnn, x = MinLSTM(3, 4, bidirectional=True).requires_grad_(False), draw(5, 2, 3, dtype=torch.float32)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        output, (h_n, _) = pool.apply(rnn, (x,))
    expected, (expected_h_n, _) = rnn(x)
    assert_same_bits("output", output, expected)
    assert_same_bits("h_n", h_n, expected_h_n)


def test_parametrised_weights_are_read_at_every_call():
    rnn, x = MinGRU(3, 4, num_layers=2), draw(5, 2, 3, dtype=torch.float32)
    expected = rnn(x)[0]
    weight_norm(rnn, "weight_ih_l1")
    assert_close("output", rnn(x)[0], expected)
    copied = copy.deepcopy(rnn)
    with torch.no_grad():
        copied.parametrizations.weight_ih_l1.original0 *= 2
    assert not torch.allclose(copied(x)[0], expected)
    rnn(x)[0].sum().backward()
    assert bool(rnn.parametrizations.weight_ih_l1.original1.grad.isfinite().all())


def test_functional_calls_see_the_parameters_that_they_are_given():
    rnn, x = MinGRU(3, 4, bidirectional=True), draw(5, 2, 3, dtype=torch.float32)
    doubled = {name: 2 * parameter.detach() for name, parameter in rnn.named_parameters()}
    twin = copy.deepcopy(rnn)
    twin.load_state_dict(doubled)
    assert_same_bits("output", torch.func.functional_call(rnn, doubled, (x,))[0], twin(x)[0])


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(("cls", "batch_first", "with_state"), [(MinGRU, False, False), (MinLSTM, True, True)])
def test_compiles_as_one_graph(cls, batch_first, with_state):
    torch._dynamo.reset()
    rnn = cls(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first)
    x, h_0 = draw(5, 5, 3, dtype=torch.float32), draw(4, 5, 4, seed=1, dtype=torch.float32)
    results = []
    for run in (rnn, torch.compile(rnn, fullgraph=True, backend="aot_eager")):
        output, state = run(x, as_hx(cls, h_0) if with_state else None)
        grads = torch.autograd.grad(output.sin().sum() + hidden(state).cos().sum(), list(rnn.parameters()))
        results.append([output, hidden(state), *grads])
    for expected, actual in zip(*results, strict=True):
        assert_close("output, h_n or gradient", actual, expected)


def test_a_device_without_memory_makes_layers_without_weights():
    rnn = MinLSTM(3, 4, device="meta", dtype=torch.float64)
    assert {parameter.device.type for parameter in rnn.parameters()} == {"meta"}
    assert {parameter.dtype for parameter in rnn.parameters()} == {torch.float64}

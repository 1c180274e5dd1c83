"""The meter on models by others: a state nested in any way, any way to begin, and errors that say what is missing."""

import copy
import math
from collections import OrderedDict, namedtuple

import pytest
import torch
from torch import nn

from statewise.capacity import measure
from statewise.capacity.reading import MIX
from statewise.core.errors import UsageError

WHOLE = 5 * math.log2(4 * (1 - MIX + MIX / 4))
"""Bits of five symbols of four, as much as a perfect reader gets of them."""


class Cell(nn.Module):
    """A GRU cell beside a memory of all symbols, written by hand; forward gives logits alone.

    The state nests tuples, lists and dicts, with an empty part and plain values between the tensors.
    """

    def __init__(self, most=8):
        super().__init__()
        self.cell, self.most = nn.GRUCell(16, 3), most
        self.embedding = nn.Embedding(32, 16)

    def begin(self, batch):
        memory = {"symbols": torch.zeros(batch, self.most, dtype=torch.uint8), "empty": ()}
        return (memory, [torch.zeros(batch, 3), (torch.zeros(batch, dtype=torch.int64), None)], "cell", 0.5)

    def forward(self, tokens):
        state, made = None, []
        for token in tokens.unbind(1):
            logits, state = self.step(token, state)
            made.append(logits)
        return torch.stack(made, 1)

    def step(self, token, state):
        memory, [hidden, (place, nothing)], name, half = self.begin(len(token)) if state is None else state
        assert (nothing, name, half, memory["empty"]) == (None, "cell", 0.5, ())
        symbols = memory["symbols"].scatter(1, (place % self.most)[:, None], token[:, None].to(torch.uint8))
        logits = torch.zeros(len(token), 32)
        asked = (token - 4).clamp(0, self.most - 1)
        logits.scatter_(1, memory["symbols"].gather(1, asked[:, None]).long(), 1e4)
        hidden = self.cell(self.embedding(token), hidden)
        return logits, ({"symbols": symbols, "empty": ()}, [hidden, (place + 1, None)], name, half)


class WithoutForward(Cell):
    forward = nn.Module.forward


class Paired(Cell):
    def forward(self, tokens):
        state = None
        for token in tokens.unbind(1):
            logits, state = self.step(token, state)
        return logits[:, None], state


class Begun(Cell):
    def initial_state(self, batch_size):
        return self.begin(batch_size)

    def step(self, token, state):
        assert state is not None
        return super().step(token, state)

    def forward(self, tokens):
        return torch.zeros(*tokens.shape, 32)


class Stepper:
    """No module and no call: a step, and nothing else."""

    def __init__(self):
        self.cell = Cell()

    def step(self, token, state):
        return self.cell.step(token, state)


@pytest.mark.parametrize("model", [Cell, WithoutForward, Paired, Begun, Stepper], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("strings", [None, 30])
def test_a_state_nested_in_any_way_is_read_and_counted(model, strings):
    (reading,) = measure(model(), alphabet=4, sizes=(5,), strings=strings)
    assert reading.recovered_bits == pytest.approx(WHOLE, rel=1e-12)
    assert (reading.state_bits, reading.counter_bits) == (8 * 8 + 3 * 32, 64)


def test_the_same_model_without_its_step_is_read_and_not_counted():
    model = Cell()
    (reading,) = measure(lambda tokens: model(tokens), alphabet=4, sizes=(5,), strings=30)
    assert reading.recovered_bits == pytest.approx(WHOLE, rel=1e-12)
    assert reading.state_bits is None


def test_gradients_are_neither_needed_nor_kept():
    model = Cell()
    measure(model, alphabet=4, sizes=(5,), strings=8)
    assert all(parameter.grad is None for parameter in model.parameters())


Pair = namedtuple("Pair", "symbols extra")


class Wrapped:
    """Keeps symbols; how its state is put together, and what it says beside, is given from outside."""

    def __init__(self, wrap, unwrap):
        self.wrap, self.unwrap = wrap, unwrap

    def __call__(self, tokens):
        return None, self.wrap(tokens.to(torch.uint8))

    def step(self, token, state):
        symbols = self.unwrap(state)
        return 1e4 * nn.functional.one_hot(symbols.gather(1, token[:, None] - 4)[:, 0].long(), 4).float(), state


@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        (lambda s: s, lambda state: state),
        (lambda s: (s,), lambda state: state[0]),
        (lambda s: [[], s], lambda state: state[1]),
        (lambda s: {"a": {"b": [s]}, 3: None}, lambda state: state["a"]["b"][0]),
        (lambda s: OrderedDict(z=s), lambda state: state.popitem(last=True)[1]),
        (lambda s: Pair(s, {"dtype": s.dtype}), lambda state: state.symbols),
    ],
    ids=["tensor", "tuple", "list", "dicts", "ordered", "named"],
)
def test_containers_reach_the_fresh_copy_as_they_were(wrap, unwrap):
    (reading,) = measure(Wrapped(wrap, unwrap), alphabet=4, sizes=(5,), strings=16)
    assert reading.recovered_bits == pytest.approx(WHOLE, rel=1e-12)
    assert reading.state_bits == 40


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (lambda s: (s, int(s.sum())), r"state\[1\] is \d+ after these strings and 0 after as many symbols 0"),
        (lambda s: (s, str(s.tolist())), r"state\[1\] is '\[\[.* after these strings"),
        (lambda s: {"s": s, int(s.sum()): s}, r"state is a dict of 's', \d+ after these strings and a dict of 's', 0"),
        (lambda s: [s] * (1 + bool(s.any())), r"state is a list of 2 after these strings and a list of 1"),
        (lambda s: s[:, : 1 + int(s.max())], r"state is \(16, 4\) torch.uint8 after .* \(16, 1\) torch.uint8 after"),
        (
            lambda s: {"s": s.to(torch.int16 if s.any() else torch.uint8)},
            r"state\['s'\] is \(16, 5\) torch.int16 after",
        ),
        (lambda s: (s, s if s.any() else None), r"state\[1\] is \(16, 5\) torch.uint8 after these strings and None"),
        (lambda s: s if s.any() else (s,), r"state is \(16, 5\) torch.uint8 after these strings and a tuple of 1"),
    ],
    ids=["number", "text", "key", "length", "shape", "dtype", "none", "tensor"],
)
def test_what_was_read_may_show_in_the_contents_of_tensors_alone(wrap, said):
    with pytest.raises(UsageError, match=rf"capacity: {said}"):
        measure(Wrapped(wrap, None), alphabet=4, sizes=(5,), strings=16)


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (lambda s: (s.t(), s), r"capacity: state\[0\] is \(5, 16\) torch.uint8 after a batch of 16 strings; the first"),
        (lambda s: {"n": torch.tensor(3)}, r"capacity: state\['n'\] is \(\) torch.int64 after a batch of 16 strings"),
        (lambda s: [{s}], r"capacity: state\[0\] is a set; a state must be tensors in tuples, lists and dicts"),
        (lambda s: s.numpy(), r"capacity: state is a ndarray; a state must be tensors"),
    ],
    ids=["transposed", "scalar", "set", "array"],
)
def test_a_state_that_cannot_be_counted_is_refused_with_its_place(wrap, said):
    with pytest.raises(UsageError, match=said):
        measure(Wrapped(wrap, None), alphabet=4, sizes=(5,), strings=16)


class Answers:
    """A step that gives whatever it is told to."""

    def __init__(self, made):
        self.made = made

    def step(self, token, state):
        return self.made


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (None, "it gave a NoneType"),
        (torch.zeros(16, 9), r"it gave a tensor \(16, 9\)"),
        ((torch.zeros(16, 1, 9), None), r"it gave \(a tensor \(16, 1, 9\), a NoneType\)"),
        ((torch.zeros(3, 9), None), r"it gave \(a tensor \(3, 9\), a NoneType\)"),
        ((torch.zeros(16, 3), ()), r"it gave \(a tensor \(16, 3\), \(\)\)"),
    ],
    ids=["nothing", "logits alone", "a time axis", "another batch", "too few symbols"],
)
def test_a_step_of_another_shape_is_refused_with_what_it_gave(made, said):
    expected = rf"step must give \(logits, state\), logits \(B, V\) with V at least the alphabet, 4, .*\(16,\); {said}"
    with pytest.raises(UsageError, match=expected):
        measure(Answers(made), alphabet=4, sizes=(5,), strings=16)


def test_a_step_that_cannot_begin_says_how_it_could():
    class Needy(Stepper):
        def step(self, token, state):
            return torch.zeros(len(token), 9), state + 1

    with pytest.raises(UsageError, match=r"step\(token, None\) failed: unsupported .* initial_state\(batch_size\)"):
        measure(Needy(), alphabet=4, sizes=(5,), strings=16)


def test_what_is_no_model_is_refused():
    with pytest.raises(UsageError, match=r"capacity: the model is a dict; it must have step\(token, state\), or be a"):
        measure({}, alphabet=4, sizes=(5,))


def test_a_vocabulary_without_the_queries_is_refused_with_what_it_must_be():
    model = Cell()
    model.embedding = nn.Embedding(8, 16)
    expected = r"a string of 5 symbols: index out of range in self\. .* tokens run to 8, .* must be at least 9"
    with pytest.raises(UsageError, match=expected):
        measure(model, alphabet=4, sizes=(5,), strings=16)
    with pytest.raises(UsageError, match=expected):
        measure(copy.deepcopy(model).forward, alphabet=4, sizes=(5,), strings=16)

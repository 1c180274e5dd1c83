"""statewise.nn against torch.nn: what a working script does, and what the numbers are."""

import copy
import multiprocessing
import pickle
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, unpack_sequence

from statewise.core.errors import UsageError
from statewise.nn import MinGRU, MinLSTM, RecurrentLayer
from statewise.testing import assert_close
from statewise.testing.compare import assert_same_bits

PAIRS = [(nn.GRU, MinGRU), (nn.LSTM, MinLSTM)]
OURS = [MinGRU, MinLSTM]
LENGTHS = (4, 7, 1, 7, 2)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def hidden(state):
    """h of what a layer returns or takes beside the sequences."""
    return state[0] if isinstance(state, tuple) else state


def as_hx(cls, h_0):
    return (h_0, torch.full_like(h_0, 7.0)) if issubclass(cls, MinLSTM | nn.LSTM) else h_0


# Scripts that run over torch.nn, and again with nothing but the name changed. `nn` is torch.nn.

SCRIPTS = {
    "a tagger of padded sentences, packed": """
        torch.manual_seed(0)
        embedding = nn.Embedding(20, 8)
        rnn = nn.GRU(8, 16, num_layers=2, dropout=0.1, bidirectional=True, batch_first=True)
        head = nn.Linear(32, 2)
        tokens = torch.randint(20, (6, 9))
        lengths = torch.tensor([3, 9, 1, 5, 9, 7])
        targets = (tokens % 2).masked_fill(torch.arange(9) >= lengths[:, None], -100)
        parameters = [*embedding.parameters(), *rnn.parameters(), *head.parameters()]
        optimiser = torch.optim.Adam(parameters, lr=1e-2)
        losses = []
        for _ in range(30):
            packed = pack_padded_sequence(embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
            output, _ = rnn(packed)
            output, _ = pad_packed_sequence(output, batch_first=True)
            loss = nn.functional.cross_entropy(head(output).flatten(0, 1), targets.flatten(), ignore_index=-100)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < 0.5 * losses[0]
    """,
    "a classifier of the last states": """
        class Classifier(nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = nn.GRU(input_size=4, hidden_size=8, num_layers=2, bidirectional=True)
                self.head = nn.Linear(16, 3)
                for name, parameter in self.rnn.named_parameters():
                    if "weight_hh" in name:
                        nn.init.orthogonal_(parameter)
                    elif "bias" in name:
                        nn.init.zeros_(parameter)

            def forward(self, x):
                self.rnn.flatten_parameters()
                output, h_n = self.rnn(x)
                assert output.view(7, 5, 2, 8).shape == (7, 5, 2, 8)
                forward, backward = h_n.view(self.rnn.num_layers, 2, 5, self.rnn.hidden_size)[-1]
                assert torch.equal(forward, output[-1, :, :8])
                assert torch.equal(backward, output[0, :, 8:])
                return self.head(torch.cat([forward, backward], dim=-1))

        model = Classifier()
        model(torch.randn(7, 5, 4)).logsumexp(-1).sum().backward()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
        twin = Classifier()
        twin.load_state_dict(model.state_dict())
        x = torch.randn(7, 5, 4)
        assert torch.equal(twin.eval()(x), model.eval()(x))
    """,
    "a language model with carried, detached states": """
        torch.manual_seed(0)
        embedding, rnn, head = nn.Embedding(11, 16), nn.GRU(16, 32, 2), nn.Linear(32, 11)
        optimiser = torch.optim.Adam([*embedding.parameters(), *rnn.parameters(), *head.parameters()], lr=1e-2)
        text = torch.arange(400).remainder(11).view(4, 100).T
        h = torch.zeros(2, 4, 32)
        losses = []
        for begin in range(0, 99, 11):
            h = h.detach()
            out, h = rnn(embedding(text[begin : begin + 11]), h)
            loss = nn.functional.cross_entropy(head(out[:-1]).flatten(0, 1), text[begin + 1 : begin + 11].flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0]
    """,
    "an encoder and a decoder, token by token": """
        encoder, decoder = nn.GRU(3, 6, batch_first=True), nn.GRU(6, 6, batch_first=True)
        _, h = encoder(torch.randn(2, 9, 3))
        token = torch.zeros(2, 1, 6)
        for _ in range(4):
            token, h = decoder(token, h)
        assert token.shape == (2, 1, 6)
        token.relu_().sum().backward()
        assert encoder.weight_ih_l0.grad.abs().sum() > 0
    """,
    "one sequence without a batch, in float64": """
        rnn = nn.GRU(3, 5, 2, True, True, 0.0, True, dtype=torch.float64)
        output, h_n = rnn(torch.randn(8, 3, dtype=torch.float64))
        assert output.shape == (8, 10) and h_n.shape == (4, 5)
        output, h_n = rnn(torch.randn(8, 3).double(), h_n)
        assert output.dtype == torch.float64
    """,
    "an LSTM that carries its pair": """
        rnn = nn.LSTM(3, 5, num_layers=2)
        state = (torch.zeros(2, 4, 5), torch.zeros(2, 4, 5))
        for _ in range(3):
            out, (h, c) = rnn(torch.randn(6, 4, 3), state)
            state = (h.detach(), c.detach())
        assert h.shape == c.shape == (2, 4, 5)
        assert torch.equal(out[-1], h[-1])
        h.mul_(0), c.add_(1)
        out, state = rnn(torch.randn(6, 4, 3), (h, c))
        sum(part.sum() for part in (out, *state)).backward()
    """,
    "an LSTM over packed sentences with an initial pair": """
        rnn = nn.LSTM(3, 5, 1, True, False, 0.0, True, 0, "cpu", torch.float32)
        packed = pack_sequence([torch.randn(length, 3) for length in (2, 6, 4)], enforce_sorted=False)
        h_0, c_0 = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
        out, (h, c) = rnn(packed, (h_0, c_0))
        padded, lengths = pad_packed_sequence(out)
        assert padded.shape == (6, 3, 10) and lengths.tolist() == [2, 6, 4]
        assert torch.equal(h[0, 1], padded[5, 1, :5]) and torch.equal(h[1, 2], padded[0, 2, 5:])
    """,
    "a layer that is asked about itself": """
        rnn = nn.GRU(3, 5, 2, dropout=0.5, bidirectional=True, bias=False, batch_first=True)
        assert (rnn.input_size, rnn.hidden_size, rnn.num_layers, rnn.bias) == (3, 5, 2, False)
        assert (rnn.batch_first, rnn.dropout, rnn.bidirectional) == (True, 0.5, True)
        assert "GRU(3, 5, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True)" in repr(rnn)
        assert len(rnn.all_weights) == 4 and rnn.all_weights[1][0] is rnn.weight_ih_l0_reverse
        rnn.reset_parameters()
    """,
}


@pytest.mark.parametrize("renamed", [False, True], ids=["torch.nn", "statewise.nn"])
@pytest.mark.parametrize("title", SCRIPTS)
def test_a_working_script_works_when_the_name_is_changed(title, renamed):
    script = "if True:\n" + SCRIPTS[title]
    if renamed:
        changed = script.replace("nn.GRU(", "sw.nn.MinGRU(").replace("nn.LSTM(", "sw.nn.MinLSTM(")
        assert changed != script
        script = "import statewise as sw, statewise.nn\n" + changed
    start = "import torch\nfrom torch import nn\nfrom torch.nn.utils.rnn import *\n"
    exec(compile(start + script, title, "exec"), {"__name__": "script"})


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_shapes_are_torchs(theirs, ours, data):
    options = {
        "num_layers": data.draw(st.integers(1, 3)),
        "bias": data.draw(st.booleans()),
        "batch_first": data.draw(st.booleans()),
        "bidirectional": data.draw(st.booleans()),
    }
    sizes = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    if options["num_layers"] > 1:
        options["dropout"] = data.draw(st.sampled_from([0.0, 0.5]))
    time, batch = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    form = data.draw(st.sampled_from(["batch", "single", "packed", "packed, sorted"]))
    if form == "batch":
        x = torch.randn(*((batch, time) if options["batch_first"] else (time, batch)), sizes[0])
    elif form == "single":
        x = torch.randn(time, sizes[0])
    else:
        lengths = data.draw(st.lists(st.integers(1, 5), min_size=batch, max_size=batch))
        ordered = sorted(lengths, reverse=True) if form == "packed, sorted" else lengths
        pieces = [torch.randn(length, sizes[0]) for length in ordered]
        x = pack_sequence(pieces, enforce_sorted=form == "packed, sorted")
    expected, actual = theirs(*sizes, **options), ours(*sizes, **options)
    layers = options["num_layers"] * (1 + options["bidirectional"])
    h_0 = torch.randn(layers, sizes[1]) if form == "single" else torch.randn(layers, batch, sizes[1])
    hx = as_hx(ours, h_0) if data.draw(st.booleans()) else None
    (their_output, their_state), (output, state) = expected(x, hx), actual(x, hx)
    assert hidden(state).shape == hidden(their_state).shape
    assert hidden(state).is_contiguous()
    if isinstance(their_output, PackedSequence):
        assert type(output) is PackedSequence
        for left, right in zip(output[1:], their_output[1:], strict=True):
            assert (left is None) == (right is None)
            assert left is None or torch.equal(left, right)
        output, their_output = output.data, their_output.data
    assert output.shape == their_output.shape
    assert output.is_contiguous()
    assert output.requires_grad


# The numbers.


def by_hand(parts, h, *, lstm, normalise=True):
    """The paper's formulas: §3.1 and §3.2."""
    *gates, u = parts
    c = torch.where(u >= 0, u + 0.5, u.sigmoid())
    if not lstm:
        z = gates[0].sigmoid()
        return (1 - z) * h + z * c
    f, i = (gate.sigmoid() for gate in gates)
    total = f + i if normalise else 1
    return f / total * h + i / total * c


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize(
    ("cls", "options"), [(MinGRU, {}), (MinLSTM, {"normalise": True}), (MinLSTM, {"normalise": False})]
)
def test_one_layer_is_the_papers_loop(cls, options, with_state):
    rnn = cls(3, 4, dtype=torch.float64, **options)
    x, h_0 = draw(9, 2, 3).requires_grad_(), draw(1, 2, 4, seed=1).requires_grad_()
    output, state = rnn(x, as_hx(cls, h_0) if with_state else None)
    h, expected = h_0[0] if with_state else torch.zeros(2, 4, dtype=torch.float64), []
    for token in x:
        parts = (token @ rnn.weight_ih_l0.T + rnn.bias_ih_l0).chunk(rnn.projections, -1)
        h = by_hand(parts, h, lstm=cls is MinLSTM, **options)
        expected.append(h)
    assert_close("output", output, torch.stack(expected))
    assert_close("h_n", hidden(state), h[None])
    sources = [x, rnn.weight_ih_l0, rnn.bias_ih_l0, *([h_0] if with_state else [])]
    weigh, weigh_final = draw(9, 2, 4, seed=2), draw(2, 4, seed=3)
    ours = torch.autograd.grad((output * weigh).sum() + (hidden(state)[0] * weigh_final).sum(), sources)
    theirs = torch.autograd.grad((torch.stack(expected) * weigh).sum() + (h * weigh_final).sum(), sources)
    for left, right in zip(ours, theirs, strict=True):
        assert_close("gradient", left, right)


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_the_activation_is_that_of_the_candidate(cls, activation):
    rnn = cls(3, 4, activation=activation, dtype=torch.float64)
    x = draw(1, 2, 3)
    *gates, u = nn.functional.linear(x, rnn.weight_ih_l0, rnn.bias_ih_l0).chunk(rnn.projections, -1)
    content = u.tanh() if activation == "tanh" else u
    opened = gates[0].sigmoid() if cls is MinGRU else gates[1].sigmoid() / (gates[0].sigmoid() + gates[1].sigmoid())
    assert_close("output", rnn(x)[0], opened * content)


@pytest.mark.parametrize("cls", OURS)
def test_without_a_bias_there_is_none(cls):
    plain, biased = (cls(3, 4, num_layers=2, bias=bias, dtype=torch.float64) for bias in (False, True))
    biased.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        for name, parameter in biased.named_parameters():
            if name.startswith("bias"):
                parameter.zero_()
    assert_same_bits("output", plain(draw(5, 2, 3))[0], biased(draw(5, 2, 3))[0])


def single(rnn, layer, *, suffix=""):
    """One layer and direction of rnn, as a layer of its own."""
    weight = getattr(rnn, f"weight_ih_l{layer}{suffix}")
    alone = type(rnn)(weight.shape[1], rnn.hidden_size, dtype=weight.dtype)
    alone.load_state_dict({"weight_ih_l0": weight, "bias_ih_l0": getattr(rnn, f"bias_ih_l{layer}{suffix}")})
    return alone


@pytest.mark.parametrize("cls", OURS)
def test_both_directions_are_two_runs_of_which_one_is_flipped(cls):
    rnn = cls(3, 4, bidirectional=True, dtype=torch.float64)
    x, h_0 = draw(9, 2, 3), draw(2, 2, 4, seed=1)
    output, state = rnn(x, as_hx(cls, h_0))
    there, there_state = single(rnn, 0)(x, as_hx(cls, h_0[:1]))
    back, back_state = single(rnn, 0, suffix="_reverse")(x.flip(0), as_hx(cls, h_0[1:]))
    assert_close("output", output, torch.cat([there, back.flip(0)], -1))
    assert_close("h_n", hidden(state), torch.cat([hidden(there_state), hidden(back_state)]))


@pytest.mark.parametrize("cls", OURS)
def test_three_layers_are_three_times_one(cls):
    rnn = cls(3, 4, num_layers=3, dtype=torch.float64)
    x, h_0 = draw(9, 2, 3), draw(3, 2, 4, seed=1)
    output, state = rnn(x, as_hx(cls, h_0))
    finals = []
    for layer in range(3):
        x, final = single(rnn, layer)(x, as_hx(cls, h_0[layer : layer + 1]))
        finals.append(hidden(final))
    assert_close("output", output, x)
    assert_close("h_n", hidden(state), torch.cat(finals))


def test_layers_and_directions_lie_in_torchs_order():
    options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
    ours, theirs = MinGRU(3, 4, **options), nn.GRU(3, 4, **options)
    kept = [name for name, _ in theirs.named_parameters() if "_hh_" not in name]
    assert [name for name, _ in ours.named_parameters()] == kept
    shapes = {name: parameter.shape for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        assert parameter.shape[0] / 2 == shapes[name][0] / 3
        assert parameter.shape[1:] == shapes[name][1:]
    x = draw(5, 1, 3)
    for rnn in (ours, theirs):
        output, h_n = rnn(x)
        assert_same_bits("forward", h_n[2], output[-1, :, :4])
        assert_same_bits("back", h_n[3], output[0, :, 4:])


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_time_first_batch_first_and_alone_are_one_function(cls, batch_first):
    rnn = cls(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
    x, h_0 = draw(9, 2, 3), draw(4, 2, 4, seed=1)
    output, state = rnn(x.transpose(0, 1) if batch_first else x, as_hx(cls, h_0))
    for row in range(2):
        alone, alone_state = rnn(x[:, row], as_hx(cls, h_0[:, row]))
        assert_close("output", output[row] if batch_first else output[:, row], alone)
        assert_close("h_n", hidden(state)[:, row], hidden(alone_state))


@pytest.mark.parametrize("cls", OURS)
def test_a_sequence_cut_anywhere_and_continued_is_the_whole(cls):
    rnn = cls(3, 4, num_layers=2, dtype=torch.float64)
    x = draw(9, 2, 3)
    whole, final = rnn(x)
    for cut in range(10):
        begin, state = rnn(x[:cut])
        end, state = rnn(x[cut:], state)
        assert_close("output", torch.cat([begin, end]), whole)
        assert_close("h_n", hidden(state), hidden(final))


def test_the_past_does_not_see_the_future():
    rnn = MinGRU(3, 4, num_layers=2)
    x = draw(9, 2, 3, dtype=torch.float32)
    changed = x.clone()
    changed[5] += 1
    assert_same_bits("past", rnn(changed)[0][:5], rnn(x)[0][:5])
    assert not torch.equal(rnn(changed)[0][5:], rnn(x)[0][5:])


# Packed sequences.


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("cls", OURS)
def test_packed_sequences_are_each_alone(cls, ordered, with_state):
    rnn = cls(3, 4, num_layers=2, bidirectional=True, dtype=torch.float64)
    lengths = sorted(LENGTHS, reverse=True) if ordered else LENGTHS
    pieces = [draw(length, 3, seed=row).requires_grad_() for row, length in enumerate(lengths)]
    h_0 = draw(4, len(lengths), 4, seed=9).requires_grad_()
    output, state = rnn(pack_sequence(pieces, enforce_sorted=ordered), as_hx(cls, h_0) if with_state else None)
    ours, theirs = [hidden(state).cos().sum()], []
    for row, (piece, together) in enumerate(zip(pieces, unpack_sequence(output), strict=True)):
        alone, alone_state = rnn(piece, as_hx(cls, h_0[:, row]) if with_state else None)
        assert_close("output", together, alone)
        assert_close("h_n", hidden(state)[:, row], hidden(alone_state))
        ours.append(together.sin().sum())
        theirs.append(alone.sin().sum() + hidden(alone_state).cos().sum())
    sources = [*pieces, *rnn.parameters(), *([h_0] if with_state else [])]
    for left, right in zip(
        torch.autograd.grad(sum(ours), sources), torch.autograd.grad(sum(theirs), sources), strict=True
    ):
        assert_close("gradient", left, right)


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("broken", range(len(LENGTHS)))
def test_a_packed_sequence_never_touches_another(broken, with_state):
    rnn = MinGRU(3, 4, num_layers=2, bidirectional=True)
    pieces = [draw(length, 3, seed=row, dtype=torch.float32) for row, length in enumerate(LENGTHS)]
    pieces[broken].fill_(torch.nan)
    for piece in pieces:
        piece.requires_grad_()
    hx = draw(4, len(LENGTHS), 4, dtype=torch.float32) if with_state else None
    output, h_n = rnn(pack_sequence(pieces, enforce_sorted=False), hx)
    outputs = unpack_sequence(output)
    sum(each.sum() for each in outputs).backward()
    expected = [row == broken for row in range(len(LENGTHS))]
    assert [bool(each.isnan().any()) for each in outputs] == expected
    assert h_n.isnan().any(-1).any(0).tolist() == expected
    assert [bool(each.grad.isnan().any()) for each in pieces] == expected


def test_packed_sequences_by_finite_differences():
    rnn = MinLSTM(2, 2, bidirectional=True, dtype=torch.float64)
    data, sizes, *order = pack_sequence([draw(2, 2), draw(3, 2, seed=1)], enforce_sorted=False)

    def run(data, h_0):
        output, (h_n, c_n) = rnn(PackedSequence(data, sizes, *order), (h_0, h_0))
        return output.data, h_n, c_n

    assert torch.autograd.gradcheck(run, (data.requires_grad_(), draw(2, 2, 2, seed=2).requires_grad_()))


# What torch's layers do beside computing.


def test_dropout_stands_between_layers_and_only_in_training():
    rnn = MinGRU(3, 4, num_layers=2, dropout=1.0, dtype=torch.float64)
    x = draw(5, 2, 3)
    first, second = single(rnn, 0), single(rnn, 1)
    assert_close("training", rnn(x)[0], second(torch.zeros(5, 2, 4, dtype=torch.float64))[0])
    assert_close("h_n", rnn(x)[1][:1], first(x)[1])
    assert_close("evaluation", rnn.eval()(x)[0], second(first(x)[0])[0])
    rnn.train().dropout = 0.5
    assert not torch.equal(rnn(x)[0], rnn(x)[0])


@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_dropout_without_layers_to_stand_between_warns_as_torch_does(theirs, ours):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        theirs(3, 4, dropout=0.5)
        ours(3, 4, dropout=0.5)
    expected, actual = caught
    assert str(actual.message) == str(expected.message)
    assert actual.category is expected.category
    assert actual.filename == __file__


@pytest.mark.parametrize("cls", OURS)
def test_parameters_begin_as_torchs_do(cls):
    rnn = cls(10, 400, num_layers=2)
    for name, parameter in rnn.named_parameters():
        values = parameter.detach().clone()
        if cls is MinLSTM and name.startswith("bias"):
            assert values[:400].mean().item() == pytest.approx(3.0, abs=0.01)
            values[:400] -= 3
        assert values.abs().max().item() == pytest.approx(0.05, rel=0.02), name
        assert values.std().item() == pytest.approx(0.05 / 3**0.5, rel=0.05), name
    before = {name: value.clone() for name, value in rnn.state_dict().items()}
    rnn.reset_parameters()
    assert not any(torch.equal(value, before[name]) for name, value in rnn.state_dict().items())


def test_forget_bias_is_an_option():
    assert MinLSTM(3, 400, forget_bias=-2.0).bias_ih_l0[:400].mean().item() == pytest.approx(-2.0, abs=0.01)


@pytest.mark.parametrize("layout", [{}, {"batch_first": True}, {"bidirectional": True}])
def test_outputs_and_states_belong_to_the_caller(layout):
    rnn, x = MinLSTM(3, 4, **layout), draw(1, 1, 3, dtype=torch.float32)
    expected = torch.autograd.grad(rnn(x)[0].sum(), rnn.weight_ih_l0)[0]
    output, (h_n, c_n) = rnn(x)
    kept = c_n.detach().clone()
    h_n.mul_(0)
    assert torch.equal(c_n, kept)
    c_n.mul_(0)
    assert_close("gradient", torch.autograd.grad(output.mul_(1).sum(), rnn.weight_ih_l0)[0], expected)


def test_the_second_state_of_min_lstm_is_the_first():
    rnn = MinLSTM(3, 4, num_layers=2)
    x, h_0 = draw(5, 2, 3, dtype=torch.float32), draw(2, 2, 4, seed=1, dtype=torch.float32)
    output, (h_n, c_n) = rnn(x, (h_0, torch.full_like(h_0, torch.nan)))
    assert_same_bits("c_n", c_n, h_n)
    assert bool(output.isfinite().all())
    assert_same_bits("output", rnn(x, [h_0, h_0])[0], output)


@pytest.mark.parametrize("cls", OURS)
def test_no_tokens_leave_the_state_and_no_sequences_give_none(cls):
    rnn = cls(3, 4, num_layers=2, bidirectional=True)
    h_0 = draw(4, 2, 4, dtype=torch.float32)
    output, state = rnn(torch.zeros(0, 2, 3), as_hx(cls, h_0))
    assert output.shape == (0, 2, 8)
    assert_same_bits("h_n", hidden(state), h_0)
    output, state = rnn(torch.zeros(5, 0, 3))
    assert output.shape == (5, 0, 8)
    assert hidden(state).shape == (4, 0, 4)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("cls", OURS)
def test_bfloat16_stays_near_float32(cls, packed):
    rnn = cls(6, 8, num_layers=2, bidirectional=True)
    narrow = copy.deepcopy(rnn).bfloat16()
    x = draw(7, 5, 6, dtype=torch.float32)
    wrap = (lambda x: pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)) if packed else lambda x: x
    outputs = [rnn(wrap(x))[0], narrow(wrap(x.bfloat16()))[0]]
    wide, close = (output.data if packed else output for output in outputs)
    assert close.dtype == torch.bfloat16
    assert_close("output", close, wide)
    close.float().sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in narrow.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cls", OURS)
def test_token_by_token_is_all_at_once(cls, dtype):
    rnn = cls(6, 8, num_layers=2).double()
    x = draw(20, 2, 6)
    expected, final = rnn(x)
    rnn.to(dtype)
    state, outputs = None, []
    for token in x.to(dtype):
        output, state = rnn(token[None], state)
        outputs.append(output)
    assert_close("output", torch.cat(outputs), expected)
    assert_close("h_n", hidden(state), hidden(final))
    assert hidden(state).dtype == dtype


@pytest.mark.parametrize("cls", OURS)
def test_one_token_is_rounded_once_as_many_are(cls):
    rnn, x = cls(6, 32).bfloat16(), draw(2, 64, 6, dtype=torch.bfloat16)
    assert (rnn(x)[0][:1] != rnn(x[:1])[0]).float().mean().item() < 0.02


@pytest.mark.parametrize("cls", OURS)
def test_under_autocast_states_of_either_dtype_are_taken(cls):
    rnn = cls(6, 8, num_layers=2)
    x, h_0 = draw(7, 2, 6, dtype=torch.float32), draw(2, 2, 8, seed=1, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        output, state = rnn(x, as_hx(cls, h_0))
        rnn(output.new_zeros(7, 2, 6), state)
    assert output.dtype == torch.bfloat16
    assert_close("output", output, rnn(x, as_hx(cls, h_0))[0])


# Copies, files, compilers.


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


# What a person is told.


CONSTRUCTION_ERRORS = [
    ({"input_size": 0}, "MinLSTM: input_size is 0; it must be an integer of at least 1"),
    ({"hidden_size": 4.0}, "hidden_size is 4.0; it must be an integer"),
    ({"num_layers": -1}, "num_layers is -1; it must be an integer of at least 1"),
    ({"bias": 1}, "bias is 1; it must be True or False"),
    ({"batch_first": "yes"}, "batch_first is 'yes'; it must be True or False"),
    ({"dropout": 1.5}, "dropout is 1.5; it must be a probability"),
    ({"dropout": True}, "dropout is True; it must be a probability"),
    ({"activation": "relu"}, "activation is 'relu'; it must be one of g, tanh, identity"),
    ({"proj_size": 2}, r"proj_size is 2; it must be 0(.|\n)*torch.nn.Linear\(4, 2\)"),
]


@pytest.mark.parametrize(("options", "message"), CONSTRUCTION_ERRORS)
def test_wrong_options_name_the_value(options, message):
    with pytest.raises(UsageError, match=message):
        MinLSTM(**{"input_size": 3, "hidden_size": 4, **options})


INPUT_ERRORS = [
    ({}, ([1.0],), "MinGRU: input is a list; pass a torch.Tensor or a PackedSequence"),
    ({}, (torch.zeros(5, 2, 6),), r"input must be \(time, batch, 3\), or \(time, 3\) for one(.|\n)*\(5, 2, 6\)"),
    ({}, (torch.zeros(5, 2, 6),), "Build the layer with input_size=6, or project the input to 3 channels"),
    ({"batch_first": True}, (torch.zeros(2, 3, 5),), r"\(batch, time, 3\)(.|\n)*pass input.transpose\(1, 2\)"),
    ({}, (torch.zeros(3),), r"\(3,\) float32\nOne vector is a sequence of one token: input\[None\]"),
    ({}, (torch.zeros(5, 2, dtype=torch.long),), r"int64\nToken numbers become vectors with torch.nn.Embedding"),
    ({}, (torch.zeros(5, 2, 3).double(),), r"input    float64\n  weights  float32\nConvert(.|\n)*torch.float32"),
    ({}, (pack_sequence([torch.zeros(5, 2)]),), r"input must be \(tokens, 3\).\n  input  \(5, 2\)"),
    ({}, (torch.zeros(5, 2, 3), torch.zeros(2, 4)), r"h_0     \(2, 4\)\n  needed  \(1, 2, 4\)\nA batch of sequences"),
    ({}, (torch.zeros(5, 3), torch.zeros(1, 1, 4)), r"\(num_layers · directions, hidden_size\)"),
    ({"num_layers": 3}, (torch.zeros(5, 2, 3), torch.zeros(2, 3, 4)), r"pass h_0.transpose\(0, 1\)"),
    ({}, (torch.zeros(5, 2, 3), torch.zeros(1, 2, 5)), "Leave hx out for zeros"),
    ({}, (torch.zeros(5, 2, 3), torch.zeros(1, 2, 4).double()), "h_0 is float64 and the input float32"),
    ({}, (torch.zeros(5, 2, 3), torch.zeros(1, 2, 4, device="meta")), "h_0 is on meta and the input on cpu"),
    ({}, (torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4),) * 2), r"h_0 is a tuple; pass a torch.Tensor of .*\(1, 2, 4\)"),
    ({}, (pack_sequence([torch.zeros(5, 3)]), torch.zeros(1, 2, 4)), r"needed  \(1, 1, 4\)"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "arguments", "message"), INPUT_ERRORS)
def test_wrong_inputs_name_shapes_and_a_way_out(options, arguments, message):
    with pytest.raises(UsageError, match=message):
        MinGRU(3, 4, **options)(*arguments)


def test_min_lstm_asks_for_a_pair():
    rnn, x, h = MinLSTM(3, 4), torch.zeros(5, 2, 3), torch.zeros(1, 2, 4)
    with pytest.raises(UsageError, match=r"hx is a tensor \(1, 2, 4\); pass the pair \(h_0, c_0\)"):
        rnn(x, h)
    with pytest.raises(UsageError, match="hx is a tuple of 3; pass the pair"):
        rnn(x, (h, h, h))
    with pytest.raises(UsageError, match=r"h_0  a tensor \(1, 2, 4\)\n  c_0  a tensor \(1, 2, 5\)"):
        rnn(x, (h, torch.zeros(1, 2, 5)))
    with pytest.raises(UsageError, match="c_0  a NoneType"):
        rnn(x, (h, None))


def test_a_recurrence_of_ones_own_is_two_lines():
    class Sum(RecurrentLayer):
        projections = 1

        def scan(self, projected, initial, reset):
            assert reset is None
            states = projected.cumsum(1) + (0 if initial is None else initial[:, None])
            return states, states[:, -1]

    rnn = Sum(3, 4, num_layers=2)
    output, h_n = rnn(torch.ones(5, 2, 3))
    assert_close("h_n", h_n[-1], output[-1])

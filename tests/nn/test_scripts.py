"""Scripts that run over torch.nn, and again with nothing but the name changed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from nn.layers import PAIRS, as_hx, hidden

# `nn` is torch.nn.
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

"""What a person is told who asks for what cannot be."""

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from statewise.core.errors import UsageError
from statewise.nn import MinGRU, MinLSTM, RecurrentLayer
from statewise.testing import assert_close

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

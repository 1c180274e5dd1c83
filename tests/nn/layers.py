"""Inputs and the pairs of layers that tests of statewise.nn are about."""

import torch
from torch import nn

from statewise.nn import MinGRU, MinLSTM

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


def single(rnn, layer, *, suffix=""):
    """One layer and direction of rnn, as a layer of its own."""
    weight = getattr(rnn, f"weight_ih_l{layer}{suffix}")
    alone = type(rnn)(weight.shape[1], rnn.hidden_size, dtype=weight.dtype)
    alone.load_state_dict({"weight_ih_l0": weight, "bias_ih_l0": getattr(rnn, f"bias_ih_l{layer}{suffix}")})
    return alone

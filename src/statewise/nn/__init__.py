"""Drop-ins with torch.nn's own signatures: change the name in a working script, and it works."""

from statewise.nn.min_gru import MinGRU
from statewise.nn.min_lstm import MinLSTM
from statewise.nn.recurrent_layer import RecurrentLayer

__all__ = ["MinGRU", "MinLSTM", "RecurrentLayer"]

"""Sequence layers under one contract: one file and one line here for each."""

from statewise.mixers.attention import Attention
from statewise.mixers.gru import GRU
from statewise.mixers.lstm import LSTM
from statewise.mixers.min_gru import MinGRU
from statewise.mixers.min_lstm import MinLSTM
from statewise.mixers.mixer import Mixer
from statewise.mixers.scan_mixer import ScanMixer
from statewise.mixers.short_conv import ShortConv

__all__ = ["GRU", "LSTM", "MIXERS", "Attention", "MinGRU", "MinLSTM", "Mixer", "ScanMixer", "ShortConv"]

MIXERS: dict[str, type[Mixer]] = {
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "gru": GRU,
    "lstm": LSTM,
    "attention": Attention,
}

"""Recurrences as functions with gradients: one folder each, a slow definition and fast twins behind one door."""

from statewise.ops import across_ranks
from statewise.ops.choice import Choice, available_kernels, choose_kernel
from statewise.ops.delta_scan import delta_scan
from statewise.ops.gated_scan import min_gru_scan, min_gru_scan_packed, min_lstm_scan, min_lstm_scan_packed
from statewise.ops.linear_scan import linear_scan
from statewise.ops.matrix_scan import matrix_scan
from statewise.ops.selective_scan import selective_scan
from statewise.ops.slstm_scan import slstm_scan
from statewise.ops.softmax_scan import SoftmaxState, softmax_scan
from statewise.ops.wkv import WKVState, wkv

__all__ = [
    "Choice",
    "SoftmaxState",
    "WKVState",
    "across_ranks",
    "available_kernels",
    "choose_kernel",
    "delta_scan",
    "linear_scan",
    "matrix_scan",
    "min_gru_scan",
    "min_gru_scan_packed",
    "min_lstm_scan",
    "min_lstm_scan_packed",
    "selective_scan",
    "slstm_scan",
    "softmax_scan",
    "wkv",
]

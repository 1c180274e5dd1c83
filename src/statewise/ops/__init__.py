"""Recurrences as functions with gradients: one folder each, a slow definition and fast twins behind one door."""

from statewise.ops.choice import Choice, available_kernels, choose_kernel
from statewise.ops.gated_scan import min_gru_scan, min_gru_scan_packed, min_lstm_scan, min_lstm_scan_packed
from statewise.ops.linear_scan import linear_scan
from statewise.ops.matrix_scan import matrix_scan
from statewise.ops.softmax_scan import SoftmaxState, softmax_scan

__all__ = [
    "Choice",
    "SoftmaxState",
    "available_kernels",
    "choose_kernel",
    "linear_scan",
    "matrix_scan",
    "min_gru_scan",
    "min_gru_scan_packed",
    "min_lstm_scan",
    "min_lstm_scan_packed",
    "softmax_scan",
]

"""Recurrences as functions with gradients: one folder each, a slow definition and fast twins behind one door."""

from statewise.ops.choice import Choice, available_kernels, choose_kernel
from statewise.ops.linear_scan import linear_scan

__all__ = ["Choice", "available_kernels", "choose_kernel", "linear_scan"]

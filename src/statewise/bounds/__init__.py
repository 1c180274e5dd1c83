"""Theory as arithmetic: proven inequalities as functions, each with its proof in one line and its source.

The same questions for every task are here; the formulas with all their arguments are in a module for each kind of task.
What no formula says is counted over every input, at small sizes.
"""

from statewise.bounds.bound import Bound
from statewise.bounds.count_states import CutStates, count_required_bits, profile_states
from statewise.bounds.of_task import best_accuracy, bounds_of, limit_at_all_lengths, required_bits
from statewise.bounds.uniform import UniformStates, count_uniform_bits, uniform_states

__all__ = [
    "Bound",
    "CutStates",
    "UniformStates",
    "best_accuracy",
    "bounds_of",
    "count_required_bits",
    "count_uniform_bits",
    "limit_at_all_lengths",
    "profile_states",
    "required_bits",
    "uniform_states",
]

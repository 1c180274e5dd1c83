"""Theory as arithmetic: proven inequalities as functions, each with its proof in one line and its source.

The same three questions for every task are here; the formulas with all their arguments are in the modules
`index_lookup`, `dyck` and `parity`.
"""

from statewise.bounds.bound import Bound
from statewise.bounds.of_task import best_accuracy, bounds_of, limit_at_all_lengths, required_bits

__all__ = ["Bound", "best_accuracy", "bounds_of", "limit_at_all_lengths", "required_bits"]

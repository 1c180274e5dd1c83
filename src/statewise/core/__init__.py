"""The ground floor: errors, seeds, configurations, states and events. Imports nothing of ours."""

from statewise.core.errors import MissingExtraError, RunError, SearchError, StatewiseError, UsageError
from statewise.core.padding import left_padding_reset
from statewise.core.snapshots import load_state, save_state
from statewise.core.state import batch_states, detach_state, gather_states, move_state, state_bits

__all__ = [
    "MissingExtraError",
    "RunError",
    "SearchError",
    "StatewiseError",
    "UsageError",
    "batch_states",
    "detach_state",
    "gather_states",
    "left_padding_reset",
    "load_state",
    "move_state",
    "save_state",
    "state_bits",
]

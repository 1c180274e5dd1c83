"""The ground floor: errors, seeds, configurations, states and events. Imports nothing of ours."""

from statewise.core.errors import MissingExtraError, RunError, StatewiseError, UsageError
from statewise.core.state import state_bits

__all__ = ["MissingExtraError", "RunError", "StatewiseError", "UsageError", "state_bits"]

"""The meter: what a model's state is measured to hold, beside the bits that it is made of."""

from statewise.capacity.intervals import lower_limit
from statewise.capacity.meter import Reading, count_state_bits, measure, read_index_lookup

__all__ = ["Reading", "count_state_bits", "lower_limit", "measure", "read_index_lookup"]

"""The meter: what a model's state is measured to hold, beside the bits that it is made of."""

from statewise.capacity.intervals import lower_limit
from statewise.capacity.meter import count_state_bits, measure, read_index_lookup
from statewise.capacity.reading import Reading
from statewise.capacity.strings import check_strings

__all__ = ["Reading", "check_strings", "count_state_bits", "lower_limit", "measure", "read_index_lookup"]

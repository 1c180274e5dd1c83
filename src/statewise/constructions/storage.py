"""What a construction carries from token to token, beside what must be carried."""

from statewise.bounds.bound import Bound
from statewise.core.state import state_bits
from statewise.models import LanguageModel


def compared(model: LanguageModel, required: Bound) -> str:
    """Bits of state, counted as they are stored, and their ratio to the bits that a task requires, in words."""
    stored = state_bits(model.initial_state(1))
    return f"{stored:,} bits of state, {stored / required.value:,.2f} times the {required.value:,.1f} that are required"


def units(number: int) -> str:
    """So many units, in words.

    >>> units(1), units(20)
    ('1 unit', '20 units')
    """
    return f"{number:,} unit{'' if number == 1 else 's'}"

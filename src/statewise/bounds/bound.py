"""A proven inequality, carrying everything that is needed in order not to misread it."""

import math
import operator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

from statewise.core.errors import UsageError

Direction = Literal["requirement", "construction"]
Error = Literal["zero", "average under the task's sampler"]


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One number that is proved, and under which conditions.

    value      the number; infinite where no finite amount is enough, NaN where `growth` stands in its place
    unit       of the value: bits (of state), accuracy (per scored token, in [0, 1]), channels, layers, …
    direction  requirement: no model of the kind in `holds_for` gets by with less of the unit, or reaches a
               higher accuracy. construction: a model that is written down gets by with this much, or
               reaches this accuracy; it says nothing about what is impossible
    error      zero: about models that are right on every valid input; silent on one that is right on 99 %.
               average under the task's sampler: about accuracy on fresh examples, so that it may stand
               next to a measured one
    holds_for  which models
    assumes    what else the proof uses; constants hidden in an O(·) are named here
    source     paper and theorem, or the argument
    growth     how the number grows with the task's size n, as in "O(log n)", where no constant is proved; a verdict
               needs a number, so none rests on it

    A growth with a number beside it, and NaN without a growth, are UsageErrors.

    >>> print(Bound(
    ...     value=1.0, unit="bits", direction="requirement", error="zero",
    ...     holds_for="any recurrent reader", assumes="size at least 2", source="two classes of prefixes",
    ... ))
    bits: at least 1 (zero error); any recurrent reader; assumes size at least 2; two classes of prefixes
    """

    value: float
    unit: str
    direction: Direction
    error: Error
    holds_for: str
    assumes: str
    source: str
    growth: str = ""

    def __post_init__(self) -> None:
        if bool(self.growth) != math.isnan(self.value):
            raise UsageError(
                f"bound on {self.unit}: value is {self.value} and growth is {self.growth!r}; it must have a number, "
                "or NaN and a growth"
            )

    @property
    def claim(self) -> str:
        """The inequality alone, to three decimals, rounded to the side on which it stays true."""
        required, accuracy = self.direction == "requirement", self.unit == "accuracy"
        if math.isinf(self.value):
            return f"{self.unit}: no number is enough"
        if self.growth:
            inequality = f"at least {self.growth}" if required else f"{self.growth} is enough"
            return f"{self.unit}: {inequality}, constant not given"
        # "at least" and "reached" stay true when rounded down, "at most" and "enough" when rounded up.
        rounding = ROUND_FLOOR if required != accuracy else ROUND_CEILING
        shown = Decimal(str(self.value)).quantize(Decimal("0.001"), rounding=rounding)
        number = f"{shown:,f}".rstrip("0").rstrip(".")
        if required:
            return f"{self.unit}: at {'most' if accuracy else 'least'} {number}"
        return f"{self.unit}: {number} is {'reached' if accuracy else 'enough'}"

    def __str__(self) -> str:
        """One line: the claim, its error, whom it binds, what it assumes, and where the proof is."""
        error = "zero error" if self.error == "zero" else self.error
        return f"{self.claim} ({error}); {self.holds_for}; assumes {self.assumes}; {self.source}"


def enough_in_growth(growth: str, unit: str, *, holds_for: str, assumes: str, source: str) -> Bound:
    """A construction whose size is proved up to a constant only.

    >>> enough_in_growth("O(log n)", "channels", holds_for="two layers", assumes="nothing else", source="a paper").claim
    'channels: O(log n) is enough, constant not given'
    """
    return Bound(
        value=math.nan,
        unit=unit,
        direction="construction",
        error="zero",
        holds_for=holds_for,
        assumes=assumes,
        source=source,
        growth=growth,
    )


def whole(where: str, name: str, value: int, *, least: int, multiple: int = 1) -> int:
    """`value` as a Python int, whose powers cannot overflow, or a UsageError.

    >>> whole("dyck.required_bits", "size", 8, least=2, multiple=2)
    8
    """
    needed = f"an integer of at least {least}" if multiple == 1 else f"a positive multiple of {multiple}"
    try:
        number = operator.index(value)
    except TypeError:
        raise UsageError(f"{where}: {name} is {value!r}; it must be {needed}") from None
    if number < least or number % multiple:
        raise UsageError(f"{where}: {name} is {number}; it must be {needed}")
    return number

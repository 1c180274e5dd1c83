"""What a model does that searches, as a table: what it keeps of the tokens that it reads, and what it writes when.

    condition     names that must hold, each after ! must not              "search !stale near=father"
    kind          the token is one of some                                  search
    kind@2        the token two places before was                           search@2
    flag          as it was last set                                        stale
    a=b           two registers hold the same token, or the counter is 0    near=father, left=0

A register takes a token wherever its condition holds, and keeps it until it takes another; a flag does so with a kind.
Their conditions are of kinds alone, so that whether to take is decided by the last few tokens.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from statewise.core.errors import UsageError

EMPTY = "left=0"
"""The comparison that asks whether the counter is 0."""


class Literal(NamedTuple):
    """One name of a condition: whether it must hold, and how many places before."""

    name: str
    back: int = 0
    holds: bool = True

    @property
    def compares(self) -> bool:
        """Whether two things are compared."""
        return "=" in self.name

    @property
    def text(self) -> str:
        """The name and its place, as written, whether or not it must hold.

        >>> read("!end@2 vertex")[0].text
        'end@2'
        """
        return f"{self.name}@{self.back}" if self.back else self.name


def read(condition: str) -> tuple[Literal, ...]:
    """The literals of a condition, none for an empty one, which always holds.

    >>> read("!end@2 vertex")
    (Literal(name='end', back=2, holds=False), Literal(name='vertex', back=0, holds=True))
    """
    return tuple(_literal(text) for text in condition.split())


def _literal(text: str) -> Literal:
    name, _, back = text.removeprefix("!").partition("@")
    return Literal(name, int(back or 0), not text.startswith("!"))


class Register(NamedTuple):
    """Keeps the token `back` places before, from wherever `when` holds."""

    when: str = ""
    back: int = 0

    @property
    def source(self) -> str:
        """Where the token is found: token, or token@back."""
        return f"token@{self.back}" if self.back else "token"


class Flag(NamedTuple):
    """Keeps whether `holds`, a kind now or before, from wherever `when` holds; does not hold before."""

    when: str
    holds: str


class Rule(NamedTuple):
    """Where `when` holds, the next token is `write`: an id, or the name of a register whose token it is."""

    when: str
    write: int | str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A machine with finite control. Where a token is to be written exactly one rule must hold.

    vocabulary  ids that there are
    kinds       names of sets of ids, which may overlap
    registers   by name; each must have taken a token before it is compared or written
    flags       by name
    counts      by how much the counter `left` goes up where a condition holds; it starts at 0, and must not be negative
                where it is compared
    rules       conditions and what is written

    A name that stands for two things, or for none, is a UsageError.
    """

    vocabulary: int
    kinds: Mapping[str, Collection[int]]
    registers: Mapping[str, Register]
    flags: Mapping[str, Flag] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        names = ["token", *self.kinds, *self.registers, *self.flags]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise UsageError(f"table: {twice[0]!r} stands for two things; kinds, registers and flags need other names")
        for condition in self._conditions():
            for each in read(condition):
                places, parts = (self.kinds, [each.name]) if each.back else (names, each.name.split("="))
                if each.name != EMPTY and not all(part in places for part in parts):
                    raise UsageError(f"table: {each.text!r} in the condition {condition!r} is the name of nothing")

    @property
    def before(self) -> dict[str, Literal]:
        """Every kind that is looked for some places before, under its text."""
        literals = [each for condition in self._conditions() for each in read(condition) if each.back]
        return {each.text: each._replace(holds=True) for each in sorted(literals)}

    @property
    def older(self) -> dict[str, int]:
        """Every source of registers that is not this token, with how many places before it stands."""
        return {register.source: register.back for register in self.registers.values() if register.back}

    @property
    def comparisons(self) -> tuple[str, ...]:
        """Every pair of registers that is compared."""
        named = (each.name for rule in self.rules for each in read(rule.when) if each.compares)
        return tuple(dict.fromkeys(name for name in named if name != EMPTY))

    @property
    def reach(self) -> int:
        """How many places before the earliest token stands that is looked at."""
        return max([0, *self.older.values(), *(each.back for each in self.before.values())])

    def _conditions(self) -> list[str]:
        return [
            *(register.when for register in self.registers.values()),
            *(text for flag in self.flags.values() for text in flag),
            *self.counts,
            *(rule.when for rule in self.rules),
        ]

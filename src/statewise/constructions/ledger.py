"""A table whose machine also looks things up: records in what was read, and places of the prompt.

    records   what is kept about which token: from wherever a condition holds, the token there is what `key` leads to
    asked     where a condition holds, the next token is what the last record says of this token
    fetched   where a condition holds, the next token is the prompt's at a place that a counter says

The recurrent layers of a table (see `searching_table`) hold its registers, flags and counters; one layer of attention
on top of them looks up. Where a token is to be written exactly one rule, asking or fetching must hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from statewise.constructions.searching_table import Register, Table


@dataclass(frozen=True, kw_only=True)
class Ledger(Table):
    """A table with lookups.

    records  for each condition the source of the record's key: `Register(condition, back)`; the record says the token
             that stands where the condition holds
    asked    conditions
    fetched  conditions
    places   by how much the counter of places goes up where a condition holds: places of tokens count from 1
    start    the kind of the prompt's first token, which is no record and nothing that is written
    """

    records: tuple[Register, ...]
    asked: tuple[str, ...]
    fetched: tuple[str, ...]
    places: Mapping[str, int] = field(default_factory=dict)
    start: str

    @property
    def older(self) -> dict[str, int]:
        """Sources of registers and of records."""
        return super().older | {record.source: record.back for record in self.records if record.back}

    def _conditions(self) -> list[str]:
        return [
            *super()._conditions(),
            *(record.when for record in self.records),
            *self.asked,
            *self.fetched,
            *self.places,
            self.start,
        ]

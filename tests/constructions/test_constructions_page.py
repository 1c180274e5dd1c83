"""docs/constructions.md says what the constructions are."""

import re
from pathlib import Path

import pytest

from statewise.bounds.of_task import REQUIRED, required_bits
from statewise.cli.construct import state_bits
from statewise.constructions import CONSTRUCTIONS, build

PAGE = (Path(__file__).parents[2] / "docs" / "constructions.md").read_text(encoding="utf-8")
ROW = r"^\| `([a-z*/0-9-]+)` \| .* \| (\d+) \| ([\d,]+) \| ([\d.]+|–) \|$"
ROWS = {row[0]: row[1:] for row in re.findall(ROW, PAGE, re.M)}
SIZE = 16


def test_every_construction_is_on_the_page():
    assert list(ROWS) == list(CONSTRUCTIONS)


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_the_page_counts_as_it_is(name):
    construction = build(name, SIZE)
    bits = f"{required_bits(construction.task, SIZE).value:.1f}" if type(construction.task) in REQUIRED else "–"
    assert ROWS[name] == (str(construction.model.config.width), f"{state_bits(construction, SIZE):,}", bits)

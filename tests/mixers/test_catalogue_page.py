"""docs/mixers.md says what the mixers are."""

import re
from pathlib import Path

import pytest

from statewise.core.state import state_bits
from statewise.mixers import MIXERS

PAGE = (Path(__file__).parents[2] / "docs" / "mixers.md").read_text(encoding="utf-8")
ROWS = {
    row[0]: row[1:] for row in re.findall(r"^\| `([a-z0-9-]+)` \| .* \| ([\d,]+|grows) \| ([\d,]+) \| ", PAGE, re.M)
}


def test_every_mixer_is_on_the_page():
    assert list(ROWS) == list(MIXERS)


@pytest.mark.parametrize("name", MIXERS)
def test_the_page_counts_states_and_parameters_as_they_are(name):
    mixer = MIXERS[name](256)
    state, parameters = ROWS[name]
    expected = f"{state_bits(mixer.initial_state(1)) // 32:,}" if mixer.recurrent else "grows"
    assert (state, parameters) == (expected, f"{sum(each.numel() for each in mixer.parameters()):,}")

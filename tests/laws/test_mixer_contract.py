"""What every mixer can be asked at once: its name, its widths, its refusals; and that no law is left out."""

from pathlib import Path

import pytest
import torch

from statewise.mixers import MIXERS
from statewise.testing import MIXER_LAWS


@pytest.mark.parametrize("width", [2, 6, 32, 192, 256])
@pytest.mark.parametrize("name", MIXERS)
def test_builds_at_every_width_with_defaults(name, width):
    y, _ = MIXERS[name](width)(torch.zeros(1, 3, width))
    assert y.shape == (1, 3, width)


@pytest.mark.parametrize("name", MIXERS)
def test_a_wrong_input_is_refused_with_its_shape(name):
    mixer = MIXERS[name](6)
    with pytest.raises(ValueError, match=r"x must be \(batch, time, 6\).\n  x  \(2, 6, 5\)"):
        mixer(torch.zeros(2, 6, 5))
    with pytest.raises(ValueError, match=r"reset  \(2, 4\) torch.bool"):
        mixer(torch.zeros(2, 5, 6), reset=torch.zeros(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"x  \(5, 6\)"):
        mixer(torch.zeros(5, 6))
    with pytest.raises(ValueError, match=r"reset  \(2, 5\) torch.int64"):
        mixer(torch.zeros(2, 5, 6), reset=torch.zeros(2, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match="width is 0"):
        MIXERS[name](0)


def test_every_mixer_goes_by_its_own_name():
    assert {name: cls.__name__.lower() for name, cls in MIXERS.items()} == {
        name: name.replace("-", "") for name in MIXERS
    }


def test_every_law_is_held_against_every_variant():
    written = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert not [law for law in MIXER_LAWS if f'MIXER_LAWS["{law}"](build(variant' not in written]

"""A mixer's state_dict, through safetensors, is all of it: another build with other weights becomes this one."""

import pytest
import torch
from safetensors.torch import load, save

from laws.variants import VARIANTS, WIDTH, build, over_dtypes, over_variants
from statewise.testing import MIXER_LAWS
from statewise.testing.module_laws import assert_same_outputs


@over_dtypes
@over_variants
def test_weights_come_back(variant, dtype):
    MIXER_LAWS["weights_come_back"](build(variant, dtype))


@pytest.mark.parametrize("home", ["cpu", "meta"])
@over_variants
def test_a_mixer_built_elsewhere_takes_the_weights(variant, home):
    mixer = build(variant, torch.float32)
    cls, options = VARIANTS[variant]
    with torch.device(home):
        other = cls(WIDTH, **options)
    other.load_state_dict(load(save(mixer.state_dict())), assign=True)
    assert_same_outputs("of the other", other, mixer)

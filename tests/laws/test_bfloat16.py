"""In bfloat16, and under autocast to it, a mixer runs forwards and backwards as in float32 but for rounding."""

import torch

from laws.variants import build, over_variants
from statewise.testing import MIXER_LAWS


@over_variants
def test_bfloat16_is_near_float32(variant):
    MIXER_LAWS["bfloat16_is_near_float32"](build(variant, torch.float32))


@over_variants
def test_autocast_is_near_float32(variant):
    MIXER_LAWS["autocast_is_near_float32"](build(variant, torch.float32))

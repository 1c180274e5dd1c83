"""torch.nn.utils.parametrizations reach every form of a mixer."""

from laws.variants import build, over_dtypes, over_variants
from statewise.testing import MIXER_LAWS


@over_dtypes
@over_variants
def test_parametrisations_work(variant, dtype):
    MIXER_LAWS["parametrisations_work"](build(variant, dtype))

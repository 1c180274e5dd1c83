"""No output depends on a later token, by a single bit."""

from laws.variants import build, over_dtypes, over_variants
from statewise.testing import MIXER_LAWS


@over_dtypes
@over_variants
def test_outputs_are_causal(variant, dtype):
    MIXER_LAWS["outputs_are_causal"](build(variant, dtype))

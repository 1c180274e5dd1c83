"""A sequence cut anywhere, its state carried over, is the whole sequence: in outputs, final state and gradients."""

from laws.variants import build, over_dtypes, over_variants
from statewise.testing import MIXER_LAWS


@over_dtypes
@over_variants
def test_cutting_changes_nothing(variant, dtype):
    MIXER_LAWS["cutting_changes_nothing"](build(variant, dtype))


@over_dtypes
@over_variants
def test_no_tokens_change_nothing(variant, dtype):
    MIXER_LAWS["no_tokens_change_nothing"](build(variant, dtype))

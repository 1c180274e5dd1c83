"""A left-padded batch, reset at every first real token, gives what each sequence alone gives."""

from laws.variants import build, over_dtypes, over_variants
from statewise.testing import MIXER_LAWS


@over_dtypes
@over_variants
def test_left_padding_changes_nothing(variant, dtype):
    MIXER_LAWS["left_padding_changes_nothing"](build(variant, dtype))

"""The rows of a batch do not meet, whatever is in them; and there may be none."""

from laws.variants import build, over_dtypes, over_variants
from statewise.testing import MIXER_LAWS


@over_dtypes
@over_variants
def test_rows_are_independent(variant, dtype):
    MIXER_LAWS["rows_are_independent"](build(variant, dtype))


@over_dtypes
@over_variants
def test_a_batch_of_no_sequences_gives_none(variant, dtype):
    MIXER_LAWS["no_sequences_give_none"](build(variant, dtype))

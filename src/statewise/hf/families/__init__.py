"""The architectures of transformers that stacks of ours are too, one file each."""

from statewise.hf.families.family import Family
from statewise.hf.families.mamba import MambaFamily
from statewise.hf.families.mamba2 import Mamba2Family
from statewise.hf.families.recurrent_gemma import RecurrentGemmaFamily
from statewise.hf.families.xlstm import XLSTMFamily

__all__ = ["FAMILIES", "Family"]

FAMILIES: dict[str, Family] = {
    family.model_type: family for family in (MambaFamily(), Mamba2Family(), RecurrentGemmaFamily(), XLSTMFamily())
}
"""By the name that transformers gives the architecture."""

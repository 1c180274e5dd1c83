"""Hugging Face: statewise models as transformers knows models, and the models of transformers as statewise models.

Importing this registers configuration and model with AutoConfig and AutoModelForCausalLM. Needs transformers, which
the extra `hf` brings.
"""

from statewise.core.optional import require

transformers = require("transformers", extra="hf", purpose="statewise.hf")

from statewise.hf.cache import StatewiseCache  # noqa: E402
from statewise.hf.config import StatewiseConfig  # noqa: E402
from statewise.hf.converting import from_transformers, to_transformers  # noqa: E402
from statewise.hf.folders import load, save  # noqa: E402
from statewise.hf.model import StatewiseForCausalLM  # noqa: E402

__all__ = [
    "StatewiseCache",
    "StatewiseConfig",
    "StatewiseForCausalLM",
    "from_transformers",
    "load",
    "save",
    "to_transformers",
]

transformers.AutoConfig.register(StatewiseConfig.model_type, StatewiseConfig)
transformers.AutoModelForCausalLM.register(StatewiseConfig, StatewiseForCausalLM)

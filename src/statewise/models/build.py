"""From a configuration to the model that it is of."""

from statewise.models.config import ModelConfig
from statewise.models.language_model import LanguageModel
from statewise.models.vector_model import VectorModel


def build_model(config: ModelConfig) -> LanguageModel | VectorModel:
    """A LanguageModel where tokens are ids, a VectorModel where they are vectors.

    >>> type(build_model(ModelConfig(channels=(4, 4)))).__name__
    'VectorModel'
    """
    return LanguageModel(**vars(config)) if config.channels is None else VectorModel(**vars(config))

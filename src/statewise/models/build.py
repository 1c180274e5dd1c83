"""From a configuration to the model that it is of."""

from statewise.models.backbone import Backbone
from statewise.models.config import ModelConfig
from statewise.models.encoder_decoder import EncoderDecoder
from statewise.models.encoder_decoder_config import EncoderDecoderConfig
from statewise.models.language_model import LanguageModel
from statewise.models.vector_model import VectorModel

Trainable = Backbone | EncoderDecoder
"""What a training loop trains: tokens, or pairs of them, give outputs and a state."""

Model = LanguageModel | VectorModel | EncoderDecoder
"""What a configuration builds."""


def build_model(config: ModelConfig | EncoderDecoderConfig) -> Model:
    """A LanguageModel where tokens are ids, a VectorModel where they are vectors, an EncoderDecoder where two halves.

    >>> type(build_model(ModelConfig(channels=(4, 4)))).__name__
    'VectorModel'
    """
    if isinstance(config, EncoderDecoderConfig):
        return EncoderDecoder(**vars(config))
    return LanguageModel(**vars(config)) if config.channels is None else VectorModel(**vars(config))

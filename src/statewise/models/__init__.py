"""Blocks, models over ids and over vectors, generation and checkpoints."""

from statewise.models.add_attention import add_attention
from statewise.models.backbone import Backbone, ModelState
from statewise.models.beam import Hypothesis, beam_search
from statewise.models.block import Block
from statewise.models.build import Model, Trainable, build_model
from statewise.models.checkpoint import load_model, save_model
from statewise.models.config import ModelConfig
from statewise.models.encoder_decoder import EncoderDecoder
from statewise.models.encoder_decoder_config import EncoderDecoderConfig
from statewise.models.language_model import LanguageModel
from statewise.models.rwkv import load_rwkv
from statewise.models.stack import parse_stack
from statewise.models.vector_model import VectorModel

__all__ = [
    "Backbone",
    "Block",
    "EncoderDecoder",
    "EncoderDecoderConfig",
    "Hypothesis",
    "LanguageModel",
    "Model",
    "ModelConfig",
    "ModelState",
    "Trainable",
    "VectorModel",
    "add_attention",
    "beam_search",
    "build_model",
    "load_model",
    "load_rwkv",
    "parse_stack",
    "save_model",
]

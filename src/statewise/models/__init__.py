"""Blocks, language models, generation and checkpoints."""

from statewise.models.block import Block
from statewise.models.checkpoint import load_model, save_model
from statewise.models.language_model import LanguageModel, ModelConfig, ModelState
from statewise.models.rwkv import load_rwkv
from statewise.models.stack import parse_stack

__all__ = [
    "Block",
    "LanguageModel",
    "ModelConfig",
    "ModelState",
    "load_model",
    "load_rwkv",
    "parse_stack",
    "save_model",
]

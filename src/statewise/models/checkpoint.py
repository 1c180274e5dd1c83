"""Models on disk: one safetensors file that carries its configuration in the metadata."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from statewise.core.config import canonical, from_plain
from statewise.core.errors import RunError, UsageError
from statewise.models.backbone import Backbone
from statewise.models.build import build_model
from statewise.models.config import ModelConfig
from statewise.models.language_model import LanguageModel
from statewise.models.vector_model import VectorModel

KEY = "statewise.model"


def save_model(model: Backbone, path: str | Path) -> None:
    """Write the weights and the configuration to `path`."""
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, path, metadata={KEY: canonical(model.config)})


def load_model(path: str | Path) -> LanguageModel | VectorModel:
    """The model that `save_model` wrote, on the CPU. A file that is damaged or not ours is a RunError."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if KEY not in metadata:
            raise RunError(f"{path} is a safetensors file without the configuration of a statewise model")
        config = from_plain(ModelConfig, json.loads(metadata[KEY]), where=str(path))
        with torch.device("meta"):
            model = build_model(config)
        model.load_state_dict(load_file(path), assign=True)
    except FileNotFoundError:
        raise RunError(f"there is no model file {path}") from None
    except UsageError as error:
        raise RunError(f"{path} does not describe a model: {error}") from None
    except (SafetensorError, json.JSONDecodeError, RuntimeError) as error:
        raise RunError(f"{path} does not hold a whole model: {error}") from None
    return model

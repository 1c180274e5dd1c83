"""Models on disk: one safetensors file that carries its configuration in the metadata."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from statewise.core.config import canonical, from_plain_any
from statewise.core.errors import RunError, UsageError
from statewise.core.pickles import REFUSED, is_pickle
from statewise.models.build import Model, Trainable, build_model
from statewise.models.config import ModelConfig
from statewise.models.encoder_decoder_config import EncoderDecoderConfig

KEY = "statewise.model"
CONFIGS: tuple[type[ModelConfig] | type[EncoderDecoderConfig], ...] = (ModelConfig, EncoderDecoderConfig)
AGAIN = "; copy or save it again"
SHOWN = 3
"""Names of tensors that a message shows."""


def save_model(model: Trainable, path: str | Path) -> None:
    """Write the weights and the configuration to `path`."""
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, path, metadata={KEY: canonical(model.config)})


def load_model(path: str | Path) -> Model:
    """The model that `save_model` wrote, on the CPU. A file that is damaged or not ours is a RunError."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if KEY not in metadata:
            raise RunError(f"{path} is a safetensors file without the configuration of a statewise model")
        config = from_plain_any(CONFIGS, json.loads(metadata[KEY]), where=str(path))
        with torch.device("meta"):
            model = build_model(config)
        weights = load_file(path)
        check_names(set(weights), set(model.state_dict()), path)
        check_fit(weights, model.state_dict(), path)
        model.load_state_dict(weights, assign=True)
    except FileNotFoundError:
        raise RunError(f"there is no model file {path}") from None
    except UsageError as error:
        raise RunError(f"{path} does not describe a model: {error}") from None
    except (SafetensorError, json.JSONDecodeError, RuntimeError, OSError) as error:
        if is_pickle(Path(path)):
            raise RunError(f"{path} {REFUSED}") from None
        raise RunError(f"{path} does not hold a whole model: {error}{AGAIN}") from None
    return model


def check_names(found: set[str], needed: set[str], path: str | Path) -> None:
    """Raise a RunError unless a file has the tensors of the model that it describes, all and alone."""
    parts = [
        f"{verb} {len(names)}: {', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''}"
        for verb, names in (("lacks", sorted(needed - found)), ("has too many by", sorted(found - needed)))
        if names
    ]
    if parts:
        raise RunError(f"{path} does not hold a whole model: of {len(needed)} tensors it {', and '.join(parts)}{AGAIN}")


def check_fit(found: Mapping[str, Tensor], needed: Mapping[str, Tensor], path: str | Path) -> None:
    """Raise a RunError unless tensors have the shapes of the model's, and real numbers where it has real numbers."""
    for name, like in needed.items():
        tensor = found[name]
        if tensor.shape != like.shape or kind_of(tensor) != kind_of(like):
            raise RunError(
                f"{path} does not hold a whole model: {name} is {tuple(tensor.shape)} of {tensor.dtype}; the model "
                f"that it describes needs {tuple(like.shape)} of {like.dtype}{AGAIN}"
            )


def kind_of(tensor: Tensor) -> tuple[bool, bool]:
    """Whether a tensor's numbers are real, and complex: of one kind, other precisions will do."""
    return tensor.is_floating_point(), tensor.is_complex()

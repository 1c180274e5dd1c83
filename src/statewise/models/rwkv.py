"""Trained RWKV models, from the files of rwkv.cpp, as language models like any other.

What the file calls a tensor, and what it is here, stands in the tables below.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.models.language_model import LanguageModel
from statewise.models.rwkv_file import RwkvFile, read_rwkv_file

ENDS = {
    "emb.weight": "embedding.weight",
    "blocks.0.ln0.weight": "embedding_norm.weight",
    "blocks.0.ln0.bias": "embedding_norm.bias",
    "ln_out.weight": "norm.weight",
    "ln_out.bias": "norm.bias",
    "head.weight": "head.weight",
}

BLOCK = {
    "ln1.weight": "mixer_norm.weight",
    "ln1.bias": "mixer_norm.bias",
    "att.key.weight": "mixer.key.weight",
    "att.value.weight": "mixer.value.weight",
    "att.receptance.weight": "mixer.receptance.weight",
    "att.output.weight": "mixer.output.weight",
    "ln2.weight": "feed_forward_norm.weight",
    "ln2.bias": "feed_forward_norm.bias",
    "ffn.key.weight": "feed_forward.key.weight",
    "ffn.value.weight": "feed_forward.output.weight",
}

RWKV4_BLOCK = BLOCK | {
    "att.time_mix_k": "mixer.shift_key",
    "att.time_mix_v": "mixer.shift_value",
    "att.time_mix_r": "mixer.shift_receptance",
    "att.time_decay": "mixer.log_decay",
    "att.time_first": "mixer.bonus",
    "ffn.time_mix_k": "feed_forward.shift_key",
    "ffn.time_mix_r": "feed_forward.shift_receptance",
    "ffn.receptance.weight": "feed_forward.receptance.weight",
}

RWKV7_BLOCK = BLOCK | {
    "att.x_rwkvag": "mixer.shift",
    "att.w0": "mixer.decay.up.bias",
    "att.w1": "mixer.decay.down.weight",
    "att.w2": "mixer.decay.up.weight",
    "att.a0": "mixer.rate.up.bias",
    "att.a1": "mixer.rate.down.weight",
    "att.a2": "mixer.rate.up.weight",
    "att.v0": "mixer.value_share.up.bias",
    "att.v1": "mixer.value_share.down.weight",
    "att.v2": "mixer.value_share.up.weight",
    "att.g1": "mixer.gate.down.weight",
    "att.g2": "mixer.gate.up.weight",
    "att.k_k": "mixer.recall_scale",
    "att.k_a": "mixer.key_share",
    "att.r_k": "mixer.bonus",
    "att.ln_x.weight": "mixer.norm_weight",
    "att.ln_x.bias": "mixer.norm_bias",
    "ffn.x_k": "feed_forward.shift_key",
}

BLOCKS = {"rwkv4": RWKV4_BLOCK, "rwkv7": RWKV7_BLOCK}
MARKS = {"att.k_k": "rwkv7", "att.time_maa_x": "rwkv6", "att.ln_x.weight": "rwkv5", "att.time_first": "rwkv4"}
"""What tells a version from those after it in this table: its first block has this tensor."""


def load_rwkv(path: str | Path) -> LanguageModel:
    """The RWKV-4 or RWKV-7 model in a file of rwkv.cpp (FP32 or FP16), in float32 on the CPU.

    It is a LanguageModel like any other: to train on, to generate with, to write with `save_model`. A file that is no
    such model, is damaged, or holds another version of RWKV is a UsageError that says so.
    """
    file = read_rwkv_file(path)
    version = _version(file, path)
    found = sum(name.endswith(".ln1.weight") for name in file.tensors)
    if found != file.layers:
        raise UsageError(f"{path} says that it has {file.layers} layers, and has {found}")
    weights = dict(_renamed(file, BLOCKS[version], path))
    with torch.device("meta"):
        model = LanguageModel(
            vocabulary=file.vocabulary,
            width=file.width,
            stack=version,
            depth=file.layers,
            feed_forward=_multiple("feed_forward.key.weight", weights, file, path),
            expansion=_multiple("mixer.key.weight", weights, file, path),
            norm="layer",
            embedding_norm=True,
            feed_forward_kind=version,
        )
    model.load_state_dict(_fitted(model, weights, path), assign=True)
    return model


def _version(file: RwkvFile, path: str | Path) -> str:
    """rwkv4 or rwkv7."""
    version = next((version for mark, version in MARKS.items() if f"blocks.0.{mark}" in file.tensors), None)
    if version not in BLOCKS:
        said = "is of no version of RWKV that is known" if version is None else f"is an {version.upper()} model"
        raise UsageError(f"{path} {said}; it must be RWKV4 or RWKV7")
    return version


def _renamed(file: RwkvFile, block: dict[str, str], path: str | Path) -> Iterator[tuple[str, Tensor]]:
    """The file's tensors under our names."""
    for name, tensor in file.tensors.items():
        place = re.fullmatch(r"(blocks\.[0-9]+\.)(.+)", name)
        if name in ENDS:
            yield ENDS[name], tensor
        elif place is not None and place[2] in block:
            yield place[1] + block[place[2]], _log_decay(tensor, name, path) if place[2] == "att.time_decay" else tensor
        else:
            raise UsageError(f"{path} holds {name}, which no such model has")


def _log_decay(decay: Tensor, name: str, path: str | Path) -> Tensor:
    """What w = −e^δ has for δ."""
    if not bool((decay < 0).all()):
        raise UsageError(f"{path} is damaged: {name} has decays that are not negative")
    return decay.neg().log()


def _multiple(name: str, weights: dict[str, Tensor], file: RwkvFile, path: str | Path) -> int:
    """The inner width of the first block's map called `name`, as a multiple of the width."""
    weight = weights.get(f"blocks.0.{name}")
    inner = 0 if weight is None else weight.shape[0]
    if inner < 1 or inner % file.width:
        raise UsageError(f"{path}: {name} has {inner} outputs; it must have a multiple of the width, {file.width}")
    return inner // file.width


def _fitted(model: LanguageModel, weights: dict[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """The weights in the shapes of the model's, which they must fill, all and alone."""
    fitted = {}
    for name, parameter in model.state_dict().items():
        # The first layer reads no values from below; files leave its weights for that out.
        if name not in weights and name.startswith("blocks.0.mixer.value_share."):
            weights[name] = torch.zeros(parameter.shape)
        if name not in weights:
            raise UsageError(f"{path} lacks what is {name} here")
        weight = weights.pop(name)
        if _axes(weight) != _axes(parameter) and not (parameter.ndim == 1 and weight.numel() == parameter.numel()):
            raise UsageError(f"{path}: {name} has the shape {tuple(weight.shape)}; it must be {tuple(parameter.shape)}")
        fitted[name] = weight.reshape(parameter.shape)
    if weights:
        raise UsageError(f"{path} holds what would be {min(weights)}, in a model of {model.config.depth} layers")
    return fitted


def _axes(tensor: Tensor) -> list[int]:
    """The shape without axes of length 1."""
    return [length for length in tensor.shape if length != 1]

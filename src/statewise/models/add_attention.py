"""A trained recurrent model given one layer of attention, which says nothing until it is fine-tuned.

    x ← x + W_o · attention(norm(x)) + b_o        x ← x + W_2 · inner(norm(x)) + b_2        W_o = W_2 = 0, b_o = b_2 = 0

The block comes after the last one, before the norm and the head: "a Linear RNN with one Transformer layer", Wen, Dang,
Lyu, arXiv 2402.18510, Definition 5.5. That a branch of a trained model starts at zero is ours. What is zero learns
first: the gradient of W_o is that of its output times what attention read, which is not zero, while those of the maps
before W_o are zero until it has moved.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

import torch
from torch import nn

from statewise.core.errors import UsageError
from statewise.core.random import seeded
from statewise.models.backbone import Backbone, build_block
from statewise.models.block import Block
from statewise.models.config import ModelConfig
from statewise.models.feed_forward import FeedForward
from statewise.models.language_model import LanguageModel
from statewise.models.stack import settings_taken

TOP = "attention"


def add_attention(
    model: Backbone, *, seed: int = 0, positions: str | None = None, head_size: int | None = None
) -> LanguageModel:
    """A copy of a language model with one block of attention on top, whose outputs are the model's to the bit.

    seed       for what the block starts with, its two last maps excepted
    positions  of its attention: none or rope; None is what the model's own `positions` say. Learned positions stay
               where they are, below the first block
    head_size  of its attention, a divisor of the width; None is what the model's settings say, or attention's default

    Whatever else a model has one of for all its blocks holds for this one too: width, norm, feed-forward, convolution,
    and those of its `mixer_settings` that attention takes. The copy is an ordinary LanguageModel, its stack written out
    (`mingru` of depth 2 becomes `mingru*2+attention`), in the model's precision, mode and place, and all of it can be
    trained; the model is left as it is. From then on its state grows with every token.

    O(parameters). A UsageError: tokens that are vectors; a model whose top layer is attention already (it has what this
    adds: fine-tune it as it is); an option that a layer below takes too, for which a model has one value.

    >>> model = LanguageModel(vocabulary=11, width=8, stack="mingru", depth=2)
    >>> grown = add_attention(model)
    >>> grown.config.stack, torch.equal(grown(torch.arange(5)[None])[0], model(torch.arange(5)[None])[0])
    ('mingru*2+attention', True)
    """
    config = with_attention(_require_addable(model).config, positions=positions, head_size=head_size)
    with torch.device("meta"):
        grown = LanguageModel(**vars(config))
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    top = len(config.layers) - 1
    home = model.embedding.weight
    for name, tensor in _silent_block(config, seed).state_dict().items():
        weights[f"blocks.{top}.{name}"] = tensor.to(device=home.device, dtype=home.dtype)
    grown.load_state_dict(weights, assign=True)
    return grown.train(model.training)


def with_attention(config: ModelConfig, *, positions: str | None = None, head_size: int | None = None) -> ModelConfig:
    """The configuration with one layer of attention on top; options as in `add_attention`.

    >>> with_attention(ModelConfig(vocabulary=11, stack="mingru+gru", depth=2), head_size=16).stack
    'mingru+gru+mingru+gru+attention'
    """
    asked = {"positions": positions, "head_size": head_size}
    given = {name: value for name, value in asked.items() if value is not None}
    for name in given:
        taken_by = sorted({layer for layer in config.layers if name in settings_taken(layer)})
        if taken_by:
            raise UsageError(
                f"add_attention: {name} is {given[name]!r}, but {taken_by[0]} in the stack {config.stack!r} takes "
                f"{name} too, and a model has one for all its layers; leave {name} out"
            )
    settings = tuple(f"{name}={value}" for name, value in given.items())
    return replace(
        config,
        stack=written([*config.layers, TOP]),
        depth=1,
        mixer_settings=(*config.mixer_settings, *settings),
    )


def written(layers: Iterable[str]) -> str:
    """The stack of these layers, bottom first, as text.

    >>> written(["mingru", "mingru", "attention"])
    'mingru*2+attention'
    """
    runs = ((name, len(list(same))) for name, same in groupby(layers))
    return "+".join(name if count == 1 else f"{name}*{count}" for name, count in runs)


def _require_addable(model: Backbone) -> LanguageModel:
    if not isinstance(model, LanguageModel):
        raise UsageError(
            f"add_attention: the model is a {type(model).__name__}; it must be a LanguageModel, whose tokens are ids"
        )
    if model.config.layers[-1] == TOP:
        raise UsageError(
            f"add_attention: the top layer of the stack {model.config.stack!r} is attention already; fine-tune the "
            "model as it is"
        )
    return model


def _silent_block(config: ModelConfig, seed: int) -> Block:
    """The top block as it starts, but for the last map of each branch, which is 0."""
    with seeded(seed):
        block = build_block(config, len(config.layers) - 1)
    for output in _last_maps(block):
        for parameter in output.parameters():
            nn.init.zeros_(parameter)
    return block


def _last_maps(block: Block) -> Iterator[nn.Module]:
    """The linear map that each branch of the block ends with."""
    for branch in (block.mixer, block.feed_forward):
        if isinstance(branch, FeedForward):
            yield branch[-1]
        elif branch is not None:
            output = branch.output
            assert isinstance(output, nn.Module)
            yield output

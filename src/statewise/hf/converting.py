"""Models of transformers' own architectures as language models of ours, and back.

What corresponds to what stands in `families`; here it is carried out, and looked at: every tensor of a checkpoint is
used once, and has the shape that its configuration says.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from statewise.core.errors import RunError, UsageError, pick
from statewise.hf.checks import indexed_files, require_exactly, require_safetensors
from statewise.hf.families import FAMILIES, Family
from statewise.hf.families.names import Made
from statewise.models import LanguageModel, ModelConfig

SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")
PLAIN = (int, float, str, bool, type(None))
COMPARED = ("positions", "max_length", "conv", "norm", "embedding_norm", "logits_cap")
HEAD, EMBEDDING = "head.weight", "embedding.weight"


def from_transformers(folder: str | Path) -> LanguageModel:
    """The model in a folder that transformers wrote, of one of `FAMILIES`, as a language model of ours, on the CPU.

    Its dtype is the one that the configuration names, else float32. Tied embeddings come out as two tensors. A folder
    of another architecture, with settings that ours do not have, with a tensor too few or too many, or with a pickle in
    place of safetensors is a UsageError; one that is damaged a RunError.
    """
    config = config_of(folder)
    family = pick("architecture", config.model_type, FAMILIES)
    family.check(config, str(folder))
    ours = family.ours(config)
    weights = read_weights(folder)
    shapes = shapes_of(config)
    require_all(weights, shapes, config, family, str(folder))
    dtype = config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32
    with torch.device("meta"):
        model = LanguageModel(**vars(ours))
    made = {}
    for name, how, their_names in each(family, ours):
        theirs = [weights[their_name].to(dtype) for their_name in their_names if their_name in weights]
        # A bias that theirs leave out is zero.
        made[name] = how.ours(theirs) if theirs else torch.zeros(model.get_parameter(name).shape, dtype=dtype)
    model.load_state_dict(made, assign=True)
    return model


def to_transformers(model: LanguageModel, architecture: str, **others: Any) -> PreTrainedModel:
    """A language model of ours as a model of transformers' own, sharing no memory with it.

    architecture  one of `FAMILIES`; a model that is none of that is a UsageError that says what differs
    others        settings of its configuration, as `eos_token_id`

    Embeddings are tied there where ours are the same numbers.
    """
    family = pick("architecture", architecture, FAMILIES)
    strays = sorted(set(model.config.layers) - set(family.blocks))
    if strays:
        raise UsageError(
            f"convert: a {architecture} model has layers of {' and '.join(family.blocks)} alone; this stack, "
            f"{model.config.stack!r}, has {', '.join(strays)}"
        )
    weights = model.state_dict()
    config = their_config(model, family, others)
    require_same(model, family.ours(config), architecture)
    made: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    shapes = {name: tensor.shape for name, tensor in made.state_dict().items()}
    filled: dict[str, Tensor] = {}
    for name, how, their_names in each(family, model.config):
        kept = [their_name for their_name in their_names if their_name in shapes]
        if kept:
            parts = how.theirs(weights[name], [shapes[their_name] for their_name in kept])
            filled |= dict(zip(kept, parts, strict=True))
    made.load_state_dict(filled)
    return made.to(weights[EMBEDDING].dtype).eval()  # type: ignore[no-any-return]


def their_config(model: LanguageModel, family: Family, others: dict[str, Any]) -> PreTrainedConfig:
    """The configuration of a model of ours in transformers' own architecture."""
    embedding, head = family.ends[EMBEDDING], family.ends[HEAD]
    weights = model.state_dict()
    (theirs,) = embedding.theirs(weights[EMBEDDING], [weights[EMBEDDING].shape])
    (read,) = head.theirs(weights[HEAD], [weights[HEAD].shape])
    config = model.config
    return AutoConfig.for_model(
        family.model_type,
        **{
            "vocab_size": config.vocabulary,
            "hidden_size": config.width,
            "num_hidden_layers": len(config.layers),
            "tie_word_embeddings": family.ties and torch.allclose(theirs, read, rtol=1e-6, atol=0),
        }
        | dict.fromkeys(SPECIAL)
        | family.theirs(model)
        | others,
    )


def each(family: Family, config: ModelConfig) -> Iterator[tuple[str, Made, list[str]]]:
    """Every tensor of ours: its name, how it is made, and the whole names of theirs."""
    for name, how in family.ends.items():
        yield name, how, list(how.names)
    for place, layer in enumerate(config.layers):
        for name, how in family.blocks[layer].items():
            yield f"blocks.{place}.{name}", how, [family.layers.format(place) + behind for behind in how.names]


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """All tensors of a folder's safetensors files, by name; files that are damaged are a RunError."""
    require_safetensors(folder)
    weights: dict[str, Tensor] = {}
    try:
        for file in indexed_files(Path(folder)) or [Path(folder) / "model.safetensors"]:
            weights |= load_file(file)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{folder} does not hold a whole checkpoint: {error}") from None
    return weights


def shapes_of(config: PreTrainedConfig) -> dict[str, torch.Size]:
    """The shapes of the tensors that a configuration describes."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in AutoModelForCausalLM.from_config(config).state_dict().items()}


def require_all(
    weights: dict[str, Tensor], shapes: Mapping[str, torch.Size], config: Any, family: Family, where: str
) -> None:
    """Raise a UsageError unless the weights are those that the configuration describes; tied ones are put in place."""
    (head,), (embedding,) = family.ends[HEAD].names, family.ends[EMBEDDING].names
    if head not in weights and embedding in weights and config.tie_word_embeddings:
        weights[head] = weights[embedding].clone()
    require_exactly(where, set(shapes) - set(weights), set(weights) - set(shapes))
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise UsageError(
                f"{where}: {name} has the shape {tuple(weights[name].shape)}; the model that config.json describes "
                f"needs {tuple(shape)}"
            )


def require_same(model: LanguageModel, other: ModelConfig, architecture: str) -> None:
    """Raise a UsageError unless a model of configuration `other` computes what `model` does with the same weights."""
    with torch.device("meta"):
        meant = LanguageModel(**vars(other))
    for (name, value), (_, needed) in zip(facts(model), facts(meant), strict=True):
        if value != needed:
            raise UsageError(f"convert: {name} is {value!r} in this model; in a {architecture} model it is {needed!r}")


def facts(model: LanguageModel) -> Iterator[tuple[str, object]]:
    """What a model computes, beside its weights: names and values, in an order that depends on its layers alone."""
    config = model.config
    yield "layers", config.layers
    for name in COMPARED:
        yield name, getattr(config, name)
    yield "norm_epsilon", (config.norm_epsilon or 1e-6) if config.norm == "rms" else config.norm_epsilon
    units = config.feed_forward_units or config.feed_forward * config.width
    yield "feed_forward", config.feed_forward and units
    yield "feed_forward_kind", config.feed_forward and config.feed_forward_kind
    for place, layer in enumerate(config.layers):
        mixer = model.blocks[place].mixer
        for name, value in sorted(vars(mixer).items()):
            if isinstance(value, PLAIN) and not name.startswith("_") and name != "training":
                yield f"{name} of block {place}, {layer},", value


def config_of(folder: str | Path) -> Any:
    """What transformers makes of a folder's config.json. One that it cannot read is a UsageError in a line."""
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # Its validation raises exceptions of many kinds.
        why = " ".join(str(error).split())
        raise UsageError(f"{Path(folder) / 'config.json'} does not describe a model: {why}") from None


def special_tokens(folder: str | Path) -> dict[str, Any]:
    """What a folder's configuration says of the tokens that begin, end and pad."""
    config = config_of(folder)
    return {name: getattr(config, name, None) for name in SPECIAL}

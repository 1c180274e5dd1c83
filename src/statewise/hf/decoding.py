"""Mamba and Llama of transformers, with random weights, written token by token beside equal models of ours.

B batch, T time.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.utils import logging

from statewise.core.errors import UsageError
from statewise.core.random import child_seed, seeded
from statewise.hf.cache_tensors import put_in, taken_out
from statewise.hf.converting import to_transformers
from statewise.models import LanguageModel, ModelConfig

LARGEST_HEAD = 64


class TheirDecoder:
    """A model of transformers as a loop of greedy steps, bare of what its `generate` does besides; and by that."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model: Any = model.eval()

    @property
    def parameters(self) -> int:
        """How many it has."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def read(self, tokens: Tensor) -> tuple[Tensor, Any]:
        """The likeliest token (B,) after tokens (B, T), and the cache."""
        return self._asked(tokens, DynamicCache(config=self.model.config))

    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The likeliest token (B,) after one more (B,), and the cache, which is changed."""
        return self._asked(token[:, None], state)

    def generate(self, tokens: Tensor, length: int) -> Tensor:
        """So many tokens (B, length) after tokens (B, T), by its own `generate`."""
        with_prompt: Tensor = self.model.generate(tokens, max_new_tokens=length, do_sample=False, pad_token_id=0)
        return with_prompt[:, tokens.shape[1] :]

    def filled(self, batch: int, position: int) -> Any:
        """A cache of so many tokens, all zeros."""
        config = self.model.config
        cache = DynamicCache(config=config)
        zeros = torch.zeros(batch, config.num_key_value_heads, position, config.head_dim)
        for layer in range(config.num_hidden_layers):
            cache.update(zeros, zeros, layer)
        return cache

    def repeated(self, state: Any, batch: int) -> Any:
        """The cache of one sequence for each of a batch."""
        tensors = [
            {name: tensor.repeat_interleave(batch, 0) for name, tensor in layer.items()} for layer in taken_out(state)
        ]
        return put_in(tensors, 0, self.model.config)

    def back_at(self, state: Any, position: int) -> Any:
        """The cache without the tokens behind a position; one that does not grow stays as it is."""
        for layer in state.layers:
            if getattr(layer, "keys", None) is not None:
                layer.crop(position - layer.get_seq_length())
        return state

    def state_bytes(self, state: Any) -> int:
        """Bytes carried for one sequence."""
        return sum(
            tensor.element_size() * tensor.shape[1:].numel() for layer in taken_out(state) for tensor in layer.values()
        )

    def _asked(self, tokens: Tensor, cache: Any) -> tuple[Tensor, Any]:
        output = self.model(input_ids=tokens, cache=cache, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1].argmax(-1), output.cache


def quiet() -> None:
    """Have transformers tell this process errors alone: that Mamba's kernels are for GPUs is known."""
    logging.set_verbosity_error()


def their_decoder(architecture: str, config: ModelConfig) -> TheirDecoder:
    """A model of transformers equal to ours of a configuration: mamba, of the same settings and weights, or llama."""
    with seeded(child_seed(0, "weights")):
        if architecture == "mamba":
            return TheirDecoder(to_transformers(LanguageModel(**vars(config)), "mamba"))
        if architecture == "llama":
            return TheirDecoder(LlamaForCausalLM(llama_config(config)))
    raise UsageError(f"bench decode: architecture is {architecture!r}; it must be mamba or llama")


def llama_config(config: ModelConfig) -> LlamaConfig:
    """Llama with a model's width and layers, and as many parameters in its gated feed-forward.

    >>> llama_config(ModelConfig(vocabulary=256, width=96, stack="attention*4")).intermediate_size
    256
    """
    width = config.width
    head = max(size for size in range(2, LARGEST_HEAD + 1, 2) if width % size == 0)
    return LlamaConfig(
        vocab_size=config.vocabulary,
        hidden_size=width,
        num_hidden_layers=len(config.layers),
        num_attention_heads=width // head,
        num_key_value_heads=width // head,
        intermediate_size=round(2 * config.feed_forward * width / 3),
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        max_position_embeddings=2**20,
    )

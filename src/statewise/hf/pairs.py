"""A pretrained model asked what was written under a key, in tokens of its own.

    string 2 0 1   →   prompt  k₁ v₂ k₂ v₀ k₃ v₁        query of place 2   →   k₂ ?

Keys and values are single tokens of the model's vocabulary; a model that recalls answers a query with the value that
stood behind its key. B batch, n places, a alphabet.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from statewise.core.errors import UsageError
from statewise.core.random import child_seed
from statewise.hf.cache_tensors import can_be_taken_out, counter, put_in, taken_out
from statewise.hf.checks import require_fitting_tokenizer, require_folder, require_safetensors
from statewise.hf.folders import tokenizer_files


class Pairs:
    """A model of transformers as `statewise.capacity.measure` takes models without a state: tokens → logits.

    model     of transformers
    keys      token ids, one for each place
    values    token ids, one for each symbol
    beginning token ids that every prompt starts with

    Symbols are 0 … a−1 and the query of place p is a + p, at the end. Logits are those of the values.
    """

    def __init__(self, model: Any, *, keys: Tensor, values: Tensor, beginning: Sequence[int] = ()) -> None:
        self.model, self.keys, self.values = model, keys, values
        self.last_alone = {"logits_to_keep": 1} if model._supports_logits_to_keep() else {}
        self.beginning = torch.tensor(list(beginning), dtype=torch.int64)

    def __call__(self, tokens: Tensor) -> Any:
        """Logits (B, T, a) of strings with a query at the end (B, T): only the last are the model's, others are 0."""
        prompt = torch.cat([self.prompt(tokens[:, :-1]), self.key_of(tokens[:, -1])[:, None]], 1)
        logits = torch.zeros(*tokens.shape, len(self.values))
        logits[:, -1] = self.of_values(self.model(input_ids=prompt, use_cache=False, **self.last_alone).logits)
        return logits

    def prompt(self, symbols: Tensor) -> Tensor:
        """The tokens of strings (B, n), each symbol behind the key of its place: (B, beginning + 2n)."""
        if symbols.shape[1] > len(self.keys):
            raise UsageError(f"capacity: strings have {symbols.shape[1]} symbols; there are {len(self.keys)} keys")
        keys = self.keys[: symbols.shape[1]].expand(symbols.shape)
        pairs = torch.stack([keys, self.values[symbols]], 2).flatten(1)
        return torch.cat([self.beginning.expand(len(symbols), -1), pairs], 1)

    def key_of(self, query: Tensor) -> Tensor:
        """The keys that queries (B,) ask for."""
        return self.keys[query - len(self.values)]

    def of_values(self, logits: Tensor) -> Tensor:
        """Logits (B, a) of the values, from a model's (B, T, V)."""
        return logits[:, -1, self.values].float()


class CachedPairs(Pairs):
    """The same with a state: what the model's cache holds, and how many tokens it has read."""

    def __call__(self, tokens: Tensor) -> tuple[Tensor, Any]:
        """Logits of the values after strings (B, n), and the state."""
        prompt = self.prompt(tokens)
        output = self.model(input_ids=prompt, use_cache=True, **self.last_alone)
        return self.of_values(output.logits), (taken_out(output.cache), counter(prompt.shape[1], len(prompt)))

    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits (B, a) of the values after a query (B,), and the state."""
        tensors, seen = state
        cache = put_in(tensors, int(seen[0]), self.model.config)
        output = self.model(input_ids=self.key_of(token)[:, None], cache=cache, use_cache=True, **self.last_alone)
        return self.of_values(output.logits), (taken_out(output.cache), seen + 1)


def open_pairs(folder: str | Path, *, alphabet: int, places: int, seed: int) -> tuple[Pairs, str]:
    """A pretrained model in a local folder, ready to be measured, and a line on what its keys and values are.

    alphabet  a, how many values
    places    how many keys
    seed      of the choice of tokens

    A model whose cache holds all that it carries comes with a state, any other one without. Nothing is downloaded. A
    folder that is none, holds a pickle or a tokenizer of another model, or has too few tokens is a UsageError.
    """
    folder = require_folder(folder, "capacity")
    require_safetensors(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True) if tokenizer_files(folder) else None
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if tokenizer is not None:
        require_fitting_tokenizer(folder, len(tokenizer), vocabulary)
    words = single_tokens(tokenizer, model, vocabulary)
    if len(words) < alphabet + places:
        raise UsageError(
            f"capacity: {folder} has {len(words):,} tokens that can be keys or values; {alphabet} values and {places} "
            "keys are needed: take a smaller alphabet or smaller sizes"
        )
    order = torch.randperm(len(words), generator=torch.Generator().manual_seed(child_seed(seed, "keys and values")))
    chosen = torch.tensor(words)[order[: alphabet + places]]
    begin = getattr(model.config, "bos_token_id", None)
    beginning = () if tokenizer is None or not isinstance(begin, int) else (begin,)
    made = CachedPairs if carries_a_cache(model, chosen[:2]) else Pairs
    pairs = made(model, keys=chosen[alphabet:], values=chosen[:alphabet], beginning=beginning)
    said = [repr(tokenizer.decode([i])) if tokenizer is not None else str(i) for i in chosen[:3].tolist()]
    return pairs, f"{'tokens' if tokenizer is not None else 'token ids'} such as {', '.join(said)}"


@torch.no_grad()
def carries_a_cache(model: PreTrainedModel, tokens: Tensor) -> bool:
    """Whether all that a model carries is in a cache that can be taken out."""
    # RecurrentGemma keeps states in its modules, beside a cache that says nothing of them.
    try:
        output = model(input_ids=tokens[None], use_cache=True)
    except ValueError:
        # Nor has that cache a length where none of its layers is attention, and it is asked for one.
        return False
    return can_be_taken_out(getattr(output, "cache", None))


def single_tokens(tokenizer: Any, model: Any, vocabulary: int) -> list[int]:
    """Token ids, ascending, that stand for one word or sign each and mean nothing special.

    Without a tokenizer all but the special ones.
    """
    special = {
        i
        for name in ("bos_token_id", "eos_token_id", "pad_token_id")
        for i in _listed(getattr(model.config, name, None))
    }
    if tokenizer is None:
        return [i for i in range(vocabulary) if i not in special]
    special |= set(tokenizer.all_special_ids)
    texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))])
    words = [i for i, text in enumerate(texts) if i not in special and text.strip().isalnum()]
    return [i for i in words if tokenizer.encode(texts[i], add_special_tokens=False) == [i]]


def _listed(token: int | list[int] | None) -> list[int]:
    return token if isinstance(token, list) else [] if token is None else [token]

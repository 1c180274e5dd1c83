"""Any stack of mixers as a causal language model of transformers.

B batch, T time, V vocabulary.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from statewise.core.errors import UsageError
from statewise.hf.cache import StatewiseCache
from statewise.hf.checks import require_all_weights, require_safetensors
from statewise.hf.config import StatewiseConfig
from statewise.hf.restarts import check_mask, restarts
from statewise.models import LanguageModel


class StatewiseForCausalLM(PreTrainedModel, GenerationMixin):
    """A `LanguageModel` with the ways of transformers: save_pretrained, from_pretrained, generate, Trainer.

    `model` is the LanguageModel itself. What it carries is a `StatewiseCache`.

    >>> model = StatewiseForCausalLM(StatewiseConfig(vocabulary=11, width=8, stack="mingru*2")).eval()
    >>> model.generate(torch.tensor([[1, 2, 3]]), max_new_tokens=2, do_sample=False).shape
    torch.Size([1, 5])
    """

    config_class = StatewiseConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = True
    _is_stateful = True
    _no_split_modules = ["Block"]  # noqa: RUF012

    model: LanguageModel
    config: StatewiseConfig

    def __init__(self, config: StatewiseConfig) -> None:
        super().__init__(config)
        self.model = LanguageModel(**vars(config.to_model_config()))
        self.gradient_checkpointing = False
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def of(cls, model: LanguageModel, **others: Any) -> "StatewiseForCausalLM":
        """A language model in this class, its weights shared; `others` are fields of the configuration."""
        with torch.device("meta"):
            wrapped = cls(StatewiseConfig.of(model.config, **others))
        wrapped.model = model
        wrapped.train(model.training)
        return wrapped

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | Path, *model_args: Any, **kwargs: Any
    ) -> Any:
        """The model in a folder that `save_pretrained` wrote; options as transformers has them.

        Weights must be safetensors, and all that the model has, no more and no less: anything else is a UsageError.
        """
        require_safetensors(pretrained_model_name_or_path)
        asked = kwargs.pop("output_loading_info", False)
        kwargs |= {"use_safetensors": True, "output_loading_info": True}
        forgiven = kwargs.pop("ignore_mismatched_sizes", False)
        loaded: Any = super().from_pretrained(
            pretrained_model_name_or_path, *model_args, ignore_mismatched_sizes=True, **kwargs
        )
        model, info = loaded
        require_all_weights(pretrained_model_name_or_path, info, mismatched_too=not forgiven)
        return (model, info) if asked else model

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        reset: Tensor | None = None,
        cache: StatewiseCache | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        num_items_in_batch: Tensor | int | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutputWithPast | tuple[Any, ...]:
        """Logits (B, T, V), the cache after the last token, and the loss where there are labels.

        input_ids       (B, T) int64
        attention_mask  (B, S + T), 0 at padding, over the S tokens that the cache has read and these. Left padding
                        changes nothing; right of a sequence it is read as tokens, whose outputs are to be ignored
        position_ids    (B, T): a sequence starts where they are 0, so that packed documents do not meet
        reset           (B, T) bool, true where a new sequence starts, beside what the two above say
        cache           of an earlier call, to go on from; it is changed in place
        labels          (B, T) int64, of these same places (the loss shifts them); -100 is not scored
        use_cache       whether a cache is given back; None is what the configuration says, and False in training
        logits_to_keep  logits of the last so many tokens alone, or of these places; 0 is all
        """
        if cache is not None and not isinstance(cache, StatewiseCache):
            raise UsageError(
                f"StatewiseForCausalLM: cache is a {type(cache).__name__}; pass a StatewiseCache, or leave it out"
            )
        use_cache = (self.config.use_cache and not self.training) if use_cache is None else use_cache
        cache = StatewiseCache() if cache is None and use_cache else cache
        hidden = self._hidden(input_ids, attention_mask, position_ids, reset, cache)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.model.head(hidden[:, kept])
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits, labels, vocab_size=logits.shape[-1], num_items_in_batch=num_items_in_batch
            )
        output = CausalLMOutputWithPast(loss=loss, logits=logits, cache=cache if use_cache else None)
        return output if self.config.return_dict and return_dict is not False else output.to_tuple()

    def _hidden(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        position_ids: Tensor | None,
        reset: Tensor | None,
        cache: StatewiseCache | None,
    ) -> Tensor:
        """What the head reads, (B, T, D); the cache is moved on."""
        seen, begun, state = (0, False, None) if cache is None else (cache.seen, cache.begun, cache.state)
        starts = reset
        check_mask(input_ids, attention_mask, seen, begun=begun)
        if not begun:
            starts = restarts(input_ids, attention_mask, position_ids, reset, seen)
        elif position_ids is not None and input_ids.shape[1] > 1:
            starts = restarts(input_ids, None, position_ids, reset, seen)
        if state is not None and starts is None and input_ids.shape[1] == 1:
            hidden, state = self.model.read_one(input_ids[:, 0], state)
            hidden = hidden[:, None]
        else:
            recompute = self._gradient_checkpointing_func if self.gradient_checkpointing and self.training else None
            hidden, state = self.model.read(input_ids, state, reset=starts, checkpoint=recompute)
        if cache is not None:
            cache.put(state, input_ids.shape[1])
            cache.begun = begun or attention_mask is None or bool(attention_mask.any(1).all())
        return hidden

    def get_input_embeddings(self) -> nn.Module:
        """The table of embeddings."""
        return self.model.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Another table of embeddings."""
        self.model.embedding = value

    def get_output_embeddings(self) -> nn.Module:
        """The head."""
        return self.model.head

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Another head, whose weights are taken; a head has no bias."""
        if getattr(value, "bias", None) is not None:
            raise UsageError("StatewiseForCausalLM: the head has no bias, and what is to be put in its place has one")
        weight, head = value.get_parameter("weight"), self.model.get_submodule("head")
        assert isinstance(head, nn.Linear)
        head.weight, head.out_features = nn.Parameter(weight), weight.shape[0]
        self.model.config = replace(self.model.config, vocabulary=weight.shape[0])

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: mixers and blocks start as they are published, by themselves."""

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """False: `forward` makes the cache."""
        return False

"""transformers' xLSTM, which is xLSTM 7B's architecture: mLSTM layers, each followed by a gated feed-forward."""

from typing import Any

from statewise.hf.families.family import Family, settings
from statewise.hf.families.names import joined, same
from statewise.mixers import MLSTM
from statewise.models import LanguageModel, ModelConfig


class XLSTMFamily(Family):
    """xLSTM."""

    model_type = "xlstm"
    ties = False
    layers = "backbone.blocks.{}."
    ends = {  # noqa: RUF012
        "embedding.weight": same("backbone.embeddings.weight"),
        "norm.weight": same("backbone.out_norm.weight"),
        "head.weight": same("lm_head.weight"),
    }
    blocks = {  # noqa: RUF012
        "mlstm": {
            "mixer_norm.weight": same("norm_mlstm.weight"),
            "mixer.query_key.weight": joined("mlstm_layer.q.weight", "mlstm_layer.k.weight"),
            "mixer.value_gate.weight": joined("mlstm_layer.v.weight", "mlstm_layer.ogate_preact.weight"),
            "mixer.input_forget.weight": joined("mlstm_layer.igate_preact.weight", "mlstm_layer.fgate_preact.weight"),
            "mixer.input_forget.bias": joined("mlstm_layer.igate_preact.bias", "mlstm_layer.fgate_preact.bias"),
            "mixer.norm_weight": same("mlstm_layer.multihead_norm.weight"),
            "mixer.output.weight": same("mlstm_layer.out_proj.weight"),
            "feed_forward_norm.weight": same("norm_ffn.weight"),
            "feed_forward.gate_value.weight": joined("ffn.proj_up_gate.weight", "ffn.proj_up.weight"),
            "feed_forward.output.weight": same("ffn.proj_down.weight"),
        }
    }
    must_be = {  # noqa: RUF012
        "use_bias": False,
        "add_out_norm": True,
        "norm_eps": 1e-6,
        "eps": 1e-6,
        "qk_dim_factor": 0.5,
        "v_dim_factor": 1.0,
        "weight_mode": "single",
    }

    def ours(self, config: Any) -> ModelConfig:
        """The configuration of our model."""
        step = config.ffn_round_up_to_multiple_of
        units = int((config.hidden_size * config.ffn_proj_factor + step - 1) // step * step)
        return ModelConfig(
            vocabulary=config.vocab_size,
            width=config.hidden_size,
            stack="mlstm",
            depth=config.num_hidden_layers,
            feed_forward_units=units,
            feed_forward_kind="swiglu",
            logits_cap=config.output_logit_soft_cap,
            mixer_settings=settings(heads=config.num_heads, soft_cap=config.gate_soft_cap),
        )

    def theirs(self, model: LanguageModel) -> dict[str, Any]:
        """The settings of their configuration."""
        mixer = next(each for each in model.modules() if isinstance(each, MLSTM))
        units = model.config.feed_forward_units or model.config.feed_forward * model.config.width
        return {
            "num_blocks": len(model.config.layers),
            "embedding_dim": model.config.width,
            "num_heads": mixer.heads,
            "gate_soft_cap": mixer.soft_cap or 15.0,
            "output_logit_soft_cap": model.config.logits_cap or 30.0,
            # A step as wide as the result, so that rounding up ends there whatever the quotient was rounded to.
            "ffn_proj_factor": units / model.config.width,
            "ffn_round_up_to_multiple_of": max(units, 1),
            "autocast_kernel_dtype": "float32",
        }

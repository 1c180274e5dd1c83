"""transformers' Mamba: blocks of a norm and a mixer, without feed-forward."""

from typing import Any

from statewise.hf.families.family import Family, settings
from statewise.hf.families.names import same, taps
from statewise.mixers import Mamba
from statewise.models import LanguageModel, ModelConfig


class MambaFamily(Family):
    """Mamba. Their residual stream is float32 whatever the weights are; ours has the dtype of the weights."""

    model_type = "mamba"
    layers = "backbone.layers.{}."
    ends = {  # noqa: RUF012
        "embedding.weight": same("backbone.embeddings.weight"),
        "norm.weight": same("backbone.norm_f.weight"),
        "head.weight": same("lm_head.weight"),
    }
    blocks = {  # noqa: RUF012
        "mamba": {
            "mixer_norm.weight": same("norm.weight"),
            "mixer.input.weight": same("mixer.in_proj.weight"),
            "mixer.conv_weight": taps("mixer.conv1d.weight"),
            "mixer.conv_bias": same("mixer.conv1d.bias"),
            "mixer.select.weight": same("mixer.x_proj.weight"),
            "mixer.step_size.weight": same("mixer.dt_proj.weight"),
            "mixer.step_size.bias": same("mixer.dt_proj.bias"),
            "mixer.log_rates": same("mixer.A_log"),
            "mixer.skip": same("mixer.D"),
            "mixer.output.weight": same("mixer.out_proj.weight"),
        }
    }
    must_be = {"hidden_act": "silu", "use_bias": False}  # noqa: RUF012

    def ours(self, config: Any) -> ModelConfig:
        """The configuration of our model."""
        return ModelConfig(
            vocabulary=config.vocab_size,
            width=config.hidden_size,
            stack="mamba",
            depth=config.num_hidden_layers,
            expansion=config.expand,
            feed_forward=0,
            norm_epsilon=config.layer_norm_epsilon,
            mixer_settings=settings(
                state_size=config.state_size, rank=int(config.time_step_rank), conv=config.conv_kernel
            ),
        )

    def theirs(self, model: LanguageModel) -> dict[str, Any]:
        """The settings of their configuration."""
        mixer = next(each for each in model.modules() if isinstance(each, Mamba))
        return {
            "layer_norm_epsilon": model.config.norm_epsilon or 1e-6,
            "state_size": mixer.state_size,
            "expand": mixer.channels // mixer.width,
            "conv_kernel": mixer.taps,
            "time_step_rank": mixer.rank,
        }

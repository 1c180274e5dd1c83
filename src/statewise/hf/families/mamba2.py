"""transformers' Mamba-2: blocks of a norm and a mixer, without feed-forward."""

from typing import Any

from statewise.core.errors import UsageError
from statewise.hf.families.family import Family, settings
from statewise.hf.families.mamba import MambaFamily
from statewise.hf.families.names import same, taps
from statewise.mixers import Mamba2
from statewise.models import LanguageModel, ModelConfig


class Mamba2Family(Family):
    """Mamba-2. Their residual stream is float32 whatever the weights are; ours has the dtype of the weights."""

    model_type = "mamba2"
    layers = MambaFamily.layers
    ends = MambaFamily.ends
    blocks = {  # noqa: RUF012
        "mamba2": {
            "mixer_norm.weight": same("norm.weight"),
            "mixer.projection.weight": same("mixer.in_proj.weight"),
            "mixer.conv_weight": taps("mixer.conv1d.weight"),
            "mixer.conv_bias": same("mixer.conv1d.bias"),
            "mixer.log_rate": same("mixer.A_log"),
            "mixer.step_bias": same("mixer.dt_bias"),
            "mixer.skip": same("mixer.D"),
            "mixer.norm.weight": same("mixer.norm.weight"),
            "mixer.output.weight": same("mixer.out_proj.weight"),
        }
    }
    must_be = {"hidden_act": "silu", "use_bias": False, "layer_norm_epsilon": 1e-5}  # noqa: RUF012

    def ours(self, config: Any) -> ModelConfig:
        """The configuration of our model."""
        least, most = config.time_step_limit
        if least > 0 or most != float("inf"):
            raise UsageError(
                f"convert: time_step_limit is {tuple(config.time_step_limit)} in this mamba2 model; ours have no limit"
            )
        return ModelConfig(
            vocabulary=config.vocab_size,
            width=config.hidden_size,
            stack="mamba2",
            depth=config.num_hidden_layers,
            expansion=config.expand,
            feed_forward=0,
            norm_epsilon=config.layer_norm_epsilon,
            mixer_settings=settings(
                state_size=config.state_size,
                head_size=config.head_dim,
                groups=config.n_groups,
                conv=config.conv_kernel,
            ),
        )

    def theirs(self, model: LanguageModel) -> dict[str, Any]:
        """The settings of their configuration."""
        mixer = next(each for each in model.modules() if isinstance(each, Mamba2))
        return {
            "layer_norm_epsilon": model.config.norm_epsilon or 1e-6,
            "state_size": mixer.state_size,
            "expand": mixer.inner // mixer.width,
            "num_heads": mixer.heads,
            "head_dim": mixer.head_size,
            "n_groups": mixer.groups,
            "conv_kernel": mixer.conv_weight.shape[0],
        }

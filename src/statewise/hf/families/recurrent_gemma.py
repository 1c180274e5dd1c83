"""transformers' RecurrentGemma: RG-LRU and attention over a window, each followed by a gated feed-forward."""

from typing import Any

from statewise.core.errors import UsageError
from statewise.hf.families.family import Family, settings
from statewise.hf.families.names import Table, from_one, joined, same, taps, times_root_of_width
from statewise.mixers import RGLRU, Attention
from statewise.mixers.rotary import BASE
from statewise.models import LanguageModel, ModelConfig
from statewise.models.add_attention import written

AROUND: Table = {
    "mixer_norm.weight": from_one("temporal_pre_norm.weight"),
    "feed_forward_norm.weight": from_one("channel_pre_norm.weight"),
    "feed_forward.gate_value.weight": joined("mlp_block.gate_proj.weight", "mlp_block.up_proj.weight"),
    "feed_forward.gate_value.bias": joined("mlp_block.gate_proj.bias", "mlp_block.up_proj.bias"),
    "feed_forward.output.weight": same("mlp_block.down_proj.weight"),
    "feed_forward.output.bias": same("mlp_block.down_proj.bias"),
}
KINDS = {"linear_attention": "rg-lru", "sliding_attention": "attention"}


class RecurrentGemmaFamily(Family):
    """RecurrentGemma. Its embedding is multiplied by √D when it is looked up; ours holds the product."""

    model_type = "recurrent_gemma"
    layers = "model.layers.{}."
    ends = {  # noqa: RUF012
        "embedding.weight": times_root_of_width("model.embed_tokens.weight"),
        "norm.weight": from_one("model.final_norm.weight"),
        "head.weight": same("lm_head.weight"),
    }
    blocks = {  # noqa: RUF012
        "rg-lru": AROUND
        | {
            "mixer.gate.weight": same("temporal_block.linear_y.weight"),
            "mixer.gate.bias": same("temporal_block.linear_y.bias"),
            "mixer.input.weight": same("temporal_block.linear_x.weight"),
            "mixer.input.bias": same("temporal_block.linear_x.bias"),
            "mixer.conv_weight": taps("temporal_block.conv_1d.weight"),
            "mixer.conv_bias": same("temporal_block.conv_1d.bias"),
            "mixer.gates_weight": joined(
                "temporal_block.rg_lru.recurrent_gate_weight", "temporal_block.rg_lru.input_gate_weight", axis=-1
            ),
            "mixer.gates_bias": joined(
                "temporal_block.rg_lru.recurrent_gate_bias", "temporal_block.rg_lru.input_gate_bias", axis=-1
            ),
            "mixer.rate": same("temporal_block.rg_lru.recurrent_param"),
            "mixer.output.weight": same("temporal_block.linear_out.weight"),
            "mixer.output.bias": same("temporal_block.linear_out.bias"),
        },
        "attention": AROUND
        | {
            "mixer.query_key_value.weight": joined(*(f"temporal_block.{part}_proj.weight" for part in ("q", "k", "v"))),
            "mixer.query_key_value.bias": joined(*(f"temporal_block.{part}_proj.bias" for part in ("q", "k", "v"))),
            "mixer.output.weight": same("temporal_block.o_proj.weight"),
            "mixer.output.bias": same("temporal_block.o_proj.bias"),
        },
    }
    must_be = {"hidden_activation": "gelu_pytorch_tanh"}  # noqa: RUF012

    def ours(self, config: Any) -> ModelConfig:
        """The configuration of our model."""
        layers = [KINDS[kind] for kind in config.layers_block_type]
        return ModelConfig(
            vocabulary=config.vocab_size,
            width=config.hidden_size,
            stack=written(layers),
            positions="rope" if "attention" in layers else "none",
            feed_forward_units=config.intermediate_size // 2,
            feed_forward_kind="geglu-tanh",
            norm_epsilon=config.rms_norm_eps,
            logits_cap=config.logits_soft_cap,
            mixer_settings=_recurrent(config, layers) + _attention(config, layers),
        )

    def theirs(self, model: LanguageModel) -> dict[str, Any]:
        """The settings of their configuration."""
        config, mixers = model.config, list(model.modules())
        recurrent = next((each for each in mixers if isinstance(each, RGLRU)), None)
        attention = next((each for each in mixers if isinstance(each, Attention)), None)
        either = recurrent if attention is None else attention
        assert either is not None
        chosen: dict[str, Any] = {
            "intermediate_size": 2 * (config.feed_forward_units or config.feed_forward * config.width),
            "num_attention_heads": config.width // either.head_size,
            "rms_norm_eps": config.norm_epsilon or 1e-6,
            "logits_soft_cap": config.logits_cap or 30.0,
            "block_types": ["recurrent" if layer == "rg-lru" else "attention" for layer in config.layers],
        }
        if recurrent is not None:
            chosen |= {"lru_width": recurrent.units, "conv1d_width": recurrent.taps}
        if attention is not None:
            rope = {"rope_type": "default", "rope_theta": BASE}
            rope["partial_rotary_factor"] = attention.rotary / attention.head_size
            chosen |= {
                "attention_window_size": attention.window or 2048,
                "num_key_value_heads": attention.kv_heads,
                "attention_bias": any(
                    bool(each.query_key_value.bias.any()) for each in mixers if isinstance(each, Attention)
                ),
                "rope_parameters": rope,
            }
        return chosen


def _recurrent(config: Any, layers: list[str]) -> tuple[str, ...]:
    """The settings of RG-LRU, where there is one."""
    if "rg-lru" not in layers:
        return ()
    if config.lru_width % config.num_attention_heads:
        raise UsageError(
            f"convert: lru_width is {config.lru_width}; it must be a multiple of num_attention_heads, "
            f"{config.num_attention_heads}"
        )
    size = config.lru_width // config.num_attention_heads
    if "attention" in layers and size != config.head_dim:
        raise UsageError(
            f"convert: heads of RG-LRU have {size} channels and those of attention {config.head_dim}; in a stack of "
            "ours both have one size"
        )
    return settings(units=config.lru_width, head_size=size, conv=config.conv1d_width, scale_first=False)


def _attention(config: Any, layers: list[str]) -> tuple[str, ...]:
    """The settings of attention, where there is some."""
    if "attention" not in layers:
        return ()
    rope = config.rope_parameters
    if rope["rope_type"] != "default" or rope["rope_theta"] != BASE:
        raise UsageError(
            f"convert: rope_parameters are {rope}; ours have rope_type 'default' and rope_theta {BASE} and nothing else"
        )
    rotary = int(config.head_dim * rope.get("partial_rotary_factor", 1.0))
    head = () if "rg-lru" in layers else settings(head_size=config.head_dim)
    return head + settings(window=config.attention_window_size, kv_heads=config.num_key_value_heads, rotary=rotary)

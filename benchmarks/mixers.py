"""What does each mixer cost, and is any slower than the implementation that it was checked against?

Forward + backward in training and one decoding step, at one width and two lengths of 4,096 tokens in all; the peak of
memory above what was there before, and the bits of state. Each case is a process of its own, so that memory is its own.

    python benchmarks/mixers.py            every mixer
    python benchmarks/mixers.py mamba gla  some
"""

import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timing import median_of, steady
from torch import Tensor, nn

from statewise.core.state import state_bits
from statewise.mixers import MIXERS

WIDTH, SHAPES, STEPS = 256, ((8, 512), (1, 4096)), 200
Layer = Callable[[Tensor], Any]


def torch_attention(width: int) -> Layer:
    """torch.nn.MultiheadAttention with a causal mask."""
    layer = nn.MultiheadAttention(width, width // 64, batch_first=True)

    def run(x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return layer(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)[0]

    return run


def min_rnn_pytorch(name: str, width: int) -> Layer:
    """minGRU-pytorch's layer."""
    from importlib import import_module

    return getattr(import_module(f"minGRU_pytorch.{name}"), name)(width)


def transformers_mamba(width: int) -> Layer:
    """transformers' MambaMixer, which loops over time without its CUDA kernels."""
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    return MambaMixer(MambaConfig(hidden_size=width, num_hidden_layers=1), 0)


def transformers_mamba2(width: int) -> Layer:
    """transformers' Mamba2Mixer, in chunks of plain PyTorch without its CUDA kernels."""
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    config = Mamba2Config(hidden_size=width, head_dim=64, num_heads=width // 32, n_groups=1, num_hidden_layers=1)
    return Mamba2Mixer(config, 0)


def transformers_xlstm(width: int) -> Layer:
    """The mLSTM layer of transformers' xLSTM, in chunks of plain PyTorch."""
    from transformers import xLSTMConfig, xLSTMModel

    config = xLSTMConfig(
        hidden_size=width, num_heads=4, num_hidden_layers=1, vocab_size=8, mode="train", autocast_kernel_dtype="float32"
    )
    return xLSTMModel(config).blocks[0].mlstm_layer


def transformers_rg_lru(width: int) -> Layer:
    """transformers' recurrent block of RecurrentGemma, which loops over time."""
    from transformers import RecurrentGemmaConfig
    from transformers.models.recurrent_gemma.modeling_recurrent_gemma import RecurrentGemmaRecurrentBlock

    config = RecurrentGemmaConfig(hidden_size=width, lru_width=width, num_attention_heads=4, num_hidden_layers=1)
    block = RecurrentGemmaRecurrentBlock(config, 0)
    return lambda x: block(x, torch.arange(x.shape[1])[None], None, use_cache=False)


def transformers_rwkv4(width: int) -> Layer:
    """transformers' RWKV-4 time mixing, which loops over time without its CUDA kernel."""
    from transformers.models.rwkv.modeling_rwkv import RwkvConfig, RwkvSelfAttention

    return RwkvSelfAttention(RwkvConfig(hidden_size=width, attention_hidden_size=width, num_hidden_layers=1))


def transformers_gated_delta_net(width: int) -> Layer:
    """transformers' gated DeltaNet layer of OLMo Hybrid, in chunks of plain PyTorch."""
    from transformers.models.olmo_hybrid import OlmoHybridConfig
    from transformers.models.olmo_hybrid.modeling_olmo_hybrid import OlmoHybridGatedDeltaNet

    config = OlmoHybridConfig(
        hidden_size=width,
        linear_num_key_heads=1,
        linear_num_value_heads=1,
        linear_key_head_dim=width,
        linear_value_head_dim=2 * width,
    )
    return OlmoHybridGatedDeltaNet(config, 0)


def xlstm_slstm(width: int) -> Layer:
    """The sLSTM layer of the xlstm package, vanilla backend: a loop over time."""
    from xlstm.blocks.slstm.layer import sLSTMLayer, sLSTMLayerConfig

    return sLSTMLayer(sLSTMLayerConfig(embedding_dim=width, num_heads=4, backend="vanilla", conv1d_kernel_size=0))


RIVALS: dict[str, tuple[str, Callable[[int], Layer]]] = {
    "mingru": ("minGRU-pytorch", partial(min_rnn_pytorch, "minGRU")),
    "minlstm": ("minGRU-pytorch", partial(min_rnn_pytorch, "minLSTM")),
    "gru": ("torch.nn.GRU", lambda width: nn.GRU(width, width, batch_first=True)),
    "lstm": ("torch.nn.LSTM", lambda width: nn.LSTM(width, width, batch_first=True)),
    "attention": ("torch.nn.MultiheadAttention", torch_attention),
    "mamba": ("transformers", transformers_mamba),
    "mamba2": ("transformers", transformers_mamba2),
    "mlstm": ("transformers", transformers_xlstm),
    "rg-lru": ("transformers", transformers_rg_lru),
    "gated-deltanet": ("transformers", transformers_gated_delta_net),
    "rwkv4": ("transformers", transformers_rwkv4),
    "slstm": ("xlstm, vanilla", xlstm_slstm),
}


def training_ms(layer: Layer, shape: tuple[int, int]) -> float:
    """Median milliseconds of forward and backward, in as many runs as fit in two seconds, at least three."""
    x, grad = torch.randn(*shape, WIDTH, requires_grad=True), torch.randn(*shape, WIDTH)

    def work() -> None:
        outputs = layer(x)
        (outputs[0] if isinstance(outputs, tuple) else outputs).backward(grad)

    return median_of(work, seconds=2.0)


def decoding_us(mixer: Any) -> float:
    """Microseconds of one step of one sequence, after the first ten."""
    with torch.inference_mode():
        x, state = torch.randn(1, WIDTH), mixer.initial_state(1)
        for turn in range(STEPS + 10):
            if turn == 10:
                begin = time.perf_counter()
            _, state = mixer.step(x, state)
    return 1e6 * (time.perf_counter() - begin) / STEPS


def peak_mib() -> float:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, side: str, batch: int, length: int) -> dict[str, float]:
    """One case, in this process."""
    torch.manual_seed(0)
    layer: Any = MIXERS[name](WIDTH) if side == "ours" else RIVALS[name][1](WIDTH)
    before = peak_mib()
    found = {"ms": training_ms(layer, (batch, length)), "mib": peak_mib() - before}
    if side == "ours":
        found |= {"us": decoding_us(layer), "bits": state_bits(layer.initial_state(1))}
    return found


def in_a_process(*case: object) -> dict[str, float]:
    """One case, in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--case", *map(str, case)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def main(names: list[str]) -> None:
    """Print one table for each length."""
    steady()
    for batch, length in SHAPES:
        print(f"\nforward + backward at ({batch}, {length}, {WIDTH}), {torch.get_num_threads()} threads")
        print(f"{'mixer':18}{'ms':>9}{'tokens/s':>10}{'MiB':>7}{'state bits':>12}{'step µs':>9}   against")
        for name in names:
            ours = in_a_process(name, "ours", batch, length)
            rate = 1e3 * batch * length / ours["ms"]
            line = f"{name:18}{ours['ms']:9.1f}{rate:10,.0f}{ours['mib']:7.0f}{ours['bits']:12,.0f}{ours['us']:9.0f}"
            if name in RIVALS:
                theirs = in_a_process(name, "theirs", batch, length)
                ratio = ours["ms"] / theirs["ms"]
                line += f"   {RIVALS[name][0]}: {theirs['ms']:.1f} ms, {theirs['mib']:.0f} MiB, ratio {ratio:.3f}"
                line += "" if ratio <= 1 else "  missed"
            print(line, flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["--case"]:
        steady()
        print(json.dumps(measure(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))))
    else:
        main(sys.argv[1:] or list(MIXERS))

"""Sequence layers under one contract: one file and one line here for each."""

from statewise.core.errors import pick
from statewise.mixers.aaren import Aaren
from statewise.mixers.attention import Attention
from statewise.mixers.delta_net import DeltaNet
from statewise.mixers.gated_delta_net import GatedDeltaNet
from statewise.mixers.gated_lru import GatedLRU
from statewise.mixers.gla import GLA
from statewise.mixers.gru import GRU
from statewise.mixers.linear_attention import LinearAttention
from statewise.mixers.lru import LRU
from statewise.mixers.lstm import LSTM
from statewise.mixers.mamba import Mamba
from statewise.mixers.mamba2 import Mamba2
from statewise.mixers.min_gru import MinGRU
from statewise.mixers.min_lstm import MinLSTM
from statewise.mixers.mixer import Mixer
from statewise.mixers.mlstm import MLSTM
from statewise.mixers.registry import import_mixer, require_free_name, require_mixer
from statewise.mixers.retention import Retention
from statewise.mixers.rg_lru import RGLRU
from statewise.mixers.rwkv4 import RWKV4
from statewise.mixers.rwkv7 import RWKV7
from statewise.mixers.s4d import S4D
from statewise.mixers.scan_mixer import ScanMixer
from statewise.mixers.short_conv import ShortConv
from statewise.mixers.slstm import SLSTM
from statewise.mixers.urpe_attention import URPEAttention

__all__ = [
    "GLA",
    "GRU",
    "LRU",
    "LSTM",
    "MIXERS",
    "MLSTM",
    "RGLRU",
    "RWKV4",
    "RWKV7",
    "S4D",
    "SLSTM",
    "Aaren",
    "Attention",
    "DeltaNet",
    "GatedDeltaNet",
    "GatedLRU",
    "LinearAttention",
    "Mamba",
    "Mamba2",
    "MinGRU",
    "MinLSTM",
    "Mixer",
    "Retention",
    "ScanMixer",
    "ShortConv",
    "URPEAttention",
    "find_mixer",
    "register",
]

MIXERS: dict[str, type[Mixer]] = {
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "gru": GRU,
    "lstm": LSTM,
    "lru": LRU,
    "gated-lru": GatedLRU,
    "rg-lru": RGLRU,
    "s4d": S4D,
    "mamba": Mamba,
    "mamba2": Mamba2,
    "linear-attention": LinearAttention,
    "retention": Retention,
    "gla": GLA,
    "deltanet": DeltaNet,
    "gated-deltanet": GatedDeltaNet,
    "mlstm": MLSTM,
    "slstm": SLSTM,
    "rwkv4": RWKV4,
    "rwkv7": RWKV7,
    "aaren": Aaren,
    "attention": Attention,
    "urpe-attention": URPEAttention,
}


def register(name: str, cls: type[Mixer]) -> None:
    """Make a mixer of yours one of `MIXERS`, so that stacks can call it by `name`, in this process.

    A name that is taken or malformed, and a class that is not a finished `Mixer`, are UsageErrors. Processes that
    are spawned do not know the name unless a module that they import registers it: there, and on the command
    line, write the class as a dotted path.

    >>> class Mean(ScanMixer):
    ...     projections = 1
    ...     def decay_and_drive(self, candidate):
    ...         return candidate * 0 + 0.5, candidate * 0.5
    >>> register("mean", Mean)
    >>> del MIXERS["mean"]
    """
    require_free_name(name, MIXERS)
    require_mixer(cls, f"register {name!r}")
    MIXERS[name] = cls


def find_mixer(name: str) -> type[Mixer]:
    """The mixer of `MIXERS` called `name`, or the class at a dotted path, `my_module.MyMixer`.

    >>> find_mixer("mingru") is find_mixer("statewise.mixers.min_gru.MinGRU") is MinGRU
    True
    """
    return import_mixer(name) if "." in name else pick("model", name, MIXERS)

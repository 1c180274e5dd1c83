"""Theorems made of numbers: models whose weights are written down, and checked."""

from statewise.constructions.construction import Construction, Verification
from statewise.constructions.found_attention import FoundAttention, from_gated_lru
from statewise.constructions.gated_attention import to_gated_lru
from statewise.constructions.named import CONSTRUCTIONS, build
from statewise.constructions.saved import load_construction, save

__all__ = [
    "CONSTRUCTIONS",
    "Construction",
    "FoundAttention",
    "Verification",
    "build",
    "from_gated_lru",
    "load_construction",
    "save",
    "to_gated_lru",
]

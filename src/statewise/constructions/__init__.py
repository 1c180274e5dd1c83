"""Theorems made of numbers: models whose weights are written down, and checked."""

from statewise.constructions.construction import Construction, Verification
from statewise.constructions.named import CONSTRUCTIONS, build
from statewise.constructions.saved import load_construction, save

__all__ = ["CONSTRUCTIONS", "Construction", "Verification", "build", "load_construction", "save"]

"""Constructions on disk: a folder with the model, which loads like any other, and what it was built from."""

import json
from dataclasses import replace
from pathlib import Path

from statewise.constructions.construction import Construction
from statewise.constructions.named import build
from statewise.core.config import canonical
from statewise.core.errors import RunError, UsageError
from statewise.models import LanguageModel, VectorModel, load_model, save_model

MODEL = "model.safetensors"
CONSTRUCTION = "construction.json"


def save(construction: Construction, folder: str | Path) -> Path:
    """Write `model.safetensors` and `construction.json` into `folder`, which may exist already, and return it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{MODEL}.partial"
    save_model(construction.model, partial)
    partial.replace(folder / MODEL)
    text = canonical({"name": construction.name, "arguments": construction.arguments})
    (folder / CONSTRUCTION).write_text(text, encoding="utf-8")
    return folder


def load_construction(folder: str | Path) -> Construction:
    """The construction that `save` wrote, with the weights that are in the folder.

    A folder that holds none, or a damaged one, is a RunError.
    """
    path = Path(folder) / CONSTRUCTION
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        construction = build(plain["name"], **plain["arguments"])
    except FileNotFoundError:
        raise RunError(f"{folder} holds no {CONSTRUCTION}, so no construction was saved there") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, UsageError) as error:
        raise RunError(f"{path} does not describe a construction: {error}") from None
    model = load_model(Path(folder) / MODEL).eval()
    if not isinstance(model, LanguageModel | VectorModel):
        raise RunError(f"{Path(folder) / MODEL} does not hold the model of a construction")
    return replace(construction, model=model)

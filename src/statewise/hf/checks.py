"""What is looked at before and after a folder of Hugging Face is loaded: one line that says what does not fit."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from statewise.core.errors import UsageError

NAMED = 3
"""How many tensors a message names; the others are counted."""


def require_folder(name: str | Path, where: str) -> Path:
    """The local folder called `name`; anything else is a UsageError, for nothing is downloaded."""
    folder = Path(name)
    if not folder.is_dir():
        raise UsageError(
            f"{where}: {str(name)!r} is no folder here, and nothing is downloaded; fetch the model first, as with "
            f"`hf download {name} --local-dir FOLDER`, and name that folder"
        )
    if not (folder / "config.json").is_file():
        raise UsageError(f"{where}: {folder} holds no config.json, so it is not a model of Hugging Face")
    return folder


def require_safetensors(name: str | os.PathLike[str]) -> None:
    """Raise a UsageError where a local folder has weights in pickles alone: loading those can run any program."""
    folder = Path(name)
    if not folder.is_dir() or any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern))
    if pickles:
        raise UsageError(
            f"{folder}: {pickles[0]} is a pickle, which can run any program when it is read; save the model with "
            "safetensors (save_pretrained does) and name that folder"
        )
    raise UsageError(f"{folder} holds no weights: there is no model.safetensors in it")


def require_all_weights(where: str | os.PathLike[str], info: dict[str, Any], *, mismatched_too: bool = True) -> None:
    """Raise a UsageError unless a checkpoint had every tensor of the model, in its shape, and no others.

    info  what transformers' `output_loading_info=True` gives
    """
    missing, surplus = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    mismatched = sorted(info["mismatched_keys"]) if mismatched_too else []
    if mismatched:
        name, got, needed = mismatched[0]
        raise UsageError(
            f"{where}: {name} has the shape {tuple(got)}; the model that config.json describes needs {tuple(needed)} "
            f"({len(mismatched)} such tensors)"
        )
    require_exactly(where, missing, surplus)


def require_exactly(where: str | os.PathLike[str], missing: Collection[str], surplus: Collection[str]) -> None:
    """Raise a UsageError that names tensors which a checkpoint lacks, or has and should not.

    >>> require_exactly("here", [], [])
    """
    problems = [
        f"{what} {named(names)}" for what, names in (("it lacks", missing), ("it has a surplus of", surplus)) if names
    ]
    if problems:
        raise UsageError(
            f"{where}: the checkpoint is not of the model that config.json describes: {'; '.join(problems)}"
        )


def named(names: Collection[str]) -> str:
    """How many tensors, and the first few by name.

    >>> named(["d", "a", "b", "c"])
    '4 tensors (a, b, c, …)'
    """
    first = ", ".join(sorted(names)[:NAMED]) + (", …" if len(names) > NAMED else "")
    return f"{len(names)} tensor{'' if len(names) == 1 else 's'} ({first})"


def require_fitting_tokenizer(where: str | os.PathLike[str], tokens: int, vocabulary: int) -> None:
    """Raise a UsageError where a tokenizer has more tokens than the model has embeddings."""
    if tokens > vocabulary:
        raise UsageError(
            f"{where}: the tokenizer has {tokens:,} tokens and the model's vocabulary is {vocabulary:,}; it is of "
            "another model, or the model needs resize_token_embeddings"
        )

"""What is looked at before and after a folder of Hugging Face is loaded: one line that says what does not fit."""

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from statewise.core.errors import RunError, UsageError
from statewise.core.pickles import REFUSED, is_pickle

INDEX = "model.safetensors.index.json"
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
    """Raise a UsageError where a local folder has weights in pickles: loading those can run any program.

    Safetensors that are damaged, or that an index names and that are not there, are a RunError.
    """
    folder = Path(name)
    if not folder.is_dir():
        return
    files = indexed_files(folder) or sorted(folder.glob("*.safetensors"))
    if files:
        for file in files:
            require_readable(file)
        return
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern))
    if pickles:
        raise UsageError(f"{folder}: {pickles[0]} {REFUSED} (save_pretrained does) and name that folder")
    raise UsageError(f"{folder} holds no weights: there is no model.safetensors in it")


def indexed_files(folder: Path) -> list[Path]:
    """The files that a folder's index names; none where it has no index. An index that is torn is a RunError."""
    index = folder / INDEX
    try:
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values() if index.exists() else ()
        return sorted({folder / each for each in named})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{folder} does not hold a whole checkpoint: {INDEX} cannot be read: {error!r}") from None


def require_readable(file: Path) -> None:
    """Raise unless a safetensors file is there and whole, as far as its header says; see `require_safetensors`."""
    try:
        with safe_open(file, framework="pt"):
            return
    except (OSError, SafetensorError) as error:
        if is_pickle(file):
            raise UsageError(
                f"{file.parent}: {file.name} {REFUSED} (save_pretrained does) and name that folder"
            ) from None
        why = f"{file.name} is not there" if not file.exists() else f"{file.name} cannot be read: {error}"
        raise RunError(f"{file.parent} does not hold a whole checkpoint: {why}; copy or download it again") from None


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

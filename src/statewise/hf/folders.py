"""Folders that `AutoModelForCausalLM.from_pretrained` opens: written whole or not at all, and read as ours."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from statewise.core.disk import HALF_WRITTEN, sync
from statewise.core.errors import RunError, UsageError, pick
from statewise.hf.checks import require_fitting_tokenizer, require_folder
from statewise.hf.converting import config_of, from_transformers, special_tokens
from statewise.hf.families import FAMILIES
from statewise.hf.model import StatewiseForCausalLM
from statewise.models import LanguageModel

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
    "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja",
)  # fmt: skip
"""What a tokenizer consists of, in a folder of Hugging Face."""


def save(model: LanguageModel, folder: str | Path, **others: Any) -> Path:
    """Write a language model as a folder that `AutoModelForCausalLM.from_pretrained` opens after `import statewise.hf`.

    folder  must not be there yet, or be empty
    others  fields of the configuration, as `eos_token_id`

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     where = save(LanguageModel(vocabulary=7, width=4), Path(place, "model"))
    ...     load(where).config.vocabulary
    7
    """
    return save_pretrained(StatewiseForCausalLM.of(model, **others), folder)


def load(folder: str | Path) -> LanguageModel:
    """The language model in a folder of statewise, or of an architecture that converts, on the CPU and in eval mode.

    Nothing is downloaded: a name that is no folder is a UsageError.
    """
    folder = require_folder(folder, "load")
    architecture = architecture_of(folder)
    if architecture not in (None, "statewise"):
        pick("architecture", architecture, FAMILIES)
    config = config_of(folder)
    if architecture != "statewise":
        return from_transformers(folder).eval()
    model: LanguageModel = StatewiseForCausalLM.from_pretrained(folder, config=config, local_files_only=True).model
    return model


def save_pretrained(model: PreTrainedModel, folder: str | Path, *, beside: Sequence[Path] = ()) -> Path:
    """Write a model of transformers as a folder, with copies of the files `beside` it."""

    def write(half: Path) -> None:
        model.save_pretrained(half)
        for file in beside:
            shutil.copy(file, half / file.name)

    return write_folder(Path(folder), write)


def write_folder(folder: Path, write: Callable[[Path], object]) -> Path:
    """Have `write` fill a folder, and put it at `folder`, where nothing or an empty folder is, when it is whole."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already; name a folder that is not, or an empty one")
    half = folder.with_name(folder.name + HALF_WRITTEN)
    try:
        half.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"cannot write {folder}: {half} cannot be made: {error.strerror}") from error
    try:
        write(half)
        for file in half.iterdir():
            sync(file)
        if folder.exists():
            folder.rmdir()
        half.replace(folder)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
    sync(folder.parent)
    return folder


def architecture_of(folder: Path) -> str | None:
    """What the `config.json` of a folder says that its model is; None where it is no folder of Hugging Face."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return config.get("model_type") if isinstance(config, dict) else None


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a folder's tokenizer; none where it has none."""
    return [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]


def opened(folder: Path) -> tuple[LanguageModel, dict[str, Any], list[Path]]:
    """The model of a folder, its special tokens, and the files of its tokenizer.

    A tokenizer with more tokens than the model has is a UsageError.
    """
    model, files = load(folder), tokenizer_files(folder)
    count = max((tokens_in(file) for file in files if file.name == "tokenizer.json"), default=0)
    require_fitting_tokenizer(folder, count, model.config.vocabulary)
    return model, special_tokens(folder), files


def tokens_in(file: Path) -> int:
    """One more than the largest id in a tokenizer.json; 0 where it does not say."""
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
        vocabulary, added = plain["model"]["vocab"], plain.get("added_tokens") or []
        ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
        return int(1 + max(-1, *ids, *(token["id"] for token in added)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def quiet_pipes() -> None:
    """Have transformers draw no progress bars where nobody sees them move."""
    if not sys.stderr.isatty():
        logging.disable_progress_bar()


def with_dtype(model: LanguageModel, name: str) -> LanguageModel:
    """The model in a dtype that is given by its name; another name is a UsageError."""
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise UsageError(f"convert: dtype is {name!r}; it must be one of torch's, as float32, bfloat16 or float16")
    return model.to(dtype)

"""What a model has read, as a file of a few kilobytes: to be gone on from another day, by the same model alone.

state                after all tokens but one
waiting  (1,)        that one
seen     (1, V / 8)  a bit for each token that was read or written
draws    (1, …)      where the random numbers stand; empty where none was drawn
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from statewise.core.config import canonical
from statewise.core.disk import write_whole
from statewise.core.errors import RunError, UsageError
from statewise.core.snapshots import digest_of_tensors, load_state, read_about, save_state
from statewise.core.state import named_leaves
from statewise.models.backbone import Backbone, ModelState
from statewise.models.decoding import Decoder

FORMAT = 1
KEY = "statewise.continuation"
ACCOUNT = {"model": str, "tokenizer": str, "count": int, "content": str}
"""What a file of this format says of itself."""


class Continuation(NamedTuple):
    """What is in a file; see the module."""

    state: ModelState
    waiting: Tensor
    seen: Tensor
    draws: Tensor


def save_continuation(decoder: Decoder, path: str | Path, *, tokenizer: str, drawn: bool) -> None:
    """Write what a decoder of one sequence has read, whole or not at all.

    tokenizer  digest of what its tokens are made by
    drawn      whether random numbers were used, so that those that follow them are to be kept

    Nothing read is a UsageError, a file that cannot be written a RunError.
    """
    if decoder.waiting is None or decoder.seen is None:
        raise UsageError("save_state: nothing has been read, so there is nothing to keep")
    state = decoder.model.initial_state(1) if decoder.state is None else decoder.state
    keeps = drawn and decoder.generator is not None
    draws = decoder.generator.get_state()[None] if keeps and decoder.generator else torch.empty(1, 0, dtype=torch.uint8)
    content = Continuation(state, decoder.waiting, packed(decoder.seen), draws)
    about = {
        "format": FORMAT,
        "model": model_digest(decoder.model),
        "tokenizer": tokenizer,
        "count": decoder.count,
        "content": content_digest(content),
    }
    try:
        write_whole(Path(path), lambda half: save_state(content, half, about={KEY: json.dumps(about)}))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from None


def load_continuation(decoder: Decoder, path: str | Path, *, tokenizer: str, with_draws: bool = True) -> None:
    """Have a decoder go on from a file.

    with_draws  take up the random numbers where the file says that they stand, if it does

    One of another model, tokenizer or version is a UsageError; one that is missing or damaged is a RunError.
    """
    about = about_continuation(path)
    if about.get("format") != FORMAT:
        raise UsageError(
            f"{path} was saved by another version of statewise, in format {about.get('format')}; this one reads format "
            f"{FORMAT}: read the text again"
        )
    if about["model"] != (wanted := model_digest(decoder.model)):
        raise UsageError(
            f"{path} holds the state of another model, {about['model'][:12]}…; this one is {wanted[:12]}…: name the "
            "run that it was saved from, or read the text again"
        )
    if about["tokenizer"] != tokenizer:
        raise UsageError(
            f"{path} was read with another tokenizer, {about['tokenizer'][:12]}…; this run's is {tokenizer[:12]}…: "
            "read the text again"
        )
    vocabulary = decoder.model.config.vocabulary
    like = Continuation(
        decoder.model.initial_state(1),
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(1, -(-vocabulary // 8), dtype=torch.uint8),
        torch.zeros(1, 0, dtype=torch.uint8),
    )
    try:
        found = load_state(path, like)
    except UsageError:
        # The model is the one that wrote it.
        raise damaged(path, "its tensors are not those of this model's state") from None
    if content_digest(found) != about["content"]:
        raise damaged(path, "its contents do not have its digest")
    decoder.state, decoder.waiting, decoder.count = found.state, found.waiting, about["count"]
    decoder.marked = unpacked(found.seen, vocabulary)
    if with_draws and found.draws.shape[1] and decoder.generator is not None:
        decoder.generator.set_state(found.draws[0])


def about_continuation(path: str | Path) -> dict[str, Any]:
    """What a file says of itself."""
    texts = read_about(path)
    if KEY not in texts:
        raise RunError(f"{path} holds a state, and not what `generate --save-state` writes")
    try:
        about = json.loads(texts[KEY])
    except json.JSONDecodeError as error:
        raise damaged(path, f"what it says of itself is no JSON: {error}") from None
    if not isinstance(about, dict):
        raise damaged(path, f"what it says of itself is a {type(about).__name__}; it must be an object")
    for name, kind in ACCOUNT.items():
        if about.get("format") == FORMAT and not isinstance(about.get(name), kind):
            raise damaged(path, f"its {name} is {about.get(name)!r}; it must be of type {kind.__name__}")
    return about


def damaged(path: str | Path, why: str) -> RunError:
    """The error for a file that is not as it was written."""
    return RunError(f"{path} is damaged: {why}; read the text again")


def model_digest(model: Backbone) -> str:
    """SHA-256 of a model's configuration and weights, in hex."""
    return digest_of_tensors(model.state_dict(), canonical(model.config))


def content_digest(content: Continuation) -> str:
    """SHA-256 of every tensor, in hex."""
    return digest_of_tensors(dict(named_leaves(content)), "")


def packed(seen: Tensor) -> Tensor:
    """Truths (B, V) as bits (B, V / 8)."""
    return torch.from_numpy(np.packbits(seen.cpu().numpy(), axis=1))


def unpacked(bits: Tensor, vocabulary: int) -> Tensor:
    """What `packed` packed.

    >>> seen = torch.tensor([[True, False, True]])
    >>> torch.equal(unpacked(packed(seen), 3), seen)
    True
    """
    return torch.from_numpy(np.unpackbits(bits.numpy(), axis=1, count=vocabulary).astype(np.bool_))

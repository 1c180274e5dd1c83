"""statewise generate: continue a prompt with a trained byte-level model."""

import codecs
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from statewise.cli.console import printable
from statewise.core.errors import UsageError
from statewise.core.random import child_seed
from statewise.core.state import state_bits
from statewise.models import LanguageModel
from statewise.studies import SavedRun, load


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Continue a prompt with a model that was trained on text. The text goes to standard output."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder, as `statewise train` printed it."""
    prompt: str = "\n"
    """What to continue; at least one character."""
    length: int = 300
    """Bytes to generate."""
    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest byte every time."""
    seed: int = 0
    """Seed of the draws."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        if not self.temperature >= 0:
            raise UsageError(f"generate: temperature is {self.temperature}; it must be at least 0")
        if not self.prompt or self.length < 1:
            raise UsageError(
                f"generate: prompt is {self.prompt!r} and length is {self.length}; the prompt needs at least one "
                "character and the length must be at least 1"
            )
        saved = load(self.run_folder)
        if not isinstance(saved, SavedRun) or saved.config.task["name"] != "text":
            raise UsageError(f"generate: {self.run_folder} is not a run that was trained on text")
        assert isinstance(saved.model, LanguageModel)
        # What the terminal handed over may not be UTF-8; the bytes are then what was typed.
        prompt = self.prompt.encode(errors="surrogateescape")
        if self.length > (room := room_after(saved, prompt)):
            raise UsageError(
                f"generate: prompt has {len(prompt)} bytes and length is {self.length}; it has learned positions for "
                f"{room} bytes after it"
            )
        begun = time.perf_counter()
        print(printable(self.prompt), end="")
        for piece in continuation(saved, prompt, self.length, temperature=self.temperature, seed=self.seed):
            print(printable(piece), end="", flush=True)
        print()
        rate = self.length / (time.perf_counter() - begun)
        bits = state_bits(saved.model.initial_state(1))
        carried = f"{bits:,} bits of state" if saved.record.facts["recurrent"] else "a cache that grows"
        print(f"{rate:,.0f} tokens/s, {carried}", file=sys.stderr)
        return 0


def room_after(saved: SavedRun, prompt: bytes) -> int:
    """How many bytes the model can continue a prompt by: no end unless its positions are learned."""
    most = saved.config.model.max_length
    return sys.maxsize if most is None else max(0, most - len(prompt))


def continuation(saved: SavedRun, prompt: bytes, length: int, *, temperature: float, seed: int) -> Iterator[str]:
    """Pieces of text as the bytes come in; a byte sequence that is not UTF-8 shows as replacement characters."""
    generator = torch.Generator().manual_seed(child_seed(seed, "sample"))
    assert isinstance(saved.model, LanguageModel)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    tokens = torch.tensor([list(prompt)])
    for token in saved.model.generate(tokens, length, temperature=temperature, generator=generator):
        yield decoder.decode(bytes(token.tolist()))
    yield decoder.decode(b"", final=True)

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
from statewise.core.state import state_bits
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
        if not self.prompt or self.length < 1:
            raise UsageError(
                f"generate: prompt is {self.prompt!r} and length is {self.length}; the prompt needs at least one "
                "character and the length must be at least 1"
            )
        saved = load(self.run_folder)
        if not isinstance(saved, SavedRun) or saved.config.task["name"] != "text":
            raise UsageError(f"generate: {self.run_folder} is not a run that was trained on text")
        generator = torch.Generator().manual_seed(self.seed)
        begun = time.perf_counter()
        print(self.prompt, end="")
        pieces = continuation(
            saved, self.prompt.encode(), self.length, temperature=self.temperature, generator=generator
        )
        for piece in pieces:
            print(printable(piece), end="", flush=True)
        print()
        rate = self.length / (time.perf_counter() - begun)
        bits = state_bits(saved.model.initial_state(1))
        carried = f"{bits:,} bits of state" if saved.record.facts["recurrent"] else "a cache that grows"
        print(f"{rate:,.0f} tokens/s, {carried}", file=sys.stderr)
        return 0


def continuation(
    saved: SavedRun, prompt: bytes, length: int, *, temperature: float, generator: torch.Generator
) -> Iterator[str]:
    """Pieces of text as the bytes come in; a byte sequence that is not UTF-8 shows as replacement characters."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    tokens = torch.tensor([list(prompt)])
    for token in saved.model.generate(tokens, length, temperature=temperature, generator=generator):
        yield decoder.decode(bytes(token.tolist()))
    yield decoder.decode(b"", final=True)

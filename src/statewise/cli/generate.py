"""statewise generate: continue a text with a model that was trained on text."""

import codecs
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from statewise.cli.console import printable
from statewise.core.errors import UsageError
from statewise.core.state import state_bits
from statewise.models.continuation import load_continuation, save_continuation
from statewise.models.sampling import Sampling
from statewise.studies import SavedRun, load
from statewise.studies.writing import Writer, writer_of
from statewise.tasks.documents import PIECE, read

STANDARD_INPUT = "-"
BEGINNING = "\n"
"""The prompt where nobody gives one."""


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Continue a prompt with a model that was trained on text.

    The text goes to standard output as it is written; speed and size of the state go to standard error.
    """

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder, as `statewise train` printed it."""
    prompt: str | None = None
    """What to continue; - reads it from standard input. Default a line's end, or nothing with --load-state."""
    prompt_file: Path | None = None
    """File that holds the prompt, of any length and any bytes: it is read piece by piece, and not printed."""
    length: int = 300
    """Most tokens to write; 0, with --save-state, reads alone."""
    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest token every time."""
    top_k: int | None = None
    """Draw from so many likeliest tokens."""
    top_p: float = 1.0
    """Draw from the fewest likeliest tokens whose probabilities reach this."""
    min_p: float = 0.0
    """Leave out tokens with less than this share of the likeliest one's probability."""
    repetition_penalty: float = 1.0
    """Above 1, tokens that were read or written become less likely."""
    stop: tuple[str, ...] = ()
    """Strings that end the text, and are not part of it."""
    seed: int | None = None
    """Seed of the draws; default 0 or, with --load-state, where the draws of the saved text stood."""
    load_state: Path | None = None
    """Go on from a file that --save-state wrote, with all that was read and written before."""
    save_state: Path | None = None
    """Write a file of all that was read and written: a few kilobytes for a recurrent model, however long the text."""
    raw: bool = False
    """Write bytes as they are. Without it, control characters and what is not UTF-8 are replaced."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        sampling = self._checked()
        saved = load(self.run_folder)
        if not isinstance(saved, SavedRun) or saved.tokens is None:
            raise UsageError(f"generate: {self.run_folder} is not a run that was trained on text")
        writer = writer_of(saved, sampling, seed=self.seed or 0)
        if self.load_state is not None:
            load_continuation(writer.decoder, self.load_state, tokenizer=writer.tokenizer, with_draws=self.seed is None)
        prompt: Iterable[bytes] = self._prompt()
        if saved.config.model.max_length is not None:
            prompt = self._fitting(saved, writer, b"".join(prompt))
        begun, before = time.perf_counter(), writer.decoder.count
        writer.read(prompt)
        read_at = time.perf_counter()
        out = Output(raw=self.raw)
        if self.prompt_file is None and self.prompt != STANDARD_INPUT:
            out.write(self._typed())
        count = writer.decoder.count
        for piece in writer.write(self.length, stop=[text.encode(errors="surrogateescape") for text in self.stop]):
            out.write(piece)
        out.end()
        told = speeds(count - before, read_at - begun, writer.decoder.count - count, time.perf_counter() - read_at)
        if self.save_state is not None:
            drawn = self.length > 0 and self.temperature > 0
            save_continuation(writer.decoder, self.save_state, tokenizer=writer.tokenizer, drawn=drawn)
        print(f"{told}, {carried(saved, writer)}", file=sys.stderr)
        return 0

    def _checked(self) -> Sampling:
        """How tokens are chosen; a UsageError where what is asked for cannot be."""
        least = 0 if self.save_state is not None else 1
        if (self.prompt == "" and self.load_state is None) or self.length < least:
            raise UsageError(
                f"generate: prompt is {self.prompt!r} and length is {self.length}; the prompt needs at least one "
                f"character and the length must be at least {least}"
            )
        if self.prompt is not None and self.prompt_file is not None:
            raise UsageError("generate: the prompt is given twice, by prompt and by prompt_file")
        if "" in self.stop:
            raise UsageError("generate: a stop string is empty; it must have at least one character")
        if self.save_state is not None and not self.save_state.parent.is_dir():
            raise UsageError(f"generate: save_state is {self.save_state}; there is no folder {self.save_state.parent}")
        return Sampling(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
        )

    def _typed(self) -> bytes:
        """The prompt that was given as an argument, or stands for none."""
        default = BEGINNING if self.load_state is None else ""
        # What the terminal handed over may not be UTF-8; the bytes are then what was typed.
        return (default if self.prompt is None else self.prompt).encode(errors="surrogateescape")

    def _prompt(self) -> Iterator[bytes]:
        """The prompt in pieces. One that is missing or holds nothing is a UsageError."""
        if self.prompt_file is None and self.prompt != STANDARD_INPUT:
            yield self._typed()
            return
        where = "standard input" if self.prompt_file is None else str(self.prompt_file)
        empty = True
        try:
            for piece in pieces_of_standard_input() if self.prompt_file is None else read(self.prompt_file):
                empty = False
                yield piece
        except OSError as error:
            raise UsageError(f"generate: {where} cannot be read: {error.strerror}") from None
        if empty and self.load_state is None:
            raise UsageError(f"generate: the prompt is empty: {where} holds nothing")

    def _fitting(self, saved: SavedRun, writer: Writer, prompt: bytes) -> list[bytes]:
        """The prompt, for a model with learned positions; a UsageError unless they reach to the end."""
        (ids,) = writer.tokens.encode([prompt])
        room = room_after(saved, writer.decoder.count + len(ids))
        if self.length > room:
            raise UsageError(
                f"generate: prompt has {len(prompt)} bytes and length is {self.length}; the model has learned "
                f"positions for {room} {'bytes' if len(ids) == len(prompt) else 'tokens'} after it: shorten one of them"
            )
        return [prompt]


def pieces_of_standard_input() -> Iterator[bytes]:
    """Standard input to its end."""
    while piece := sys.stdin.buffer.read(PIECE):
        yield piece


def room_after(saved: SavedRun, count: int) -> int:
    """How many tokens the model can write after so many: no end unless its positions are learned."""
    most = saved.config.model.max_length
    return sys.maxsize if most is None else max(0, most - count)


class Output:
    """Standard output as text comes in. `raw` bytes as they are, else so that they cannot steer a terminal."""

    def __init__(self, *, raw: bool) -> None:
        self.raw = raw
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def write(self, content: bytes) -> None:
        """Show some bytes at once."""
        if self.raw:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        else:
            print(printable(self.decoder.decode(content)), end="", flush=True)

    def end(self) -> None:
        """Nothing follows."""
        if not self.raw:
            print(printable(self.decoder.decode(b"", final=True)))


def speeds(read: int, reading: float, written: int, writing: float) -> str:
    """How fast a text was read and written, in words; a word or two that was read is not worth one.

    >>> speeds(5, 0.1, 100, 0.5), speeds(10_000, 0.5, 0, 0.0)
    ('200 tokens/s', '10,000 tokens read at 20,000 tokens/s')
    """
    told = [f"{written / max(writing, 1e-9):,.0f} tokens/s"] if written else []
    if read >= WORTH_TELLING or not written:
        told.append(f"{read:,} tokens read at {read / max(reading, 1e-9):,.0f} tokens/s")
    return ", ".join(told)


WORTH_TELLING = 1000


def carried(saved: SavedRun, writer: Writer) -> str:
    """How large the state is that goes from token to token."""
    decoder = writer.decoder
    state = decoder.model.initial_state(1) if decoder.state is None else decoder.state
    bits = state_bits(state)
    read = f", a cache that grows: {writer.decoder.count:,} tokens so far"
    grows = "" if saved.record.facts["recurrent"] else read
    return f"{bits:,} bits of state ({-(-bits // 8):,} bytes){grows}"

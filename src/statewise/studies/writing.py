"""Text that a trained model reads and writes, in bytes."""

from collections.abc import Iterable, Iterator, Sequence

import torch

from statewise.core.errors import UsageError
from statewise.core.random import child_seed
from statewise.models import LanguageModel
from statewise.models.decoding import Decoder
from statewise.models.sampling import Sampling
from statewise.studies.saved import SavedRun
from statewise.tasks.documents import Piece, whole_lines
from statewise.tasks.tokens import BytePairs, Tokens


class Writer:
    """One text, read and written by a saved run.

    >>> from statewise.models import LanguageModel
    >>> from statewise.tasks.tokens import ByteTokens
    >>> writer = Writer(LanguageModel(vocabulary=256, width=4), ByteTokens(), Sampling(temperature=0), seed=0)
    >>> writer.read([b"to ", b"be"])
    >>> len(b"".join(writer.write(3)))
    3
    """

    def __init__(self, model: LanguageModel, tokens: Tokens, sampling: Sampling, *, seed: int) -> None:
        self.tokens = tokens
        self.model = model.eval()
        generator = torch.Generator().manual_seed(child_seed(seed, "sample"))
        self.decoder = Decoder(model, sampling=sampling, generator=generator, remember=True)

    @property
    def tokenizer(self) -> str:
        """What tells its tokens from others: the digest of its tokenizer, or "bytes"."""
        return self.tokens.sha256 if isinstance(self.tokens, BytePairs) else "bytes"

    def read(self, contents: Iterable[bytes]) -> None:
        """Read a text, given in pieces of any size, however long."""
        pieces = (Piece(content, False) for content in contents if content)
        for piece in whole_lines(pieces):
            (ids,) = self.tokens.encode([piece.content])
            self.decoder.read(torch.from_numpy(ids.astype("int64"))[None])

    def write(self, length: int, *, stop: Sequence[bytes] = ()) -> Iterator[bytes]:
        """Up to `length` tokens that follow, as bytes, as they come; what may begin a stop string waits until it does
        not. A stop string ends the text and is not part of it.
        """
        spelled, stopping = self.tokens.spelled, Stopping(stop)
        for token in self.decoder.write(length):
            yield stopping.take(spelled[int(token)])
            if stopping.stopped:
                return
        yield stopping.held


class Stopping:
    """Finds the first of some strings in bytes that come piece by piece.

    >>> stopping = Stopping([b"end"])
    >>> stopping.take(b"the e"), stopping.take(b"n"), stopping.take(b"d of"), stopping.stopped
    (b'the ', b'', b'', True)
    """

    def __init__(self, strings: Sequence[bytes]) -> None:
        self.strings = strings
        self.held = b""
        self.stopped = False

    def take(self, content: bytes) -> bytes:
        """What can be said now that this came: all before a string, and nothing that may begin one."""
        if not self.strings:
            return content
        text = self.held + content
        places = [place for string in self.strings if (place := text.find(string)) >= 0]
        if places:
            self.stopped, self.held = True, b""
            return text[: min(places)]
        keep = max(beginning(text, string) for string in self.strings)
        self.held = text[len(text) - keep :]
        return text[: len(text) - keep]


def beginning(text: bytes, string: bytes) -> int:
    """How many of the last bytes of a text are the first of a string.

    >>> beginning(b"see", b"eel")
    2
    """
    return next((n for n in range(min(len(text), len(string) - 1), 0, -1) if text.endswith(string[:n])), 0)


def writer_of(saved: SavedRun, sampling: Sampling, *, seed: int) -> Writer:
    """What reads and writes with a run's model. A run that was not trained on text is a UsageError."""
    if saved.tokens is None or not isinstance(saved.model, LanguageModel):
        raise UsageError(f"run {saved.record.name} was not trained on text")
    return Writer(saved.model, saved.tokens, sampling, seed=seed)

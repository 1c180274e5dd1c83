"""Telling a pickle from other files without reading it: what reads one runs whatever program it holds."""

import zipfile
from pathlib import Path

REFUSED = "is a pickle, which can run any program when it is read; save the model with safetensors"
"""What a message says of one, behind the file's name."""


def is_pickle(path: Path) -> bool:
    """Whether a file begins as a pickle does, or is an archive as torch.save writes them.

    A sound safetensors file may begin so by chance, with the length of its header: ask of those that cannot be read.

    >>> is_pickle(Path(__file__)), is_pickle(Path("absent"))
    (False, False)
    """
    if not path.is_file():
        return False
    with path.open("rb") as opened:
        begin = opened.read(2)
    # Before 1.6 torch.save wrote bare pickles, which begin with their protocol.
    return zipfile.is_zipfile(path) or (len(begin) == 2 and begin[0] == 0x80 and begin[1] <= 5)

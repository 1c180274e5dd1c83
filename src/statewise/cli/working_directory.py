"""What the working directory holds can be imported, as after `python -m`: models are named by dotted paths."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def working_directory_importable() -> Iterator[None]:
    """Look for modules in the working directory too, after everything else: it never stands in for a library."""
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)

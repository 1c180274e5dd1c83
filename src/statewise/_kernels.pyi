"""The C++ extension; csrc/module.cpp says what the arguments are."""

from collections.abc import Sequence

def instruction_sets() -> list[str]: ...
def run(
    instruction_set: str,
    name: str,
    dtype: str,
    threads: int,
    sizes: tuple[int, int, int],
    options: list[int],
    places: Sequence[tuple[int, int, int]],
) -> None: ...
def prefer_large_pages(address: int, size: int) -> None: ...
def keep_freed_memory() -> bool: ...

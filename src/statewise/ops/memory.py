"""The system allocator's habit of giving memory back, and how to stop it."""

from statewise import _kernels


def keep_freed_memory() -> bool:
    """Have this process keep the memory that it frees; true where the allocator listens (glibc, on Linux).

    The first touch of a fresh page costs more than a scan that writes it, and by default glibc asks the system for
    fresh pages for every large tensor: `a + b` at (8, 4096, 256) takes several times as long as in memory that was
    used before. Sets glibc's M_MMAP_THRESHOLD to 1 GiB and M_TRIM_THRESHOLD to its largest, for the whole process and
    for good, so the library never calls it by itself; `statewise train` and `compare` do.

    >>> keep_freed_memory() in (True, False)
    True
    """
    return _kernels.keep_freed_memory()

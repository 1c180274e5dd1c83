"""How a width is shared by heads: D = H · d."""

from statewise.core.errors import UsageError


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of `number` not above `most`.

    >>> largest_divisor(192, 64), largest_divisor(6, 64)
    (64, 6)
    """
    return next(divisor for divisor in range(min(number, most), 0, -1) if number % divisor == 0)


def head_size_of(mixer: str, width: int, asked: int | None, published: int) -> int:
    """The head size that was asked for, or the largest divisor of the width not above the published one.

    A size that does not divide the width is a UsageError that starts with `mixer`.

    >>> head_size_of("Attention", 192, None, 64), head_size_of("Attention", 192, 48, 64)
    (64, 48)
    """
    size = largest_divisor(width, published) if asked is None else asked
    if size < 1 or width % size:
        raise UsageError(f"{mixer}: head_size is {asked}; it must divide the width, {width}")
    return size

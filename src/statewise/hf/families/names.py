"""Tables of names: which of their tensors one of ours is made of, and how each comes from the other.

D width, E channels inside, K taps.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Shapes = Sequence[torch.Size]


class Made(NamedTuple):
    """One tensor of ours from some of theirs.

    names   of theirs, behind the prefix of their block
    ours    of theirs, in the order of `names`
    theirs  of ours, in the shapes that are needed
    """

    names: tuple[str, ...]
    ours: Callable[[Sequence[Tensor]], Tensor]
    theirs: Callable[[Tensor, Shapes], Sequence[Tensor]]


Table = dict[str, Made]
"""By our name."""


def same(name: str) -> Made:
    """The tensor as it is.

    >>> same("D").ours([torch.ones(2)]).tolist()
    [1.0, 1.0]
    """
    return Made((name,), lambda theirs: theirs[0], lambda ours, shapes: [ours])


def joined(*names: str, axis: int = 0) -> Made:
    """Several tensors, one behind the other along an axis.

    >>> joined("q", "k").ours([torch.ones(1, 2), torch.zeros(2, 2)]).shape
    torch.Size([3, 2])
    """
    return Made(
        names,
        lambda theirs: torch.cat(list(theirs), axis),
        lambda ours, shapes: ours.split([shape[axis] for shape in shapes], axis),
    )


def taps(name: str) -> Made:
    """torch's depthwise convolution (E, 1, K) as taps (K, E), the newest token's first.

    >>> taps("conv").ours([torch.tensor([[[1.0, 2.0]]])]).tolist()
    [[2.0], [1.0]]
    """
    return Made(
        (name,),
        lambda theirs: theirs[0][:, 0].T.flip(0).contiguous(),
        lambda ours, shapes: [ours.flip(0).T[:, None].contiguous()],
    )


def from_one(name: str) -> Made:
    """A norm's weight that theirs keeps as its distance from one.

    >>> from_one("norm").ours([torch.zeros(2)]).tolist()
    [1.0, 1.0]
    """
    return Made(
        (name,),
        lambda theirs: (theirs[0].float() + 1).to(theirs[0].dtype),
        lambda ours, shapes: [(ours.float() - 1).to(ours.dtype)],
    )


def times_root_of_width(name: str) -> Made:
    """An embedding (V, D) that theirs multiplies by √D, rounded to bfloat16, when it is looked up.

    >>> times_root_of_width("embed").ours([torch.ones(1, 4)]).tolist()
    [[2.0, 2.0, 2.0, 2.0]]
    """
    return Made(
        (name,),
        lambda theirs: theirs[0] * root_of_width(theirs[0]),
        lambda ours, shapes: [ours / root_of_width(ours)],
    )


def root_of_width(embedding: Tensor) -> Tensor:
    """√D as Gemma's models have it, in the dtype of the embedding (V, D)."""
    return torch.tensor(embedding.shape[1] ** 0.5, dtype=torch.bfloat16).to(embedding.dtype)

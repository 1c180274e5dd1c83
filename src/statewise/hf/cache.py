"""The state of a statewise model as a cache that transformers' `generate` carries.

B batch.
"""

import torch
from torch import Tensor
from transformers import Cache

from statewise.core.errors import UsageError
from statewise.core.state import gather_states, leaves, map_state, move_state, state_bits
from statewise.models import ModelState


class StatewiseCache(Cache):
    """What a model carries from one token to the next; of recurrent stacks the same size at every length.

    state   after the tokens read so far; None before any
    seen    how many tokens were read, padding included
    begun   whether every sequence of the batch has had a real token

    Sequences can be reordered, selected and repeated. Tokens that were read cannot be taken back: `crop` is a
    UsageError, and assisted generation, which needs it, is refused by transformers.

    >>> cache = StatewiseCache()
    >>> cache.get_seq_length(), cache.state
    (0, None)
    """

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.state: ModelState | None = None
        self.seen = 0
        self.begun = False

    def __repr__(self) -> str:
        return f"StatewiseCache({self.seen} tokens, {self.bits} bits)"

    def __len__(self) -> int:
        return 0 if self.state is None else len(self.state.blocks)

    @property
    def bits(self) -> int:
        """Bits carried for one sequence; see `statewise.core.state_bits`."""
        return 0 if self.state is None else state_bits(self.state)

    def put(self, state: ModelState, length: int) -> None:
        """Keep the state after `length` more tokens."""
        self.state, self.seen = state, self.seen + length

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many tokens were read, padding included."""
        return self.seen

    def get_max_length(self, layer_idx: int | None = None) -> int:
        """-1, transformers' word for no end."""
        return -1

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """How many tokens a mask would cover, and from where; no mixer asks for one."""
        return self.seen + query_length, 0

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Let row i go on from what row `beam_idx[i]` was, (B,) int64: beam search."""
        self.batch_select_indices(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some sequences of the batch, (N,) int64."""
        if self.state is not None:
            self.state = gather_states(self.state, indices.to(torch.int64))

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Have every sequence `repeats` times in a row."""
        if self.state is not None:
            self.state = map_state(lambda leaf: leaf.repeat_interleave(repeats, 0), self.state)

    def crop(self, tokens_to_remove: int) -> None:
        """Raise a UsageError: a state that has read a token does not say what it was before."""
        if tokens_to_remove:
            raise UsageError(
                f"StatewiseCache: crop({tokens_to_remove}) would take tokens back, which a recurrent state cannot; "
                "keep a copy.deepcopy of the cache from before them"
            )

    def reset(self) -> None:
        """Forget everything."""
        self.__init__()  # type: ignore[misc]

    def to(self, device: torch.device | str) -> "StatewiseCache":
        """This cache, its state on another device."""
        if self.state is not None:
            self.state = move_state(self.state, device=device)
        return self

    @property
    def batch_size(self) -> int:
        """B, or -1 before any token."""
        if self.state is None:
            return -1
        return next((len(leaf) for leaf in leaves(self.state)), -1)

    @property
    def is_initialized(self) -> bool:
        """Whether a token was read."""
        return self.state is not None

    @property
    def is_compileable(self) -> bool:
        """False: `generate` is not to compile by itself."""
        return False

    @property
    def is_croppable(self) -> bool:
        """False."""
        return False

    @property
    def is_linear(self) -> list[bool]:
        """False for every block, so that transformers asks `get_seq_length` where to go on."""
        return [False] * max(1, len(self))

    @property
    def is_sliding(self) -> list[bool]:
        """False for every block."""
        return self.is_linear

    @property
    def is_dummy(self) -> list[bool]:
        """False for every block."""
        return self.is_linear

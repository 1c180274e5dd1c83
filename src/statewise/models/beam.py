"""Beam search: of the sequences that a model may write, those that it gives the largest probability for their length.

    score of y_1 … y_n = Σ_t log p(y_t | before) / n^penalty        y_n, the end, counts

B sentences, K beams, V vocabulary, N rows of the model.
Source: Graves, arXiv 1211.3711, §2.5; that a sentence is done once K sequences have ended and none that goes on has, at
its present length, a better score than the worst of them is as in transformers' `early_stopping=False`.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.state import gather_states

S = TypeVar("S")

Advance = Callable[[Tensor, S], tuple[Tensor, S]]
"""One token (N,) and the state before it give logits (N, V) and the state after it."""


class Hypothesis(NamedTuple):
    """A sequence without its end, and its score. `ended` is false where it was cut at the longest length."""

    tokens: tuple[int, ...]
    score: float
    ended: bool


class Beams(NamedTuple):
    """Sequences that go on, of the sentences that are not done.

    sentences  (B,) which these are
    tokens     (B, K, t) what each has written
    scores     (B, K) sums of log-probabilities, best first; −∞ where there are fewer than K
    """

    sentences: Tensor
    tokens: Tensor
    scores: Tensor


def same_sentences(state: S, rows: Tensor) -> S:
    """The states of some rows."""
    return gather_states(state, rows)


@torch.no_grad()
def beam_search(
    advance: Advance[S],
    state: S,
    longest: Tensor,
    *,
    begin: int,
    end: int,
    beams: int = 4,
    penalty: float = 1.0,
    reorder: Callable[[S, Tensor], S] = same_sentences,
) -> list[list[Hypothesis]]:
    """Up to K hypotheses for each of B sentences, best first.

    advance  the model; called with B rows once, then with K for each sentence that is not done
    state    before the first token, of B rows
    longest  (B,) int64, at least 1: most tokens of each sentence's hypotheses, the end included
    penalty  power of the length that scores are divided by; 0 is plain log-probability, which prefers short sequences
    reorder  `gather_states` where every row stays with its sentence, for states of which a part is the sentence's

    One beam is greedy decoding. With as many beams as there are sequences it finds the best of all.

    >>> def coin(token, state):
    ...     return torch.tensor([[0.6, 0.3, 0.1]]).log().expand(len(token), 3), state
    >>> best = beam_search(coin, torch.zeros(1, 1), torch.tensor([3]), begin=0, end=1, penalty=0.0)[0][0]
    >>> best.tokens, round(2.718281828**best.score, 3)
    ((), 0.3)
    """
    if beams < 1 or not penalty >= 0:
        raise UsageError(f"beam search: beams is {beams} and penalty is {penalty}; beams must be at least 1, penalty 0")
    count, device = len(longest), longest.device
    found: list[list[Hypothesis]] = [[] for _ in range(count)]
    going = Beams(
        torch.arange(count, device=device),
        torch.empty(count, 1, 0, dtype=torch.int64, device=device),
        torch.zeros(count, 1, dtype=torch.float64, device=device),
    )
    last = torch.full((count,), begin, device=device)
    length = 0
    while len(going.sentences):
        length += 1
        logits, state = advance(last, state)
        width = going.scores.shape[1]
        going, rows = extend(going, logits, found, beams=beams, end=end, penalty=penalty)
        open_ = not_done(going, found, longest, length, beams=beams, penalty=penalty)
        going, rows = Beams(*(part[open_] for part in going)), rows[open_]
        # With as many rows as before, each is of the sentence that it was of.
        stays = bool(open_.all()) and rows.shape[1] == width
        state = (reorder if stays else gather_states)(state, rows.flatten())
        last = going.tokens[..., -1].flatten()
    return [sorted(each, key=lambda one: -one.score)[:beams] for each in found]


def extend(
    going: Beams, logits: Tensor, found: list[list[Hypothesis]], *, beams: int, end: int, penalty: float
) -> tuple[Beams, Tensor]:
    """Beams with one more token, and the row (B, K) that each grew from; what ends among the best K goes to `found`."""
    count, width, length = going.tokens.shape
    scores = logits.double().log_softmax(-1).unflatten(0, (count, width)) + going.scores[..., None]
    vocabulary = scores.shape[-1]
    best, flat = scores.flatten(1).topk(min(2 * beams, width * vocabulary))
    parent, token = flat // vocabulary, flat % vocabulary
    ends = token == end
    for sentence, rank in ((ends & best.isfinite())[:, :beams]).nonzero().tolist():
        written = tuple(going.tokens[sentence, parent[sentence, rank]].tolist())
        score = best[sentence, rank].item() / (length + 1) ** penalty
        found[going.sentences[sentence]].append(Hypothesis(written, score, ended=True))
    # Those that go on, best first: at most one of each beam's continuations ends.
    order = ends.int().argsort(dim=1, stable=True)[:, :beams]
    kept, grown = parent.gather(1, order), token.gather(1, order)
    scores = best.gather(1, order).masked_fill(ends.gather(1, order), -torch.inf)
    tokens = torch.cat([going.tokens.gather(1, kept[..., None].expand(-1, -1, length)), grown[..., None]], -1)
    rows = kept + width * torch.arange(count, device=kept.device)[:, None]
    return Beams(going.sentences, tokens, scores), rows


def not_done(
    going: Beams, found: list[list[Hypothesis]], longest: Tensor, length: int, *, beams: int, penalty: float
) -> Tensor:
    """Which sentences go on, (B,) bool; what is cut at its longest length goes to `found`."""
    best = (going.scores[:, 0] / length**penalty).tolist()
    goes_on: list[bool] = []
    for place, sentence in enumerate(going.sentences.tolist()):
        ended = sorted((one.score for one in found[sentence]), reverse=True)[:beams]
        if length >= longest[sentence]:
            found[sentence] += cut(going.tokens[place], going.scores[place] / length**penalty)
            goes_on.append(False)
        else:
            goes_on.append(best[place] > (ended[-1] if len(ended) == beams else -torch.inf))
    return torch.tensor(goes_on, device=going.scores.device)


def cut(tokens: Tensor, scores: Tensor) -> list[Hypothesis]:
    """Hypotheses of a sentence's beams (K, t) that go no further, though none has ended."""
    pairs = zip(tokens.tolist(), scores.tolist(), strict=True)
    return [Hypothesis(tuple(each), score, ended=False) for each, score in pairs if score > -torch.inf]

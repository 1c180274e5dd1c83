"""Generation with tools: a model may search its own context, and goes on from what was found.

    read by the model    a b c …  <search> query <end>  answer  …
    written by                    the model            the tool  the model

B sequences, which may call at different steps. The model's state continues token by token; what grows is the context
that tools search.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.padding import left_padding_reset
from statewise.core.state import gather_states, state_bits
from statewise.models import LanguageModel, ModelConfig, ModelState
from statewise.models.sampling import check_draws, draw
from statewise.search.budget import Budget
from statewise.search.calling import call
from statewise.search.controls import Controls
from statewise.search.tool import Call

ANSWERED, STOPPED, TOKENS, CALLS, SECONDS = "answered", "stopped", "tokens", "calls", "seconds"


@dataclass
class Written:
    """What was written after one prompt.

    tokens   by the model and by tools, in order
    own      whether the model wrote each
    calls    of tools, in order
    ended    answered, stopped, tokens, calls or seconds: the mark that ended it, or the budget that did
    because  the same in words
    """

    tokens: list[int] = field(default_factory=list)
    own: list[bool] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    ended: str = ""
    because: str = ""

    @property
    def answer(self) -> int | None:
        """The token after the mark of an answer; None where the sequence ended without one."""
        return self.tokens[-1] if self.ended == ANSWERED else None


@dataclass(frozen=True)
class Generation:
    """What was written after every prompt, and what was carried for it.

    written        one for each prompt
    state_bits     of the model's state for one sequence, at the end of the longest
    searched_bits  of the longest context that tools could search, at ⌈log2 vocabulary⌉ bits a token; 0 without tools
    """

    written: tuple[Written, ...]
    state_bits: int
    searched_bits: int


@torch.no_grad()
def generate(
    model: LanguageModel,
    prompts: Tensor | Sequence[Sequence[int]],
    *,
    controls: Controls,
    budget: Budget | None = None,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> Generation:
    """Continue prompts, calling tools where the model asks for it.

    prompts      (B, T) int64, or B sequences of ids of any lengths, at least one token each
    controls     the ids that open and close searches, mark an answer and stop; see `Controls`
    budget       of each sequence; None is `Budget()`
    temperature  0 takes the likeliest token; otherwise a generator is needed

    A search that is opened while another is open takes its place; one that is closed without being opened is read as
    any token. A fault of a tool, whatever it raises, costs one failed search of one sequence. O(tokens) steps of the
    model for the batch together, which sequences that have ended leave.

    Source: Wen, Dang, Lyu, arXiv 2402.18510, §5.1 (in-context retrieval).

    >>> model = LanguageModel(vocabulary=8, width=8)
    >>> generate(model, [[1, 2], [3]], controls=Controls(), budget=Budget(tokens=5)).written[1].because
    'the budget of 5 tokens is used up'
    """
    budget = Budget() if budget is None else budget
    check_draws("search.generate", temperature, generator)
    vocabulary = model.config.vocabulary
    if controls.tools and controls.failed >= vocabulary:
        raise UsageError(f"search.generate: failed is {controls.failed}, and the model's ids are below {vocabulary}")
    rows = [Row(list(map(int, prompt)), controls, budget, model.config) for prompt in _listed(prompts, vocabulary)]
    logits, state = _read(model, [row.context for row in rows])
    live, ends = list(rows), time.monotonic() + budget.seconds
    while True:
        tokens = draw(logits, temperature, generator).tolist()
        fed = [row.take(token) for row, token in zip(live, tokens, strict=True)]
        if time.monotonic() > ends:
            for row in live:
                row.end(SECONDS, f"the budget of {budget.seconds:g} s is used up")
        going = [place for place, row in enumerate(live) if not row.written.ended]
        if not going:
            break
        if len(going) < len(live):
            live, fed, state = [live[i] for i in going], [fed[i] for i in going], gather_states(state, going)
        logits, state = model.step(torch.tensor(fed, device=logits.device), state)
    longest = max(len(row.context) for row in rows)
    bits = (vocabulary - 1).bit_length()
    return Generation(tuple(row.written for row in rows), state_bits(state), longest * bits if controls.tools else 0)


class Row:
    """One sequence: what it has read, the search that is open, and what is still to be fed to the model."""

    def __init__(self, prompt: list[int], controls: Controls, budget: Budget, config: ModelConfig) -> None:
        self.context = prompt
        self.controls = controls
        self.budget = budget
        self.vocabulary = config.vocabulary
        self.places = config.max_length
        self.written = Written()
        self.pending = deque[int]()
        self.opened: int | None = None
        self.answering = False

    def take(self, drawn: int) -> int:
        """The next token: what a tool still has to say, else what the model drew."""
        own = not self.pending
        token = drawn if own else self.pending.popleft()
        self.context.append(token)
        self.written.tokens.append(token)
        self.written.own.append(own)
        if own:
            self._act(token)
        if not self.written.ended and len(self.written.tokens) >= self.budget.tokens:
            unclosed = "" if self.opened is None else ", and a search was never closed"
            self.end(TOKENS, f"the budget of {self.budget.tokens} tokens is used up{unclosed}")
        if self.places is not None and len(self.context) > self.places:
            self.end(TOKENS, f"the model has learned positions for {self.places} tokens")
        return token

    def end(self, ended: str, because: str) -> None:
        """Nothing more is written."""
        if not self.written.ended:
            self.written.ended, self.written.because = ended, because

    def _act(self, token: int) -> None:
        """What a token of the model's own sets off."""
        if self.answering:
            self.end(ANSWERED, "the model gave its answer")
        elif token == self.controls.stop:
            self.end(STOPPED, "the model stopped")
        elif token in self.controls.tools:
            self.opened = len(self.context) - 1
        elif token == self.controls.end and self.opened is not None:
            self._search(self.opened)
            self.opened = None
        elif token == self.controls.answer:
            self.answering = True

    def _search(self, opened: int) -> None:
        if len(self.written.calls) >= self.budget.calls:
            self.end(CALLS, f"the budget of {self.budget.calls} calls is used up")
            return
        made = call(
            self.controls.tools[self.context[opened]],
            self.context[opened + 1 : -1],
            self.context[:opened],
            vocabulary=self.vocabulary,
            seconds=self.budget.seconds_per_call,
        )
        self.written.calls.append(made)
        self.pending.extend([self.controls.failed] if made.failed else made.answer)


def _listed(prompts: Tensor | Sequence[Sequence[int]], vocabulary: int) -> list[list[int]]:
    listed = prompts.tolist() if isinstance(prompts, Tensor) else [list(prompt) for prompt in prompts]
    if not listed or not all(isinstance(prompt, list) and prompt for prompt in listed):
        raise UsageError("search.generate: a prompt is empty; there must be at least one, of at least one token each")
    for place, prompt in enumerate(listed):
        if min(prompt) < 0 or max(prompt) >= vocabulary:
            stray = min(prompt) if min(prompt) < 0 else max(prompt)
            raise UsageError(
                f"search.generate: prompt {place} holds the id {stray}; the model's ids are from 0 to {vocabulary - 1}"
            )
    return listed


def _read(model: LanguageModel, prompts: list[list[int]]) -> tuple[Tensor, ModelState]:
    """The logits (B, V) after every prompt, and the state."""
    device, longest = next(model.parameters()).device, max(map(len, prompts))
    tokens = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts], device=device)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    reset = None if int(lengths.min()) == longest else left_padding_reset(lengths, longest)
    logits, state = model(tokens, reset=reset)
    return logits[:, -1], state

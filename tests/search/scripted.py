"""A model that reads its lines from a script, and a tool that keeps what it was asked."""

import torch

from statewise.models import LanguageModel
from statewise.search import Controls

SEARCH, OTHER, END, FAILED, ANSWER, STOP = range(10, 16)
"""Controls of the vocabulary of 16 that scripts are written in; 0 … 9 are text."""

ANY = 0
"""Stands in a script where a tool has its say: what the model draws there is not read."""


class Scripted(LanguageModel):
    """Says at its step number i after a prompt what `script(row, prompt)[i]` says, then 0 for ever.

    `fed` is what every row has read so far, its prompt and its padding included; `batches` are the rows of every step.
    """

    def __init__(self, script, vocabulary=16):
        super().__init__(vocabulary=vocabulary, width=1, stack="mingru", feed_forward=0)
        self.script = script if callable(script) else lambda row, prompt: script[row]

    def forward(self, tokens, state=None, *, reset=None):
        assert state is None
        self.fed = tokens.tolist()
        starts = [0] * len(tokens) if reset is None else reset.int().argmax(1).tolist()
        self.scripts = [
            self.script(row, each[start:]) for row, (each, start) in enumerate(zip(self.fed, starts, strict=True))
        ]
        self.batches = []
        rows = torch.arange(len(tokens))
        state = (rows, torch.zeros_like(rows))
        return self._logits(state)[:, None], state

    def step(self, token, state):
        rows, steps = state
        self.batches.append(len(rows))
        for row, each in zip(rows.tolist(), token.tolist(), strict=True):
            self.fed[row].append(each)
        state = (rows, steps + 1)
        return self._logits(state), state

    def _logits(self, state):
        said = [
            self.scripts[row][step] if step < len(self.scripts[row]) else 0
            for row, step in zip(*map(torch.Tensor.tolist, state), strict=True)
        ]
        return torch.nn.functional.one_hot(torch.tensor(said), self.config.vocabulary).float()


class Spy:
    """A tool that answers by a function of query and context, and keeps both."""

    def __init__(self, answer=lambda query, context: [7], bounded=True):
        self.answer, self.bounded, self.asked = answer, bounded, []

    def __call__(self, query, context):
        self.asked.append((list(query), list(context)))
        return self.answer(query, context)


def controls(tool=None, **more):
    """The ids above, with one tool or those of `tools`."""
    return Controls(
        **{
            "tools": {SEARCH: Spy() if tool is None else tool},
            "end": END,
            "failed": FAILED,
            "answer": ANSWER,
            "stop": STOP,
        }
        | more
    )

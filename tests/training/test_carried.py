"""Truncated backpropagation: the state goes from window to window, gradients do not, and a checkpoint has it."""

import copy

import pytest
import torch
import torch.nn.functional as F

from statewise.core.errors import RunError, UsageError
from statewise.core.random import seeded
from statewise.core.state import detach_state, leaves
from statewise.models import LanguageModel
from statewise.tasks import PackedText
from statewise.training import Group, Parallelism, TrainingConfig, train
from statewise.training.carried import Carried
from statewise.training.checkpoint import Checkpoint

SIZE, STREAMS = 12, 3
STACKS = ["mingru+gru", "lru", "mamba", "mlstm"]


class StoppedError(Exception):
    """What a kill is, where a test can catch it."""


class Memory:
    """A keeper whose every checkpoint is kept, and that stops the training after a number of them."""

    def __init__(self, first=None, stop_after=None):
        self.first, self.stop_after, self.kept = first, stop_after, []

    def load(self):
        return self.first

    def is_due(self):
        return True

    def save(self, checkpoint):
        self.kept.append(copy.deepcopy(checkpoint))
        if len(self.kept) == self.stop_after:
            raise StoppedError


class Unheard:
    def write(self, event):
        """Nobody listens."""


@pytest.fixture
def task(tmp_path):
    (tmp_path / "corpus").write_bytes(bytes(i * i % 97 for i in range(4000)))
    return PackedText(file=str(tmp_path / "corpus"), streams=STREAMS)


def build(stack="mingru+gru"):
    with seeded(0):
        return LanguageModel(vocabulary=256, width=8, stack=stack, feed_forward=1)


def settings(**options):
    plain = {"sizes": (SIZE,), "steps": 9, "batch_size": STREAMS, "evaluate_every": 99, "warmup": 2, "solved_at": None}
    return TrainingConfig(**{**plain, **options})


def run(task, keeper=None, *, stack="mingru+gru", group=None, **options):
    model = build(stack)
    more = {} if group is None else {"group": group}
    train(model, task, settings(**options), seed=3, sink=Unheard(), keeper=keeper or Memory(), **more)
    return model


def assert_same(one, other):
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_training_is_what_is_written_out_by_hand(task):
    model, expected = run(task), build().train()
    config = settings()
    named = dict(expected.named_parameters())
    matrices = [name for name, parameter in named.items() if parameter.ndim >= 2 and "embedding" not in name]
    optimizer = torch.optim.AdamW(
        [
            {"params": [named[name] for name in matrices]},
            {"params": [p for name, p in named.items() if name not in matrices], "weight_decay": 0.0},
        ],
        lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True,
    )  # fmt: skip
    state = None
    for step in range(config.steps):
        batch = task.examples("train", seed=3, start=step * STREAMS, count=STREAMS, size=SIZE)
        for group in optimizer.param_groups:
            group["lr"] = config.rate(step, step / config.steps)
        optimizer.zero_grad()
        logits, state = expected(batch.tokens, state, reset=batch.reset)
        F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum").div(
            batch.scored.sum()
        ).backward()
        torch.nn.utils.clip_grad_norm_(expected.parameters(), config.clip)
        optimizer.step()
        state = detach_state(state)
    assert_same(model, expected)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("count", [1, 4, 8])
def test_stopped_and_taken_up_it_ends_with_the_same_bits(task, stack, count):
    whole, keeper = run(task, stack=stack), Memory(stop_after=count)
    with pytest.raises(StoppedError):
        run(task, keeper, stack=stack)
    checkpoint = keeper.kept[-1]
    assert any(name.startswith("carried.") for name in checkpoint.tensors)
    assert_same(whole, run(task, Memory(checkpoint), stack=stack))


def test_without_the_carried_state_it_would_end_otherwise(task):
    keeper = Memory(stop_after=4)
    with pytest.raises(StoppedError):
        run(task, keeper)
    checkpoint = keeper.kept[-1]
    without = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith("carried.")}
    resumed = run(task, Memory(Checkpoint(without, checkpoint.plain)))
    assert not torch.equal(resumed.head.weight, run(task).head.weight)


def test_what_is_carried_has_no_history():
    model = build()
    carried = Carried(model, 2)
    carried.take(model(torch.zeros(2, 3, dtype=torch.int64))[1])
    assert not any(leaf.requires_grad for leaf in leaves(carried.state))
    with pytest.raises(RunError, match="the state in the checkpoint is not of this model and batch"):
        Carried(model, 3).restore(carried.tensors())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 4}, "in 3 streams, and a step takes 4 windows of 12; carrying the state needs as many"),
        (
            {"sizes": (12, 13)},
            "3 windows of 12 or 13; carrying the state needs as many windows as streams, of one size",
        ),
        ({"precision": "bf16-autocast"}, "in full precision; asked for were 1 process, in bf16-autocast"),
        ({"stack": "mingru+attention"}, r"the state of mingru\+attention grows with every token"),
        (
            {"group": Group(parallelism=Parallelism(accumulation=2))},
            "asked for were 1 process, accumulation 2, in full",
        ),
    ],
    ids=["batch", "sizes", "precision", "attention", "accumulation"],
)
def test_what_cannot_be_carried_is_refused(task, options, message):
    with pytest.raises(UsageError, match=message):
        run(task, **options)

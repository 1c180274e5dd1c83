"""What was asked for and is not so is an error, seen in what is computed and not in a flag."""

import pytest
import torch
from torch import nn

from statewise.core.errors import RunError, UsageError
from statewise.core.random import seeded
from statewise.mixers import MIXERS, MinGRU
from statewise.models import LanguageModel
from statewise.tasks import Parity
from statewise.training import Group, Parallelism, TrainingConfig, join, train
from statewise.training.division import divide
from statewise.training.group import ALONE, started_processes
from statewise.training.precision import InPrecision, check_precision, computed_dtypes

TOKENS = torch.zeros(1, 4, dtype=torch.int64)


class Silent:
    def write(self, event):
        pass


def build(stack="mingru"):
    with seeded(0):
        return LanguageModel(vocabulary=2, width=6, stack=stack, feed_forward=1)


@pytest.mark.parametrize(
    ("asked", "started", "said"),
    [
        (
            Parallelism(kind="fsdp"),
            1,
            r"^parallel is fsdp, and this process is alone: start it with: torchrun --nproc-per-node N -m statewise … "
            r"\(on a CPU, accelerate launch starts one process, whatever --num_processes says\)$",
        ),
        (Parallelism(kind="ddp", processes=3), 2, r"^parallel: 3 processes were asked for, and there are 2: start it "),
        (Parallelism(processes=2), 1, r"^parallel: 2 processes were asked for, and there are 1: start it "),
        (
            Parallelism(),
            2,
            r"^parallel is none, and there are 2 processes, each of which would do all the work: name ddp or fsdp, or",
        ),
    ],
)
def test_other_processes_than_were_asked_for_are_refused(monkeypatch, asked, started, said):
    monkeypatch.setenv("WORLD_SIZE", str(started))
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UsageError, match=said), join(asked):
        pass


def test_a_launcher_that_says_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(UsageError, match=r"^RANK is None and WORLD_SIZE 'two'; both must be numbers$"):
        started_processes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "dpp"}, "unknown parallel 'dpp': did you mean ddp"),
        ({"accumulation": 0}, "parallel: accumulation is 0; it must be at least 1"),
        ({"processes": 0}, "parallel: processes is 0; it must be at least 1"),
    ],
)
def test_a_division_that_cannot_be_is_refused(options, said):
    with pytest.raises(UsageError, match=f"^{said}"):
        Parallelism(**options)


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match=r"^unknown precision 'bf16': did you mean bf16-"):
        TrainingConfig(sizes=(4,), precision="bf16")


def test_more_pieces_than_rows_are_refused_before_anything_is_trained():
    model, group = build(), Group(parallelism=Parallelism(accumulation=5))
    with pytest.raises(
        UsageError, match=r"^training: batch_size is 4; 1 processes with accumulation 5 need at least 5$"
    ):
        train(model, Parity(), TrainingConfig(sizes=(4,), batch_size=4), seed=0, sink=Silent(), group=group)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_every_row_is_one_process_s(count):
    shares = [Group(rank, count).rows(100, 7) for rank in range(count)]
    rows = [row for start, length in shares for row in range(start, start + length)]
    assert rows == list(range(100, 107))
    assert max(length for _, length in shares) - min(length for _, length in shares) <= 1


@pytest.mark.parametrize("precision", ["bf16-autocast", "bf16-weights"])
@pytest.mark.parametrize("stack", ["mingru", "attention", "gru", "mamba", "mlstm", "aaren"])
def test_linear_maps_compute_in_the_precision_and_weights_and_gradients_stay_whole(stack, precision):
    model = build(stack)
    module = InPrecision(model, precision)
    found = computed_dtypes(module, precision, TOKENS)
    assert "model.head" in found
    assert set(found.values()) == {torch.bfloat16}
    module(TOKENS)[0].float().sum().backward()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert {parameter.grad.dtype for parameter in model.parameters() if parameter.grad is not None} == {torch.float32}


@pytest.mark.parametrize("precision", ["bf16-autocast", "bf16-weights"])
@pytest.mark.parametrize("stack", sorted(MIXERS))
def test_every_mixer_computes_in_every_precision(stack, precision):
    check_precision(InPrecision(build(stack), precision), precision, lambda: TOKENS)


def test_a_precision_that_is_set_and_not_computed_in_is_an_error(monkeypatch):
    class Stubborn(MinGRU):
        def forward(self, x, state=None, *, reset=None):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float(), state, reset=reset)

    monkeypatch.setitem(MIXERS, "stubborn", Stubborn)
    with pytest.raises(
        RunError, match=r"^precision is bf16-autocast, and model\.blocks\.0\.mixer\.\w+ computes in float32$"
    ):
        train_in("bf16-autocast", "stubborn")


def test_a_model_that_cannot_compute_in_a_precision_says_why(monkeypatch):
    class Particular(MinGRU):
        def scan(self, projected, initial, reset):
            if projected.dtype == torch.bfloat16:
                raise RuntimeError("no kernel\nfor bfloat16")
            return super().scan(projected, initial, reset)

    monkeypatch.setitem(MIXERS, "particular", Particular)
    with pytest.raises(
        UsageError, match=r"^precision is bf16-autocast, in which this model cannot compute: no kernel for bfloat16$"
    ):
        train_in("bf16-autocast", "particular")


def train_in(precision, stack):
    config = TrainingConfig(sizes=(4,), steps=1, batch_size=2, precision=precision)
    return train(build(stack), Parity(), config, seed=0, sink=Silent())


def test_broken_weights_are_seen():
    divided = divide(build(), "full", ALONE, lambda: TOKENS)
    assert divided.is_finite()
    nn.init.constant_(divided.model.head.weight, float("nan"))
    assert not divided.is_finite()

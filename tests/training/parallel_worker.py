"""What every process of a group runs in the tests: each case in turn, and what came out as JSON from the main one.

torchrun --nproc-per-node 2 parallel_worker.py FOLDER
"""

import json
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor

from statewise.core.errors import StatewiseError
from statewise.core.events import Evaluated
from statewise.core.random import seeded
from statewise.models import LanguageModel, VectorModel
from statewise.tasks import TASKS
from statewise.training import Parallelism, TrainingConfig, evaluate, join, loop, train
from statewise.training.checkpoint_files import CheckpointFiles
from statewise.training.division import divide
from statewise.training.group import ALONE
from statewise.training.sharding import check_sharded


@dataclass(frozen=True)
class Case:
    """A training, and how it is divided."""

    kind: str = "none"
    accumulation: int = 1
    precision: str = "full"
    stack: str = "mingru+rwkv7"
    task: str = "noisy-recall"
    dtype: torch.dtype = torch.float64


PLAIN = Case()
TASK_OF_VECTORS = Case(task="in-context-regression", stack="attention")
SAME_CURVES = {
    "ddp": Case("ddp"),
    "ddp, accumulation 3": Case("ddp", 3),
    "fsdp": Case("fsdp"),
    "fsdp, accumulation 3": Case("fsdp", 3),
}
OF_VECTORS = replace(TASK_OF_VECTORS, kind="fsdp")
LOW = {
    f"{kind}, {precision}": Case(kind, precision=precision, stack="mingru", dtype=torch.float32)
    for kind, precision in (("ddp", "bf16-weights"), ("fsdp", "bf16-weights"), ("fsdp", "bf16-autocast"))
}
CHECKPOINTED = "fsdp, then one process, then ddp"


class StoppedError(Exception):
    """What an interruption is, where every process has it at the same step."""


class Files(CheckpointFiles):
    """A keeper that saves after every step."""

    def __init__(self, folder):
        super().__init__(folder, every=0)

    def load(self):
        return self.latest()


class Listener(list):
    def write(self, event):
        self.append(event)


def config_of(case):
    """Seven rows, which two processes and three pieces divide unevenly; norms are clipped at every step."""
    sizes = (6, 8) if case.task == PLAIN.task else (3,)
    return TrainingConfig(
        sizes=sizes,
        steps=4,
        batch_size=7,
        evaluate_every=2,
        warmup=2,
        validation=5,
        clip=0.05,
        solved_at=None,
        precision=case.precision,
    )


def model_of(case, task):
    with seeded(0):
        shared = {"width": 6, "stack": case.stack, "feed_forward": 1}
        if case.task != PLAIN.task:
            return VectorModel(channels=task.channels, **shared).to(case.dtype)
        return LanguageModel(vocabulary=task.vocabulary(8), **shared).to(case.dtype)


def run(case, group, *, keeper=None, stop_before=None):
    """Losses by step, scores on the validation split, and the weights that every process ends with."""
    task, config, sink, losses = TASKS[case.task](), config_of(case), Listener(), {}
    model = model_of(case, task)
    step = loop.one_step

    def spy(*arguments, **options):
        if options["step"] == stop_before:
            raise StoppedError
        loss, tokens = step(*arguments, **options)
        losses[options["step"]] = loss
        return loss, tokens

    loop.one_step = spy
    group = replace(group, parallelism=Parallelism(kind=case.kind, accumulation=case.accumulation))
    kept = {} if keeper is None else {"keeper": keeper}
    tokens = None
    try:
        tokens = train(model, task, config, seed=3, sink=sink, group=group, **kept).tokens
    except StoppedError:
        pass
    finally:
        loop.one_step = step
    scores = [event.loss for event in sink if isinstance(event, Evaluated)]
    weights = {name: tensor.double().flatten().tolist() for name, tensor in model.state_dict().items()}
    return {"losses": losses, "scores": scores, "weights": weights, "tokens": tokens, "said": len(sink)}


def interrupted_twice(group, folder):
    """Two processes under FSDP to step 1, one alone to step 3, two under DDP to the end, over one checkpoint folder."""
    files = Files(folder)
    parts = [run(SAME_CURVES["fsdp"], group, keeper=files, stop_before=1)]
    if group.is_main:
        names = [path.name for path in files.paths()]
        parts.append(run(PLAIN, ALONE, keeper=files, stop_before=3))
    parts.append(run(SAME_CURVES["ddp"], group, keeper=files))
    losses = {step: loss for part in parts for step, loss in part["losses"].items()}
    return {**parts[-1], "losses": losses, "files": names if group.is_main else []}


def kept_in(folder):
    """Names, shapes and sums of the last checkpoint's tensors."""
    tensors = Files(folder).latest().tensors
    return {
        name: [list(tensor.shape), str(tensor.dtype), tensor.double().sum().item()]
        for name, tensor in tensors.items()
        if not name.startswith("generator.")
    }


def shares(group):
    """How much of the parameters and of the optimizer's state this process holds under FSDP, and where it lies."""
    case = SAME_CURVES["fsdp"]
    task = TASKS[case.task]()
    model = model_of(case, task)
    divided = divide(model, "full", replace(group, parallelism=Parallelism(kind="fsdp")), lambda: None)
    optimizer = loop.make_optimizer(divided.model, config_of(case))
    loop.one_step(divided.module, task, config_of(case), optimizer, seed=0, step=0, rate=0.1, group=group)
    state = [tensor for kept in optimizer.state.values() for tensor in kept.values() if tensor.ndim]
    parameters = list(divided.model.parameters())
    return {
        "world": torch.distributed.get_world_size(),
        "sharded": all(isinstance(tensor, DTensor) and tensor.placements[0].is_shard() for tensor in parameters),
        "state sharded": all(isinstance(tensor, DTensor) for tensor in state),
        "parameters": group.total(sum(tensor.to_local().numel() for tensor in parameters))[0],
        "here": sum(tensor.to_local().numel() for tensor in parameters),
        "whole": sum(tensor.numel() for tensor in model.parameters()),
    }


def refusals(group):
    """What is said where something asked for is not so."""
    said = {}

    def record(name, call):
        try:
            call()
            said[name] = None
        except StatewiseError as error:
            said[name] = f"{type(error).__name__}: {error}"

    task, model = TASKS[PLAIN.task](), model_of(PLAIN, TASKS[PLAIN.task]())
    ddp = replace(group, parallelism=Parallelism(kind="ddp", accumulation=4))
    record("batch", lambda: train(model, task, config_of(PLAIN), seed=0, sink=Listener(), group=ddp))
    record("sharded", lambda: check_sharded(model, 2))
    record("twice", lambda: join(Parallelism(kind="ddp")).__enter__())
    record("dtype", lambda: run(Case("fsdp", precision="bf16-weights"), group))
    return said


def scores_of_a_few(group):
    """A split with fewer examples than processes have rows for."""
    task = TASKS[PLAIN.task]()
    model = model_of(PLAIN, task)
    score = evaluate(model, task, split="test", size=6, examples=1, seed=5, group=group)
    return [score.loss, score.token_accuracy, score.sequence_accuracy, score.sequences]


def main(folder):
    """Every case, in every process."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    with join(Parallelism(kind="ddp")) as group:
        found = {name: run(case, group) for name, case in {**SAME_CURVES, **LOW}.items()}
        found["vectors"] = run(OF_VECTORS, group, keeper=Files(folder / "vectors"))
        found[CHECKPOINTED] = interrupted_twice(group, folder / "interrupted")
        found["shares"], found["refusals"] = shares(group), refusals(group)
        found["few"] = scores_of_a_few(group)
        (folder / f"{group.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

import pytest

from statewise.report import TextPart, Written
from statewise.report.interval import interval
from statewise.report.text import TextLine
from statewise.runs import Record, Result
from statewise.runs.record import Validation
from statewise.tasks import Dyck, IndexLookup, Parity, Text


def make_record(
    task,
    stack,
    seed,
    results,
    *,
    status="finished",
    because="the budget is used up",
    rate=0.005,
    validation=None,
    sizes=(8,),
    **facts,
):
    """A record as a run would leave it. `results` are (size, token accuracy, sequence accuracy, state bits).

    validation  sequence accuracy on the validation split at every size; default that of the test split
    sizes       what was to be evaluated, where there are no results
    """
    defaults = {"recurrent": stack != "attention", "non_negative_decay": stack == "mingru", "parameters": 100}
    return Record(
        config={
            "task": task.identity(),
            "model": {"stack": stack, "positions": facts.pop("positions", "none")},
            "training": {"learning_rate": rate, "steps": 10},
            "evaluation": {"sizes": [result[0] for result in results] or list(sizes)},
            "seed": seed,
        },
        status=status,
        because=because,
        facts=defaults | facts,
        results=tuple(
            Result(
                size=size, loss=0.5, token_accuracy=token, sequence_accuracy=sequence, sequences=100,
                state_bits=bits, counter_bits=64, validation=Validation(
                    loss=0.5, token_accuracy=token, sequence_accuracy=sequence if validation is None else validation,
                ),
                recovered_bits=3.0 if isinstance(task, IndexLookup) else None,
            )
            for size, token, sequence, bits in results
        ),
        training={"seconds": 2.0 + seed, "steps": 10, "tokens": 100, "tokens_per_second": 50.0, "budget": "steps"},
    )  # fmt: skip


def make_texts(stacks, *, own="to be or not to be", prompt="to be", task="text", title="text (file a.txt)"):
    """A comparison of language models. `stacks` are what each model's seeds wrote, from seed 0 on, by its name."""
    lines = tuple(
        TextLine(
            stack=stack, parameters=1000, at_end=interval([1.5, 2.5]), at_equal_tokens=None, tokens=100.0,
            tokens_per_second=50.0, writing=interval([20.0]), peak_memory=2**21, state_bits=1024, recurrent=True,
            written=tuple(Written(seed=seed, text=text, tokens_per_second=20.0) for seed, text in enumerate(texts)),
        )
        for stack, texts in stacks.items()
    )  # fmt: skip
    return TextPart(
        task=task, title=title, size=64, lines=lines, equal_tokens=100.0, wall_clock=True, prompt=prompt, own=own
    )


@pytest.fixture(scope="session")
def record():
    return make_record


@pytest.fixture(scope="session")
def texts():
    return make_texts


@pytest.fixture
def records():
    """Three tasks, three seeds each, with every kind of verdict."""
    lookup = IndexLookup(alphabet=64)
    made = []
    for seed in range(3):
        made.append(make_record(lookup, "attention", seed, [(16, 1.0, 1.0, 32768), (256, 1.0, 0.99, 524288)]))
        made.append(make_record(lookup, "mingru", seed, [(16, 0.5, 0.1, 1024), (256, 0.02, 0.0, 1024)]))
        made.append(make_record(Parity(), "gru", seed, [(16, 1.0, 1.0, 1024), (64, 0.9, 0.99 if seed else 0.2, 1024)]))
        made.append(make_record(Parity(), "mingru", seed, [(16, 0.8, 0.3, 1024), (64, 0.6, 0.0, 1024)]))
        made.append(make_record(Dyck(), "gru", seed, [(64, 0.9, 0.9, 2)]))
        made.append(make_record(Text(), "gru", seed, [(64, 0.4, 0.0, 1024)]))
    return made

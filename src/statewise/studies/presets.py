"""For each task, the settings under which its question can be asked on two CPU cores in minutes."""

from dataclasses import dataclass

from statewise.tasks import (
    MQAR,
    AssociativeRecall,
    BucketSort,
    CGramRetrieval,
    Copy,
    Counting,
    CycleNavigation,
    Disjointness,
    Dyck,
    Equality,
    EvenPairs,
    FuzzyRecall,
    InContextRegression,
    IndexLookup,
    Induction,
    IsTree,
    LinearAttentionTeacher,
    Majority,
    MajorityCount,
    MissingDuplicate,
    ModularArithmetic,
    NearestNeighbour,
    NoisyRecall,
    Parity,
    Permutations,
    SelectiveCopying,
    Task,
    Text,
)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Defaults of a comparison on one task; every field can be overridden.

    train_sizes          sizes trained on; None is the sizes that are evaluated
    attention_positions  in place of `positions` for stacks with attention; None is the same for all
    equal_parameters     models that are compared get widths at which they have equally many parameters
    """

    task: Task
    sizes: tuple[int, ...]
    train_sizes: tuple[int, ...] | None = None
    width: int = 32
    depth: int = 1
    expansion: int | None = None
    conv: int = 0
    feed_forward: int = 4
    positions: str = "none"
    attention_positions: str | None = None
    equal_parameters: bool = False
    norm: str = "rms"
    steps: int = 400
    batch_size: int = 32
    learning_rate: float = 5e-3
    warmup: int = 50
    weight_decay: float = 0.01
    evaluate_every: int = 50
    solved_at: float | None = 0.999
    examples: int | None = 1024
    strings: int = 256


def at_lengths_never_seen(task: Task) -> Preset:
    """Trained on short inputs and asked at lengths never seen: only a rule survives that."""
    return Preset(task=task, sizes=(16, 64, 256), train_sizes=(4, 8, 16), positions="rope", steps=800, batch_size=64)


def at_the_sizes_trained(task: Task) -> Preset:
    """Asked at the sizes that it is trained on: what counts is what must be held."""
    return Preset(task=task, sizes=(8, 16, 32), positions="learned", steps=800)


def one_bare_layer(task: Task, *, size: int) -> Preset:
    """One mixer between two linear maps, without norm and feed-forward: what the constructions are made of."""
    return Preset(task=task, sizes=(size,), feed_forward=0, norm="none", steps=1500, batch_size=64, solved_at=None)


def of_ones_own(task: Task) -> Preset:
    """A task that this package does not know, at sizes that whoever wrote it names."""
    return Preset(task=task, sizes=(), positions="rope", steps=800)


PRESETS: dict[str, Preset] = {
    # Width 32 in float32 is 1,024 bits of state; 192 symbols of 6 bits each are 1,152. Many queries of each string
    # let one attention layer find its 192 addresses in a few hundred steps.
    "index-lookup": Preset(
        task=IndexLookup(alphabet=64, queries=48),
        sizes=(16, 64, 192),
        positions="learned",
        steps=500,
    ),
    **{
        task.name: at_lengths_never_seen(task)
        for task in (
            Parity(),
            EvenPairs(),
            CycleNavigation(),
            ModularArithmetic(),
            Permutations(),
            Majority(),
            MajorityCount(),
            MissingDuplicate(),
            BucketSort(),
        )
    },
    **{
        task.name: at_the_sizes_trained(task)
        for task in (
            Equality(),
            Disjointness(),
            NearestNeighbour(),
            AssociativeRecall(),
            MQAR(),
            Induction(),
            FuzzyRecall(),
            NoisyRecall(),
            CGramRetrieval(),
            Counting(),
            IsTree(),
            SelectiveCopying(data=4, symbols=8),
            Copy(),
        )
    },
    "dyck": Preset(
        task=Dyck(types=2, depth=2),
        sizes=(16, 64, 256),
        train_sizes=(4, 8, 16),
        positions="rope",
        steps=1500,
        batch_size=64,
    ),
    "in-context-regression": one_bare_layer(InContextRegression(), size=12),
    "linear-attention-teacher": one_bare_layer(LinearAttentionTeacher(), size=16),
    # The block of the minimal-RNN paper's language model (Conv4, recurrence, MLP) at a size for two cores and minutes:
    # in so short a time many small steps of a small model beat few of a large one.
    "text": Preset(
        task=Text(),
        sizes=(256,),
        width=128,
        depth=3,
        expansion=2,
        conv=4,
        feed_forward=2,
        attention_positions="rope",
        equal_parameters=True,
        steps=2000,
        batch_size=4,
        learning_rate=1e-2,
        warmup=100,
        weight_decay=0.4,
        evaluate_every=500,
        solved_at=None,
        examples=None,
        strings=0,
    ),
}

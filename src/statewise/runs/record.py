"""What a run leaves: its configuration, how it ended, and what was measured at each size."""

from dataclasses import dataclass, field
from typing import Any

from statewise.core.config import digest

FORMAT = 2
CONCLUSIVE = ("finished", "diverged")
"""How a run ends that would end so again."""

STATUSES = (*CONCLUSIVE, "crashed", "failed")


def model_of_run(config: dict[str, Any]) -> str:
    """What to call the model of a run: its stack or, where its weights were written down, their construction.

    >>> model_of_run({"model": {"stack": "gru", "bridge": "state"}})
    'gru, bridge state'
    """
    initial, bridge = config.get("initial"), config["model"].get("bridge")
    if initial is None:
        stack: str = config["model"]["stack"]
        return stack if bridge is None else f"{stack}, bridge {bridge}"
    rounding = f", in {initial['rounding']}" if initial["rounding"] else ""
    noise = f", noise {initial['noise']:g}" if initial["noise"] else ""
    trained = f", trained {config['training']['steps']:,} steps" if config["training"]["steps"] else ""
    return f"{initial['construction']} for {initial['arguments']['size']}{rounding}{noise}{trained}"


def task_of_run(config: dict[str, Any]) -> str:
    """What to call the task of a run, and how it is answered where that is step by step.

    >>> task_of_run({"task": {"name": "retrieval", "task": {"name": "is-tree"}}})
    'is-tree-by-retrieval'
    """
    name: str = config["task"]["name"]
    asked = config["task"].get("task")
    return name if asked is None else f"{asked['name']}-by-{name}"


def title_of_run(config: dict[str, Any]) -> str:
    """A run in a few words."""
    rate = f" · rate {config['training']['learning_rate']:g}" if config["training"]["steps"] else ""
    return f"{task_of_run(config)} · {model_of_run(config)}{rate} · seed {config['seed']}"


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Scores on the validation split, to select by: nothing that is selected by them is reported from them.

    Accuracies are None where tokens are vectors, and so is the loss per byte unless they spell text.
    """

    loss: float
    token_accuracy: float | None
    sequence_accuracy: float | None
    loss_per_byte: float | None = None


@dataclass(frozen=True, kw_only=True)
class FreeRunning:
    """What a model does on its own, given the prompt alone, where a task is answered step by step. Test split.

    accuracy       of the first answer; no answer is wrong
    unanswered     share of sequences whose budget ran out before an answer
    forced         accuracy of the answer where all that comes before it is the solver's: teacher forcing
    calls          of search tools for a sequence, on average
    tokens         written by the model and its tools for a sequence, on average
    state_bits     of the model's state when the longest sequence had ended
    searched_bits  of the longest context that tools could search
    sequences      how many were run
    """

    accuracy: float
    unanswered: float
    forced: float
    calls: float
    tokens: float
    state_bits: int
    searched_bits: int
    sequences: int

    @property
    def half_for_none(self) -> float:
        """Accuracy where no answer counts as half of one: how Wen et al. 2024 score questions of yes or no.

        >>> FreeRunning(
        ...     accuracy=0.5, unanswered=0.2, forced=1, calls=0, tokens=9, state_bits=0, searched_bits=0, sequences=10
        ... ).half_for_none
        0.6
        """
        return self.accuracy + self.unanswered / 2


@dataclass(frozen=True, kw_only=True)
class BleuAtLength:
    """BLEU of the sentences whose source has from `least` to `most` words; None has no end."""

    least: int
    most: int | None
    sentences: int
    bleu: float


@dataclass(frozen=True, kw_only=True)
class Translated:
    """What a model makes of the test part's sources on its own, by beam search, beside the references.

    bleu, chrf     from 0 to 100, and each one's signature: how it was counted
    beams          and `penalty`, the power of the length: of the search
    sentences      how many were translated
    nats_per_byte  of the references, under teacher forcing; a line's end counts as one byte
    by_length      BLEU by the words of the source
    """

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str
    beams: int
    penalty: float
    sentences: int
    nats_per_byte: float
    by_length: tuple[BleuAtLength, ...]


@dataclass(frozen=True, kw_only=True)
class Result:
    """Measurements at one size, on the test split; `validation` apart.

    loss                per scored token, in nats, or squared error per channel where tokens are vectors
    token_accuracy      of scored tokens; None where tokens are vectors
    sequence_accuracy   of sequences with every scored token right; None where tokens are vectors
    sequences           how many were scored
    state_bits          carried after `cut` tokens, one sequence, position counters not included
    counter_bits        position counters
    validation          the same model at the same size on the validation split
    recovered_bits      mean bits read back out of the state; None where the meter does not apply
    loss_per_byte       in nats, where tokens spell text; None elsewhere, and in records older than it
    recovered_at_least  its lower confidence limit
    free                what the model does on its own; None where the task is answered at once
    translation         what it makes of the test part's sources, for parallel text
    """

    size: int
    loss: float
    token_accuracy: float | None
    sequence_accuracy: float | None
    sequences: int
    state_bits: int
    counter_bits: int
    validation: Validation
    recovered_bits: float | None = None
    recovered_at_least: float | None = None
    free: FreeRunning | None = None
    loss_per_byte: float | None = None
    translation: Translated | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run. Complete by itself: tables and figures need nothing else.

    config       the canonical configuration; its digest is the run's name
    status       finished or diverged; crashed, where the program did; failed, where the machine had no space. `because`
                 says why
    facts        of the model that bounds ask for: recurrent, non_negative_decay, parameters
    results      one for each evaluated size; empty unless finished
    training     steps, tokens, seconds, tokens_per_second
    environment  versions, device, threads and kernel of the machine that ran it
    """

    config: dict[str, Any]
    status: str
    because: str
    facts: dict[str, Any] = field(default_factory=dict)
    results: tuple[Result, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def name(self) -> str:
        """The run's name: the digest of its configuration."""
        return digest(self.config)

    @property
    def conclusive(self) -> bool:
        """Whether the run need not be repeated: one that crashed or failed is, when it is asked for again."""
        return self.status in CONCLUSIVE

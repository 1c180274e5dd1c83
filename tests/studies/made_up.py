"""Records of runs that never ran, with the numbers that a test wants."""

from statewise.core.config import to_plain
from statewise.runs import Record, Result, RunStore
from statewise.runs.record import Validation
from statewise.studies.study import Trained


def result(size, accuracy, *, validated=1.0, loss=1.0, state_bits=4096, whole=0.25):
    """Test numbers at one size; `validated` is the loss on the validation split, `whole` the accuracy of sequences."""
    return Result(
        size=size,
        loss=loss,
        token_accuracy=accuracy,
        sequence_accuracy=whole,
        sequences=100,
        state_bits=state_bits,
        counter_bits=0,
        validation=Validation(loss=validated, token_accuracy=0.0, sequence_accuracy=0.0),
    )


def trained(root, runs, result_of):
    """All runs finished, with the one result that `result_of` gives each; those that it gives None diverged."""
    records = []
    for run in runs:
        found = result_of(run)
        status, results = ("diverged", ()) if found is None else ("finished", (found,))
        records.append(Record(config=to_plain(run), status=status, because="it is made up", results=results))
    return Trained(RunStore(root), records)


def values(findings):
    """The values of every quantity by its name."""
    return {quantity.name: quantity.values for quantity in findings.quantities}

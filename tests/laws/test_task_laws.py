"""Every law of a task, over every member of TASKS and its options; and for every law a task that breaks it."""

from dataclasses import dataclass
from itertools import chain

import pytest
import torch

from statewise.tasks import (
    TASKS,
    UNSCORED,
    Batch,
    CGramRetrieval,
    Disjointness,
    Dyck,
    Equality,
    IndexLookup,
    LinearAttentionTeacher,
    Majority,
    MissingDuplicate,
    ModularArithmetic,
    Parity,
    Permutations,
    SelectiveCopying,
    Text,
)
from statewise.testing.tasks import TASK_LAWS, check_task, small_sizes

VARIANTS = {
    **{name: task() for name, task in TASKS.items()},
    "index-lookup, two symbols, two queries": IndexLookup(alphabet=2, queries=2),
    "dyck, one type, depth 1": Dyck(types=1, depth=1),
    "dyck, three types, depth 4": Dyck(types=3, depth=4),
    "parity, last token": Parity(every_prefix=False),
    "selective copying, one of two": SelectiveCopying(data=1, symbols=2, layout="minrnn"),
    "modular arithmetic with products": ModularArithmetic(times=True),
    "missing duplicate, broken off": MissingDuplicate(layout="minrnn"),
    "majority of two": Majority(alphabet=2),
    "permutations, cyclic": Permutations(group="Z7"),
    "c-gram, three": CGramRetrieval(alphabet=3, gram=3),
    "equality, one difference": Equality(form="one-difference"),
    "equality, next character": Equality(form="next-character"),
    "disjointness, interleaved": Disjointness(interleaved=True),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("law", TASK_LAWS)
def test_law_holds(law, variant):
    TASK_LAWS[law](VARIANTS[variant], small_sizes(VARIANTS[variant]))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("law", sorted(set(TASK_LAWS) - {"the_rule_is_right", "the_rule_reads_tokens_alone"}))
def test_law_holds_at_a_size_whose_inputs_are_not_listed(law, variant):
    TASK_LAWS[law](VARIANTS[variant], (48,))


def test_every_law_holds_for_text_on_a_short_file(tmp_path):
    (tmp_path / "corpus").write_bytes(bytes(i * i % 251 for i in range(5000)))
    check_task(Text(file=str(tmp_path / "corpus")), sizes=(1, 7, 60))


class Unnamed(Parity):
    def identity(self):
        return {"name": self.name}


class Narrow(Parity):
    def build(self, words, size, *, split, start):
        tokens, targets, scored, _ = super().build(words, size, split=split, start=start)
        return Batch(tokens.int(), targets, scored)


class Shared(Parity):
    def build(self, words, size, *, split, start):
        batch = super().build(words, size, split=split, start=start)
        return Batch(batch.tokens, batch.tokens, batch.scored)


class SmallVocabulary(Parity):
    def vocabulary(self, size):
        return 1


class AnswersUnasked(Parity):
    def build(self, words, size, *, split, start):
        tokens, targets, scored, _ = super().build(words, size, split=split, start=start)
        scored[:, 0] = False
        return Batch(tokens, targets, scored)


class AsksNothing(Parity):
    def build(self, words, size, *, split, start):
        tokens = super().build(words, size, split=split, start=start).tokens
        return Batch(tokens, torch.full_like(tokens, UNSCORED), torch.zeros_like(tokens, dtype=torch.bool))


class WrongOnce(Parity):
    def solve(self, batch):
        answers = super().solve(batch)
        answers[batch.tokens.all(1), -1] = 7
        return answers


class ReadsTargets(Parity):
    def solve(self, batch):
        return torch.where(batch.scored, batch.targets, super().solve(batch))


class ReadsItsNeighbours(Parity):
    def solve(self, batch):
        return super().solve(batch) + len(batch.tokens) - 1


class WritesTokens(Parity):
    def solve(self, batch):
        answers = super().solve(batch)
        batch.tokens.zero_()
        return answers


class SeesAhead(Parity):
    def build(self, words, size, *, split, start):
        tokens, _, scored, _ = super().build(words, size, split=split, start=start)
        return Batch(tokens, tokens.flip(1).contiguous(), scored)

    def solve(self, batch):
        return batch.tokens.flip(1)


class Strict(Parity):
    def valid(self, tokens):
        return super().valid(tokens) and not bool(tokens.all())


class Lax(Parity):
    def valid(self, tokens):
        return True


class ListsTooFew(Parity):
    def inputs(self, size):
        return (tokens for tokens in super().inputs(size) if not bool(tokens.all()))


class ListsTwice(Parity):
    def inputs(self, size):
        return chain(super().inputs(size), super().inputs(size))


class ListsNonsense(Parity):
    def inputs(self, size):
        return chain(super().inputs(size), [torch.full((size,), 2)])


class SolvesStrangely(Parity):
    def solve(self, batch):
        return super().solve(batch) + 2


class CountsItsBatch(Parity):
    def build(self, words, size, *, split, start):
        return self._score((super().build(words, size, split=split, start=start).tokens + len(words)) % 2)


class DrawsGlobally(Parity):
    def build(self, words, size, *, split, start):
        return self._score(torch.randint(2, (len(words), size)))


class IgnoresWords(Parity):
    def build(self, words, size, *, split, start):
        index = start + torch.arange(len(words))
        return self._score((index[:, None] >> torch.arange(size)) % 2)


class HighChance(Parity):
    def chance(self, size):
        return 0.55


class CutsBehind(Parity):
    def cut(self, size):
        return size + 1


class AnySize(Parity):
    def check_size(self, size):
        pass


class SilentSize(Dyck):
    def check_size(self, size):
        if size < 1 or size % 2:
            super().check_size(7)


class Wide(LinearAttentionTeacher):
    def build(self, words, size, *, split, start):
        tokens, targets, scored, _ = super().build(words, size, split=split, start=start)
        return Batch(tokens, targets.double(), scored)


class OneChannel(LinearAttentionTeacher):
    def build(self, words, size, *, split, start):
        tokens, targets, scored, _ = super().build(words, size, split=split, start=start)
        return Batch(tokens, targets[..., :1].clone(), scored)


class Infinite(LinearAttentionTeacher):
    def build(self, words, size, *, split, start):
        batch = super().build(words, size, split=split, start=start)
        batch.tokens[-1:, -1] = torch.inf
        return batch


class HasTargetsUnasked(LinearAttentionTeacher):
    def build(self, words, size, *, split, start):
        batch = super().build(words, size, split=split, start=start)
        batch.scored[:, :1] = False
        return batch


class AlmostRight(LinearAttentionTeacher):
    def solve(self, batch):
        return 1.01 * super().solve(batch)


class ReadsVectorTargets(LinearAttentionTeacher):
    def solve(self, batch):
        return batch.targets


class VectorChance(LinearAttentionTeacher):
    def chance(self, size):
        return 1.3 * super().chance(size)


@dataclass
class Loose:
    name = "loose"


WITNESSES = [
    ("is_a_frozen_dataclass_with_a_name", Unnamed(), r"leaves out \['every_prefix'\]"),
    ("is_a_frozen_dataclass_with_a_name", Loose(), "not frozen"),
    ("is_a_frozen_dataclass_with_a_name", object(), "object is not a dataclass"),
    ("batches_have_their_shapes", Narrow(), r"tokens \(48, 1\) torch.int32, expected torch.int64"),
    ("batches_have_their_shapes", Shared(), "share memory"),
    ("ids_are_below_the_vocabulary", SmallVocabulary(), r"token 1 is not in \[0, 1\)"),
    ("targets_are_unscored_where_nothing_is_asked", AnswersUnasked(), "target at 0 of example 0 is .*, scored False"),
    ("targets_are_unscored_where_nothing_is_asked", AsksNothing(), "no scored position"),
    ("the_rule_is_right", WrongOnce(), r"at 0 of \[1\] solve says 7, the target is 1"),
    ("the_rule_reads_tokens_alone", ReadsTargets(), "looks at targets or scored"),
    ("the_rule_reads_tokens_alone", ReadsItsNeighbours(), "looks at other examples"),
    ("the_rule_reads_tokens_alone", WritesTokens(), "after solve: tokens differ"),
    ("targets_depend_on_what_was_read", SeesAhead(), r"size 2: after \[0\] the target is 0 or 1, by what follows"),
    ("examples_are_valid_inputs", Strict(), r"example \[1\] is not valid"),
    ("examples_are_valid_inputs", Lax(), "tokens -1 are valid"),
    ("examples_are_valid_inputs", ListsTooFew(), r"example \[1\] is not among inputs\(1\)"),
    ("listed_inputs_are_valid_distinct_and_solved", ListsTwice(), "4 inputs, 2 of them distinct"),
    ("listed_inputs_are_valid_distinct_and_solved", ListsNonsense(), r"\[2\] is not valid"),
    ("listed_inputs_are_valid_distinct_and_solved", SolvesStrangely(), "solve gave 2"),
    ("examples_are_a_function_of_their_index", CountsItsBatch(), "in pieces: tokens differ"),
    ("examples_are_a_function_of_their_index", DrawsGlobally(), "in pieces: tokens differ"),
    ("splits_seeds_and_sizes_differ", IgnoresWords(), "validation has the examples of train"),
    ("sample_depends_on_its_generator_alone", IgnoresWords(), "the second batch is the first"),
    ("sample_depends_on_its_generator_alone", DrawsGlobally(), "sample from Generator, size 1: tokens differ"),
    ("chance_is_the_best_constant_answer", HighChance(), "constant is right at 0.5.*, chance says 0.5500"),
    ("batches_have_their_shapes", Wide(), r"targets \(48, 1, 4\) torch.float64, expected torch.float32"),
    ("batches_have_their_shapes", OneChannel(), r"targets \(48, 1, 1\) .*, expected \(48, 1, 4\)"),
    ("ids_are_below_the_vocabulary", Infinite(), "a number is not finite"),
    ("targets_are_unscored_where_nothing_is_asked", HasTargetsUnasked(), "target at 0 of example 0 .* scored False"),
    ("the_rule_is_right", AlmostRight(), r"solve says \[.*\], the target is \["),
    ("the_rule_reads_tokens_alone", ReadsVectorTargets(), "looks at targets or scored"),
    ("chance_is_the_best_constant_answer", VectorChance(), "constant is right at .*, chance says"),
    ("the_cut_lies_in_the_input", CutsBehind(), "cut 2 of 1"),
    ("sizes_that_do_not_exist_are_refused", AnySize(), "check_size: size 0 is accepted"),
    ("sizes_that_do_not_exist_are_refused", SilentSize(), "lacks 'size is 0': dyck: size is 7"),
]


@pytest.mark.parametrize(("law", "task", "words"), WITNESSES, ids=[type(task).__name__ for _, task, _ in WITNESSES])
def test_a_task_that_breaks_the_law_is_caught(law, task, words):
    with pytest.raises(AssertionError, match=words):
        TASK_LAWS[law](task, (1, 2, 6))


def test_every_law_has_a_witness():
    assert {law for law, _, _ in WITNESSES} == set(TASK_LAWS)


def test_check_task_holds_every_law():
    check_task(Parity())
    for task in (SeesAhead(), HighChance(), CutsBehind()):
        with pytest.raises(AssertionError):
            check_task(task)

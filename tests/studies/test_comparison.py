"""A comparison becomes the runs that were asked for, or says why it cannot."""

import pytest

from statewise.core.errors import UsageError
from statewise.studies import PRESETS, Comparison, EvaluationConfig, RunConfig
from statewise.tasks import TASKS, IndexLookup, Text, from_identity


def test_every_combination_is_a_run_with_its_own_name():
    plan = Comparison(tasks=("parity", "dyck"), models=("gru", "mingru+attention"), seeds=(0, 1, 2)).plan()
    assert [(run.task["name"], run.model.stack, run.seed) for run in plan[:4]] == [
        ("parity", "gru", 0),
        ("parity", "gru", 1),
        ("parity", "gru", 2),
        ("parity", "mingru+attention", 0),
    ]
    assert len({run.name for run in plan}) == len(plan) == 12


def test_the_same_question_gives_the_same_names():
    names = [run.name for run in Comparison().plan()]
    assert names == [run.name for run in Comparison().plan()]
    assert not set(names) & {run.name for run in Comparison(width=33).plan()}


def test_a_configuration_survives_its_record():
    for run in Comparison(tasks=("index-lookup",), time="90s").plan():
        from statewise.core.config import to_plain

        again = RunConfig.from_plain(to_plain(run), where="test")
        assert again == run
        assert again.name == run.name


def test_every_task_has_a_preset_that_plans():
    assert set(PRESETS) == set(TASKS)
    for name in TASKS:
        assert len(Comparison(tasks=(name,)).plan()) == 9


def test_sizes_asked_for_replace_the_training_sizes_of_the_preset():
    (run,) = Comparison(tasks=("parity",), models=("gru",), seeds=(0,), sizes=(6, 10)).plan()
    assert run.training.sizes == run.evaluation.sizes == (6, 10)
    (run,) = Comparison(tasks=("parity",), models=("gru",), seeds=(0,), sizes=(6, 10), train_sizes=(4,)).plan()
    assert (run.training.sizes, run.evaluation.sizes) == ((4,), (6, 10))
    (run,) = Comparison(tasks=("parity",), models=("gru",), seeds=(0,)).plan()
    assert run.training.sizes == PRESETS["parity"].train_sizes
    assert run.evaluation.sizes == PRESETS["parity"].sizes


def test_flags_reach_the_run():
    asked = Comparison(
        tasks=("index-lookup",), models=("mingru",), seeds=(7,), sizes=(8,), steps=11, time="2m", width=24, depth=2,
        expansion=3, positions="learned", batch_size=5, learning_rates=(0.25,), settings=("alphabet=8", "queries=2"),
    )  # fmt: skip
    (run,) = asked.plan()
    assert (run.training.steps, run.training.time, run.training.batch_size) == (11, 120.0, 5)
    assert (run.training.learning_rate, run.seed) == (0.25, 7)
    assert (run.model.width, run.model.depth, run.model.expansion) == (24, 2, 3)
    assert (run.model.positions, run.model.max_length, run.model.vocabulary) == ("learned", 10, 16)
    assert (run.task["alphabet"], run.task["queries"]) == (8, 2)


def test_the_capacity_meter_runs_where_it_applies():
    strings = {run.task["name"]: run.evaluation.strings for run in Comparison(tasks=tuple(TASKS)).plan()}
    assert strings["index-lookup"] > 0
    assert {strings[name] for name in ("dyck", "parity", "text")} == {0}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"tasks": ("party",)}, "unknown task 'party': did you mean parity"),
        ({"models": ("mingrue",)}, "unknown model 'mingrue': did you mean mingru"),
        ({"models": ("mingru++attention",)}, r"stack 'mingru\+\+attention': '' is not a layer"),
        ({"sizes": (0,)}, "size is 0; it must be a positive integer"),
        ({"sizes": (-3,)}, "size is -3"),
        ({"train_sizes": (-3,)}, "size is -3"),
        ({"tasks": ("dyck",), "sizes": (7,)}, "size is 7; it must be a positive multiple of 2"),
        ({"seeds": ()}, "there are no seeds; name at least one"),
        ({"models": ()}, "there are no models"),
        ({"tasks": ()}, "there are no tasks"),
        ({"sizes": ()}, "there are no sizes"),
        ({"seeds": (1, 1)}, "seeds are named twice in 1 1"),
        ({"time": "soon"}, "time is 'soon'; write a positive number of seconds"),
        ({"time": "0s"}, "time is '0s'"),
        ({"steps": 0}, "steps is 0"),
        ({"width": 0}, "width is 0"),
        ({"positions": "sine"}, "positions is 'sine'"),
        ({"settings": ("alphabet=4",)}, "settings go with a single task, and there are 2"),
        ({"tasks": ("parity",), "settings": ("alphabet=4",)}, "has no setting 'alphabet'"),
        ({"file": ("book.txt",)}, "file is book.txt, which only the task text reads"),
        ({"tasks": ("text",), "file": "absent.txt"}, "there is no file absent.txt"),
        ({"tasks": ("text",), "file": "."}, "is a directory"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(asked, message):
    with pytest.raises(ValueError, match=message):
        Comparison(**asked).plan()


@pytest.mark.parametrize("name", PRESETS)
def test_what_was_not_asked_is_the_presets(name):
    preset = PRESETS[name]
    (run,) = Comparison(tasks=(name,), models=("gru",), seeds=(0,)).plan()
    for part, fields in (
        (run.model, ("width", "depth", "expansion", "conv", "feed_forward", "positions")),
        (
            run.training,
            (
                "steps",
                "batch_size",
                "learning_rate",
                "warmup",
                "weight_decay",
                "evaluate_every",
                "solved_at",
            ),
        ),
        (run.evaluation, ("sizes", "examples")),
    ):
        assert {field: getattr(part, field) for field in fields} == {field: getattr(preset, field) for field in fields}


def test_a_convolution_can_be_asked_for_and_left_out():
    for taps in (0, 3):
        (run,) = Comparison(tasks=("text",), models=("gru",), seeds=(0,), conv=taps).plan()
        assert run.model.conv == taps


def test_the_vocabulary_and_the_places_are_enough_for_the_largest_size_of_either_kind():
    task = IndexLookup(alphabet=8, queries=2)
    for sizes, train_sizes in (((8,), (20,)), ((20,), (8,))):
        (run,) = Comparison(
            tasks=("index-lookup",), models=("gru",), seeds=(0,), sizes=sizes, train_sizes=train_sizes,
            settings=("alphabet=8", "queries=2"),
        ).plan()  # fmt: skip
        assert (run.model.vocabulary, run.model.max_length) == (task.vocabulary(20), task.length(20))


def test_a_corpus_that_was_asked_for_is_the_one_of_the_run(tmp_path):
    (tmp_path / "corpus").write_bytes(bytes(20_000))
    (run,) = Comparison(tasks=("text",), models=("gru",), seeds=(0,), file=(str(tmp_path / "corpus"),)).plan()
    assert run.task == Text(file=str(tmp_path / "corpus")).identity()


def test_a_size_to_report_is_checked_though_others_are_trained_on():
    with pytest.raises(ValueError, match="size is 7; it must be a positive multiple of 2"):
        Comparison(tasks=("dyck",), sizes=(7,), train_sizes=(8,)).plan()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sizes": ()}, "there are no sizes; name at least one"),
        ({"sizes": (4,), "examples": 0}, "examples is 0; it must be at least 1"),
        ({"sizes": (4,), "strings": 1}, "strings is 1; it must be 0 or at least 2"),
        ({"sizes": (4,), "strings": -2}, "strings is -2"),
    ],
)
def test_an_evaluation_of_nothing_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        EvaluationConfig(**asked)


def test_step_by_step_the_task_is_one_of_traces_and_few_examples_are_run():
    (run,) = Comparison(tasks=("is-tree",), models=("gru",), seeds=(0,), sizes=(8,), answer="retrieval").plan()
    assert run.task == {"name": "retrieval", "task": {"name": "is-tree", "names": None}}
    task = from_identity(run.task)
    assert (run.model.vocabulary, run.model.max_length) == (task.vocabulary(8), task.length(8)) == (6 + 5 + 8, 295)
    assert run.evaluation.examples == 256
    assert run.title == "is-tree-by-retrieval · gru · rate 0.005 · seed 0"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Comparison(answer="search"), "unknown answer 'search': there are chain-of-thought, direct, retrieval"),
        (Comparison(tasks=("parity",), answer="retrieval"), "parity is not answered step by step; the tasks that are"),
        (
            Comparison(tasks=("index-lookup",), settings=("queries=2",), answer="retrieval"),
            "step by step there is one query",
        ),
    ],
)
def test_what_cannot_be_answered_step_by_step_is_refused(asked, message):
    with pytest.raises(UsageError, match=message):
        asked.plan()

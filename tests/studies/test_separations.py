"""What the separations plan at the published sizes, and what they read off records that are made up."""

import pytest

from statewise.bounds import best_accuracy
from statewise.report.study import verdict_of
from statewise.studies.separations import dyck, equality, heat_map, index_lookup, width
from statewise.studies.separations.contenders import RATES
from statewise.tasks import IndexLookup
from studies.made_up import result, trained, values


def test_only_attention_is_not_recurrent():
    paper = index_lookup.SCALES["paper"].contenders
    assert [each.label for each in paper if not each.recurrent] == [index_lookup.TRANSFORMER]


@pytest.mark.parametrize("study", [index_lookup, width, dyck, equality])
def test_the_published_training_is_that_of_the_paper(study):
    runs = study.plan("paper")
    assert {run.training.learning_rate for run in runs} == set(RATES) == {1e-2, 5e-3, 1e-3, 5e-4, 1e-4, 5e-5, 1e-6}
    training = {(run.training.batch_size, run.training.steps, run.training.weight_decay) for run in runs}
    assert training == {(64, 250_000, 0.0)}
    assert {(run.training.schedule, run.training.warmup) for run in runs} == {("constant", 0)}
    assert {run.evaluation.examples for run in runs} == {5000}


def test_strings_of_index_lookup_have_10_to_n_symbols_of_64():
    runs = index_lookup.plan("paper")
    assert {run.evaluation.sizes for run in runs} == {(20,), (50,), (100,), (200,), (400,)}
    assert all(run.training.sizes == tuple(range(10, run.evaluation.sizes[0] + 1)) for run in runs)
    assert {(run.task["alphabet"], run.task["queries"]) for run in runs} == {(64, 1)}
    by_stack = {}
    for run in runs:
        by_stack.setdefault(run.model.stack, set()).add((run.model.depth, run.model.width))
    assert by_stack["attention"] == {(1, 64)}
    assert {depth for depth, _ in by_stack["lstm"]} == {1, 2, 3}
    assert by_stack["mamba"] == by_stack["retention"] == {(d, w) for d in (1, 2, 4, 6) for w in (64, 128, 256)}
    heads = {run.model.mixer_settings for run in runs if run.model.stack == "attention"}
    assert heads == {("head_size=16",), ("head_size=8",)}


def test_two_layers_of_mamba_have_the_published_widths():
    runs = [run for run in width.plan("paper") if run.model.stack == "mamba"]
    assert {(run.model.depth, run.model.width) for run in runs} == {(2, w) for w in (32, 64, 256, 512, 1024)}


def test_brackets_are_as_many_as_published():
    runs = dyck.plan("paper")
    assert {run.training.sizes for run in runs} == {(20,), (50,), (100,), (200,), (400,)}
    assert all(run.training.sizes == run.evaluation.sizes for run in runs)
    shapes = {(run.model.stack, run.model.depth, run.model.width) for run in runs if run.model.stack == "attention"}
    assert shapes == {("attention", 1, 256), ("attention", 2, 64)}
    assert {run.model.width for run in runs if run.model.stack != "attention"} == {64}
    assert {(run.task["types"], run.task["depth"]) for run in runs} == {(2, 2)}


def test_both_strings_together_have_a_tenth_of_n_to_n_symbols():
    runs = equality.plan("paper")
    forms = {(run.task["form"], run.task["alphabet"]) for run in runs}
    assert forms == {("random", 2), ("one-difference", 1024), ("next-character", 1024)}
    longest = {form: max(run.evaluation.sizes[0] for run in runs if run.task["form"] == form) for form, _ in forms}
    assert longest == {"random": 200, "one-difference": 200, "next-character": 400}
    assert {run.model.width for run in runs if run.task["form"] == "next-character"} == {64}
    (sizes,) = {run.training.sizes for run in runs if run.evaluation.sizes == (200,)}
    assert sizes == tuple(range(20, 201))


@pytest.mark.parametrize("study", [index_lookup, width, dyck, equality])
def test_small_begins_with_the_longest(study):
    sizes = [run.evaluation.sizes[0] for run in study.plan("small") if run.task.get("form", "random") == "random"]
    assert sizes == sorted(sizes, reverse=True)


def attention_alone(run):
    """Attention is always right, everything else at chance."""
    return result(run.evaluation.sizes[0], 1.0 if run.model.stack == "attention" else 0.02, state_bits=512)


def test_what_attention_solves_and_recurrence_does_not_agrees(tmp_path):
    findings = index_lookup.read("small", trained(tmp_path, index_lookup.plan("small"), attention_alone))
    found = values(findings)
    assert found["accuracy at N = 200, Transformer, one layer"] == (1.0, 1.0, 1.0)
    assert found["accuracy at N = 200, LSTM"] == (0.02, 0.02, 0.02)
    assert {verdict_of(quantity) for quantity in findings.quantities} == {"agrees"}
    accuracy, bits = findings.grids
    assert accuracy.rows[0] == (index_lookup.TRANSFORMER, *["1.00 (1.00 1.00 1.00)"] * 4)
    assert bits.rows[0] == ("required of a recurrent reader", "120", "300", "600", "1,200")
    assert bits.rows[2] == ("state of LSTM", *["512"] * 4)


def test_recurrent_models_that_solve_it_differ(tmp_path):
    solved = trained(tmp_path, index_lookup.plan("small"), lambda run: result(run.evaluation.sizes[0], 1.0))
    verdicts = [verdict_of(quantity) for quantity in index_lookup.read("small", solved).quantities]
    assert verdicts == ["agrees", "differs", "differs", "differs"]


def test_the_proof_is_drawn_for_the_smallest_recurrent_state(tmp_path):
    def of(run):
        bits = {"attention": 8, "lstm": 512}.get(run.model.stack, 9000)
        return result(run.evaluation.sizes[0], 0.5, state_bits=bits)

    (chart,) = index_lookup.read("small", trained(tmp_path, index_lookup.plan("small"), of)).charts
    proved = chart.curves[-1]
    assert proved.label == "proved limit of 512 bits, the smallest recurrent state"
    task = IndexLookup(alphabet=64, queries=48)
    assert proved.points[-1] == (200.0, (best_accuracy(task, 200, 512).value,))
    assert proved.points[0] == (20.0, (1.0,))
    assert proved.points[-1][1][0] < 0.7


def test_the_setting_is_chosen_on_the_validation_split(tmp_path):
    def of(run):
        slow = run.training.learning_rate == 1e-3
        return result(run.evaluation.sizes[0], 1.0 if slow else 0.5, validated=2.0 if slow else 1.0)

    found = values(dyck.read("small", trained(tmp_path, dyck.plan("small"), of)))
    assert found["accuracy at N = 40, LSTM"] == (0.5, 0.5, 0.5)


def test_a_setting_that_breaks_a_seed_is_not_chosen(tmp_path):
    def of(run):
        fast = run.training.learning_rate == 3e-3
        if fast and run.seed == 2:
            return None
        return result(run.evaluation.sizes[0], 0.9 if fast else 0.7, validated=0.1 if fast else 1.0)

    findings = dyck.read("small", trained(tmp_path, dyck.plan("small"), of))
    assert values(findings)["accuracy at N = 40, Mamba"] == (0.7, 0.7, 0.7)
    assert any("diverged, and is left out" in note for note in findings.notes)


def test_one_layer_is_compared_with_two_after_as_many_steps(tmp_path):
    def of(run):
        return result(run.evaluation.sizes[0], 0.6 if run.model.depth == 1 and run.model.stack == "attention" else 0.99)

    findings = dyck.read("small", trained(tmp_path, dyck.plan("small"), of))
    verdicts = {quantity.name: verdict_of(quantity) for quantity in findings.quantities}
    assert values(findings)["accuracy at N = 40, two layers minus one"] == pytest.approx((0.39,) * 3)
    assert verdicts["accuracy at N = 40, two layers minus one"] == "agrees"
    assert verdicts["accuracy at N = 40, LSTM"] == "agrees"
    struggles = verdicts["accuracy at N = 40, Transformer, one layer"]
    assert struggles == "not comparable: the paper says that it struggles above N = 100, and N is 40"


def test_the_theorem_stands_where_its_number_goes(tmp_path):
    findings = dyck.read("small", trained(tmp_path, dyck.plan("small"), lambda run: result(40, 0.5)))
    _, bits, size = findings.grids
    assert bits.rows[0] == ("required of a recurrent reader", "2.6", "2.6")
    assert size.rows == (
        ("required, Theorem 5 (at least)", "0.17", "0.35"),
        ("Transformer, one layer", "256", "256"),
    )


def test_width_is_read_seed_by_seed(tmp_path):
    by_width = {8: 0.1, 16: 0.2, 32: 0.3, 64: 0.35, 128: 0.5}

    def of(run):
        if run.model.stack == "attention":
            return result(100, 0.98)
        return result(100, by_width[run.model.width] - (0.1 if run.seed == 1 and run.model.width == 64 else 0.0))

    findings = width.read("small", trained(tmp_path, width.plan("small"), of))
    found = values(findings)
    assert found["least change of accuracy to the next width, N = 100"] == pytest.approx((0.05, -0.05, 0.05))
    assert found["accuracy of the widest minus the narrowest, N = 100"] == pytest.approx((0.4,) * 3)
    assert found["accuracy of one attention layer minus the widest Mamba, N = 100"] == pytest.approx((0.48,) * 3)
    (grid,) = findings.grids
    assert grid.rows[0] == ("", "", "required: 600")
    assert grid.rows[1] == ("8", "4,096", "0.10 (0.10 0.10 0.10)")
    (chart,) = findings.charts
    assert [(mark.label, mark.at) for mark in chart.marks] == [
        ("Transformer, one layer of width 64, N = 100", pytest.approx(0.98))
    ]


def test_a_width_that_did_not_finish_leaves_no_claim(tmp_path):
    def of(run):
        return None if run.model.width == 32 else result(100, 0.5)

    assert all(
        found == () for found in values(width.read("small", trained(tmp_path, width.plan("small"), of))).values()
    )


def test_equality_counts_whole_strings_where_they_are_written_out(tmp_path):
    runs = equality.plan("small")
    findings = equality.read("small", trained(tmp_path, runs, lambda run: result(20, 0.99, whole=0.25)))
    found = values(findings)
    assert found["random, accuracy at N = 40, Transformer"] == (0.99,) * 3
    assert found["next-character, accuracy at N = 40, Transformer"] == (0.25,) * 3
    verdicts = {quantity.name: verdict_of(quantity) for quantity in findings.quantities}
    assert verdicts["random, accuracy at N = 40, Transformer"] == "agrees"
    assert verdicts["next-character, accuracy at N = 40, Transformer"] == "differs"
    assert verdicts["next-character, accuracy at N = 40, LSTM"] == "–"
    failing = verdicts["random, accuracy at N = 40, LSTM"]
    assert failing == "not comparable: the paper says that it fails above N = 100, and N is 40"


def test_the_bits_of_equality_belong_to_its_form(tmp_path):
    findings = equality.read("small", trained(tmp_path, equality.plan("small"), lambda run: result(20, 0.5)))
    required = {grid.title: grid.rows[0][1:] for grid in findings.grids if "bits" in grid.title}
    assert required == {
        "random: bits after the first string, 2 symbols": ("10", "20"),
        "one-difference: bits after the first string, 16 symbols": ("4", "4"),
        "next-character: bits after the first string, 16 symbols": ("40", "80"),
    }
    (random,) = [grid for grid in findings.grids if grid.title.startswith("random: bits")]
    assert random.rows[1][0] == "width × heads of one attention layer"


def test_cells_keep_every_seed():
    assert heat_map.spread((0.5,)) == "0.50 (0.50)"

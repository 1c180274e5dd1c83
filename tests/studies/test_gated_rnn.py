"""The probes of the gated-RNN studies, on students whose insides are known, and what the studies read off losses."""

import dataclasses

import pytest
import torch

from statewise.constructions.gated_attention import to_gated_lru
from statewise.core.config import to_plain
from statewise.core.errors import RunError
from statewise.mixers import LinearAttention
from statewise.models import VectorModel
from statewise.runs import Record, Result
from statewise.runs.findings import Curve
from statewise.runs.record import Validation
from statewise.runs.store import RunStore
from statewise.studies.best_setting import at_best_setting
from statewise.studies.gated_rnn import in_context, teacher
from statewise.studies.gated_rnn.bare_layer import bare_layer, bare_run, gated_layer, units_of
from statewise.studies.gated_rnn.polynomial import distance, polynomial_of
from statewise.studies.gated_rnn.probes import decays, states_of, unexplained, without_units
from statewise.studies.study import Trained
from statewise.tasks import LinearAttentionTeacher

TASK = LinearAttentionTeacher()


def exact_student(task=TASK, *, units=14):
    """The teacher as a bare layer: E writes x into the first d channels, the layer answers in the last d, H reads them.

    units  of the layer, at least 14; those beyond the construction hold noise of a middling decay that nobody reads
    """
    query, key, value = task.weights
    attention = LinearAttention(4).double()
    with torch.no_grad():
        attention.query_key_value.weight.copy_(torch.cat([query, key, value]))
        attention.output.weight.copy_(torch.eye(4))
    gated = to_gated_lru(attention, form="compact")
    config = dataclasses.asdict(gated_layer(task, units))
    config["mixer_settings"] = (f"units={units}", "constant=True", f"outputs={gated.outputs}")
    model = VectorModel(**config)
    layer = model.blocks[0].mixer
    with torch.no_grad():
        model.embedding.weight.copy_(torch.eye(8)[:, :4])
        model.embedding.bias.zero_()
        model.head.weight.copy_(torch.eye(8)[4:])
        layer.decay.fill_(0.5)[:14].copy_(gated.decay)
        for name in ("write", "write_gate"):
            weight = getattr(layer, name).weight
            weight[:14].zero_()
            weight[:14, :4], weight[:14, 8:] = getattr(gated, name).weight.split([4, 1], 1)
        for name in ("read", "read_gate"):
            weight = getattr(layer, name).weight
            weight.zero_()
            weight[:, :14] = getattr(gated, name).weight
        layer.output.weight.zero_()
        layer.output.weight[4:] = gated.output.weight
    return model


def test_an_exact_student_is_seen_to_be_its_teacher():
    found = teacher.open_student(exact_student(units=20), TASK, 16, 0)
    assert found[teacher.PRUNED] == 1
    assert [found[name] for name in (teacher.KEPT, teacher.PASSING, teacher.BETWEEN)] == [10, 4, 6]
    assert max(found[teacher.MEMORY_SCORE], found[teacher.QUERY_SCORE]) < 1e-11
    for name in (teacher.POLYNOMIAL, teacher.FORM, teacher.VALUES, teacher.SCORES, teacher.RESIDUAL):
        assert found[name] < 1e-5, name


def test_another_teachers_student_is_far_away():
    found = teacher.open_student(exact_student(LinearAttentionTeacher(teacher=1)), TASK, 16, 0)
    for name in (teacher.POLYNOMIAL, teacher.FORM, teacher.VALUES, teacher.SCORES):
        assert found[name] > 0.1, name
    assert found[teacher.RESIDUAL] < 1e-5


def test_without_a_unit_of_the_construction_the_answers_and_the_probes_change():
    model, dropped = exact_student(), torch.arange(14) == 0
    tokens = TASK.examples("test", seed=0, start=0, count=8, size=16).tokens
    lamed = without_units(model, dropped)
    assert not torch.allclose(lamed(tokens)[0], model(tokens)[0], atol=0.1)
    _, key, value = (tokens.double() @ weight.mT for weight in TASK.weights)
    held = (value[..., :, None] * key[..., None, :]).cumsum(1).flatten(-2)
    states, memory = states_of(model, tokens), decays(model) == 1
    assert unexplained(states[..., memory], held) < 1e-11
    assert unexplained(states[..., memory & ~dropped], held) > 1e-3


def test_a_polynomial_is_found_and_another_degree_is_refused():
    found = polynomial_of(lambda x: (x[:, :1] ** 2 - 3 * x[:, 1:]).repeat(1, 2), 2, 3)
    assert found[0, 0].tolist() == pytest.approx([1, 1])
    assert found[(1,)].tolist() == pytest.approx([-3, -3])
    assert found[()].abs().max() < 1e-9
    with pytest.raises(RunError, match="the map is no polynomial of degree 3"):
        polynomial_of(lambda x: x.sin(), 2, 3)


def test_the_distance_counts_monomials_that_one_lacks():
    one = torch.ones(2)
    assert distance({(0,): one}, {(1,): one}) == pytest.approx(2**0.5)


def test_a_layer_that_steps_down_the_gradient_has_its_rate_as_coefficient():
    model = VectorModel(**dataclasses.asdict(bare_layer(in_context.TASK, "linear-attention")))
    layer = model.blocks[0].mixer
    with torch.no_grad():
        for weight in (layer.query_key_value.weight, layer.output.weight):
            weight.zero_()
        model.embedding.weight.copy_(torch.eye(9)[:, :6])
        model.embedding.bias.zero_()
        model.head.weight.copy_(torch.eye(9)[6:])
        query, key, value = layer.query_key_value.weight.split(9)
        query[:3, :3] = key[:3, :3] = torch.eye(3)
        value[:3, 3:6] = in_context.RATE * torch.eye(3)
        layer.output.weight[6:, :3] = torch.eye(3)
    once = in_context.coefficients(model, in_context.single_token(model), in_context.single_monomials())
    after = in_context.coefficients(model, in_context.pair_and_query(model), in_context.paired_monomials())
    assert once == pytest.approx((in_context.RATE, 0), abs=1e-6)
    assert after[0] == pytest.approx(in_context.RATE)


def test_the_derived_numbers_are_those_of_the_notes():
    assert round(in_context.RATE, 4) == 0.0676
    assert round(in_context.LEFT, 3) == 0.189
    assert (in_context.SPARSE_UNITS, teacher.compact_units(4)) == (12, 14)


def test_the_ladder_holds_the_constructions_size_and_the_papers():
    small = teacher.SCALES["small"]
    assert {14, 100} <= set(small.ladder)
    assert sorted({units_of(run) for run in teacher.plan("small")}) == sorted(small.ladder)


def test_the_size_that_learns_is_asked_of_every_seed():
    curve = Curve(label="", points=((7.0, (1.0, 1.0, 1.0)), (14.0, (1e-5, 1.0, 1e-2)), (28.0, (1e-6, 1e-5, 1e-2))))
    assert teacher.smallest_learnt(curve, 3) == (14.0, 28.0)


def trained_at(tmp_path, losses):
    """Records of runs with these validation losses, by (rate, seed); None did not finish."""
    runs, records = [], []
    for (rate, seed), loss in losses.items():
        run = bare_run(TASK, 8, gated_layer(TASK, 4), steps=1, rate=rate, seed=seed)
        result = Result(
            size=8, loss=9.0, token_accuracy=None, sequence_accuracy=None, sequences=1, state_bits=1, counter_bits=0,
            validation=Validation(loss=loss or 0.0, token_accuracy=None, sequence_accuracy=None),
        )  # fmt: skip
        runs.append(run)
        status = "diverged" if loss is None else "finished"
        records.append(Record(config=to_plain(run), status=status, because="", results=(result,)))
    return Trained(RunStore(tmp_path), records), runs


def test_the_rate_is_chosen_on_validation_and_one_that_breaks_a_seed_is_not(tmp_path):
    trained, runs = trained_at(tmp_path, {(1e-3, 0): 0.5, (1e-3, 1): 0.5, (1e-2, 0): 0.1, (1e-2, 1): 0.2})
    assert {run.training.learning_rate for run in at_best_setting(trained, runs)} == {1e-2}
    trained, runs = trained_at(tmp_path, {(1e-3, 0): 0.5, (1e-3, 1): 0.5, (1e-2, 0): 0.1, (1e-2, 1): None})
    assert {run.training.learning_rate for run in at_best_setting(trained, runs)} == {1e-3}

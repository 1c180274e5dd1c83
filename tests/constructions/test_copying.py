import pytest
import torch

from statewise.constructions import copying
from statewise.constructions.construction import Construction
from statewise.constructions.directions import blank
from statewise.core import UsageError
from statewise.models import LanguageModel
from statewise.tasks import Copy


@pytest.mark.parametrize(("size", "alphabet"), [(1, 2), (4, 2), (5, 3), (3, 5), (8, 4), (3, 16)])
def test_every_string_of_every_size_is_copied(size, alphabet):
    construction = copying.recurrent(size, alphabet=alphabet)
    for smaller in range(1, size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first


@pytest.mark.parametrize("alphabet", [2, 14, 64])
def test_the_longest_strings_are_copied(alphabet):
    construction = copying.recurrent(copying.MOST_SLOTS, alphabet=alphabet)
    for size in (1, 2, 16, 22, 23):
        verification = construction.verify(size, examples=256)
        assert verification.exact, verification.first


@pytest.mark.parametrize("size", [1, 6, copying.MOST_SLOTS])
def test_one_symbol_more_is_one_too_many(size):
    construction = copying.recurrent(size)
    assert construction.fails_at == size + 1
    assert construction.verify(size + 1).mistakes > 0


@pytest.mark.parametrize("layout", ["mamba", "minrnn"])
@pytest.mark.parametrize(("data", "symbols"), [(1, 2), (3, 3), (5, 2)])
def test_every_string_of_data_at_every_choice_of_places_is_copied(data, symbols, layout):
    construction = copying.mingru(7, data=data, symbols=symbols, layout=layout)
    assert construction.sizes == (data if layout == "minrnn" else 1, 7)
    for size in range(construction.sizes[0], 8):
        verification = construction.verify(size)
        assert verification.exhaustive
        assert verification.exact, verification.first


@pytest.mark.parametrize("layout", ["mamba", "minrnn"])
@pytest.mark.parametrize("data", [16, copying.MOST_SLOTS])
def test_blanks_cost_nothing(data, layout):
    verification = copying.mingru(2000, data=data, layout=layout).verify(examples=16)
    assert verification.exact, verification.first


def test_slots_hold_zeros_and_ones_exactly():
    """So that what is claimed of a string holds for every string."""
    slots = copying.MOST_SLOTS
    construction = copying.mingru(40, data=slots, symbols=14, layout="minrnn")
    model, batch = construction.model, construction.task.examples("test", seed=0, start=0, count=64, size=40)
    state = model.initial_state(64)
    for token in batch.tokens.T:
        _, state = model.step(token, state)
        held = state.blocks[1].mixer.hidden[:, : slots * 5].unflatten(1, (slots, 5))
        assert ((held == 0) | (held == 1)).all()
    # After the last marker only the last slot stands.
    assert not held[:, :-1].any()
    assert held[:, -1, -1].all()


def test_the_size_is_what_is_claimed():
    construction = copying.mingru(8)
    mixer = construction.model.blocks[1].mixer
    assert construction.model.config.width == 4 + 3
    assert int((mixer.output.weight != 0).any(0).sum()) == 16 * (4 + 1)
    assert "80 = m·(⌈log2 k⌉ + 1) units" in construction.claim


@pytest.mark.parametrize("unit", range(11))
def test_each_unit_that_holds_is_needed(unit):
    """Only `taken` of the last slot is not counted in: with nothing behind it, it breaks ties between sums of 0."""
    construction = copying.recurrent(4, alphabet=4)
    with torch.no_grad():
        construction.model.blocks[1].mixer.output.weight[:, unit] = 0
    assert construction.verify().mistakes > 0


@pytest.mark.parametrize("unit", range(2))
def test_each_counter_is_needed(unit):
    construction = copying.recurrent(4, alphabet=4)
    with torch.no_grad():
        construction.model.blocks[0].mixer.output.weight[:, unit] = 0
    assert construction.verify().mistakes > 0


def test_where_two_counts_are_one_number_it_fails(monkeypatch):
    """In float32 1 − 2^−25 and 1 − 2^−26 are both 1, so slot 25 cannot tell its datum from the next."""
    monkeypatch.setattr(copying, "MOST_SLOTS", 26)
    assert copying.recurrent(26, alphabet=2).verify(examples=64).mistakes > 0


def test_eight_digits_are_enough_for_seven_slots_and_not_for_ten():
    few, many = copying.recurrent(7, alphabet=2), copying.recurrent(10, alphabet=2)
    few.model.bfloat16()
    many.model.bfloat16()
    assert few.verify().exact
    assert many.verify().mistakes > 0


def test_one_layer_copies_too_by_a_vandermonde_code():
    """Two layers are not needed in exact arithmetic: the reason why no bound is printed."""
    verification = one_layer(3).verify()
    assert (verification.inputs, verification.exhaustive) == (8, True)
    assert verification.exact, verification.first


def one_layer(size):
    """m² units, each with a decay at data and one at markers; the head solves for the p-th symbol at marker p."""
    grid = torch.linspace(0.2, 0.8, size, dtype=torch.float64)
    at_data, at_markers = (each.flatten() for each in torch.meshgrid(grid, grid, indexing="ij"))
    places = torch.arange(1, size + 1)
    marker, datum = (each.flatten() for each in torch.meshgrid(places, places, indexing="ij"))
    held = at_markers ** marker[:, None] * at_data ** (size - datum[:, None]) * (1 - at_data)
    weights = torch.linalg.solve(held, (marker == datum).to(torch.float64))
    task, units = Copy(alphabet=2), size**2
    model = LanguageModel(
        vocabulary=3,
        width=2,
        stack="mingru",
        expansion=-(-units // 2),
        feed_forward=0,
        norm="none",
        mixer_settings=("activation=identity",),
    ).double()
    blank(model)
    mixer = model.blocks[0].mixer
    with torch.no_grad():
        model.embedding.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        mixer.projection.bias[:units] = torch.logit(1 - at_data)
        mixer.projection.weight[:units, 1] = torch.logit(1 - at_markers) - torch.logit(1 - at_data)
        mixer.projection.weight[mixer.units : mixer.units + units, 0] = 1
        mixer.output.weight[0, :units] = weights
        model.head.weight[:2, 0] = torch.tensor([-1.0, 1.0])
    return Construction(
        name="copy/one-layer",
        model=model.eval(),
        task=task,
        sizes=(size, size),
        precision=torch.float64,
        claim=f"{units} units",
        source="a test",
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: copying.recurrent(0), r"copy/recurrent: size is 0; it must be in \[1, 23\]: float32 has no digits"),
        (lambda: copying.recurrent(24), r"copy/recurrent: size is 24; it must be in \[1, 23\]"),
        (lambda: copying.recurrent(4, alphabet=1), "copy: alphabet is 1; it must be at least 2"),
        (lambda: copying.mingru(4, data=24), r"selective-copying/mingru\*2: data is 24; it must be in \[1, 23\]"),
        (lambda: copying.mingru(4, data=0), "selective-copying: data is 0"),
        (lambda: copying.mingru(0), "selective-copying: size is 0; it must be a positive integer"),
        (lambda: copying.mingru(4, data=5, layout="minrnn"), "size is 4; it must be at least 5"),
        (lambda: copying.mingru(4, layout="mambo"), "layout is 'mambo'; it must be one of mamba, minrnn"),
    ],
)
def test_what_cannot_be_built_is_refused(build, message):
    with pytest.raises(UsageError, match=message):
        build()

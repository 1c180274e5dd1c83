"""Mixers from outside the repository: registered under a name, or found at a dotted path."""

import pytest

from statewise.core import UsageError
from statewise.mixers import MIXERS, MinGRU, Mixer, ScanMixer, find_mixer, register
from statewise.models import LanguageModel, parse_stack


class Leaky(ScanMixer):
    projections = 2

    def decay_and_drive(self, gate, candidate):
        return gate.sigmoid(), candidate.tanh()


class Undecided(Mixer):
    def forward(self, x, state=None, *, reset=None): ...

    def step(self, x, state): ...

    def initial_state(self, batch_size, *, device=None, dtype=None): ...


@pytest.fixture(autouse=True)
def _registry_as_it_was():
    kept = dict(MIXERS)
    yield
    MIXERS.clear()
    MIXERS.update(kept)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of a user's, in a folder that is looked into."""
    (tmp_path / "a_users_module.py").write_text(
        "from statewise.mixers import MinGRU, ScanMixer\n"
        "class Leaky(ScanMixer):\n"
        "    projections = 2\n"
        "    def decay_and_drive(self, gate, candidate):\n"
        "        return gate.sigmoid(), candidate.tanh()\n"
        "class Größe(Leaky): pass\n"
        "number = 3\n"
    )
    (tmp_path / "a_broken_module.py").write_text("raise RuntimeError('two\\nlines')")
    (tmp_path / "an_empty_module.py").touch()
    monkeypatch.syspath_prepend(tmp_path)


def test_a_registered_name_can_be_written_in_a_stack():
    register("leaky-2", Leaky)
    assert find_mixer("leaky-2") is Leaky
    assert parse_stack("leaky-2*2+mingru") == ("leaky-2", "leaky-2", "mingru")
    assert isinstance(LanguageModel(vocabulary=3, width=4, stack="leaky-2").blocks[0].mixer, Leaky)


@pytest.mark.parametrize("name", ["", "Leaky", "2leaky", "leaky_2", "leaky+", "a.b", "leaky*2", " leaky"])
def test_a_malformed_name_is_refused(name):
    with pytest.raises(UsageError, match="is no name for a mixer; write small letters, digits and -, a letter first"):
        register(name, Leaky)


def test_a_taken_name_is_refused_and_keeps_its_mixer():
    with pytest.raises(UsageError, match="register: the name 'mingru' is taken; choose another"):
        register("mingru", Leaky)
    assert MIXERS["mingru"] is MinGRU


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (dict, "register 'new': dict is not a subclass of statewise.mixers.Mixer"),
        (Leaky(4), "register 'new': an object of type Leaky is not a subclass of"),
        (Mixer, "register 'new': Mixer does not define forward, initial_state, step, recurrent, non_negative_decay"),
        (ScanMixer, "register 'new': ScanMixer does not define decay_and_drive"),
        (Undecided, "register 'new': Undecided does not define recurrent, non_negative_decay"),
    ],
)
def test_a_class_that_is_not_a_finished_mixer_is_refused(cls, message):
    with pytest.raises(UsageError, match=message):
        register("new", cls)
    assert "new" not in MIXERS


@pytest.mark.usefixtures("module")
def test_a_dotted_path_can_be_written_in_a_stack():
    text = "a_users_module.Leaky*2 + attention+a_users_module.Größe"
    assert parse_stack(text) == ("a_users_module.Leaky", "a_users_module.Leaky", "attention", "a_users_module.Größe")
    model = LanguageModel(vocabulary=3, width=4, stack=text, depth=2)
    assert [type(block.mixer).__name__ for block in model.blocks] == ["Leaky", "Leaky", "Attention", "Größe"] * 2
    assert "a_users_module.Leaky" not in MIXERS


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "no_such_module.Mixer",
            "importing no_such_module failed: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("a_users_module.sub.Mixer", "importing a_users_module.sub failed: ModuleNotFoundError"),
        ("a_broken_module.Mixer", "importing a_broken_module failed: RuntimeError: two lines$"),
        ("a_users_module.Leeky", r"a_users_module.py has no 'Leeky': did you mean Leaky\?"),
        ("an_empty_module.Leaky", "an_empty_module.py has no 'Leaky'; no mixer is in it"),
        ("a_users_module.number", "an object of type int is not a subclass of statewise.mixers.Mixer"),
        ("a_users_module.ScanMixer", "ScanMixer does not define decay_and_drive"),
        ("builtins.dict", "dict is not a subclass of statewise.mixers.Mixer"),
    ],
)
def test_a_path_that_leads_to_no_mixer_is_refused_in_one_line(path, message):
    with pytest.raises(UsageError, match=message) as caught:
        parse_stack(f"mingru+{path}*2")
    assert str(caught.value).startswith(f"model '{path}': ")
    assert "\n" not in str(caught.value)

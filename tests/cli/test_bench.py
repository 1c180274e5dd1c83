"""statewise bench decode: the table and its findings, what follows from seconds, and what cannot be asked."""

import io
import re
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from statewise.cli import main
from statewise.cli.bench_table import Cell, Timed, findings, table_of
from statewise.cli.console import WIDTH_OF_A_PIPE
from statewise.studies.decode.contenders import MAMBA, Contender, contenders_of
from statewise.studies.decode.decoder import OurDecoder, state_bytes_at
from statewise.studies.decode.measuring import GENERATED, Place, reached, time_generate, time_rounds, weigh
from statewise.studies.decode.ratios import crossover, flatness, paired, times_as_fast
from statewise.studies.equal_parameters import count_parameters

TINY = ["--parameters", "20000", "--rounds", "1", "--threads", "1", "--batches", "2"]


def contender(label, architecture="statewise"):
    return (
        next(each for each in contenders_of([label], 20_000, transformers=False))
        if architecture == "statewise"
        else (Contender(label="transformers mamba", config=contender("mamba").config, architecture=architecture))
    )


def made_up(**seconds):
    """One batch of made-up seconds: recurrent 1 ms flat, attention as given, their Mamba as given."""
    rows = {"mingru": contender("mingru"), "attention": contender("attention"), "theirs": contender("", MAMBA)}
    rounds = {rows[name].label: each for name, each in seconds.items()}
    cells = [Cell(contender=rows[name], position=at, parameters=7, state=9) for name in seconds for at in seconds[name]]
    return Timed(batch=4, cells=cells, rounds=rounds)


@pytest.mark.parametrize(
    ("recurrent", "attention", "expected"),
    [
        ({0: [2.0], 100: [2.0]}, {0: [1.0], 100: [5.0]}, 25.0),
        ({64: [1.0], 256: [1.0]}, {64: [2.0], 256: [3.0]}, 64.0),
        ({64: [3.0], 256: [3.0]}, {64: [1.0], 256: [2.0]}, None),
        ({64: [2.0], 256: [2.0], 512: [2.0]}, {64: [3.0], 256: [1.0], 512: [3.0]}, 384.0),
        ({64: [1.0]}, {128: [2.0]}, None),
    ],
)
def test_the_crossover_is_where_the_last_advantage_begins(recurrent, attention, expected):
    assert crossover(recurrent, attention) == expected


def test_ratios_are_of_one_round_each():
    # The machine became ten times slower in the second round, and for both.
    assert paired([2.0, 20.0, 2.2], [1.0, 10.0, 1.0]) == 2.0
    assert flatness({64: [1.0, 10.0], 256: [1.5, 15.0]}) == (64, 256, 1.5)
    assert flatness({64: [1.0]}) is None
    assert times_as_fast({64: [1.0], 9: [1.0]}, {64: [4.0]}) == {64: 4.0}


def test_findings_name_the_crossover_and_whether_goals_are_met():
    timed = made_up(
        mingru={64: [0.001], 256: [0.00104]}, attention={64: [0.0005], 256: [0.002]}, theirs={64: [0.002], 256: [0.002]}
    )
    said = list(findings([timed]))
    assert any(
        re.search(r"batch 4: mingru is faster than attention from position 1\d\d on \(crossover\)", x) for x in said
    )
    assert any("1.040 × the time of one at 64; goal at most 1.05: met" in line for line in said)
    assert any("1.96 × the tokens/s of transformers mamba" in line and line.endswith("missed") for line in said)


def test_a_slope_of_a_recurrent_step_is_a_goal_missed():
    said = list(findings([made_up(mingru={64: [1.0], 256: [1.06]}, theirs={64: [4.0]})]))
    assert said[0].endswith("goal at most 1.05: missed")
    assert "4.00 ×" in said[1]
    assert said[1].endswith("met")


def test_what_is_left_out_stands_in_the_table_with_its_reason():
    timed = made_up(mingru={64: [0.001]})
    timed.cells.append(Cell(contender=contender("attention"), position=64, skipped="too large"))
    columns = [list(column.cells) for column in table_of([timed]).columns]
    assert columns[4] == ["4,000", "–"]
    assert columns[-1] == ["read", "left out: too large"]


def test_a_long_reason_does_not_cut_a_number():
    timed = made_up(mingru={64: [0.001]}, attention={64: [0.001]})
    label = "mingru*12+attention"
    timed.cells[0] = replace(timed.cells[0], contender=replace(timed.cells[0].contender, label=label))
    timed.rounds[label] = {65_536: [0.001]}
    timed.cells[0] = replace(timed.cells[0], position=65_536, parameters=1_012_800, state=18_876_144)
    timed.cells.append(
        Cell(contender=contender("attention"), position=64, skipped="state of 1,120 MiB is above --memory")
    )
    page = io.StringIO()
    Console(file=page, width=WIDTH_OF_A_PIPE).print(table_of([timed]))
    assert re.search(r"mingru\*12\+attention +1,012,800 +65,536 .* 18,876,144 ", page.getvalue())


def test_contenders_have_equal_parameters():
    found = contenders_of(["mingru*2", "mamba*3", "mingru+attention", "attention*2"], 200_000, transformers=True)
    assert [each.kind for each in found] == ["recurrent", "recurrent", "hybrid", "attention", "recurrent", "attention"]
    assert all(abs(count_parameters(each.config) / 200_000 - 1) < 0.1 for each in found)


@pytest.mark.parametrize("stack", ["mingru", "mamba", "mingru+attention"])
def test_a_state_that_is_filled_or_repeated_is_as_large_as_one_that_was_read(stack):
    decoder = OurDecoder(contender(stack).config)
    with torch.inference_mode():
        token, state = decoder.read(torch.zeros(1, 9, dtype=torch.int64))
        many = decoder.repeated(state, 3)
        after, _ = decoder.step(token.repeat(3), many)
        filled = decoder.filled(3, 9)
        decoder.step(token.repeat(3), filled)
        assert after.tolist() == decoder.step(token, state)[0].tolist() * 3
    sizes = {decoder.state_bytes(each) for each in (state, many, filled)}
    assert sizes == {state_bytes_at(contender(stack).config, 9)}


@pytest.mark.parametrize("architecture", ["mamba", "llama"])
def test_models_of_transformers_go_back_to_a_position(architecture):
    pytest.importorskip("transformers")
    from statewise.hf.decoding import quiet, their_decoder

    quiet()
    ours = contender("mamba" if architecture == "mamba" else "attention")
    theirs = their_decoder(architecture, ours.config)
    assert abs(theirs.parameters / count_parameters(ours.config) - 1) < 0.05
    with torch.inference_mode():
        token, state = theirs.read(torch.zeros(1, 9, dtype=torch.int64))
        many = theirs.repeated(state, 3)
        size = theirs.state_bytes(many)
        theirs.step(token.repeat(3), many)
        assert theirs.state_bytes(theirs.back_at(many, 9)) == size
        if architecture == "llama":
            assert theirs.state_bytes(theirs.filled(3, 9)) == size


def test_their_mamba_is_ours():
    pytest.importorskip("transformers")
    from statewise.hf.decoding import quiet, their_decoder

    quiet()
    config = contender("mamba").config
    ours, theirs, prompt = OurDecoder(config), their_decoder("mamba", config), torch.arange(9)[None]
    with torch.inference_mode():
        (token, state), (other, cache) = ours.read(prompt), theirs.read(prompt)
        for _ in range(5):
            assert token.item() == other.item()
            (token, state), (other, cache) = ours.step(token, state), theirs.step(other, cache)
        assert ours.generate(prompt, 6).tolist() == theirs.generate(prompt, 6).tolist()


def test_how_a_position_is_reached():
    recurrent, attention = OurDecoder(contender("mingru").config), OurDecoder(contender("attention").config)
    with torch.inference_mode():
        ways = [
            reached(decoder, grows=grows, batch=batch, position=position, limit=8)[1]
            for decoder, grows, batch, position in [
                (recurrent, False, 1, 8), (recurrent, False, 2, 8), (recurrent, False, 2, 9), (attention, True, 1, 9),
            ]
        ]  # fmt: skip
        whole = weigh(attention, grows=True, batch=2, position=4, limit=8, held=0)
        part = weigh(attention, grows=True, batch=2, position=5, limit=8, held=0)
    assert ways == ["read", "repeated", "shorter", "zeros"]
    assert whole["first"] > 0
    assert part["first"] is None
    assert (whole["how"], part["how"]) == ("read", "repeated")
    assert whole["peak"] > 0


def test_every_place_is_timed_in_every_round():
    decoder = OurDecoder(contender("mingru").config)
    with torch.inference_mode():
        places = [Place("a", at, decoder, decoder.filled(1, at)) for at in (1, 2)]
        found = time_rounds(places, batch=1, rounds=2)
    assert {at: len(each) for at, each in found["a"].items()} == {1: 2, 2: 2}


def test_generate_is_timed_without_its_prompt(monkeypatch):
    class Slow:
        def generate(self, tokens, length):
            clock.append(clock[-1] + tokens.shape[1] * 10.0 + length * tokens.shape[0])

    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[-1])
    assert time_generate({"a": Slow()}, batch=2, position=5, rounds=3) == {"a": [2.0, 2.0, 2.0]}


def test_findings_compare_the_calls_that_users_make():
    timed = made_up(mingru={64: [0.001]}, attention={64: [0.002]}, theirs={64: [0.002]})
    timed = replace(timed, generated={"mingru": [0.004, 0.04, 0.004], "transformers mamba": [0.016, 0.16, 0.016]})
    said = list(findings([timed]))
    assert said[-2] == (
        f"batch 4: mingru: 1,000 tokens/s by generate, {GENERATED} tokens after a short prompt, "
        "4.00 × transformers mamba"
    )
    assert said[-1].startswith("batch 4: transformers mamba: 250 tokens/s by generate")
    assert " × " not in said[-1]


def test_the_command_prints_table_and_findings(capfd):
    arguments = [*TINY, "--positions", "4", "16", "--models", "mingru", "attention", "--no-transformers"]
    assert main(["bench", "decode", *arguments, "--read-slowly", "8"]) == 0
    said = capfd.readouterr().out
    assert re.search(r"2 +mingru +\d\d,\d{3} +4 +[\d,]+ ", said)
    assert "goal at most 1.05" in said
    assert "faster than attention" in said
    assert re.search(r"mingru: [\d,]+ tokens/s by generate", said)
    assert "Context zeros: a cache of zeros" in said


BAD = {
    "no position": (["--positions", "0"], "positions is (0,); it needs numbers of at least 1, each once"),
    "twice": (["--batches", "2", "2"], "batches is (2, 2)"),
    "rounds": (["--rounds", "0"], "rounds is 0; it must be at least 1"),
    "stack": (["--models", "nothing"], "unknown model 'nothing'"),
    "same stack": (["--models", "gru", "gru"], "name at least one stack, and none twice"),
    "too small": (["--parameters", "5"], "cannot have 5 parameters"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_measured_is_one_line(case, capsys):
    arguments, part = BAD[case]
    assert main(["bench", "decode", *arguments]) == 2
    said = capsys.readouterr().err
    assert part in said
    assert said.count("\n") == 1

"""The page: whole, self-contained, escaped; its figures drawn from the same rows."""

import html.parser
import importlib
import io
import re
import xml.etree.ElementTree
from dataclasses import replace

import pytest
from rich.console import Console

from statewise.core.optional import require
from statewise.report import render, summarise, write_page
from statewise.report.figures import Marker, draw_all, svg
from statewise.tasks import IndexLookup, Parity, Text


class Links(html.parser.HTMLParser):
    """Everything that a browser would fetch or run."""

    def __init__(self):
        super().__init__()
        self.found, self.tags = [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]


@pytest.fixture
def page(records, tmp_path):
    return write_page(summarise(records), tmp_path / "out")


def test_the_page_needs_no_network_and_runs_no_script(page):
    links = Links()
    text = page.read_text()
    links.feed(text)
    assert not [link for link in links.found if not link.startswith("#")]
    assert not re.findall(r"url\((?!#)", text)
    assert "@import" not in text
    assert not links.tags & {"script", "link", "iframe", "img", "object"}


def test_every_figure_is_in_the_page_and_beside_it(page, records):
    text = page.read_text()
    names = set(draw_all(summarise(records)))
    assert names == {"index-lookup-accuracy", "index-lookup-bits", "parity-accuracy", "dyck-accuracy", "text-loss"}
    assert {path.stem for path in page.parent.glob("*.png")} == names
    for path in page.parent.glob("*.png"):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert text.count("<svg") == len(names)


def test_every_number_and_every_configuration_is_in_the_page(page, records):
    text = page.read_text()
    for record in records:
        assert record.name in text
    assert "78.6 % of answers right" in text
    assert "&#34;stack&#34;: &#34;mingru&#34;" in text


def test_what_records_say_is_escaped(record, tmp_path):
    evil = "<script>alert(1)</script>"
    made = [
        record(Parity(), evil, 0, [(8, 0.5, 0.0, 64)]),
        record(Parity(), "gru", 0, [], status="crashed", because=evil),
        record(Text(file=evil, sha256=evil), "gru", 0, [(8, 0.5, 0.0, 64)]),
    ]
    made[1] = replace(made[1], environment={"traceback": evil})
    text = write_page(summarise(made), tmp_path).read_text()
    assert "<script" not in text
    for part in (
        "text (file {})",
        "seed 0: crashed, {}",
        "<td>{}</td>",
        "parity: {} solves",
        "&#34;file&#34;: &#34;{}",
    ):
        assert part.format("&lt;script&gt;alert(1)&lt;/script&gt;") in text, part


def test_the_page_says_what_it_concludes_and_how_each_run_ended_and_where(record, tmp_path):
    made = [
        record(Parity(), "gru", 0, [(8, 1.0, 1.0, 64)]),
        record(Parity(), "gru", 1, [], status="crashed", because="out of patience"),
    ]
    made[0] = replace(made[0], environment={"machine": "abacus"})
    text = write_page(summarise(made), tmp_path).read_text()
    for part in (
        "<li>parity: gru solves size 8.</li>",
        "Solved: every seed gets at least 99% of unseen sequences entirely right.",
        '<td class="verdict solved">solved</td>',
        f"seed 0 · {made[0].name} · finished: the budget is used up</summary>",
        f"seed 1 · {made[1].name} · crashed: out of patience</summary>",
        "&#34;machine&#34;: &#34;abacus&#34;",
    ):
        assert part in text, part


def test_accuracy_is_drawn_with_its_interval_and_chance(record):
    made = [record(IndexLookup(alphabet=4), "gru", seed, [(8, 0.9 + 0.1 * seed, 0.25, 64)]) for seed in range(2)]
    (axes,) = draw_all(summarise(made))["index-lookup-accuracy"].axes
    ((drawn, _, (bar,)),) = axes.containers
    assert list(drawn.get_ydata()) == [pytest.approx(0.95)]
    ((_, low), (_, high)) = bar.get_segments()[0]
    assert (low, high) == (pytest.approx(0.95 - 12.706 * 0.05), 1.0)
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines["chance"].get_ydata()) == [0.25, 0.25]


def test_a_single_seed_has_no_interval_and_a_large_state_no_limit(record):
    made = [record(IndexLookup(alphabet=4), "gru", 0, [(8, 0.9, 0.25, 64)])]
    (axes,) = draw_all(summarise(made))["index-lookup-accuracy"].axes
    ((_, _, bars),) = axes.containers
    assert bars == ()
    assert not [line for line in axes.get_lines() if "limit" in line.get_label()]


def test_the_loss_is_drawn_in_nats(records):
    (axes,) = draw_all(summarise(records))["text-loss"].axes
    ((drawn, _, _),) = axes.containers
    assert list(drawn.get_ydata()) == [0.5]


def test_bits_are_drawn_where_they_are_and_labelled_where_there_is_room(record):
    made = record(IndexLookup(alphabet=4), "gru", 0, [(size, 0.9, 0.25, 4 * size) for size in (16, 32, 64)])
    found = [replace(result, recovered_bits=bits) for result, bits in zip(made.results, (-1.0, 3.0, 90.0), strict=True)]
    (axes,) = draw_all(summarise([replace(made, results=tuple(found))]))["index-lookup-bits"].axes
    (drawn,) = [line for line in axes.get_lines() if line.get_label() == "gru"]
    assert list(drawn.get_xdata()) == [64, 128, 256]
    assert list(drawn.get_ydata()) == [0.0, 3.0, 90.0]
    assert [text.get_text() for text in axes.texts] == ["n=64"]


def test_more_models_than_colours_can_be_drawn(record):
    made = [record(Parity(), "+".join(["gru"] * count), 0, [(8, 0.5, 0.0, 64)]) for count in range(1, 10)]
    (axes,) = draw_all(summarise(made))["parity-accuracy"].axes
    assert len(axes.containers) == 9


def test_the_proven_limit_is_on_the_axes_of_the_measurement(records):
    axes = draw_all(summarise(records))["index-lookup-accuracy"].axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    limit = lines["proven limit of 1,024 bits of state"]
    assert list(limit.get_xdata()) == [16, 256]
    assert list(limit.get_ydata()) == [1.0, pytest.approx(0.786, abs=1e-3)]


def test_recovered_bits_stand_under_the_diagonal(records):
    axes = draw_all(summarise(records))["index-lookup-bits"].axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines["mingru"].get_ydata()) == [3.0, 3.0]
    diagonal = lines["all that a state of this size can hold"]
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())


def test_a_figure_is_the_same_text_every_time(records):
    first, second = (svg(draw_all(summarise(records))["parity-accuracy"]) for _ in range(2))
    assert first == second
    xml.etree.ElementTree.fromstring(first)


def test_the_page_survives_runs_that_all_failed(record, tmp_path):
    made = [record(Parity(), "gru", 0, [], status="diverged", because="the loss was inf at step 2")]
    text = write_page(summarise(made), tmp_path).read_text()
    assert "1 of 1 runs are missing" in text
    assert "the loss was inf at step 2" in text


def test_the_table_fits_its_columns(records):
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(render(summarise(records)))
    text = console.export_text()
    for word in ("sequence", "required", "cannot (proof): at most 78.6 %", "No run is missing: 18 of 18"):
        assert word in text
    assert "…" not in text


def test_without_the_extra_the_message_names_it(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ValueError, match=r"figures needs matplotlib, .*pip install 'statewise\[report\]'"):
        require("matplotlib", extra="report", purpose="figures")


def test_constructions_are_numbered_rings_in_the_figure_of_bits(records):
    rings = [Marker("parity/gru", 16, 32, 1.0), Marker("a/b", 4, 64, 20.0)]
    (axes,) = draw_all(summarise(records), rings)["index-lookup-bits"].axes
    points = {line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines}
    assert points["1  parity/gru, n=16"] == (32, 1.0)
    assert points["2  a/b, n=4"] == (64, 20.0)
    assert {"1", "2"} <= {text.get_text() for text in axes.texts}
    assert axes.get_xlim()[0] <= 32

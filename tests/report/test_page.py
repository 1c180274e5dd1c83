"""The page: whole, self-contained, escaped, small; every number and every configuration in it."""

import html.parser
import importlib
import io
import json
import math
import re
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from statewise.core.events import Evaluated, Progress
from statewise.core.optional import require
from statewise.report import StudyPart, page, render, summarise, write_page
from statewise.report.page import as_data, digest_of
from statewise.runs.findings import Chart, Curve, Findings, Grid, Mark, Quantity, StudyRecord, around
from statewise.tasks import Parity, Text

EVIL = "<script>alert(1)</script>"
MEASURES = "distinct words {} %, distinct pairs {} %, repeated fours {} %"
HARMLESS = "&lt;script&gt;alert(1)&lt;/script&gt;"


class Page(html.parser.HTMLParser):
    """What a browser would fetch, and the text of each script element by its type."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.scripts, self.within = [], set(), [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
            self.within = tag

    def handle_data(self, data):
        if self.within:
            attrs, text = self.scripts[-1]
            self.scripts[-1] = attrs, text + data

    def handle_endtag(self, tag):
        self.within = None

    def data(self, name):
        (text,) = [text for attrs, text in self.scripts if attrs.get("id") == name]
        return json.loads(text)

    @property
    def programs(self):
        return [text for attrs, text in self.scripts if "type" not in attrs]


def markup(text):
    """The page without what scripts say."""
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


@pytest.fixture
def written(records, tmp_path):
    return write_page(summarise(records), tmp_path / "out")


def test_the_page_needs_no_network(written):
    text = written.read_text()
    parsed = Page(text)
    assert not [link for link in parsed.links if not link.startswith("#")]
    assert not re.findall(r"url\((?!#)", markup(text))
    assert "@import" not in markup(text)
    assert not parsed.tags & {"link", "iframe", "img", "object", "base"}


def test_the_policy_lets_our_two_scripts_run_and_nothing_else(written):
    text = written.read_text()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    programs = Page(text).programs
    assert len(programs) == 2
    assert rules["script-src"].split() == [digest_of(program) for program in programs]
    assert (rules["default-src"], rules["connect-src"]) == ("'none'", "'none'")
    assert text.index("Content-Security-Policy") < text.index("<script")


def test_the_page_is_small_and_holds_one_copy_of_plotly(written):
    assert written.stat().st_size < 5_200_000
    assert written.read_text().count("* plotly.js v") == 1


def test_every_figure_is_in_the_page_with_a_label_and_a_table_and_beside_it(written):
    names = {"index-lookup-accuracy", "index-lookup-bits", "parity-accuracy", "dyck-accuracy", "text-loss"}
    assert {path.stem for path in written.parent.glob("*.png")} == names
    for path in written.parent.glob("*.png"):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    text = written.read_text()
    labels = re.findall(r'<div class="plot" data-figure="(\d)" tabindex="0" role="img" aria-label="([^"]+)"', text)
    assert [number for number, _ in labels] == list("01234")
    assert text.count("The numbers behind this figure") == len(Page(text).data("figures")) == len(names)


def test_every_number_and_every_configuration_is_in_the_page(written, records):
    text = written.read_text()
    details = Page(text).data("details")
    for record, run in zip(records, details["runs"], strict=True):
        assert record.name in text
        assert run["config"] == record.config
    assert "78.6 % of answers right" in text


def test_what_records_say_is_escaped(record, tmp_path):
    made = [
        record(Parity(), EVIL, 0, [(8, 0.5, 0.0, 64)]),
        record(Parity(), "gru", 0, [], status="crashed", because=EVIL),
        record(Text(file=EVIL, sha256=EVIL), "gru", 0, [(8, 0.5, 0.0, 64)]),
    ]
    made[1] = replace(made[1], environment={"traceback": EVIL})
    tell(tmp_path, made[0], (Progress, 1, 0.5), (Evaluated, 2, 0.5))
    text = write_page(summarise(made), tmp_path).read_text()
    assert EVIL not in text
    assert "<script" not in markup(text)
    for part in (
        "text (file {})",
        "seed 0: crashed, {}",
        '<td class="text">{}</td>',
        "parity: {} solves",
        'data-model="{}"',
        'value="{}"',
        ': <span class="crashed">crashed</span>: {}</summary>'[2:],
    ):
        assert part.format(HARMLESS) in text, part
    figures, details = Page(text).data("figures"), Page(text).data("details")
    assert details["environments"][details["runs"][1]["environment"]] == {"traceback": EVIL}
    assert details["runs"][2]["config"]["task"]["file"] == EVIL
    assert {trace["name"] for trace in figures[0]["data"]} == {HARMLESS, "chance"}


def test_what_a_study_says_is_escaped(tmp_path):
    chart = Chart(
        name="c", title=EVIL, x_label=EVIL, y_label=EVIL, curves=(Curve(label=EVIL, points=((1.0, (1.0,)),)),)
    )
    findings = Findings(
        quantities=(Quantity(name=EVIL, values=(1.0,), published=around(1.0, EVIL, share=0.1), incomparable=EVIL),),
        charts=(replace(chart, marks=(Mark(label=EVIL, axis="x", at=2.0),)),),
        notes=(EVIL,),
        grids=(Grid(title=EVIL, headings=(EVIL,), rows=((EVIL,),)),),
    )
    study = StudyRecord(name=EVIL, scale="smoke", claim=EVIL, source=EVIL, runs=(), findings=findings)
    text = write_page(summarise(()), tmp_path, name="study", studies=[StudyPart(study)]).read_text()
    assert EVIL not in text
    assert "<script" not in markup(text)
    assert text.count(HARMLESS) > 10


STEERING = "\x00\x1b[2J\x9b\u202e"


def test_what_models_write_is_escaped_and_steers_nothing(texts, tmp_path):
    said = EVIL + STEERING + "</pre>\t'\"&amp;"
    part = texts({EVIL: [said, said]}, own=said, prompt=said, task=EVIL, title=EVIL)
    text = write_page(summarise(()), tmp_path, texts=[part]).read_text()
    assert EVIL not in text
    assert "<script" not in markup(text)
    shown = HARMLESS + "��[2J��&lt;/pre&gt;\t&#39;&#34;&amp;amp;</pre>"
    assert text.count(f"\n{shown}") == 4, "the prompt, the corpus and two seeds"
    assert not set(STEERING) & set(markup(text)) - set("[2J")
    assert text.count("<pre") == text.count("</pre>") == 4


def test_samples_stand_side_by_side_with_what_is_measured_of_them(texts, tmp_path):
    part = texts({"mingru": ["\na b a b a b a b", "c d"], "gru": ["e e"], "mute": []}, own="to be or not to be")
    text = write_page(summarise(()), tmp_path, texts=[part]).read_text()
    (samples,) = re.findall(r'<ul class="samples">.*?</ul>', text, flags=re.DOTALL)
    names = re.findall(r"<li(.*?)>\s*<h4>(.*?)</h4>\s*<p class=\"note\">(.*?)</p>", samples)
    assert names == [
        (' data-task="text"', "the corpus itself", MEASURES.format(66.7, 80.0, 0.0)),
        (
            ' data-task="text" data-model="mingru"',
            "mingru",
            f"seed 0, 20 tokens/s; {MEASURES.format(25.0, 28.6, 60.0)}",
        ),
        (' data-task="text" data-model="gru"', "gru", f"seed 0, 20 tokens/s; {MEASURES.format(50.0, 100.0, 0.0)}"),
    ]
    assert f"<summary>seed 1, 20 tokens/s; {MEASURES.format(100.0, 100.0, 0.0)}</summary>" in samples
    # A browser drops the first line's end of a <pre>, so that of the text is the second.
    assert 'aria-label="Written by mingru">\n\na b a b' in samples
    assert 'aria-label="Written by mingru, seed 1">\nc d</pre>' in samples
    section = text[text.index('<section id="text-1"') : text.index('<ul class="samples">')]
    for cell in ("mingru", "gru", "mute", "the corpus itself", "2.000 ±6.353", "1,024"):
        assert f">{cell}</td>" in section, cell
    assert '<a href="#text-1" data-task="text">Samples</a>' in text


def test_a_page_without_text_has_no_samples(written):
    assert "<pre" not in markup(written.read_text())
    assert "Samples" not in markup(written.read_text())


def test_data_in_a_page_end_nothing():
    text = as_data({"a": "</script><!--&\u2028\u2029", "b": 'quo"te'})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"a": "</script><!--&\u2028\u2029", "b": 'quo"te'}


def test_the_page_says_what_it_concludes_and_how_each_run_ended_and_where(record, tmp_path):
    made = [
        record(Parity(), "gru", 0, [(8, 1.0, 1.0, 64)]),
        record(Parity(), "gru", 1, [], status="crashed", because="out of patience"),
    ]
    made[0] = replace(made[0], environment={"machine": "abacus"})
    text = write_page(summarise(made), tmp_path).read_text()
    for part in (
        '<li data-task="parity" data-model="gru">parity: gru solves size 8.</li>',
        "Solved: every seed gets at least 99% of unseen sequences entirely right.",
        '<td class="verdict solved">solved</td>',
        f'seed 0 · {made[0].name} · <span class="finished">finished</span>: the budget is used up</summary>',
        f'seed 1 · {made[1].name} · <span class="crashed">crashed</span>: out of patience</summary>',
        "1 of 2 runs are missing",
    ):
        assert part in text, part
    assert Page(text).data("details")["environments"] == [{"machine": "abacus"}, {}]
    assert "<fieldset>" not in text, "there is nothing to choose between"


def tell(root, record, *events):
    """Leave events in the folder of a run: (kind, step, loss)."""
    folder = root / record.name
    folder.mkdir(parents=True)
    lines = []
    for kind, step, loss in events:
        if kind is Progress:
            event = Progress(step=step, fraction=0, loss=loss, tokens_per_second=1, seconds=1, seconds_left=1)
        else:
            event = Evaluated(
                step=step, split="validation", size=8, loss=loss, token_accuracy=0.5, sequence_accuracy=0.25, seconds=1
            )
        lines.append(json.dumps({"event": kind.__name__.lower(), **asdict(event)}))
    (folder / "events.jsonl").write_text("\n".join(lines))


def test_learning_curves_are_read_from_the_run_folders(record, tmp_path):
    made = record(Parity(), "gru", 7, [(8, 1.0, 1.0, 64)])
    tell(tmp_path, made, (Progress, 10, 0.75), (Evaluated, 20, 0.625))
    text = write_page(summarise([made]), tmp_path).read_text()
    _, learning = Page(text).data("figures")
    training, validation = learning["data"]
    assert (training["x"], training["y"]) == ([10], [0.75])
    assert (validation["x"], validation["y"]) == ([20], [0.625])
    assert "seed 7" in training["hovertext"][0]
    assert "sequence accuracy 25.0 %" in validation["hovertext"][0]
    assert "gru, seed 7, validation at size 8" in text


def test_learning_curves_are_those_of_the_rate_that_is_reported(record, tmp_path):
    made = [
        record(Parity(), "gru", 0, [(8, accuracy, accuracy, 64)], rate=rate)
        for rate, accuracy in ((0.5, 0.25), (0.25, 1.0))
    ]
    made.append(record(Parity(), "gru", 1, [], status="diverged", because="the loss was inf", rate=0.25))
    for each in made:
        tell(tmp_path, each, (Progress, 1, 0.5))
    _, learning = Page(write_page(summarise(made), tmp_path).read_text()).data("figures")
    said = [trace["hovertext"][0] for trace in learning["data"]]
    assert ["seed 0" in said[0], "seed 1" in said[1]] == [True, True]
    assert all("rate 0.25" in text for text in said)


def test_what_does_not_fit_is_left_out_and_said(record, tmp_path, monkeypatch):
    made = record(Parity(), "gru", 0, [(8, 1.0, 1.0, 64)])
    tell(tmp_path, made, *((Progress, step, 0.5) for step in range(100)))
    whole = write_page(summarise([made]), tmp_path).stat().st_size
    monkeypatch.setattr(page, "LIMIT", whole)
    text = write_page(summarise([made]), tmp_path).read_text()
    assert len(text.encode()) < whole
    assert "Learning curves are left out to keep this page small" in text
    assert Page(text).data("details")["runs"][0]["config"] == made.config
    monkeypatch.setattr(page, "LIMIT", 1)
    text = write_page(summarise([made]), tmp_path).read_text()
    assert "Configurations are left out to keep this page small" in text
    assert Page(text).data("details") == {}


@pytest.mark.slow
def test_a_page_of_two_thousand_runs_stays_below_the_limit_by_leaving_out_learning_curves(record, tmp_path):
    made = [
        record(Parity(), f"gru*{1 + number % 20}", number // 20, [(8, 0.5, 0.25, 64), (16, 0.5, 0.25, 64)])
        for number in range(2000)
    ]
    padded = [replace(each, config=each.config | {"more": {f"setting {i}": i for i in range(40)}}) for each in made]
    for each in padded:
        tell(tmp_path, each, *((Progress, step, 0.123456789 / (step + 1)) for step in range(30)))
    written = write_page(summarise(padded), tmp_path)
    text = written.read_text()
    assert written.stat().st_size < page.LIMIT
    assert [said in text for said in page.LEFT_OUT] == [True, False]
    assert len(Page(text).data("details")["runs"]) == 2000


def test_numbers_without_a_place_do_not_reach_the_page(record, tmp_path):
    made = record(Text(), "gru", 0, [(8, 0.5, 0.25, 64)])
    made = replace(made, results=(replace(made.results[0], loss=math.inf),))
    tell(tmp_path, made, (Progress, 1, math.nan), (Progress, 2, 3.0))
    loss, learning = Page(write_page(summarise([made]), tmp_path).read_text()).data("figures")
    assert loss["data"] == []
    assert learning["data"][0]["y"] == [3.0]


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
        raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ValueError, match=r"figures needs plotly, .*pip install 'statewise\[report\]'"):
        require("plotly.offline", extra="report", purpose="figures")

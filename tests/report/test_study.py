import math

import pytest
from rich.console import Console

from statewise.report.study import accepted, cells, centre, draw_charts, measured, render_study, verdict_of
from statewise.runs.findings import Chart, Curve, Findings, Mark, Published, Quantity, around, at_most


def quantity(*values, **more):
    return Quantity(name="loss", values=values, published=at_most(1e-3, "from memory", times=10), **more)


def test_the_mean_over_seeds_decides_not_the_interval():
    """Wide intervals must not agree with everything."""
    assert verdict_of(quantity(0.009, 0.01, 0.008)) == "agrees"
    assert verdict_of(quantity(0.0, 0.0, 0.04)) == "differs"
    assert verdict_of(Quantity(name="", values=(0.9, 1.0, 1.1), published=around(1.5, "seen", share=0.1))) == "differs"


def test_the_mean_of_a_logarithmic_quantity_is_geometric():
    assert centre(quantity(1e-6, 1e-4, 1e-2, logarithmic=True)) == pytest.approx(1e-4)
    assert verdict_of(quantity(1e-6, 1e-4, 0.1, logarithmic=True)) == "agrees"
    assert verdict_of(quantity(1e-6, 1e-4, 0.1)) == "differs"
    assert measured(quantity(1e-4, 1e-4, 1e-4, logarithmic=True)) == "0.0001 ×÷1"
    assert centre(quantity(0.0, 0.0, 0.0, logarithmic=True)) < 1e-300


def test_what_cannot_be_compared_says_why():
    assert verdict_of(quantity(0.1, 0.2)) == "not comparable: 2 of at least 3 seeds"
    assert verdict_of(quantity(incomparable="nobody knows the unit")) == "not comparable: nobody knows the unit"
    assert verdict_of(Quantity(name="", values=(1.0,))) == "–"
    assert measured(quantity()) == "–"
    assert math.isnan(centre(quantity()))


def test_what_is_counted_is_compared_without_seeds():
    assert verdict_of(quantity(0.005, exact=True)) == "agrees"
    assert verdict_of(quantity(0.02, exact=True)) == "differs"
    assert verdict_of(quantity(exact=True)) == "not comparable: 0 of at least 3 seeds"
    assert cells(quantity(0.005, exact=True))[5:] == ["counted", "agrees"]
    assert cells(quantity(0.005))[5] == "1"


def test_ranges_are_written_as_they_are_asked():
    assert accepted(around(10.0, "seen", share=0.1)) == "9 to 11"
    assert accepted(Published(known="seen", words="fails", low=0.5)) == "≥ 0.5"


@pytest.fixture
def findings():
    return Findings(
        quantities=(
            quantity(0.1, 0.2, 0.3),
            Quantity(name="rate", values=(1.0,), published=Published(known="seen", words="learns [it]", high=2.0)),
        ),
        charts=(
            Chart(
                name="units",
                title="Loss",
                x_label="units",
                y_label="loss",
                curves=(
                    Curve(label="ours", points=((4.0, (0.1, 0.2)), (8.0, (0.01,)), (16.0, ()))),
                    Curve(label="nothing finished", points=((4.0, ()),)),
                ),
                marks=(Mark(label="construction", axis="x", at=6.0), Mark(label="learnt", axis="y", at=0.05)),
            ),
        ),
        notes=("one run is missing",),
    )


def test_the_table_shows_values_words_and_how_they_are_known(findings):
    console = Console(width=160)
    with console.capture() as capture:
        console.print(render_study(findings))
    said = capture.get()
    for text in ("0.001", "from memory", "≤ 0.01", "0.2 ±0.25", "differs", "learns [it]", "· one run is missing"):
        assert text in said


def test_figures_are_written_as_svg_and_png_with_their_marks(findings, tmp_path):
    vector, pixels = draw_charts(findings, tmp_path / "deep", name="study-small")
    assert (vector.name, pixels.name) == ("study-small-units.svg", "study-small-units.png")
    assert vector.read_text().startswith("<svg")
    assert pixels.read_bytes()[1:4] == b"PNG"

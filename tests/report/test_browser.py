"""The page in a browser: real clicks and keys in headless Chromium. Screenshots are kept, and not judged.

They lie in `screenshots0` below pytest's folder: `pytest tests/report/test_browser.py --basetemp=FOLDER` says where.
"""

import base64
import http.server
import json
import os
import shutil
import threading
from dataclasses import asdict, replace

import pytest

from statewise.core.events import Evaluated, Progress
from statewise.report import StudyPart, summarise, write_page
from statewise.runs.findings import Chart, Curve, Findings, Mark, Quantity, StudyRecord, around
from statewise.tasks import IndexLookup, Parity

selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="chromium and chromium-driver are not installed"
)

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
EVIL = "<script>document.title='caught'</script><img src=x onerror=\"document.title='caught'\">"
SAMPLES = {
    "mingru": [f"\n{EVIL}\x1b[2J {'to be or not to be, ' * 40}", "a second seed"],
    "gru": [f"{'w' * 700} {'and so on ' * 30}"],
    "attention": ["line\n" * 80],
}
PATIENCE = 60
"""Seconds; a machine with other work is slow."""


def visible(root, selector):
    return [found for found in root.find_elements(By.CSS_SELECTOR, selector) if found.is_displayed()]


class Reader:
    """Somebody at the page."""

    def __init__(self, driver, url, shots):
        self.driver, self.url, self.shots = driver, url, shots

    def open(self, *, width=1280, height=900, dark=False, **media):
        features = {"prefers-color-scheme": "dark" if dark else "light", **media}
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": named})
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.get(self.url)
        self.driver.execute_script("localStorage.clear()")
        self.driver.get(self.url)
        return self

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def do(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, happened):
        return WebDriverWait(self.driver, PATIENCE).until(lambda _: happened())

    def figure(self, title):
        """A figure by its caption, drawn and in view."""
        (figure,) = self.driver.find_elements(By.XPATH, f"//figure[figcaption = '{title}']")
        self.do("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", figure)
        self.until(lambda: figure.find_elements(By.CSS_SELECTOR, ".points path, .lines path"))
        return figure

    def column(self, table, number):
        return [row.find_elements(By.TAG_NAME, "td")[number].text for row in visible(table, "tbody tr")]

    def keep(self, name):
        for plot in self.driver.find_elements(By.CLASS_NAME, "plot"):
            self.do("drawOnce(arguments[0])", plot)
        width, height = self.do("const page = document.documentElement; return [page.clientWidth, page.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 6000), "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        (self.shots / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture(scope="module")
def page(record, texts, tmp_path_factory):
    """A comparison with a proof in it, a model with a name that would like to run, a study, and samples of text."""
    folder = tmp_path_factory.mktemp("page")
    made = []
    for seed in range(3):
        made.append(
            record(IndexLookup(), "attention", seed, [(16, 1.0, 1.0, 32768), (256, 0.9 + seed / 50, 0.5, 524288)])
        )
        made.append(record(IndexLookup(), "mingru", seed, [(16, 0.5 + seed / 10, 0.1, 1024), (256, 0.02, 0.0, 1024)]))
        made.append(record(Parity(), EVIL, seed, [(8, 0.75, 0.1, 64)]))
        made.append(record(Parity(), "gru", seed, [(8, 1.0, 1.0, 64)]))
    made[-1] = replace(made[-1], because=EVIL, environment={"machine": EVIL})
    for each in made:
        learn(folder / each.name, each.config["seed"])
    return write_page(summarise(made), folder, studies=[a_study(made)], texts=[texts(SAMPLES)])


def learn(folder, seed):
    folder.mkdir()
    events = [
        Progress(step=step, fraction=0, loss=4 / step + seed / 10, tokens_per_second=1, seconds=1, seconds_left=1)
        for step in range(1, 30)
    ]
    events += [
        Evaluated(
            step=step, split="validation", size=16, loss=4 / step, token_accuracy=0.5, sequence_accuracy=0.1, seconds=1
        )
        for step in (10, 20)
    ]
    lines = [json.dumps({"event": type(event).__name__.lower(), **asdict(event)}) for event in events]
    (folder / "events.jsonl").write_text("\n".join(lines))


def a_study(records):
    curve = Curve(label="ours", points=((1.0, (1e-1, 2e-1)), (10.0, (1e-3, 3e-3)), (100.0, (1e-5,))))
    study = StudyRecord(
        name="an-example",
        runs=(),
        scale="small",
        claim="More units make the loss smaller.",
        source=f"a paper by {EVIL}",
        findings=Findings(
            quantities=(
                Quantity(name="rate", values=(0.9, 1.0, 1.1), published=around(1.0, "seen", share=0.1)),
                Quantity(name="other", values=(3.0, 3.0, 3.0), published=around(1.0, "derived", share=0.1)),
            ),
            charts=(
                Chart(
                    name="units", title="Loss against units", x_label="units", y_label="loss", curves=(curve,),
                    marks=(Mark(label="paper", axis="y", at=1e-4),),
                ),
            ),
        ),
    )  # fmt: skip
    return StudyPart(study, tuple(records[:3]))


@pytest.fixture(scope="module")
def reader(page, tmp_path_factory):
    # The driver is named, and selenium's own download of one is off.
    os.environ["SE_OFFLINE"] = "true"
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    yield Reader(driver, page.as_uri(), tmp_path_factory.mktemp("screenshots"))
    driver.quit()
    del os.environ["SE_OFFLINE"]


def test_it_opens_without_an_error_and_without_a_request(reader):
    reader.driver.get_log("browser"), reader.driver.get_log("performance")
    reader.open()
    reader.keep("light")
    assert reader.driver.get_log("browser") == []
    assert reader.do("return performance.getEntriesByType('resource')") == []
    messages = [json.loads(entry["message"])["message"] for entry in reader.driver.get_log("performance")]
    asked = {sent["params"]["request"]["url"] for sent in messages if sent["method"] == "Network.requestWillBeSent"}
    # The browser's own start page is made of parts of itself and of pictures that are written out.
    assert {url for url in asked if not url.startswith(("chrome://", "data:"))} == {reader.url}


def test_a_request_would_be_refused(reader):
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    reader.open()
    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    script = """
        const [url, done] = arguments;
        const picture = new Image();
        const ask = () => fetch(url, { mode: "no-cors" }).then(() => done("sent"), () => done("refused"));
        picture.onerror = picture.onload = ask;
        picture.src = url;
    """
    assert reader.driver.execute_async_script(script, url) == "refused"
    server.shutdown()
    server.server_close()
    assert asked == []
    assert any("Content Security Policy" in entry["message"] for entry in reader.driver.get_log("browser"))


def test_a_name_that_is_a_script_does_not_run_and_is_read_as_it_is(reader):
    reader.open()
    for part in reader.driver.find_elements(By.TAG_NAME, "details"):
        reader.do("arguments[0].open = true", part)
    figure = reader.figure("parity: accuracy and proof")
    assert EVIL[:40] in figure.find_element(By.CLASS_NAME, "legend").text
    assert EVIL in reader.one("tr[data-task=parity] td").text
    runs = reader.until(lambda: reader.driver.find_elements(By.CSS_SELECTOR, ".run pre"))
    assert any(json.dumps(EVIL) in run.get_attribute("textContent") for run in runs)
    assert not reader.driver.find_elements(By.CSS_SELECTOR, "main script, main img[src=x], svg script")
    assert reader.driver.title.startswith("statewise: ")


def test_a_click_on_a_heading_sorts(reader):
    reader.open()
    table = reader.one("#task-1 table")
    heading = next(head for head in table.find_elements(By.TAG_NAME, "th") if head.text.startswith("token acc."))
    number = table.find_elements(By.TAG_NAME, "th").index(heading)
    as_written = reader.column(table, number)
    assert as_written == ["100 ±0.0", "92.0 ±5.0", "60.0 ±24.8", "2.0 ±0.0"]
    button = heading.find_element(By.TAG_NAME, "button")
    for direction, expected in (
        ("ascending", as_written[::-1]),
        ("descending", as_written),
        ("none", as_written),
    ):
        button.click()
        assert heading.get_attribute("aria-sort") == direction
        assert reader.column(table, number) == expected
    first = table.find_element(By.CSS_SELECTOR, "th button")
    first.click()
    first.click()
    assert reader.column(table, 0) == ["mingru", "mingru", "attention", "attention"]


def test_what_is_empty_stays_last_and_numbers_are_no_texts(reader):
    reader.open()
    table = reader.one("#study-1 table")
    heads = table.find_elements(By.TAG_NAME, "th")
    ours = [head.text.split("\n")[0].strip("↕ ") for head in heads].index("ours")
    assert reader.column(table, ours) == ["1 ±0.25", "3 ±0"]
    sorted_texts = reader.do(
        """
        const rows = ["10", "–", "≤ 9", "1,000 ±2", "4.97e-08"].map((text) => {
          const row = document.createElement("tr");
          row.insertCell().textContent = text;
          return row;
        });
        const sorted = ["descending", "ascending"].flatMap((direction) => sortedRows(rows, 0, true, direction));
        return sorted.map((row) => row.textContent);
        """
    )
    assert sorted_texts[:5] == ["1,000 ±2", "10", "≤ 9", "4.97e-08", "–"]
    assert sorted_texts[5:] == ["4.97e-08", "≤ 9", "10", "1,000 ±2", "–"]


def tick(reader, value):
    if not reader.one(".filters").get_attribute("open"):
        reader.one(".filters summary").click()
    (label,) = [label for label in visible(reader.driver, ".filters label") if label.text == value]
    label.click()


def test_filters_leave_what_is_asked_for_in_tables_figures_and_runs(reader):
    reader.open()
    tick(reader, "index-lookup")
    assert not reader.one("#task-2").is_displayed()
    assert {run.get_attribute("data-task") for run in visible(reader.driver, ".run")} == {"index-lookup"}
    tick(reader, "mingru")
    tick(reader, "256")
    table = reader.one("#task-1 table")
    assert (reader.column(table, 0), reader.column(table, 1)) == (["mingru"], ["256"])
    assert all("mingru" in line.text for line in visible(reader.driver, ".verdicts li"))
    figure = reader.figure("index-lookup: accuracy and proof")
    legend = figure.find_element(By.CLASS_NAME, "legend").text
    assert "mingru" in legend
    assert "attention" not in legend
    assert len(figure.find_elements(By.CSS_SELECTOR, ".points path.point")) == 1
    assert reader.one(".filters output").text == "(3)"
    reader.keep("filtered")
    captions = [
        figure.find_element(By.TAG_NAME, "figcaption").text for figure in visible(reader.driver, "#study-1 figure")
    ]
    assert captions == ["Loss against units", "index-lookup: learning curves"]
    reader.one(".filters button[type=reset]").click()
    reader.until(lambda: reader.one("#task-2").is_displayed())
    assert len(visible(reader.driver, ".run")) == 12
    assert reader.one(".filters output").text == ""


def test_the_theme_is_the_system_s_until_it_is_switched_and_stays(reader):
    def paper():
        return reader.do("return getComputedStyle(document.body).backgroundColor")

    def ink():
        figure = reader.figure("parity: accuracy and proof")
        return figure.find_element(By.CSS_SELECTOR, ".xtick text").value_of_css_property("fill")

    light, light_ink = (reader.open(), paper(), ink())[1:]
    dark, dark_ink = (reader.open(dark=True), paper(), ink())[1:]
    assert light != dark
    assert light_ink != dark_ink
    reader.keep("dark")
    toggle = reader.one(".theme")
    assert toggle.get_attribute("aria-pressed") == "true"
    toggle.click()
    assert (paper(), ink(), toggle.get_attribute("aria-pressed")) == (light, light_ink, "false")
    reader.driver.refresh()
    assert paper() == light


def test_the_table_behind_a_figure_holds_its_numbers(reader):
    reader.open()
    figure = reader.figure("index-lookup: accuracy and proof")
    table = figure.find_element(By.TAG_NAME, "table")
    assert not table.is_displayed()
    figure.find_element(By.TAG_NAME, "summary").click()
    reader.until(table.is_displayed)
    rows = [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in visible(table, "tbody tr")]
    assert rows[2][:5] == ["mingru", "16", "60.0 %", "35.2 %", "84.8 %"]
    assert rows[2][5] == "seed 0: 50.0 %, seed 1: 60.0 %, seed 2: 70.0 %"
    assert [row[0] for row in rows][-1] == "chance"
    assert (
        figure.find_element(By.CLASS_NAME, "plot")
        .get_attribute("aria-label")
        .startswith("Token accuracy of index-lookup against size. attention: 100 % at size 16 and 92.0 % at size 256;")
    )


def test_a_point_under_the_mouse_says_its_configuration_and_seeds(reader):
    reader.open()
    figure = reader.figure("index-lookup: accuracy and proof")
    point = figure.find_elements(By.CSS_SELECTOR, ".points path.point")[2]
    ActionChains(reader.driver).move_to_element(point).perform()
    label = reader.until(lambda: visible(figure, ".hoverlayer .hovertext"))[0]
    for text in (
        "mingru",
        "size: 16",
        "60.0 %",
        "seed 0: 50.0 %",
        "seed 2: 70.0 %",
        "rate 0.005",
        "1,024 bits of state",
    ):
        assert text in label.get_attribute("textContent"), text
    shot = reader.driver.get_screenshot_as_png()
    (reader.shots / "hover.png").write_bytes(shot)


def press(reader, *keys):
    ActionChains(reader.driver).send_keys(*keys).perform()


def focused(reader):
    return reader.driver.switch_to.active_element


def tab_to(reader, wanted):
    for _ in range(80):
        press(reader, Keys.TAB)
        if wanted(focused(reader)):
            return focused(reader)
    raise AssertionError("the key does not lead there")


def test_everything_is_reached_and_used_by_keys_alone(reader):
    reader.open()
    press(reader, Keys.TAB)
    assert focused(reader).text == "Skip to the content"
    tab_to(reader, lambda item: item.tag_name == "summary" and "Filter" in item.text)
    assert reader.do("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press(reader, Keys.ENTER)
    tab_to(reader, lambda item: item.get_attribute("value") == "index-lookup")
    press(reader, Keys.SPACE)
    assert not reader.one("#task-2").is_displayed()
    press(reader, Keys.ESCAPE)
    assert not reader.one(".filters form").is_displayed()
    heading = tab_to(reader, lambda item: item.text.startswith("size"))
    press(reader, Keys.ENTER)
    assert reader.column(reader.one("#task-1 table"), 1) == ["16", "16", "256", "256"]
    assert heading.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    plot = tab_to(reader, lambda item: "plot" in (item.get_attribute("class") or "").split())
    said = plot.find_element(By.XPATH, "following-sibling::p")
    reader.until(lambda: plot.find_elements(By.CSS_SELECTOR, ".points path"))
    heard = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.ARROW_LEFT):
        press(reader, key)
        heard.append(said.get_attribute("textContent").split("; ")[:2])
    assert heard == [
        ["attention", "size: 16"],
        ["attention", "size: 256"],
        ["mingru", "size: 256"],
        ["mingru", "size: 16"],
        ["mingru", "size: 16"],
    ]
    assert visible(plot, ".hoverlayer .hovertext")
    press(reader, Keys.ESCAPE)
    tab_to(reader, lambda item: item.tag_name == "summary" and "numbers behind" in item.text)
    press(reader, Keys.ENTER)
    assert visible(plot.find_element(By.XPATH, ".."), "table")


def test_a_phone_scrolls_in_one_direction_only(reader):
    reader.open(width=375, height=812)
    for part in reader.driver.find_elements(By.CSS_SELECTOR, "main details"):
        reader.do("arguments[0].open = true", part)
    reader.keep("phone")
    assert reader.do("return document.documentElement.scrollWidth") <= 375
    table = reader.one("#task-1 .scroll")
    assert reader.do("return arguments[0].scrollWidth > arguments[0].clientWidth", table)
    assert reader.do("return parseFloat(getComputedStyle(document.querySelector('td')).fontSize)") >= 13
    tick(reader, "parity")
    assert reader.one(".filters form").rect["width"] <= 375
    assert not reader.one("#task-1").is_displayed()


def test_samples_are_read_side_by_side_and_below_each_other_on_a_phone(reader):
    reader.open()
    places = [item.rect for item in reader.driver.find_elements(By.CSS_SELECTOR, ".samples > li")]
    assert len(places) == 4
    assert len({place["y"] for place in places}) == 1
    assert len({place["x"] for place in places}) == 4
    said = reader.one('[aria-label="Written by mingru"]')
    assert said.get_property("textContent").startswith(f"\n{EVIL}�[2J to be")
    assert not reader.driver.find_elements(By.CSS_SELECTOR, ".samples script, .samples img")
    assert reader.driver.title.startswith("statewise: ")
    long = reader.one('[aria-label="Written by attention"]')
    assert reader.do("return arguments[0].scrollHeight > arguments[0].clientHeight", long)
    tab_to(reader, lambda item: item == long)
    reader.open(dark=True)
    ink, paper = (said_in(reader, name) for name in ("color", "backgroundColor"))
    assert sum(ink) > sum(paper) + 300
    reader.open(width=375, height=812)
    places = [item.rect for item in reader.driver.find_elements(By.CSS_SELECTOR, ".samples > li")]
    assert len({place["x"] for place in places}) == 1
    assert all(place["width"] <= 375 for place in places)
    assert reader.do("return document.documentElement.scrollWidth") <= 375
    long = reader.one('[aria-label="Written by attention"]')
    assert reader.do("return arguments[0].scrollHeight <= arguments[0].clientHeight", long)


def said_in(reader, name):
    """Red, green and blue of a sample's colour."""
    found = reader.do("return getComputedStyle(document.querySelector('.samples pre'))[arguments[0]]", name)
    return [float(number) for number in found[found.index("(") + 1 : -1].split(",")[:3]]


def test_motion_and_paper_are_as_the_reader_asks(reader):
    behaviour = "return getComputedStyle(document.documentElement).scrollBehavior"
    assert (reader.open(), reader.do(behaviour))[1] == "smooth"
    assert (reader.open(prefers_reduced_motion="reduce"), reader.do(behaviour))[1] == "auto"
    reader.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert not reader.one("header").is_displayed()
    assert reader.one("#task-1 table").is_displayed()
    assert reader.do("return getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"

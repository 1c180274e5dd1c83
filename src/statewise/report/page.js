"use strict";
// What the report answers to: sorting, filtering, figures by mouse and by keyboard, light and dark.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const dataOf = (id) => JSON.parse(document.getElementById(id).textContent);

/* Tables */

const EMPTY = new Set(["", "–"]);

// What is read is what is sorted by: the number that a cell begins with, or its text.
function sortKey(cell, numbers) {
  const text = cell.textContent.trim();
  if (EMPTY.has(text)) return null;
  if (!numbers) return text.toLowerCase();
  return parseFloat(text.replace(/[≤≥,\s]/g, ""));
}

function compareKeys(a, b) {
  return typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
}

// Empty cells come last in both directions; equal ones keep the order in which the table was written.
function sortedRows(rows, column, numbers, direction) {
  const keyed = rows.map((row) => [sortKey(row.cells[column], numbers), row]);
  const full = keyed.filter(([key]) => key !== null);
  const empty = keyed.filter(([key]) => key === null);
  full.sort(([a], [b]) => (direction === "descending" ? compareKeys(b, a) : compareKeys(a, b)));
  return [...full, ...empty].map(([, row]) => row);
}

const AFTER = { none: "ascending", ascending: "descending", descending: "none" };

function makeSortable(table) {
  const body = table.tBodies[0];
  const asWritten = [...body.rows];
  const heads = all("th", table);
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const direction = AFTER[head.getAttribute("aria-sort")];
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", direction);
      table.classList.toggle("sorted", direction !== "none");
      const numbers = head.classList.contains("number");
      body.append(...(direction === "none" ? asWritten : sortedRows(asWritten, column, numbers, direction)));
    });
  });
}

/* Filters: of each facet the ticked values, or all where none is. */

const form = document.querySelector(".filters form");

function ticked() {
  const chosen = {};
  for (const box of form ? all("input:checked", form) : []) (chosen[box.name] ??= new Set()).add(box.value);
  return chosen;
}

function passes(chosen, { task, model, size, sizes }) {
  const one = (name, value) => !chosen[name] || value === undefined || value === "" || chosen[name].has(value);
  const any = sizes === undefined || !chosen.size || sizes.split(" ").some((each) => chosen.size.has(each));
  return one("task", task) && one("model", model) && one("size", size) && any;
}

function filterPage() {
  const chosen = ticked();
  const keyed = all("[data-task], [data-model], [data-size]").filter((item) => !item.closest("form"));
  for (const item of keyed) item.hidden = !passes(chosen, item.dataset);
  const count = Object.values(chosen).reduce((sum, values) => sum + values.size, 0);
  form.parentElement.querySelector("output").textContent = count ? `(${count})` : "";
  drawn.forEach(draw);
}

/* Figures */

const figures = dataOf("figures");
const drawn = new Set();
const probe = document.createElement("span");
document.body.append(probe);

// Custom properties come back as they were written: only a colour in use is resolved.
function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

function palette() {
  const series = Array.from({ length: 7 }, (_, place) => colour(`series-${place}`));
  return { "-1": colour("ink"), "-2": colour("soft"), ...series };
}

const pick = (values, kept) => (Array.isArray(values) ? kept.map((place) => values[place]) : values);

// A trace in a colour of the theme, with the points that the filters leave; null where none is left.
function traceShown(trace, colours, chosen) {
  const { sizes, model } = trace.meta;
  const kept = sizes.flatMap((size, place) => (passes(chosen, { model, size: size === null ? "" : `${size}` }) ? [place] : []));
  if (!kept.length) return null;
  const tint = colours[trace.meta.colour];
  const shown = {
    ...trace,
    x: pick(trace.x, kept),
    y: pick(trace.y, kept),
    text: pick(trace.text, kept),
    hovertext: pick(trace.hovertext, kept),
    line: { ...trace.line, color: tint },
    marker: { ...trace.marker, color: tint },
    textfont: { color: tint, size: 11 },
  };
  if (trace.error_y) {
    const { array, arrayminus } = trace.error_y;
    shown.error_y = { ...trace.error_y, array: pick(array, kept), arrayminus: pick(arrayminus, kept), color: tint };
  }
  return shown;
}

function layoutShown(layout, colours, narrow) {
  const lines = { gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"), tickcolor: colour("line") };
  const axis = (own) => ({ ...own, ...lines, automargin: true, title: { ...own.title, standoff: 8 } });
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colours["-1"] },
    margin: { l: 12, r: 12, t: 26, b: 12 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colours["-2"], activecolor: colours["-1"] },
    hovermode: "closest",
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colours["-1"] }, align: "left" },
    legend: { orientation: "h", x: 0, y: -0.2, yanchor: "top", font: { size: narrow ? 11 : 12 } },
    // A finger that moves over a figure scrolls the page.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: axis(layout.xaxis),
    yaxis: axis(layout.yaxis),
  };
}

const CONFIG = {
  responsive: true,
  displaylogo: false,
  displayModeBar: "hover",
  modeBarButtons: [["toImage", "resetScale2d"]],
};

function draw(plot) {
  const { data, layout } = figures[plot.dataset.figure];
  const colours = palette();
  const chosen = ticked();
  const traces = data.map((trace) => traceShown(trace, colours, chosen)).filter(Boolean);
  plot.shown = traces;
  plot.at = null;
  // A frame without anything in it says nothing.
  plot.closest("figure").hidden = data.length > 0 && traces.length === 0;
  if (traces.length === 0) return;
  Plotly.react(plot, traces, layoutShown(layout, colours, plot.clientWidth < 480), CONFIG);
}

// Escaped for plotly in Python; read back here for a screen reader.
function plainText(markup) {
  const entities = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };
  return markup.replace(/<br>/g, "; ").replace(/<\/?b>/g, "").replace(/&(lt|gt|amp);/g, (entity) => entities[entity]);
}

// Traces with something to say, in order, and how the arrows move among their points.
function moved(plot, key) {
  const speaking = plot.shown.flatMap((trace, place) => (trace.hoverinfo === "skip" ? [] : [place]));
  if (!speaking.length) return null;
  if (!plot.at) return { curveNumber: speaking[0], pointNumber: 0 };
  const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
  const across = { ArrowUp: -1, ArrowDown: 1 }[key] ?? 0;
  const along = { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0;
  const curveNumber = speaking[clamp(speaking.indexOf(plot.at.curveNumber) + across, speaking.length)];
  return { curveNumber, pointNumber: clamp(plot.at.pointNumber + along, plot.shown[curveNumber].x.length) };
}

function onKey(event) {
  const plot = event.currentTarget;
  if (event.key === "Escape") {
    Plotly.Fx.unhover(plot);
    plot.at = null;
  }
  if (!event.key.startsWith("Arrow") || !plot.shown) return;
  event.preventDefault();
  plot.at = moved(plot, event.key);
  if (!plot.at) return;
  Plotly.Fx.hover(plot, [plot.at]);
  const { curveNumber, pointNumber } = plot.at;
  const said = document.querySelector(`[data-said="${plot.dataset.figure}"]`);
  said.textContent = plainText(plot.shown[curveNumber].hovertext[pointNumber]);
}

// Figures are drawn when they come near, so that a page with many opens at once.
const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => drawOnce(entry.target)),
  { rootMargin: "600px" },
);

function drawOnce(plot) {
  near.unobserve(plot);
  if (drawn.has(plot)) return;
  drawn.add(plot);
  draw(plot);
}

/* Runs */

const details = dataOf("details");

function showRun(run) {
  const found = details.runs?.[run.dataset.run];
  if (!found || run.querySelector("pre")) return;
  for (const part of [found.config, details.environments[found.environment]]) {
    const block = document.createElement("pre");
    block.textContent = JSON.stringify(part, null, 1);
    run.append(block);
  }
}

/* Light and dark */

const toggle = document.querySelector(".theme");
const system = matchMedia("(prefers-color-scheme: dark)");

// Storage is refused to pages from a file in some browsers: the choice then lasts as long as the page.
function remembered() {
  try {
    return localStorage.getItem("statewise-theme");
  } catch {
    return null;
  }
}

function remember(theme) {
  try {
    localStorage.setItem("statewise-theme", theme);
  } catch {
    return;
  }
}

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : system.matches;
}

function showTheme() {
  toggle.setAttribute("aria-pressed", String(isDark()));
  drawn.forEach(draw);
}

function switchTheme() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  remember(theme);
  showTheme();
}

all("table").forEach(makeSortable);
if (remembered()) document.documentElement.dataset.theme = remembered();
showTheme();
toggle.addEventListener("click", switchTheme);
system.addEventListener("change", showTheme);
form?.addEventListener("change", filterPage);
form?.addEventListener("reset", () => setTimeout(filterPage));
all(".run").forEach((run) => run.addEventListener("toggle", () => showRun(run)));
for (const plot of all(".plot")) {
  plot.addEventListener("keydown", onKey);
  near.observe(plot);
}
addEventListener("beforeprint", () => all(".plot").forEach(drawOnce));
document.addEventListener("keydown", (event) => {
  const open = document.querySelector(".filters[open]");
  if (event.key === "Escape" && open) open.open = false;
});

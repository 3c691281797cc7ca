"use strict";
// Charts, sorting, filters and details of the page. Data become text nodes, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const charts = [...document.querySelectorAll(".chart")];
const rows = [...document.querySelectorAll("#trial-table tbody tr")];
const shown = new Set(rows.map((row) => row.dataset.number));

// Colours of the page stand in figures as @ink, @muted, ...
function coloured(value) {
  if (Array.isArray(value)) return value.map(coloured);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, coloured(v)]));
  return typeof value === "string" && value.startsWith("@") ? colour(value.slice(1)) : value;
}
function colour(name) {
  return getComputedStyle(root).getPropertyValue("--" + name).trim();
}
function layout(own) {
  const axis = { gridcolor: "@line", zerolinecolor: "@line", linecolor: "@muted", automargin: true };
  return coloured({
    ...own,
    paper_bgcolor: "@paper", plot_bgcolor: "@paper", font: { color: "@ink", size: 12 }, hovermode: "closest",
    hoverlabel: { bgcolor: "@soft", bordercolor: "@muted", font: { color: "@ink" }, align: "left", namelength: 0 },
    margin: { l: 60, r: 12, t: 24, b: 48 }, legend: { orientation: "h", y: -0.2, yanchor: "top", font: { size: 11 } },
    xaxis: { ...axis, ...own.xaxis }, yaxis: { ...axis, ...own.yaxis },
  });
}
function traces(chart) {
  return data.charts[chart.dataset.chart].data.map((trace) => {
    if (!trace.ids) return coloured(trace);
    const text = trace.ids.map((id, i) => data.hovers[id] + "<br>" + trace.customdata[i]);
    const chosen = trace.ids.flatMap((id, i) => (shown.has(id) ? [i] : []));
    const selectedpoints = shown.size < rows.length ? chosen : null;
    return { ...coloured(trace), text, hovertemplate: "%{text}<extra></extra>", selectedpoints, unselected: { marker: { opacity: 0.06 } } };
  });
}
function draw(chart, size = {}) {
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  Plotly.react(chart, traces(chart), layout({ ...data.charts[chart.dataset.chart].layout, ...size }), config);
  if (chart.dataset.drawn) return;
  chart.dataset.drawn = "yes";
  chart.on("plotly_click", (event) => event.points[0].id && showTrial(event.points[0].id));
}
const redraw = () => charts.filter((chart) => chart.dataset.drawn).forEach((chart) => draw(chart));
const watch = new IntersectionObserver(
  (seen) => seen.filter((one) => one.isIntersecting).forEach((one) => { watch.unobserve(one.target); draw(one.target); }),
  { rootMargin: "400px" },
);
charts.forEach((chart) => watch.observe(chart));

// Light and dark
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", redraw);
document.getElementById("theme").addEventListener("click", () => {
  const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  redraw();
});
const paperSize = { width: 660, height: 330 };
let before;
addEventListener("beforeprint", () => { before = root.dataset.theme; root.dataset.theme = "light"; charts.forEach((chart) => draw(chart, paperSize)); });
addEventListener("afterprint", () => {
  if (before === undefined) delete root.dataset.theme; else root.dataset.theme = before;
  redraw();
});

// Filters
const words = document.getElementById("words");
const facets = [...document.querySelectorAll(".filters select")];
const texts = rows.map((row) => row.textContent.toLowerCase());
function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  shown.clear();
  rows.forEach((row, i) => {
    const fits = wanted.every((word) => texts[i].includes(word))
      && facets.every((facet) => !facet.value || row.cells[1 + Number(facet.dataset.column)].textContent === facet.value);
    row.hidden = !fits;
    if (fits) shown.add(row.dataset.number);
  });
  document.getElementById("count").textContent = `${shown.size} of ${rows.length} trials`;
  redraw();
}
let pause;
words.addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(filter, 120); });
facets.forEach((facet) => facet.addEventListener("change", filter));
document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());

// Sorting: by raw values, empty cells last
function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
}
document.querySelectorAll("#trial-table .sort").forEach((button) => button.addEventListener("click", () => {
  const head = button.closest("th");
  const sign = head.ariaSort === "ascending" ? -1 : 1;
  document.querySelectorAll("#trial-table th").forEach((one) => one.hasAttribute("aria-sort") && (one.ariaSort = "none"));
  head.ariaSort = sign === 1 ? "ascending" : "descending";
  const keyed = rows.map((row) => [row.cells[head.cellIndex].dataset.value, row]);
  keyed.sort(([a], [b]) => (a === undefined) - (b === undefined) || (a === undefined ? 0 : sign * compare(a, b)));
  document.querySelector("#trial-table tbody").append(...keyed.map(([, row]) => row));
}));

// Details of a trial
const dialog = document.getElementById("detail");
const body = document.getElementById("detail-body");
function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}
function format(value) {
  if (value === null) return "";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4)));
}
function section(title, columns, cells) {
  if (!cells.length) return;
  const scroll = element("div", "", "scroll"), table = document.createElement("table");
  const head = table.createTHead().insertRow();
  columns.forEach((name) => head.append(element("th", name)));
  const rest = table.createTBody();
  cells.forEach((row) => {
    const line = rest.insertRow();
    row.forEach((value) => line.append(element("td", format(value), typeof value === "number" ? "number" : "")));
  });
  scroll.tabIndex = 0;
  scroll.append(table);
  body.append(element("h3", title), scroll);
}
function curves(epochs) {
  if (!epochs.length) return;
  const line = (stage, column, name) => {
    const own = epochs.filter((row) => row[0] === stage);
    return { x: own.map((row) => row[1]), y: own.map((row) => row[column]), name, mode: "lines+markers", yaxis: column === 2 ? "y2" : "y" };
  };
  const stages = [...new Set(epochs.map((row) => row[0]))];
  const chart = element("div", "", "curves");
  body.append(element("h3", "Learning curves, on training images"), chart);
  const axes = { xaxis: { title: { text: "epoch" } }, yaxis: { title: { text: "accuracy" }, tickformat: "~%" } };
  const y2 = { title: { text: "loss" }, overlaying: "y", side: "right", showgrid: false, automargin: true };
  const all = stages.flatMap((stage) => [line(stage, 3, `${stage}: accuracy`), { ...line(stage, 2, `${stage}: loss`), line: { dash: "dot" } }]);
  Plotly.newPlot(chart, all, layout({ ...axes, yaxis2: y2 }), { responsive: true, displayModeBar: false });
}
function showTrial(number) {
  document.getElementById("detail-title").textContent = data.titles[number];
  body.replaceChildren();
  dialog.showModal();
  section("Latency", data.columns.timings, data.timings[number]);
  section("Layers", data.columns.layers, data.layers[number]);
  curves(data.epochs[number]);
  section("Epochs", data.columns.epochs, data.epochs[number]);
  const facts = data.columns.trial.map((name, i) => [name, data.trials[number][i]]);
  section("The trial, as in trials.csv", ["column", "value"], facts.filter(([, value]) => value !== null));
  dialog.scrollTop = 0;
}
document.querySelector("#trial-table tbody").addEventListener("click", (event) => {
  if (event.target.matches(".open")) showTrial(event.target.closest("tr").dataset.number);
});
document.getElementById("close").addEventListener("click", () => dialog.close());

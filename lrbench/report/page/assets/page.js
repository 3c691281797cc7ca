"use strict";
// Reads the data, and wires panel, charts, table and details. Data become text nodes, never markup.
const root = document.documentElement;

async function unpacked() {
  const bytes = Uint8Array.from(atob(document.getElementById("data").textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}
const cell = (column, i) => (column.values ? column.values[i] : column.codes[i] < 0 ? null : column.words[column.codes[i]]);

function format(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4)));
}

async function main() {
  const data = await unpacked();
  const tip = element("div"), shown = new Set(data.table.numbers);
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const state = { data, shown, open: (number) => showTrial(data, number), titles: data.titles };
  const charts = wireCharts(data, state);
  let panel = { draw() {}, hero() {} };
  wireTable(data, state, () => { panel.hero(); charts.redraw(); });
  if (data.decide.length) panel = wirePanel(data, state);
  wireCompare(data, state);
  document.querySelectorAll("[data-rows]").forEach((scroll) => scroll.before(tools(scroll.ariaLabel, () => rowsOfTable(scroll.querySelector("table")))));
  const redraw = () => {
    document.querySelectorAll(".plot").forEach((host) => delete host.wide);
    panel.draw();
    charts.redraw();
  };
  wireTheme(redraw, charts.drawAll);
  input("link").addEventListener("click", () => copyText(input("link"), `${location.href.split("#")[0]}#?${address}`));
  let width = innerWidth, wait;
  addEventListener("resize", () => { if (width !== innerWidth) { width = innerWidth; clearTimeout(wait); wait = setTimeout(redraw, 150); } });
  document.getElementById("close").addEventListener("click", () => document.getElementById("detail").close());
  root.dataset.ready = "yes";
}

// The charts below: each is drawn when it comes near, and again when it is near and what it shows has changed.
function wireCharts(data, state) {
  const charts = [...document.querySelectorAll(".chart")], stale = new Set(charts), near = new Set();
  const draw = (figure) => { if (stale.delete(figure)) drawChart(figure, data.charts[figure.dataset.chart], state); };
  const watch = new IntersectionObserver((seen) => seen.forEach(({ target, isIntersecting }) => {
    if (!isIntersecting) near.delete(target);
    else { near.add(target); draw(target); }
  }), { rootMargin: "400px" });
  charts.forEach((figure) => watch.observe(figure));
  const redraw = () => { charts.forEach((figure) => stale.add(figure)); near.forEach(draw); };
  return { redraw, drawAll: () => { redraw(); charts.forEach(draw); } };
}

// The Decide panel: its inputs live in the address, so that a link holds what is asked.
function wirePanel(data, state) {
  const groups = data.decide, form = input("asked"), names = ["drop", "latency", "macs", "params", "confidence", "cost", "group", "setting"];
  const option = (value, text) => { const made = element("option", text); made.value = value; return made; };
  input("group").append(...groups.map((group, i) => option(i, groups.length > 1 && data.decide.some((one) => one.folder !== group.folder) ? `${group.folder}: ${group.name}` : group.name)));
  input("group").value = String(Math.max(0, groups.findIndex((group) => group.usual)));
  const group = () => groups[Number(input("group").value)];
  const settings = () => {
    const before = input("setting").selectedOptions[0]?.textContent, own = group().settings;
    input("setting").replaceChildren(...own.map((setting, i) => option(i, setting.name)));
    if (!own.length) input("setting").append(option(0, "nothing was timed"));
    input("setting").value = String(Math.max(0, own.findIndex((setting) => setting.name === before)));
    const cost = input("cost").value, costs = Object.keys(COSTS).filter((name) => name !== "latency" || own.length);
    input("cost").replaceChildren(...costs.map((name) => option(name, COSTS[name])));
    input("cost").value = costs.includes(cost) ? cost : costs[0];
    for (const id of ["latency", "latency-range"]) input(id).disabled = !own.length;
  };
  settings();
  if (address.has("group")) { input("group").value = address.get("group"); if (!group()) input("group").value = "0"; settings(); }
  for (const name of names.filter((one) => one !== "group" && address.has(one))) {
    const before = input(name).value;
    input(name).value = address.get(name);
    if (input(name).selectedIndex === -1) input(name).value = before;
  }
  const drawHero = () => hero(groups, Number(input("group").value), readAsked(), state);
  const draw = () => {
    const asked = readAsked(), confidence = data.confidences[asked.level];
    for (const id of ["drop", "latency", "macs", "params"]) if (input(id).value !== "") input(`${id}-range`).value = input(id).value;
    const found = answer(input("answer"), group(), asked, confidence);
    drawHero();
    const dense = group().points.dense.indexOf(1);
    state.neighbours = () => [found.chosen ?? dense, dense, found.cheaper, found.dearer].filter((i) => i !== null && i >= 0).map((i) => group().points.number[i]);
    if (found.chosen !== null) whyLayers(data, group().points.number[found.chosen], group().points.name[found.chosen]);
  };
  const changed = (event) => {
    if (event.target.type === "range") input(event.target.id.replace("-range", "")).value = event.target.value;
    if (event.target.id === "group") settings();
    draw();
    remember(Object.fromEntries(names.map((name) => [name, input(name).value])));
  };
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  draw();
  return { draw, hero: drawHero };
}

// Light and dark, and paper, which is light.
function wireTheme(redraw, drawAll) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", redraw);
  input("theme").addEventListener("click", () => {
    root.dataset.theme = (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
    redraw();
  });
  let before;
  addEventListener("beforeprint", () => { before = root.dataset.theme; root.dataset.theme = "light"; redraw(); drawAll(); });
  addEventListener("afterprint", () => { if (before === undefined) delete root.dataset.theme; else root.dataset.theme = before; redraw(); });
}

main();

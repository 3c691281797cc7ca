"use strict";
// Reads the data, and wires panel, charts, table and details. Data become text nodes, never markup.
const root = document.documentElement, ROWS = 100, PRINTED = 1000;

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
  const drawn = new Set();
  const charts = [...document.querySelectorAll(".chart")];
  const drawOne = (figure) => drawChart(figure, data.charts[figure.dataset.chart], state);
  const watch = new IntersectionObserver((seen) => seen.filter((one) => one.isIntersecting).forEach(({ target }) => {
    watch.unobserve(target);
    drawn.add(target);
    drawOne(target);
  }), { rootMargin: "400px" });
  charts.forEach((figure) => watch.observe(figure));
  const panel = data.decide.length ? wirePanel(data, state) : { draw() {} };
  const redraw = () => { panel.draw(); drawn.forEach(drawOne); };
  wireTable(data, shown, redraw, state.open);
  wireTheme(redraw, () => charts.forEach((figure) => { drawn.add(figure); drawOne(figure); }));
  let width = innerWidth, wait;
  addEventListener("resize", () => { if (width !== innerWidth) { width = innerWidth; clearTimeout(wait); wait = setTimeout(redraw, 150); } });
  document.getElementById("close").addEventListener("click", () => document.getElementById("detail").close());
  root.dataset.ready = "yes";
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
  const held = new URLSearchParams(location.hash.startsWith("#?") ? location.hash.slice(2) : "");
  if (held.has("group")) { input("group").value = held.get("group"); if (!group()) input("group").value = "0"; settings(); }
  for (const name of names.filter((one) => one !== "group" && held.has(one))) {
    const before = input(name).value;
    input(name).value = held.get(name);
    if (input(name).selectedIndex === -1) input(name).value = before;
  }
  const draw = () => {
    const asked = readAsked(), confidence = data.confidences[asked.level];
    for (const id of ["drop", "latency", "macs", "params"]) if (input(id).value !== "") input(`${id}-range`).value = input(id).value;
    const found = answer(input("answer"), group(), asked, confidence);
    hero(groups, Number(input("group").value), asked, state);
    if (found.chosen !== null) whyLayers(data, group().points.number[found.chosen], group().points.name[found.chosen]);
  };
  const changed = (event) => {
    if (event.target.type === "range") input(event.target.id.replace("-range", "")).value = event.target.value;
    if (event.target.id === "group") settings();
    draw();
    history.replaceState(null, "", `#?${new URLSearchParams(names.map((name) => [name, input(name).value]))}`);
  };
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  draw();
  return { draw };
}

// Why: the rank of each layer against its break-even, MACs before and after, and what cutting it alone costs.
function whyLayers(data, number, name) {
  const { columns, starts } = data.layers, host = input("layers"), table = document.createElement("table"), scroll = element("div", "", "scroll");
  const head = table.createTHead().insertRow(), rest = table.createTBody(), probe = probes(data), at = (column, i) => (columns[column] ? cell(columns[column], i) : null);
  for (const text of ["layer", "rank kept (line: break-even in MACs)", "rank", "MACs", "of dense", "output error when cut alone"]) { const th = element("th", text); th.scope = "col"; head.append(th); }
  for (let i = starts[number]; i < starts[number + 1]; i++) {
    const line = rest.insertRow(), rank = at("rank", i), most = at("max_rank", i), even = at("breakeven_rank_macs", i);
    const alone = data.alone[at("truncation", i)], method = alone && alone !== "plain" ? `${at("scheme", i)} ${alone}` : at("scheme", i);
    line.append(element("th", at("layer", i)), rank === null ? element("td", `dense: ${at("reason", i) ?? "not asked for"}`, "reason") : bar(rank, most, even));
    line.cells[0].scope = "row";
    const lost = rank === null ? null : probe(at("layer", i), method, rank);
    for (const text of [rank === null ? "" : `${rank} of ${most}`, format(at("macs", i)), percent(at("macs", i) / at("dense_macs", i)), lost === null ? "" : percent(lost, 1)]) line.append(element("td", text, "number"));
  }
  table.createCaption().textContent = `${name}: ${data.titles[number].split(", ").at(-1)}, the ranks that its layers keep`;
  scroll.tabIndex = 0;
  scroll.role = "region";
  scroll.ariaLabel = "ranks of the chosen point";
  scroll.append(table);
  host.replaceChildren(scroll);
}
function bar(rank, most, even) {
  const cellOf = element("td", "", "track"), filled = element("span", "", rank <= even ? "filled" : "filled over"), tick = element("span", "", "tick");
  filled.style.width = `${(100 * rank) / most}%`;
  tick.style.left = `${Math.min(100, (100 * even) / most)}%`;
  cellOf.append(filled, tick, element("span", `rank ${rank} of ${most}, break-even ${Math.floor(even)}`, "spoken"));
  return cellOf;
}
function probes(data) {
  const { layer, method, rank, output_error: lost } = data.probes, known = new Map();
  layer.codes.forEach((_, i) => {
    const key = `${cell(layer, i)}\n${cell(method, i)}`;
    known.set(key, [...(known.get(key) ?? []), [rank.values[i], lost.values[i]]]);
  });
  return (name, way, wanted) => {
    const near = d3.least(known.get(`${name}\n${way}`) ?? [], ([one]) => Math.abs(one - wanted));
    return near && Math.abs(near[0] - wanted) <= 0.2 * wanted + 1 ? near[1] : null;
  };
}

// The table: filters, sorting by raw values, a page of rows at a time.
function wireTable(data, shown, redraw, open) {
  const { columns, numbers } = data.table, body = document.querySelector("#trial-table tbody"), facets = [...document.querySelectorAll(".filters select")];
  const texts = numbers.map((_, i) => columns.map((column) => cell({ words: column.words, codes: column.codes }, i) ?? ""));
  const searched = texts.map((row) => row.join(" ").toLowerCase());
  let order = numbers.map((_, i) => i), visible = order, page = 0;
  const line = (i) => {
    const row = document.createElement("tr"), button = element("button", String(numbers[i] + 1), "open"), first = document.createElement("td");
    row.dataset.number = numbers[i];
    button.type = "button";
    button.ariaLabel = `details of trial ${numbers[i] + 1}`;
    first.append(button);
    row.append(first, ...texts[i].map((text, k) => element("td", text, columns[k].values ? "number" : "")));
    return row;
  };
  const show = (most = ROWS) => {
    const last = Math.max(0, Math.ceil(visible.length / most) - 1);
    page = Math.min(page, last);
    body.replaceChildren(...visible.slice(page * most, (page + 1) * most).map(line));
    input("pages").hidden = last === 0;
    input("page").textContent = `page ${page + 1} of ${last + 1}`;
  };
  const filter = () => {
    const wanted = input("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (i) => wanted.every((word) => searched[i].includes(word)) && facets.every((facet) => !facet.value || texts[i][facet.dataset.column] === facet.value);
    visible = order.filter(fits);
    shown.clear();
    visible.forEach((i) => shown.add(numbers[i]));
    page = 0;
    input("count").textContent = `${visible.length} of ${numbers.length} trials`;
    show();
    redraw();
  };
  let pause;
  input("words").addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(filter, 120); });
  facets.forEach((facet) => facet.addEventListener("change", filter));
  document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
  input("before").addEventListener("click", () => { page = Math.max(0, page - 1); show(); });
  input("after").addEventListener("click", () => { page += 1; show(); });
  document.querySelectorAll("#trial-table .sort").forEach((button, k) => button.addEventListener("click", () => {
    const th = button.closest("th"), sign = th.ariaSort === "ascending" ? -1 : 1, values = columns[k].values ?? texts.map((row) => row[k]);
    document.querySelectorAll("#trial-table th[aria-sort]").forEach((one) => { one.ariaSort = "none"; });
    th.ariaSort = sign === 1 ? "ascending" : "descending";
    const empty = (value) => value === null || value === "";
    order = [...order].sort((a, b) => empty(values[a]) - empty(values[b]) || (empty(values[a]) ? 0 : sign * (typeof values[a] === "number" ? values[a] - values[b] : values[a].localeCompare(values[b]))));
    const kept = new Set(visible);
    visible = order.filter((i) => kept.has(i));
    page = 0;
    show();
  }));
  body.addEventListener("click", (event) => { if (event.target.matches(".open")) open(Number(event.target.closest("tr").dataset.number)); });
  input("csv").addEventListener("click", () => {
    const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
    const rows = [columns.map((column) => column.head), ...visible.map((i) => texts[i])].map((row) => row.map(quoted).join(","));
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([`${rows.join("\n")}\n`], { type: "text/csv" }));
    link.download = "trials.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  addEventListener("beforeprint", () => show(PRINTED));
  addEventListener("afterprint", () => show());
  show();
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

// Details of a trial
function showTrial(data, number) {
  const dialog = input("detail"), body = input("detail-body");
  input("detail-title").textContent = data.titles[number];
  body.replaceChildren();
  dialog.showModal();
  const section = (title, heads, rows) => {
    if (!rows.length) return;
    const scroll = element("div", "", "scroll"), table = document.createElement("table"), head = table.createTHead().insertRow(), rest = table.createTBody();
    heads.forEach((name) => { const th = element("th", name); th.scope = "col"; head.append(th); });
    rows.forEach((row) => { const line = rest.insertRow(); row.forEach((value) => line.append(element("td", format(value), typeof value === "number" ? "number" : ""))); });
    scroll.tabIndex = 0;
    scroll.append(table);
    body.append(element("h3", title), scroll);
  };
  const rows = ({ columns, starts }) => d3.range(starts[number], starts[number + 1]).map((i) => Object.values(columns).map((column) => cell(column, i)));
  section("Latency", Object.keys(data.timings.columns), rows(data.timings));
  section("Layers", Object.keys(data.layers.columns), rows(data.layers));
  curves(body, data.epochs, number);
  section("Epochs", Object.keys(data.epochs.columns), rows(data.epochs));
  section("The trial, as in trials.csv", ["column", "value"], Object.entries(data.trials).map(([name, column]) => [name, cell(column, number)]).filter(([, value]) => value !== null));
  dialog.scrollTop = 0;
}
function curves(body, { columns, starts }, number) {
  const places = d3.range(starts[number], starts[number + 1]);
  if (places.length < 2) return;
  const stages = [...new Set(places.map((i) => cell(columns.stage, i)))], host = element("div", "", "curves");
  const points = places.map((i) => ({ x: columns.epoch.values[i], y: columns.accuracy.values[i], colour: stages.indexOf(cell(columns.stage, i)), id: -1, text: `${cell(columns.stage, i)}, epoch ${columns.epoch.values[i]}\nloss ${format(columns.loss.values[i])}` }));
  body.append(element("h3", `Training accuracy by epoch: ${stages.join(", ")}`), host);
  plot(host, {
    name: "", points, paths: stages.map((stage, k) => ({ colour: cssColour(k), points: points.filter((p) => p.colour === k) })),
    x: { label: "epoch", domain: extent(points.map((p) => p.x)) }, y: { label: "accuracy", domain: extent(points.map((p) => p.y)), format: d3.format("~%") },
  }, () => {});
}

main();

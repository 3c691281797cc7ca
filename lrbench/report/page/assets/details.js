"use strict";
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
  const points = places.map((i) => ({ x: columns.epoch.values[i], y: columns.accuracy.values[i], colour: stages.indexOf(cell(columns.stage, i)), id: -1, text: () => `${cell(columns.stage, i)}, epoch ${columns.epoch.values[i]}\nloss ${format(columns.loss.values[i])}` }));
  body.append(element("h3", `Training accuracy by epoch: ${stages.join(", ")}`), host);
  plot(host, {
    name: "", points, paths: stages.map((stage, k) => ({ colour: cssColour(k), points: points.filter((p) => p.colour === k) })),
    x: { label: "epoch", domain: extent(points.map((p) => p.x)) }, y: { label: "accuracy", domain: extent(points.map((p) => p.y)), format: d3.format("~%") },
  }, () => {});
}

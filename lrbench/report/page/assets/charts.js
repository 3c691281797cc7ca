"use strict";
// Panels of points, lines and labels, drawn with d3. Texts are text nodes, never markup.
const MANY = 1500; // points of a panel from which they go to a canvas
const SYMBOLS = [...d3.symbolsFill.filter((symbol) => symbol !== d3.symbolStar), d3.symbolDiamond2, d3.symbolSquare2]; // the star is dense's
const shape = (colour, size) => d3.symbol(colour < 0 ? d3.symbolStar : SYMBOLS[colour % SYMBOLS.length], size)();
const cssColour = (number) => (number < 0 ? "var(--ink)" : `var(--c${number % 10})`);
const actual = (css) => (css.startsWith("var(") ? getComputedStyle(document.documentElement).getPropertyValue(css.slice(4, -1)).trim() : css);

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A legend of at most eight entries: what is over is one entry.
function legend(host, entries) {
  host.replaceChildren();
  const shown = entries.length > 8 ? entries.slice(0, 7) : entries;
  for (const { name, colour, size = 60 } of shown) {
    const entry = element("span", "", "key"), mark = d3.create("svg").attr("width", 14).attr("height", 14).attr("aria-hidden", "true");
    mark.append("path").attr("d", shape(colour, size)).attr("transform", "translate(7,7)").attr("fill", cssColour(colour));
    entry.append(mark.node(), name);
    host.append(entry);
  }
  if (shown.length < entries.length) host.append(element("span", `and ${entries.length - shown.length} more: point at them`, "key"));
}

function extent(values, log) {
  let [low, high] = d3.extent(values);
  if (low === undefined) return log ? [0.1, 1] : [0, 1];
  if (log) return low === high ? [low / 2, high * 2] : [low / 1.3, high * 1.3];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 0.5;
  return [low - room, high + room];
}

// Draw one panel into a host. `panel`: name, points (x, y, low, high, colour, size, edge, id, text), paths, callouts, band,
// guides, note; x and y of it: label, domain, format, log. What is drawn again keeps its zoom.
function plot(host, panel, open) {
  host.wide ??= Math.max(240, host.clientWidth || 320); // asked once: it makes the browser lay out all that changed
  const width = host.wide, height = panel.height ?? 260;
  const edge = { top: panel.name ? 24 : 8, right: 10, bottom: 40, left: 48 };
  if (host.panel && (host.panel.x.label !== panel.x.label || host.panel.y.label !== panel.y.label)) delete host.zoomed;
  const zoomed = host.zoomed ?? [panel.x.domain, panel.y.domain];
  const scale = (axis, domain, range) => (axis.log ? d3.scaleLog(domain, range) : d3.scaleLinear(domain, range));
  const x = scale(panel.x, zoomed[0], [edge.left, width - edge.right]), y = scale(panel.y, zoomed[1], [height - edge.bottom, edge.top]);
  const inside = (p) => p.x >= zoomed[0][0] && p.x <= zoomed[0][1] && p.y >= zoomed[1][0] && p.y <= zoomed[1][1];
  const points = panel.points.filter((p) => p.x !== null && p.y !== null && inside(p));
  host.replaceChildren();
  Object.assign(host, { panel, shown: points });
  const many = points.length > MANY, ratio = devicePixelRatio || 1;
  const svg = d3.create("svg").attr("width", width).attr("height", height).attr("viewBox", [0, 0, width, height]);
  const clip = `clip${(plot.count = (plot.count ?? 0) + 1)}`;
  svg.append("clipPath").attr("id", clip).append("rect").attr("x", edge.left).attr("y", edge.top)
    .attr("width", width - edge.left - edge.right).attr("height", height - edge.top - edge.bottom);
  if (panel.name) svg.append("text").attr("class", "name").attr("x", edge.left).attr("y", 14).text(clipped(panel.name, width - edge.left)).append("title").text(panel.name);
  const frame = svg.append("g").attr("clip-path", `url(#${clip})`);
  if (panel.band) frame.append("rect").attr("class", "band").attr("x", edge.left).attr("width", width).attr("y", y(panel.band[1])).attr("height", y(panel.band[0]) - y(panel.band[1]));
  const ticks = (axis, span) => Math.max(2, Math.min(7, Math.round(span / (axis.log ? 90 : 60))));
  const xs = panel.x.log ? x.ticks(ticks(panel.x, width)).filter((v) => Number.isInteger(Math.round(Math.log10(v) * 1e6) / 1e6)) : x.ticks(ticks(panel.x, width));
  const bottom = d3.axisBottom(x).tickSizeOuter(0).tickFormat(panel.x.format ?? null), left = d3.axisLeft(y).tickSizeOuter(0).tickFormat(panel.y.format ?? null);
  svg.append("g").attr("transform", `translate(0,${height - edge.bottom})`).call(xs.length ? bottom.tickValues(xs) : bottom.ticks(3));
  svg.append("g").attr("transform", `translate(${edge.left},0)`).call(panel.y.log ? left.ticks(4, "~g") : left.ticks(5));
  svg.append("text").attr("class", "label").attr("x", (edge.left + width) / 2).attr("y", height - 6).attr("text-anchor", "middle").text(panel.x.label);
  svg.append("text").attr("class", "label").attr("transform", `translate(12,${(height - edge.bottom + edge.top) / 2}) rotate(-90)`).attr("text-anchor", "middle").text(panel.y.label);
  for (const guide of panel.guides ?? []) {
    const line = guide.x !== undefined ? [[guide.x, zoomed[1][0]], [guide.x, zoomed[1][1]]] : guide.equal ? both(zoomed) : [[zoomed[0][0], guide.y], [zoomed[0][1], guide.y]];
    frame.append("path").attr("class", `guide ${guide.look ?? ""}`).attr("d", d3.line((p) => x(p[0]), (p) => y(p[1]))(line));
    if (guide.text) frame.append("text").attr("class", "guide-text").attr("x", x(guide.x) - 4).attr("y", height - edge.bottom - 6).attr("text-anchor", "end").text(guide.text);
  }
  for (const path of panel.paths ?? []) {
    frame.append("path").attr("class", "path").attr("stroke", path.colour).attr("d", d3.line((p) => x(p.x), (p) => y(p.y))(path.points.filter((p) => p.x !== null && p.y !== null)));
  }
  const barred = points.filter((p) => p.low !== null && p.low !== undefined && p.bars !== false);
  if (barred.length) frame.append("path").attr("class", "error").attr("d", barred.map((p) => `M${rounded(x(p.x))},${rounded(y(p.low))}V${rounded(y(p.high))}`).join(""));
  if (many) host.append(onCanvas(points, x, y, width, height, ratio));
  else {
    frame.selectAll(".mark").data(points).join("path").attr("class", "mark").attr("d", (p) => shape(p.colour, p.size ?? 40))
      .attr("transform", (p) => `translate(${x(p.x)},${y(p.y)})`).attr("fill", (p) => (p.hollow ? "var(--paper)" : cssColour(p.colour)))
      .attr("stroke", (p) => (p.edge ? "var(--ink)" : p.hollow ? cssColour(p.colour) : "none")).attr("stroke-width", (p) => (p.edge ? 1.6 : 1.2));
  }
  for (const callout of panel.callouts ?? []) label(frame, callout, x, y, edge, width, height);
  if (panel.note) svg.append("text").attr("class", "guide-text").attr("x", edge.left + 6).attr("y", height - edge.bottom - 6).text(panel.note);
  brush(svg, host, panel, open, x, y, edge, width, height);
  host.append(svg.node());
  host.classList.add("plot");
  hover(host, points, x, y, open);
}
const rounded = (value) => Math.round(10 * value) / 10;
const both = ([xs, ys]) => { const [low, high] = [Math.max(xs[0], ys[0]), Math.min(xs[1], ys[1])]; return low < high ? [[low, low], [high, high]] : []; };
const clipped = (text, width) => { const most = Math.floor(width / 7); return text.length <= most ? text : `${text.slice(0, most / 2)}…${text.slice(-most / 2)}`; };

function onCanvas(points, x, y, width, height, ratio) {
  const canvas = element("canvas"), pen = canvas.getContext("2d"), shapes = new Map();
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  for (const p of points) {
    const key = `${p.colour} ${p.size}`;
    if (!shapes.has(key)) shapes.set(key, [new Path2D(shape(p.colour, p.size ?? 40)), actual(cssColour(p.colour)), actual("var(--ink)")]);
    const [path, colour, ink] = shapes.get(key);
    pen.setTransform(ratio, 0, 0, ratio, x(p.x) * ratio, y(p.y) * ratio);
    pen.fillStyle = colour;
    pen.fill(path);
    if (p.edge) { pen.strokeStyle = ink; pen.lineWidth = 1.6; pen.stroke(path); }
  }
  return canvas;
}

// A text of two lines with a line to its point; `place` counts from the top, or below 0 from the bottom.
function label(frame, { point, lines, place, ring }, x, y, edge, width, height) {
  const px = x(point.x), py = y(point.y), right = px > width * 0.55;
  const top = place >= 0 ? edge.top + 12 + place * 36 : height - edge.bottom - 26 + (place + 1) * 36;
  const texts = lines.map((line) => clipped(line, width - edge.left - edge.right)), span = 6.6 * d3.max(texts, (text) => text.length);
  const tx = right ? Math.max(edge.left + span + 6, Math.min(width - edge.right - 4, px + 60)) : Math.max(edge.left + 6, Math.min(px + 14, width - edge.right - span));
  if (ring) frame.append("circle").attr("class", "ring").attr("cx", px).attr("cy", py).attr("r", 10);
  const ty = place >= 0 ? top + 16 : top - 11;
  frame.append("path").attr("class", "leader").attr("d", `M${right ? tx - 30 : tx + 30},${ty}L${px},${py}`);
  texts.forEach((text, i) => frame.append("text").attr("class", "callout").attr("x", tx).attr("y", top + 14 * i).attr("text-anchor", right ? "end" : "start").text(text));
}

// Dragging over a part shows that part; a double click shows all again.
function brush(svg, host, panel, open, x, y, edge, width, height) {
  const area = d3.brush().extent([[edge.left, edge.top], [width - edge.right, height - edge.bottom]]).on("end", (event) => {
    if (!event.selection) return;
    const [[left, top], [right, bottom]] = event.selection;
    if (right - left < 8 || bottom - top < 8) return;
    host.zoomed = [[x.invert(left), x.invert(right)], [y.invert(bottom), y.invert(top)]];
    plot(host, panel, open);
  });
  svg.append("g").attr("class", "brush").call(area).on("dblclick", () => { delete host.zoomed; plot(host, panel, open); });
}

function hover(host, points, x, y, open) {
  const tree = d3.quadtree(points, (p) => x(p.x), (p) => y(p.y)), tip = document.getElementById("tip");
  const nearest = (event) => { const box = host.getBoundingClientRect(); return tree.find(event.clientX - box.left, event.clientY - box.top, 16); };
  host.onpointermove = (event) => {
    const p = nearest(event);
    tip.hidden = !p;
    if (!p) return;
    tip.textContent = p.text();
    tip.style.left = `${Math.max(4, Math.min(event.pageX + 12, document.documentElement.clientWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${event.pageY + 14}px`;
  };
  host.onpointerleave = () => { tip.hidden = true; };
  host.onclick = (event) => { const p = nearest(event); if (p && p.id >= 0) open(p.id); };
}

// A chart of the table in `charts.py`.
function drawChart(figure, chart, { shown, titles, open }) {
  const host = figure.querySelector(".panels"), names = new Map();
  if (!figure.querySelector(".tools")) host.before(tools(chart.title, () => rowsOfFigure(figure), () => drawingOf(figure)));
  const all = chart.panels.flatMap((panel) => panel.series);
  all.forEach((series) => names.set(series.name, series.colour));
  legend(figure.querySelector(".legend"), names.size > 1 || chart.panels.length < 2 ? [...names].map(([name, colour]) => ({ name, colour })) : []);
  const values = (name) => all.flatMap((series) => series[name] ?? []).filter((v) => v !== null && (!chart.logs || v > 0));
  const domain = { x: extent(values("x"), chart.logs), y: extent([...values("y"), ...values("low"), ...values("high")], chart.logs) };
  const guides = { equal: { equal: true, look: "dotted" }, one: { y: 1 }, zero: { y: 0 } };
  while (host.children.length < chart.panels.length) host.append(element("div"));
  chart.panels.forEach((panel, place) => {
    const own = chart.panels.length > 3 ? domain : { x: extent(panel.series.flatMap((s) => s.x).filter((v) => v !== null), chart.logs), y: domain.y };
    const points = panel.series.flatMap((series) => series.x.map((value, i) => ({
      x: value, y: series.y[i], low: series.low?.[i] ?? null, high: series.high?.[i] ?? null, colour: series.colour, size: chart.lines ? 14 : 40,
      id: series.ids?.[i] ?? -1, text: () => `${series.ids?.[i] >= 0 ? titles[series.ids[i]] : series.name}\n${chart.x} ${+value?.toPrecision(4)}\n${chart.y} ${+series.y[i]?.toPrecision(4)}`,
    }))).filter((p) => p.id < 0 || shown.has(p.id));
    const paths = chart.lines ? panel.series.map((series) => ({ colour: cssColour(series.colour), points: series.x.map((value, i) => ({ x: value, y: series.y[i] })) })) : [];
    plot(host.children[place], {
      name: panel.name, points, paths, guides: chart.guides.map((name) => guides[name]), height: chart.panels.length > 3 ? 200 : 280,
      x: { label: chart.x, domain: chart.panels.length > 3 || chart.guides.includes("equal") ? domain.x : own.x, log: chart.logs }, y: { label: chart.y, domain: domain.y, log: chart.logs },
    }, open);
  });
}
